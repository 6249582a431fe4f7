/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Whose is what is made in the store and in the spool. Root, who runs a loader by hand, shares
 * these directories with the daemon, which is another user: what root makes in them is given to the
 * owner of the directory, or the daemon could not write it any more. Others can give their files to
 * a group that they are a member of.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

typedef struct {
	uid_t user;
	gid_t group;
} icp_owner_t;

/*! Nobody in particular: what is made stays its maker's. */
#define ICP_OWNER_NONE ((icp_owner_t){(uid_t)-1, (gid_t)-1})

/*! \brief Who owns an open file or directory; ICP_OWNER_NONE where that can't be told. */
icp_owner_t icp_owner_of(int file);

/*!
 * \brief True for what this process may have made: its user's; a file under one name alone; a
 *        directory with nothing in it. Another one stands in the place of what was made if the
 *        owner of the directory around it put it there. Keeps errno.
 */
bool icp_owner_is_ours(int file);

/*!
 * \brief Gives an open file or directory to an owner, as far as that is permitted: root gives it
 *        whole, others its group alone. What is not ours (see above) stays as it is. Keeps errno.
 */
void icp_owner_give(int file, icp_owner_t owner);

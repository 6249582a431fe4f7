/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

icp_owner_t icp_owner_of(int file)
{
	struct stat st;
	return fstat(file, &st) == 0 ? (icp_owner_t){st.st_uid, st.st_gid} : ICP_OWNER_NONE;
}

void icp_owner_give(int file, icp_owner_t owner)
{
	struct stat st;
	int error = errno;
	uid_t user = geteuid() == 0 ? owner.user : (uid_t)-1;
	/* The owner of the directory might have put a link here to what root alone may give away.
	 * An empty path is the file itself, also where it is open by O_PATH. */
	if (fstat(file, &st) == 0 && (S_ISDIR(st.st_mode) || st.st_nlink == 1) &&
		fchownat(file, "", user, owner.group, AT_EMPTY_PATH) != 0) {
		errno = 0; /* A wish. */
	}
	errno = error;
}

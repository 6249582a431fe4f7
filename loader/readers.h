/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Counts the readers of a store in a child process. They stand in LMDB's lock file, which LMDB maps
 * and believes: whoever cuts it while it is opened ends the process that opens it. One thread.
 */
#pragma once

#include <sys/types.h>

#include "core/store.h"

/*! What was counted last; zeroed: nothing so far. */
typedef struct {
	int64_t until;       /*!< Milliseconds: it is believed before that. */
	uint64_t generation; /*!< That it was counted of. */
	int code;
	icp_readers_t readers;
	icp_diag_t diag;
	pid_t left; /*!< A child that was killed and has not ended yet; 0: none. */
} icp_readers_memory_t;

/*!
 * \brief Counts the readers of the current generation. Takes a millisecond, or some seconds at the
 *        most; what was counted is believed for a second, and for longer when counting took long.
 * \param generation  the current one's number
 * \retval ICP_EOK
 * \retval ICP_ENOMEM, ICP_ESYS
 * \retval ICP_EBUSY     the child did not end in time
 * \retval ICP_EDAMAGED  the lock file was the child's end
 * \retval those of icp_store_open
 */
int icp_readers_count(icp_readers_memory_t *memory, const char *store, uint64_t generation,
	icp_readers_t *readers, icp_diag_t *diag);

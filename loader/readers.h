/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Counts the readers of a store in a child process. They stand in LMDB's lock file, which LMDB maps
 * and believes: whoever cuts it while it is opened ends the process that opens it. One thread.
 */
#pragma once

#include "core/store.h"

/*!
 * \brief Counts the readers of the current generation; takes a millisecond, and never more than
 * some seconds. \retval ICP_EOK \retval ICP_ENOMEM, ICP_ESYS \retval ICP_EDAMAGED  the child came
 * to no good end \retval those of icp_store_open
 */
int icp_readers_count(const char *store, icp_readers_t *readers, icp_diag_t *diag);

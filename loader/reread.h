/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The last look at a generation before it becomes current. One thread.
 */
#pragma once

#include "core/store.h"

/*!
 * \brief Opens a generation that was written and synced, and verifies it. What the kernel still has
 *        of it in memory is given up first, so this reads what the disk holds, as far as the file
 *        system lets go of it; and for those who read it afterwards it then lies in memory in large
 *        pieces, where the file system knows such, which the kernel maps as huge pages. What stays
 *        from being written is small.
 * \param reader  to be closed with icp_reader_close, if ICP_EOK is returned
 * \retval those of icp_reader_open and icp_reader_verify
 */
int icp_reread(icp_reader_t *reader, const char *path, icp_diag_t *diag);

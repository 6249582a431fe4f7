/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Reading mapped files that may lose their pages.
 *
 * When a file is truncated while it is mapped, or its disk fails, the kernel answers the next read
 * with SIGBUS, which ends the process. Between icp_fault_enter and icp_fault_leave a thread gets
 * zeros instead, from that page of the map on until it is unmapped, and is told that it did. What
 * was read since is void then.
 *
 * A fault of a thread that is in no such section goes to the handler that was there before, as does
 * a SIGBUS that tells of anything else.
 *
 * Threads: any may use it. Sections may be nested, 30 deep; a fault belongs to the innermost one,
 * and when that ends without having been asked, to the one around it.
 */
#pragma once

#include <stdbool.h>

/*! \brief Puts the handler in place; counted. \retval ICP_EOK, ICP_ESYS */
int icp_fault_install(void);

/*!
 * \brief The last call gives the signal back to whom it belonged before, unless somebody took it
 *        over meanwhile, who may pass it on to us: then the handler stays for good.
 */
void icp_fault_uninstall(void);

/*! \brief Begins a section. Allows SIGBUS to this thread, which else would be its end. */
void icp_fault_enter(void);

/*! \brief Ends a section. */
void icp_fault_leave(void);

/*! \return true when this thread got zeros since the last call in this section; inside one */
bool icp_fault_happened(void);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Is this the daemon that the module was built for? Unbound promises no ABI: a module that was
 * compiled against another version or configuration reads its structures wrongly and crashes it.
 */
#pragma once

#include "core/error.h"

/*!
 * \brief Looks for the version and the configure line, with which the module was compiled, among
 *        the constants of the running program. Works in a chroot, starts nothing, opens nothing.
 * \param version    such as "1.17.1"
 * \param configure  the daemon's configure line, as `unbound -V` prints it
 * \retval ICP_EOK, ICP_EVERSION
 */
int icp_abi_check(const char *version, const char *configure, icp_diag_t *diag);

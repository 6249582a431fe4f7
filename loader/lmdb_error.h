/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * LMDB's errors in our words.
 */
#pragma once

#include "core/error.h"

/*!
 * \brief Translates a failure of a write.
 *
 * LMDB calls a write that was cut short an I/O error. Another one in the same directory tells why:
 * mostly, no space is left.
 *
 * \param path  of the environment
 * \param rc    LMDB's code
 * \retval ICP_ENOMEM, ICP_ESYS, ICP_EDAMAGED
 * \retval ICP_EFULL  no room in the map
 */
int icp_lmdb_failed(const char *path, int rc, icp_diag_t *diag);

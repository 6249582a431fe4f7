/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Makes the generation current again that the current one replaced, as it was then, with the deltas
 * that were applied to it. The current one stays, until the next load removes it. One thread.
 */
#pragma once

#include "loader/session.h"

typedef struct {
	uint64_t from;          /*!< The generation that was current. */
	uint64_t from_sequence; /*!< Its sequence. */
	icp_store_info_t info;  /*!< Of the one that is current now. */
	uint64_t gained;        /*!< Permissions. */
	uint64_t lost;
} icp_rollback_result_t;

/*!
 * \param result  filled on success
 * \retval ICP_EOK
 * \retval ICP_ENOSTORE  there is no current generation, or none before it is kept
 * \retval ICP_EDAMAGED  that one is damaged
 * \retval ICP_ESYS, ICP_ENOMEM; those of icp_session_open; nothing changed
 */
int icp_rollback(
	const icp_session_options_t *options, icp_rollback_result_t *result, icp_diag_t *diag);

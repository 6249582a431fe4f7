/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Copies the current generation to a new one with a delta applied. A file that deltas were applied
 * to can hold no more than its map, and while a reader does not give back its snapshot it grows by
 * all that is rewritten. One thread.
 */
#pragma once

#include "loader/session.h"
#include "loader/update.h"

/*!
 * \brief Makes the new generation under its building name, checked whole.
 * \param number   of the new generation
 * \param visit    called for each pair that differs
 * \retval ICP_EOK
 * \retval those of icp_update_apply; icp_generations_discard removes what is left
 */
int icp_renew(const icp_session_t *session, uint64_t number, icp_changes_t *changes,
	const icp_update_delta_t *delta, icp_compare_visit_t visit, void *context,
	icp_diag_t *diag);

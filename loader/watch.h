/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is done with each pair that a change makes differ: permissions gained and lost are counted,
 * and the audit log gets its line. One thread.
 */
#pragma once

#include "loader/session.h"

typedef struct {
	const icp_session_options_t *options;
	icp_audit_t *audit;
	uint64_t pairs;
	uint64_t gained; /*!< Permissions. */
	uint64_t lost;
} icp_watch_t;

/*!
 * \brief Takes one pair. Its signature is that of icp_compare_visit_t.
 * \param context  the watch
 * \retval ICP_EOK, ICP_ESYS  as icp_audit_add
 */
int icp_watch_pair(const icp_row_t *before, const icp_row_t *after, void *context);

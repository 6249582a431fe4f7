/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/watch.h"

static bool permits(const icp_row_t *row, const icp_session_options_t *options)
{
	return row != NULL && icp_row_permits(row, options->rectify_overdue, options->now);
}

int icp_watch_pair(const icp_row_t *before, const icp_row_t *after, void *context)
{
	icp_watch_t *watch = context;
	bool had = permits(before, watch->options);
	bool has = permits(after, watch->options);
	watch->pairs++;
	watch->gained += has && !had;
	watch->lost += had && !has;
	return icp_audit_add(before, after, watch->audit);
}

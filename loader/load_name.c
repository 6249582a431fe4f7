/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/load_name.h"

const char *icp_load_kind_name(enum icp_load_kind kind)
{
	static const char *const names[ICP_LOAD_KIND_COUNT] = {
		[ICP_LOAD_FULL] = "full",
		[ICP_LOAD_DELTA] = "delta",
		[ICP_LOAD_ROLLBACK] = "rollback",
	};
	return names[kind];
}

const char *icp_load_outcome_name(enum icp_load_outcome outcome)
{
	static const char *const names[ICP_LOAD_OUTCOME_COUNT] = {
		[ICP_LOAD_DONE] = "done",
		[ICP_LOAD_GUARD] = "guard",
		[ICP_LOAD_USAGE] = "usage",
		[ICP_LOAD_FEED] = "feed",
		[ICP_LOAD_FAILED] = "failed",
		[ICP_LOAD_CRASHED] = "crashed",
	};
	return names[outcome];
}

const char *icp_follow_name(enum icp_follow_state state)
{
	static const char *const names[] = {
		[ICP_FOLLOW_OFF] = "off",
		[ICP_FOLLOW_RUNNING] = "running",
		[ICP_FOLLOW_WAITING] = "waiting",
	};
	return names[state];
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/state_json.h"

#include "core/time.h"
#include "loader/health.h"
#include "loader/load_name.h"
#include "loader/report.h"
#include "loader/stats_json.h"

json_t *icp_load_json(const icp_load_t *last)
{
	if (last->began == ICP_TIME_NONE) {
		return json_null();
	}
	return json_pack("{s:s, s:s, s:o, s:f, s:I}", "kind", icp_load_kind_name(last->kind),
		"outcome", icp_load_outcome_name(last->outcome), "began",
		icp_report_time(last->began), "seconds", last->seconds, "sequence",
		(json_int_t)last->sequence);
}

json_t *icp_loads_json(const icp_daemon_state_t *daemon)
{
	json_t *kinds = json_object();
	for (enum icp_load_kind kind = 0; kind < ICP_LOAD_KIND_COUNT; kind++) {
		json_t *outcomes = json_object();
		for (enum icp_load_outcome how = 0; how < ICP_LOAD_OUTCOME_COUNT; how++) {
			json_object_set_new(outcomes, icp_load_outcome_name(how),
				json_integer((json_int_t)daemon->loads[kind][how]));
		}
		json_object_set_new(kinds, icp_load_kind_name(kind), outcomes);
	}
	return kinds;
}

json_t *icp_daemon_json(const icp_daemon_state_t *daemon)
{
	return json_pack("{s:s, s:o, s:b, s:b, s:{s:I, s:I, s:o, s:I}, s:o, s:o, s:{s:s, s:I}}",
		"version", ICP_VERSION, "started", icp_report_time(daemon->started), "paused",
		daemon->paused, "loading", daemon->loading, "spool", "depth",
		(json_int_t)daemon->depth, "waiting", (json_int_t)daemon->waiting, "gap_since",
		icp_report_time(daemon->gap_since), "refused", (json_int_t)daemon->refused, "loads",
		icp_loads_json(daemon), "last", icp_load_json(&daemon->last), "follow", "state",
		icp_follow_name(daemon->follow), "starts", (json_int_t)daemon->follow_starts);
}

/*! What the store's files say may not be UTF-8, which JSON has to be. */
static json_t *json_error(const icp_diag_t *diag)
{
	json_t *text = json_string(diag->text);
	return json_pack(
		"{s:o}", "error", text != NULL ? text : json_string("the message is not UTF-8"));
}

static json_t *json_store(const icp_observed_t *observed)
{
	/* Without a current generation that can be read there is still a list of those kept. */
	return observed->status.kept != NULL && observed->store_code == observed->status.code
		       ? icp_report_status_json(&observed->status, observed->now)
		       : json_error(&observed->store_diag);
}

static json_t *json_resolver(const icp_observed_t *observed)
{
	if (observed->stats_code == ICP_ENOSTORE) {
		return json_null();
	}
	return observed->stats_code == ICP_EOK ? icp_stats_json(&observed->stats)
					       : json_error(&observed->stats_diag);
}

static json_t *json_problems(unsigned found)
{
	json_t *list = json_array();
	for (enum icp_problem problem = 0; problem < ICP_PROBLEM_COUNT; problem++) {
		if ((found & 1U << problem) != 0) {
			json_array_append_new(list, json_string(icp_problem_name(problem)));
		}
	}
	return list;
}

json_t *icp_observed_json(const icp_observed_t *observed)
{
	unsigned found = icp_health_problems(observed);
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "healthy", found == 0, "problems",
		json_problems(found), "at", icp_report_time(observed->now), "daemon",
		icp_daemon_json(observed->daemon), "store", json_store(observed), "resolver",
		json_resolver(observed));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/stats_json.h"

#include "loader/report.h"

const char *icp_mode_name(enum icp_mode mode)
{
	return mode == ICP_MODE_MONITOR ? "monitor" : "enforce";
}

/*! An object with a number for each reason. */
static json_t *json_reasons(const uint64_t judged[ICP_REASON_COUNT])
{
	json_t *object = json_object();
	for (enum icp_reason reason = 0; reason < ICP_REASON_COUNT; reason++) {
		json_object_set_new(
			object, icp_reason_name(reason), json_integer((json_int_t)judged[reason]));
	}
	return object;
}

static json_t *json_counts(const uint64_t counts[ICP_STAT_COUNT])
{
	json_t *object = json_object();
	for (enum icp_stat stat = 0; stat < ICP_STAT_COUNT; stat++) {
		json_object_set_new(
			object, icp_stat_key(stat), json_integer((json_int_t)counts[stat]));
	}
	return object;
}

/*! Classes by their bounds in nanoseconds; the last has none. */
static json_t *json_latency(const icp_stats_snapshot_t *snapshot)
{
	uint64_t timed = 0;
	json_t *classes = json_array();
	for (unsigned i = 0; i < ICP_LATENCY_CLASSES; i++) {
		uint64_t bound = icp_latency_bound(i);
		timed += snapshot->latency[i];
		json_array_append_new(
			classes, json_pack("{s:o, s:I}", "most",
					 bound != 0 ? json_integer((json_int_t)bound) : json_null(),
					 "count", (json_int_t)snapshot->latency[i]));
	}
	return json_pack("{s:i, s:I, s:I, s:o}", "one_in", ICP_LATENCY_EVERY, "timed",
		(json_int_t)timed, "sum", (json_int_t)snapshot->latency_sum, "classes", classes);
}

static json_t *json_domains(const icp_top_list_t *top)
{
	json_t *list = json_array();
	for (size_t i = 0; i < top->count; i++) {
		char domain[ICP_NAME_TEXT_MAX];
		icp_name_format(&top->items[i].domain, domain);
		json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "domain", domain, "count",
						    (json_int_t)top->items[i].count, "error",
						    (json_int_t)top->items[i].error));
	}
	return list;
}

json_t *icp_stats_json(const icp_stats_snapshot_t *snapshot)
{
	json_t *generation = snapshot->generation != 0
				     ? json_integer((json_int_t)snapshot->generation)
				     : json_null();
	return json_pack(
		"{s:b, s:o, s:s, s:i, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:o, s:{s:o, s:I, s:b}}",
		"counting", snapshot->counting, "started", icp_report_time(snapshot->started),
		"mode", icp_mode_name(snapshot->mode), "threads", (int)snapshot->seats,
		"generation", generation, "since", icp_report_time(snapshot->since),
		"no_index_since", icp_report_time(snapshot->no_index_since), "judgements",
		icp_verdict_name(ICP_PASS), json_reasons(snapshot->judged[ICP_PASS]),
		icp_verdict_name(ICP_BLOCK), json_reasons(snapshot->judged[ICP_BLOCK]), "counters",
		json_counts(snapshot->counts), "judgement_nanoseconds", json_latency(snapshot),
		"blocked_domains", "domains", json_domains(&snapshot->top), "bound",
		(json_int_t)snapshot->top.bound, "complete", snapshot->left_out == 0);
}

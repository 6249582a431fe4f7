/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate stat: what the resolver on a store has counted since its start. */
#include <inttypes.h>
#include <stdio.h>

#include "core/stats.h"
#include "core/time.h"
#include "db-tools/tools.h"

#define DOMAINS_SHOWN 20

static const char *mode_name(enum icp_mode mode)
{
	return mode == ICP_MODE_MONITOR ? "monitor" : "enforce";
}

static void print_head(const icp_stats_snapshot_t *snapshot)
{
	char started[ICP_TIME_TEXT_MAX];
	char since[ICP_TIME_TEXT_MAX];
	icp_time_format(snapshot->started, started);
	icp_time_format(snapshot->since, since);
	printf("resolver started %s, mode %s, %u %s; %s\n", started, mode_name(snapshot->mode),
		snapshot->seats, snapshot->seats == 1 ? "thread" : "threads",
		snapshot->counting ? "counting now" : "no longer counting");
	if (snapshot->generation != 0) {
		printf("generation %" PRIu64 " in use since %s\n", snapshot->generation, since);
	} else {
		puts("no generation in use so far");
	}
	if (snapshot->no_index_since != ICP_TIME_NONE) {
		icp_time_format(snapshot->no_index_since, since);
		printf("THE INDEX CAN'T BE READ since %s: on_no_index applies\n", since);
	}
}

static void print_judgements(const icp_stats_snapshot_t *snapshot)
{
	printf("\n%-26s %20s %20s\n", "judgements", icp_verdict_name(ICP_PASS),
		icp_verdict_name(ICP_BLOCK));
	for (enum icp_reason reason = 0; reason < ICP_REASON_COUNT; reason++) {
		char pass[ICP_COUNT_TEXT_MAX];
		char block[ICP_COUNT_TEXT_MAX];
		icp_count_format(snapshot->judged[ICP_PASS][reason], pass);
		icp_count_format(snapshot->judged[ICP_BLOCK][reason], block);
		printf("  %-24s %20s %20s\n", icp_reason_name(reason), pass, block);
	}
}

static void print_counts(const icp_stats_snapshot_t *snapshot)
{
	printf("\ncounters\n");
	for (enum icp_stat stat = 0; stat < ICP_STAT_COUNT; stat++) {
		char count[ICP_COUNT_TEXT_MAX];
		icp_count_format(snapshot->counts[stat], count);
		printf("  %-48s %17s\n", icp_stat_title(stat), count);
	}
}

static void print_domains(const icp_stats_snapshot_t *snapshot)
{
	const icp_top_list_t *top = &snapshot->top;
	size_t shown = top->count < DOMAINS_SHOWN ? top->count : DOMAINS_SHOWN;
	uint64_t bound = top->bound;
	char text[ICP_COUNT_TEXT_MAX];

	printf("\n%-26s %20s %20s\n", "blocked domains", "queries", "error");
	for (size_t i = 0; i < shown; i++) {
		char error[ICP_COUNT_TEXT_MAX];
		char domain[ICP_NAME_TEXT_MAX];
		icp_count_format(top->items[i].count, text);
		icp_count_format(top->items[i].error, error);
		icp_name_format(&top->items[i].domain, domain);
		printf("  %-24s %20s %20s\n", domain, text, error);
	}
	if (shown < top->count && top->items[shown].count > bound) {
		bound = top->items[shown].count;
	}
	icp_count_format(bound, text);
	printf("  The true number is at most so much lower as the error says; that of any other\n"
	       "  domain is at most %s.\n",
		text);
	if (snapshot->left_out > 0) {
		printf("  The resolver ended while it wrote: %u of %u parts of the list are missing.\n",
			snapshot->left_out, snapshot->seats * ICP_TOP_SETS);
	}
}

static int print_text(const icp_stats_snapshot_t *snapshot)
{
	print_head(snapshot);
	print_judgements(snapshot);
	print_counts(snapshot);
	print_domains(snapshot);
	return ICP_EXIT_DONE;
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

static int print_json(const icp_stats_snapshot_t *snapshot)
{
	json_t *generation = snapshot->generation != 0
				     ? json_integer((json_int_t)snapshot->generation)
				     : json_null();
	return icp_json_print(json_pack(
		"{s:b, s:o, s:s, s:i, s:o, s:o, s:o, s:{s:o, s:o}, s:o, s:{s:o, s:I, s:b}}",
		"counting", snapshot->counting, "started", icp_json_time(snapshot->started), "mode",
		mode_name(snapshot->mode), "threads", (int)snapshot->seats, "generation",
		generation, "since", icp_json_time(snapshot->since), "no_index_since",
		icp_json_time(snapshot->no_index_since), "judgements", icp_verdict_name(ICP_PASS),
		json_reasons(snapshot->judged[ICP_PASS]), icp_verdict_name(ICP_BLOCK),
		json_reasons(snapshot->judged[ICP_BLOCK]), "counters",
		json_counts(snapshot->counts), "blocked_domains", "domains",
		json_domains(&snapshot->top), "bound", (json_int_t)snapshot->top.bound, "complete",
		snapshot->left_out == 0));
}

/*! Reads the statistics of --store or else of the configuration's store. */
static int read_stats(const icp_tool_t *tool, icp_stats_snapshot_t *snapshot, icp_diag_t *diag)
{
	icp_config_t config;
	const char *store;
	int code = icp_tool_store(tool, &config, &store, diag);
	if (code == ICP_EOK) {
		code = icp_stats_read(snapshot, store, diag);
		icp_config_deinit(&config);
	}
	return code;
}

int icp_tool_stat(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_stats_snapshot_t snapshot;
	icp_diag_t diag = {""};
	int code = read_stats(tool, &snapshot, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	int status = tool->json ? print_json(&snapshot) : print_text(&snapshot);
	icp_stats_snapshot_deinit(&snapshot);
	return status;
}

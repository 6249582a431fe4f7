/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate stat: what the resolver on a store has counted since its start. */
#include <inttypes.h>
#include <stdio.h>

#include "core/stats.h"
#include "core/time.h"
#include "db-tools/tools.h"
#include "loader/stats_json.h"

#define DOMAINS_SHOWN 20

static void print_head(const icp_stats_snapshot_t *snapshot)
{
	char started[ICP_TIME_TEXT_MAX];
	char since[ICP_TIME_TEXT_MAX];
	icp_time_format(snapshot->started, started);
	icp_time_format(snapshot->since, since);
	printf("resolver started %s, mode %s, %u %s; %s\n", started, icp_mode_name(snapshot->mode),
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

#define TIME_TEXT_MAX 24

/*! Nanoseconds in the unit that reads best. */
static void format_time(double nanoseconds, char text[TIME_TEXT_MAX])
{
	static const char *const units[] = {"ns", "us", "ms", "s"};
	size_t unit = 0;
	while (nanoseconds >= 1000 && unit + 1 < sizeof units / sizeof *units) {
		nanoseconds /= 1000;
		unit++;
	}
	snprintf(text, TIME_TEXT_MAX, "%.4g %s", nanoseconds, units[unit]);
}

/*! How long judgements took; the share is of all up to the bound. */
static void print_latency(const icp_stats_snapshot_t *snapshot)
{
	uint64_t timed = 0;
	uint64_t below = 0;
	char text[ICP_COUNT_TEXT_MAX];
	char time[TIME_TEXT_MAX];
	for (unsigned i = 0; i < ICP_LATENCY_CLASSES; i++) {
		timed += snapshot->latency[i];
	}
	printf("\n%-26s %20s %20s\n", "judgement times", "timed", "in all");
	for (unsigned i = 0; i < ICP_LATENCY_CLASSES && timed > 0; i++) {
		uint64_t bound = icp_latency_bound(i);
		below += snapshot->latency[i];
		icp_count_format(snapshot->latency[i], text);
		format_time((double)bound, time);
		printf("  %-8s%-16s %20s %18.2f %%\n", bound != 0 ? "at most" : "longer",
			bound != 0 ? time : "", text, 100 * (double)below / (double)timed);
	}
	format_time(timed > 0 ? (double)snapshot->latency_sum / (double)timed : 0, time);
	icp_count_format(timed, text);
	printf("  One judgement of %d is timed: %s so far%s%s.\n", ICP_LATENCY_EVERY, text,
		timed > 0 ? ", on average " : "", timed > 0 ? time : "");
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
	print_latency(snapshot);
	print_domains(snapshot);
	return ICP_EXIT_DONE;
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
	int status = tool->json ? icp_json_print(icp_stats_json(&snapshot)) : print_text(&snapshot);
	icp_stats_snapshot_deinit(&snapshot);
	return status;
}

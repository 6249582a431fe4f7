/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/metrics.h"

#include <inttypes.h>

#include "core/time.h"
#include "loader/health.h"
#include "loader/load_name.h"
#include "loader/stats_json.h"

#define GAUGE "gauge"
#define COUNTER "counter"
#define NANOSECONDS 1e-9

static void head(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP icpgate_%s %s\n# TYPE icpgate_%s %s\n", name, help, name, type);
}

/*! A metric that is one number. */
static void one(FILE *out, const char *name, const char *type, const char *help, uint64_t value)
{
	head(out, name, type, help);
	fprintf(out, "icpgate_%s %" PRIu64 "\n", name, value);
}

/*! Seconds, or seconds since the epoch. */
static void one_signed(FILE *out, const char *name, const char *help, int64_t value)
{
	head(out, name, GAUGE, help);
	fprintf(out, "icpgate_%s %" PRId64 "\n", name, value);
}

/*! A time that may be none, which is 0 then. */
static void one_time(FILE *out, const char *name, const char *help, int64_t time)
{
	one_signed(out, name, help, time != ICP_TIME_NONE ? time : 0);
}

static void print_judgements(const icp_stats_snapshot_t *stats, FILE *out)
{
	head(out, "judgements_total", COUNTER, "Judgements of the resolver since its start.");
	for (enum icp_verdict verdict = ICP_PASS; verdict <= ICP_BLOCK; verdict++) {
		for (enum icp_reason reason = 0; reason < ICP_REASON_COUNT; reason++) {
			fprintf(out,
				"icpgate_judgements_total{verdict=\"%s\",reason=\"%s\"} %" PRIu64
				"\n",
				icp_verdict_name(verdict), icp_reason_name(reason),
				stats->judged[verdict][reason]);
		}
	}
}

static void print_answers(const icp_stats_snapshot_t *stats, FILE *out)
{
	static const enum icp_stat results[] = {ICP_STAT_SERVED, ICP_STAT_STRIPPED,
		ICP_STAT_BLOCKED, ICP_STAT_MONITORED, ICP_STAT_FAILED};
	head(out, "answers_total", COUNTER,
		"Answers that lead to addresses, by what became of them; monitored: served, but enforce mode would not have served them so.");
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		fprintf(out, "icpgate_answers_total{result=\"%s\"} %" PRIu64 "\n",
			icp_stat_key(results[i]), stats->counts[results[i]]);
	}
	one(out, "additional_records_removed_total", COUNTER,
		"Addresses of blocked names taken out of additional sections.",
		stats->counts[ICP_STAT_ADDITIONAL]);
	one(out, "lease_renewals_total", COUNTER,
		"Cached answers that were judged again and served on.",
		stats->counts[ICP_STAT_RENEWED]);
	one(out, "stale_answers_judged_total", COUNTER,
		"Expired answers that were judged for being served stale.",
		stats->counts[ICP_STAT_STALE]);
	one(out, "licence_mismatches_total", COUNTER,
		"Answers that passed at addresses that the licence does not hold.",
		stats->counts[ICP_STAT_LICENCE]);
}

static void print_latency(const icp_stats_snapshot_t *stats, FILE *out)
{
	uint64_t count = 0;
	head(out, "judgement_duration_seconds", "histogram",
		"Time of judgements; about one in 60 is timed.");
	for (unsigned class = 0; class < ICP_LATENCY_CLASSES; class ++) {
		uint64_t bound = icp_latency_bound(class);
		count += stats->latency[class];
		fputs("icpgate_judgement_duration_seconds_bucket{le=\"", out);
		if (bound != 0) {
			fprintf(out, "%g", (double)bound * NANOSECONDS);
		} else {
			fputs("+Inf", out);
		}
		fprintf(out, "\"} %" PRIu64 "\n", count);
	}
	fprintf(out,
		"icpgate_judgement_duration_seconds_sum %.9f\n"
		"icpgate_judgement_duration_seconds_count %" PRIu64 "\n",
		(double)stats->latency_sum * NANOSECONDS, count);
}

static void print_resolver(const icp_observed_t *observed, FILE *out)
{
	const icp_stats_snapshot_t *stats = &observed->stats;
	bool known = observed->stats_code == ICP_EOK;
	one(out, "resolver_stats_unreadable", GAUGE,
		"1: the resolver's file of counters is there and can't be read.",
		!known && observed->stats_code != ICP_ENOSTORE);
	one(out, "resolver_counting", GAUGE, "1: a resolver counts in this store now.",
		known && stats->counting);
	if (!known) {
		return;
	}
	head(out, "resolver_info", GAUGE, "1, with the resolver's mode as a label.");
	fprintf(out, "icpgate_resolver_info{mode=\"%s\"} 1\n", icp_mode_name(stats->mode));
	one(out, "resolver_threads", GAUGE, "Threads that count, with one for what has none.",
		stats->seats);
	one_time(out, "resolver_start_time_seconds", "When the resolver began to count.",
		stats->started);
	one(out, "resolver_generation", GAUGE,
		"Generation that the resolver used last; 0: none so far.", stats->generation);
	one_time(out, "resolver_generation_start_time_seconds",
		"When the resolver began to use it; 0: never.", stats->since);
	one(out, "resolver_no_index", GAUGE,
		"1: the resolver could not read the index when it last needed it.",
		stats->no_index_since != ICP_TIME_NONE);
	one_time(out, "resolver_no_index_start_time_seconds",
		"Since when it can't read the index; 0: it can.", stats->no_index_since);
	print_judgements(stats, out);
	print_answers(stats, out);
	print_latency(stats, out);
}

static void print_kept(const icp_status_t *status, FILE *out)
{
	uint64_t octets = 0;
	uint64_t unreadable = 0;
	for (size_t i = 0; i < status->kept_count; i++) {
		octets += status->kept[i].code == ICP_EOK ? status->kept[i].size : 0;
		unreadable += status->kept[i].code != ICP_EOK;
	}
	one(out, "store_generations", GAUGE, "Generations that are kept.", status->kept_count);
	one(out, "store_generations_unreadable", GAUGE, "Of these, those that can't be read.",
		unreadable);
	one(out, "store_generations_size_bytes", GAUGE, "Size of the files of all of them.",
		octets);
	one(out, "store_audit_pending", GAUGE, "1: lines of the audit log wait for the next load.",
		status->audit_pending);
}

static void print_store(const icp_observed_t *observed, FILE *out)
{
	const icp_status_t *status = &observed->status;
	const icp_store_info_t *info = &status->info;
	one(out, "store_readable", GAUGE, "1: the current generation can be read.",
		observed->store_code == ICP_EOK);
	one(out, "store_stale_after_seconds", GAUGE, "The age from which on data is stale.",
		observed->config->daemon.stale_after);
	print_kept(status, out);
	if (observed->store_code != ICP_EOK) {
		return;
	}
	one(out, "store_generation", GAUGE, "Number of the current generation.", info->generation);
	one(out, "store_sequence", GAUGE, "Sequence of the last delta in it.", info->sequence);
	one(out, "store_full_sequence", GAUGE, "Sequence of the full feed that it was built of.",
		info->base);
	one_signed(out, "store_age_seconds", "Age of the data: of its last feed's as_of.",
		icp_info_age(info, observed->now));
	one_time(out, "store_as_of_time_seconds", "The last feed's as_of; 0: not known.",
		info->as_of);
	one_time(out, "store_created_time_seconds", "When the generation was built.",
		info->created_at);
	one(out, "store_rows", GAUGE, "Rows, pairs of domain and provider.", info->rows);
	one(out, "store_nodes", GAUGE, "Nodes: domains with rows, and parents of such.",
		info->nodes);
	one(out, "store_size_bytes", GAUGE, "Size of the current generation's file.", status->size);
	if (status->readers_code != ICP_EOK) {
		return;
	}
	one(out, "store_readers", GAUGE, "Readers of the current generation, of all processes.",
		status->readers.slots);
	one(out, "store_stale_readers", GAUGE,
		"Of these, those that hold on to an older state, so that space can't be used anew.",
		status->readers.stale);
}

static void print_loads(const icp_daemon_state_t *daemon, FILE *out)
{
	const icp_load_t *last = &daemon->last;
	bool any = last->began != ICP_TIME_NONE;
	head(out, "loads_total", COUNTER, "Loads that ended since the daemon's start.");
	for (enum icp_load_kind kind = 0; kind < ICP_LOAD_KIND_COUNT; kind++) {
		for (enum icp_load_outcome how = 0; how < ICP_LOAD_OUTCOME_COUNT; how++) {
			fprintf(out,
				"icpgate_loads_total{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
				icp_load_kind_name(kind), icp_load_outcome_name(how),
				daemon->loads[kind][how]);
		}
	}
	head(out, "last_load_info", GAUGE, "1, with kind and outcome of the last load as labels.");
	if (any) {
		fprintf(out, "icpgate_last_load_info{kind=\"%s\",outcome=\"%s\"} 1\n",
			icp_load_kind_name(last->kind), icp_load_outcome_name(last->outcome));
	}
	one_time(out, "last_load_start_time_seconds",
		"When the last load began; 0: none since the daemon's start.", last->began);
	head(out, "last_load_duration_seconds", GAUGE, "Time that the last load took.");
	fprintf(out, "icpgate_last_load_duration_seconds %.3f\n", any ? last->seconds : 0);
	one(out, "last_load_sequence", GAUGE, "Sequence of the last load's feed; 0: it has none.",
		any ? last->sequence : 0);
}

static void print_follow(const icp_daemon_state_t *daemon, FILE *out)
{
	head(out, "follow_state", GAUGE,
		"1 for the state that following the database is in; waiting: it ended, and will be started again.");
	for (enum icp_follow_state state = ICP_FOLLOW_OFF; state <= ICP_FOLLOW_WAITING; state++) {
		fprintf(out, "icpgate_follow_state{state=\"%s\"} %d\n", icp_follow_name(state),
			daemon->follow == state);
	}
	one(out, "follow_starts_total", COUNTER, "Times that following was started.",
		daemon->follow_starts);
}

static void print_daemon(const icp_observed_t *observed, FILE *out)
{
	const icp_daemon_state_t *daemon = observed->daemon;
	bool gap = daemon->gap_since != ICP_TIME_NONE;
	head(out, "build_info", GAUGE, "1, with the version as a label.");
	fputs("icpgate_build_info{version=\"" ICP_VERSION "\"} 1\n", out);
	one_time(out, "daemon_start_time_seconds", "When icpgated started.", daemon->started);
	one(out, "daemon_paused", GAUGE, "1: an operator has paused loading.", daemon->paused);
	one(out, "daemon_loading", GAUGE, "1: a feed is being loaded.", daemon->loading);
	one(out, "spool_feeds", GAUGE, "Feeds in the spool whose manifest has arrived.",
		daemon->depth);
	one(out, "spool_feeds_waiting", GAUGE, "Of these, deltas that wait for one before them.",
		daemon->waiting);
	one(out, "spool_names_refused", GAUGE,
		"Names in the spool that are none of a feed, and with which nothing is done.",
		daemon->refused);
	one_signed(out, "spool_gap_seconds",
		"For how long the first of them has waited; 0: none does.",
		gap ? observed->now - daemon->gap_since : 0);
	one(out, "spool_gap_after_seconds", GAUGE, "From when on such a wait is a problem.",
		observed->config->daemon.gap_after);
	print_loads(daemon, out);
	print_follow(daemon, out);
}

static void print_problems(const icp_observed_t *observed, FILE *out)
{
	unsigned found = icp_health_problems(observed);
	head(out, "problem", GAUGE, "1: there is this problem, and /healthz says unhealthy.");
	for (enum icp_problem problem = 0; problem < ICP_PROBLEM_COUNT; problem++) {
		fprintf(out, "icpgate_problem{problem=\"%s\"} %d\n", icp_problem_name(problem),
			(found & 1U << problem) != 0);
	}
}

void icp_metrics_print(const icp_observed_t *observed, FILE *out)
{
	print_daemon(observed, out);
	print_store(observed, out);
	print_resolver(observed, out);
	print_problems(observed, out);
}

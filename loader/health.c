/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/health.h"

#include <inttypes.h>

#include "core/time.h"
#include "loader/load_name.h"

typedef struct {
	const char *name;
	bool (*is_there)(const icp_observed_t *observed);
	void (*print)(const icp_observed_t *observed, FILE *out);
} problem_t;

static bool is_unreadable(const icp_observed_t *observed)
{
	return observed->store_code != ICP_EOK;
}

static void print_unreadable(const icp_observed_t *observed, FILE *out)
{
	fprintf(out, "the store can't be read: %s", observed->store_diag.text);
}

static bool is_stale(const icp_observed_t *observed)
{
	return observed->store_code == ICP_EOK &&
	       icp_info_age(&observed->status.info, observed->now) >
		       (int64_t)observed->config->daemon.stale_after;
}

static void print_stale(const icp_observed_t *observed, FILE *out)
{
	fprintf(out, "the data is %" PRId64 " s old, which is more than stale_after, %" PRIu32 " s",
		icp_info_age(&observed->status.info, observed->now),
		observed->config->daemon.stale_after);
}

static bool finds_no_index(const icp_observed_t *observed)
{
	return observed->stats_code == ICP_EOK && observed->stats.counting &&
	       observed->stats.no_index_since != ICP_TIME_NONE;
}

static void print_no_index(const icp_observed_t *observed, FILE *out)
{
	char since[ICP_TIME_TEXT_MAX];
	icp_time_format(observed->stats.no_index_since, since);
	fprintf(out, "the resolver can't read the index since %s; on_no_index applies", since);
}

static bool has_gap(const icp_observed_t *observed)
{
	const icp_daemon_state_t *daemon = observed->daemon;
	return daemon->gap_since != ICP_TIME_NONE &&
	       observed->now - daemon->gap_since >= (int64_t)observed->config->daemon.gap_after;
}

static void print_gap(const icp_observed_t *observed, FILE *out)
{
	fprintf(out,
		"a delta has waited for the one before it for %" PRId64 " s; gap_after is %" PRIu32
		" s",
		observed->now - observed->daemon->gap_since, observed->config->daemon.gap_after);
}

static const problem_t problems[ICP_PROBLEM_COUNT] = {
	[ICP_PROBLEM_STORE] = {"store-unreadable", is_unreadable, print_unreadable},
	[ICP_PROBLEM_STALE] = {"stale", is_stale, print_stale},
	[ICP_PROBLEM_NO_INDEX] = {"no-index", finds_no_index, print_no_index},
	[ICP_PROBLEM_GAP] = {"gap", has_gap, print_gap},
};

const char *icp_problem_name(enum icp_problem problem)
{
	return problems[problem].name;
}

unsigned icp_health_problems(const icp_observed_t *observed)
{
	unsigned found = 0;
	for (enum icp_problem i = 0; i < ICP_PROBLEM_COUNT; i++) {
		found |= problems[i].is_there(observed) ? 1U << i : 0;
	}
	return found;
}

/*! What does not make it unhealthy, and yet should be known. */
static void print_notes(const icp_observed_t *observed, FILE *out)
{
	const icp_daemon_state_t *daemon = observed->daemon;
	const icp_load_t *last = &daemon->last;
	if (daemon->paused) {
		fputs("note: loading is paused\n", out);
	}
	if (last->began != ICP_TIME_NONE && last->outcome != ICP_LOAD_DONE) {
		fprintf(out, "note: the last load (%s) was not done: %s\n",
			icp_load_kind_name(last->kind), icp_load_outcome_name(last->outcome));
	}
	if (daemon->follow == ICP_FOLLOW_WAITING) {
		fputs("note: the database can't be followed at the moment\n", out);
	}
	if (observed->store_code == ICP_EOK && observed->status.readers_code != ICP_EOK) {
		fprintf(out, "note: who reads the store is not known: %s\n",
			observed->status.readers_diag.text);
	}
	if (observed->stats_code != ICP_EOK) {
		fprintf(out, "note: what the resolver counts is not known: %s\n",
			observed->stats_diag.text);
	} else if (!observed->stats.counting) {
		fputs("note: no resolver counts in this store now\n", out);
	}
}

void icp_health_print(const icp_observed_t *observed, FILE *out)
{
	unsigned found = icp_health_problems(observed);
	fputs(found == 0 ? "healthy\n" : "unhealthy\n", out);
	for (enum icp_problem i = 0; i < ICP_PROBLEM_COUNT; i++) {
		if ((found & 1U << i) != 0) {
			fprintf(out, "%s: ", problems[i].name);
			problems[i].print(observed, out);
			fputc('\n', out);
		}
	}
	print_notes(observed, out);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate diff: what differs between two generations or feeds. */
#include "db-tools/diff.h"

#include <stdlib.h>
#include <string.h>

static int reserve(icp_difference_t *difference)
{
	if (difference->flip_count < difference->flip_capacity) {
		return ICP_EOK;
	}
	size_t capacity = difference->flip_capacity == 0 ? 1024 : 2 * difference->flip_capacity;
	icp_flip_t *flips = realloc(difference->flips, capacity * sizeof *flips);
	if (flips == NULL) {
		return ICP_ENOMEM;
	}
	difference->flips = flips;
	difference->flip_capacity = capacity;
	return ICP_EOK;
}

/*! Copies what is shown of a pair: its rows may be gone with the next node. */
static int list_pair(
	icp_difference_t *difference, const icp_row_t *before, const icp_row_t *after, bool gained)
{
	const icp_row_t *row = before != NULL ? before : after;
	uint8_t *octets =
		icp_slab_take(&difference->slab, (size_t)row->domain_length + row->provider_length);
	if (octets == NULL || reserve(difference) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	memcpy(octets, row->domain, row->domain_length);
	memcpy(octets + row->domain_length, row->provider, row->provider_length);
	difference->flips[difference->flip_count++] = (icp_flip_t){
		.domain = octets,
		.domain_length = row->domain_length,
		.provider = (const char *)octets + row->domain_length,
		.provider_length = row->provider_length,
		.from = icp_guard_status(before),
		.to = icp_guard_status(after),
		.gained = gained,
	};
	return ICP_EOK;
}

static int visit(const icp_row_t *before, const icp_row_t *after, void *context)
{
	icp_difference_t *difference = context;
	icp_guard_t *guard = &difference->guard;
	uint64_t lost = guard->lost;
	uint64_t gained = guard->gained;
	if (before == NULL) {
		difference->added++;
	} else if (after == NULL) {
		difference->removed++;
	} else {
		difference->changed++;
	}
	int code = icp_guard_add(before, after, guard);
	if (code == ICP_EOK && difference->listed &&
		(guard->lost > lost || guard->gained > gained)) {
		code = list_pair(difference, before, after, guard->gained > gained);
	}
	return code;
}

/*! As a dump is sorted: by the names, then by the providers. */
static int compare_flips(const void *left, const void *right)
{
	const icp_flip_t *a = left;
	const icp_flip_t *b = right;
	int order = icp_name_compare(a->domain, a->domain_length, b->domain, b->domain_length);
	if (order != 0) {
		return order;
	}
	size_t shorter =
		a->provider_length < b->provider_length ? a->provider_length : b->provider_length;
	order = memcmp(a->provider, b->provider, shorter);
	return order != 0 ? order : a->provider_length - b->provider_length;
}

static int compare(icp_difference_t *difference, icp_diag_t *diag)
{
	icp_nodes_t a = icp_state_nodes(&difference->a);
	icp_nodes_t b = icp_state_nodes(&difference->b);
	if (difference->replay != NULL) {
		b = icp_replay_over(difference->replay, b);
	}
	if (difference->rehearsal != NULL) {
		a = icp_rehearsal_watch(difference->rehearsal, ICP_SIDE_A, a);
		b = icp_rehearsal_watch(difference->rehearsal, ICP_SIDE_B, b);
	}
	int code = icp_compare(icp_guard_watch(&difference->guard, a), b, visit, difference);
	if (code != ICP_EOK) {
		return icp_fail(diag, code, "%s and %s: %s", difference->a.text, difference->b.text,
			icp_strerror(code));
	}
	if (difference->flip_count > 0) {
		qsort(difference->flips, difference->flip_count, sizeof *difference->flips,
			compare_flips);
	}
	return ICP_EOK;
}

/*! Without a configuration a name is judged as if it pointed at any provider. */
static icp_judge_t make_judge(const icp_config_t *config, int64_t now)
{
	icp_judge_t judge = {.policy = config->policy, .now = now};
	if (config->path == NULL) {
		judge.policy.scope = ICP_SCOPE_MAINLAND;
		judge.policy.licence_addresses = ICP_LICENCE_REPORT;
	}
	judge.place = icp_policy_place(&judge.policy);
	return judge;
}

static void difference_deinit(icp_difference_t *difference)
{
	icp_replay_destroy(difference->replay);
	icp_state_close(&difference->b);
	icp_state_close(&difference->a);
	icp_guard_deinit(&difference->guard);
	icp_rehearsal_destroy(difference->rehearsal);
	icp_slab_deinit(&difference->slab);
	free(difference->flips);
}

/*! A full load would apply what the store has beyond the feed, and its guard counts that. */
static int read_deltas(icp_difference_t *difference, icp_diag_t *diag)
{
	const icp_state_t *a = &difference->a;
	const icp_state_t *b = &difference->b;
	if (a->is_feed || !b->is_feed || !b->has_sequence || b->info.sequence < a->info.base ||
		b->info.sequence >= a->info.sequence) {
		return ICP_EOK;
	}
	difference->replayed = a->info.sequence - b->info.sequence;
	return icp_replay_create(
		&difference->replay, &difference->a.reader, b->info.sequence, diag);
}

/*! Reads all, names first: what is wrong with them is told before the feeds are read. */
static int read_all(icp_difference_t *difference, const icp_tool_t *tool, char **arguments,
	const char *store, size_t *invalid, icp_diag_t *diag)
{
	int code = ICP_EOK;
	if (tool->names != NULL) {
		code = icp_rehearsal_read(&difference->rehearsal, tool->names, invalid, diag);
	}
	if (code == ICP_EOK) {
		code = icp_state_open(&difference->a, arguments[0], store, NULL, diag);
	}
	if (code == ICP_EOK) {
		code = icp_state_open(&difference->b, arguments[1], store, &difference->a, diag);
	}
	if (code == ICP_EOK) {
		code = read_deltas(difference, diag);
	}
	return code;
}

/*! Two feeds need no store: a configuration is then only read if it is named. */
static int read_config(const icp_tool_t *tool, char **arguments, icp_config_t *config,
	const char **store, icp_diag_t *diag)
{
	if (tool->config == NULL && icp_state_is_feed(arguments[0]) &&
		icp_state_is_feed(arguments[1])) {
		return ICP_EOK;
	}
	return icp_tool_store(tool, config, store, diag);
}

int icp_tool_diff(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	icp_config_t config = {.path = NULL};
	icp_diag_t diag = {""};
	const char *store = NULL;
	size_t invalid = 0;
	int code = read_config(tool, arguments, &config, &store, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	icp_difference_t difference = {.at = icp_tool_now(tool), .listed = tool->list};
	icp_guard_init(&difference.guard, config.policy.rectify_overdue, difference.at);
	difference.judge = make_judge(&config, difference.at);
	code = read_all(&difference, tool, arguments, store, &invalid, &diag);
	if (code == ICP_EOK) {
		code = compare(&difference, &diag);
	}
	if (code == ICP_EOK) {
		code = tool->json ? icp_difference_print_json(&difference)
				  : icp_difference_print(&difference);
	}
	difference_deinit(&difference);
	icp_config_deinit(&config);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	return invalid > 0 ? ICP_EXIT_USAGE : ICP_EXIT_DONE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate upcoming: permissions that will lapse by time alone. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "db-tools/tools.h"

#define DEFAULT_DAYS 30
#define DAY_SECONDS 86400

/*! A row and when its permission lapses: the first second without it. */
typedef struct {
	int64_t time;
	icp_row_t row; /*!< Leads into the snapshot. */
} lapse_t;

typedef struct {
	icp_reader_t *reader;
	enum icp_verdict rectify_overdue;
	int64_t now;
	int64_t last; /*!< Second that is looked at. */
	lapse_t *items;
	size_t count;
	size_t capacity;
} lapses_t;

/*! When a row that permits, now or before that time, ceases to; ICP_TIME_NONE: never. */
static int64_t lapse_of(const lapses_t *lapses, const icp_row_t *row)
{
	if (row->status == ICP_TRANSFER_PREAPPROVED && row->approved_at < row->expires_at) {
		return row->expires_at;
	}
	if (row->status == ICP_RECTIFYING && lapses->rectify_overdue == ICP_BLOCK) {
		return row->rectify_by;
	}
	return ICP_TIME_NONE;
}

static int add(lapses_t *lapses, int64_t time, const icp_row_t *row)
{
	if (lapses->count == lapses->capacity) {
		size_t capacity = lapses->capacity == 0 ? 256 : 2 * lapses->capacity;
		lapse_t *items = realloc(lapses->items, capacity * sizeof *items);
		if (items == NULL) {
			return ICP_ENOMEM;
		}
		lapses->items = items;
		lapses->capacity = capacity;
	}
	lapses->items[lapses->count++] = (lapse_t){time, *row};
	return ICP_EOK;
}

static int collect(const icp_node_t *node, lapses_t *lapses)
{
	icp_rows_t *rows = &lapses->reader->rows;
	if (node->row_count == 0) {
		return ICP_EOK;
	}
	rows->count = 0;
	int code = icp_reader_rows(lapses->reader, node);
	for (size_t i = 0; i < rows->count && code == ICP_EOK; i++) {
		int64_t time = lapse_of(lapses, &rows->items[i]);
		if (time > lapses->now && time <= lapses->last) {
			code = add(lapses, time, &rows->items[i]);
		}
	}
	return code;
}

static int compare_lapses(const void *left, const void *right)
{
	const lapse_t *a = left;
	const lapse_t *b = right;
	if (a->time != b->time) {
		return a->time < b->time ? -1 : 1;
	}
	int order = icp_name_compare(
		a->row.domain, a->row.domain_length, b->row.domain, b->row.domain_length);
	return order != 0 ? order : icp_provider_compare(&a->row, &b->row);
}

static void print_text(const lapses_t *lapses)
{
	for (size_t i = 0; i < lapses->count && !ferror(stdout); i++) {
		const icp_row_t *row = &lapses->items[i].row;
		char time[ICP_TIME_TEXT_MAX];
		char domain[ICP_NAME_TEXT_MAX];
		icp_time_format(lapses->items[i].time, time);
		icp_stored_format(row->domain, row->domain_length, domain);
		printf("%s  %s  %.*s  %s\n", time, domain, (int)row->provider_length, row->provider,
			icp_status_name(row->status));
	}
}

static int print_json(const lapses_t *lapses, const icp_store_info_t *info, int days)
{
	json_t *list = json_array();
	for (size_t i = 0; i < lapses->count; i++) {
		const icp_row_t *row = &lapses->items[i].row;
		char domain[ICP_NAME_TEXT_MAX];
		icp_stored_format(row->domain, row->domain_length, domain);
		if (json_array_append_new(list,
			    json_pack("{s:o, s:s, s:o, s:s, s:o}", "time",
				    icp_json_time(lapses->items[i].time), "domain", domain,
				    "provider", icp_json_text(row->provider, row->provider_length),
				    "status", icp_status_name(row->status), "number",
				    icp_json_text(row->number, row->number_length))) != 0) {
			json_decref(list);
			return ICP_ENOMEM;
		}
	}
	/* A failure is told by icp_json_print or icp_tool_finish. */
	icp_json_print(json_pack("{s:I, s:I, s:o, s:i, s:o}", "generation",
		(json_int_t)info->generation, "sequence", (json_int_t)info->sequence, "at",
		icp_json_time(lapses->now), "days", days, "upcoming", list));
	return ICP_EOK;
}

static int list_lapses(lapses_t *lapses, bool json, int days)
{
	icp_walk_t walk;
	icp_node_t node;
	int code;
	icp_walk_begin(&walk, lapses->reader);
	while ((code = icp_walk_next(&walk, &node)) == 1) {
		code = collect(&node, lapses);
		if (code != ICP_EOK) {
			break;
		}
	}
	if (code != ICP_EOK) {
		return code;
	}
	if (lapses->count > 0) {
		qsort(lapses->items, lapses->count, sizeof *lapses->items, compare_lapses);
	}
	if (json) {
		return print_json(lapses, &lapses->reader->info, days);
	}
	print_text(lapses);
	return ICP_EOK;
}

int icp_tool_upcoming(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_config_t config;
	icp_reader_t reader;
	const char *store;
	icp_diag_t diag = {""};
	int days = tool->days != 0 ? tool->days : DEFAULT_DAYS;
	int code = icp_tool_store(tool, &config, &store, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	code = icp_tool_open_store(store, &reader, &diag);
	if (code == ICP_EOK) {
		lapses_t lapses = {
			.reader = &reader,
			.rectify_overdue = config.policy.rectify_overdue,
			.now = icp_tool_now(tool),
		};
		lapses.last = lapses.now + (int64_t)days * DAY_SECONDS;
		code = list_lapses(&lapses, tool->json, days);
		icp_tool_close(&reader);
		free(lapses.items);
	}
	icp_config_deinit(&config);
	return code == ICP_EOK ? ICP_EXIT_DONE : icp_tool_failed(code, &diag);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/feed.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"

struct icp_feed {
	enum icp_feed_kind kind;
	icp_records_t *records;
	icp_rules_t *rules;
	icp_bad_t *bad;
	uint64_t count;
	size_t columns;                          /*!< Of the header row. */
	enum icp_column order[ICP_COLUMN_COUNT]; /*!< What stands at each position. */
	icp_record_t record;
};

static int header_failed(const icp_feed_t *feed, const char *path, const char *what,
	icp_field_t value, icp_diag_t *diag)
{
	char shown[ICP_SHOWN_TEXT_MAX];
	icp_text_show(shown, value.text, value.length);
	return icp_fail(
		diag, ICP_EFEED, "%s:%" PRIu64 ": %s: %s", path, feed->record.line, what, shown);
}

/*! A full feed with ops would be a delta by mistake. */
static bool is_column_of(enum icp_feed_kind kind, enum icp_column column)
{
	return kind == ICP_FEED_DELTA || column != ICP_COLUMN_OP;
}

static bool find_column(enum icp_feed_kind kind, icp_field_t name, enum icp_column *column)
{
	for (unsigned i = 0; i < ICP_COLUMN_COUNT; i++) {
		const char *known = icp_column_name((enum icp_column)i);
		if (is_column_of(kind, (enum icp_column)i) && strlen(known) == name.length &&
			memcmp(known, name.text, name.length) == 0) {
			*column = (enum icp_column)i;
			return true;
		}
	}
	return false;
}

static int read_header(icp_feed_t *feed, const char *path, icp_diag_t *diag)
{
	const icp_record_t *record = &feed->record;
	bool given[ICP_COLUMN_COUNT] = {false};
	int ret = icp_records_next(feed->records, &feed->record, diag);
	if (ret < 0) {
		return ret;
	}
	if (ret == 0) {
		return icp_fail(diag, ICP_EFEED, "%s: no header row, the feed is empty", path);
	}
	if (record->fault != NULL) {
		return header_failed(feed, path, record->fault, record->fields[0], diag);
	}
	/* More columns than are known can't be without one that ends the loop. */
	for (size_t i = 0; i < record->count; i++) {
		enum icp_column column;
		if (!find_column(feed->kind, record->fields[i], &column)) {
			return header_failed(
				feed, path, "column is not known", record->fields[i], diag);
		}
		if (given[column]) {
			return header_failed(
				feed, path, "column is given twice", record->fields[i], diag);
		}
		given[column] = true;
		feed->order[i] = column;
	}
	feed->columns = record->count;
	for (unsigned i = ICP_COLUMN_DOMAIN; i <= ICP_COLUMN_OP; i++) {
		const char *name = icp_column_name((enum icp_column)i);
		if (!given[i] && is_column_of(feed->kind, (enum icp_column)i)) {
			return header_failed(feed, path, "required column is missing",
				(icp_field_t){name, strlen(name)}, diag);
		}
	}
	return ICP_EOK;
}

int icp_feed_open(icp_feed_t **feed, icp_stream_t *stream, enum icp_feed_kind kind, icp_bad_t *bad,
	icp_diag_t *diag)
{
	const char *path = icp_stream_path(stream);
	icp_feed_t *opened = calloc(1, sizeof *opened);
	if (opened == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	opened->kind = kind;
	opened->bad = bad;
	opened->records = icp_records_create(stream);
	opened->rules = icp_rules_create();
	int ret = opened->records != NULL && opened->rules != NULL
			  ? read_header(opened, path, diag)
			  : icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	if (ret != ICP_EOK) {
		icp_feed_close(opened);
		return ret;
	}
	*feed = opened;
	return ICP_EOK;
}

void icp_feed_close(icp_feed_t *feed)
{
	if (feed != NULL) {
		icp_rules_destroy(feed->rules);
		icp_records_destroy(feed->records);
		free(feed);
	}
}

static void note(icp_feed_t *feed, const icp_fault_t *fault)
{
	icp_bad_add(feed->bad, feed->record.line, fault->what, fault->value, fault->length);
}

static void note_record(icp_feed_t *feed)
{
	const icp_record_t *record = &feed->record;
	icp_fault_t fault = {.value = record->fields[0].text, .length = record->fields[0].length};
	if (record->fault != NULL) {
		snprintf(fault.what, sizeof fault.what, "%s", record->fault);
	} else {
		snprintf(fault.what, sizeof fault.what, "row has %zu field%s, the header has %zu",
			record->count, record->count == 1 ? "" : "s", feed->columns);
	}
	note(feed, &fault);
}

/*! Gives the fields of the next record that has as many as the header; others are noted. */
static int next_fields(
	icp_feed_t *feed, icp_field_t fields[ICP_COLUMN_COUNT], uint64_t *line, icp_diag_t *diag)
{
	const icp_record_t *record = &feed->record;
	int ret;
	while ((ret = icp_records_next(feed->records, &feed->record, diag)) == 1) {
		feed->count++;
		if (record->fault == NULL && record->count == feed->columns) {
			memset(fields, 0, ICP_COLUMN_COUNT * sizeof *fields);
			for (size_t i = 0; i < record->count; i++) {
				fields[feed->order[i]] = record->fields[i];
			}
			*line = record->line;
			return 1;
		}
		note_record(feed);
	}
	return ret;
}

/*! What a check found: 1 for a good row; 0 for a bad one, which is noted; or an error. */
static int settle(icp_feed_t *feed, int ret, const icp_fault_t *fault, icp_diag_t *diag)
{
	if (ret == ICP_EOK) {
		return 1;
	}
	if (ret != ICP_EINVAL) {
		return icp_fail(diag, ret, "out of memory");
	}
	note(feed, fault);
	return 0;
}

int icp_feed_next(
	icp_feed_t *feed, icp_name_t *name, icp_row_t *row, uint64_t *line, icp_diag_t *diag)
{
	icp_field_t fields[ICP_COLUMN_COUNT];
	icp_fault_t fault;
	int ret;
	assert(feed->kind == ICP_FEED_FULL);
	while ((ret = next_fields(feed, fields, line, diag)) == 1) {
		ret = icp_rules_check(feed->rules, fields, name, row, &fault);
		ret = settle(feed, ret, &fault, diag);
		if (ret != 0) {
			break;
		}
	}
	return ret;
}

int icp_feed_next_change(icp_feed_t *feed, icp_change_t *change, uint64_t *line, icp_diag_t *diag)
{
	icp_field_t fields[ICP_COLUMN_COUNT];
	icp_fault_t fault;
	int ret;
	assert(feed->kind == ICP_FEED_DELTA);
	while ((ret = next_fields(feed, fields, line, diag)) == 1) {
		change->line = *line;
		ret = icp_rules_check_change(feed->rules, fields, change, &fault);
		ret = settle(feed, ret, &fault, diag);
		if (ret != 0) {
			break;
		}
	}
	return ret;
}

uint64_t icp_feed_count(const icp_feed_t *feed)
{
	return feed->count;
}

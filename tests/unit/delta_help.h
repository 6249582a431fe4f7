/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of deltas share: changes and stores out of short text, and what a store holds.
 *
 *   rows     "DOMAIN PROVIDER STATUS [NUMBER]", one a line; statuses that need no time
 *   changes  "+ ROW" upsert, "- DOMAIN PROVIDER" delete, "! NUMBER" deregister-entity
 */
#pragma once

#include "loader_help.h"
#include "rows_help.h"

#include <sys/wait.h>

#include "loader/delta.h"
#include "loader/rollback.h"
#include "loader/update.h"

#define E "京ICP备11018762号"
#define OTHER_ENTITY "京ICP备1101876号"
#define ROWS_TEXT_MAX ((size_t)4 * 1024 * 1024)

static inline icp_changes_t *sample_changes(const char *text)
{
	icp_changes_t *changes = icp_changes_create();
	assert_non_null(changes);
	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
		char line[512];
		sample_row_t sample;
		icp_change_t change = {.op = ICP_OP_UPSERT};
		if (*at == '!') {
			change.op = ICP_OP_DEREGISTER_ENTITY;
			change.row.number = at + 2;
			change.row.number_length = (uint8_t)(strcspn(at, "\n") - 2);
		} else {
			/* A delete has no status; its row's is not looked at. */
			snprintf(line, sizeof line, "%.*s%s", (int)strcspn(at, "\n") - 2, at + 2,
				*at == '-' ? " filed" : "");
			sample_row(&sample, line);
			change.op = *at == '-' ? ICP_OP_DELETE : ICP_OP_UPSERT;
			change.name = sample.name;
			change.row = sample.row;
		}
		assert_int_equal(icp_changes_add(changes, &change), ICP_EOK);
	}
	return changes;
}

/*! Builds a generation of these rows, whatever is lost by it. */
static inline void load_rows(site_t *site, const char *rows)
{
	icp_progress_t progress;
	icp_progress_init(&progress, NULL, still_clock);
	FILE *file = fopen(site->feed, "wb");
	assert_non_null(file);
	fputs(HEADER, file);
	for (const char *at = rows; *at != '\0'; at += strcspn(at, "\n") + 1) {
		char field[4][256] = {"", "", "", ""};
		assert_true(sscanf(at, "%255s %255s %255s %255[^ \n]", field[0], field[1], field[2],
				    field[3]) >= 3);
		fprintf(file, "%s,%s,%s,%s,,,,\n", field[0], field[1], field[2], field[3]);
	}
	assert_int_equal(fclose(file), 0);
	const icp_full_job_t job = {
		.feed = site->feed,
		.manifest_optional = true,
		.force = true,
		.max_lost = ICP_MAX_LOST_DEFAULT,
		.options = site_options(site),
		.progress = &progress,
	};
	site->bad = (icp_bad_t){.total = 0};
	site->diag.text[0] = '\0';
	assert_int_equal(icp_full_load(&job, &site->result, &site->bad, &site->diag), ICP_EOK);
}

/*! Applies one delta, the next one, to the current generation. */
static inline int apply_changes(site_t *site, icp_changes_t *changes, icp_delta_result_t *result)
{
	icp_delta_t delta;
	const icp_session_options_t options = site_options(site);
	site->diag.text[0] = '\0';
	assert_int_equal(icp_delta_open(&delta, &options, &site->diag), ICP_EOK);
	const icp_update_delta_t what = {
		.sequence = delta.session.current.sequence + 1,
		.as_of = NOW,
		.source = "d.csv",
	};
	int ret = icp_delta_apply(&delta, changes, &what, result, &site->diag);
	icp_delta_close(&delta);
	return ret;
}

static inline icp_delta_result_t apply_text(site_t *site, const char *text)
{
	icp_delta_result_t result;
	icp_changes_t *changes = sample_changes(text);
	int ret = apply_changes(site, changes, &result);
	assert_string_equal(site->diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	icp_changes_destroy(changes);
	return result;
}

#define GENERATION_1 ICP_STORE_GENERATIONS "/0000000001.mdb"
#define FILLERS 400 /*!< Domains beside those asked for, so that a commit touches other pages. */

static inline void wait_for(pid_t child)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/*! Loads filed.example, turn.example and the fillers in a process of its own: this one will have
 * the generation open. */
static inline void load_fillers(site_t *site)
{
	static char feed[64 * FILLERS];
	size_t used = (size_t)snprintf(feed, sizeof feed,
		"filed.example qcloud filed " E "\n"
		"turn.example qcloud filed " E "\n");
	for (unsigned i = 0; i < FILLERS; i++) {
		used += (size_t)snprintf(feed + used, sizeof feed - used,
			"filler%u.example qcloud filed " E "\n", i);
	}
	pid_t loader = fork();
	if (loader == 0) {
		load_rows(site, feed);
		_exit(0);
	}
	wait_for(loader);
}

/*! Commits to the first generation, in a process of its own, which has it open to write to it. The
 * first commit takes turn.example away, the next one brings it back, and so on. */
static inline pid_t begin_commits(site_t *site, unsigned count)
{
	pid_t child = fork();
	if (child != 0) {
		return child;
	}
	icp_update_t *update;
	char path[512];
	snprintf(path, sizeof path, "%s/" GENERATION_1, site->store);
	if (icp_update_open(&update, path, false, NULL) != ICP_EOK) {
		_exit(1);
	}
	for (unsigned i = 0; i < count; i++) {
		char text[256];
		const icp_update_delta_t delta = {.sequence = i + 1, .source = "x"};
		snprintf(text, sizeof text, "%s\n+ filler%u.example qcloud %s\n",
			i % 2 == 0 ? "- turn.example qcloud" : "+ turn.example qcloud filed " E,
			i % FILLERS, i % 3 == 0 ? "pending" : "filed " E);
		icp_changes_t *changes = sample_changes(text);
		if (icp_update_apply(update, changes, &delta, NULL, NULL, NULL) != ICP_EOK ||
			icp_update_commit(update, NULL) != ICP_EOK) {
			_exit(1);
		}
		icp_changes_destroy(changes);
	}
	icp_update_close(update);
	_exit(0);
}

static inline int compare_lines(const void *one, const void *other)
{
	return strcmp(*(char *const *)one, *(char *const *)other);
}

/*! What is read of a store. */
typedef struct {
	char **lines;
	size_t count;
	size_t capacity;
} lines_t;

static inline void add_line(lines_t *lines, const icp_node_t *node, const icp_row_t *row)
{
	icp_name_t name;
	char domain[ICP_NAME_TEXT_MAX];
	if (lines->count == lines->capacity) {
		lines->capacity = 2 * lines->capacity + 64;
		lines->lines = realloc(lines->lines, lines->capacity * sizeof *lines->lines);
		assert_non_null(lines->lines);
	}
	assert_int_equal(icp_name_from_stored(&name, node->name, node->name_length), ICP_EOK);
	icp_name_format(&name, domain);
	assert_true(asprintf(&lines->lines[lines->count++], "%s %.*s %s%s%.*s\n", domain,
			    (int)row->provider_length, row->provider, icp_status_name(row->status),
			    row->number_length > 0 ? " " : "", (int)row->number_length,
			    row->number) > 0);
}

/*! The rows of a snapshot, sorted as text. Lives until the next call. */
static inline const char *text_of_rows(icp_reader_t *reader)
{
	static char text[ROWS_TEXT_MAX];
	lines_t lines = {.lines = NULL};
	icp_walk_t walk;
	icp_node_t node;
	int ret;
	icp_walk_begin(&walk, reader);
	while ((ret = icp_walk_next(&walk, &node)) == 1) {
		size_t at = 0;
		for (size_t i = 0; i < node.row_count; i++) {
			icp_row_t row;
			size_t length = icp_row_decode(&row, node.rows + at, node.rows_length - at);
			assert_true(length > 0);
			at += length;
			add_line(&lines, &node, &row);
		}
	}
	assert_int_equal(ret, 0);
	size_t length = 0;
	if (lines.count > 0) {
		qsort(lines.lines, lines.count, sizeof *lines.lines, compare_lines);
	}
	text[0] = '\0';
	for (size_t i = 0; i < lines.count; i++) {
		size_t more = strlen(lines.lines[i]);
		assert_true(length + more < sizeof text);
		memcpy(text + length, lines.lines[i], more + 1);
		length += more;
		free(lines.lines[i]);
	}
	free(lines.lines);
	return text;
}

/*! The current generation must be whole, and hold these rows, sorted as text. */
static inline icp_store_info_t assert_holds(const site_t *site, const char *rows)
{
	icp_diag_t diag = {""};
	icp_reader_t reader = open_current(site);
	int ret = icp_reader_verify(&reader, &diag);
	assert_string_equal(diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	if (rows != NULL) {
		assert_string_equal(text_of_rows(&reader), rows);
	}
	icp_store_info_t info = reader.info;
	close_current(&reader);
	return info;
}

/*! The path of a generation's file; lives until the next call. */
static inline const char *generation_path(const site_t *site, unsigned number)
{
	static char path[512];
	snprintf(path, sizeof path, "%s/generations/%010u.mdb", site->store, number);
	return path;
}

static inline bool has_generation(const site_t *site, unsigned number)
{
	return access(generation_path(site, number), F_OK) == 0;
}

/*! Turns over an octet of a generation where a word stands first. */
static inline void damage(const site_t *site, unsigned number, const char *word)
{
	static char octets[ROWS_TEXT_MAX];
	FILE *file = fopen(generation_path(site, number), "r+b");
	assert_non_null(file);
	size_t length = fread(octets, 1, sizeof octets, file);
	const char *at = memmem(octets, length, word, strlen(word));
	assert_non_null(at);
	assert_int_equal(fseek(file, at - octets, SEEK_SET), 0);
	assert_int_equal(fputc(*at ^ 1, file), *at ^ 1);
	assert_int_equal(fclose(file), 0);
}

static inline int roll_back(site_t *site, icp_rollback_result_t *result)
{
	const icp_session_options_t options = site_options(site);
	site->diag.text[0] = '\0';
	return icp_rollback(&options, result, &site->diag);
}

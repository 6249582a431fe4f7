/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the statistics share: a directory that stands for a store, and short ways to
 * count and to read.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/stats.h"
#include "core/time.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define IN_PLACE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define NOW 1795449600

/*! A directory of the test's own, and what was said last. */
typedef struct {
	char dir[DIR_MAX];
	char file[256]; /*!< "DIR/stats" */
	icp_diag_t diag;
} place_t;

static inline int set_up(void **state)
{
	place_t *place = calloc(1, sizeof *place);
	assert_non_null(place);
	make_dir(place->dir, "stats");
	snprintf(place->file, sizeof place->file, "%s/" ICP_STATS_FILE, place->dir);
	*state = place;
	return 0;
}

static inline int tear_down(void **state)
{
	place_t *place = *state;
	int rc = remove_dir(place->dir);
	free(place);
	return rc;
}

/*! Begins to count; the diagnostic is left in the place. */
static inline icp_stats_t *open_stats(place_t *place, unsigned seats)
{
	icp_stats_t *stats = NULL;
	assert_int_equal(
		icp_stats_open(&stats, place->dir, ICP_MODE_ENFORCE, seats, NOW, &place->diag),
		ICP_EOK);
	assert_non_null(stats);
	return stats;
}

/*! Begins to count in the file. */
static inline icp_stats_t *open_file_stats(place_t *place, unsigned seats)
{
	icp_stats_t *stats = open_stats(place, seats);
	assert_string_equal(place->diag.text, "");
	return stats;
}

static inline icp_name_t name_of(const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return name;
}

static inline void judge(icp_stats_t *stats, unsigned seat, enum icp_verdict verdict,
	enum icp_reason reason, uint64_t generation)
{
	const icp_judgement_t judgement = {.verdict = verdict, .reason = reason};
	icp_stats_judged(stats, seat, &judgement, generation, NOW + (int64_t)generation);
}

/*! Counts a blocked query as the resolver's module does. */
static inline void block(icp_stats_t *stats, unsigned seat, const char *text, uint64_t generation)
{
	icp_name_t name = name_of(text);
	judge(stats, seat, ICP_BLOCK, ICP_REASON_UNFILED, generation);
	icp_stats_count(stats, seat, ICP_STAT_BLOCKED, 1);
	icp_stats_blocked(stats, seat, &name);
}

static inline icp_stats_snapshot_t read_stats(place_t *place)
{
	icp_stats_snapshot_t snapshot;
	place->diag.text[0] = '\0';
	int ret = icp_stats_read(&snapshot, place->dir, &place->diag);
	assert_string_equal(place->diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	return snapshot;
}

/*! The file can't be read: this code, and this after the file's name. */
static inline void expect_unreadable(place_t *place, int code, const char *rest)
{
	icp_stats_snapshot_t snapshot;
	char expected[1024];
	snprintf(expected, sizeof expected, "%s: %s", place->file, rest);
	int ret = icp_stats_read(&snapshot, place->dir, &place->diag);
	assert_string_equal(place->diag.text, expected);
	assert_int_equal(ret, code);
	assert_null(snapshot.top.items);
}

static inline const icp_top_entry_t *find_name(
	const icp_stats_snapshot_t *snapshot, const icp_name_t *name)
{
	for (size_t i = 0; i < snapshot->top.count; i++) {
		const icp_name_t *domain = &snapshot->top.items[i].domain;
		if (domain->length == name->length &&
			memcmp(domain->wire, name->wire, name->length) == 0) {
			return &snapshot->top.items[i];
		}
	}
	return NULL;
}

static inline void assert_domain(
	const icp_stats_snapshot_t *snapshot, const char *text, uint64_t count)
{
	icp_name_t name = name_of(text);
	const icp_top_entry_t *entry = find_name(snapshot, &name);
	assert_non_null(entry);
	assert_int_equal(entry->count, count);
	assert_int_equal(entry->error, 0);
}

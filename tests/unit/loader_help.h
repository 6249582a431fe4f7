/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the loader share: a directory with feeds and a store in it, and a load of one.
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

#include <archive.h>
#include <archive_entry.h>
#include <unistd.h>

#include "loader/full.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define IN_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

#define NOW 1795449600
#define HEADER                                                                                     \
	"domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses\n"
#define NUMBER "京ICP备11018762号-1"
#define ROW(domain) domain ",qcloud,filed," NUMBER ",,,,\n"

/*! A directory of the test's own, and what the last load gave. */
typedef struct {
	char dir[DIR_MAX];
	char feed[256];  /*!< "DIR/f.csv" */
	char store[256]; /*!< "DIR/store", which is not there at first. */
	icp_full_result_t result;
	icp_bad_t bad;
	icp_diag_t diag;
} site_t;

static char last_notice[1200];

static inline void keep_notice(const char *line)
{
	snprintf(last_notice, sizeof last_notice, "%s", line);
}

static inline int64_t still_clock(void)
{
	return 0;
}

static inline int set_up(void **state)
{
	site_t *site = calloc(1, sizeof *site);
	assert_non_null(site);
	make_dir(site->dir, "loader");
	snprintf(site->feed, sizeof site->feed, "%s/f.csv", site->dir);
	snprintf(site->store, sizeof site->store, "%s/store", site->dir);
	last_notice[0] = '\0';
	*state = site;
	return 0;
}

static inline int tear_down(void **state)
{
	site_t *site = *state;
	int rc = remove_dir(site->dir);
	free(site);
	return rc;
}

static inline void write_text(const char *path, const char *text)
{
	write_octets(path, text, strlen(text));
}

/*! A path in the site's directory; lives until the next call but one. */
static inline const char *in_dir(const site_t *site, const char *name)
{
	static char paths[2][512];
	static unsigned turn;
	turn = !turn;
	snprintf(paths[turn], sizeof paths[turn], "%s/%s", site->dir, name);
	return paths[turn];
}

static inline icp_session_options_t site_options(const site_t *site)
{
	return (icp_session_options_t){
		.store = site->store,
		.creates = true,
		.now = NOW,
		.keep = ICP_KEEP_DEFAULT,
		.notice = keep_notice,
	};
}

/*! Loads a feed that need not have a manifest, if so said. */
static inline int load_file(site_t *site, const char *path, bool manifest_optional)
{
	icp_progress_t progress;
	icp_progress_init(&progress, NULL, still_clock);
	const icp_full_job_t job = {
		.feed = path,
		.manifest_optional = manifest_optional,
		.max_lost = ICP_MAX_LOST_DEFAULT,
		.options = site_options(site),
		.progress = &progress,
	};
	site->bad = (icp_bad_t){.total = 0};
	site->diag.text[0] = '\0';
	return icp_full_load(&job, &site->result, &site->bad, &site->diag);
}

/*! Writes a feed of this text and loads it, without a manifest. */
static inline int load_text(site_t *site, const char *text)
{
	write_text(site->feed, text);
	return load_file(site, site->feed, true);
}

/*! The diagnostic must be the file's name and then this. */
static inline void assert_says(const site_t *site, const char *name, const char *rest)
{
	char expected[1024];
	snprintf(expected, sizeof expected, "%s/%s%s", site->dir, name, rest);
	assert_string_equal(site->diag.text, expected);
}

/*! Opens the current generation and takes a snapshot. */
static inline icp_reader_t open_current(const site_t *site)
{
	icp_reader_t reader;
	icp_store_t *store;
	icp_diag_t diag = {""};
	int ret = icp_store_open(&store, site->store, &diag);
	assert_string_equal(diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	assert_int_equal(icp_reader_init(&reader, store, NULL), ICP_EOK);
	icp_store_unref(store);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	return reader;
}

static inline void close_current(icp_reader_t *reader)
{
	icp_reader_end(reader);
	icp_reader_deinit(reader);
}

/*! Collects the rows of a name and its parents. */
static inline const icp_rows_t *find_rows(icp_reader_t *reader, const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	assert_int_equal(icp_reader_find(reader, &name), ICP_EOK);
	return &reader->rows;
}

/*! Compresses text by libarchive. Returns the length. */
static inline size_t compress_text(int filter, const char *text, uint8_t *out, size_t room)
{
	size_t used = 0;
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	assert_int_equal(archive_write_add_filter(archive, filter), ARCHIVE_OK);
	assert_int_equal(archive_write_set_format_raw(archive), ARCHIVE_OK);
	assert_int_equal(archive_write_set_bytes_in_last_block(archive, 1), ARCHIVE_OK);
	assert_int_equal(archive_write_open_memory(archive, out, room, &used), ARCHIVE_OK);
	archive_entry_set_filetype(entry, AE_IFREG);
	assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
	assert_int_equal(archive_write_data(archive, text, strlen(text)), strlen(text));
	assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
	archive_entry_free(entry);
	archive_write_free(archive);
	return used;
}

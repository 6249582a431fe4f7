/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the spool share: a spool of the test's own, and feeds in it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/spool_move.h"
#include "loader/spool_order.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define IN_SPOOL(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define NOW 1795449600 /* 2026-11-24T00:00:00+08:00 */
#define SHA "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define OTHER_SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define SETTLED (ICP_SPOOL_SETTLE_MS + 1)

typedef struct {
	char path[DIR_MAX];
	icp_spool_t spool;
	icp_diag_t diag;
} site_t;

static inline int set_up(void **state)
{
	site_t *site = calloc(1, sizeof *site);
	assert_non_null(site);
	make_dir(site->path, "spool");
	assert_int_equal(icp_spool_open(&site->spool, site->path, &site->diag), ICP_EOK);
	*state = site;
	return 0;
}

static inline int tear_down(void **state)
{
	site_t *site = *state;
	icp_spool_close(&site->spool);
	int rc = remove_dir(site->path);
	free(site);
	return rc;
}

static inline const char *path_of(const site_t *site, const char *name)
{
	static char paths[4][600];
	static unsigned turn;
	turn = (turn + 1) % COUNT(paths);
	snprintf(paths[turn], sizeof paths[turn], "%s/%s", site->path, name);
	return paths[turn];
}

static inline void write_file(const site_t *site, const char *name, const char *text)
{
	write_octets(path_of(site, name), text, strlen(text));
}

static inline void write_manifest_of(const site_t *site, const char *name, const char *kind,
	unsigned sequence, const char *sha256)
{
	char text[256];
	snprintf(text, sizeof text,
		"{\"kind\": \"%s\", \"sequence\": %u, \"as_of\": \"2026-11-23\", \"rows\": 0, "
		"\"sha256\": \"%s\"}",
		kind, sequence, sha256);
	write_file(site, name, text);
}

static inline void write_manifest(
	const site_t *site, const char *name, const char *kind, unsigned sequence)
{
	write_manifest_of(site, name, kind, sequence, SHA);
}

/*! A feed with its manifest. */
static inline void put(const site_t *site, const char *base, const char *kind, unsigned sequence)
{
	char name[300];
	snprintf(name, sizeof name, "%s.json", base);
	write_file(site, base, "abc");
	write_manifest(site, name, kind, sequence);
}

static inline bool is_there(const site_t *site, const char *name)
{
	struct stat st;
	return lstat(path_of(site, name), &st) == 0;
}

static inline void assert_text(const site_t *site, const char *name, const char *want)
{
	char text[1000] = "";
	FILE *file = fopen(path_of(site, name), "rb");
	assert_non_null(file);
	size_t length = fread(text, 1, sizeof text - 1, file);
	fclose(file);
	text[length] = '\0';
	assert_string_equal(text, want);
}

static inline void scan(site_t *site, int64_t now)
{
	int ret = icp_spool_scan(&site->spool, now, &site->diag);
	if (ret != ICP_EOK) {
		fail_msg("%s", site->diag.text);
	}
}

static inline icp_spool_feed_t *find(const site_t *site, const char *base)
{
	icp_spool_feed_t *feed = icp_spool_find(&site->spool, base);
	if (feed == NULL) {
		fail_msg("%s is not known", base);
	}
	return feed;
}

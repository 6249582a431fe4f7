/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the audit log share: batches, and files as they stood.
 */
#pragma once

#include "loader_help.h"
#include "rows_help.h"

#include <sys/stat.h>
#include <zstd.h>

#include "loader/audit.h"

#define T "2026-11-24T00:00:00+08:00" /*!< NOW */
#define DAY "store/audit/2026-11-24.csv.zst"
#define PENDING "store/audit/pending"
#define TEXT_MAX ((size_t)4 * 1024 * 1024)

/*! A file as it stood. */
typedef struct {
	uint8_t octets[4096];
	size_t length; /*!< SIZE_MAX: there was none. */
} file_t;

static inline icp_generations_t open_store(const site_t *site)
{
	icp_generations_t generations;
	assert_int_equal(
		icp_generations_open(&generations, site->store, false, keep_notice, NULL), ICP_EOK);
	return generations;
}

/*! Begins a batch with a line for each pair "DOMAIN PROVIDER STATUS" that is new. */
static inline icp_audit_t *begin_at(
	site_t *site, const icp_generations_t *generations, int64_t now, const char *text)
{
	const icp_audit_batch_t batch = {.rectify_overdue = ICP_PASS,
		.now = now,
		.generation = 7,
		.sequence = 42,
		.source = "f.csv"};
	icp_audit_t *audit;
	site->diag.text[0] = '\0';
	assert_int_equal(icp_audit_begin(&audit, generations, &batch, &site->diag), ICP_EOK);
	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
		sample_row_t sample;
		sample_row(&sample, at);
		assert_int_equal(icp_audit_add(NULL, &sample.row, audit), ICP_EOK);
	}
	return audit;
}

/*! A whole batch. */
static inline void log_at(
	site_t *site, const icp_generations_t *generations, int64_t now, const char *text)
{
	icp_audit_t *audit = begin_at(site, generations, now, text);
	assert_int_equal(icp_audit_prepare(audit, 3), ICP_EOK);
	assert_int_equal(icp_audit_commit(audit), ICP_EOK);
}

static inline bool is_there(const site_t *site, const char *name)
{
	return access(in_dir(site, name), F_OK) == 0;
}

static inline size_t read_all(const site_t *site, const char *name, uint8_t *octets, size_t room)
{
	FILE *file = fopen(in_dir(site, name), "rb");
	if (file == NULL) {
		return SIZE_MAX;
	}
	size_t length = fread(octets, 1, room, file);
	assert_true(length < room);
	fclose(file);
	return length;
}

static inline void keep(const site_t *site, const char *name, file_t *file)
{
	file->length = read_all(site, name, file->octets, sizeof file->octets);
}

static inline void assert_same(const site_t *site, const char *name, const file_t *file)
{
	file_t now;
	keep(site, name, &now);
	assert_int_equal(now.length, file->length);
	if (file->length != SIZE_MAX) {
		assert_memory_equal(now.octets, file->octets, now.length);
	}
}

/*! The text of a day's file, all of whose frames must be whole; lives until the next call. */
static inline const char *text_of(const site_t *site, const char *name)
{
	static uint8_t packed[TEXT_MAX];
	static char text[TEXT_MAX];
	size_t length = read_all(site, name, packed, sizeof packed);
	assert_true(length != SIZE_MAX);
	ZSTD_DCtx *zstd = ZSTD_createDCtx();
	ZSTD_inBuffer in = {packed, length, 0};
	ZSTD_outBuffer out = {text, sizeof text - 1, 0};
	size_t left = 0;
	while (in.pos < in.size) {
		left = ZSTD_decompressStream(zstd, &out, &in);
		assert_false(ZSTD_isError(left));
	}
	assert_int_equal(left, 0);
	ZSTD_freeDCtx(zstd);
	text[out.pos] = '\0';
	return text;
}

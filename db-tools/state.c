/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "loader/feed.h"
#include "loader/manifest.h"

static bool parse_number(const char *text, uint64_t *number)
{
	char *end;
	if (text[0] < '0' || text[0] > '9') {
		return false;
	}
	errno = 0;
	*number = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool icp_state_is_feed(const char *text)
{
	uint64_t number;
	return strcmp(text, ICP_STORE_CURRENT) != 0 && !parse_number(text, &number);
}

static int out_of_memory(const char *text, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", text);
}

/*! Reads all rows, bad ones too, so that all of these are told. */
static int read_rows(
	icp_state_t *state, icp_stream_t *stream, icp_bad_t *bad, uint64_t *count, icp_diag_t *diag)
{
	icp_feed_t *feed;
	icp_name_t name;
	icp_row_t row;
	uint64_t line;
	int ret = icp_feed_open(&feed, stream, ICP_FEED_FULL, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	while ((ret = icp_feed_next(feed, &name, &row, &line, diag)) == 1) {
		if (icp_index_add(state->index, &name, &row, line) != ICP_EOK) {
			ret = out_of_memory(state->text, diag);
			break;
		}
	}
	*count = icp_feed_count(feed);
	icp_feed_close(feed);
	return ret;
}

static int read_manifest(
	icp_state_t *state, icp_manifest_t *manifest, const char *path, icp_diag_t *diag)
{
	int ret = icp_manifest_read(manifest, path, false, &state->has_sequence, diag);
	if (!state->has_sequence) {
		return ICP_EOK;
	}
	if (ret == ICP_EOK && strcmp(manifest->kind, "full") != 0) {
		return icp_fail(
			diag, ICP_EFEED, "%s: kind: %s, not a full feed", path, manifest->kind);
	}
	return ret;
}

/*! Reads the feed into the index, and checks it against its manifest where there is one. */
static int read_feed(
	icp_state_t *state, icp_stream_t *stream, const char *manifest_path, icp_diag_t *diag)
{
	icp_manifest_t manifest;
	icp_index_counts_t counts;
	icp_bad_t bad = {.total = 0};
	uint64_t rows;
	state->index = icp_index_create();
	if (state->index == NULL) {
		return out_of_memory(state->text, diag);
	}
	int ret = read_manifest(state, &manifest, manifest_path, diag);
	if (ret == ICP_EOK) {
		ret = read_rows(state, stream, &bad, &rows, diag);
	}
	if (ret == ICP_EOK && icp_index_sort(state->index, &bad, &counts) != ICP_EOK) {
		ret = out_of_memory(state->text, diag);
	}
	if (ret == ICP_EOK && state->has_sequence) {
		uint8_t digest[ICP_SHA256_SIZE];
		icp_source_digest(icp_stream_source(stream), digest);
		ret = icp_manifest_check(&manifest, manifest_path, rows, digest, diag);
		state->info.sequence = manifest.sequence;
		state->info.as_of = manifest.as_of;
	}
	icp_bad_print(&bad, state->text, stderr);
	if (ret == ICP_EOK && bad.total > 0) {
		ret = icp_fail(diag, ICP_EFEED, "%s: not compared for its bad rows", state->text);
	}
	if (ret == ICP_EOK) {
		state->info.rows = counts.rows;
	}
	return ret;
}

static int open_feed(icp_state_t *state, icp_diag_t *diag)
{
	icp_stream_t *stream;
	int ret = icp_stream_open(&stream, state->text, false, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	char *manifest_path = icp_manifest_path(state->text);
	ret = manifest_path != NULL ? read_feed(state, stream, manifest_path, diag)
				    : out_of_memory(state->text, diag);
	free(manifest_path);
	icp_stream_close(stream);
	return ret;
}

static int open_generation(
	icp_store_t **store, const char *directory, uint64_t number, icp_diag_t *diag)
{
	char *path;
	if (asprintf(&path, "%s/" ICP_STORE_GENERATIONS "/%010" PRIu64 ".mdb", directory, number) <
		0) {
		return out_of_memory(directory, diag);
	}
	int ret = icp_store_open_file(store, path, diag);
	free(path);
	return ret;
}

/*! The number of the generation that "current" leads to. False: it is no such link. */
static bool current_number(const char *directory, uint64_t *number)
{
	static const char before[] = ICP_STORE_GENERATIONS "/";
	static const char after[] = ".mdb";
	char target[64];
	char *path;
	if (asprintf(&path, "%s/" ICP_STORE_CURRENT, directory) < 0) {
		return false;
	}
	ssize_t length = readlink(path, target, sizeof target - 1);
	free(path);
	if (length < (ssize_t)(sizeof before + sizeof after)) {
		return false;
	}
	size_t end = (size_t)length - (sizeof after - 1);
	if (strncmp(target, before, sizeof before - 1) != 0 ||
		memcmp(target + end, after, sizeof after - 1) != 0) {
		return false;
	}
	target[end] = '\0';
	return parse_number(target + sizeof before - 1, number);
}

static int find_store(icp_store_t **store, const icp_state_t *state, const char *directory,
	const icp_state_t *other, icp_diag_t *diag)
{
	uint64_t number;
	if (!parse_number(state->text, &number) && !current_number(directory, &number)) {
		return icp_store_open(store, directory, diag);
	}
	if (other != NULL && !other->is_feed && other->info.generation == number) {
		*store = icp_store_ref(other->reader.store);
		return ICP_EOK;
	}
	return open_generation(store, directory, number, diag);
}

static int open_snapshot(
	icp_state_t *state, const char *directory, const icp_state_t *other, icp_diag_t *diag)
{
	icp_store_t *store = NULL;
	int ret = find_store(&store, state, directory, other, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_init(&state->reader, store, diag);
	icp_store_unref(store); /* The reader holds it. */
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_begin(&state->reader);
	state->info = state->reader.info;
	state->has_sequence = true;
	return ret == ICP_EOK ? ICP_EOK
			      : icp_fail(diag, ret, "%s: generation %s: %s", directory, state->text,
					icp_strerror(ret));
}

int icp_state_open(icp_state_t *state, const char *text, const char *store,
	const icp_state_t *other, icp_diag_t *diag)
{
	*state = (icp_state_t){.text = text, .is_feed = icp_state_is_feed(text)};
	state->info.as_of = ICP_TIME_NONE;
	int ret =
		state->is_feed ? open_feed(state, diag) : open_snapshot(state, store, other, diag);
	if (ret != ICP_EOK) {
		icp_state_close(state);
	}
	return ret;
}

void icp_state_close(icp_state_t *state)
{
	icp_index_destroy(state->index);
	if (state->reader.store != NULL) {
		icp_reader_end(&state->reader);
		icp_reader_deinit(&state->reader);
	}
	*state = (icp_state_t){.text = NULL};
}

icp_nodes_t icp_state_nodes(icp_state_t *state)
{
	if (state->is_feed) {
		return icp_nodes_of_index(state->index);
	}
	icp_walk_begin(&state->walk, &state->reader);
	return icp_nodes_of_walk(&state->walk);
}

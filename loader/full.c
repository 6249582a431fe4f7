/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/full.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "loader/feed.h"
#include "loader/index.h"
#include "loader/manifest.h"
#include "loader/writer.h"

#define PROGRESS_ROWS 4096 /*!< A power of two; between looks at the clock. */

typedef struct {
	const icp_full_job_t *job;
	icp_stream_t *stream;
	char *manifest_path;
	bool has_manifest;
	icp_manifest_t manifest;
	icp_index_t *index;
	icp_index_counts_t counts;
	uint64_t number; /*!< Of the new generation. */
	char *building;  /*!< Its path for now. */
	icp_store_info_t info;
	uint64_t size;
} work_t;

static void work_deinit(work_t *work)
{
	icp_index_destroy(work->index);
	icp_stream_close(work->stream);
	free(work->manifest_path);
	free(work->building);
}

static int no_memory(const work_t *work, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", work->job->feed);
}

/*! Opens the feed and its manifest at one time, before waiting for anything. */
static int open_feed(work_t *work, icp_diag_t *diag)
{
	const icp_full_job_t *job = work->job;
	const icp_full_origin_t *origin = job->origin;
	if (origin != NULL) {
		work->has_manifest = true;
		work->manifest.sequence = origin->sequence;
		work->manifest.as_of = origin->as_of;
		return icp_stream_open_given(
			&work->stream, job->feed, origin->give, origin->context, diag);
	}
	int ret = icp_stream_open(&work->stream, job->feed, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	work->manifest_path = icp_manifest_path(job->feed);
	if (work->manifest_path == NULL) {
		return no_memory(work, diag);
	}
	ret = icp_manifest_read(&work->manifest, work->manifest_path, &work->has_manifest, diag);
	if (!work->has_manifest && job->manifest_optional) {
		return ICP_EOK;
	}
	if (ret == ICP_EOK && strcmp(work->manifest.kind, "full") != 0) {
		return icp_fail(diag, ICP_EFEED, "%s: kind: %s, not a full feed",
			work->manifest_path, work->manifest.kind);
	}
	return ret;
}

/*! Reads the current generation's entries; one that is not usable is as good as none. */
static int read_current(const work_t *work, icp_store_info_t *current, icp_diag_t *diag)
{
	uint64_t size;
	int ret = icp_generations_info(work->job->store, 0, current, &size, diag);
	if (ret != ICP_ENOSTORE && ret != ICP_EDAMAGED && ret != ICP_EVERSION) {
		return ret;
	}
	if (ret != ICP_ENOSTORE) {
		char line[sizeof diag->text + 64];
		snprintf(line, sizeof line, "%s; its sequence is not compared", diag->text);
		work->job->notice(line);
	}
	*current = (icp_store_info_t){.as_of = ICP_TIME_NONE};
	return ICP_EOK;
}

/*! Chooses number and sequence of the new generation. */
static int plan(work_t *work, icp_diag_t *diag)
{
	icp_store_info_t current;
	uint64_t *numbers;
	size_t count;
	int ret = read_current(work, &current, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (work->has_manifest && work->manifest.sequence < current.sequence) {
		return icp_fail(diag, ICP_EGUARD,
			"%s: sequence %" PRIu64 " is older than %" PRIu64
			" of the current generation",
			work->job->feed, work->manifest.sequence, current.sequence);
	}
	ret = icp_generations_list(work->job->store, &numbers, &count, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	work->number = (count > 0 ? numbers[0] : 0) + 1;
	free(numbers);
	work->info = (icp_store_info_t){
		.generation = work->number,
		.sequence = work->has_manifest ? work->manifest.sequence : current.sequence,
		.as_of = work->has_manifest ? work->manifest.as_of : ICP_TIME_NONE,
		.created_at = work->job->now,
	};
	return ICP_EOK;
}

/*! Reads all rows into the index. */
static int collect(work_t *work, icp_feed_t *feed, icp_diag_t *diag)
{
	const icp_source_t *source = icp_stream_source(work->stream);
	icp_name_t name;
	icp_row_t row;
	uint64_t line;
	int ret;

	while ((ret = icp_feed_next(feed, &name, &row, &line, diag)) == 1) {
		if (icp_index_add(work->index, &name, &row, line) != ICP_EOK) {
			return no_memory(work, diag);
		}
		if ((icp_feed_count(feed) & (PROGRESS_ROWS - 1)) == 0) {
			icp_progress_read(work->job->progress,
				source != NULL ? icp_source_position(source) : 0,
				source != NULL ? icp_source_size(source) : 0, icp_feed_count(feed));
		}
	}
	return ret;
}

static int read_feed(work_t *work, icp_bad_t *bad, icp_diag_t *diag)
{
	icp_feed_t *feed;
	int ret = icp_feed_open(&feed, work->stream, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	work->index = icp_index_create();
	ret = work->index != NULL ? collect(work, feed, diag) : no_memory(work, diag);
	uint64_t rows = icp_feed_count(feed);
	icp_feed_close(feed);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_progress_step(work->job->progress, "sorting");
	if (icp_index_sort(work->index, bad, &work->counts) != ICP_EOK) {
		return no_memory(work, diag);
	}
	work->info.rows = work->counts.rows;
	work->info.nodes = work->counts.nodes;

	if (work->manifest_path != NULL && work->has_manifest) {
		uint8_t digest[ICP_SHA256_SIZE];
		icp_source_digest(icp_stream_source(work->stream), digest);
		ret = icp_manifest_check(&work->manifest, work->manifest_path, rows, digest, diag);
	}
	if (ret == ICP_EOK && bad->total > 0) {
		return icp_fail(diag, ICP_EFEED,
			"%s: rejected for its bad rows, the store is unchanged", work->job->feed);
	}
	return ret;
}

static int build(work_t *work, icp_diag_t *diag)
{
	icp_writer_t *writer;
	icp_progress_step(work->job->progress, "writing");
	int ret = icp_writer_open(&writer, work->building, work->counts.octets, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_index_each(work->index, icp_writer_add, writer);
	if (ret == ICP_EOK) {
		ret = icp_writer_finish(writer, &work->info, basename(work->job->feed));
	}
	icp_writer_close(writer);

	/* What follows maps the whole file; both at a time would take twice the memory. */
	icp_index_destroy(work->index);
	work->index = NULL;
	return ret;
}

/*! Checks what was written as a reader sees it. */
static int verify(work_t *work, icp_diag_t *diag)
{
	icp_store_t *store;
	icp_reader_t reader;
	icp_progress_step(work->job->progress, "checking");
	int ret = icp_store_open_file(&store, work->building, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_init(&reader, store, diag);
	if (ret == ICP_EOK) {
		ret = icp_reader_begin(&reader);
		if (ret == ICP_EOK) {
			ret = icp_reader_verify(&reader, diag);
			icp_reader_end(&reader);
		}
		icp_reader_deinit(&reader);
	}
	work->size = icp_store_size(store);
	icp_store_unref(store);
	return ret;
}

/*! All that is done while the store is locked. */
static int load(
	work_t *work, const icp_generations_t *generations, icp_bad_t *bad, icp_diag_t *diag)
{
	int ret = plan(work, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = read_feed(work, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	work->building = icp_generations_building(generations, work->number);
	if (work->building == NULL) {
		return no_memory(work, diag);
	}
	ret = build(work, diag);
	if (ret == ICP_EOK) {
		ret = verify(work, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_generations_promote(generations, work->number, diag);
	}
	if (ret != ICP_EOK) {
		icp_generations_discard(generations, work->number);
		return ret;
	}
	icp_generations_prune(generations);
	return ICP_EOK;
}

int icp_full_load(
	const icp_full_job_t *job, icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag)
{
	work_t work = {.job = job};
	icp_generations_t generations;
	int ret = open_feed(&work, diag);
	if (ret == ICP_EOK) {
		ret = icp_generations_open(&generations, job->store, job->wait, job->notice, diag);
		if (ret == ICP_EOK) {
			ret = load(&work, &generations, bad, diag);
			icp_generations_close(&generations);
		}
	}
	if (ret == ICP_EOK) {
		*result = (icp_full_result_t){
			.info = work.info, .domains = work.counts.domains, .size = work.size};
	}
	icp_progress_clear(job->progress);
	work_deinit(&work);
	return ret;
}

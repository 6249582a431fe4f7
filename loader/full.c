/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/full.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "loader/feed.h"
#include "loader/index.h"
#include "loader/manifest.h"
#include "loader/update.h"
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
	icp_session_t session;
	char *building; /*!< The new generation's path for now. */
	icp_store_info_t info;
	icp_full_result_t *result;
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

static void tell_damage(const work_t *work, const char *what)
{
	char line[sizeof(icp_diag_t) + 128];
	snprintf(line, sizeof line,
		"current generation: %s; the feed is not compared with it, and deltas newer than the "
		"feed have to be given again",
		what);
	work->session.options.notice(line);
}

/*! Chooses number and sequence of the new generation. */
static int plan(work_t *work, icp_diag_t *diag)
{
	const icp_session_t *session = &work->session;
	const icp_store_info_t *current = &session->current;
	if (session->current_code != ICP_EOK && session->current_code != ICP_ENOSTORE) {
		tell_damage(work, session->current_diag.text);
	}
	work->info = (icp_store_info_t){
		.sequence = work->has_manifest ? work->manifest.sequence : current->sequence,
		.as_of = work->has_manifest ? work->manifest.as_of : ICP_TIME_NONE,
		.created_at = session->options.now,
		.replaced = icp_session_replaced(session),
	};
	work->info.base = work->info.sequence;
	snprintf(work->info.source, sizeof work->info.source, "%s", basename(work->job->feed));
	if (work->info.sequence < current->base) {
		return icp_fail(diag, ICP_EGUARD,
			"%s: sequence %" PRIu64 " is older than %" PRIu64
			", that of the current generation's full feed",
			work->job->feed, work->info.sequence, current->base);
	}
	return icp_session_number(session, &work->info.generation, diag);
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
	int ret = icp_feed_open(&feed, work->stream, ICP_FEED_FULL, bad, diag);
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
		ret = icp_writer_finish(writer, &work->info);
	}
	icp_writer_close(writer);

	/* What follows maps the whole file; both at a time would take twice the memory. */
	icp_index_destroy(work->index);
	work->index = NULL;
	return ret;
}

/*! Applies one delta that the current generation keeps. */
static int replay_one(icp_update_t *update, icp_reader_t *current, uint64_t sequence,
	const char *source, icp_diag_t *diag)
{
	const icp_update_delta_t delta = {
		.sequence = sequence,
		.as_of = current->info.as_of,
		.source = source,
	};
	const uint8_t *stored;
	size_t length;
	icp_changes_t *changes;
	int ret = icp_reader_delta(current, sequence, &stored, &length);
	if (ret == 1) {
		ret = icp_changes_from_stored(&changes, stored, length);
	} else {
		ret = ICP_EDAMAGED;
	}
	if (ret != ICP_EOK) {
		return icp_fail(diag, ret, "delta %" PRIu64 " of the current generation: %s",
			sequence, icp_strerror(ret));
	}
	ret = icp_update_apply(update, changes, &delta, NULL, NULL, diag);
	icp_changes_destroy(changes);
	return ret == ICP_EOK ? icp_update_commit(update, diag) : ret;
}

/*! Applies the deltas that are newer than the feed. */
static int replay(work_t *work, icp_reader_t *current, icp_diag_t *diag)
{
	icp_update_t *update;
	uint64_t last = work->session.current.sequence;
	if (current == NULL || work->info.sequence >= last) {
		return ICP_EOK;
	}
	icp_progress_step(work->job->progress, "applying deltas");
	int ret = icp_update_open(&update, work->building, false, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	for (uint64_t next = work->info.sequence + 1; next <= last && ret == ICP_EOK; next++) {
		ret = replay_one(update, current, next, work->info.source, diag);
		work->result->replayed++;
	}
	if (ret == ICP_EOK) {
		ret = icp_update_sync(update, diag);
	}
	icp_update_close(update);
	return ret;
}

/*! What the comparison with the current generation feeds. */
typedef struct {
	icp_guard_t guard;
	icp_audit_t *audit;
} watch_t;

static int watch_pair(const icp_row_t *before, const icp_row_t *after, void *context)
{
	watch_t *watch = context;
	int ret = icp_guard_add(before, after, &watch->guard);
	return ret == ICP_EOK ? icp_audit_add(before, after, watch->audit) : ret;
}

/*! Compares the new generation with the current one. */
static int compare(work_t *work, icp_reader_t *current, icp_reader_t *new, icp_audit_t **audit,
	icp_diag_t *diag)
{
	watch_t watch;
	icp_walk_t before;
	icp_walk_t after;
	icp_nodes_t nodes = icp_nodes_none();
	icp_progress_step(work->job->progress, "comparing");
	int ret = icp_session_audit(&work->session, &watch.audit, &work->info, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_guard_init(&watch.guard, work->job->options.rectify_overdue, work->job->options.now);
	icp_walk_begin(&after, new);
	if (current != NULL) {
		icp_walk_begin(&before, current);
		nodes = icp_nodes_of_walk(&before);
	}
	diag->text[0] = '\0';
	ret = icp_compare(icp_guard_watch(&watch.guard, nodes), icp_nodes_of_walk(&after),
		watch_pair, &watch);
	if (ret == ICP_EOK && !work->job->force) {
		ret = icp_guard_decide(&watch.guard, work->job->max_lost, work->job->feed, diag);
	} else if (ret != ICP_EOK && diag->text[0] == '\0') {
		icp_fail(diag, ret, "comparing with the current generation: %s", icp_strerror(ret));
	}
	work->result->lost = watch.guard.lost;
	work->result->gained = watch.guard.gained;
	icp_guard_deinit(&watch.guard);
	if (ret != ICP_EOK) {
		icp_audit_cancel(watch.audit);
		return ret;
	}
	*audit = watch.audit;
	return ICP_EOK;
}

/*! Checks what was written as a reader sees it, and what it would change. */
static int examine(work_t *work, icp_reader_t *current, icp_audit_t **audit, icp_diag_t *diag)
{
	icp_reader_t new;
	icp_progress_step(work->job->progress, "checking");
	int ret = icp_reader_open(&new, work->building, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_verify(&new, diag);
	if (ret == ICP_EOK) {
		work->info = new.info;
		work->result->size = icp_store_size(new.store);
		ret = compare(work, current, &new, audit, diag);
	}
	icp_reader_close(&new);
	return ret;
}

/*! From the feed to a generation that only has to be made current. */
static int make(work_t *work, icp_reader_t *current, icp_audit_t **audit, icp_diag_t *diag)
{
	int ret = icp_generations_building(
		&work->session.generations, work->info.generation, &work->building, diag);
	if (ret == ICP_EOK) {
		ret = build(work, diag);
	}
	if (ret == ICP_EOK) {
		ret = replay(work, current, diag);
	}
	return ret == ICP_EOK ? examine(work, current, audit, diag) : ret;
}

/*! Opens the current generation and checks it whole; NULL: it can't be compared with. */
static int open_current(
	work_t *work, icp_reader_t *reader, icp_reader_t **current, icp_diag_t *diag)
{
	icp_session_t *session = &work->session;
	*current = NULL;
	if (session->current_code != ICP_EOK) {
		return ICP_EOK;
	}
	char *path = icp_generations_path(&session->generations, session->current.generation);
	if (path == NULL) {
		return no_memory(work, diag);
	}
	icp_progress_step(work->job->progress, "checking the current generation");
	int ret = icp_reader_open(reader, path, diag);
	free(path);
	if (ret == ICP_EOK) {
		ret = icp_reader_verify(reader, diag);
		if (ret == ICP_EOK) {
			*current = reader;
			return ICP_EOK;
		}
		icp_reader_close(reader);
	}
	if (ret == ICP_EDAMAGED) {
		session->current_code = ret;
		tell_damage(work, diag->text);
		diag->text[0] = '\0';
		return ICP_EOK;
	}
	return ret;
}

/*! All that is done while the store is locked. */
static int load(work_t *work, icp_bad_t *bad, icp_diag_t *diag)
{
	icp_reader_t reader;
	icp_reader_t *current;
	icp_audit_t *audit;
	int ret = plan(work, diag);
	if (ret == ICP_EOK) {
		ret = read_feed(work, bad, diag);
	}
	if (ret == ICP_EOK) {
		ret = open_current(work, &reader, &current, diag);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = make(work, current, &audit, diag);
	if (current != NULL) {
		icp_reader_close(current);
	}
	if (ret == ICP_EOK) {
		ret = icp_session_publish(&work->session, work->info.generation, true, audit, diag);
	}
	if (ret != ICP_EOK) {
		icp_generations_discard(&work->session.generations, work->info.generation);
		return ret;
	}
	return ICP_EOK;
}

int icp_full_load(
	const icp_full_job_t *job, icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag)
{
	work_t work = {.job = job, .result = result};
	*result = (icp_full_result_t){.size = 0};
	int ret = open_feed(&work, diag);
	if (ret == ICP_EOK) {
		ret = icp_session_open(&work.session, &job->options, diag);
		if (ret == ICP_EOK) {
			ret = load(&work, bad, diag);
			icp_session_close(&work.session);
		}
	}
	if (ret == ICP_EOK) {
		result->info = work.info;
		result->domains = work.counts.domains;
	}
	icp_progress_clear(job->progress);
	work_deinit(&work);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/full.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"
#include "loader/feed.h"
#include "loader/index.h"
#include "loader/manifest.h"
#include "loader/reread.h"
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
	icp_reader_t base; /*!< What the feed is compared with: the current generation, or if that
			    * is damaged the newest one before it that is not. */
	bool has_base;
	char *building; /*!< The new generation's path for now. */
	icp_store_info_t info;
	icp_full_result_t *result;
} work_t;

static void work_deinit(work_t *work)
{
	if (work->has_base) {
		icp_reader_close(&work->base);
	}
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
	int ret = icp_stream_open(&work->stream, job->feed, job->options.no_links, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	work->manifest_path = icp_manifest_path(job->feed);
	if (work->manifest_path == NULL) {
		return no_memory(work, diag);
	}
	ret = icp_manifest_read(&work->manifest, work->manifest_path, job->options.no_links,
		&work->has_manifest, diag);
	if (!work->has_manifest && job->manifest_optional) {
		return ICP_EOK;
	}
	if (ret == ICP_EOK && strcmp(work->manifest.kind, "full") != 0) {
		return icp_fail(diag, ICP_EFEED, "%s: kind: %s, not a full feed",
			work->manifest_path, work->manifest.kind);
	}
	return ret;
}

/*! Opens a generation and checks it whole. */
static int open_base(work_t *work, uint64_t number, icp_diag_t *diag)
{
	char *path = icp_generations_path(&work->session.generations, number);
	if (path == NULL) {
		return no_memory(work, diag);
	}
	icp_progress_step(work->job->progress, "checking the current generation");
	int ret = icp_reader_open(&work->base, path, diag);
	free(path);
	if (ret == ICP_EOK) {
		ret = icp_reader_verify(&work->base, diag);
		if (ret != ICP_EOK) {
			icp_reader_close(&work->base);
		}
	}
	work->has_base = ret == ICP_EOK;
	return ret;
}

/*! Finds what the feed is to be compared with. Deltas can be applied again from the current one
 * alone, so if that is damaged they have to be given again. */
static int find_base(work_t *work, icp_diag_t *diag)
{
	icp_session_t *session = &work->session;
	icp_diag_t why = {""};
	int ret = ICP_EDAMAGED;
	for (uint64_t number = icp_generations_linked(&session->generations);
		number != 0 && ret != ICP_EOK; number = icp_session_older(session, number)) {
		char line[sizeof why.text + 64];
		ret = open_base(work, number, &why);
		if (ret != ICP_EOK && ret != ICP_EDAMAGED && ret != ICP_EVERSION &&
			ret != ICP_ENOSTORE) {
			return icp_fail(diag, ret, "%s", why.text);
		}
		if (ret != ICP_EOK) {
			snprintf(line, sizeof line,
				"generation %" PRIu64 ": %s; the feed is not compared with it",
				number, why.text);
			session->options.notice(line);
		}
	}
	return ICP_EOK;
}

static bool base_is_current(const work_t *work)
{
	return work->has_base &&
	       work->base.info.generation == icp_generations_linked(&work->session.generations);
}

/*! Chooses number and sequence of the new generation. */
static int plan(work_t *work, icp_diag_t *diag)
{
	static const icp_store_info_t nothing = {.as_of = ICP_TIME_NONE};
	const icp_store_info_t *base = work->has_base ? &work->base.info : &nothing;
	const char *name = basename(work->job->feed);
	char source[ICP_SOURCE_MAX];
	icp_text_escape(source, sizeof source, name, strlen(name));
	work->info = (icp_store_info_t){
		.sequence = work->has_manifest ? work->manifest.sequence : base->sequence,
		.as_of = work->has_manifest
				 ? icp_session_as_of(&work->session, work->manifest.as_of, source)
				 : ICP_TIME_NONE,
		.created_at = work->session.options.now,
		.replaced = base->generation,
		.rows = work->counts.rows,
		.nodes = work->counts.nodes,
	};
	work->info.base = work->info.sequence;
	memcpy(work->info.source, source, sizeof source);
	if (work->info.sequence < base->base) {
		return icp_fail(diag, ICP_EGUARD,
			"%s: sequence %" PRIu64 " is older than %" PRIu64
			", that of the current generation's full feed",
			work->job->feed, work->info.sequence, base->base);
	}
	return icp_session_number(&work->session, &work->info.generation, diag);
}

/*! The last delta that is to be applied again, if it is newer than the feed. */
static uint64_t last_replayed(const work_t *work)
{
	return base_is_current(work) ? work->base.info.sequence : 0;
}

/*! Octets that the deltas may add to the nodes, and that they take themselves. */
static uint64_t replayed_octets(work_t *work)
{
	uint64_t octets = 0;
	for (uint64_t next = work->info.sequence + 1; next <= last_replayed(work); next++) {
		const uint8_t *stored;
		size_t length;
		if (icp_reader_delta(&work->base, next, &stored, &length) == 1) {
			octets += 2 * (uint64_t)length;
		}
	}
	return octets;
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
	int ret = icp_writer_open(
		&writer, work->building, work->counts.octets + replayed_octets(work), diag);
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
static int replay(work_t *work, icp_diag_t *diag)
{
	icp_update_t *update;
	uint64_t last = last_replayed(work);
	if (work->info.sequence >= last) {
		return ICP_EOK;
	}
	icp_progress_step(work->job->progress, "applying deltas");
	int ret = icp_update_open(&update, work->building, false, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	for (uint64_t next = work->info.sequence + 1; next <= last && ret == ICP_EOK; next++) {
		ret = replay_one(update, &work->base, next, work->info.source, diag);
		work->result->replayed++;
	}
	if (ret == ICP_EOK) {
		ret = icp_update_sync(update, diag);
	}
	icp_update_close(update);
	return ret;
}

/*! What the comparison feeds. */
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

/*! Compares the new generation with its base. */
static int compare(work_t *work, icp_reader_t *new, icp_audit_t **audit, icp_diag_t *diag)
{
	const icp_session_options_t *options = &work->session.options;
	watch_t watch;
	icp_walk_t before;
	icp_walk_t after;
	icp_nodes_t nodes = icp_nodes_none();
	icp_progress_step(work->job->progress, "comparing");
	int ret = icp_session_audit(&work->session, &watch.audit, &work->info, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_guard_init(&watch.guard, options->rectify_overdue, options->now);
	icp_walk_begin(&after, new);
	if (work->has_base) {
		icp_walk_begin(&before, &work->base);
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
static int examine(work_t *work, icp_audit_t **audit, icp_diag_t *diag)
{
	icp_reader_t new;
	icp_progress_step(work->job->progress, "checking");
	int ret = icp_reread(&new, work->building, diag);
	if (ret == ICP_EOK) {
		work->info = new.info;
		work->result->size = icp_store_size(new.store);
		ret = compare(work, &new, audit, diag);
		icp_reader_close(&new);
	}
	return ret;
}

/*! From the feed to a generation that only has to be made current. */
static int make(work_t *work, icp_audit_t **audit, icp_diag_t *diag)
{
	int ret = icp_generations_building(
		&work->session.generations, work->info.generation, &work->building, diag);
	if (ret == ICP_EOK) {
		ret = build(work, diag);
	}
	if (ret == ICP_EOK) {
		ret = replay(work, diag);
	}
	return ret == ICP_EOK ? examine(work, audit, diag) : ret;
}

/*! All that is done while the store is locked. */
static int load(work_t *work, icp_diag_t *diag)
{
	icp_audit_t *audit;
	int ret = find_base(work, diag);
	if (ret == ICP_EOK) {
		ret = plan(work, diag);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = make(work, &audit, diag);
	/* Word is left in it by another environment; a process must not open one twice. */
	if (work->has_base) {
		icp_reader_close(&work->base);
		work->has_base = false;
	}
	if (ret == ICP_EOK) {
		ret = icp_session_publish(&work->session, work->info.generation, true, audit, diag);
	}
	if (ret != ICP_EOK) {
		icp_generations_discard(&work->session.generations, work->info.generation);
	}
	return ret;
}

int icp_full_load(
	const icp_full_job_t *job, icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag)
{
	work_t work = {.job = job, .result = result};
	*result = (icp_full_result_t){.size = 0};
	int ret = open_feed(&work, diag);
	/* Deltas must not wait for a feed to be read. */
	if (ret == ICP_EOK) {
		ret = read_feed(&work, bad, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_session_open(&work.session, &job->options, diag);
	}
	if (ret == ICP_EOK) {
		ret = load(&work, diag);
		icp_session_close(&work.session);
	}
	if (ret == ICP_EOK) {
		result->info = work.info;
		result->domains = work.counts.domains;
	}
	icp_progress_clear(job->progress);
	work_deinit(&work);
	return ret;
}

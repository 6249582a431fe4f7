/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/delta.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "loader/feed.h"
#include "loader/manifest.h"
#include "loader/renew.h"
#include "loader/watch.h"

static int open_update(icp_delta_t *delta, icp_diag_t *diag)
{
	delta->path = icp_generations_path(
		&delta->session.generations, delta->session.current.generation);
	if (delta->path == NULL) {
		return icp_fail(
			diag, ICP_ENOMEM, "%s: out of memory", delta->session.options.store);
	}
	return icp_update_open(&delta->update, delta->path, true, diag);
}

static void close_update(icp_delta_t *delta)
{
	icp_update_close(delta->update);
	free(delta->path);
	delta->update = NULL;
	delta->path = NULL;
}

int icp_delta_open(icp_delta_t *delta, const icp_session_options_t *options, icp_diag_t *diag)
{
	*delta = (icp_delta_t){.update = NULL};
	int ret = icp_session_open(&delta->session, options, diag);
	if (ret == ICP_ENOSTORE) {
		return icp_fail(diag, ret, "%s: no current generation; load a full feed first",
			options->store);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	if (delta->session.current_code != ICP_EOK) {
		ret = icp_fail(diag, delta->session.current_code, "%s; load a full feed first",
			delta->session.current_diag.text);
		icp_delta_close(delta);
	}
	return ret;
}

void icp_delta_close(icp_delta_t *delta)
{
	close_update(delta);
	icp_session_close(&delta->session);
}

/*! Copies the generation to a new one that has room, applies the delta there, and makes it current.
 */
static int apply_to_copy(icp_delta_t *delta, icp_changes_t *changes, const icp_update_delta_t *what,
	icp_watch_t *watch, icp_diag_t *diag)
{
	icp_session_t *session = &delta->session;
	icp_store_info_t info = *icp_update_info(delta->update);
	close_update(delta);
	*watch = (icp_watch_t){.options = &session->options};
	info.sequence = what->sequence;
	snprintf(info.source, sizeof info.source, "%s", what->source);
	int ret = icp_session_number(session, &info.generation, diag);
	if (ret == ICP_EOK) {
		ret = icp_session_audit(session, &watch->audit, &info, diag);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_renew(session, info.generation, changes, what, icp_watch_pair, watch, diag);
	if (ret != ICP_EOK) {
		icp_audit_cancel(watch->audit);
	} else {
		ret = icp_session_publish(session, info.generation, true, watch->audit, diag);
	}
	if (ret != ICP_EOK) {
		icp_generations_discard(&session->generations, info.generation);
		return ret;
	}
	return icp_session_refresh(session, diag);
}

/*! Applies the delta to the generation itself. */
static int apply_in_place(icp_delta_t *delta, icp_changes_t *changes,
	const icp_update_delta_t *what, icp_watch_t *watch, icp_diag_t *diag)
{
	icp_store_info_t info = *icp_update_info(delta->update);
	info.sequence = what->sequence;
	snprintf(info.source, sizeof info.source, "%s", what->source);
	int ret = icp_session_audit(&delta->session, &watch->audit, &info, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_update_apply(delta->update, changes, what, icp_watch_pair, watch, diag);
	if (ret == ICP_EOK) {
		ret = icp_audit_prepare(watch->audit, icp_update_transaction(delta->update));
		if (ret != ICP_EOK) {
			icp_update_abort(delta->update);
		}
	}
	if (ret == ICP_EOK) {
		ret = icp_update_commit(delta->update, diag);
	}
	if (ret != ICP_EOK) {
		icp_audit_cancel(watch->audit);
		return ret;
	}
	icp_session_log(&delta->session, watch->audit, diag);
	delta->session.current = *icp_update_info(delta->update);
	return ICP_EOK;
}

int icp_delta_apply(icp_delta_t *delta, icp_changes_t *changes, const icp_update_delta_t *what,
	icp_delta_result_t *result, icp_diag_t *diag)
{
	icp_watch_t watch = {.options = &delta->session.options};
	icp_update_delta_t dated = *what;
	dated.as_of = icp_session_as_of(&delta->session, what->as_of, what->source);
	int ret = delta->update == NULL ? open_update(delta, diag) : ICP_EOK;
	if (ret == ICP_EOK) {
		ret = icp_update_has_room(delta->update)
			      ? apply_in_place(delta, changes, &dated, &watch, diag)
			      : ICP_EFULL;
	}
	if (ret == ICP_EFULL) {
		ret = apply_to_copy(delta, changes, &dated, &watch, diag);
	}
	if (ret == ICP_EOK) {
		*result = (icp_delta_result_t){
			.changes = icp_changes_count(changes),
			.pairs = watch.pairs,
			.gained = watch.gained,
			.lost = watch.lost,
			.info = delta->session.current,
		};
	} else {
		/* A transaction that failed may leave LMDB unfit for another one. */
		close_update(delta);
	}
	return ret;
}

/*! A delta feed while it is read. */
typedef struct {
	const char *path;
	icp_stream_t *stream;
	char *manifest_path;
	icp_manifest_t manifest;
	icp_changes_t *changes;
} input_t;

static void input_deinit(input_t *input)
{
	icp_changes_destroy(input->changes);
	icp_stream_close(input->stream);
	free(input->manifest_path);
}

static int no_memory(const input_t *input, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", input->path);
}

static int open_input(input_t *input, bool no_links, icp_diag_t *diag)
{
	bool found;
	int ret = icp_stream_open(&input->stream, input->path, no_links, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	input->manifest_path = icp_manifest_path(input->path);
	if (input->manifest_path == NULL) {
		return no_memory(input, diag);
	}
	ret = icp_manifest_read(&input->manifest, input->manifest_path, no_links, &found, diag);
	if (ret == ICP_EOK && strcmp(input->manifest.kind, "delta") != 0) {
		return icp_fail(diag, ICP_EFEED, "%s: kind: %s, not a delta feed",
			input->manifest_path, input->manifest.kind);
	}
	return ret;
}

static int collect(input_t *input, icp_feed_t *feed, icp_diag_t *diag)
{
	icp_change_t change;
	uint64_t line;
	int ret;
	input->changes = icp_changes_create();
	if (input->changes == NULL) {
		return no_memory(input, diag);
	}
	while ((ret = icp_feed_next_change(feed, &change, &line, diag)) == 1) {
		if (icp_changes_add(input->changes, &change) != ICP_EOK) {
			return no_memory(input, diag);
		}
	}
	return ret;
}

static int rejected(const input_t *input, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_EFEED, "%s: rejected for its bad rows, the store is unchanged",
		input->path);
}

/*! Reads the whole feed and compares it with its manifest. */
static int read_input(input_t *input, icp_bad_t *bad, icp_diag_t *diag)
{
	icp_feed_t *feed;
	int ret = icp_feed_open(&feed, input->stream, ICP_FEED_DELTA, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = collect(input, feed, diag);
	uint64_t rows = icp_feed_count(feed);
	icp_feed_close(feed);
	if (ret != ICP_EOK) {
		return ret;
	}
	uint8_t digest[ICP_SHA256_SIZE];
	icp_source_digest(icp_stream_source(input->stream), digest);
	ret = icp_manifest_check(&input->manifest, input->manifest_path, rows, digest, diag);
	return ret == ICP_EOK && bad->total > 0 ? rejected(input, diag) : ret;
}

static int load_input(icp_delta_t *delta, input_t *input, icp_delta_result_t *result,
	icp_bad_t *bad, icp_diag_t *diag)
{
	const icp_store_info_t *current = &delta->session.current;
	int ret = open_input(input, delta->session.options.no_links, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (input->manifest.sequence <= current->sequence) {
		*result = (icp_delta_result_t){.skipped = true, .info = *current};
		return ICP_EOK;
	}
	if (input->manifest.sequence != current->sequence + 1) {
		return icp_fail(diag, ICP_EFEED,
			"%s: sequence: %" PRIu64 " is out of order, the next one is %" PRIu64,
			input->manifest_path, input->manifest.sequence, current->sequence + 1);
	}
	ret = read_input(input, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	char source[ICP_SOURCE_MAX];
	const char *name = basename(input->path);
	icp_text_escape(source, sizeof source, name, strlen(name));
	const icp_update_delta_t what = {
		.sequence = input->manifest.sequence,
		.as_of = input->manifest.as_of,
		.source = source,
		.bad = bad,
	};
	ret = icp_delta_apply(delta, input->changes, &what, result, diag);
	return bad->total > 0 ? rejected(input, diag) : ret;
}

int icp_delta_load(icp_delta_t *delta, const char *feed, icp_delta_result_t *result, icp_bad_t *bad,
	icp_diag_t *diag)
{
	input_t input = {.path = feed};
	int ret = load_input(delta, &input, result, bad, diag);
	input_deinit(&input);
	return ret;
}

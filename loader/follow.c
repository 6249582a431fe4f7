/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/follow.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>

#include "loader/feed.h"
#include "loader/generations.h"
#include "loader/pg.h"

#define COMMITS_MAX 256          /*!< Looked up at a time. */
#define HEARTBEAT_MS (60 * 1000) /*!< Looks for changes also without being woken. */
#define PAUSE_MIN_MS 100         /*!< Between tries to connect: doubled each time, */
#define PAUSE_MAX_MS 30000       /*!< up to this. */
#define LOCKED_MS 100            /*!< Between looks whether another loader has ended. */

typedef struct {
	const icp_follow_job_t *job;
	icp_follow_result_t *result;
	icp_pg_t *pg;
	int pause; /*!< Milliseconds before the next try to connect. */
} work_t;

/*! Waits as long for the order to stop; says whether it came. */
static bool stops_within(const work_t *work, int milliseconds)
{
	struct pollfd watched = {.fd = work->job->stop, .events = POLLIN};
	return poll(&watched, 1, milliseconds) > 0;
}

static int changes_gone(uint64_t sequence, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_EGUARD,
		ICP_PG_CHANGES ": the changes of sequence %" PRIu64
			       " are there no more: load the database full",
		sequence);
}

/*! Reads all changes of a delta that was begun. */
static int collect(icp_stream_t *stream, icp_changes_t *changes, icp_bad_t *bad, icp_diag_t *diag)
{
	icp_feed_t *feed;
	icp_change_t change;
	uint64_t line;
	int ret = icp_feed_open(&feed, stream, ICP_FEED_DELTA, bad, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	while ((ret = icp_feed_next_change(feed, &change, &line, diag)) == 1) {
		if (icp_changes_add(changes, &change) != ICP_EOK) {
			ret = icp_fail(
				diag, ICP_ENOMEM, "%s: out of memory", icp_stream_path(stream));
			break;
		}
	}
	icp_feed_close(feed);
	if (ret == ICP_EOK && bad->total > 0) {
		return icp_fail(diag, ICP_EFEED,
			"%s: rejected for its bad rows: correct them in"
			" the database, then load it full",
			icp_stream_path(stream));
	}
	return ret;
}

static int read_changes(work_t *work, uint64_t sequence, icp_changes_t *changes, icp_diag_t *diag)
{
	icp_follow_result_t *result = work->result;
	icp_stream_t *stream;
	result->bad = (icp_bad_t){.total = 0};
	snprintf(result->feed, sizeof result->feed, ICP_PG_CHANGES "/%" PRIu64, sequence);
	int ret = icp_pg_changes(work->pg, sequence, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_stream_open_given(&stream, result->feed, icp_pg_give, work->pg, diag);
	if (ret == ICP_EOK) {
		ret = collect(stream, changes, &result->bad, diag);
		icp_stream_close(stream);
	}
	/* Each sequence has some, but they may be pruned after their sequence was looked up. */
	if (ret == ICP_EOK && icp_changes_count(changes) == 0) {
		return changes_gone(sequence, diag);
	}
	return ret;
}

/*! Locks the store. No signal ends a wait in flock() while it is blocked, so this one looks again
 * and again. ICP_EBUSY: another loader held it until it was to stop, or is not to be waited for.
 */
static int lock(const work_t *work, icp_delta_t *delta, icp_diag_t *diag)
{
	const icp_follow_job_t *job = work->job;
	icp_session_options_t options = job->session;
	bool told = false;
	options.now = job->clock();
	options.wait = false;
	for (;;) {
		int ret = icp_delta_open(delta, &options, diag);
		if (ret != ICP_EBUSY || !job->session.wait) {
			return ret;
		}
		if (!told) {
			job->session.notice(ICP_LOCK_AWAITED);
			told = true;
		}
		if (stops_within(work, LOCKED_MS)) {
			return ret;
		}
	}
}

/*! Applies changes, unless another loader took the store to where another sequence comes next, or
 * the order to stop came. */
static int apply_changes(work_t *work, const icp_pg_commit_t *commit, icp_changes_t *changes,
	bool *applied, icp_diag_t *diag)
{
	const icp_follow_job_t *job = work->job;
	icp_delta_result_t result;
	icp_delta_t delta;
	int ret = lock(work, &delta, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	*applied = delta.session.current.sequence + 1 == commit->sequence && !stops_within(work, 0);
	if (*applied) {
		const icp_update_delta_t what = {
			.sequence = commit->sequence,
			.as_of = commit->at,
			.source = work->result->feed,
		};
		ret = icp_delta_apply(&delta, changes, &what, &result, diag);
	}
	icp_delta_close(&delta);
	if (ret == ICP_EOK && *applied) {
		job->applied(&result, work->result->feed, job->context);
	}
	return ret;
}

/*! The store is locked only once all is read: the server may be slow. */
static int apply(work_t *work, const icp_pg_commit_t *commit, bool *applied, icp_diag_t *diag)
{
	icp_changes_t *changes = icp_changes_create();
	if (changes == NULL) {
		return icp_fail(diag, ICP_ENOMEM, ICP_PG_CHANGES ": out of memory");
	}
	int ret = read_changes(work, commit->sequence, changes, diag);
	if (ret == ICP_EOK) {
		ret = apply_changes(work, commit, changes, applied, diag);
	}
	icp_changes_destroy(changes);
	return ret;
}

static int store_sequence(const work_t *work, uint64_t *sequence, icp_diag_t *diag)
{
	icp_store_info_t info;
	uint64_t size;
	int ret = icp_generations_info(work->job->session.store, 0, &info, &size, diag);
	*sequence = info.sequence;
	return ret;
}

/*! Looks up what is to be applied: commits that follow the store's sequence, without a gap. */
static int plan(work_t *work, icp_pg_commit_t commits[COMMITS_MAX], size_t *count, icp_diag_t *diag)
{
	uint64_t after;
	uint64_t newest;
	int ret = store_sequence(work, &after, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	*count = COMMITS_MAX;
	ret = icp_pg_commits(work->pg, after, &newest, commits, count, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (newest < after) {
		return icp_fail(diag, ICP_EGUARD,
			"postgresql:icpgate_sequence: %" PRIu64 " is behind %" PRIu64
			" of the store: was the database restored?",
			newest, after);
	}
	for (size_t i = 0; i < *count || (i == 0 && newest > after); i++) {
		if (i == *count || commits[i].sequence != after + i + 1) {
			return changes_gone(after + i + 1, diag);
		}
	}
	return ICP_EOK;
}

/*! Applies all there is, unless stopped. */
static int catch_up(work_t *work, icp_diag_t *diag)
{
	icp_pg_commit_t commits[COMMITS_MAX];
	size_t count;
	int ret = ICP_EOK;
	while (!stops_within(work, 0) && (ret = plan(work, commits, &count, diag)) == ICP_EOK &&
		count > 0) {
		bool applied = true;
		for (size_t i = 0; i < count && applied && !stops_within(work, 0); i++) {
			ret = apply(work, &commits[i], &applied, diag);
			if (ret != ICP_EOK) {
				return ret;
			}
			work->pause = PAUSE_MIN_MS;
		}
	}
	return ret;
}

static int connect_and_listen(work_t *work, icp_diag_t *diag)
{
	const icp_follow_job_t *job = work->job;
	int ret = icp_pg_open(&work->pg, job->conninfo, job->stop, diag);
	if (ret == ICP_EOK) {
		ret = icp_pg_listen(work->pg, diag);
	}
	return ret;
}

/*! Tries until it succeeds or is stopped, and tells why it did not, when that changes. */
static void connect_again(work_t *work, icp_diag_t *diag)
{
	icp_notice_t notice = work->job->session.notice;
	icp_diag_t told = *diag;
	notice(told.text);
	do {
		icp_pg_close(work->pg);
		work->pg = NULL;
		if (stops_within(work, work->pause)) {
			return;
		}
		work->pause = work->pause < PAUSE_MAX_MS / 2 ? 2 * work->pause : PAUSE_MAX_MS;
		if (connect_and_listen(work, diag) == ICP_EOK) {
			notice("postgresql: connected again");
			return;
		}
		if (strcmp(diag->text, told.text) != 0) {
			told = *diag;
			notice(told.text);
		}
	} while (true);
}

/*! Catches up; then, if it shall go on, waits for the next change. */
static int step(work_t *work, icp_diag_t *diag)
{
	int ret = catch_up(work, diag);
	if (ret != ICP_EOK || work->job->once) {
		return ret;
	}
	work->pause = PAUSE_MIN_MS;
	return icp_pg_wait(work->pg, HEARTBEAT_MS, diag);
}

int icp_follow_stop(void)
{
	sigset_t signals;
	sigemptyset(&signals);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGTERM);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	return signalfd(-1, &signals, SFD_CLOEXEC);
}

int icp_follow(const icp_follow_job_t *job, icp_follow_result_t *result, icp_diag_t *diag)
{
	work_t work = {.job = job, .result = result, .pause = PAUSE_MIN_MS};
	*result = (icp_follow_result_t){.feed = ICP_PG_CHANGES};
	int ret = connect_and_listen(&work, diag);
	while (ret == ICP_EOK && !stops_within(&work, 0)) {
		ret = step(&work, diag);
		if (job->once) {
			break;
		}
		if (ret != ICP_EOK && icp_pg_may_recover(work.pg)) {
			connect_again(&work, diag);
			ret = ICP_EOK;
		}
	}
	icp_pg_close(work.pg);
	/* What was waited for, and then was not, is no failure. */
	bool waited = ret == ICP_ESYS || ret == ICP_EBUSY;
	return waited && stops_within(&work, 0) ? ICP_EOK : ret;
}

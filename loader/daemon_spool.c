/* SPDX-License-Identifier: BSD-3-Clause */
/*! What is next with the feeds. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <time.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/time.h"
#include "loader/daemon.h"
#include "loader/generations.h"
#include "loader/options.h"
#include "loader/spool_move.h"

#define WATCHED                                                                                    \
	(IN_CLOSE_WRITE | IN_MOVED_TO | IN_CREATE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF |    \
		IN_ONLYDIR)
#define LOOK_MS 20    /* Files come together: what comes within this is looked at once. */
#define LOOK_PART 4   /* No more than a part of the time is spent on looking. */
#define FRESH_MS 1000 /* What was seen within this is believed. */
#define LOCKED_MS 100
#define MOVE_MS 10000 /* After this a move that failed is tried again. */
#define STEPS_MAX 256 /* Then the loop has its turn, */
#define TURN_MS 200   /* and after this. */

static void set_timer(icp_daemon_t *daemon, int64_t milliseconds)
{
	const struct timeval time = {.tv_sec = (time_t)(milliseconds / 1000),
		.tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
	event_add(daemon->look, &time);
}

void icp_daemon_look_soon(icp_daemon_t *daemon)
{
	/* Not put off by what comes meanwhile, or much of it would put it off for ever. */
	if (daemon->scanned == INT64_MIN && event_pending(daemon->look, EV_TIMEOUT, NULL)) {
		return;
	}
	daemon->scanned = INT64_MIN;
	set_timer(daemon,
		daemon->scan_ms * LOOK_PART > LOOK_MS ? daemon->scan_ms * LOOK_PART : LOOK_MS);
}

static void changed(evutil_socket_t file, short what, void *context)
{
	icp_daemon_t *daemon = context;
	char events[65536];
	(void)what;
	/* What they say does not matter, nor that some were lost: the spool is looked at. */
	while (read(file, events, sizeof events) > 0) {
	}
	icp_daemon_look_soon(daemon);
}

int icp_daemon_watch_spool(icp_daemon_t *daemon, icp_diag_t *diag)
{
	bool replaced;
	int ret = icp_spool_refresh(&daemon->spool, &replaced, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (replaced) {
		daemon->scanned = INT64_MIN;
		icp_log(ICP_LOG_WARNING, "%s: is another directory now", daemon->spool_path);
	} else if (daemon->inotify >= 0) {
		return ICP_EOK;
	}
	if (daemon->changed != NULL) {
		event_free(daemon->changed);
		close(daemon->inotify);
		daemon->changed = NULL;
	}
	daemon->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	if (daemon->inotify < 0 ||
		inotify_add_watch(daemon->inotify, daemon->spool_path, WATCHED) < 0) {
		return icp_fail(
			diag, ICP_ESYS, "%s: inotify: %s", daemon->spool_path, strerror(errno));
	}
	daemon->changed =
		event_new(daemon->loop, daemon->inotify, EV_READ | EV_PERSIST, changed, daemon);
	if (daemon->changed == NULL || event_add(daemon->changed, NULL) != 0) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	return ICP_EOK;
}

void icp_daemon_read_store(icp_daemon_t *daemon)
{
	icp_store_info_t info;
	uint64_t size;
	icp_fault_enter();
	int ret = icp_generations_look(daemon->store, 0, &info, &size, NULL);
	if (icp_fault_happened()) {
		ret = ICP_EDAMAGED;
	}
	icp_fault_leave();
	/* While commits come so fast that none can be read, it has what it had, or more: to say
	 * that there is none would be worse. */
	if (ret == ICP_EBUSY && daemon->holds.there) {
		return;
	}
	daemon->info = ret == ICP_EOK ? info : (icp_store_info_t){.as_of = ICP_TIME_NONE};
	daemon->holds = (icp_spool_store_t){ret == ICP_EOK, daemon->info.sequence};
}

void icp_daemon_count(icp_daemon_t *daemon)
{
	icp_spool_gap_t gap;
	icp_daemon_state_t *state = &daemon->state;
	state->depth = daemon->spool.count;
	state->refused = daemon->spool.refused;
	if (icp_spool_gap(&daemon->spool, &daemon->holds, &gap) != ICP_EOK) {
		return;
	}
	state->waiting = gap.waiting;
	/* As soon as one comes that was missing, it is another gap. */
	if (gap.waiting == 0) {
		state->gap_since = ICP_TIME_NONE;
	} else if (state->gap_since == ICP_TIME_NONE || gap.missing != daemon->gap.missing) {
		state->gap_since = (int64_t)time(NULL);
		icp_log(ICP_LOG_NOTICE,
			"delta %" PRIu64 " waits for %" PRIu64 ", which is not there", gap.first,
			gap.missing);
	}
	daemon->gap = gap;
	if (state->gap_since == ICP_TIME_NONE) {
		state->gap_late = false;
		daemon->told_gap = INT64_MIN;
	}
}

/*! Moves a feed whose place is decided; if that fails, it is tried again later. */
static void move(icp_daemon_t *daemon, icp_spool_feed_t *feed)
{
	char as[ICP_SPOOL_BASE_MAX + 1];
	icp_diag_t diag = {""};
	icp_diag_t notice;
	const char *report = feed->report != NULL ? feed->report : "";
	if (icp_spool_move(&daemon->spool, feed, feed->place, report, feed->left_at, as, &notice,
		    &diag) != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "can't be moved to %s: %s",
			icp_spool_place_name(feed->place), diag.text);
		feed->retry_at = icp_daemon_now() + MOVE_MS;
		(void)icp_spool_refresh_places(&daemon->spool, NULL);
		return;
	}
	if (notice.text[0] != '\0') {
		icp_log(ICP_LOG_WARNING, "%s", notice.text);
	}
	icp_log(ICP_LOG_INFO, "%s: moved to %s%s%s", feed->base, icp_spool_place_name(feed->place),
		strcmp(as, feed->base) != 0 ? " as " : "", strcmp(as, feed->base) != 0 ? as : "");
	icp_spool_drop(&daemon->spool, feed);
}

void icp_daemon_leave(
	icp_daemon_t *daemon, icp_spool_feed_t *feed, enum icp_spool_place place, char *report)
{
	feed->leaves = true;
	feed->wanted = false;
	feed->place = place;
	/* A name that its report tells was made with this time. */
	if (feed->left_at == 0) {
		feed->left_at = (int64_t)time(NULL);
	}
	free(feed->report);
	feed->report = report;
	move(daemon, feed);
}

static void leave_applied(icp_daemon_t *daemon, icp_spool_feed_t *feed)
{
	char *report;
	if (asprintf(&report,
		    "sequence %" PRIu64 " was applied before; the store has %" PRIu64 "\n",
		    feed->sequence, daemon->holds.sequence) < 0) {
		report = NULL;
	}
	icp_log(ICP_LOG_INFO, "%s: delta, sequence %" PRIu64 ": was applied before", feed->base,
		feed->sequence);
	icp_control_answer(daemon->control, ICP_COMMAND_LOAD, feed->base,
		json_pack("{s:b, s:s}", "ok", 1, "report", report != NULL ? report : ""));
	icp_daemon_leave(daemon, feed, ICP_SPOOL_DONE, report);
}

static void reject_wrong(icp_daemon_t *daemon, icp_spool_feed_t *feed)
{
	icp_diag_t diag = {""};
	icp_daemon_state_t *state = &daemon->state;
	enum icp_load_kind kind = feed->full ? ICP_LOAD_FULL : ICP_LOAD_DELTA;
	char *report;
	icp_spool_explain(&daemon->spool, feed, &diag);
	/* No loader saw it, but it is rejected all the same. */
	state->loads[kind][ICP_LOAD_FEED]++;
	state->last = (icp_load_t){
		.kind = kind,
		.outcome = ICP_LOAD_FEED,
		.began = (int64_t)time(NULL),
		.sequence = feed->sequence,
	};
	if (asprintf(&report, "%s\n", diag.text) < 0) {
		report = NULL;
	}
	icp_log(ICP_LOG_ERROR, "rejected: %s", diag.text);
	icp_control_answer(daemon->control, ICP_COMMAND_LOAD, feed->base,
		json_pack("{s:b, s:i, s:s, s:s}", "ok", 0, "status", EXIT_FEED, "error", "rejected",
			"report", diag.text));
	icp_daemon_leave(daemon, feed, ICP_SPOOL_REJECTED, report);
}

/*! Looks at the spool, if what was seen is too old or it may have changed. */
static void scan(icp_daemon_t *daemon)
{
	icp_diag_t diag = {""};
	int64_t now = icp_daemon_now();
	if (daemon->scanned != INT64_MIN && now - daemon->scanned < FRESH_MS) {
		return;
	}
	if (icp_spool_scan(&daemon->spool, now, &diag) != ICP_EOK) {
		if (icp_daemon_due(&daemon->told_scan, now)) {
			icp_log(ICP_LOG_ERROR, "%s", diag.text);
		}
		return;
	}
	daemon->told_scan = INT64_MIN;
	daemon->scanned = icp_daemon_now();
	daemon->scan_ms = daemon->scanned - now;
}

/*! Whether a loader is at work: that of the daemon before may still be in its last call. */
static bool is_locked(const icp_daemon_t *daemon)
{
	char *path;
	if (asprintf(&path, "%s/lock", daemon->store) < 0) {
		return true;
	}
	int file = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	if (file < 0) {
		return false;
	}
	bool locked = flock(file, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
	close(file);
	return locked;
}

/*! Finds out whether the full feed that the daemon before this one was loading was loaded; then it
 * only has to be moved. */
static void recover(icp_daemon_t *daemon)
{
	const icp_spool_loading_t *loading = &daemon->loading;
	icp_spool_feed_t *feed = icp_spool_find(&daemon->spool, loading->base);
	icp_daemon_read_store(daemon);
	if (feed != NULL && feed->state == ICP_SPOOL_GOOD && feed->full &&
		memcmp(feed->sha256, loading->sha256, sizeof feed->sha256) == 0 &&
		daemon->holds.there && daemon->info.generation > loading->generation &&
		daemon->info.base == loading->sequence) {
		icp_log(ICP_LOG_NOTICE, "%s: was loaded by the daemon before", feed->base);
		icp_control_answer(daemon->control, ICP_COMMAND_LOAD, feed->base,
			json_pack("{s:b, s:s}", "ok", 1, "report",
				"loaded; the daemon ended before it could say so\n"));
		icp_daemon_leave(daemon, feed, ICP_SPOOL_DONE,
			strdup("loaded; the daemon ended before it could say so\n"));
	} else {
		icp_spool_forget(&daemon->spool);
	}
	daemon->loading.base[0] = '\0';
}

/*! Does one thing, if there is one to be done now. */
static bool take_step(icp_daemon_t *daemon)
{
	if (daemon->stopping || daemon->job.busy) {
		return false;
	}
	if (daemon->rollback_wanted) {
		if (daemon->follow.child.pid == 0) {
			icp_daemon_rollback(daemon);
		}
		return false;
	}
	scan(daemon);
	if (daemon->loading.base[0] != '\0') {
		if (is_locked(daemon)) {
			set_timer(daemon, LOCKED_MS);
			return false;
		}
		recover(daemon);
	}
	int64_t now = icp_daemon_now();
	icp_spool_next_t next =
		icp_spool_next(&daemon->spool, &daemon->holds, daemon->state.paused, now);
	switch (next.step) {
	case ICP_SPOOL_NOTHING:
		if (next.wake != INT64_MAX) {
			/* At least a little later, or it might come again and again. */
			set_timer(daemon, next.wake > now ? next.wake - now + 1 : LOOK_MS);
		}
		return false;
	case ICP_SPOOL_LEAVE:
		move(daemon, next.feed);
		return true;
	case ICP_SPOOL_APPLIED:
		if (daemon->announced) {
			leave_applied(daemon, next.feed);
			return true;
		}
		/* The loader that applied it may have been killed before readers could see it: the
		 * next one sees to that, and finds nothing to be done. */
		icp_daemon_load(daemon, next.feed);
		return !daemon->job.busy;
	case ICP_SPOOL_REJECT:
		reject_wrong(daemon, next.feed);
		return true;
	case ICP_SPOOL_LOAD:
		icp_daemon_load(daemon, next.feed);
		return !daemon->job.busy;
	}
	return false;
}

/*! Whether nothing comes any more of a feed that somebody waits for: it was taken away, or another
 * one came in its place. */
static bool is_lost(const char *base, void *context)
{
	const icp_daemon_t *daemon = context;
	if (daemon->job.busy && strcmp(daemon->job.base, base) == 0) {
		return false;
	}
	const icp_spool_feed_t *feed = icp_spool_find(&daemon->spool, base);
	return feed == NULL || !feed->wanted;
}

void icp_daemon_step(icp_daemon_t *daemon)
{
	int steps = 0;
	int64_t began = icp_daemon_now();
	bool more = true;
	icp_daemon_read_store(daemon);
	while (more && steps < STEPS_MAX && icp_daemon_now() - began < TURN_MS) {
		more = take_step(daemon);
		steps++;
	}
	if (more) {
		set_timer(daemon, 0);
	}
	icp_control_review(daemon->control, is_lost, daemon);
	icp_daemon_count(daemon);
	icp_daemon_check_times(daemon);
	icp_daemon_tell(daemon);
}

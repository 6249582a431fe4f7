/* SPDX-License-Identifier: BSD-3-Clause */
/*! What is looked at by time: once a minute, and at the start; age and gaps with each step, too. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "loader/daemon.h"
#include "loader/prune.h"
#include "loader/spool_move.h"

#define PRUNE_MS ((int64_t)3600 * 1000)

static void check_age(icp_daemon_t *daemon, int64_t now, int64_t wall)
{
	icp_daemon_state_t *state = &daemon->state;
	int64_t age = icp_info_age(&daemon->info, wall);
	bool was_stale = state->stale;
	if (daemon->told_there != daemon->holds.there) {
		daemon->told_there = daemon->holds.there;
		daemon->told_stale = INT64_MIN; /* It is another thing that is to be told. */
	}
	state->stale = !daemon->holds.there || age > daemon->config.daemon.stale_after;
	if (!state->stale) {
		if (was_stale) {
			icp_log(ICP_LOG_NOTICE, "the data is no longer too old");
		}
		daemon->told_stale = INT64_MIN;
	} else if (icp_daemon_due(&daemon->told_stale, now)) {
		char text[ICP_TIME_TEXT_MAX];
		icp_time_format(wall - age, text);
		if (daemon->holds.there) {
			icp_log(ICP_LOG_WARNING,
				"the data is of %s, older than stale_after: does the feed arrive?",
				text);
		} else {
			icp_log(ICP_LOG_WARNING,
				"%s: no current generation that can be read: a full feed is needed",
				daemon->store);
		}
	}
}

static void check_gap(icp_daemon_t *daemon, int64_t now, int64_t wall)
{
	icp_daemon_state_t *state = &daemon->state;
	state->gap_late = state->gap_since != ICP_TIME_NONE &&
			  wall - state->gap_since >= daemon->config.daemon.gap_after;
	if (state->gap_late && icp_daemon_due(&daemon->told_gap, now)) {
		icp_log(ICP_LOG_ERROR,
			"%zu delta%s, the first is %" PRIu64 ": %" PRIu64
			" is missing for longer than gap_after; give it, or a full feed",
			daemon->gap.waiting, daemon->gap.waiting == 1 ? " waits" : "s wait",
			daemon->gap.first, daemon->gap.missing);
	}
}

/*! Manifests whose feeds do not come, or that can't be read. */
static void check_alone(icp_daemon_t *daemon, int64_t now)
{
	int64_t after = (int64_t)daemon->config.daemon.gap_after * 1000;
	for (size_t i = 0; i < daemon->spool.count; i++) {
		icp_spool_feed_t *feed = &daemon->spool.feeds[i];
		if (feed->told || now - feed->since < after) {
			continue;
		}
		if (feed->state == ICP_SPOOL_ALONE) {
			feed->told = true;
			icp_log(ICP_LOG_WARNING, "%s.json: its feed is still not there",
				feed->base);
		} else if (feed->state == ICP_SPOOL_UNREAD) {
			icp_diag_t diag = {""};
			feed->told = true;
			icp_spool_explain(&daemon->spool, feed, &diag);
			icp_log(ICP_LOG_ERROR, "still not read: %s", diag.text);
		}
	}
}

static void check_names(icp_daemon_t *daemon, int64_t now)
{
	if (daemon->spool.refused == 0) {
		daemon->told_refused = INT64_MIN;
	} else if (icp_daemon_due(&daemon->told_refused, now)) {
		icp_log(ICP_LOG_WARNING,
			"manifests left alone, as their names are too long or hold control "
			"characters: %zu, one is %s",
			daemon->spool.refused, daemon->spool.refused_name);
	}
	if (!daemon->spool.more) {
		daemon->told_more = INT64_MIN;
	} else if (icp_daemon_due(&daemon->told_more, now)) {
		icp_log(ICP_LOG_ERROR, "more than %d feeds: others are looked at when these left",
			ICP_SPOOL_FEEDS_MAX);
	}
}

static void prune(icp_daemon_t *daemon, int64_t now, int64_t wall)
{
	size_t removed = 0;
	if (daemon->pruned != INT64_MIN && now - daemon->pruned < PRUNE_MS) {
		return;
	}
	daemon->pruned = now;
	for (int place = 0; place < ICP_SPOOL_PLACES; place++) {
		removed += icp_spool_prune(&daemon->spool, (enum icp_spool_place)place, wall,
			daemon->config.daemon.keep_spool);
	}
	if (removed > 0) {
		icp_log(ICP_LOG_INFO, "old files removed from done and rejected: %zu", removed);
	}
	removed = icp_prune_audit(daemon->store, wall, daemon->config.daemon.keep_audit);
	if (removed > 0) {
		icp_log(ICP_LOG_INFO, "old days removed from the audit log: %zu", removed);
	}
}

void icp_daemon_check_times(icp_daemon_t *daemon)
{
	int64_t now = icp_daemon_now();
	int64_t wall = (int64_t)time(NULL);
	check_age(daemon, now, wall);
	check_gap(daemon, now, wall);
}

void icp_daemon_tick(icp_daemon_t *daemon)
{
	icp_diag_t diag = {""};
	int64_t now = icp_daemon_now();
	int64_t wall = (int64_t)time(NULL);
	if (icp_daemon_watch_spool(daemon, &diag) != ICP_EOK &&
		icp_daemon_due(&daemon->told_scan, now)) {
		icp_log(ICP_LOG_ERROR, "%s", diag.text);
	}
	icp_daemon_keep_pause(daemon);
	if (daemon->state.paused && icp_daemon_due(&daemon->told_paused, now)) {
		icp_log(ICP_LOG_WARNING,
			"paused (%s): no feed is loaded until \"icpgate ctl resume\"",
			daemon->paused_why);
	}
	icp_daemon_step(daemon);
	check_alone(daemon, now);
	check_names(daemon, now);
	prune(daemon, now, wall);
}

void icp_daemon_tell(icp_daemon_t *daemon)
{
	const icp_daemon_state_t *state = &daemon->state;
	char what[ICP_SPOOL_BASE_MAX + 32] = "";
	if (daemon->stopping) {
		return;
	}
	if (daemon->job.busy) {
		snprintf(what, sizeof what, "; loading %s", daemon->job.base);
	}
	icp_notify(&daemon->notify,
		"STATUS=%s%sgeneration %" PRIu64 ", sequence %" PRIu64
		"; feeds in the spool: %zu, waiting: %zu%s\n",
		state->paused ? "Paused; " : "", state->stale ? "Data is too old; " : "",
		daemon->info.generation, daemon->info.sequence, state->depth, state->waiting, what);
}

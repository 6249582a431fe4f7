/* SPDX-License-Identifier: BSD-3-Clause */
/*! Orders of operators, and what the daemon says of itself. */
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "loader/daemon.h"
#include "loader/load_name.h"
#include "loader/spool_move.h"
#include "loader/state_json.h"

static json_t *refuse(const char *why)
{
	return json_pack("{s:b, s:s}", "ok", 0, "error", why);
}

static json_t *json_time(int64_t seconds)
{
	char text[ICP_TIME_TEXT_MAX];
	icp_time_format(seconds, text);
	return seconds == ICP_TIME_NONE ? json_null() : json_string(text);
}

static json_t *store_of(const icp_daemon_t *daemon)
{
	const icp_store_info_t *info = &daemon->info;
	if (!daemon->holds.there) {
		return json_null();
	}
	return json_pack("{s:I, s:I, s:I, s:o, s:I, s:I, s:b}", "generation",
		(json_int_t)info->generation, "sequence", (json_int_t)info->sequence, "base",
		(json_int_t)info->base, "as_of", json_time(info->as_of), "age",
		(json_int_t)icp_info_age(info, (int64_t)time(NULL)), "rows", (json_int_t)info->rows,
		"stale", daemon->state.stale);
}

static json_t *spool_of(const icp_daemon_t *daemon)
{
	const icp_daemon_state_t *state = &daemon->state;
	return json_pack("{s:s, s:I, s:I, s:o, s:o, s:b, s:I}", "path", daemon->spool_path, "depth",
		(json_int_t)state->depth, "waiting", (json_int_t)state->waiting, "missing",
		state->waiting > 0 ? json_integer((json_int_t)daemon->gap.missing) : json_null(),
		"gap_since", json_time(state->gap_since), "gap_late", state->gap_late, "refused",
		(json_int_t)state->refused);
}

static json_t *status(icp_daemon_t *daemon)
{
	const icp_daemon_state_t *state = &daemon->state;
	icp_daemon_read_store(daemon);
	icp_daemon_count(daemon);
	json_t *answer = json_pack("{s:b, s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "ok", 1,
		"version", ICP_VERSION, "started", json_time(state->started), "paused",
		state->paused ? json_string(daemon->paused_why) : json_null(), "loading",
		daemon->job.busy
			? json_pack("{s:s, s:s, s:o}", "kind", icp_load_kind_name(daemon->job.kind),
				  "feed", daemon->job.base, "began",
				  json_time(daemon->job.began_wall))
			: json_null(),
		"store", store_of(daemon), "spool", spool_of(daemon), "loads",
		icp_loads_json(state), "last", icp_load_json(&state->last), "follow",
		json_pack("{s:s, s:I}", "state", icp_follow_name(state->follow), "starts",
			(json_int_t)state->follow_starts));
	return answer != NULL ? answer : refuse("out of memory");
}

/*! Nothing is loaded from now on, also by a daemon that comes after this one. Where that can't be
 * written down, as on a full disk, it holds for this one, which tries again: an operator who wants
 * things to stand still, or to go back, must not have to make room first. */
static void pause_for(icp_daemon_t *daemon, const char *why)
{
	char before[32];
	icp_diag_t diag = {""};
	daemon->state.paused = true;
	snprintf(daemon->paused_why, sizeof daemon->paused_why, "%s", why);
	daemon->told_paused = icp_daemon_now();
	daemon->pause_owed = icp_spool_pause(&daemon->spool, why, &diag) != ICP_EOK;
	/* One for another reason may be written down, and outlives the daemon. */
	daemon->pause_fleeting = daemon->pause_owed && !icp_spool_is_paused(&daemon->spool, before);
	if (daemon->pause_owed) {
		icp_log(ICP_LOG_ERROR, "%s: %s",
			daemon->pause_fleeting ? "the pause ends with the daemon"
					       : "what the pause is for is not written down",
			diag.text);
	}
	icp_daemon_follow(daemon);
}

void icp_daemon_keep_pause(icp_daemon_t *daemon)
{
	if (daemon->pause_owed &&
		icp_spool_pause(&daemon->spool, daemon->paused_why, NULL) == ICP_EOK) {
		daemon->pause_owed = false;
		daemon->pause_fleeting = false;
		icp_log(ICP_LOG_NOTICE, "the pause is written down now");
	}
}

static json_t *pause_all(icp_daemon_t *daemon)
{
	/* That of a rollback means more. */
	if (!daemon->state.paused) {
		pause_for(daemon, "operator");
	}
	icp_daemon_tell(daemon);
	return json_pack("{s:b, s:s, s:b}", "ok", 1, "paused", daemon->paused_why, "fleeting",
		daemon->pause_fleeting);
}

static json_t *resume(icp_daemon_t *daemon)
{
	icp_diag_t diag = {""};
	if (daemon->rollback_wanted ||
		(daemon->job.busy && daemon->job.kind == ICP_LOAD_ROLLBACK)) {
		return refuse("a rollback is under way");
	}
	if (icp_spool_resume(&daemon->spool, &diag) != ICP_EOK) {
		return refuse(diag.text);
	}
	daemon->state.paused = false;
	daemon->pause_owed = false;
	daemon->pause_fleeting = false;
	daemon->told_paused = INT64_MIN;
	icp_daemon_follow(daemon);
	icp_daemon_look_soon(daemon);
	return json_pack("{s:b, s:n}", "ok", 1, "paused");
}

static json_t *rollback(icp_daemon_t *daemon)
{
	if (daemon->rollback_wanted ||
		(daemon->job.busy && daemon->job.kind == ICP_LOAD_ROLLBACK)) {
		return refuse("a rollback is under way");
	}
	pause_for(daemon, "rollback");
	daemon->rollback_wanted = true;
	icp_daemon_step(daemon);
	return NULL;
}

/*! Why a feed can't be loaded now; NULL: it can. */
static json_t *check_feed(const icp_daemon_t *daemon, const icp_spool_feed_t *feed,
	const icp_request_t *request, const char *wrong)
{
	if (feed->state == ICP_SPOOL_WRONG || feed->state == ICP_SPOOL_UNREAD) {
		return refuse(wrong);
	}
	if (feed->state == ICP_SPOOL_ALONE) {
		return refuse("there is a manifest, but no feed");
	}
	if (feed->leaves) {
		return refuse("it is dealt with, but can't be moved");
	}
	if (request->force && !feed->full) {
		return refuse("force is for full feeds");
	}
	if (!feed->full && (!daemon->holds.there || feed->sequence > daemon->holds.sequence + 1)) {
		return refuse("it is a delta, and one before it is missing");
	}
	return NULL;
}

/*! Takes a feed back that left the spool, if it can be loaded: what is refused stays where it is.
 */
static json_t *take_back(icp_daemon_t *daemon, const icp_request_t *request)
{
	icp_diag_t diag = {""};
	char base[ICP_SPOOL_BASE_MAX + 1];
	icp_spool_feed_t feed = {.base = base};
	enum icp_spool_place place = request->place;
	memcpy(base, request->base, sizeof base);
	if (icp_spool_locate(&daemon->spool, base, &place, &diag) != ICP_EOK) {
		return refuse(diag.text);
	}
	icp_spool_look_at(&daemon->spool, place, &feed, &diag);
	json_t *why = check_feed(daemon, &feed, request, diag.text);
	if (why != NULL) {
		return why;
	}
	if (icp_spool_take_back(&daemon->spool, base, place, &diag) != ICP_EOK ||
		icp_spool_scan(&daemon->spool, icp_daemon_now(), &diag) != ICP_EOK) {
		return refuse(diag.text);
	}
	return NULL;
}

static json_t *load(icp_daemon_t *daemon, const icp_request_t *request)
{
	icp_diag_t diag = {""};
	int64_t now = icp_daemon_now();
	bool said = request->place != ICP_SPOOL_PLACES;
	if (!said && daemon->job.busy && strcmp(daemon->job.base, request->base) == 0) {
		return request->force ? refuse("it is being loaded") : NULL;
	}
	icp_daemon_read_store(daemon);
	if (icp_spool_scan(&daemon->spool, now, &diag) != ICP_EOK) {
		return refuse(diag.text);
	}
	icp_spool_feed_t *feed = icp_spool_find(&daemon->spool, request->base);
	if (feed == NULL || said) {
		json_t *why = take_back(daemon, request);
		if (why != NULL) {
			return why;
		}
		feed = icp_spool_find(&daemon->spool, request->base);
		if (feed == NULL) {
			return refuse("it is gone");
		}
		/* It lay there, and nobody is writing it any more. */
		feed->since = now - ICP_SPOOL_SETTLE_MS;
	}
	if (feed->state == ICP_SPOOL_WRONG || feed->state == ICP_SPOOL_UNREAD) {
		icp_spool_explain(&daemon->spool, feed, &diag);
	}
	json_t *why = check_feed(daemon, feed, request, diag.text);
	if (why != NULL) {
		return why;
	}
	feed->wanted = true;
	feed->forced = feed->forced || request->force;
	feed->retry_at = 0;
	icp_daemon_step(daemon);
	return NULL;
}

json_t *icp_daemon_order(const icp_request_t *request, unsigned user, void *context)
{
	static const char *const names[] = {[ICP_COMMAND_STATUS] = "status",
		[ICP_COMMAND_LOAD] = "load",
		[ICP_COMMAND_ROLLBACK] = "rollback",
		[ICP_COMMAND_PAUSE] = "pause",
		[ICP_COMMAND_RESUME] = "resume"};
	icp_daemon_t *daemon = context;
	if (request->command != ICP_COMMAND_STATUS) {
		bool said = request->place != ICP_SPOOL_PLACES;
		icp_log(ICP_LOG_NOTICE, "user %u: %s%s%s%s%s%s", user, names[request->command],
			request->base[0] != '\0' ? " " : "",
			said ? icp_spool_place_name(request->place) : "", said ? "/" : "",
			request->base, request->force ? " --force" : "");
	}
	switch (request->command) {
	case ICP_COMMAND_STATUS:
		return status(daemon);
	case ICP_COMMAND_LOAD:
		return load(daemon, request);
	case ICP_COMMAND_ROLLBACK:
		return rollback(daemon);
	case ICP_COMMAND_PAUSE:
		return pause_all(daemon);
	case ICP_COMMAND_RESUME:
		return resume(daemon);
	}
	return refuse("no such command");
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! The child that follows a database. It is there while one is configured and nothing is paused: a
 * rollback would be made good by it. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "loader/daemon.h"

#define PAUSE_MIN_MS ((int64_t)1000)
#define PAUSE_MAX_MS ((int64_t)300 * 1000)
#define STEADY_MS ((int64_t)60 * 1000) /* One that ran so long did not fail at once. */
#define PATIENCE_S 10

static void take_line(const char *line, void *context)
{
	icp_daemon_t *daemon = context;
	icp_log(ICP_LOG_INFO, "follow: %s", line);
	/* It may have brought what a delta waits for, or one that lies in the spool. */
	if (daemon->spool.count > 0) {
		icp_daemon_look_soon(daemon);
	}
}

static bool is_wanted(const icp_daemon_t *daemon)
{
	return daemon->config.daemon.follow != NULL && !daemon->state.paused && !daemon->stopping &&
	       !daemon->rollback_wanted;
}

static void time_is_up(evutil_socket_t file, short what, void *context)
{
	icp_daemon_t *daemon = context;
	(void)file;
	(void)what;
	if (daemon->follow.child.pid != 0) {
		icp_log(ICP_LOG_WARNING, "follow: does not end, and is killed");
		icp_child_signal(&daemon->follow.child, SIGKILL);
	} else {
		icp_daemon_follow(daemon);
	}
}

static void set_timer(icp_daemon_t *daemon, int64_t milliseconds)
{
	const struct timeval time = {.tv_sec = (time_t)(milliseconds / 1000),
		.tv_usec = (suseconds_t)(milliseconds % 1000 * 1000)};
	if (daemon->follow.timer == NULL) {
		daemon->follow.timer = evtimer_new(daemon->loop, time_is_up, daemon);
	}
	if (daemon->follow.timer != NULL) {
		event_add(daemon->follow.timer, &time);
	}
}

static void wait_and_start(icp_daemon_t *daemon)
{
	icp_daemon_follow_t *follow = &daemon->follow;
	unsigned doublings = follow->failures < 10 ? follow->failures : 9;
	int64_t pause = PAUSE_MIN_MS << doublings;
	pause = pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
	follow->failures++;
	daemon->state.follow = ICP_FOLLOW_WAITING;
	icp_log(ICP_LOG_NOTICE, "follow: is started again in %" PRId64 " s", pause / 1000);
	set_timer(daemon, pause);
}

static void start(icp_daemon_t *daemon)
{
	icp_daemon_follow_t *follow = &daemon->follow;
	icp_diag_t diag = {""};
	char keep[32];
	free(follow->conninfo);
	follow->conninfo = strdup(daemon->config.daemon.follow);
	follow->keep = daemon->config.daemon.keep;
	follow->rectify_overdue = daemon->config.policy.rectify_overdue;
	snprintf(keep, sizeof keep, "%" PRIu32, follow->keep);
	const char *arguments[] = {daemon->loader, "--store", daemon->store, "--rectify-overdue",
		icp_verdict_name(follow->rectify_overdue), "--keep", keep, "follow", "--from",
		follow->conninfo, NULL};
	int ret = follow->conninfo == NULL
			  ? icp_fail(&diag, ICP_ENOMEM, "out of memory")
			  : icp_child_start(&follow->child, daemon->loop, (char *const *)arguments,
				    take_line, daemon, &diag);
	if (ret != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "follow: %s", diag.text);
		wait_and_start(daemon);
		return;
	}
	follow->started = icp_daemon_now();
	follow->ends = false;
	daemon->state.follow = ICP_FOLLOW_RUNNING;
	daemon->state.follow_starts++;
	icp_log(ICP_LOG_INFO, "follow: started");
}

/*! Whether one that is wanted would be started otherwise by now. */
static bool is_outdated(const icp_daemon_t *daemon)
{
	const icp_daemon_follow_t *follow = &daemon->follow;
	const icp_config_t *config = &daemon->config;
	return follow->keep != config->daemon.keep ||
	       follow->rectify_overdue != config->policy.rectify_overdue ||
	       strcmp(follow->conninfo, config->daemon.follow) != 0;
}

static void end(icp_daemon_t *daemon)
{
	if (!daemon->follow.ends) {
		daemon->follow.ends = true;
		icp_child_signal(&daemon->follow.child, SIGTERM);
		set_timer(daemon, (int64_t)PATIENCE_S * 1000);
	}
}

void icp_daemon_follow(icp_daemon_t *daemon)
{
	icp_daemon_follow_t *follow = &daemon->follow;
	bool wanted = is_wanted(daemon);
	if (follow->child.pid != 0) {
		if (!wanted || is_outdated(daemon)) {
			end(daemon);
		}
		return;
	}
	if (follow->timer != NULL) {
		event_del(follow->timer);
	}
	daemon->state.follow = ICP_FOLLOW_OFF;
	if (wanted) {
		start(daemon);
	}
}

void icp_daemon_follow_ended(icp_daemon_t *daemon)
{
	icp_daemon_follow_t *follow = &daemon->follow;
	if (!icp_child_reap(&follow->child)) {
		return;
	}
	bool told = follow->ends;
	if (follow->child.exit == -1) {
		daemon->announced = false;
		icp_log(told ? ICP_LOG_INFO : ICP_LOG_ERROR, "follow: ended by signal %d (%s)",
			follow->child.killer, strsignal(follow->child.killer));
	} else {
		icp_log(told ? ICP_LOG_INFO : ICP_LOG_ERROR, "follow: ended, exit status %d",
			follow->child.exit);
	}
	icp_child_close(&follow->child);
	if (icp_daemon_now() - follow->started >= STEADY_MS) {
		follow->failures = 0;
	}
	if (told || !is_wanted(daemon)) {
		icp_daemon_follow(daemon);
	} else {
		wait_and_start(daemon);
	}
	/* A rollback waits for this. */
	icp_daemon_step(daemon);
}

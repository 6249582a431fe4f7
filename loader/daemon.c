/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/time.h"
#include "loader/spool_move.h"

#define PROGRAM "icpgate-load"
#define REPEAT_MS ((int64_t)3600 * 1000)
#define PATIENCE_LOAD                                                                              \
	30               /* Seconds that a load has to end by itself, once the daemon shall end,   \
			  */
#define PATIENCE_KILL 10 /* and then after SIGTERM. */

int64_t icp_daemon_now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

bool icp_daemon_due(int64_t *told, int64_t now)
{
	if (*told != INT64_MIN && now - *told < REPEAT_MS) {
		return false;
	}
	*told = now;
	return true;
}

/*! Ends the loop when nothing is left that must end before. */
static void end_if_idle(icp_daemon_t *daemon)
{
	if (daemon->stopping && !daemon->job.busy && daemon->follow.child.pid == 0) {
		event_base_loopbreak(daemon->loop);
	}
}

static void impatient(evutil_socket_t file, short what, void *context)
{
	icp_daemon_t *daemon = context;
	const struct timeval more = {.tv_sec = PATIENCE_KILL};
	(void)file;
	(void)what;
	int number = daemon->killing ? SIGKILL : SIGTERM;
	if (daemon->job.busy) {
		icp_log(ICP_LOG_WARNING, "%s does not end: %s", PROGRAM, strsignal(number));
	}
	icp_child_signal(&daemon->job.child, number);
	icp_child_signal(&daemon->follow.child, number);
	daemon->killing = true;
	event_add(daemon->patience, &more);
}

/*! A load that is under way has time to come to its end; asked a second time, it has none. */
static void stop(icp_daemon_t *daemon)
{
	const struct timeval patience = {.tv_sec = PATIENCE_LOAD};
	if (daemon->stopping) {
		impatient(-1, 0, daemon);
		return;
	}
	daemon->stopping = true;
	icp_notify(&daemon->notify, "STOPPING=1\nSTATUS=Ending\n");
	icp_log(ICP_LOG_NOTICE, "ending%s",
		daemon->job.busy ? ", once the load that is under way has ended" : "");
	icp_control_close(daemon->control);
	daemon->control = NULL;
	icp_daemon_keep_pause(daemon);
	icp_daemon_follow(daemon);
	event_add(daemon->patience, &patience);
	end_if_idle(daemon);
}

static void tell_kept(const char *key, const char *old, const char *new)
{
	if (strcmp(old, new) != 0) {
		icp_log(ICP_LOG_WARNING, "%s: changes only when the daemon is started again", key);
	}
}

static bool same_place(const icp_endpoint_t *one, const icp_endpoint_t *other)
{
	return one->port == other->port &&
	       memcmp(&one->address, &other->address, sizeof one->address) == 0;
}

/*! Begins to answer over HTTP where the configuration says so, if that is not where it does. What
 * there was before goes on when that fails. */
static int serve(icp_daemon_t *daemon, icp_diag_t *diag)
{
	const icp_endpoint_t *at = &daemon->config.daemon.http;
	icp_http_t *http;
	if (same_place(at, &daemon->http_at)) {
		return ICP_EOK;
	}
	int ret = icp_http_open(
		&http, daemon->loop, daemon->store, &daemon->config, &daemon->state, diag);
	if (ret == ICP_EOK) {
		icp_http_close(daemon->http);
		daemon->http = http;
		daemon->http_at = *at;
	}
	return ret;
}

static void reload(icp_daemon_t *daemon)
{
	icp_config_t config;
	icp_diag_t diag = {""};
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	icp_notify(&daemon->notify, "RELOADING=1\nMONOTONIC_USEC=%lld\n",
		(long long)time.tv_sec * 1000000 + time.tv_nsec / 1000);
	if (icp_config_load(&config, icp_config_path(daemon->config_path), &diag) != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "%s; the configuration stays as it was", diag.text);
	} else {
		tell_kept(
			"store", daemon->store, daemon->store_given ? daemon->store : config.store);
		tell_kept("daemon.spool", daemon->spool_path, config.daemon.spool);
		tell_kept("daemon.control", daemon->control_path, config.daemon.control);
		icp_config_deinit(&daemon->config);
		daemon->config = config;
		icp_log(ICP_LOG_NOTICE, "the configuration was read again");
		if (serve(daemon, &diag) != ICP_EOK) {
			icp_log(ICP_LOG_ERROR, "%s; HTTP stays where it was", diag.text);
		}
		icp_daemon_follow(daemon);
		daemon->pruned = INT64_MIN; /* What is too old may be another thing. */
		icp_daemon_tick(daemon);
	}
	icp_notify(&daemon->notify, "READY=1\n");
	icp_daemon_tell(daemon);
}

static void signalled(evutil_socket_t number, short what, void *context)
{
	icp_daemon_t *daemon = context;
	(void)what;
	if (number == SIGHUP) {
		reload(daemon);
	} else {
		stop(daemon);
	}
}

static void child_ended(evutil_socket_t number, short what, void *context)
{
	icp_daemon_t *daemon = context;
	(void)number;
	(void)what;
	icp_daemon_load_ended(daemon);
	icp_daemon_follow_ended(daemon);
	end_if_idle(daemon);
}

static void alive(evutil_socket_t file, short what, void *context)
{
	const icp_daemon_t *daemon = context;
	(void)file;
	(void)what;
	icp_notify(&daemon->notify, "WATCHDOG=1\n");
}

static void look(evutil_socket_t file, short what, void *context)
{
	(void)file;
	(void)what;
	icp_daemon_step(context);
}

static void tick(evutil_socket_t file, short what, void *context)
{
	(void)file;
	(void)what;
	icp_daemon_tick(context);
}

static int no_memory(icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "out of memory");
}

/*! Beside the daemon's own program; where that is not known, where it was installed. */
static void find_loader(icp_daemon_t *daemon)
{
	ssize_t length = readlink("/proc/self/exe", daemon->loader, sizeof daemon->loader - 1);
	char *slash;
	daemon->loader[length > 0 ? length : 0] = '\0';
	slash = strrchr(daemon->loader, '/');
	if (slash != NULL &&
		(size_t)(slash - daemon->loader) + sizeof "/" PROGRAM <= sizeof daemon->loader) {
		memcpy(slash, "/" PROGRAM, sizeof "/" PROGRAM);
	}
	if (slash == NULL || access(daemon->loader, X_OK) != 0) {
		snprintf(daemon->loader, sizeof daemon->loader, "%s", ICP_SBINDIR "/" PROGRAM);
	}
}

static int make_events(icp_daemon_t *daemon, icp_diag_t *diag)
{
	static const int numbers[ICP_DAEMON_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
	const struct timeval minute = {.tv_sec = 60};
	struct event_base *loop = event_base_new();
	daemon->loop = loop;
	if (loop == NULL) {
		return no_memory(diag);
	}
	bool good = true;
	for (size_t i = 0; i < ICP_DAEMON_SIGNALS; i++) {
		daemon->signals[i] = evsignal_new(loop, numbers[i], signalled, daemon);
		good = good && daemon->signals[i] != NULL &&
		       event_add(daemon->signals[i], NULL) == 0;
	}
	daemon->child_ended = evsignal_new(loop, SIGCHLD, child_ended, daemon);
	daemon->look = evtimer_new(loop, look, daemon);
	daemon->tick = event_new(loop, -1, EV_PERSIST, tick, daemon);
	daemon->alive = event_new(loop, -1, EV_PERSIST, alive, daemon);
	daemon->patience = evtimer_new(loop, impatient, daemon);
	good = good && daemon->child_ended != NULL && daemon->look != NULL &&
	       daemon->tick != NULL && daemon->alive != NULL && daemon->patience != NULL &&
	       event_add(daemon->child_ended, NULL) == 0 && event_add(daemon->tick, &minute) == 0;
	return good ? ICP_EOK : no_memory(diag);
}

static int open_all(icp_daemon_t *daemon, icp_diag_t *diag)
{
	int ret = make_events(daemon, diag);
	if (ret == ICP_EOK) {
		ret = icp_spool_open(&daemon->spool, daemon->spool_path, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_daemon_watch_spool(daemon, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_control_open(&daemon->control, daemon->loop, daemon->control_path,
			icp_daemon_order, daemon, diag);
	}
	return ret == ICP_EOK ? serve(daemon, diag) : ret;
}

int icp_daemon_open(
	icp_daemon_t *daemon, const char *config_path, const char *store, icp_diag_t *diag)
{
	*daemon = (icp_daemon_t){
		.config_path = config_path,
		.store_given = store != NULL,
		.spool = {.directory = -1},
		.inotify = -1,
		.notify = {.socket = -1},
		.job = {.child = {.pipe = -1}},
		.follow = {.child = {.pipe = -1}},
		.scanned = INT64_MIN,
		.told_stale = INT64_MIN,
		.told_gap = INT64_MIN,
		.told_paused = INT64_MIN,
		.told_refused = INT64_MIN,
		.told_more = INT64_MIN,
		.told_scan = INT64_MIN,
		.pruned = INT64_MIN,
		.state =
			{
				.started = (int64_t)time(NULL),
				.gap_since = ICP_TIME_NONE,
				.last = {.began = ICP_TIME_NONE},
			},
	};
	int ret = icp_config_load(&daemon->config, icp_config_path(config_path), diag);
	if (ret == ICP_EOK) {
		daemon->store = strdup(store != NULL ? store : daemon->config.store);
		daemon->spool_path = strdup(daemon->config.daemon.spool);
		daemon->control_path = strdup(daemon->config.daemon.control);
		ret = daemon->store == NULL || daemon->spool_path == NULL ||
				      daemon->control_path == NULL
			      ? no_memory(diag)
			      : ICP_EOK;
	}
	if (ret == ICP_EOK) {
		find_loader(daemon);
		ret = open_all(daemon, diag);
	}
	if (ret != ICP_EOK) {
		icp_daemon_close(daemon);
	}
	return ret;
}

int icp_daemon_run(icp_daemon_t *daemon)
{
	icp_diag_t diag = {""};
	icp_notify_open(&daemon->notify, (uint64_t)getpid());
	daemon->state.paused = icp_spool_is_paused(&daemon->spool, daemon->paused_why);
	if (icp_spool_recover(&daemon->spool, &daemon->loading, &diag) != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "%s", diag.text);
	}
	icp_log(ICP_LOG_NOTICE, "version %s, spool %s, store %s", ICP_VERSION, daemon->spool_path,
		daemon->store);
	icp_daemon_tick(daemon);
	icp_daemon_follow(daemon);
	icp_daemon_step(daemon);
	icp_notify(&daemon->notify, "READY=1\n");
	icp_daemon_tell(daemon);
	if (daemon->notify.watchdog_us > 0) {
		uint64_t often = daemon->notify.watchdog_us / 3;
		const struct timeval interval = {.tv_sec = (time_t)(often / 1000000),
			.tv_usec = (suseconds_t)(often % 1000000)};
		event_add(daemon->alive, &interval);
		alive(-1, 0, daemon);
	}
	int rc = event_base_dispatch(daemon->loop);
	icp_log(ICP_LOG_NOTICE, "ended");
	return rc < 0 || daemon->failed ? ICP_ESYS : ICP_EOK;
}

static void free_event(struct event *event)
{
	if (event != NULL) {
		event_free(event);
	}
}

void icp_daemon_close(icp_daemon_t *daemon)
{
	icp_control_close(daemon->control);
	icp_http_close(daemon->http);
	icp_child_close(&daemon->job.child);
	icp_child_close(&daemon->follow.child);
	for (size_t i = 0; i < ICP_DAEMON_SIGNALS; i++) {
		free_event(daemon->signals[i]);
	}
	free_event(daemon->child_ended);
	free_event(daemon->changed);
	free_event(daemon->look);
	free_event(daemon->tick);
	free_event(daemon->alive);
	free_event(daemon->patience);
	free_event(daemon->follow.timer);
	if (daemon->inotify >= 0) {
		close(daemon->inotify);
	}
	if (daemon->loop != NULL) {
		event_base_free(daemon->loop);
	}
	icp_spool_close(&daemon->spool);
	icp_notify_close(&daemon->notify);
	icp_config_deinit(&daemon->config);
	free(daemon->follow.conninfo);
	free(daemon->store);
	free(daemon->spool_path);
	free(daemon->control_path);
	*daemon = (icp_daemon_t){.inotify = -1};
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * icpgated: loads what arrives in the spool, in children that run icpgate-load, and tells how it
 * is. This is what its parts share; each is a file:
 *
 *   daemon.c         begin and end, signals, the configuration that is read again
 *   daemon_spool.c   what is next with the feeds: the loop looks, and takes a step
 *   daemon_load.c    loads and rollbacks: a child, and what its end means
 *   daemon_follow.c  the child that follows a database
 *   daemon_watch.c   what is looked at by time: age, gaps, what is too old to keep
 *   daemon_control.c orders of operators
 *
 * One thread, and one event loop; nothing in it waits. Times named now are milliseconds of a clock
 * that is not set back.
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>
#include <limits.h>

#include "core/config.h"
#include "core/info.h"
#include "loader/child.h"
#include "loader/control.h"
#include "loader/daemon_state.h"
#include "loader/http.h"
#include "loader/log.h"
#include "loader/notify.h"
#include "loader/spool.h"
#include "loader/spool_move.h"
#include "loader/spool_order.h"

#define ICP_DAEMON_SIGNALS 3 /*!< That it takes as orders. */

/*! What is going on in the child that loads. */
typedef struct {
	bool busy;
	icp_child_t child;
	enum icp_load_kind kind;
	char base[ICP_SPOOL_BASE_MAX + 1]; /*!< Of the feed. */
	uint64_t sequence;
	uint8_t sha256[ICP_SHA256_SIZE]; /*!< By its manifest. */
	int64_t began;                   /*!< Milliseconds. */
	int64_t began_wall;              /*!< Seconds since the epoch. */
} icp_daemon_job_t;

typedef struct {
	icp_child_t child;
	struct event *timer; /*!< It is started again; or it did not end in time. */
	/*! That it was started with: */
	char *conninfo;
	uint32_t keep;
	enum icp_verdict rectify_overdue;
	int64_t started;
	unsigned failures; /*!< In a row. */
	bool ends;         /*!< It was told to. */
} icp_daemon_follow_t;

typedef struct {
	struct event_base *loop;
	const char *config_path; /*!< That of -c, or NULL. */
	icp_config_t config;     /*!< In force; replaced when it is read again. */
	/*! What stays as it was at the start: */
	bool store_given; /*!< By --store. */
	char *store;
	char *spool_path;
	char *control_path;
	char loader[PATH_MAX]; /*!< The program icpgate-load. */

	icp_spool_t spool;
	int64_t scanned; /*!< When; INT64_MIN: it has to be looked at anew. */
	int64_t scan_ms; /*!< That it took. */
	icp_spool_gap_t gap;
	icp_spool_store_t holds;
	/*! A loader has ended well, and none was killed since: readers see what the store holds.
	 * See session.c. */
	bool announced;
	icp_store_info_t info; /*!< Of the current generation, if there is one. */
	char paused_why[32];
	/*! A full feed that a daemon before this one was loading; until it is known whether it was.
	 */
	icp_spool_loading_t loading;

	icp_daemon_job_t job;
	bool rollback_wanted;
	bool pause_owed;     /*!< It, or why, could not be written down; it is tried again. */
	bool pause_fleeting; /*!< None is written down, so it ends with the daemon. */
	icp_daemon_follow_t follow;
	icp_control_t *control;
	icp_http_t *http; /*!< NULL: none is wanted. */
	icp_notify_t notify;
	icp_daemon_state_t state;

	struct event *signals[ICP_DAEMON_SIGNALS];
	struct event *child_ended;
	struct event *changed; /*!< inotify. */
	int inotify;
	icp_endpoint_t http_at; /*!< Where HTTP is answered. */
	struct event *look;     /*!< It is time to look at the spool, or to take a step. */
	struct event *tick;     /*!< Once a minute. */
	struct event *alive;
	struct event *patience; /*!< The load that is waited for before the end. */
	bool stopping;
	bool killing; /*!< The load was told to end. */
	bool failed;  /*!< The end is no good one. */
	/*! When it was last told; INT64_MIN: not since it was fine. */
	int64_t told_stale, told_gap, told_paused, told_refused, told_more, told_scan;
	bool told_there; /*!< There was a generation when the age was looked at last. */
	int64_t pruned;
} icp_daemon_t;

/*!
 * \brief Reads the configuration and opens all there is to open.
 * \param config_path  NULL: the default
 * \param store        NULL: the configuration's
 * \retval ICP_EOK      ended by icp_daemon_close
 * \retval ICP_ECONFIG, ICP_EBUSY, ICP_ESYS, ICP_ENOMEM
 */
int icp_daemon_open(
	icp_daemon_t *daemon, const char *config_path, const char *store, icp_diag_t *diag);

/*! \brief Runs until a signal ends it. \retval ICP_EOK, ICP_ESYS */
int icp_daemon_run(icp_daemon_t *daemon);

void icp_daemon_close(icp_daemon_t *daemon);

/* What the parts give each other. */

int64_t icp_daemon_now(void);

/*! \brief Whether something that goes on is to be told again; notes that it is. */
bool icp_daemon_due(int64_t *told, int64_t now);

/*! \brief Has the spool looked at soon, because something may have changed there. Also by many
 * calls it is put off no longer than by the first. */
void icp_daemon_look_soon(icp_daemon_t *daemon);

/*! \brief Looks whether the data, or a gap, is too old by now, and tells of it. */
void icp_daemon_check_times(icp_daemon_t *daemon);

/*! \brief Looks at the spool, and does what is to be done next. */
void icp_daemon_step(icp_daemon_t *daemon);

/*! \brief Begins to watch the spool, again if it is another directory by now. \retval ICP_EOK,
 * ICP_ESYS */
int icp_daemon_watch_spool(icp_daemon_t *daemon, icp_diag_t *diag);

/*! \brief Reads what the store holds. Where commits come too fast for that, the last is kept. */
void icp_daemon_read_store(icp_daemon_t *daemon);

/*! \brief Decides that a feed leaves the spool, and moves it. Takes the report over, which may be
 * NULL. */
void icp_daemon_leave(
	icp_daemon_t *daemon, icp_spool_feed_t *feed, enum icp_spool_place place, char *report);

/*! \brief Begins to load a feed; if that fails, it is tried again later. */
void icp_daemon_load(icp_daemon_t *daemon, icp_spool_feed_t *feed);

/*! \brief Writes down that it is paused, where that was not possible before. */
void icp_daemon_keep_pause(icp_daemon_t *daemon);

/*! \brief Begins a rollback. */
void icp_daemon_rollback(icp_daemon_t *daemon);

/*! \brief What the end of the child means, if it ended. */
void icp_daemon_load_ended(icp_daemon_t *daemon);

/*! \brief Starts or ends the child that follows, as things are. */
void icp_daemon_follow(icp_daemon_t *daemon);

void icp_daemon_follow_ended(icp_daemon_t *daemon);

/*! \brief What is done at the start and once a minute. */
void icp_daemon_tick(icp_daemon_t *daemon);

/*! \brief Brings the part of the state up to date that tells of the spool. */
void icp_daemon_count(icp_daemon_t *daemon);

/*! \brief Tells the service manager in a line how things are. */
void icp_daemon_tell(icp_daemon_t *daemon);

/*! \brief icp_control_take_t */
json_t *icp_daemon_order(const icp_request_t *request, unsigned user, void *context);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the daemon knows of itself, for those who ask it: the control socket and HTTP. What the
 * store says is not here; it is read from the store.
 *
 * Threads: one, the event loop's, which changes it and reads it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*! What a load reads. */
enum icp_load_kind { ICP_LOAD_FULL, ICP_LOAD_DELTA, ICP_LOAD_ROLLBACK, ICP_LOAD_KIND_COUNT };

/*! How it ended; but for the last, the exit statuses of icpgate-load. */
enum icp_load_outcome {
	ICP_LOAD_DONE,
	ICP_LOAD_GUARD, /*!< Refused by the guard. */
	ICP_LOAD_USAGE, /*!< Configuration. */
	ICP_LOAD_FEED,  /*!< The feed was rejected. */
	ICP_LOAD_FAILED,
	ICP_LOAD_CRASHED, /*!< Ended by a signal. */
	ICP_LOAD_OUTCOME_COUNT,
};

/*! One load that ended. */
typedef struct {
	enum icp_load_kind kind;
	enum icp_load_outcome outcome;
	int64_t began;     /*!< Seconds since the epoch; ICP_TIME_NONE: there was none so far. */
	double seconds;    /*!< That it took. */
	uint64_t sequence; /*!< Of the feed's manifest; 0: none. */
} icp_load_t;

enum icp_follow_state { ICP_FOLLOW_OFF, ICP_FOLLOW_RUNNING, ICP_FOLLOW_WAITING };

typedef struct {
	int64_t started;   /*!< Seconds since the epoch. */
	bool paused;       /*!< No feed is loaded until an operator says so. */
	bool loading;      /*!< A child is at work. */
	size_t depth;      /*!< Feeds in the spool whose manifest has arrived. */
	size_t waiting;    /*!< Of these: deltas that wait for one before them. */
	int64_t gap_since; /*!< The first of them waits; ICP_TIME_NONE: none does. */
	bool gap_late;     /*!< They wait for longer than gap_after. */
	size_t refused;    /*!< Names in the spool that nothing is done with. */
	bool stale;        /*!< The store is older than stale_after, or there is none. */
	uint64_t loads[ICP_LOAD_KIND_COUNT][ICP_LOAD_OUTCOME_COUNT]; /*!< Since the start. */
	icp_load_t last;                                             /*!< The last load of all. */
	enum icp_follow_state follow; /*!< WAITING: it ended, and will be started again. */
	uint64_t follow_starts;
} icp_daemon_state_t;

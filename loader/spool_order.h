/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is to be done next with the feeds of a spool. A pure function of what lies there, what the
 * store holds, and the time.
 *
 * Feeds come in the order of their sequences, a delta before the full feed of the same one, and
 * with the same kind in the order of their names. A delta is loaded when the store has the sequence
 * before it, so one that came out of order waits; a full feed waits for nothing. What fails to load
 * for reasons that are not its own is tried again later, and does not hold up others meanwhile.
 */
#pragma once

#include "loader/spool.h"

/*! What the store holds. */
typedef struct {
	bool there; /*!< There is a current generation that can be read. */
	uint64_t sequence;
} icp_spool_store_t;

enum icp_spool_step {
	ICP_SPOOL_NOTHING,
	ICP_SPOOL_LEAVE,   /*!< Its place is decided: move it there. */
	ICP_SPOOL_APPLIED, /*!< A delta that the store has. */
	ICP_SPOOL_REJECT,  /*!< It is wrong, and did not change for a while. */
	ICP_SPOOL_LOAD,
};

typedef struct {
	enum icp_spool_step step;
	icp_spool_feed_t *feed; /*!< Of the spool; NULL with ICP_SPOOL_NOTHING. */
	int64_t wake;           /*!< When there may be something to do, if nothing changes until
				 * then; with ICP_SPOOL_NOTHING. INT64_MAX: never. */
} icp_spool_next_t;

/*! \param paused  only feeds that an operator wants are looked at, and those that leave */
icp_spool_next_t icp_spool_next(
	const icp_spool_t *spool, const icp_spool_store_t *store, bool paused, int64_t now);

/*! Deltas that can't be loaded as one before them is not there. */
typedef struct {
	size_t waiting;
	uint64_t missing; /*!< The first sequence that is missing, with some that wait. */
	uint64_t first;   /*!< The first one that waits for it. */
} icp_spool_gap_t;

/*! \retval ICP_EOK, ICP_ENOMEM  (the gap is void) */
int icp_spool_gap(const icp_spool_t *spool, const icp_spool_store_t *store, icp_spool_gap_t *gap);

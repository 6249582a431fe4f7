/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Follows a PostgreSQL database: each transaction that changed the feed becomes a delta, applied as
 * one transaction of the store, in the order of commits. What was applied is known from the store's
 * sequence alone, so that nothing is lost and nothing applied twice, whatever breaks. One thread.
 */
#pragma once

#include "loader/delta.h"

#define ICP_FOLLOW_NAME_MAX 64

typedef struct {
	const char *conninfo;
	icp_session_options_t session; /*!< For each delta, with the time of then. */
	int64_t (*clock)(void);        /*!< Seconds. */
	bool once;                     /*!< Catch up and return, instead of waiting for more. */
	int stop; /*!< Descriptor that becomes readable when it shall return. */
	/*! Told of each delta that was applied. */
	void (*applied)(const icp_delta_result_t *result, const char *feed, void *context);
	void *context;
} icp_follow_job_t;

/*! Where it ended. */
typedef struct {
	char feed[ICP_FOLLOW_NAME_MAX]; /*!< The delta read last, for messages. */
	icp_bad_t bad;                  /*!< Its bad rows. */
} icp_follow_result_t;

/*! \brief A descriptor that tells of SIGINT and SIGTERM, which do nothing else from now on; -1:
 * errno says why. */
int icp_follow_stop(void);

/*!
 * \brief Connects, catches up, and then applies changes as they are committed. A connection that
 *        breaks is made again, with a growing pause between tries; the first one must succeed.
 * \param result  filled in any case
 * \retval ICP_EOK      caught up and once was asked for, or stopped; never in the middle of a delta
 * \retval ICP_EGUARD   the database does not hold the changes after the store's sequence any more,
 *                       or is behind it
 * \retval ICP_EFEED    a change breaks a rule; result says which
 * \retval ICP_ECONFIG  conninfo can't be read
 * \retval ICP_ENOSTORE there is no generation to apply changes to
 * \retval ICP_ESYS, ICP_ENOMEM, ICP_EDAMAGED
 */
int icp_follow(const icp_follow_job_t *job, icp_follow_result_t *result, icp_diag_t *diag);

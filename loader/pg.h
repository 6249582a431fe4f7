/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * PostgreSQL as the source of feeds: one connection and what is asked through it. The relations
 * are those of conf/filing.sql: the view icpgate_feed, the table icpgate_changes, and
 * icpgate_sequence, whose one row is the sequence of what a snapshot shows. One thread.
 *
 * Nothing waits for ever: ten seconds for the connection unless its parameters say otherwise, a
 * minute for a lock in the database, ten minutes for the server's next octet.
 *
 * Every function that fails says why in one line: ICP_ESYS, or ICP_ENOMEM. No password is in it.
 */
#pragma once

#include "loader/full.h"

#define ICP_PG_FEED "postgresql:icpgate_feed"       /*!< The default view, in messages. */
#define ICP_PG_QUERY "postgresql:query"             /*!< The operator's query, likewise. */
#define ICP_PG_CHANGES "postgresql:icpgate_changes" /*!< One sequence of it, likewise. */

typedef struct icp_pg icp_pg_t;

/*! A transaction that changed the feed. */
typedef struct {
	uint64_t sequence;
	int64_t at; /*!< Seconds; the time of its commit. */
} icp_pg_commit_t;

/*!
 * \brief Connects.
 * \param conninfo  a connection string or URI as libpq takes it
 * \param stop      descriptor that becomes readable when waiting shall end, as a failure; or -1
 * \retval ICP_EOK
 * \retval ICP_ECONFIG  not a connection string
 * \retval ICP_ESYS, ICP_ENOMEM
 */
int icp_pg_open(icp_pg_t **pg, const char *conninfo, int stop, icp_diag_t *diag);

/*! \brief Disconnects; NULL is fine. */
void icp_pg_close(icp_pg_t *pg);

/*! \brief Whether the last failure is one that another connection, later, may not have. */
bool icp_pg_may_recover(const icp_pg_t *pg);

/*! \brief From now on icp_pg_wait ends when a change is committed. */
int icp_pg_listen(icp_pg_t *pg, icp_diag_t *diag);

/*!
 * \brief Waits for the next commit of a change since icp_pg_listen, or the last such wait.
 * \param milliseconds  at most
 * \retval ICP_EOK  there was one, or the time is over
 */
int icp_pg_wait(icp_pg_t *pg, int milliseconds, icp_diag_t *diag);

/*!
 * \brief Lists the commits after a sequence that are still known, oldest first.
 * \param newest   the database's sequence
 * \param commits  filled, as many as there is room for
 * \param count    room, then how many
 */
int icp_pg_commits(icp_pg_t *pg, uint64_t after, uint64_t *newest, icp_pg_commit_t *commits,
	size_t *count, icp_diag_t *diag);

/*! \brief Begins to read the changes of one sequence, a delta feed, by icp_pg_give. */
int icp_pg_changes(icp_pg_t *pg, uint64_t sequence, icp_diag_t *diag);

/*! \brief For icp_stream_from: the CSV of what was begun. The context is an icp_pg_t. */
ssize_t icp_pg_give(void *context, char *into, size_t room, icp_diag_t *diag);

/*!
 * \brief Loads a full feed, read in one snapshot together with the sequence that it shows.
 * \param query  rows of a full feed; NULL: the view icpgate_feed
 * \param job    its feed is the name for messages, its origin is not looked at
 * \retval those of icp_pg_open and icp_full_load
 */
int icp_pg_load(const char *conninfo, const char *query, const icp_full_job_t *job,
	icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag);

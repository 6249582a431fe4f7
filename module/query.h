/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the module knows of a query while it runs, and the sub-queries of HTTPS and SVCB queries.
 *
 * An HTTPS or SVCB answer is judged by its address hints, by the A and AAAA of the query name, and
 * by those of the names that its records point at (TargetName): a client goes to these. What is
 * not cached is asked for by sub-queries, which are queries like any client's; each leaves the real
 * addresses of its answer in its own state, from which they are copied when it is done.
 *
 * All memory is the query's region; every function is for the thread that runs the query.
 */
#pragma once

#include "module/cache.h"
#include "module/read.h"

#define ICP_TARGETS_MAX 8 /*!< Targets that are looked up, those of the best priority. */
#define ICP_LOOKUPS_MAX ((size_t)2 * (1 + ICP_TARGETS_MAX))

/*! A or AAAA of a name that an answer leads to. */
typedef struct {
	struct query_info question;
	icp_addresses_t found;
	bool asked; /*!< By a sub-query. */
	bool done;
} icp_lookup_t;

typedef struct {
	bool guarded;    /*!< The module keeps the iterator from storing the answer. */
	bool responded;  /*!< Since it was guarded, there was an upstream response. */
	bool handed_on;  /*!< To a query with RD. */
	bool failed;     /*!< Out of memory: it can't be judged. */
	bool below_done; /*!< The modules below are done; what they returned is being judged. */
	icp_addresses_t
		own; /*!< Real addresses of the answer, for queries that wait for this one. */
	icp_lookup_t *lookups; /*!< The query name's come first. */
	size_t lookup_count;
} icp_query_t;

/*! \brief The state of a query, made if there is none. NULL: out of memory. */
icp_query_t *icp_query_of(struct module_qstate *qstate, int id);

/*!
 * \brief True for the resolver's own lookups, which see the real data: addresses of name servers,
 * of zone transfer sources.
 */
bool icp_query_is_internal(const struct module_qstate *qstate);

/*! \brief Keeps the iterator from storing what it will find. */
void icp_query_guard(struct module_qstate *qstate, icp_query_t *query);

/*! \brief True when results of this query belong in the cache. */
bool icp_query_may_store(const struct module_qstate *qstate, const icp_query_t *query);

/*!
 * \brief Sets up the lookups for an HTTPS or SVCB answer, and finds what is cached; none for any
 *        other answer. What was found before is kept as far as the answer still leads there.
 * \return false: out of memory
 */
bool icp_query_plan(struct module_qstate *qstate, icp_query_t *query, const struct reply_info *rep);

/*! \brief True when a lookup is not done yet. */
bool icp_query_lacks(const icp_query_t *query);

/*!
 * \brief Asks for what is not done.
 * \return true if there is anything to wait for; what can't be asked for is done, and failed is set
 */
bool icp_query_ask(struct module_qstate *qstate, icp_query_t *query);

/*!
 * \brief Hands a prefetch without RD on to one with RD.
 * \return true if there is that to wait for; once
 */
bool icp_query_prefetch(struct module_qstate *qstate, icp_query_t *query);

/*! \brief Keeps the real addresses of the answer for the queries that wait for this one. */
void icp_query_keep_own(
	struct module_qstate *qstate, icp_query_t *query, const struct reply_info *rep);

/*! \brief Takes the result of a sub-query that has ended. */
void icp_query_take(icp_query_t *query, struct module_qstate *super,
	const struct module_qstate *sub, const icp_query_t *sub_query);

/*!
 * \brief True for a response that the iterator must not store: all answers to a judged query, since
 * a chain of CNAMEs is stored with its end, and whatever else leads to addresses. A referral leads
 * to those of name servers, is no message and must be stored.
 */
bool icp_query_must_not_store(const struct module_qstate *qstate, const struct reply_info *rep);

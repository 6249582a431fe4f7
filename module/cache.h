/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Unbound's caches, as the module uses them.
 *
 * A message that leads to addresses is in the message cache in one of these ways:
 *
 * leased  It was judged and passed. Its TTL there is cut to a lease; its RRsets keep their own TTL.
 *         Once the lease is over, Unbound treats the message as expired and runs the module, which
 *         takes the same message out of the cache, judges it again and renews the lease. A lease
 *         also ends the time for which serve-expired may serve it.
 * stale   Its data has expired, and serve-expired may serve it. It was judged and passed; the time
 *         for which it may be served stale is cut to a lease.
 * parked  It was judged and blocked, or nobody has judged it. Its TTL is in the past, so that
 * nobody but the module finds it there, judges it with every query, and answers without asking
 *         upstream, whatever the verdict.
 *
 * Every function is for the thread that runs the query; locks are held within a call only.
 */
#pragma once

#include <stdbool.h>

#include "module/read.h"
#include "module/unbound.h"

/*! A copy of a cached message. */
typedef struct {
	struct dns_msg *msg; /*!< With remaining TTLs. NULL: there is neither this nor refs. */
	struct rrset_ref
		*refs; /*!< What the message consists of: tells it from one that replaced it. */
	size_t ref_count;
	hashvalue_type hash; /*!< Of the question. */
	uint64_t identity;   /*!< A hash of these. */
	bool is_stale; /*!< Its data has expired; serve-expired is on and allows to serve it. */
	bool prefetch_due;
} icp_cached_t;

/*! \brief True for the types whose answers lead to addresses: A, AAAA, HTTPS, SVCB, ANY; class IN.
 */
bool icp_is_judged_query(const struct query_info *qinfo);

/*! \brief True when the client wants validated data. */
bool icp_must_validate(const struct module_qstate *qstate);

/*! \brief True for what such a client must not be given. */
bool icp_is_bogus(const struct module_qstate *qstate, const struct reply_info *rep);

/*!
 * \brief Finds the message for a question whose data may be served, in whichever of the ways above
 *        it is cached. The flags are the query's.
 * \return false if there is none with an answer, or out of memory
 */
bool icp_cache_find(
	struct module_qstate *qstate, const struct query_info *question, icp_cached_t *cached);

/*! \brief The same for the query's own message, but does not copy one that is parked and lives. */
bool icp_cache_look(struct module_qstate *qstate, icp_cached_t *cached);

/*! \brief Grants the query's message a lease from now on, if it is still the same. */
void icp_cache_renew(struct module_qstate *qstate, const icp_cached_t *cached, time_t lease);

/*! \brief The upstream has failed: a stale message may be served for a while without asking it. */
void icp_cache_skip_recursion(struct module_qstate *qstate);

/*! \brief After a failed prefetch: lets the next one wait for a while. */
void icp_cache_delay_prefetch(struct module_qstate *qstate);

/*! \brief Parks the query's message, if there is one. */
void icp_cache_park(struct module_qstate *qstate);

/*! \brief Parks every message that leads to addresses. For a cache that was filled before. */
void icp_cache_park_all(struct module_env *env);

/*! \brief Stores a message that leads to no address, as the iterator would. */
void icp_cache_store(struct module_qstate *qstate, struct reply_info *rep);

/*! \brief Stores a message leased; with no time left, parked. */
void icp_cache_store_leased(struct module_qstate *qstate, struct reply_info *rep, time_t lease);

/*! \brief Stores a message parked. */
void icp_cache_store_parked(struct module_qstate *qstate, struct reply_info *rep);

/*! \brief Stores the RRsets of a message, not the message. */
void icp_cache_store_rrsets(struct module_qstate *qstate, struct reply_info *rep);

/*!
 * \brief Unbound updates a cached RRset in place, so messages that refer to it would show addresses
 *        that they were not judged with. Takes the ones that this reply would update so out of the
 *        cache, which voids those messages.
 * \return false if other addresses stay in the cache, as they are better trusted: a message stored
 *         now would refer to these
 */
bool icp_cache_forget_replaced(struct module_qstate *qstate, const struct reply_info *rep);

/*!
 * \brief Where the cache has an RRset of a response already, puts that in its place, with the TTL
 *        that is left: what the iterator does when it stores a response. Else the validator would
 *        lengthen the life of what is cached.
 */
void icp_cache_adopt(struct module_qstate *qstate, struct reply_info *rep);

/*!
 * \brief After the validator has stored the RRsets of a query without RD, which it does unasked:
 * puts those with addresses anew into the cache, which voids the messages that refer to them.
 */
void icp_cache_replace_rrsets(struct module_qstate *qstate, struct reply_info *rep);

/*! \brief Stores SERVFAIL for the query as briefly as the iterator does. */
void icp_cache_store_failure(struct module_qstate *qstate);

/*! \brief True when an answer is cached for the query that SERVFAIL must not replace. */
bool icp_cache_has_answer(struct module_qstate *qstate);

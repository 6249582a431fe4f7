/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Unbound's caches, as the module uses them.
 *
 * A message that holds addresses enters the message cache only after it was judged, and its life
 * there is cut to a lease; its RRsets keep their own TTL. Once the lease is over, Unbound finds no
 * message, runs the module, and the module takes the same message out of the cache, judges it
 * again and renews the lease. A blocked name never has a message; its RRsets alone are cached, and
 * an answer is put together from those to judge it.
 *
 * Every function is for the thread that runs the query; locks are held within a call only.
 */
#pragma once

#include <stdbool.h>

#include "module/unbound.h"

/*! The answer section of something cached, copied to the query's region. */
typedef struct {
	struct ub_packed_rrset_key **rrsets;
	size_t count;
	enum sec_status security; /*!< The least of all RRsets. */
} icp_chain_t;

/*! \brief True for the types that are judged: A and AAAA in class IN. */
bool icp_is_address_query(const struct query_info *qinfo);

/*! \brief True when the client wants validated data and this is not known to be valid or unsigned.
 */
bool icp_must_validate(const struct module_qstate *qstate);

/*!
 * \brief The cached message for this query whose data is valid, whether its lease is over or not.
 * \param due  set if a prefetch of it is due
 * \return a copy with remaining TTLs; NULL if there is none, or out of memory
 */
struct dns_msg *icp_cache_message(struct module_qstate *qstate, bool *due);

/*! \brief Gives that message a lease from now on. */
void icp_cache_renew(struct module_qstate *qstate, time_t lease);

/*! \brief After a failed prefetch: lets the next one wait for a while. */
void icp_cache_delay_prefetch(struct module_qstate *qstate);

/*! \brief Takes the query's message out of the message cache. */
void icp_cache_drop(struct module_qstate *qstate);

/*!
 * \brief Follows CNAMEs through the RRset cache from the query name to its addresses.
 * \return false if the chain is not cached whole as answer data
 */
bool icp_cache_chain(struct module_qstate *qstate, icp_chain_t *chain);

/*! \brief Stores a judged message; it is served for so many seconds at most. */
void icp_cache_store(struct module_qstate *qstate, struct reply_info *rep, time_t lease);

/*! \brief Stores the RRsets of a message, not the message. */
void icp_cache_store_rrsets(struct module_qstate *qstate, struct reply_info *rep);

/*! \brief Stores SERVFAIL for the query as briefly as the iterator does. */
void icp_cache_store_failure(struct module_qstate *qstate);

/*! \brief True when an answer that is served is cached for the query. */
bool icp_cache_has_answer(struct module_qstate *qstate);

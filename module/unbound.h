/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * All of Unbound's headers that the module needs, and the differences between its versions.
 * ICP_UNBOUND_MINOR is the N of the 1.N.x that the module is compiled against.
 */
#pragma once

#include "config.h"

#include <arpa/inet.h>

#ifndef HAVE_PTHREAD
#error "Unbound without threads forks for each worker, and LMDB must not be used across a fork"
#endif

#include "dynlibmod/dynlibmod.h"
#include "iterator/iter_delegpt.h"
#include "iterator/iter_utils.h"
#include "iterator/iterator.h"
#include "services/cache/dns.h"
#include "services/cache/rrset.h"
#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/alloc.h"
#include "util/config_file.h"
#include "util/data/dname.h"
#include "util/data/msgparse.h"
#include "util/data/msgreply.h"
#include "util/data/packed_rrset.h"
#include "util/log.h"
#include "util/module.h"
#include "util/net_help.h"
#include "util/regional.h"
#include "util/storage/slabhash.h"

/*! Up to 1.24 something with a TTL is served through the second in which that ends, later until it.
 * UB_LAST_SECOND is the one second that this makes. */
#ifdef TTL_IS_EXPIRED
#define UB_LAST_SECOND 0
#else
#define UB_LAST_SECOND 1
#endif

/*! True when what has this absolute TTL is no longer served. */
static inline int ub_is_expired(time_t ttl, time_t now)
{
	return ttl + UB_LAST_SECOND <= now;
}

/*!
 * Unbound serves expired messages without asking modules, up to a time that each of them bears;
 * with serve-expired-ttl 0 it does not look at that. Ten years are as good as no limit, and looked
 * at.
 */
#define UB_STALE_NO_LIMIT 315360000

/*!
 * \brief Sees to it that expired messages are served to the time that they bear and not beyond;
 *        unbound-control may have changed that.
 * \return true if something was to be changed
 */
static inline int ub_limit_stale(struct config_file *cfg)
{
	if (cfg->serve_expired_ttl != 0 && !cfg->serve_expired_ttl_reset) {
		return 0;
	}
	if (cfg->serve_expired_ttl == 0) {
		cfg->serve_expired_ttl = UB_STALE_NO_LIMIT;
		SERVE_EXPIRED_TTL = UB_STALE_NO_LIMIT;
	}
	cfg->serve_expired_ttl_reset = 0;
#if ICP_UNBOUND_MINOR >= 22
	SERVE_EXPIRED_TTL_RESET = 0;
#endif
	return 1;
}

/*! The upstream has just failed: let an expired message be served for a while without asking it. */
static inline void ub_skip_recursion(struct reply_info *rep, time_t until)
{
#if ICP_UNBOUND_MINOR >= 22
	rep->serve_expired_norec_ttl = until;
#else
	(void)rep;
	(void)until;
#endif
}

/*! The iterator's state of a query; NULL: it has not come to it. */
static inline struct iter_qstate *ub_iterator_of(const struct module_qstate *qstate)
{
	int iterator = modstack_find(&qstate->env->mesh->mods, "iterator");
	return iterator >= 0 ? qstate->minfo[iterator] : NULL;
}

#define UB_PREFETCH_EXPIRY_ADD 60 /*!< Seconds that Unbound adds as well. */

/*!
 * A prefetch brings data that must replace what is cached, though that is still valid for ttl
 * seconds. Unbound reckons for how long from the life of the message, which is a lease here: too
 * short.
 */
static inline void ub_prefetch_replaces(struct module_qstate *qstate, time_t ttl)
{
	if (qstate->prefetch_leeway < ttl + UB_PREFETCH_EXPIRY_ADD) {
		qstate->prefetch_leeway = ttl + UB_PREFETCH_EXPIRY_ADD;
	}
}

/*!
 * What the iterator does at the end of a query for glue of a parent zone, if it may store: notes
 * that there is none. Else it would look for it again with every query that fails in this zone.
 */
static inline void ub_store_lack_of_glue(struct module_qstate *qstate)
{
	const struct iter_qstate *iq = ub_iterator_of(qstate);
	if (iq != NULL && iq->query_for_pside_glue && iq->pside_glue == NULL) {
		const struct dns_msg *from = iq->deleg_msg != NULL ? iq->deleg_msg : iq->response;
		iter_store_parentside_neg(
			qstate->env, &qstate->qinfo, from != NULL ? from->rep : NULL);
	}
}

/*!
 * Puts a message and its RRsets into the caches; with rrsets_only, only the RRsets. The message is
 * left as it was judged, whatever of it is cached already.
 */
static inline int ub_cache_store(
	struct module_qstate *qstate, struct reply_info *rep, int rrsets_only)
{
	const struct iter_qstate *iq = ub_iterator_of(qstate);
	int is_parent_side = iq != NULL && iq->dp != NULL && iq->dp->has_parent_side_NS;
#if ICP_UNBOUND_MINOR >= 23
	return dns_cache_store(qstate->env, &qstate->qinfo, rep, rrsets_only,
		qstate->prefetch_leeway, is_parent_side, NULL, qstate->query_flags,
		qstate->qstarttime, qstate->is_valrec);
#else
	return dns_cache_store(qstate->env, &qstate->qinfo, rep, rrsets_only,
		qstate->prefetch_leeway, is_parent_side, NULL, qstate->query_flags,
		qstate->qstarttime);
#endif
}

/*! An answer of so many RRsets, all arrays allocated, no RRset in it yet. */
static inline struct reply_info *ub_reply_create(struct regional *region, uint16_t flags,
	time_t ttl, size_t answers, size_t authorities, enum sec_status security)
{
	size_t total = answers + authorities;
#if ICP_UNBOUND_MINOR >= 22
	return construct_reply_info_base(region, flags, 1, ttl, PREFETCH_TTL_CALC(ttl), ttl, ttl,
		answers, authorities, 0, total, security, LDNS_EDE_NONE);
#elif ICP_UNBOUND_MINOR >= 18
	return construct_reply_info_base(region, flags, 1, ttl, PREFETCH_TTL_CALC(ttl), ttl,
		answers, authorities, 0, total, security, LDNS_EDE_NONE);
#else
	return construct_reply_info_base(region, flags, 1, ttl, PREFETCH_TTL_CALC(ttl), ttl,
		answers, authorities, 0, total, security);
#endif
}

/*! True when the iterator would have cached the failure it returned. */
static inline int ub_failure_is_cacheable(const struct module_qstate *qstate)
{
#if ICP_UNBOUND_MINOR >= 25
	return qstate->error_response_cache;
#else
	return !qstate->was_ratelimited;
#endif
}

/*!
 * True for a response without an answer that is a referral, as the iterator will see it: it names
 * servers of a zone below the one that was asked, and was not asked of a forwarder.
 */
static inline int ub_is_referral(const struct module_qstate *qstate, const struct reply_info *rep)
{
	const struct iter_qstate *iq = ub_iterator_of(qstate);
	if (iq == NULL || iq->dp == NULL || (iq->chase_flags & BIT_RD) != 0) {
		return 0;
	}
	for (size_t i = 0; i < rep->ns_numrrsets; i++) {
		const struct ub_packed_rrset_key *rrset = rep->rrsets[rep->an_numrrsets + i];
		if (ntohs(rrset->rk.type) == LDNS_RR_TYPE_NS &&
			dname_strict_subdomain_c(rrset->rk.dname, iq->dp->name)) {
			return 1;
		}
	}
	return 0;
}

/*! Makes a query wait for another, which is a query like any client's. If it did not run already,
 * it is created. */
static inline int ub_attach_query(struct module_qstate *qstate, struct query_info *question,
	uint16_t flags, struct module_qstate **created)
{
	*created = NULL;
#if ICP_UNBOUND_MINOR >= 25
	return (*qstate->env->attach_sub)(
		qstate, question, qstate->client_info, flags, 0, 0, created);
#else
	return (*qstate->env->attach_sub)(qstate, question, flags, 0, 0, created);
#endif
}

/*! Makes a query that was just created a prefetch, as another one is. */
static inline void ub_make_prefetch(
	struct module_qstate *created, const struct module_qstate *other)
{
	created->prefetch_leeway = other->prefetch_leeway;
	sock_list_insert(&created->blacklist, NULL, 0, created->region);
}

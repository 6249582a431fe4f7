/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * All of Unbound's headers that the module needs, and the differences between its versions.
 * ICP_UNBOUND_MINOR is the N of the 1.N.x that the module is compiled against.
 */
#pragma once

#include "config.h"

#ifndef HAVE_PTHREAD
#error "Unbound without threads forks for each worker, and LMDB must not be used across a fork"
#endif

#include "dynlibmod/dynlibmod.h"
#include "iterator/iterator.h"
#include "services/cache/dns.h"
#include "services/cache/rrset.h"
#include "services/mesh.h"
#include "services/modstack.h"
#include "sldns/rrdef.h"
#include "util/alloc.h"
#include "util/config_file.h"
#include "util/data/dname.h"
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
 * Puts a message and its RRsets into the caches; with rrsets_only, only the RRsets.
 *
 * A prefetch brings data that must replace what is cached, though that is still valid. Unbound
 * reckons for how long from the life of the message, which is a lease here: too short. A query that
 * prefetches has a blacklist of servers.
 */
static inline int ub_cache_store(
	struct module_qstate *qstate, struct reply_info *rep, int rrsets_only)
{
	time_t leeway = qstate->blacklist != NULL ? qstate->env->cfg->max_ttl : 0;
#if ICP_UNBOUND_MINOR >= 23
	return dns_cache_store(qstate->env, &qstate->qinfo, rep, rrsets_only, leeway, 0, NULL,
		qstate->query_flags, qstate->qstarttime, qstate->is_valrec);
#else
	return dns_cache_store(qstate->env, &qstate->qinfo, rep, rrsets_only, leeway, 0, NULL,
		qstate->query_flags, qstate->qstarttime);
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

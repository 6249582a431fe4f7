/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/cache.h"

#include <arpa/inet.h>

#define CHAIN_MAX 16 /*!< RRsets of a chain; beyond it the iterator decides. */

bool icp_is_address_query(const struct query_info *qinfo)
{
	return qinfo->qclass == LDNS_RR_CLASS_IN &&
	       (qinfo->qtype == LDNS_RR_TYPE_A || qinfo->qtype == LDNS_RR_TYPE_AAAA);
}

bool icp_must_validate(const struct module_qstate *qstate)
{
	return qstate->env->need_to_validate &&
	       ((qstate->query_flags & BIT_CD) == 0 || qstate->env->cfg->ignore_cd);
}

static struct msgreply_entry *lookup_for_write(struct module_qstate *qstate)
{
	/* At time 0 nothing has expired. */
	return msg_cache_lookup(qstate->env, qstate->qinfo.qname, qstate->qinfo.qname_len,
		qstate->qinfo.qtype, qstate->qinfo.qclass, qstate->query_flags, 0, 1);
}

struct dns_msg *icp_cache_message(struct module_qstate *qstate, bool *due)
{
	time_t now = *qstate->env->now;
	struct msgreply_entry *entry = lookup_for_write(qstate);
	if (entry == NULL) {
		return NULL;
	}
	struct reply_info *rep = entry->entry.data;
	struct dns_msg *msg = NULL;
	/* A bogus message has no lease, but a life of its own, after which it is validated again.
	 */
	bool is_over = ub_is_expired(rep->ttl, now) && rep->security == sec_status_bogus;
	if (rep->an_numrrsets > 0 && !is_over) {
		/* Unbound copies only what has not expired; of this message that is up to its
		 * RRsets, which are checked one by one. Nobody else sees it while the entry is
		 * locked. */
		time_t lease_end = rep->ttl;
		rep->ttl = now + 1;
		msg = tomsg(qstate->env, &entry->key, rep, qstate->region, now, 0,
			qstate->env->scratch);
		rep->ttl = lease_end;
		*due = qstate->env->cfg->prefetch && rep->prefetch_ttl <= now;
	}
	lock_rw_unlock(&entry->entry.lock);
	return msg;
}

void icp_cache_renew(struct module_qstate *qstate, time_t lease)
{
	struct msgreply_entry *entry = lookup_for_write(qstate);
	if (entry == NULL) {
		return;
	}
	struct reply_info *rep = entry->entry.data;
	/* Longer than its RRsets live is harmless: they are checked again with every answer. */
	rep->ttl = *qstate->env->now + lease;
	lock_rw_unlock(&entry->entry.lock);
}

void icp_cache_delay_prefetch(struct module_qstate *qstate)
{
	if (qstate->blacklist != NULL) {
		(void)dns_cache_prefetch_adjust(
			qstate->env, &qstate->qinfo, NORR_TTL, qstate->query_flags);
	}
}

void icp_cache_drop(struct module_qstate *qstate)
{
	msg_cache_remove(qstate->env, qstate->qinfo.qname, qstate->qinfo.qname_len,
		qstate->qinfo.qtype, qstate->qinfo.qclass, qstate->query_flags);
}

/*! Copies an RRset of the answer's kind to the end of the chain. */
static bool chain_add(struct module_qstate *qstate, icp_chain_t *chain, uint8_t *owner,
	size_t owner_length, uint16_t type)
{
	time_t now = *qstate->env->now;
	struct ub_packed_rrset_key *cached = rrset_cache_lookup(qstate->env->rrset_cache, owner,
		owner_length, type, qstate->qinfo.qclass, 0, now, 0);
	if (cached == NULL) {
		return false;
	}
	const struct packed_rrset_data *data = cached->entry.data;
	struct ub_packed_rrset_key *copy = NULL;
	/* What came in an authority or additional section is not what the zone itself answers. */
	if (data->trust != rrset_trust_add_noAA && data->trust != rrset_trust_auth_noAA &&
		data->trust != rrset_trust_add_AA && data->trust != rrset_trust_auth_AA) {
		copy = packed_rrset_copy_region(cached, qstate->region, now);
	}
	if (copy != NULL) {
		chain->rrsets[chain->count++] = copy;
		if (data->security < chain->security) {
			chain->security = data->security;
		}
	}
	lock_rw_unlock(&cached->entry.lock);
	return copy != NULL;
}

bool icp_cache_chain(struct module_qstate *qstate, icp_chain_t *chain)
{
	uint8_t *name = qstate->qinfo.qname;
	size_t name_length = qstate->qinfo.qname_len;
	*chain = (icp_chain_t){
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
		.rrsets = regional_alloc(qstate->region, CHAIN_MAX * sizeof *chain->rrsets),
		.security = sec_status_secure,
	};
	while (chain->rrsets != NULL && chain->count < CHAIN_MAX) {
		if (chain_add(qstate, chain, name, name_length, qstate->qinfo.qtype)) {
			return true;
		}
		if (chain->count + 1 == CHAIN_MAX ||
			!chain_add(qstate, chain, name, name_length, LDNS_RR_TYPE_CNAME)) {
			return false;
		}
		name = NULL;
		get_cname_target(chain->rrsets[chain->count - 1], &name, &name_length);
		if (name == NULL) {
			return false;
		}
	}
	return false;
}

/*! True when new data is to replace other data that is cached and that messages refer to. */
static bool replaces(struct module_qstate *qstate, const struct ub_packed_rrset_key *rrset)
{
	struct packed_rrset_data *new = rrset->entry.data;
	/* At time 0: one that has expired is updated in place too, and its messages live again. */
	struct ub_packed_rrset_key *cached =
		rrset_cache_lookup(qstate->env->rrset_cache, rrset->rk.dname, rrset->rk.dname_len,
			ntohs(rrset->rk.type), ntohs(rrset->rk.rrset_class), rrset->rk.flags, 0, 0);
	if (cached == NULL) {
		return false;
	}
	struct packed_rrset_data *old = cached->entry.data;
	bool stays = !ub_is_expired(old->ttl, *qstate->env->now) &&
		     (new->trust < old->trust || (old->security == sec_status_secure &&
							 new->security != sec_status_secure));
	bool replaced = !stays && !rrsetdata_equal(new, old);
	lock_rw_unlock(&cached->entry.lock);
	return replaced;
}

/*!
 * Unbound updates a cached RRset in place, so messages of other names that refer to it would show
 * addresses that were not judged for them. Taken out of the cache, it invalidates them.
 */
static void forget_replaced(struct module_qstate *qstate, const struct reply_info *rep)
{
	for (size_t i = 0; i < rep->an_numrrsets; i++) {
		const struct packed_rrset_key *key = &rep->rrsets[i]->rk;
		uint16_t type = ntohs(key->type);
		if ((type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA) &&
			replaces(qstate, rep->rrsets[i])) {
			rrset_cache_remove(qstate->env->rrset_cache, key->dname, key->dname_len,
				type, ntohs(key->rrset_class), key->flags);
		}
	}
}

void icp_cache_store(struct module_qstate *qstate, struct reply_info *rep, time_t lease)
{
	time_t ttl = rep->ttl;
	if (rep->ttl > lease) {
		rep->ttl = lease;
	}
	forget_replaced(qstate, rep);
	if (!ub_cache_store(qstate, rep, 0)) {
		log_err("icpgate: out of memory storing an answer");
	}
	rep->ttl = ttl;
}

void icp_cache_store_rrsets(struct module_qstate *qstate, struct reply_info *rep)
{
	forget_replaced(qstate, rep);
	if (!ub_cache_store(qstate, rep, 1)) {
		log_err("icpgate: out of memory storing RRsets");
	}
}

bool icp_cache_has_answer(struct module_qstate *qstate)
{
	struct msgreply_entry *entry = msg_cache_lookup(qstate->env, qstate->qinfo.qname,
		qstate->qinfo.qname_len, qstate->qinfo.qtype, qstate->qinfo.qclass,
		qstate->query_flags, *qstate->env->now, 0);
	if (entry == NULL) {
		return false;
	}
	const struct reply_info *rep = entry->entry.data;
	bool good = FLAGS_GET_RCODE(rep->flags) == LDNS_RCODE_NOERROR ||
		    FLAGS_GET_RCODE(rep->flags) == LDNS_RCODE_NXDOMAIN;
	lock_rw_unlock(&entry->entry.lock);
	return good;
}

void icp_cache_store_failure(struct module_qstate *qstate)
{
	struct reply_info failure = {
		.flags = BIT_QR | BIT_RA | LDNS_RCODE_SERVFAIL,
		.qdcount = 1,
		.ttl = NORR_TTL,
		.prefetch_ttl = PREFETCH_TTL_CALC(NORR_TTL),
		.serve_expired_ttl = NORR_TTL,
		.security = sec_status_indeterminate,
	};
	(void)ub_cache_store(qstate, &failure, 0);
}

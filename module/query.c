/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/query.h"

/*! A record of the best priority that is not yet taken into account. */
typedef struct {
	unsigned priority;
	uint8_t *target;
	size_t target_length;
} target_t;

icp_query_t *icp_query_of(struct module_qstate *qstate, int id)
{
	if (qstate->minfo[id] == NULL) {
		qstate->minfo[id] = regional_alloc_zero(qstate->region, sizeof(icp_query_t));
	}
	return qstate->minfo[id];
}

bool icp_query_is_internal(const struct module_qstate *qstate)
{
	/* A query of another class asks in class IN by a sub-query, which is none of these. */
	const struct mesh_state *mesh = qstate->mesh_info;
	return qstate->is_valrec || qstate->is_priming ||
	       (mesh->reply_list == NULL && mesh->cb_list != NULL);
}

void icp_query_guard(struct module_qstate *qstate, icp_query_t *query)
{
	qstate->no_cache_store = 1;
	query->guarded = true;
	query->responded = false;
}

bool icp_query_may_store(const struct module_qstate *qstate, const icp_query_t *query)
{
	/* A zone with forward-no-cache sets no_cache_lookup as well as no_cache_store. Priming has
	 * no RD; if its result were not stored, every query that begins at the root would prime
	 * again. What else comes without RD and did ask is the resolver's too; what did not is a
	 * referral from the cache. */
	return !qstate->no_cache_lookup &&
	       ((qstate->query_flags & BIT_RD) != 0 || qstate->is_priming || query->responded);
}

static bool is_planned(const icp_query_t *query, uint8_t *name)
{
	for (size_t i = 0; i < query->lookup_count; i++) {
		if (query_dname_compare(query->lookups[i].question.qname, name) == 0) {
			return true;
		}
	}
	return false;
}

/*! Reads a record; false if its target is none to be looked up. */
static bool read_target(const icp_query_t *query, const struct ub_packed_rrset_key *rrset,
	size_t record, target_t *target)
{
	const struct packed_rrset_data *data = icp_rrset_data(rrset);
	const uint8_t *name;
	uint16_t priority;
	if (!icp_rdata_target(data->rr_data[record] + 2, data->rr_len[record] - 2, &priority, &name,
		    &target->target_length)) {
		return false;
	}
	target->priority = priority;
	target->target = (uint8_t *)name;
	/* The target "." is the owner, to which the query name leads as well. */
	return target->target_length > 1 &&
	       query_dname_compare(rrset->rk.dname, target->target) != 0 &&
	       !is_planned(query, target->target);
}

/*! Finds the best target that is not planned yet. */
static bool next_target(const icp_query_t *query, const struct reply_info *rep, target_t *best)
{
	bool found = false;
	for (size_t i = 0; i < rep->an_numrrsets; i++) {
		uint16_t type = icp_rrset_type(rep->rrsets[i]);
		if (type != LDNS_RR_TYPE_HTTPS && type != LDNS_RR_TYPE_SVCB) {
			continue;
		}
		for (size_t j = 0; j < icp_rrset_data(rep->rrsets[i])->count; j++) {
			target_t target;
			if (read_target(query, rep->rrsets[i], j, &target) &&
				(!found || target.priority < best->priority)) {
				*best = target;
				found = true;
			}
		}
	}
	return found;
}

/*! What is cached for a lookup; that it is negative is for a sub-query to find. */
static void look_into_cache(struct module_qstate *qstate, icp_lookup_t *lookup)
{
	icp_cached_t cached;
	if (!icp_cache_find(qstate, &lookup->question, &cached)) {
		return;
	}
	const struct reply_info *rep = cached.msg->rep;
	if (icp_must_validate(qstate) && rep->security <= sec_status_bogus) {
		return;
	}
	lookup->done =
		icp_read_addresses(qstate->region, rep->rrsets, rep->an_numrrsets, &lookup->found);
}

static void plan_lookup(struct module_qstate *qstate, icp_query_t *query, const icp_query_t *before,
	uint8_t *name, size_t name_length, uint16_t type)
{
	icp_lookup_t *lookup = &query->lookups[query->lookup_count++];
	*lookup = (icp_lookup_t){
		.question = {.qname = name,
			.qname_len = name_length,
			.qtype = type,
			.qclass = LDNS_RR_CLASS_IN},
	};
	for (size_t i = 0; i < before->lookup_count; i++) {
		const icp_lookup_t *old = &before->lookups[i];
		if (old->question.qtype == type &&
			query_dname_compare(old->question.qname, name) == 0) {
			*lookup = *old;
			return;
		}
	}
	look_into_cache(qstate, lookup);
}

bool icp_query_plan(struct module_qstate *qstate, icp_query_t *query, const struct reply_info *rep)
{
	const icp_query_t before = *query;
	uint8_t *name = qstate->qinfo.qname;
	size_t name_length = qstate->qinfo.qname_len;
	target_t target;
	query->lookup_count = 0;
	bool is_service = qstate->qinfo.qtype == LDNS_RR_TYPE_HTTPS ||
			  qstate->qinfo.qtype == LDNS_RR_TYPE_SVCB;
	if (!is_service || !icp_read_leads(rep->rrsets, rep->an_numrrsets)) {
		return true;
	}
	query->lookups = regional_alloc(qstate->region, sizeof *query->lookups * ICP_LOOKUPS_MAX);
	if (query->lookups == NULL) {
		return false;
	}
	for (size_t names = 0; names <= ICP_TARGETS_MAX; names++) {
		plan_lookup(qstate, query, &before, name, name_length, LDNS_RR_TYPE_A);
		plan_lookup(qstate, query, &before, name, name_length, LDNS_RR_TYPE_AAAA);
		if (!next_target(query, rep, &target)) {
			break;
		}
		name = target.target;
		name_length = target.target_length;
	}
	return true;
}

bool icp_query_lacks(const icp_query_t *query)
{
	for (size_t i = 0; i < query->lookup_count; i++) {
		if (!query->lookups[i].done) {
			return true;
		}
	}
	return false;
}

bool icp_query_prefetch(struct module_qstate *qstate, icp_query_t *query)
{
	uint16_t flags = BIT_RD | (qstate->query_flags & BIT_CD);
	struct module_qstate *created;
	if (query->handed_on || !ub_attach_query(qstate, &qstate->qinfo, flags, &created)) {
		return false;
	}
	query->handed_on = true;
	if (created != NULL) {
		ub_make_prefetch(created, qstate);
	}
	return true;
}

bool icp_query_ask(struct module_qstate *qstate, icp_query_t *query)
{
	uint16_t flags = BIT_RD | (qstate->query_flags & BIT_CD);
	for (size_t i = 0; i < query->lookup_count; i++) {
		icp_lookup_t *lookup = &query->lookups[i];
		if (lookup->done || lookup->asked) {
			continue;
		}
		struct module_qstate *created;
		lookup->asked = true;
		if (!ub_attach_query(qstate, &lookup->question, flags, &created)) {
			lookup->done = true;
			query->failed = true;
		}
	}
	return icp_query_lacks(query);
}

void icp_query_keep_own(
	struct module_qstate *qstate, icp_query_t *query, const struct reply_info *rep)
{
	query->own.count = 0;
	if (qstate->mesh_info->super_set.count > 0 && !icp_is_bogus(qstate, rep)) {
		(void)icp_read_addresses(
			qstate->region, rep->rrsets, rep->an_numrrsets, &query->own);
	}
}

void icp_query_take(icp_query_t *query, struct module_qstate *super,
	const struct module_qstate *sub, const icp_query_t *sub_query)
{
	for (size_t i = 0; i < query->lookup_count; i++) {
		icp_lookup_t *lookup = &query->lookups[i];
		if (lookup->done || lookup->question.qtype != sub->qinfo.qtype ||
			query_dname_compare(lookup->question.qname, sub->qinfo.qname) != 0) {
			continue;
		}
		lookup->done = true;
		lookup->found.count = 0;
		if (sub_query != NULL) {
			/* Without memory it will be judged by what else is known. */
			(void)icp_addresses_append(super->region, &lookup->found, &sub_query->own);
		}
	}
}

static bool bears_soa(const struct reply_info *rep)
{
	for (size_t i = 0; i < rep->ns_numrrsets; i++) {
		if (icp_rrset_type(rep->rrsets[rep->an_numrrsets + i]) == LDNS_RR_TYPE_SOA) {
			return true;
		}
	}
	return false;
}

bool icp_query_must_not_store(const struct module_qstate *qstate, const struct reply_info *rep)
{
	int rcode = FLAGS_GET_RCODE(rep->flags);
	if (icp_is_judged_query(&qstate->qinfo) &&
		(rep->an_numrrsets > 0 ||
			(rcode != LDNS_RCODE_NOERROR && rcode != LDNS_RCODE_NXDOMAIN))) {
		return true;
	}
	if (!icp_read_leads(rep->rrsets, rep->rrset_count)) {
		return false;
	}
	return rep->an_numrrsets > 0 || rcode != LDNS_RCODE_NOERROR || bears_soa(rep) ||
	       !ub_is_referral(qstate, rep);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * icpgate.so: the six functions that Unbound's dynlib module calls, and what happens to a query.
 *
 * The module stands first in the chain. A query that finds no live message in Unbound's cache
 * comes here before anything else (operate_new): if its data is cached, it is judged and answered
 * from there. Otherwise validator and iterator run; they are kept from storing any answer with
 * addresses (on_response), and the finished answer is judged before it is stored or sent
 * (operate_done). Failing means SERVFAIL, never an unjudged answer.
 */
#include "module/answer.h"
#include "module/cache.h"
#include "module/judge.h"
#include "module/setup.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int init(struct module_env *env, int id);
EXPORT void deinit(struct module_env *env, int id);
EXPORT void operate(struct module_qstate *qstate, enum module_ev event, int id,
	struct outbound_entry *outbound);
EXPORT void inform_super(struct module_qstate *qstate, int id, struct module_qstate *super);
EXPORT void clear(struct module_qstate *qstate, int id);
EXPORT size_t get_mem(struct module_env *env, int id);

/*! What minfo points at while it was this module that set no_cache_store. */
static char guarded_mark;

static void guard(struct module_qstate *qstate, int id)
{
	qstate->no_cache_store = 1;
	qstate->minfo[id] = &guarded_mark;
}

/*! True when an answer is kept out of the cache by the module alone, so that it must store it. A
 * zone with forward-no-cache sets no_cache_lookup as well; there, nothing is to be stored. */
static bool is_guarded(const struct module_qstate *qstate, int id)
{
	return qstate->minfo[id] != NULL && !qstate->no_cache_lookup &&
	       (qstate->query_flags & BIT_RD) != 0;
}

/*!
 * Runs before the iterator stores a response, also one that qname minimisation asked for under
 * another name. Answers with addresses must not be stored; referrals, negative answers and
 * failures are, as always. On a timeout there is no response.
 */
static int on_response(
	struct module_qstate *qstate, struct dns_msg *response, int id, void *argument)
{
	(void)argument;
	if (qstate->no_cache_lookup) {
		return 1;
	}
	if (response != NULL && icp_is_address_query(&response->qinfo) &&
		response->rep->an_numrrsets > 0) {
		guard(qstate, id);
	} else {
		qstate->no_cache_store = 0;
		qstate->minfo[id] = NULL;
	}
	return 1;
}

/*! The resolver's own lookups (addresses of name servers, of zone transfer sources) see the real
 * data; they have no client, but another query or a callback that waits for them. */
static bool is_internal(const struct module_qstate *qstate)
{
	const struct mesh_state *mesh = qstate->mesh_info;
	return qstate->is_valrec || qstate->is_priming ||
	       (mesh->reply_list == NULL && (mesh->cb_list != NULL || mesh->super_set.count > 0));
}

static void fail(struct module_qstate *qstate)
{
	qstate->return_msg = NULL;
	qstate->return_rcode = LDNS_RCODE_SERVFAIL;
}

/*! Puts the block page's or the stripped answer in place of the real one, if that is the outcome.
 */
static void replace(icp_module_t *module, struct module_qstate *qstate, const icp_chain_t *chain,
	const icp_outcome_t *outcome)
{
	int ret = ICP_EOK;
	if (outcome->kind == ICP_OUTCOME_BLOCK) {
		ret = icp_answer_block(qstate, &module->config, outcome->reason, &outcome->domain);
	} else if (outcome->kind == ICP_OUTCOME_STRIP) {
		ret = icp_answer_strip(qstate, chain->rrsets, chain->count, outcome->rulings);
	}
	if (ret != ICP_EOK || outcome->kind == ICP_OUTCOME_FAIL) {
		fail(qstate);
	}
}

static bool is_bogus(const struct module_qstate *qstate, enum sec_status security)
{
	return security == sec_status_bogus && icp_must_validate(qstate);
}

static icp_chain_t answer_of(const struct reply_info *rep)
{
	return (icp_chain_t){
		.rrsets = rep->rrsets, .count = rep->an_numrrsets, .security = rep->security};
}

/*! Judges a message whose lease is over. True when the query is answered by that. */
static bool answer_from_message(icp_module_t *module, struct module_qstate *qstate)
{
	struct dns_msg *msg = icp_cache_leased(qstate);
	if (msg == NULL) {
		return false;
	}
	icp_chain_t chain = answer_of(msg->rep);
	icp_outcome_t outcome;
	if (!icp_module_judge(module, qstate, &chain, &outcome)) {
		return false;
	}
	if (outcome.kind == ICP_OUTCOME_SERVE) {
		icp_cache_renew(qstate, outcome.lease);
	} else {
		icp_cache_drop(qstate);
	}
	if (chain.security == sec_status_unchecked && icp_must_validate(qstate)) {
		return false;
	}
	qstate->return_msg = msg;
	qstate->return_rcode = LDNS_RCODE_NOERROR;
	if (!is_bogus(qstate, chain.security)) {
		replace(module, qstate, &chain, &outcome);
	}
	return true;
}

/*! Judges a name that has no message by its cached RRsets. True when it is answered by that. */
static bool answer_from_rrsets(icp_module_t *module, struct module_qstate *qstate)
{
	icp_chain_t chain;
	icp_outcome_t outcome;
	if (!icp_cache_chain(qstate, &chain) ||
		(chain.security <= sec_status_bogus && icp_must_validate(qstate)) ||
		!icp_module_judge(module, qstate, &chain, &outcome) ||
		outcome.kind == ICP_OUTCOME_SERVE) {
		return false;
	}
	replace(module, qstate, &chain, &outcome);
	return true;
}

static void operate_new(icp_module_t *module, struct module_qstate *qstate, int id)
{
	qstate->ext_state[id] = module_wait_module;
	if (!icp_is_address_query(&qstate->qinfo)) {
		return;
	}
	guard(qstate, id);
	/* A prefetch blacklists the cache, to bring new data. */
	if (is_internal(qstate) || qstate->blacklist != NULL || qstate->no_cache_lookup) {
		return;
	}
	if (answer_from_message(module, qstate) || answer_from_rrsets(module, qstate)) {
		qstate->ext_state[id] = module_finished;
	}
}

static void judge_answer(icp_module_t *module, struct module_qstate *qstate, int id)
{
	struct reply_info *rep = qstate->return_msg->rep;
	bool store = is_guarded(qstate, id);
	icp_chain_t chain = answer_of(rep);
	icp_outcome_t outcome;

	if (is_internal(qstate)) {
		if (store) {
			icp_cache_store_rrsets(qstate, rep);
		}
		return;
	}
	if (!icp_module_judge(module, qstate, &chain, &outcome)) {
		/* No address in it, so nothing that a verdict could change. */
		if (store) {
			icp_cache_store(qstate, rep, rep->ttl);
		}
		return;
	}
	if (outcome.kind == ICP_OUTCOME_SERVE) {
		if (store) {
			icp_cache_store(qstate, rep, outcome.lease);
		}
		return;
	}
	icp_cache_drop(qstate);
	if (store) {
		icp_cache_store_rrsets(qstate, rep);
	}
	if (!is_bogus(qstate, chain.security)) {
		replace(module, qstate, &chain, &outcome);
	}
}

static void operate_done(icp_module_t *module, struct module_qstate *qstate, int id)
{
	qstate->ext_state[id] = module_finished;
	if (!icp_is_address_query(&qstate->qinfo)) {
		return;
	}
	if (qstate->return_rcode == LDNS_RCODE_NOERROR && qstate->return_msg != NULL) {
		judge_answer(module, qstate, id);
	} else if (qstate->return_rcode == LDNS_RCODE_SERVFAIL && is_guarded(qstate, id)) {
		icp_cache_store_failure(qstate);
	}
}

int init(struct module_env *env, int id)
{
	return icp_module_setup(env, id, on_response);
}

void deinit(struct module_env *env, int id)
{
	icp_module_teardown(env, id);
}

void operate(
	struct module_qstate *qstate, enum module_ev event, int id, struct outbound_entry *outbound)
{
	(void)outbound;
	icp_module_t *module = icp_module_of(qstate->env, id);
	switch (event) {
	case module_event_new:
	case module_event_pass:
		operate_new(module, qstate, id);
		break;
	case module_event_moddone:
		operate_done(module, qstate, id);
		break;
	default:
		fail(qstate);
		qstate->ext_state[id] = module_error;
	}
}

void inform_super(struct module_qstate *qstate, int id, struct module_qstate *super)
{
	/* The module makes no sub-queries. */
	(void)qstate;
	(void)id;
	(void)super;
}

void clear(struct module_qstate *qstate, int id)
{
	qstate->minfo[id] = NULL;
}

size_t get_mem(struct module_env *env, int id)
{
	return icp_module_of(env, id) != NULL ? sizeof(icp_module_t) : 0;
}

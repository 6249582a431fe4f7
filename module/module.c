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
#include <arpa/inet.h>

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

/*! The resolver's own lookups (addresses of name servers, of zone transfer sources) see the real
 * data. A query of another class asks in class IN by a sub-query, which is none of these. */
static bool is_internal(const struct module_qstate *qstate)
{
	const struct mesh_state *mesh = qstate->mesh_info;
	return qstate->is_valrec || qstate->is_priming ||
	       (mesh->reply_list == NULL && mesh->cb_list != NULL);
}

static icp_chain_t answer_of(const struct reply_info *rep)
{
	return (icp_chain_t){
		.rrsets = rep->rrsets, .count = rep->an_numrrsets, .security = rep->security};
}

/*! What came of judging the message that is cached for a query. */
typedef struct {
	struct dns_msg *msg; /*!< A copy. */
	icp_chain_t chain;
	icp_outcome_t outcome;
	bool prefetch_due;
} review_t;

/*! Judges the cached message, and renews its lease or takes it out. False if there is none. */
static bool review_message(icp_module_t *module, struct module_qstate *qstate, review_t *review)
{
	review->prefetch_due = false;
	review->msg = icp_cache_message(qstate, &review->prefetch_due);
	if (review->msg == NULL) {
		return false;
	}
	review->chain = answer_of(review->msg->rep);
	if (!icp_module_judge(module, qstate, &review->chain, &review->outcome)) {
		return false;
	}
	if (review->outcome.kind == ICP_OUTCOME_SERVE) {
		icp_cache_renew(qstate, review->outcome.lease);
	} else {
		icp_cache_drop(qstate);
	}
	return true;
}

/*! True for an answer that the iterator must not store: all to an address query, since a chain of
 * CNAMEs is stored with its end, and whatever else holds addresses. */
static bool must_not_be_stored(const struct module_qstate *qstate, const struct reply_info *rep)
{
	if (icp_is_address_query(&qstate->qinfo)) {
		return rep->an_numrrsets > 0;
	}
	for (size_t i = 0; i < rep->an_numrrsets; i++) {
		uint16_t type = ntohs(rep->rrsets[i]->rk.type);
		if (type == LDNS_RR_TYPE_A || type == LDNS_RR_TYPE_AAAA) {
			return true;
		}
	}
	return false;
}

/*!
 * Runs before the iterator stores a response, also one that qname minimisation asked for under
 * another name. Answers with addresses must not be stored; referrals and negative answers are, as
 * always. On a timeout there is no response.
 */
static int on_response(
	struct module_qstate *qstate, struct dns_msg *response, int id, void *argument)
{
	(void)argument;
	if (qstate->no_cache_lookup) {
		return 1;
	}
	if (response == NULL && icp_is_address_query(&qstate->qinfo)) {
		/* The iterator may start again, and find in the cache what it needs. */
		guard(qstate, id);
		review_t review;
		if (qstate->blacklist != NULL) {
			/* Clients must not have to wait for a prefetch that gets no response. */
			(void)review_message(icp_module_of(qstate->env, id), qstate, &review);
		}
	} else if (response != NULL && must_not_be_stored(qstate, response->rep)) {
		guard(qstate, id);
	} else {
		qstate->no_cache_store = 0;
		qstate->minfo[id] = NULL;
	}
	return 1;
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

/*! Answers from the message that is cached for the query, if its data is valid. */
static bool answer_from_message(icp_module_t *module, struct module_qstate *qstate, bool *due)
{
	review_t review;
	if (!review_message(module, qstate, &review)) {
		return false;
	}
	*due = review.prefetch_due && review.outcome.kind == ICP_OUTCOME_SERVE;
	if (review.chain.security == sec_status_unchecked && icp_must_validate(qstate)) {
		return false;
	}
	qstate->return_msg = review.msg;
	qstate->return_rcode = LDNS_RCODE_NOERROR;
	if (!is_bogus(qstate, review.chain.security)) {
		replace(module, qstate, &review.chain, &review.outcome);
	}
	return true;
}

/*!
 * Answers a blocked name, which has no message, from its cached RRsets. A name that they permit
 * was blocked until now, or its message was lost: the iterator gets its answer whole, once.
 */
static bool answer_from_rrsets(icp_module_t *module, struct module_qstate *qstate)
{
	icp_chain_t chain;
	icp_outcome_t outcome;
	if (!icp_cache_chain(qstate, &chain)) {
		return false;
	}
	if (chain.security <= sec_status_bogus && icp_must_validate(qstate)) {
		return false;
	}
	if (!icp_module_judge(module, qstate, &chain, &outcome) ||
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
	if (is_internal(qstate) || qstate->no_cache_lookup) {
		return;
	}
	if (qstate->blacklist != NULL) {
		/* A prefetch, to bring new data; meanwhile clients are served what is cached. */
		review_t review;
		(void)review_message(module, qstate, &review);
		return;
	}
	bool prefetch_due = false;
	if (answer_from_message(module, qstate, &prefetch_due)) {
		qstate->need_refetch = prefetch_due;
		qstate->ext_state[id] = module_finished;
	} else if (answer_from_rrsets(module, qstate)) {
		qstate->ext_state[id] = module_finished;
	}
}

/*! Stores and answers for a name that is not to be served as it is. */
static void refuse_answer(icp_module_t *module, struct module_qstate *qstate,
	const icp_chain_t *chain, const icp_outcome_t *outcome, bool store)
{
	icp_cache_drop(qstate);
	if (store) {
		icp_cache_store_rrsets(qstate, qstate->return_msg->rep);
	}
	if (!is_bogus(qstate, chain->security)) {
		replace(module, qstate, chain, outcome);
	} else if (store) {
		/* Or every query would fetch and validate it again. */
		icp_cache_store_failure(qstate);
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
	} else if (!icp_module_judge(module, qstate, &chain, &outcome)) {
		/* No address in it, so nothing that a verdict could change. */
		if (store) {
			icp_cache_store(qstate, rep, rep->ttl);
		}
	} else if (outcome.kind != ICP_OUTCOME_SERVE) {
		refuse_answer(module, qstate, &chain, &outcome, store);
	} else if (store) {
		icp_cache_store(qstate, rep, outcome.lease);
	} else if (!qstate->no_cache_lookup) {
		/* Should the iterator have stored it after all. */
		icp_cache_renew(qstate, outcome.lease);
	}
}

/*! The upstream failed. Data that is valid is served all the same, as if its lease had not ended
 * in between; a failure is cached as the iterator would. */
static void handle_failure(icp_module_t *module, struct module_qstate *qstate, int id)
{
	bool due;
	if (!is_internal(qstate) && !qstate->no_cache_lookup &&
		answer_from_message(module, qstate, &due)) {
		icp_cache_delay_prefetch(qstate);
	} else if (is_guarded(qstate, id) && ub_failure_is_cacheable(qstate) &&
		   !icp_cache_has_answer(qstate)) {
		icp_cache_store_failure(qstate);
	}
}

static void operate_done(icp_module_t *module, struct module_qstate *qstate, int id)
{
	bool answered = qstate->return_rcode == LDNS_RCODE_NOERROR && qstate->return_msg != NULL;
	qstate->ext_state[id] = module_finished;
	if (icp_is_address_query(&qstate->qinfo)) {
		if (answered) {
			judge_answer(module, qstate, id);
		} else if (qstate->return_rcode == LDNS_RCODE_SERVFAIL) {
			handle_failure(module, qstate, id);
		}
	} else if (answered && is_guarded(qstate, id)) {
		/* A step of qname minimisation was the last response; the rest was cached. */
		icp_cache_store(qstate, qstate->return_msg->rep, qstate->return_msg->rep->ttl);
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

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * icpgate.so: the six functions that Unbound's dynlib module calls, and what happens to a query.
 *
 * The module stands first in the chain. A query that finds no live message in Unbound's cache
 * comes here before anything else (operate_new): if its data is cached, it is judged and answered
 * from there. Otherwise validator and iterator run; they are kept from storing any answer that
 * leads to addresses (on_response), and the finished answer is judged before it is stored or sent
 * (operate_done). Judging an HTTPS or SVCB answer may need sub-queries; the query then waits, and
 * is taken up where it was. Failing means SERVFAIL, never an unjudged answer.
 */
#include "module/answer.h"
#include "module/cache.h"
#include "module/judge.h"
#include "module/query.h"
#include "module/setup.h"

#define EXPORT __attribute__((visibility("default")))

EXPORT int init(struct module_env *env, int id);
EXPORT void deinit(struct module_env *env, int id);
EXPORT void operate(struct module_qstate *qstate, enum module_ev event, int id,
	struct outbound_entry *outbound);
EXPORT void inform_super(struct module_qstate *qstate, int id, struct module_qstate *super);
EXPORT void clear(struct module_qstate *qstate, int id);
EXPORT size_t get_mem(struct module_env *env, int id);

/*! One query on its way through the module. */
typedef struct {
	icp_module_t *module;
	struct module_qstate *qstate;
	icp_query_t *query;
	int id;
	bool looked;         /*!< The cache was looked into for the query, */
	bool found;          /*!< and there was a message, */
	icp_cached_t cached; /*!< which is this one. */
} run_t;

static void fail(struct module_qstate *qstate)
{
	qstate->return_msg = NULL;
	qstate->return_rcode = LDNS_RCODE_SERVFAIL;
}

/*! What was found out about a reply. */
enum finding {
	FINDING_NONE,   /*!< It leads to no address: there is nothing to judge. */
	FINDING_JUDGED, /*!< The outcome is set. */
	FINDING_WAIT,   /*!< Sub-queries must end first. */
};

/*! Judges a reply; if sub-queries are needed for that, they are made if may_ask is set. */
static enum finding judge(run_t *run, struct reply_info *rep, bool may_ask, icp_outcome_t *outcome)
{
	if (!icp_query_plan(run->qstate, run->query, rep)) {
		*outcome = (icp_outcome_t){.kind = ICP_OUTCOME_FAIL};
		return FINDING_JUDGED;
	}
	if (icp_query_lacks(run->query) && (!may_ask || icp_query_ask(run->qstate, run->query))) {
		return FINDING_WAIT;
	}
	if (run->query->failed) {
		*outcome = (icp_outcome_t){.kind = ICP_OUTCOME_FAIL};
		return FINDING_JUDGED;
	}
	return icp_module_judge(run->module, run->qstate, run->query, rep, outcome) ? FINDING_JUDGED
										    : FINDING_NONE;
}

/*! Puts the block page's, the stripped or the trimmed answer in place of the real one, if that is
 * the outcome. */
static void replace(run_t *run, struct reply_info *rep, const icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	const icp_config_t *config = &run->module->config;
	int ret = ICP_EOK;
	if (qstate->mesh_info->cb_list != NULL && outcome->kind != ICP_OUTCOME_SERVE) {
		/* A lookup of the resolver's that a client has joined: one answer goes to both. */
		fail(qstate);
		return;
	}
	switch (outcome->kind) {
	case ICP_OUTCOME_SERVE:
		qstate->return_msg->rep = icp_answer_trim(qstate, rep, outcome->left_out);
		ret = qstate->return_msg->rep != NULL ? ICP_EOK : ICP_ENOMEM;
		break;
	case ICP_OUTCOME_STRIP:
		ret = icp_answer_strip(qstate, config, rep, outcome->rulings);
		break;
	case ICP_OUTCOME_BLOCK:
		ret = icp_answer_block(qstate, config, outcome->reason, &outcome->domain);
		break;
	case ICP_OUTCOME_FAIL:
		ret = ICP_ENOMEM;
		break;
	}
	if (ret != ICP_EOK) {
		fail(qstate);
	}
}

/*! Copies the message that is cached for the query, if that has not happened. */
static bool find_cached(run_t *run)
{
	if (!run->looked || (run->found && run->cached.msg == NULL)) {
		run->looked = true;
		run->found = icp_cache_find(run->qstate, &run->qstate->qinfo, &run->cached);
	}
	return run->found;
}

/*! Judges the message that is cached for the query, and renews its lease or parks it. */
static enum finding review(run_t *run, bool may_ask, icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	if (!find_cached(run)) {
		return FINDING_NONE;
	}
	const icp_cached_t *cached = &run->cached;
	struct reply_info *rep = cached->msg->rep;
	enum finding finding = judge(run, rep, may_ask, outcome);
	if (finding != FINDING_JUDGED) {
		return finding;
	}
	if (cached->is_stale) {
		icp_module_count(run->module, qstate, ICP_STAT_STALE, 1);
	}
	if (outcome->kind == ICP_OUTCOME_SERVE && outcome->left_out == NULL) {
		icp_cache_renew(qstate, cached, outcome->lease);
		icp_module_count(run->module, qstate, ICP_STAT_RENEWED, 1);
	} else {
		/* Also where only something is left out. */
		icp_cache_park(qstate);
	}
	return finding;
}

/*! Makes a reviewed message the result, if its data is valid. */
static bool answer_from(run_t *run, const icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	struct reply_info *rep = run->cached.msg->rep;
	if (rep->security == sec_status_unchecked && icp_must_validate(qstate)) {
		return false;
	}
	qstate->return_msg = run->cached.msg;
	qstate->return_rcode = LDNS_RCODE_NOERROR;
	icp_query_keep_own(qstate, run->query, rep);
	if (!icp_is_bogus(qstate, rep)) {
		replace(run, rep, outcome);
	}
	return true;
}

/*! Answers a lookup that the resolver makes for itself, of an address, with what is cached for it,
 * whatever its verdict: no client can join it then. */
static void answer_internal(run_t *run)
{
	static const icp_outcome_t real = {.kind = ICP_OUTCOME_SERVE};
	struct module_qstate *qstate = run->qstate;
	if (qstate->mesh_info->cb_list != NULL && icp_is_judged_query(&qstate->qinfo) &&
		!qstate->no_cache_lookup && find_cached(run) && !run->cached.is_stale &&
		answer_from(run, &real)) {
		qstate->ext_state[run->id] = module_finished;
	}
}

/*!
 * Runs before the iterator stores a response, also one that qname minimisation asked for under
 * another name. Answers that lead to addresses must not be stored; referrals and negative answers
 * are, as always. On a timeout there is no response.
 */
static int on_response(
	struct module_qstate *qstate, struct dns_msg *response, int id, void *argument)
{
	run_t run = {.module = icp_module_of(qstate->env, id),
		.qstate = qstate,
		.query = icp_query_of(qstate, id),
		.id = id};
	(void)argument;
	if (qstate->no_cache_lookup || qstate->qinfo.qclass != LDNS_RR_CLASS_IN) {
		return 1;
	}
	if (run.query == NULL) {
		qstate->no_cache_store = 1;
	} else if (response == NULL && icp_is_judged_query(&qstate->qinfo)) {
		/* The iterator may start again, and find in the cache what it needs. */
		icp_query_guard(qstate, run.query);
		if (qstate->blacklist != NULL) {
			/* Clients must not have to wait for a prefetch that gets no response. */
			icp_outcome_t outcome;
			(void)review(&run, false, &outcome);
		}
	} else if (response != NULL) {
		run.query->guarded = icp_query_must_not_store(qstate, response->rep);
		run.query->responded = true;
		qstate->no_cache_store = run.query->guarded;
		if (run.query->guarded) {
			icp_cache_adopt(qstate, response->rep);
		} else {
			(void)icp_cache_forget_replaced(qstate, response->rep);
		}
	}
	return 1;
}

/*! Answers a name that was blocked a short while ago on what still holds. */
static bool answer_from_memory(run_t *run)
{
	struct module_qstate *qstate = run->qstate;
	icp_outcome_t outcome;
	if (qstate->qinfo.qclass != LDNS_RR_CLASS_IN || qstate->no_cache_lookup ||
		icp_query_is_internal(qstate) || !icp_module_is_memorable(run->module, qstate)) {
		return false;
	}
	run->looked = true;
	run->found = icp_cache_look(qstate, &run->cached);
	if (!run->found || run->cached.msg != NULL ||
		!icp_module_recall(run->module, qstate, run->cached.identity, &outcome)) {
		return false;
	}
	replace(run, NULL, &outcome);
	qstate->ext_state[run->id] = module_finished;
	return true;
}

/*! Ends a query that was answered from a reviewed message. */
static void finish_reviewed(run_t *run, const icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	const icp_cached_t *cached = &run->cached;
	if (outcome->kind == ICP_OUTCOME_BLOCK && !cached->is_stale &&
		!icp_is_bogus(qstate, cached->msg->rep) &&
		icp_module_is_memorable(run->module, qstate)) {
		icp_module_remember(run->module, qstate, cached->identity, outcome);
	}
	if (outcome->kind == ICP_OUTCOME_SERVE) {
		qstate->need_refetch = cached->prefetch_due;
		if (cached->is_stale) {
			icp_answer_mark_stale(qstate);
		}
	}
	qstate->need_refetch |= cached->is_stale;
	qstate->ext_state[run->id] = module_finished;
}

static void operate_new(run_t *run)
{
	struct module_qstate *qstate = run->qstate;
	qstate->ext_state[run->id] = module_wait_module;
	if (qstate->qinfo.qclass != LDNS_RR_CLASS_IN) {
		return;
	}
	if (qstate->blacklist != NULL && (qstate->query_flags & BIT_RD) == 0 &&
		qstate->mesh_info->reply_list == NULL) {
		/* A prefetch for a query without RD, which nobody waits for: the validator would
		 * store its data whatever no_cache_store says. */
		bool waits = icp_query_prefetch(qstate, run->query);
		fail(qstate);
		qstate->ext_state[run->id] = waits ? module_wait_subquery : module_finished;
		return;
	}
	if (icp_is_judged_query(&qstate->qinfo)) {
		icp_query_guard(qstate, run->query);
	}
	if (icp_query_is_internal(qstate) || qstate->no_cache_lookup) {
		answer_internal(run);
		return;
	}
	const icp_cached_t *cached = &run->cached;
	icp_outcome_t outcome;
	enum finding finding = review(run, true, &outcome);
	if (finding == FINDING_WAIT) {
		qstate->ext_state[run->id] = module_wait_subquery;
		return;
	}
	if (finding == FINDING_JUDGED && qstate->blacklist != NULL && !cached->is_stale) {
		ub_prefetch_replaces(qstate, cached->msg->rep->ttl);
	}
	/* With serve-expired-client-timeout set, Unbound itself serves a stale message, once it has
	 * waited for the upstream. A prefetch is to bring new data; meanwhile clients are served
	 * what was just reviewed. */
	bool waits = cached->is_stale && qstate->env->cfg->serve_expired_client_timeout > 0;
	if (finding == FINDING_NONE || qstate->blacklist != NULL || waits ||
		!answer_from(run, &outcome)) {
		/* If the message has gone while its sub-queries ran. The modules below take the end
		 * of any sub-query for one of theirs, and detach them all; so they are asked again.
		 */
		(*qstate->env->detach_subs)(qstate);
		run->query->lookup_count = 0;
		return;
	}
	finish_reviewed(run, &outcome);
}

/*! Stores and answers for a query whose reply is not to be served as it is. */
static void refuse_answer(run_t *run, struct reply_info *rep, const icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	if (!icp_query_may_store(qstate, run->query)) {
		icp_cache_park(qstate);
	} else if (!icp_is_bogus(qstate, rep)) {
		icp_cache_store_parked(qstate, rep);
	} else {
		/* Or every query would fetch and validate it again. */
		icp_cache_park(qstate);
		icp_cache_store_rrsets(qstate, rep);
		icp_cache_store_failure(qstate);
	}
	if (!icp_is_bogus(qstate, rep)) {
		replace(run, rep, outcome);
	}
}

/*! Stores and answers for a query whose reply passed, save for RRsets to be left out. */
static void serve_answer(run_t *run, struct reply_info *rep, const icp_outcome_t *outcome)
{
	struct module_qstate *qstate = run->qstate;
	replace(run, rep, outcome);
	if (qstate->return_msg == NULL || !icp_query_may_store(qstate, run->query)) {
		return;
	}
	if (outcome->left_out != NULL) {
		/* Whole, so that it is judged, and trimmed, each time. */
		icp_cache_store_parked(qstate, rep);
	} else {
		icp_cache_store_leased(qstate, rep, outcome->lease);
	}
}

/*! A reply that leads to no address, or is not judged: stores what the iterator was kept from. */
static void pass_answer(run_t *run, struct reply_info *rep)
{
	/* ANY is put together from the cache each time, with whatever is there. */
	bool gathered = run->qstate->qinfo.qtype == LDNS_RR_TYPE_ANY && !run->query->responded;
	if (run->query->guarded && icp_query_may_store(run->qstate, run->query) && !gathered) {
		icp_cache_store(run->qstate, rep);
	}
}

/*! Stores what one of the resolver's own lookups found. */
static void store_internal(run_t *run, struct reply_info *rep)
{
	enum sec_status security = rep->security;
	if (security == sec_status_indeterminate) {
		/* So the validator calls what it was told to pass over; a client must not be
		 * answered from the cache before it was validated. */
		rep->security = sec_status_unchecked;
	}
	if (!icp_read_leads(rep->rrsets, rep->rrset_count)) {
		pass_answer(run, rep);
	} else if (icp_query_may_store(run->qstate, run->query)) {
		icp_cache_store_parked(run->qstate, rep);
	}
	rep->security = security;
}

static void judge_reply(run_t *run)
{
	struct module_qstate *qstate = run->qstate;
	struct reply_info *rep = qstate->return_msg->rep;
	icp_outcome_t outcome;
	if (icp_query_is_internal(qstate)) {
		store_internal(run, rep);
		return;
	}
	switch (judge(run, rep, true, &outcome)) {
	case FINDING_NONE:
		pass_answer(run, rep);
		break;
	case FINDING_WAIT:
		qstate->ext_state[run->id] = module_wait_subquery;
		break;
	case FINDING_JUDGED:
		if (outcome.kind == ICP_OUTCOME_SERVE) {
			serve_answer(run, rep, &outcome);
		} else {
			refuse_answer(run, rep, &outcome);
		}
	}
}

/*! The upstream failed. What is cached is served all the same, as if its lease had not ended. Stale
 * data too: Unbound looks for it with serve-expired-client-timeout alone, but clients may wait for
 * a prefetch that outlasts the lease. A failure is cached as the iterator would. */
static void handle_failure(run_t *run)
{
	struct module_qstate *qstate = run->qstate;
	icp_outcome_t outcome;
	enum finding finding = FINDING_NONE;
	if (!icp_query_is_internal(qstate) && !qstate->no_cache_lookup) {
		finding = review(run, true, &outcome);
	}
	if (finding == FINDING_WAIT) {
		qstate->ext_state[run->id] = module_wait_subquery;
		return;
	}
	if (finding == FINDING_JUDGED && answer_from(run, &outcome)) {
		if (outcome.kind == ICP_OUTCOME_SERVE && run->cached.is_stale) {
			icp_answer_mark_stale(qstate);
			icp_cache_skip_recursion(qstate);
		}
		icp_cache_delay_prefetch(qstate);
	} else if (run->query->guarded && icp_query_may_store(qstate, run->query) &&
		   ub_failure_is_cacheable(qstate) && !icp_cache_has_answer(qstate)) {
		icp_cache_store_failure(qstate);
	}
}

static void operate_done(run_t *run)
{
	struct module_qstate *qstate = run->qstate;
	if (!run->query->below_done && run->query->guarded && !qstate->no_cache_lookup) {
		ub_store_lack_of_glue(qstate);
	}
	run->query->below_done = true;
	qstate->ext_state[run->id] = module_finished;
	if (qstate->qinfo.qclass != LDNS_RR_CLASS_IN) {
		return;
	}
	if (qstate->return_rcode == LDNS_RCODE_NOERROR && qstate->return_msg != NULL) {
		if ((qstate->query_flags & BIT_RD) == 0 && !icp_query_is_internal(qstate)) {
			icp_cache_replace_rrsets(qstate, qstate->return_msg->rep);
		}
		icp_query_keep_own(qstate, run->query, qstate->return_msg->rep);
		judge_reply(run);
	} else if (qstate->return_rcode == LDNS_RCODE_SERVFAIL) {
		handle_failure(run);
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
	run_t run = {.module = icp_module_of(qstate->env, id), .qstate = qstate, .id = id};
	icp_module_watch_clock(run.module, qstate->env);
	if (event == module_event_new && ub_limit_stale(qstate->env->cfg)) {
		log_warn(
			"icpgate: serve-expired-ttl: 0 and serve-expired-ttl-reset: yes were undone");
	}
	/* Most queries that come here, by far: names that are blocked again and again. */
	if (event == module_event_new && answer_from_memory(&run)) {
		return;
	}
	run.query = icp_query_of(qstate, id);
	if (run.query == NULL) {
		event = module_event_error;
	}
	switch (event) {
	case module_event_new:
	case module_event_pass:
		/* Also when the sub-queries of this one have ended. */
		if (run.query->below_done) {
			operate_done(&run);
		} else {
			operate_new(&run);
		}
		break;
	case module_event_moddone:
		operate_done(&run);
		break;
	default:
		fail(qstate);
		qstate->ext_state[id] = module_error;
	}
}

void inform_super(struct module_qstate *qstate, int id, struct module_qstate *super)
{
	/* Supers of the modules below have their own way to the result. */
	icp_query_t *query = super->minfo[id];
	if (query != NULL) {
		icp_query_take(query, super, qstate, qstate->minfo[id]);
	}
}

void clear(struct module_qstate *qstate, int id)
{
	qstate->minfo[id] = NULL;
}

size_t get_mem(struct module_env *env, int id)
{
	return icp_module_of(env, id) != NULL ? sizeof(icp_module_t) : 0;
}

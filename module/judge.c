/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/judge.h"

#include <arpa/inet.h>
#include <string.h>

#define LOG_LINES_MAX 100 /*!< A thread's in a second. */

static bool may_log(icp_log_limit_t *limit, time_t now)
{
	if (limit->second != now) {
		if (limit->held_back > 0) {
			log_info("icpgate: monitor: %u lines more were not logged",
				limit->held_back);
		}
		*limit = (icp_log_limit_t){.second = now};
	}
	if (limit->lines == LOG_LINES_MAX) {
		limit->held_back++;
		return false;
	}
	limit->lines++;
	return true;
}

static void log_would_block(const icp_name_t *name, const icp_outcome_t *outcome)
{
	char text[ICP_NAME_TEXT_MAX];
	char domain[ICP_NAME_TEXT_MAX];
	icp_name_format(name, text);
	icp_name_format(&outcome->domain, domain);
	log_info("icpgate: monitor: would block %s: %s %s", text, icp_reason_name(outcome->reason),
		domain);
}

/*! The TTL of a message that must not be served after the lease or the judgement ends. */
static time_t lease_of(const icp_config_t *config, const icp_judgement_t *judgement, int64_t now)
{
	int64_t lease = config->lease;
	if (judgement->until - now < lease) {
		lease = judgement->until - now;
	}
	return (time_t)(lease > UB_LAST_SECOND ? lease - UB_LAST_SECOND : 0);
}

static bool any_blocked(const icp_ruling_t *rulings, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (rulings[i].verdict == ICP_BLOCK) {
			return true;
		}
	}
	return false;
}

static unsigned seat_of(const struct module_qstate *qstate)
{
	return (unsigned)qstate->env->alloc->thread_num;
}

void icp_module_count(icp_module_t *module, const struct module_qstate *qstate, enum icp_stat stat,
	uint64_t number)
{
	if (seat_of(qstate) < module->seats) {
		icp_stats_count(module->stats, seat_of(qstate), stat, number);
	}
}

static uint64_t clock_nanoseconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

/*! When a judgement begins; 0: it is not to be timed. */
static uint64_t begin_judgement(const icp_module_t *module, unsigned seat)
{
	return seat < module->seats && icp_stats_wants_time(module->stats, seat)
		       ? clock_nanoseconds()
		       : 0;
}

/*! Takes the time, before the judgement is counted. */
static void end_judgement(icp_module_t *module, unsigned seat, uint64_t begun)
{
	if (begun != 0) {
		icp_stats_took(module->stats, seat, clock_nanoseconds() - begun);
	}
}

static void count_warnings(icp_module_t *module, const struct module_qstate *qstate,
	const icp_ruling_t *rulings, size_t ruling_count)
{
	for (size_t i = 0; i < ruling_count; i++) {
		if ((rulings[i].warnings & ICP_WARN_LICENCE_ADDRESS_MISMATCH) != 0) {
			icp_module_count(module, qstate, ICP_STAT_LICENCE, 1);
			return;
		}
	}
}

/*! Judges a name with addresses; icp_gate_release must follow. False: it can't be judged. */
static bool judge_name(icp_module_t *module, struct module_qstate *qstate, uint8_t *dname,
	size_t length, const icp_addresses_t *addresses, icp_name_t *name, icp_decision_t *decision)
{
	unsigned seat = seat_of(qstate);
	if (seat >= module->seats || icp_name_from_wire(name, dname, length) != ICP_EOK ||
		icp_gate_decide(module->gate, seat, name, addresses->items, addresses->count,
			*qstate->env->now, decision) != ICP_EOK) {
		log_err("icpgate: an answer could not be judged");
		return false;
	}
	return true;
}

/*!
 * What becomes of an answer of which some addresses are blocked. Addresses that only the targets of
 * its HTTPS or SVCB records have can't be taken out of it: it is blocked, and clients go by the
 * addresses.
 */
static enum icp_outcome_kind refusal_of(const icp_query_t *query, const icp_judgement_t *judgement,
	const icp_ruling_t *rulings, size_t in_answer, size_t count)
{
	size_t own = in_answer;
	for (size_t i = 0; i < query->lookup_count && i < 2; i++) {
		own += query->lookups[i].found.count;
	}
	if (judgement->verdict == ICP_BLOCK || any_blocked(rulings + own, count - own)) {
		return ICP_OUTCOME_BLOCK;
	}
	return ICP_OUTCOME_STRIP;
}

static void set_domain(icp_outcome_t *outcome, const icp_name_t *name, uint8_t covering)
{
	outcome->covering = covering;
	icp_name_tail(&outcome->domain, name, covering != 0 ? covering : name->labels);
}

/*! Fills the outcome from a decision whose snapshot is still held. */
static void conclude(icp_module_t *module, struct module_qstate *qstate, const icp_query_t *query,
	const icp_name_t *name, const icp_decision_t *decision, size_t in_answer, size_t total,
	icp_outcome_t *outcome)
{
	const icp_judgement_t *judgement = &decision->judgement;
	outcome->kind = ICP_OUTCOME_SERVE;
	outcome->reason = judgement->reason;
	outcome->lease = lease_of(&module->config, judgement, *qstate->env->now);
	icp_stats_judged(module->stats, seat_of(qstate), judgement, decision->stamp.generation,
		*qstate->env->now);
	count_warnings(module, qstate, decision->rulings, total);
	if (!any_blocked(decision->rulings, total)) {
		return;
	}
	if (judgement->verdict == ICP_BLOCK) {
		icp_stats_blocked(module->stats, seat_of(qstate), name);
	}
	set_domain(outcome, name, judgement->covering);
	outcome->stamp = decision->stamp;
	outcome->timed = judgement->timed;
	if (module->config.mode == ICP_MODE_MONITOR) {
		outcome->monitored = true;
		if (may_log(&module->log_limits[seat_of(qstate)], *qstate->env->now)) {
			log_would_block(name, outcome);
		}
		return;
	}
	outcome->kind = refusal_of(query, judgement, decision->rulings, in_answer, total);
	outcome->rulings = regional_alloc_init(
		qstate->region, decision->rulings, in_answer * sizeof *decision->rulings);
	if (outcome->rulings == NULL) {
		outcome->kind = ICP_OUTCOME_FAIL;
	}
}

static void judge_answer(icp_module_t *module, struct module_qstate *qstate,
	const icp_query_t *query, struct reply_info *rep, icp_outcome_t *outcome)
{
	icp_addresses_t addresses = {.count = 0};
	icp_decision_t decision;
	icp_name_t name;
	unsigned seat = seat_of(qstate);
	bool read = icp_read_addresses(qstate->region, rep->rrsets, rep->an_numrrsets, &addresses);
	size_t in_answer = addresses.count;
	for (size_t i = 0; i < query->lookup_count; i++) {
		read = read &&
		       icp_addresses_append(qstate->region, &addresses, &query->lookups[i].found);
	}
	uint64_t begun = begin_judgement(module, seat);
	if (!read || (addresses.count > 0 &&
			     !judge_name(module, qstate, qstate->qinfo.qname,
				     qstate->qinfo.qname_len, &addresses, &name, &decision))) {
		outcome->kind = ICP_OUTCOME_FAIL;
	} else if (addresses.count > 0) {
		end_judgement(module, seat, begun);
		conclude(module, qstate, query, &name, &decision, in_answer, addresses.count,
			outcome);
		icp_gate_release(module->gate, seat);
	}
}

/*! Marks an RRset outside the answer section to be left out. */
static void leave_out(icp_module_t *module, struct module_qstate *qstate,
	const struct reply_info *rep, size_t at, icp_outcome_t *outcome)
{
	bool *marks = (bool *)outcome->left_out;
	if (marks == NULL) {
		marks = regional_alloc_zero(qstate->region, rep->rrset_count * sizeof *marks);
	}
	if (marks == NULL) {
		outcome->kind = ICP_OUTCOME_FAIL;
		return;
	}
	marks[at] = true;
	outcome->left_out = marks;
	icp_module_count(
		module, qstate, ICP_STAT_ADDITIONAL, icp_rrset_data(rep->rrsets[at])->count);
}

/*! Judges an RRset outside the answer section under its own name. */
static void judge_other(icp_module_t *module, struct module_qstate *qstate,
	const struct reply_info *rep, size_t at, icp_outcome_t *outcome)
{
	struct ub_packed_rrset_key *rrset = rep->rrsets[at];
	icp_addresses_t addresses = {.count = 0};
	icp_decision_t decision;
	icp_name_t name;
	if (!icp_rdata_has_addresses(icp_rrset_type(rrset))) {
		return;
	}
	bool read = icp_read_addresses(qstate->region, &rrset, 1, &addresses);
	if (read && addresses.count == 0) {
		return;
	}
	if (!read || !judge_name(module, qstate, rrset->rk.dname, rrset->rk.dname_len, &addresses,
			     &name, &decision)) {
		leave_out(module, qstate, rep, at, outcome);
		return;
	}
	time_t lease = lease_of(&module->config, &decision.judgement, *qstate->env->now);
	if (lease < outcome->lease) {
		outcome->lease = lease;
	}
	if (any_blocked(decision.rulings, addresses.count) &&
		module->config.mode == ICP_MODE_ENFORCE) {
		leave_out(module, qstate, rep, at, outcome);
	}
	icp_gate_release(module->gate, seat_of(qstate));
}

static void count_outcome(
	icp_module_t *module, const struct module_qstate *qstate, const icp_outcome_t *outcome)
{
	static const enum icp_stat stats[] = {
		[ICP_OUTCOME_SERVE] = ICP_STAT_SERVED,
		[ICP_OUTCOME_STRIP] = ICP_STAT_STRIPPED,
		[ICP_OUTCOME_BLOCK] = ICP_STAT_BLOCKED,
		[ICP_OUTCOME_FAIL] = ICP_STAT_FAILED,
	};
	icp_module_count(
		module, qstate, outcome->monitored ? ICP_STAT_MONITORED : stats[outcome->kind], 1);
}

bool icp_module_judge(icp_module_t *module, struct module_qstate *qstate, const icp_query_t *query,
	struct reply_info *rep, icp_outcome_t *outcome)
{
	static const icp_judgement_t no_address = {.until = INT64_MAX};
	if (!icp_read_leads(rep->rrsets, rep->rrset_count)) {
		return false;
	}
	*outcome = (icp_outcome_t){
		.kind = ICP_OUTCOME_SERVE,
		.lease = lease_of(&module->config, &no_address, *qstate->env->now),
	};
	judge_answer(module, qstate, query, rep, outcome);
	for (size_t i = rep->an_numrrsets; i < rep->rrset_count; i++) {
		judge_other(module, qstate, rep, i, outcome);
	}
	count_outcome(module, qstate, outcome);
	return true;
}

/*! A query that nobody but clients wait for, and that no prefetch began. */
static bool is_plain(const struct module_qstate *qstate)
{
	const struct mesh_state *mesh = qstate->mesh_info;
	return qstate->blacklist == NULL && mesh->reply_list != NULL && mesh->super_set.count == 0;
}

/*! What belongs to a query beside its name. */
typedef struct {
	uint64_t message; /*!< That is parked for it. */
	uint32_t type;
	uint32_t flags; /*!< A message with unchecked data is cached for itself. */
} question_t;

static icp_memory_key_t memory_key(const icp_module_t *module, const struct module_qstate *qstate,
	uint64_t message, const icp_name_t *name)
{
	const question_t more = {message, qstate->qinfo.qtype, qstate->query_flags & BIT_CD};
	return icp_memory_key(
		icp_gate_memory(module->gate, seat_of(qstate)), name, &more, sizeof more);
}

bool icp_module_is_memorable(const icp_module_t *module, const struct module_qstate *qstate)
{
	const struct query_info *question = &qstate->qinfo;
	return (question->qtype == LDNS_RR_TYPE_A || question->qtype == LDNS_RR_TYPE_AAAA) &&
	       is_plain(qstate) && seat_of(qstate) < module->seats;
}

static bool may_have_key(const struct query_info *question, icp_name_t *name)
{
	return icp_name_from_wire(name, question->qname, question->qname_len) == ICP_EOK &&
	       icp_memory_takes(name, sizeof(question_t));
}

void icp_module_remember(icp_module_t *module, struct module_qstate *qstate, uint64_t message,
	const icp_outcome_t *outcome)
{
	icp_name_t name;
	if (outcome->stamp.generation == 0 || outcome->timed ||
		!may_have_key(&qstate->qinfo, &name)) {
		return;
	}
	const icp_ruling_t ruling = {
		.gated = true, .verdict = ICP_BLOCK, .reason = outcome->reason};
	const icp_memory_item_t item = {
		.ruling = icp_ruling_pack(&ruling),
		.covering = outcome->covering,
	};
	icp_memory_put(icp_gate_memory(module->gate, seat_of(qstate)),
		memory_key(module, qstate, message, &name), &outcome->stamp, &item);
}

bool icp_module_recall(icp_module_t *module, struct module_qstate *qstate, uint64_t message,
	icp_outcome_t *outcome)
{
	icp_name_t name;
	unsigned seat = seat_of(qstate);
	int64_t now = *qstate->env->now;
	uint64_t begun = begin_judgement(module, seat);
	if (!may_have_key(&qstate->qinfo, &name)) {
		return false;
	}
	icp_stamp_t stamp = icp_gate_stamp(module->gate, seat, now);
	const icp_memory_item_t *item =
		stamp.generation == 0 ? NULL
				      : icp_memory_find(icp_gate_memory(module->gate, seat),
						memory_key(module, qstate, message, &name), &stamp);
	if (item == NULL) {
		return false;
	}
	const icp_judgement_t judgement = {
		.verdict = ICP_BLOCK, .reason = icp_ruling_unpack(item->ruling).reason};
	outcome->kind = ICP_OUTCOME_BLOCK;
	outcome->monitored = false;
	outcome->reason = judgement.reason;
	set_domain(outcome, &name, item->covering);
	end_judgement(module, seat, begun);
	icp_stats_judged(module->stats, seat, &judgement, stamp.generation, now);
	icp_stats_blocked(module->stats, seat, &name);
	count_outcome(module, qstate, outcome);
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/judge.h"

#include <arpa/inet.h>
#include <string.h>

typedef struct {
	icp_address_t *items;
	size_t count;
} addresses_t;

static bool holds_addresses(
	const struct ub_packed_rrset_key *rrset, const struct module_qstate *qstate)
{
	return ntohs(rrset->rk.type) == qstate->qinfo.qtype;
}

/*! Copies all addresses out of an answer section. False: out of memory. */
static bool collect(struct module_qstate *qstate, const icp_chain_t *chain, addresses_t *addresses)
{
	size_t total = 0;
	*addresses = (addresses_t){.count = 0};
	for (size_t i = 0; i < chain->count; i++) {
		if (holds_addresses(chain->rrsets[i], qstate)) {
			total += ((struct packed_rrset_data *)chain->rrsets[i]->entry.data)->count;
		}
	}
	if (total == 0) {
		return true;
	}
	addresses->items = regional_alloc_zero(qstate->region, total * sizeof *addresses->items);
	if (addresses->items == NULL) {
		return false;
	}
	for (size_t i = 0; i < chain->count; i++) {
		const struct packed_rrset_data *data = chain->rrsets[i]->entry.data;
		if (!holds_addresses(chain->rrsets[i], qstate)) {
			continue;
		}
		for (size_t j = 0; j < data->count; j++) {
			/* A record of another length keeps family 0: it is no address, and in no
			 * range. */
			(void)icp_address_from_bytes(&addresses->items[addresses->count++],
				data->rr_data[j] + 2, data->rr_len[j] - 2);
		}
	}
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

/*! Fills the outcome from a decision whose snapshot is still held. */
static void conclude(icp_module_t *module, struct module_qstate *qstate, const icp_name_t *name,
	const icp_decision_t *decision, size_t count, icp_outcome_t *outcome)
{
	const icp_judgement_t *judgement = &decision->judgement;
	outcome->reason = judgement->reason;
	outcome->lease = lease_of(&module->config, judgement, *qstate->env->now);
	if (judgement->verdict == ICP_BLOCK) {
		outcome->kind = ICP_OUTCOME_BLOCK;
	} else if (any_blocked(decision->rulings, count)) {
		outcome->kind = ICP_OUTCOME_STRIP;
	} else {
		outcome->kind = ICP_OUTCOME_SERVE;
		return;
	}
	outcome->domain = *name;
	if (judgement->covering != 0) {
		size_t at = icp_name_suffix(name, judgement->covering);
		(void)icp_name_from_stored(&outcome->domain, name->wire + at, name->length - at);
	}
	if (module->config.mode == ICP_MODE_MONITOR) {
		log_would_block(name, outcome);
		outcome->kind = ICP_OUTCOME_SERVE;
		return;
	}
	outcome->rulings = regional_alloc_init(
		qstate->region, decision->rulings, count * sizeof *decision->rulings);
	if (outcome->rulings == NULL) {
		outcome->kind = ICP_OUTCOME_FAIL;
	}
}

bool icp_module_judge(icp_module_t *module, struct module_qstate *qstate, const icp_chain_t *chain,
	icp_outcome_t *outcome)
{
	icp_name_t name;
	addresses_t addresses;
	icp_decision_t decision;
	unsigned seat = (unsigned)qstate->env->alloc->thread_num;

	*outcome = (icp_outcome_t){.kind = ICP_OUTCOME_FAIL};
	if (!collect(qstate, chain, &addresses)) {
		return true;
	}
	if (addresses.count == 0) {
		return false;
	}
	if (seat >= module->seats ||
		icp_name_from_wire(&name, qstate->qinfo.qname, qstate->qinfo.qname_len) !=
			ICP_EOK ||
		icp_gate_judge(module->gate, seat, &name, addresses.items, addresses.count,
			*qstate->env->now, &decision) != ICP_EOK) {
		log_err("icpgate: an answer could not be judged");
		return true;
	}
	conclude(module, qstate, &name, &decision, addresses.count, outcome);
	icp_gate_release(module->gate, seat);
	return true;
}

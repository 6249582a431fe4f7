/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/snoop.h"

#include <string.h>

#include "module/read.h"

static bool allows_snooping(const struct config_str2list *entry)
{
	while (entry != NULL && strcmp(entry->str2, "allow_snoop") != 0) {
		entry = entry->next;
	}
	return entry != NULL;
}

bool icp_snoop_is_allowed(const struct config_file *cfg)
{
	return allows_snooping(cfg->acls) || allows_snooping(cfg->interface_actions);
}

/*! What is cached ends at a time; what was put together for one reply has a TTL in seconds. */
static bool is_cached(const struct reply_info *rep, time_t now)
{
	return rep->ttl > now / 2;
}

/*! Judges an RRset under its own name. What can't be judged is not shown. */
static bool may_be_shown(icp_module_t *module, struct regional *region,
	struct ub_packed_rrset_key *rrset, time_t now)
{
	icp_addresses_t addresses = {.count = 0};
	icp_decision_t decision;
	icp_name_t name;
	unsigned seat = icp_module_spare_seat(module);
	if (!icp_rdata_has_addresses(icp_rrset_type(rrset))) {
		return true;
	}
	if (!icp_read_addresses(region, &rrset, 1, &addresses) ||
		icp_name_from_wire(&name, rrset->rk.dname, rrset->rk.dname_len) != ICP_EOK ||
		icp_gate_judge(module->gate, seat, &name, addresses.items, addresses.count, now,
			&decision) != ICP_EOK) {
		return false;
	}
	bool shown = true;
	for (size_t i = 0; i < addresses.count; i++) {
		shown &= decision.rulings[i].verdict == ICP_PASS;
	}
	icp_gate_release(module->gate, seat);
	return shown || module->config.mode == ICP_MODE_MONITOR;
}

int icp_snoop_on_reply(struct query_info *question, struct module_qstate *qstate,
	struct reply_info *rep, int rcode, struct edns_data *edns, struct edns_option **options,
	struct comm_reply *client, struct regional *region, struct timeval *now, int id,
	void *argument)
{
	icp_module_t *module = argument;
	(void)question;
	(void)qstate;
	(void)rcode;
	(void)edns;
	(void)options;
	(void)client;
	(void)id;
	if (rep == NULL || is_cached(rep, now->tv_sec) || rep->an_numrrsets > 0) {
		return 1;
	}
	size_t shown = rep->ns_numrrsets;
	pthread_mutex_lock(&module->spare_lock);
	for (size_t i = shown; i < rep->rrset_count; i++) {
		if (may_be_shown(module, region, rep->rrsets[i], now->tv_sec)) {
			rep->rrsets[shown++] = rep->rrsets[i];
		}
	}
	pthread_mutex_unlock(&module->spare_lock);
	rep->rrset_count = shown;
	rep->ar_numrrsets = shown - rep->ns_numrrsets;
	return 1;
}

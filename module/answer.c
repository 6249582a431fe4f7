/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/answer.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define REPLY_FLAGS (BIT_QR | BIT_RA)
#define EDE_TEXT_MAX 512 /*!< Above a reason, a name and the 200 octets of block.text. */

/* The SOA of Unbound's own negative answers, as far as the contract does not set it. */
#define SOA_SERIAL 1
#define SOA_REFRESH 3600
#define SOA_RETRY 1200
#define SOA_EXPIRE 604800
static const uint8_t soa_names[] = "\011localhost\000\006nobody\007invalid";

/*! An RRset of as many records; the caller sets rr_len and rr_data. */
static struct ub_packed_rrset_key *rrset_create(struct regional *region, uint8_t *owner,
	size_t owner_length, uint16_t type, time_t ttl, size_t count)
{
	struct packed_rrset_data *data;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers is among them */
	size_t record = sizeof *data->rr_len + sizeof *data->rr_data + sizeof *data->rr_ttl;
	struct ub_packed_rrset_key *key =
		regional_alloc_zero(region, sizeof *key + sizeof *data + count * record);
	if (key == NULL) {
		return NULL;
	}
	data = (struct packed_rrset_data *)(key + 1);
	data->rr_len = (size_t *)(data + 1);
	data->rr_data = (uint8_t **)(data->rr_len + count);
	data->rr_ttl = (time_t *)(data->rr_data + count);
	data->ttl = ttl;
	data->count = count;
	data->trust = rrset_trust_ultimate;
	data->security = sec_status_insecure;
	for (size_t i = 0; i < count; i++) {
		data->rr_ttl[i] = ttl;
	}
	key->entry.key = key;
	key->entry.data = data;
	key->rk.dname = owner;
	key->rk.dname_len = owner_length;
	key->rk.type = htons(type);
	key->rk.rrset_class = htons(LDNS_RR_CLASS_IN);
	return key;
}

/*! An RRset of one record at the query name. */
static struct ub_packed_rrset_key *rrset_single(struct module_qstate *qstate, uint16_t type,
	time_t ttl, const uint8_t *rdata, size_t rdata_length)
{
	struct ub_packed_rrset_key *key = rrset_create(
		qstate->region, qstate->qinfo.qname, qstate->qinfo.qname_len, type, ttl, 1);
	uint8_t *record = regional_alloc(qstate->region, 2 + rdata_length);
	if (key == NULL || record == NULL) {
		return NULL;
	}
	sldns_write_uint16(record, (uint16_t)rdata_length);
	memcpy(record + 2, rdata, rdata_length);
	struct packed_rrset_data *data = key->entry.data;
	data->rr_len[0] = 2 + rdata_length;
	data->rr_data[0] = record;
	return key;
}

/*! Makes a reply the result of the query. */
static int finish(struct module_qstate *qstate, struct reply_info *rep)
{
	struct dns_msg *msg = regional_alloc_zero(qstate->region, sizeof *msg);
	if (msg == NULL) {
		return ICP_ENOMEM;
	}
	msg->qinfo = qstate->qinfo;
	msg->rep = rep;
	qstate->return_msg = msg;
	qstate->return_rcode = LDNS_RCODE_NOERROR;
	return ICP_EOK;
}

static struct ub_packed_rrset_key *soa(struct module_qstate *qstate, uint32_t ttl)
{
	uint8_t rdata[sizeof soa_names + 5 * sizeof(uint32_t)];
	const uint32_t numbers[] = {SOA_SERIAL, SOA_REFRESH, SOA_RETRY, SOA_EXPIRE, ttl};
	memcpy(rdata, soa_names, sizeof soa_names);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		sldns_write_uint32(rdata + sizeof soa_names + i * sizeof(uint32_t), numbers[i]);
	}
	return rrset_single(qstate, LDNS_RR_TYPE_SOA, ttl, rdata, sizeof rdata);
}

/*! Whether a client is there to read an option; who joins later finds the query done. */
static bool any_edns(const struct module_qstate *qstate)
{
	const struct mesh_reply *reply = qstate->mesh_info->reply_list;
	while (reply != NULL && !reply->edns.edns_present) {
		reply = reply->next;
	}
	return reply != NULL;
}

/*! RFC 8914: the code, then "REASON DOMAIN; block.text". */
static int add_ede(struct module_qstate *qstate, const icp_config_t *config, enum icp_reason reason,
	const icp_name_t *domain)
{
	if (config->block.ede < 0 || !any_edns(qstate)) {
		return ICP_EOK;
	}
	uint8_t option[2 + EDE_TEXT_MAX];
	char name[ICP_NAME_TEXT_MAX];
	icp_name_format(domain, name);
	int length =
		snprintf((char *)option + 2, EDE_TEXT_MAX, "%s %.255s%s%s", icp_reason_name(reason),
			name, *config->block.text != '\0' ? "; " : "", config->block.text);
	sldns_write_uint16(option, (uint16_t)config->block.ede);
	return edns_opt_list_append(&qstate->edns_opts_front_out, LDNS_EDNS_EDE, 2 + (size_t)length,
		       option, qstate->region)
		       ? ICP_EOK
		       : ICP_ENOMEM;
}

/*! The block page's address record of a type; NULL with ICP_EOK if it has no such address. */
static int block_address(struct module_qstate *qstate, const icp_config_t *config, uint16_t type,
	struct ub_packed_rrset_key **rrset)
{
	bool ipv4 = type == LDNS_RR_TYPE_A;
	const icp_address_t *address = ipv4 ? &config->block.ipv4 : &config->block.ipv6;
	*rrset = NULL;
	bool wanted = qstate->qinfo.qtype == type || qstate->qinfo.qtype == LDNS_RR_TYPE_ANY;
	if (!wanted || address->family == 0) {
		return ICP_EOK;
	}
	*rrset = rrset_single(qstate, type, config->block.ttl, address->bytes, ipv4 ? 4 : 16);
	return *rrset != NULL ? ICP_EOK : ICP_ENOMEM;
}

/*! Makes a reply of an answer section the result; of an empty one, NODATA. */
static int finish_answer(struct module_qstate *qstate, const icp_config_t *config,
	struct ub_packed_rrset_key **rrsets, size_t count, time_t ttl)
{
	bool data = count > 0;
	struct reply_info *rep = ub_reply_create(
		qstate->region, REPLY_FLAGS, ttl, count, !data, sec_status_insecure);
	if (rep == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		rep->rrsets[i] = rrsets[i];
	}
	if (!data) {
		rep->rrsets[0] = soa(qstate, config->block.ttl);
		if (rep->rrsets[0] == NULL) {
			return ICP_ENOMEM;
		}
	}
	return finish(qstate, rep);
}

int icp_answer_block(struct module_qstate *qstate, const icp_config_t *config,
	enum icp_reason reason, const icp_name_t *domain)
{
	static const uint16_t types[] = {LDNS_RR_TYPE_A, LDNS_RR_TYPE_AAAA};
	struct ub_packed_rrset_key *rrsets[2];
	size_t count = 0;
	for (size_t i = 0; i < 2; i++) {
		int ret = block_address(qstate, config, types[i], &rrsets[count]);
		if (ret != ICP_EOK) {
			return ret;
		}
		count += rrsets[count] != NULL;
	}
	if (add_ede(qstate, config, reason, domain) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	return finish_answer(qstate, config, rrsets, count, config->block.ttl);
}

/*! Copies a record without its blocked addresses to the end of an RRset, if anything is left. */
static int strip_record(struct regional *region, const struct ub_packed_rrset_key *from,
	size_t record, const icp_ruling_t *rulings, struct packed_rrset_data *to)
{
	const struct packed_rrset_data *source = icp_rrset_data(from);
	size_t addresses = icp_read_record(from, record);
	size_t length = source->rr_len[record];
	uint8_t *copy = regional_alloc(region, length);
	bool *keep = regional_alloc(region, addresses + 1);
	if (copy == NULL || keep == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < addresses; i++) {
		keep[i] = rulings[i].verdict == ICP_PASS;
	}
	size_t left = icp_rdata_strip(
		icp_rrset_type(from), source->rr_data[record] + 2, length - 2, keep, copy + 2);
	if (left > 0) {
		sldns_write_uint16(copy, (uint16_t)left);
		to->rr_len[to->count] = left + 2;
		to->rr_data[to->count++] = copy;
	}
	return ICP_EOK;
}

/*! A copy without signatures and without blocked addresses; NULL: out of memory. */
static struct ub_packed_rrset_key *rrset_stripped(struct regional *region,
	const struct ub_packed_rrset_key *from, const icp_ruling_t **rulings)
{
	const struct packed_rrset_data *source = icp_rrset_data(from);
	struct ub_packed_rrset_key *key = rrset_create(region, from->rk.dname, from->rk.dname_len,
		icp_rrset_type(from), source->ttl, source->count);
	if (key == NULL) {
		return NULL;
	}
	struct packed_rrset_data *data = key->entry.data;
	data->count = 0;
	for (size_t i = 0; i < source->count; i++) {
		if (strip_record(region, from, i, *rulings, data) != ICP_EOK) {
			return NULL;
		}
		*rulings += icp_read_record(from, i);
	}
	return key;
}

int icp_answer_strip(struct module_qstate *qstate, const icp_config_t *config,
	const struct reply_info *rep, const icp_ruling_t *rulings)
{
	struct ub_packed_rrset_key **rrsets =
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
		regional_alloc(qstate->region, rep->an_numrrsets * sizeof *rrsets);
	size_t count = 0;
	bool data = false;
	if (rrsets == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < rep->an_numrrsets; i++) {
		rrsets[count] = rrset_stripped(qstate->region, rep->rrsets[i], &rulings);
		if (rrsets[count] == NULL) {
			return ICP_ENOMEM;
		}
		if (icp_rrset_data(rrsets[count])->count > 0) {
			data |= icp_rdata_has_addresses(icp_rrset_type(rrsets[count]));
			count++;
		}
	}
	return finish_answer(qstate, config, rrsets, data ? count : 0, config->block.ttl);
}

struct reply_info *icp_answer_trim(
	struct module_qstate *qstate, struct reply_info *rep, const bool *left_out)
{
	if (left_out == NULL) {
		return rep;
	}
	/* A reply outside the cache ends before its references. */
	struct reply_info *copy =
		regional_alloc_init(qstate->region, rep, offsetof(struct reply_info, ref));
	struct ub_packed_rrset_key **rrsets =
		/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
		regional_alloc(qstate->region, rep->rrset_count * sizeof *rrsets);
	if (copy == NULL || rrsets == NULL) {
		return NULL;
	}
	copy->rrsets = rrsets;
	copy->rrset_count = 0;
	for (size_t i = 0; i < rep->rrset_count; i++) {
		if (!left_out[i]) {
			rrsets[copy->rrset_count++] = rep->rrsets[i];
		} else if (i < rep->an_numrrsets + rep->ns_numrrsets) {
			copy->ns_numrrsets--;
		} else {
			copy->ar_numrrsets--;
		}
	}
	return copy;
}

void icp_answer_mark_stale(struct module_qstate *qstate)
{
	const struct config_file *cfg = qstate->env->cfg;
	uint8_t option[2];
	if (cfg->ede && cfg->ede_serve_expired) {
		sldns_write_uint16(option, LDNS_EDE_STALE_ANSWER);
		/* Without memory the answer goes out unmarked. */
		(void)edns_opt_list_append(&qstate->edns_opts_front_out, LDNS_EDNS_EDE,
			sizeof option, option, qstate->region);
	}
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/answer.h"

#include <arpa/inet.h>
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
	struct ub_packed_rrset_key *key = regional_alloc_zero(region, sizeof *key);
	struct packed_rrset_data *data = regional_alloc_zero(region, sizeof *data);
	if (key == NULL || data == NULL) {
		return NULL;
	}
	data->ttl = ttl;
	data->count = count;
	data->trust = rrset_trust_ultimate;
	data->security = sec_status_insecure;
	data->rr_len = regional_alloc_zero(region, count * sizeof *data->rr_len);
	data->rr_ttl = regional_alloc_zero(region, count * sizeof *data->rr_ttl);
	data->rr_data = regional_alloc_zero(region, count * sizeof *data->rr_data);
	if (data->rr_len == NULL || data->rr_ttl == NULL || data->rr_data == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		data->rr_ttl[i] = ttl;
	}
	key->entry.key = key;
	key->entry.data = data;
	key->rk.dname = owner;
	key->rk.dname_len = owner_length;
	key->rk.type = htons(type);
	key->rk.rrset_class = htons(LDNS_RR_CLASS_IN);
	key->entry.hash = rrset_key_hash(&key->rk);
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

/*! RFC 8914: the code, then "REASON DOMAIN; block.text". */
static int add_ede(struct module_qstate *qstate, const icp_config_t *config, enum icp_reason reason,
	const icp_name_t *domain)
{
	if (config->block.ede < 0) {
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

int icp_answer_block(struct module_qstate *qstate, const icp_config_t *config,
	enum icp_reason reason, const icp_name_t *domain)
{
	bool ipv4 = qstate->qinfo.qtype == LDNS_RR_TYPE_A;
	const icp_address_t *address = ipv4 ? &config->block.ipv4 : &config->block.ipv6;
	bool data = address->family != 0;
	time_t ttl = config->block.ttl;

	struct reply_info *rep =
		ub_reply_create(qstate->region, REPLY_FLAGS, ttl, data, !data, sec_status_insecure);
	if (rep == NULL) {
		return ICP_ENOMEM;
	}
	rep->rrsets[0] =
		data ? rrset_single(qstate, qstate->qinfo.qtype, ttl, address->bytes, ipv4 ? 4 : 16)
		     : soa(qstate, config->block.ttl);
	if (rep->rrsets[0] == NULL || add_ede(qstate, config, reason, domain) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	return finish(qstate, rep);
}

/*! A copy without signatures; with rulings, only of the records that pass. */
static struct ub_packed_rrset_key *rrset_stripped(struct regional *region,
	const struct ub_packed_rrset_key *from, const icp_ruling_t *rulings)
{
	const struct packed_rrset_data *source = from->entry.data;
	struct ub_packed_rrset_key *key = rrset_create(region, from->rk.dname, from->rk.dname_len,
		ntohs(from->rk.type), source->ttl, source->count);
	if (key == NULL) {
		return NULL;
	}
	struct packed_rrset_data *data = key->entry.data;
	data->count = 0;
	for (size_t i = 0; i < source->count; i++) {
		if (rulings == NULL || rulings[i].verdict == ICP_PASS) {
			data->rr_len[data->count] = source->rr_len[i];
			data->rr_data[data->count] = source->rr_data[i];
			data->count++;
		}
	}
	return key;
}

int icp_answer_strip(struct module_qstate *qstate, struct ub_packed_rrset_key **rrsets,
	size_t rrset_count, const icp_ruling_t *rulings)
{
	struct reply_info *rep = ub_reply_create(
		qstate->region, REPLY_FLAGS, 0, rrset_count, 0, sec_status_insecure);
	if (rep == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < rrset_count; i++) {
		bool addresses = ntohs(rrsets[i]->rk.type) == qstate->qinfo.qtype;
		rep->rrsets[i] =
			rrset_stripped(qstate->region, rrsets[i], addresses ? rulings : NULL);
		if (rep->rrsets[i] == NULL) {
			return ICP_ENOMEM;
		}
		if (addresses) {
			rulings += ((struct packed_rrset_data *)rrsets[i]->entry.data)->count;
		}
	}
	return finish(qstate, rep);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A whole answer: from the packet, which Unbound's own parser reads, to the addresses in it, the
 * names that it leads to, and the answer that is left without some of the addresses. Input: a DNS
 * message; address I in it is blocked if bit I modulo 8 of its first octet is set.
 */
#include "module/answer.h"
#include "module/query.h"
#include "tests/fuzz/fuzz.h"

/* Unbound's parser refers to these, for messages outside of a region only. */
struct ub_packed_rrset_key *alloc_special_obtain(struct alloc_cache *alloc)
{
	(void)alloc;
	abort();
}

void alloc_special_release(struct alloc_cache *alloc, struct ub_packed_rrset_key *key)
{
	(void)alloc;
	(void)key;
	abort();
}

/* Nothing is cached. */
bool icp_cache_find(
	struct module_qstate *qstate, const struct query_info *question, icp_cached_t *cached)
{
	(void)qstate;
	(void)question;
	(void)cached;
	return false;
}

bool icp_must_validate(const struct module_qstate *qstate)
{
	(void)qstate;
	return false;
}

static bool is_blocked(const uint8_t *packet, size_t address)
{
	return (packet[0] >> address % 8 & 1) != 0;
}

static void check_name(const uint8_t *wire, size_t length)
{
	icp_name_t name;
	must(icp_name_from_wire(&name, wire, length) == ICP_EOK && name.length + 1U == length,
		"every name of a message is one");
}

/*! Gives each record memory of its own, as the region does with every allocation. */
static void spread(struct regional *region, struct ub_packed_rrset_key *rrset)
{
	struct packed_rrset_data *data = rrset->entry.data;
	for (size_t i = 0; i < data->count + data->rrsig_count; i++) {
		must(data->rr_len[i] >= sizeof(uint16_t), "a record begins with its length");
		data->rr_data[i] = regional_alloc_init(region, data->rr_data[i], data->rr_len[i]);
		must(data->rr_data[i] != NULL, "there is memory");
	}
}

/*! Returns how many addresses the RRset holds. */
static size_t check_rrset(struct ub_packed_rrset_key *rrset)
{
	const struct packed_rrset_data *data = icp_rrset_data(rrset);
	uint16_t type = icp_rrset_type(rrset);
	uint8_t *cname = NULL;
	size_t length = 0;
	size_t total = 0;
	check_name(rrset->rk.dname, rrset->rk.dname_len);
	get_cname_target(rrset, &cname, &length);
	if (cname != NULL) {
		check_name(cname, length);
	}
	for (size_t i = 0; i < data->count; i++) {
		uint16_t priority;
		const uint8_t *target;
		size_t count = icp_read_record(rrset, i);
		must(count == 0 || icp_rdata_has_addresses(type), "only some types lead on");
		must((type != ICP_RRTYPE_SVCB && type != ICP_RRTYPE_HTTPS) ||
				data->rr_len[i] <= 2 + sizeof priority ||
				icp_rdata_target(data->rr_data[i] + 2, data->rr_len[i] - 2,
					&priority, &target, &length),
			"what Unbound takes as a target is one");
		total += count;
	}
	return total;
}

static icp_addresses_t read_all(struct regional *region, const struct reply_info *rep, size_t count)
{
	icp_addresses_t addresses = {.count = 0};
	must(icp_read_addresses(region, rep->rrsets, count, &addresses), "there is memory");
	must(addresses.count == 0 || icp_read_leads(rep->rrsets, count), "only some types lead on");
	for (size_t i = 0; i < addresses.count; i++) {
		must(addresses.items[i].family == 4 || addresses.items[i].family == 6, "families");
	}
	return addresses;
}

static void check_append(
	struct regional *region, const struct reply_info *rep, const icp_addresses_t *addresses)
{
	size_t octets = addresses->count * sizeof *addresses->items;
	icp_addresses_t twice = {.count = 0};
	must(icp_addresses_append(region, &twice, addresses) &&
			icp_read_addresses(region, rep->rrsets, rep->rrset_count, &twice),
		"there is memory");
	must(twice.count == 2 * addresses->count &&
			(octets == 0 || (memcmp(twice.items, addresses->items, octets) == 0 &&
						memcmp(twice.items + addresses->count,
							addresses->items, octets) == 0)),
		"addresses are added at the end");
}

/*! What is left is, in this order, some of what is not blocked. */
static void check_left(
	const icp_addresses_t *all, const icp_addresses_t *left, const uint8_t *packet)
{
	size_t at = 0;
	for (size_t i = 0; i < left->count; i++, at++) {
		while (at < all->count &&
			(is_blocked(packet, at) || memcmp(&all->items[at], &left->items[i],
							   sizeof *all->items) != 0)) {
			at++;
		}
		must(at < all->count, "a blocked address is not left");
	}
}

static void check_strip(struct module_qstate *qstate, struct reply_info *rep, const uint8_t *packet)
{
	const icp_config_t config = {.block.ttl = 30};
	icp_addresses_t all = read_all(qstate->region, rep, rep->an_numrrsets);
	icp_ruling_t *rulings = exact(all.count * sizeof *rulings);
	for (size_t i = 0; i < all.count; i++) {
		rulings[i].verdict = is_blocked(packet, i) ? ICP_BLOCK : ICP_PASS;
	}
	must(icp_answer_strip(qstate, &config, rep, rulings) == ICP_EOK, "there is memory");
	free(rulings);
	struct reply_info *stripped = qstate->return_msg->rep;
	for (size_t i = 0; i < stripped->rrset_count; i++) {
		const struct packed_rrset_data *data = icp_rrset_data(stripped->rrsets[i]);
		must(data->count > 0, "no RRset is empty");
		for (size_t j = 0; j < data->count; j++) {
			must(data->rr_len[j] > 2 && (uint16_t)(data->rr_len[j] - 2) ==
							    sldns_read_uint16(data->rr_data[j]),
				"a record begins with its length, and is not empty");
		}
	}
	icp_addresses_t left = read_all(qstate->region, stripped, stripped->an_numrrsets);
	check_left(&all, &left, packet);
}

static void check_trim(struct module_qstate *qstate, struct reply_info *rep, const uint8_t *packet)
{
	bool *left_out = exact(rep->rrset_count * sizeof *left_out);
	size_t authority = rep->an_numrrsets + rep->ns_numrrsets;
	size_t from_authority = 0;
	size_t from_additional = 0;
	for (size_t i = rep->an_numrrsets; i < rep->rrset_count; i++) {
		left_out[i] = is_blocked(packet, i);
		*(i < authority ? &from_authority : &from_additional) += left_out[i];
	}
	const struct reply_info *trimmed = icp_answer_trim(qstate, rep, left_out);
	must(trimmed != NULL, "there is memory");
	must(trimmed->an_numrrsets == rep->an_numrrsets &&
			trimmed->ns_numrrsets == rep->ns_numrrsets - from_authority &&
			trimmed->ar_numrrsets == rep->ar_numrrsets - from_additional &&
			trimmed->rrset_count == rep->rrset_count - from_authority - from_additional,
		"what is left out is missing");
	free(left_out);
}

static void check_plan(struct module_qstate *qstate, struct reply_info *rep)
{
	icp_query_t query = {.guarded = false};
	qstate->qinfo.qtype = LDNS_RR_TYPE_HTTPS;
	for (unsigned twice = 0; twice < 2; twice++) {
		must(icp_query_plan(qstate, &query, rep), "there is memory");
		must(query.lookup_count <= ICP_LOOKUPS_MAX, "lookups are bounded");
		must(icp_query_lacks(&query) == (query.lookup_count > 0), "nothing is cached");
		for (size_t i = 0; i < query.lookup_count; i++) {
			const struct query_info *question = &query.lookups[i].question;
			check_name(question->qname, question->qname_len);
			for (size_t j = i % 2; j < i; j += 2) {
				must(query_dname_compare(
					     question->qname, query.lookups[j].question.qname) != 0,
					"no name is looked up twice");
			}
		}
	}
}

/*! The names of a message may hold any octets, and the block page's answer shows them. */
static void check_block(struct module_qstate *qstate)
{
	const icp_config_t config = {
		.block = {.ipv4 = {.family = 4}, .ttl = 30, .ede = 16, .text = "text"}};
	icp_name_t name;
	/* Two clients, of which the second sent EDNS. */
	struct mesh_reply second = {.edns = {.edns_present = 1}};
	struct mesh_reply first = {.next = NULL};
	struct mesh_state mesh = {.reply_list = &first};
	qstate->mesh_info = &mesh;
	must(icp_name_from_wire(&name, qstate->qinfo.qname, qstate->qinfo.qname_len) == ICP_EOK &&
			icp_answer_block(qstate, &config, ICP_REASON_UNFILED, &name) == ICP_EOK,
		"there is memory");
	must(qstate->edns_opts_front_out == NULL, "nobody reads it");
	first.next = &second;
	must(icp_answer_block(qstate, &config, ICP_REASON_UNFILED, &name) == ICP_EOK,
		"there is memory");
	qstate->mesh_info = NULL;
	const struct edns_option *ede = qstate->edns_opts_front_out;
	must(ede != NULL && ede->opt_code == LDNS_EDNS_EDE && ede->opt_len > 2 &&
			memchr(ede->opt_data + 2, '\0', ede->opt_len - 2) == NULL,
		"the reason is told");
	const struct reply_info *rep = qstate->return_msg->rep;
	bool ipv4 =
		qstate->qinfo.qtype == LDNS_RR_TYPE_A || qstate->qinfo.qtype == LDNS_RR_TYPE_ANY;
	must(rep->an_numrrsets == (ipv4 ? 1 : 0) && rep->rrset_count == 1 &&
			read_all(qstate->region, rep, 1).count == rep->an_numrrsets,
		"the answer is the block page's address or none");
}

static void check_reply(struct module_qstate *qstate, struct reply_info *rep, const uint8_t *packet)
{
	size_t total = 0;
	for (size_t i = 0; i < rep->rrset_count; i++) {
		spread(qstate->region, rep->rrsets[i]);
		total += check_rrset(rep->rrsets[i]);
	}
	icp_addresses_t all = read_all(qstate->region, rep, rep->rrset_count);
	must(all.count == total, "all addresses are read");
	check_append(qstate->region, rep, &all);
	check_trim(qstate, rep, packet);
	if (qstate->qinfo.qname != NULL) {
		check_name(qstate->qinfo.qname, qstate->qinfo.qname_len);
		check_strip(qstate, rep, packet);
		check_block(qstate);
		check_plan(qstate, rep);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* Every allocation of its own, so that a sanitizer sees where each ends. */
	struct module_qstate qstate = {.region = regional_create_nochunk(sizeof(struct regional))};
	uint8_t *packet = exact_copy(data, size);
	must(qstate.region != NULL, "there is memory");
	sldns_buffer buffer;
	sldns_buffer_init_frm_data(&buffer, packet, size);
	struct reply_info *rep = parse_reply_in_temp_region(&buffer, qstate.region, &qstate.qinfo);
	if (rep != NULL) {
		check_reply(&qstate, rep, packet);
	}
	regional_destroy(qstate.region);
	free(packet);
	return 0;
}

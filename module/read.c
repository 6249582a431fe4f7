/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/read.h"

#include <string.h>

#define RDLENGTH 2 /*!< Octets before the rdata of a cached record. */

bool icp_rrset_is_answer(const struct packed_rrset_data *data)
{
	return data->trust >= rrset_trust_nonauth_ans_AA && data->trust != rrset_trust_glue &&
	       data->trust != rrset_trust_auth_AA;
}

bool icp_read_leads(struct ub_packed_rrset_key *const *rrsets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (icp_rdata_has_addresses(icp_rrset_type(rrsets[i]))) {
			return true;
		}
	}
	return false;
}

static size_t read_record(const struct ub_packed_rrset_key *rrset, size_t record,
	icp_address_t *addresses, size_t room)
{
	const struct packed_rrset_data *data = icp_rrset_data(rrset);
	return icp_rdata_addresses(icp_rrset_type(rrset), data->rr_data[record] + RDLENGTH,
		data->rr_len[record] - RDLENGTH, addresses, room);
}

size_t icp_read_record(const struct ub_packed_rrset_key *rrset, size_t record)
{
	return read_record(rrset, record, NULL, 0);
}

/*! Makes room behind the addresses and returns it; NULL: out of memory. */
static icp_address_t *reserve(struct regional *region, icp_addresses_t *addresses, size_t more)
{
	size_t size = (addresses->count + more) * sizeof *addresses->items;
	icp_address_t *items = regional_alloc(region, size);
	if (items == NULL) {
		return NULL;
	}
	if (addresses->count > 0) {
		memcpy(items, addresses->items, addresses->count * sizeof *items);
	}
	addresses->items = items;
	return items + addresses->count;
}

bool icp_read_addresses(struct regional *region, struct ub_packed_rrset_key *const *rrsets,
	size_t count, icp_addresses_t *addresses)
{
	size_t total = 0;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < icp_rrset_data(rrsets[i])->count; j++) {
			total += icp_read_record(rrsets[i], j);
		}
	}
	if (total == 0) {
		return true;
	}
	icp_address_t *at = reserve(region, addresses, total);
	if (at == NULL) {
		return false;
	}
	addresses->count += total;
	for (size_t i = 0; i < count; i++) {
		for (size_t j = 0; j < icp_rrset_data(rrsets[i])->count; j++) {
			size_t read = read_record(rrsets[i], j, at, total);
			at += read;
			total -= read;
		}
	}
	return true;
}

bool icp_addresses_append(
	struct regional *region, icp_addresses_t *addresses, const icp_addresses_t *more)
{
	if (more->count == 0) {
		return true;
	}
	icp_address_t *at = reserve(region, addresses, more->count);
	if (at == NULL) {
		return false;
	}
	memcpy(at, more->items, more->count * sizeof *at);
	addresses->count += more->count;
	return true;
}

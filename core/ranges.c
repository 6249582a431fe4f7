/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "core/mmdb.h"
#include "core/ranges_private.h"

static void fill_tops(icp_ranges_t *ranges)
{
	const icp_range4_t *items = ranges->ipv4.items;
	uint32_t at = 0;
	for (uint32_t top = 0; top < ICP_TOPS - 1; top++) {
		while (at + 1 < ranges->ipv4.count && items[at + 1].first <= top << ICP_TOP_SHIFT) {
			at++;
		}
		ranges->tops[top] = at;
	}
	ranges->tops[ICP_TOPS - 1] = (uint32_t)ranges->ipv4.count - 1;
}

int icp_ranges_open(icp_ranges_t **ranges, const icp_config_t *config, icp_diag_t *diag)
{
	icp_ranges_t *opened = calloc(1, sizeof *opened);
	if (opened == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
	}
	opened->config = config;
	atomic_init(&opened->references, 1);
	int rc = icp_ranges_survey(opened, diag);
	if (rc != ICP_EOK) {
		icp_ranges_unref(opened);
		return rc;
	}
	fill_tops(opened);
	*ranges = opened;
	return ICP_EOK;
}

icp_ranges_t *icp_ranges_ref(icp_ranges_t *ranges)
{
	atomic_fetch_add_explicit(&ranges->references, 1, memory_order_relaxed);
	return ranges;
}

void icp_ranges_unref(icp_ranges_t *ranges)
{
	if (ranges == NULL ||
		atomic_fetch_sub_explicit(&ranges->references, 1, memory_order_acq_rel) > 1) {
		return;
	}
	free(ranges->ipv4.items);
	free(ranges->ipv6.items);
	free(ranges->places.items);
	free(ranges->names.items);
	free(ranges);
}

bool icp_ranges_is_current(const icp_ranges_t *ranges)
{
	return icp_mmdb_is_file(ranges->config->ranges.database, &ranges->file);
}

/* The last range that begins at or before an address. */
static uint32_t find_ipv4(const icp_ranges_t *ranges, uint32_t address)
{
	const icp_range4_t *items = ranges->ipv4.items;
	uint32_t top = address >> ICP_TOP_SHIFT;
	uint32_t low = ranges->tops[top];
	uint32_t high = ranges->tops[top + 1];
	while (low < high) {
		uint32_t middle = low + (high - low + 1) / 2;
		if (items[middle].first <= address) {
			low = middle;
		} else {
			high = middle - 1;
		}
	}
	return items[low].place;
}

static uint32_t find_ipv6(const icp_ranges_t *ranges, const uint64_t address[2])
{
	const icp_range6_t *items = ranges->ipv6.items;
	size_t low = 0;
	size_t high = ranges->ipv6.count;
	if (high == 0) {
		return 0;
	}
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		const uint64_t *first = items[middle].first;
		if (first[0] < address[0] || (first[0] == address[0] && first[1] <= address[1])) {
			low = middle;
		} else {
			high = middle;
		}
	}
	uint32_t place = items[low].place;
	if ((place & ICP_RANGES_ALIAS) == 0) {
		return place;
	}
	unsigned __int128 bits = (unsigned __int128)address[0] << 64 | address[1];
	unsigned above = place & ~ICP_RANGES_ALIAS;
	return find_ipv4(ranges, (uint32_t)(bits << above >> ICP_IPV4_AT));
}

static uint64_t read_u64(const uint8_t *octets)
{
	uint64_t value;
	memcpy(&value, octets, sizeof value);
	return be64toh(value);
}

static uint32_t find_place(const icp_ranges_t *ranges, const icp_address_t *address)
{
	uint32_t ipv4;
	if (address->family == 4) {
		memcpy(&ipv4, address->bytes, sizeof ipv4);
		return find_ipv4(ranges, be32toh(ipv4));
	}
	const uint64_t ipv6[2] = {read_u64(address->bytes), read_u64(address->bytes + 8)};
	/* In ::/96 the tree holds IPv4. */
	bool own = ipv6[0] != 0 || ipv6[1] >> ICP_IPV4_BITS != 0;
	return address->family == 6 && own ? find_ipv6(ranges, ipv6) : 0;
}

void icp_ranges_find(const icp_ranges_t *ranges, const icp_address_t *address, icp_place_t *place)
{
	const icp_policy_t *policy = &ranges->config->policy;
	*place = (icp_place_t){
		.address = icp_address_unmap(address, policy->nat64, policy->nat64_count)};
	const icp_says_t *says = icp_says_of(ranges, find_place(ranges, &place->address));
	place->mainland = says->mainland;
	place->provider = says->provider_length > 0 ? icp_says_name(ranges, says) : NULL;
	place->provider_length = says->provider_length;
}

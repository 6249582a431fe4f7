/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Addresses in rdata. Input: type (an index), which addresses are kept (bit I modulo 8), how much
 * of the rdata is cut off, rdata.
 */
#include "core/rdata.h"
#include "tests/fuzz/fuzz.h"

#define HEAD 3

typedef struct {
	icp_address_t *items;
	size_t count;
} list_t;

static list_t read_all(uint16_t type, const uint8_t *rdata, size_t length)
{
	list_t list = {.count = icp_rdata_addresses(type, rdata, length, NULL, 0)};
	list.items = exact(list.count * sizeof *list.items);
	must(icp_rdata_addresses(type, rdata, length, list.items, list.count) == list.count,
		"the count does not depend on the room");
	for (size_t i = 0; i < list.count; i++) {
		must(list.items[i].family == 4 || list.items[i].family == 6, "families");
	}
	return list;
}

/*! True when a list is the other, or the beginning of it. */
static bool begins(const list_t *whole, const list_t *begin)
{
	return begin->count <= whole->count &&
	       memcmp(begin->items, whole->items, begin->count * sizeof *begin->items) == 0;
}

/*! The addresses that are kept, in the place of all. */
static void pick(list_t *list, const bool *keep)
{
	size_t kept = 0;
	for (size_t i = 0; i < list->count; i++) {
		if (keep[i]) {
			list->items[kept++] = list->items[i];
		}
	}
	list->count = kept;
}

static void check_cut(uint16_t type, const uint8_t *rdata, size_t length, const list_t *all)
{
	uint8_t *copy = exact_copy(rdata, length);
	list_t cut = read_all(type, copy, length);
	/* Rdata of A and AAAA has but one good length, and the cut may lead to it. */
	must(begins(all, &cut) || type == ICP_RRTYPE_A || type == ICP_RRTYPE_AAAA,
		"cut rdata gives the addresses before the cut");
	free(cut.items);
	free(copy);
}

static void check_target(
	const uint8_t *rdata, size_t length, const uint8_t *stripped, size_t stripped_length)
{
	uint16_t priority[2];
	const uint8_t *target[2];
	size_t octets[2];
	if (!icp_rdata_target(rdata, length, &priority[0], &target[0], &octets[0])) {
		return;
	}
	must(target[0] >= rdata && target[0] + octets[0] <= rdata + length, "a target lies within");
	must(icp_rdata_target(stripped, stripped_length, &priority[1], &target[1], &octets[1]) &&
			priority[0] == priority[1] && octets[0] == octets[1] &&
			memcmp(target[0], target[1], octets[0]) == 0,
		"priority and target stay");
}

static void check_strip(
	uint16_t type, const uint8_t *rdata, size_t length, list_t all, uint8_t pattern)
{
	bool *keep = exact(all.count * sizeof *keep);
	uint8_t *out = exact(length);
	for (size_t i = 0; i < all.count; i++) {
		keep[i] = (pattern >> i % 8 & 1) != 0;
	}
	size_t written = icp_rdata_strip(type, rdata, length, keep, out);
	must(written <= length, "a record does not grow");
	must(written > 0 || length == 0 || memchr(keep, false, all.count) != NULL,
		"a record of which everything is kept stays");
	if (written > 0) {
		uint8_t *stripped = exact_copy(out, written);
		list_t left = read_all(type, stripped, written);
		pick(&all, keep);
		must(left.count == all.count && begins(&all, &left),
			"what is left is what was kept");
		check_target(rdata, length, stripped, written);
		free(left.items);
		free(stripped);
	}
	free(out);
	free(keep);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint16_t types[] = {
		ICP_RRTYPE_A, ICP_RRTYPE_AAAA, ICP_RRTYPE_SVCB, ICP_RRTYPE_HTTPS, 16};
	if (size < HEAD) {
		return 0;
	}
	uint16_t type = types[data[0] % (sizeof types / sizeof *types)];
	size_t length = size - HEAD;
	uint8_t *rdata = exact_copy(data + HEAD, length);
	list_t all = read_all(type, rdata, length);
	must(all.count == 0 || icp_rdata_has_addresses(type), "only some types have addresses");
	check_cut(type, rdata, length - data[2] % (length + 1), &all);
	check_strip(type, rdata, length, all, UINT8_MAX);
	check_strip(type, rdata, length, all, data[1]);
	free(all.items);
	free(rdata);
	return 0;
}

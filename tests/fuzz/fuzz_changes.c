/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The changes of a delta as the store keeps them. Input: the octets. They are read as they are, and
 * then with the seal put right, without which nothing would get past it.
 */
#include "core/error.h"
#include "core/node.h"
#include "loader/changes.h"
#include "core/text.h"
#include "tests/fuzz/fuzz.h"

#define SEAL 8

static void check_change(const icp_change_t *change)
{
	const icp_row_t *row = &change->row;
	bool has_pair = change->op != ICP_OP_DEREGISTER_ENTITY;
	must(change->op == ICP_OP_UPSERT || change->op == ICP_OP_DELETE || !has_pair,
		"an op is known");
	must(has_pair ? change->name.labels >= 2 : change->name.length == 0,
		"a change has the name that its op needs");
	must(row->domain_length == change->name.length && row->labels == change->name.labels &&
			(!has_pair ||
				memcmp(row->domain, change->name.wire, row->domain_length) == 0),
		"a row is of its domain");
	must(icp_provider_valid(row->provider, row->provider_length) == has_pair,
		"a pair has a provider");
	must(icp_text_is_utf8(row->number, row->number_length), "a number is text");
	must(has_pair || row->number_length > 0, "an entity has a number");
}

/*! Reads all, and writes it again. */
static void check_changes(const icp_changes_t *changes, const uint8_t *octets, size_t length)
{
	icp_changes_t *again = icp_changes_create();
	icp_change_t change;
	size_t at = 0;
	size_t count = 0;
	int ret;
	must(again != NULL, "there is memory");
	while ((ret = icp_changes_next(changes, &at, &change)) == 1) {
		check_change(&change);
		must(icp_changes_add(again, &change) == ICP_EOK, "there is memory");
		count++;
	}
	must(ret == 0 && count == icp_changes_count(changes), "what was taken is whole");
	size_t stored_length;
	const uint8_t *stored = icp_changes_stored(again, &stored_length);
	must(stored_length == length && memcmp(stored, octets, length) == 0,
		"changes have one form only");
	icp_changes_destroy(again);
}

static void check(const uint8_t *octets, size_t length)
{
	icp_changes_t *changes;
	uint8_t *stored = exact_copy(octets, length);
	int ret = icp_changes_from_stored(&changes, stored, length);
	free(stored);
	must(ret == ICP_EOK || ret == ICP_EDAMAGED, "nothing else goes wrong");
	if (ret == ICP_EOK) {
		check_changes(changes, octets, length);
		icp_changes_destroy(changes);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	if (size < SEAL) {
		return 0;
	}
	uint8_t *sealed = exact_copy(data, size);
	uint64_t sum = icp_name_hash(sealed + SEAL, size - SEAL);
	for (size_t i = 0; i < SEAL; i++) {
		sealed[i] = (uint8_t)(sum >> 8 * i);
	}
	check(sealed, size);
	free(sealed);
	return 0;
}

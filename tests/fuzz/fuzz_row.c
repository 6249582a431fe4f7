/* SPDX-License-Identifier: BSD-3-Clause */
/*! A stored row. Input: its octets; more may follow. */
#include "core/row.h"
#include "tests/fuzz/fuzz.h"

static bool within(const void *at, size_t length, const uint8_t *begin, size_t size)
{
	const uint8_t *octets = at;
	return length == 0 || (octets >= begin && octets + length <= begin + size);
}

static void check_row(const icp_row_t *row, const uint8_t *stored, size_t octets)
{
	enum icp_status status;
	const char *word = icp_status_name((enum icp_status)row->status);
	must(icp_status_parse(&status, word, strlen(word)) == 0 && status == row->status,
		"a status has a word");
	must(icp_provider_valid(row->provider, row->provider_length), "a provider is a slug");
	must(within(row->provider, row->provider_length, stored, octets) &&
			within(row->number, row->number_length, stored, octets) &&
			within(row->licensed, row->licensed_count * sizeof *row->licensed, stored,
				octets),
		"a row leads into what was read");

	uint8_t *out = exact(ICP_ROW_MAX);
	must(icp_row_encode(row, out) == octets && memcmp(out, stored, octets) == 0,
		"a row has one form only");
	free(out);

	uint8_t *cut = exact_copy(stored, octets - 1);
	icp_row_t none;
	must(icp_row_decode(&none, cut, octets - 1) == 0, "a cut row is none");
	free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_row_t row;
	uint8_t *stored = exact_copy(data, size);
	size_t octets = icp_row_decode(&row, stored, size);
	must(octets <= size, "no more is read than there is");
	if (octets > 0) {
		check_row(&row, stored, octets);
	}
	free(stored);
	return 0;
}

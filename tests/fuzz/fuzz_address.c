/* SPDX-License-Identifier: BSD-3-Clause */
/*! Addresses and prefixes in text. Input: an address or prefix, "\n", a prefix. */
#include "core/address.h"
#include "core/error.h"
#include "tests/fuzz/fuzz.h"

static bool read_address(icp_address_t *address, const void *text, size_t length)
{
	char *copy = exact_copy(text, length);
	int code = icp_address_parse(address, copy, length);
	must(code == ICP_EOK || code == ICP_EINVAL, "nothing else goes wrong");
	free(copy);
	return code == ICP_EOK;
}

static bool read_prefix(icp_prefix_t *prefix, const void *text, size_t length)
{
	char *copy = exact_copy(text, length);
	int code = icp_prefix_parse(prefix, copy, length);
	must(code == ICP_EOK || code == ICP_EINVAL, "nothing else goes wrong");
	free(copy);
	return code == ICP_EOK;
}

static void check_address(const icp_address_t *address)
{
	char *text = exact(ICP_ADDRESS_TEXT_MAX);
	icp_address_t again;
	icp_prefix_t prefix;
	icp_address_format(address, text);
	must(read_address(&again, text, strlen(text)) && memcmp(&again, address, sizeof again) == 0,
		"an address that was written is read as the same");
	must(read_prefix(&prefix, text, strlen(text)) && icp_prefix_holds(&prefix, address),
		"an address is a prefix that holds it");
	free(text);
}

static void check_prefix(const icp_prefix_t *prefix)
{
	unsigned bits = prefix->address.family == 4 ? 32 : 128;
	must(prefix->length <= bits, "a prefix is no longer than an address");
	for (unsigned bit = prefix->length; bit < bits; bit++) {
		must((prefix->address.bytes[bit / 8] & 0x80 >> bit % 8) == 0,
			"bits beyond a prefix are zero");
	}
	char *text = exact(ICP_PREFIX_TEXT_MAX);
	icp_prefix_t again;
	icp_prefix_format(prefix, text);
	must(read_prefix(&again, text, strlen(text)) && memcmp(&again, prefix, sizeof again) == 0,
		"a prefix that was written is read as the same");
	must(icp_prefix_holds(prefix, &prefix->address), "a prefix holds its first address");
	free(text);
}

static void check_unmap(const icp_address_t *address, const icp_prefix_t *nat64)
{
	icp_address_t inner = icp_address_unmap(address, nat64, 1);
	icp_address_t again = icp_address_unmap(&inner, nat64, 1);
	must(inner.family == 4 || memcmp(&inner, address, sizeof inner) == 0,
		"an address that holds none stays");
	must(memcmp(&again, &inner, sizeof again) == 0, "there is nothing inside an inner address");
	if (address->family == 6 && inner.family == 4 && nat64->address.family == 4) {
		must(address->bytes[10] == 0xff && address->bytes[11] == 0xff,
			"an IPv4 prefix translates nothing");
	}
	check_address(&inner);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	size_t first = end != NULL ? (size_t)(end - data) : size;
	size_t second = end != NULL ? first + 1 : size;
	icp_address_t address;
	icp_prefix_t prefix;
	bool has_address = read_address(&address, data, first);
	if (has_address) {
		check_address(&address);
	}
	if (read_prefix(&prefix, data, first)) {
		check_prefix(&prefix);
	}
	if (size > second && read_prefix(&prefix, data + second, size - second)) {
		check_prefix(&prefix);
		if (has_address) {
			check_unmap(&address, &prefix);
		}
	}
	return 0;
}

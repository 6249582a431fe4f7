/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/address.h"
#include "core/error.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/*! Makes a copy without a NUL that ends where its memory ends. */
static char *exact_copy(const char *text, size_t length)
{
	char *copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	memcpy(copy, text, length);
	return copy;
}

static icp_address_t address_of(const char *text)
{
	icp_address_t address = {0};
	assert_int_equal(icp_address_parse(&address, text, strlen(text)), ICP_EOK);
	return address;
}

static icp_prefix_t prefix_of(const char *text)
{
	icp_prefix_t prefix = {0};
	assert_int_equal(icp_prefix_parse(&prefix, text, strlen(text)), ICP_EOK);
	return prefix;
}

static const struct {
	const char *shows;
	const char *text;
	const char *want;
	unsigned family;
} addresses[] = {
	{"IPv4", "192.0.2.1", "192.0.2.1", 4},
	{"the lowest IPv4 address", "0.0.0.0", "0.0.0.0", 4},
	{"the longest IPv4 text", "255.255.255.255", "255.255.255.255", 4},
	{"IPv6 in full", "2001:0db8:0000:0000:0000:0000:0000:0001", "2001:db8::1", 6},
	{"IPv6 in upper case", "2001:DB8::A", "2001:db8::a", 6},
	{"the unspecified address", "::", "::", 6},
	{"a mapped address stays IPv6", "::ffff:192.0.2.1", "::ffff:192.0.2.1", 6},
	{"the longest IPv6 text", "1111:2222:3333:4444:5555:6666:255.255.255.255",
		"1111:2222:3333:4444:5555:6666:ffff:ffff", 6},
};

static void test_address_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(addresses); i++) {
		char text[ICP_ADDRESS_TEXT_MAX];
		icp_address_t address;
		char *copy = exact_copy(addresses[i].text, strlen(addresses[i].text));
		int code = icp_address_parse(&address, copy, strlen(addresses[i].text));
		free(copy);
		if (code != ICP_EOK) {
			fail_msg("%s: refused", addresses[i].shows);
		}
		icp_address_format(&address, text);
		if (address.family != addresses[i].family || strcmp(text, addresses[i].want) != 0) {
			fail_msg("%s: %s", addresses[i].shows, text);
		}
	}
	static const uint8_t zeros[12] = {0};
	icp_address_t ipv4 = address_of("192.0.2.1");
	assert_memory_equal(ipv4.bytes + 4, zeros, sizeof zeros);
}

static const struct {
	const char *shows;
	const char *text;
	size_t length; /*!< 0: up to the NUL. */
} bad_addresses[] = {
	{"empty", "", 0},
	{"a name", "example.com", 0},
	{"three numbers", "192.0.2", 0},
	{"five numbers", "192.0.2.1.1", 0},
	{"a number above 255", "192.0.2.256", 0},
	{"a leading zero", "192.0.2.01", 0},
	{"hexadecimal", "192.0.2.0x1", 0},
	{"one number", "3221225985", 0},
	{"a leading space", " 192.0.2.1", 0},
	{"a trailing space", "192.0.2.1 ", 0},
	{"a prefix", "192.0.2.1/32", 0},
	{"two gaps", "2001::db8::1", 0},
	{"seven groups", "1:2:3:4:5:6:7", 0},
	{"nine groups", "1:2:3:4:5:6:7:8:9", 0},
	{"a group of five digits", "2001:db8::12345", 0},
	{"brackets", "[2001:db8::1]", 0},
	{"a zone", "fe80::1%eth0", 0},
	{"NUL at the end", "192.0.2.1\0", 10},
	{"NUL and more", "192.0.2.1\0zz", 12},
	{"one longer than any address", "1111:2222:3333:4444:5555:6666:0255.255.255.255", 0},
	{"longer than any address", "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 0},
};

static void test_address_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad_addresses); i++) {
		const char *text = bad_addresses[i].text;
		size_t length =
			bad_addresses[i].length > 0 ? bad_addresses[i].length : strlen(text);
		char *copy = exact_copy(text, length);
		icp_address_t address;
		int code = icp_address_parse(&address, copy, length);
		free(copy);
		if (code != ICP_EINVAL) {
			fail_msg("%s: taken", bad_addresses[i].shows);
		}
	}
}

static void test_from_bytes(void **state)
{
	(void)state;
	static const uint8_t bytes[17] = {192, 0, 2, 1, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	icp_address_t ipv4 = address_of("192.0.2.1");
	icp_address_t address;

	memset(&address, 0xff, sizeof address);
	assert_int_equal(icp_address_from_bytes(&address, bytes, 4), ICP_EOK);
	assert_memory_equal(&address, &ipv4, sizeof address);
	assert_int_equal(icp_address_from_bytes(&address, bytes, 16), ICP_EOK);
	assert_int_equal(address.family, 6);
	assert_memory_equal(address.bytes, bytes, 16);
	for (size_t length = 0; length <= sizeof bytes; length++) {
		if (length != 4 && length != 16) {
			assert_int_equal(
				icp_address_from_bytes(&address, bytes, length), ICP_EINVAL);
		}
	}
}

static const struct {
	const char *shows;
	const char *text;
	const char *want; /*!< NULL: refused. */
} prefixes[] = {
	{"an IPv4 prefix", "192.0.2.0/24", "192.0.2.0/24"},
	{"an IPv6 prefix", "2001:db8::/32", "2001:db8::/32"},
	{"an IPv4 address alone", "192.0.2.1", "192.0.2.1"},
	{"an IPv6 address alone", "2001:db8::1", "2001:db8::1"},
	{"IPv4 of full length", "192.0.2.1/32", "192.0.2.1"},
	{"IPv6 of full length", "2001:db8::1/128", "2001:db8::1"},
	{"an IPv6 prefix of length 32", "2001:db8::/32", "2001:db8::/32"},
	{"everything in IPv4", "0.0.0.0/0", "0.0.0.0/0"},
	{"everything in IPv6", "::/0", "::/0"},
	{"a length inside an octet", "192.0.2.128/25", "192.0.2.128/25"},
	{"the longest text", "1111:2222:3333:4444:5555:6666:255.255.255.254/127",
		"1111:2222:3333:4444:5555:6666:ffff:fffe/127"},
	{"a bit beyond the length", "192.0.2.1/24", NULL},
	{"the first bit beyond the length", "192.0.2.128/24", NULL},
	{"the last bit beyond the length", "2001:db8::1/127", NULL},
	{"a bit beyond length 0", "128.0.0.0/0", NULL},
	{"IPv4 too long", "192.0.2.0/33", NULL},
	{"IPv6 too long", "2001:db8::/129", NULL},
	{"a length that wraps", "192.0.2.0/280", NULL},
	{"a length of many digits", "192.0.2.0/99999999999999999999", NULL},
	{"no length", "192.0.2.0/", NULL},
	{"no address", "/24", NULL},
	{"a slash alone", "/", NULL},
	{"empty", "", NULL},
	{"a negative length", "192.0.2.0/-1", NULL},
	{"a signed length", "192.0.2.0/+24", NULL},
	{"a letter in the length", "::/1a", NULL},
	{"a dot in the length", "::/5.", NULL},
	{"a leading zero", "192.0.2.0/024", NULL},
	{"two zeros", "0.0.0.0/00", NULL},
	{"a space before the length", "192.0.2.0/ 24", NULL},
	{"a space after the length", "192.0.2.0/24 ", NULL},
	{"two lengths", "192.0.2.0/24/24", NULL},
	{"a mask", "192.0.2.0/255.255.255.0", NULL},
};

static void test_prefix(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(prefixes); i++) {
		char text[ICP_PREFIX_TEXT_MAX] = "";
		icp_prefix_t prefix;
		char *copy = exact_copy(prefixes[i].text, strlen(prefixes[i].text));
		int code = icp_prefix_parse(&prefix, copy, strlen(prefixes[i].text));
		free(copy);
		if (code == ICP_EOK) {
			icp_prefix_format(&prefix, text);
		}
		if (prefixes[i].want == NULL ? code != ICP_EINVAL
					     : strcmp(text, prefixes[i].want) != 0) {
			fail_msg("%s: %d, %s", prefixes[i].shows, code, text);
		}
	}
}

static const struct {
	const char *shows;
	const char *prefix;
	const char *address;
	bool want;
} holds[] = {
	{"the first address", "192.0.2.0/24", "192.0.2.0", true},
	{"the last address", "192.0.2.0/24", "192.0.2.255", true},
	{"the one before", "192.0.2.0/24", "192.0.1.255", false},
	{"the one after", "192.0.2.0/24", "192.0.3.0", false},
	{"the last one inside an octet", "192.0.2.64/26", "192.0.2.127", true},
	{"the one after, inside an octet", "192.0.2.64/26", "192.0.2.128", false},
	{"the one before, inside an octet", "192.0.2.64/26", "192.0.2.63", false},
	{"the address itself", "192.0.2.1", "192.0.2.1", true},
	{"its neighbour", "192.0.2.1", "192.0.2.0", false},
	{"everything", "0.0.0.0/0", "255.255.255.255", true},
	{"IPv6 inside", "2001:db8::/33", "2001:db8:7fff::1", true},
	{"IPv6 outside", "2001:db8::/33", "2001:db8:8000::1", false},
	{"the last IPv6 bit", "2001:db8::1", "2001:db8::", false},
	{"IPv6 is not in IPv4", "0.0.0.0/0", "::", false},
	{"IPv4 is not in IPv6", "::/0", "0.0.0.0", false},
};

static void test_endpoint(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		uint8_t family; /* 0: refused. */
		uint16_t port;
	} cases[] = {
		{"127.0.0.1:80", 4, 80},
		{"0.0.0.0:1", 4, 1},
		{"[::]:65535", 6, 65535},
		{"[2001:db8::80]:8080", 6, 8080},
		{"", 0, 0},
		{":", 0, 0},
		{":80", 0, 0},
		{"127.0.0.1", 0, 0},
		{"127.0.0.1:", 0, 0},
		{"127.0.0.1:0", 0, 0},
		{"127.0.0.1:080", 0, 0},
		{"127.0.0.1:65536", 0, 0},
		{"127.0.0.1:100000", 0, 0},
		{"127.0.0.1:+80", 0, 0},
		{"127.0.0.1:80 ", 0, 0},
		{" 127.0.0.1:80", 0, 0},
		{"127.0.0.1/32:80", 0, 0},
		{"[127.0.0.1]:80", 0, 0},
		{"::1:80", 0, 0},
		{"[::1]", 0, 0},
		{"[::1]80", 0, 0},
		{"[::1:80", 0, 0},
		{"::1]:80", 0, 0},
		{"[]:80", 0, 0},
		{"]:80", 0, 0},
		{"[[::1]]:80", 0, 0},
		{"localhost:80", 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		icp_endpoint_t endpoint = {.port = 7};
		char text[ICP_ENDPOINT_TEXT_MAX];
		int want = cases[i].family != 0 ? ICP_EOK : ICP_EINVAL;
		if (icp_endpoint_parse(&endpoint, cases[i].text, strlen(cases[i].text)) != want) {
			fail_msg("%s", cases[i].text);
		}
		assert_int_equal(endpoint.address.family, cases[i].family);
		assert_int_equal(endpoint.port, want == ICP_EOK ? cases[i].port : 7);
		if (want == ICP_EOK) {
			icp_endpoint_format(&endpoint, text);
			assert_string_equal(text, cases[i].text);
		}
	}
}

static void test_prefix_holds(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(holds); i++) {
		icp_prefix_t prefix = prefix_of(holds[i].prefix);
		icp_address_t address = address_of(holds[i].address);
		if (icp_prefix_holds(&prefix, &address) != holds[i].want) {
			fail_msg("%s", holds[i].shows);
		}
	}
}

/*! The examples of RFC 6052, 2.4, and what is near them. */
static const struct {
	const char *shows;
	const char *nat64; /*!< NULL: none. */
	const char *address;
	const char *want;
} unmaps[] = {
	{"IPv4", "64:ff9b::/96", "192.0.2.33", "192.0.2.33"},
	{"mapped, without prefixes", NULL, "::ffff:192.0.2.33", "192.0.2.33"},
	{"mapped, with prefixes", "64:ff9b::/96", "::ffff:192.0.2.33", "192.0.2.33"},
	{"compatible is not mapped", NULL, "::192.0.2.33", "::192.0.2.33"},
	{"one bit from mapped", NULL, "::fffe:192.0.2.33", "::fffe:c000:221"},
	{"the well-known prefix", "64:ff9b::/96", "64:ff9b::192.0.2.33", "192.0.2.33"},
	{"the well-known prefix only if told", NULL, "64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
	{"length 32", "2001:db8::/32", "2001:db8:c000:221::", "192.0.2.33"},
	{"length 40", "2001:db8:100::/40", "2001:db8:1c0:2:21::", "192.0.2.33"},
	{"length 48", "2001:db8:122::/48", "2001:db8:122:c000:2:2100::", "192.0.2.33"},
	{"length 56", "2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::", "192.0.2.33"},
	{"length 64", "2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::", "192.0.2.33"},
	{"length 96", "2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33", "192.0.2.33"},
	{"a suffix is ignored", "2001:db8::/32", "2001:db8:c000:221:0:1:2:3", "192.0.2.33"},
	{"length 96 has no reserved octet", "2001:db8:122:344:ff00::/96",
		"2001:db8:122:344:ff00:0:192.0.2.33", "192.0.2.33"},
	{"length 32, reserved octet set", "2001:db8::/32", "2001:db8:c000:221:100::", "192.0.2.33"},
	{"length 64, reserved octet set", "2001:db8:122:344::/64",
		"2001:db8:122:344:1c0:2:2100::", "192.0.2.33"},
	{"outside the prefix", "2001:db8::/32", "2001:db9:c000:221::", "2001:db9:c000:221::"},
	{"a length that is none", "2001:db8::/44", "2001:db8:c000:221::", "2001:db8:c000:221::"},
	{"a length between 64 and 96", "2001:db8::/72", "2001:db8::", "2001:db8::"},
	{"a length below 32", "2001::/24", "2001:0:c000:221::", "2001:0:c000:221::"},
	{"a length above 96", "2001:db8::/104", "2001:db8::1", "2001:db8::1"},
};

static void test_unmap(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(unmaps); i++) {
		char text[ICP_ADDRESS_TEXT_MAX];
		icp_address_t address = address_of(unmaps[i].address);
		icp_prefix_t nat64 = prefix_of(unmaps[i].nat64 != NULL ? unmaps[i].nat64 : "::");
		icp_address_t result =
			icp_address_unmap(&address, &nat64, unmaps[i].nat64 != NULL ? 1 : 0);
		icp_address_format(&result, text);
		if (strcmp(text, unmaps[i].want) != 0) {
			fail_msg("%s: %s", unmaps[i].shows, text);
		}
	}
}

static void test_unmap_several(void **state)
{
	(void)state;
	const icp_prefix_t nat64[] = {prefix_of("2001:db8:1::/48"), prefix_of("64:ff9b::/96")};
	icp_address_t address = address_of("64:ff9b::192.0.2.33");
	icp_address_t want = address_of("192.0.2.33");
	icp_address_t second = icp_address_unmap(&address, nat64, 2);
	icp_address_t first_only = icp_address_unmap(&address, nat64, 1);
	icp_address_t none = icp_address_unmap(&address, NULL, 0);

	assert_memory_equal(&second, &want, sizeof want);
	assert_memory_equal(&first_only, &address, sizeof address);
	assert_memory_equal(&none, &address, sizeof address);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_address_good),
		cmocka_unit_test(test_address_bad),
		cmocka_unit_test(test_from_bytes),
		cmocka_unit_test(test_prefix),
		cmocka_unit_test(test_endpoint),
		cmocka_unit_test(test_prefix_holds),
		cmocka_unit_test(test_unmap),
		cmocka_unit_test(test_unmap_several),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

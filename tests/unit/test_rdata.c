/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/rdata.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define A ICP_RRTYPE_A
#define AAAA ICP_RRTYPE_AAAA
#define SVCB ICP_RRTYPE_SVCB
#define HTTPS ICP_RRTYPE_HTTPS
#define TXT 16

/* Parts of rdata, in hexadecimal. */
#define HEAD "0001 00 "                         /* priority 1, target "." */
#define IP1 "c0000201 "                         /* 192.0.2.1 */
#define IP2 "c0000202 "                         /* 192.0.2.2 */
#define IP3 "c0000203 "                         /* 192.0.2.3 */
#define IP6 "20010db8000000000000000000000001 " /* 2001:db8::1 */
#define IP7 "20010db8000000000000000000000002 " /* 2001:db8::2 */
#define ALPN "0001 0003 026832 "
#define PORT "0003 0002 01bb "
#define X63 "3f" X32 X16 X8 X4 X2 X1 /* A label of 63 octets. */
#define X32 X16 X16
#define X16 X8 X8
#define X8 X4 X4
#define X4 X2 X2
#define X2 X1 X1
#define X1 "61"

/*! Rdata that ends where its memory ends. */
typedef struct {
	uint8_t *octets;
	size_t length;
} rdata_t;

static unsigned digit(char character)
{
	const char *digits = "0123456789abcdef";
	const char *at = strchr(digits, character);
	assert_true(character != '\0' && at != NULL);
	return (unsigned)(at - digits);
}

static rdata_t rdata_of(const char *hex)
{
	uint8_t octets[512];
	rdata_t rdata = {.length = 0};
	for (; *hex != '\0'; hex++) {
		if (*hex == ' ') {
			continue;
		}
		assert_true(rdata.length < sizeof octets);
		octets[rdata.length++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
		hex++;
	}
	rdata.octets = malloc(rdata.length > 0 ? rdata.length : 1);
	assert_non_null(rdata.octets);
	memcpy(rdata.octets, octets, rdata.length);
	return rdata;
}

static void test_has_addresses(void **state)
{
	(void)state;
	for (unsigned type = 0; type <= UINT16_MAX; type++) {
		bool want = type == 1 || type == 28 || type == 64 || type == 65;
		if (icp_rdata_has_addresses((uint16_t)type) != want) {
			fail_msg("type %u", type);
		}
	}
}

static const struct {
	const char *shows;
	uint16_t type;
	const char *rdata;
	const char *want; /*!< The addresses, with a space after each. */
} reads[] = {
	{"A", A, IP1, "192.0.2.1 "},
	{"A of three octets", A, "c00002", ""},
	{"A of five octets", A, IP1 "00", ""},
	{"A of 16 octets", A, IP6, ""},
	{"A of none", A, "", ""},
	{"AAAA", AAAA, IP6, "2001:db8::1 "},
	{"AAAA of 15 octets", AAAA, "20010db80000000000000000000000", ""},
	{"AAAA of 17 octets", AAAA, IP6 "00", ""},
	{"AAAA of four octets", AAAA, IP1, ""},
	{"AAAA of none", AAAA, "", ""},
	{"another type of four octets", TXT, IP1, ""},
	{"another type with what looks like hints", TXT, HEAD "0004 0004" IP1, ""},

	{"no parameters", HTTPS, HEAD, ""},
	{"an IPv4 hint", HTTPS, HEAD "0004 0004" IP1, "192.0.2.1 "},
	{"an IPv6 hint", HTTPS, HEAD "0006 0010" IP6, "2001:db8::1 "},
	{"SVCB is read like HTTPS", SVCB, HEAD "0004 0004" IP1, "192.0.2.1 "},
	{"several hints of each kind", HTTPS, HEAD "0004 0008" IP1 IP2 "0006 0020" IP6 IP7,
		"192.0.2.1 192.0.2.2 2001:db8::1 2001:db8::2 "},
	{"other parameters around", HTTPS,
		HEAD ALPN PORT "0004 0004" IP1 "0005 0001 00"
			       "0006 0010" IP6 "ffff 0000",
		"192.0.2.1 2001:db8::1 "},
	{"keys out of order", HTTPS, HEAD "0006 0010" IP6 "0004 0004" IP1,
		"2001:db8::1 192.0.2.1 "},
	{"a key twice", HTTPS, HEAD "0004 0004" IP1 "0004 0004" IP2, "192.0.2.1 192.0.2.2 "},
	{"behind a target", HTTPS, "0001 03 777777 00 0004 0004" IP1, "192.0.2.1 "},
	{"behind the longest target", HTTPS,
		"0001" X63 X63 X63 "3d" X32 X16 X8 X4 X1 "00 0004 0004" IP1, "192.0.2.1 "},
	{"alias mode", HTTPS, "0000 00 0004 0004" IP1, "192.0.2.1 "},
	{"the high octet of a key", HTTPS, HEAD "0104 0004" IP1 "0400 0004" IP2, ""},
	{"the high octet of a length", HTTPS, HEAD "0001 0100" X63 X63 X63 X63 "0004 0004" IP1,
		"192.0.2.1 "},

	{"an empty hint", HTTPS, HEAD "0004 0000 0006 0010" IP6, "2001:db8::1 "},
	{"an IPv4 hint of three octets", HTTPS, HEAD "0004 0003 c00002 0006 0010" IP6,
		"2001:db8::1 "},
	{"an IPv4 hint of seven octets", HTTPS, HEAD "0004 0007" IP1 "c00002 0006 0010" IP6,
		"192.0.2.1 2001:db8::1 "},
	{"an IPv6 hint of 15 octets", HTTPS, HEAD "0006 000f 20010db80000000000000000000000", ""},
	{"an IPv6 hint of 17 octets", HTTPS, HEAD "0006 0011" IP6 "00", "2001:db8::1 "},

	{"empty", HTTPS, "", ""},
	{"half a priority", HTTPS, "00", ""},
	{"no target", HTTPS, "0001", ""},
	{"a target without end", HTTPS, "0001 04 0004 0004", ""},
	{"a target over 255 octets", HTTPS,
		"0001" X63 X63 X63 "3e" X32 X16 X8 X4 X2 "00 0004 0004" IP1, ""},
	{"a label of 64 octets", HTTPS, "0001 40" X32 X32 "00 0004 0004" IP1, ""},
	{"a compressed target", HTTPS, "0001 c00c 0004 0004" IP1, ""},
	{"half a parameter's head", HTTPS, HEAD "0004 0004" IP1 "0004 00", "192.0.2.1 "},
	{"a parameter one octet short", HTTPS, HEAD "0004 0004" IP1 "0004 0005" IP2, "192.0.2.1 "},
	{"a parameter longer than all rdata", HTTPS, HEAD "0004 ffff" IP1, ""},
};

/*! Writes the addresses with a space after each. */
static void join(char *text, size_t size, const icp_address_t *addresses, size_t count)
{
	size_t used = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		char one[ICP_ADDRESS_TEXT_MAX];
		icp_address_format(&addresses[i], one);
		used += (size_t)snprintf(text + used, size - used, "%s ", one);
		assert_true(used < size);
	}
}

static void test_addresses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(reads); i++) {
		icp_address_t addresses[4];
		char text[256];
		rdata_t rdata = rdata_of(reads[i].rdata);
		size_t count = icp_rdata_addresses(
			reads[i].type, rdata.octets, rdata.length, addresses, COUNT(addresses));
		size_t counted =
			icp_rdata_addresses(reads[i].type, rdata.octets, rdata.length, NULL, 0);
		free(rdata.octets);
		assert_true(count <= COUNT(addresses));
		join(text, sizeof text, addresses, count);
		if (strcmp(text, reads[i].want) != 0 || counted != count) {
			fail_msg("%s: %s(%zu)", reads[i].shows, text, counted);
		}
	}
}

/*! Cut anywhere, a record gives the addresses of the parameters that are whole. */
static void test_cut(void **state)
{
	(void)state;
	rdata_t whole = rdata_of("0001 03 777777 00" ALPN "0004 0008" IP1 IP2 "0006 0010" IP6);
	const size_t ipv4_end = 2 + 5 + 7 + 12;
	for (size_t length = 0; length <= whole.length; length++) {
		uint8_t *cut = malloc(length > 0 ? length : 1);
		assert_non_null(cut);
		memcpy(cut, whole.octets, length);
		size_t want = (length >= ipv4_end ? 2 : 0) + (length == whole.length ? 1 : 0);
		size_t count = icp_rdata_addresses(HTTPS, cut, length, NULL, 0);
		free(cut);
		if (count != want) {
			fail_msg("%zu octets: %zu addresses", length, count);
		}
	}
	free(whole.octets);
}

/*! Only the room that is given is written, the count is that of all. */
static void test_room(void **state)
{
	(void)state;
	static const struct {
		uint16_t type;
		const char *rdata;
		size_t count;
	} cases[] = {{A, IP1, 1}, {HTTPS, HEAD "0004 0008" IP1 IP2 "0006 0010" IP6, 3}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		rdata_t rdata = rdata_of(cases[i].rdata);
		icp_address_t all[3];
		icp_rdata_addresses(cases[i].type, rdata.octets, rdata.length, all, COUNT(all));
		for (size_t room = 0; room <= cases[i].count; room++) {
			icp_address_t some[4];
			icp_address_t untouched;
			memset(some, 0xee, sizeof some);
			memset(&untouched, 0xee, sizeof untouched);
			assert_int_equal(icp_rdata_addresses(cases[i].type, rdata.octets,
						 rdata.length, some, room),
				cases[i].count);
			assert_memory_equal(some, all, room * sizeof *some);
			assert_memory_equal(&some[room], &untouched, sizeof untouched);
		}
		free(rdata.octets);
	}
}

/*! As many hints as fit in a record. */
static void test_longest(void **state)
{
	(void)state;
	const size_t head = 7;
	const size_t count = (UINT16_MAX - head) / 4;
	rdata_t rdata = rdata_of(HEAD "0004 0000");
	assert_int_equal(rdata.length, head);
	rdata.length += 4 * count;
	rdata.octets = realloc(rdata.octets, rdata.length);
	uint8_t *out = malloc(rdata.length > 0 ? rdata.length : 1);
	icp_address_t *addresses = malloc(count * sizeof *addresses);
	bool *keep = calloc(count, sizeof *keep);
	assert_non_null(rdata.octets);
	assert_non_null(out);
	assert_non_null(addresses);
	assert_non_null(keep);
	rdata.octets[5] = (uint8_t)(4 * count >> 8);
	rdata.octets[6] = (uint8_t)(4 * count);
	for (size_t i = 0; i < count; i++) {
		const uint8_t ipv4[4] = {10, 0, (uint8_t)(i >> 8), (uint8_t)i};
		memcpy(rdata.octets + head + 4 * i, ipv4, 4);
	}
	assert_int_equal(
		icp_rdata_addresses(HTTPS, rdata.octets, rdata.length, addresses, count), count);
	assert_memory_equal(addresses[count - 1].bytes, rdata.octets + rdata.length - 4, 4);
	memset(keep + 1, true, (count - 1) * sizeof *keep);
	assert_int_equal(
		icp_rdata_strip(HTTPS, rdata.octets, rdata.length, keep, out), rdata.length - 4);
	assert_int_equal(out[5] << 8 | out[6], 4 * (count - 1));
	assert_memory_equal(out + head, rdata.octets + head + 4, 4 * (count - 1));
	free(keep);
	free(addresses);
	free(out);
	free(rdata.octets);
}

static const struct {
	const char *shows;
	const char *rdata;
	uint16_t priority;
	size_t length; /*!< Of the target; 0: refused. */
} targets[] = {
	{"the owner itself", "0102 00", 0x0102, 1},
	{"a name", "0001 03 777777 00", 1, 5},
	{"alias mode", "0000 03 777777 00", 0, 5},
	{"parameters behind it", "ffff 03 777777 00" PORT, UINT16_MAX, 5},
	{"a label of 63 octets", "0001" X63 "00", 1, 65},
	{"255 octets", "0001" X63 X63 X63 "3d" X32 X16 X8 X4 X1 "00", 1, 255},
	{"256 octets", "0001" X63 X63 X63 "3e" X32 X16 X8 X4 X2 "00", 0, 0},
	{"a label of 64 octets", "0001 40" X32 X32 "00", 0, 0},
	{"an old kind of label", "0001 80" X32 X32 X32 X32 "00", 0, 0},
	{"a compression pointer", "0001 c000", 0, 0},
	{"a compression pointer behind a label", "0001 03 777777 c000", 0, 0},
	{"no root label", "0001 03 777777", 0, 0},
	{"a cut label", "0001 03 7777", 0, 0},
	{"a length alone", "0001 03", 0, 0},
	{"no target", "0001", 0, 0},
	{"half a priority", "00", 0, 0},
	{"empty", "", 0, 0},
};

static void test_target(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(targets); i++) {
		uint16_t priority = 0;
		const uint8_t *target = NULL;
		size_t length = 0;
		rdata_t rdata = rdata_of(targets[i].rdata);
		bool good =
			icp_rdata_target(rdata.octets, rdata.length, &priority, &target, &length);
		if (good != (targets[i].length > 0)) {
			fail_msg("%s: %s", targets[i].shows, good ? "taken" : "refused");
		}
		if (good && (target != rdata.octets + 2 || length != targets[i].length ||
				    priority != targets[i].priority)) {
			fail_msg("%s: priority %u, %zu octets", targets[i].shows, priority, length);
		}
		free(rdata.octets);
	}
}

static const struct {
	const char *shows;
	uint16_t type;
	const char *rdata;
	const char *keep; /*!< '1' for each address that stays, '0' for others. */
	const char *want; /*!< NULL: left out. */
} strips[] = {
	{"A kept", A, IP1, "1", IP1},
	{"A taken", A, IP1, "0", NULL},
	{"AAAA kept", AAAA, IP6, "1", IP6},
	{"AAAA taken", AAAA, IP6, "0", NULL},
	{"A that holds no address", A, "c00002", "", "c00002"},
	{"a type without addresses", TXT, "03 616263", "", "03 616263"},

	{"no hints", HTTPS, HEAD ALPN, "", HEAD ALPN},
	{"all kept", HTTPS, HEAD ALPN "0004 0008" IP1 IP2 "0006 0010" IP6, "111",
		HEAD ALPN "0004 0008" IP1 IP2 "0006 0010" IP6},
	{"the first taken", HTTPS, HEAD "0004 000c" IP1 IP2 IP3, "011", HEAD "0004 0008" IP2 IP3},
	{"the middle one taken", HTTPS, HEAD "0004 000c" IP1 IP2 IP3, "101",
		HEAD "0004 0008" IP1 IP3},
	{"the last taken", HTTPS, HEAD "0004 000c" IP1 IP2 IP3, "110", HEAD "0004 0008" IP1 IP2},
	{"the only one taken", HTTPS, HEAD "0004 0004" IP1, "0", HEAD},
	{"all of one kind taken", HTTPS, HEAD "0004 0008" IP1 IP2 "0006 0010" IP6, "001",
		HEAD "0006 0010" IP6},
	{"all of the other kind taken", HTTPS, HEAD "0004 0004" IP1 "0006 0020" IP6 IP7, "100",
		HEAD "0004 0004" IP1},
	{"all taken, parameters around stay", HTTPS,
		HEAD ALPN "0004 0004" IP1 PORT "0006 0010" IP6 "ffff 0001 00", "00",
		HEAD ALPN PORT "ffff 0001 00"},
	{"counting goes on over parameters", HTTPS,
		HEAD "0004 0008" IP1 IP2 PORT "0006 0020" IP6 IP7, "0110",
		HEAD "0004 0004" IP2 PORT "0006 0010" IP6},
	{"SVCB", SVCB, HEAD "0004 0008" IP1 IP2, "01", HEAD "0004 0004" IP2},
	{"target and priority stay", HTTPS, "0102 03 777777 00 0004 0004" IP1, "0",
		"0102 03 777777 00"},
	{"a key twice, the first emptied", HTTPS, HEAD "0004 0004" IP1 "0004 0004" IP2, "01",
		HEAD "0004 0004" IP2},

	{"mandatory and taken", HTTPS, HEAD "0000 0002 0004 0004 0004" IP1, "0", NULL},
	{"mandatory and kept", HTTPS, HEAD "0000 0002 0004 0004 0004" IP1, "1",
		HEAD "0000 0002 0004 0004 0004" IP1},
	{"mandatory and one left", HTTPS, HEAD "0000 0002 0004 0004 0008" IP1 IP2, "10",
		HEAD "0000 0002 0004 0004 0004" IP1},
	{"mandatory as the second of two", HTTPS, HEAD "0000 0004 0001 0006" ALPN "0006 0010" IP6,
		"0", NULL},
	{"another one mandatory", HTTPS, HEAD "0000 0002 0001" ALPN "0004 0004" IP1, "0",
		HEAD "0000 0002 0001" ALPN},
	{"the other kind mandatory", HTTPS, HEAD "0000 0002 0006 0004 0004" IP1 "0006 0010" IP6,
		"01", HEAD "0000 0002 0006 0006 0010" IP6},
	{"the high octet of a mandatory key", HTTPS, HEAD "0000 0002 0104 0004 0004" IP1, "0",
		HEAD "0000 0002 0104"},
	{"mandatory behind the hint", HTTPS, HEAD "0004 0004" IP1 "0000 0002 0004", "0", NULL},
	{"mandatory with an odd octet", HTTPS, HEAD "0000 0003 0004 00 0004 0004" IP1, "0", NULL},
	{"half a key is not mandatory", HTTPS, HEAD "0000 0001 00 0400 0000 0004 0004" IP1, "0",
		HEAD "0000 0001 00 0400 0000"},
	{"a number in another parameter is not mandatory", HTTPS,
		HEAD "0001 0002 0004 0004 0004" IP1, "0", HEAD "0001 0002 0004"},

	{"an empty parameter at the end", HTTPS, HEAD "0004 0008" IP1 IP2 "0009 0000", "01",
		HEAD "0004 0004" IP2 "0009 0000"},
	{"an empty hint", HTTPS, HEAD "0004 0000 0006 0010" IP6, "1",
		HEAD "0004 0000 0006 0010" IP6},
	{"a hint without a whole address", HTTPS, HEAD "0004 0003 c00002 0006 0010" IP6, "0",
		HEAD "0004 0003 c00002"},
	{"what follows a fault", HTTPS, HEAD "0004 0008" IP1 IP2 "0001 0005 02", "01",
		HEAD "0004 0004" IP2},
	{"a target that is none", HTTPS, "0001 c00c 0004 0004" IP1, "", "0001 c00c 0004 0004" IP1},
};

static void test_strip(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(strips); i++) {
		rdata_t rdata = rdata_of(strips[i].rdata);
		rdata_t want = rdata_of(strips[i].want != NULL ? strips[i].want : "");
		size_t count = strlen(strips[i].keep);
		bool *keep = malloc(count > 0 ? count * sizeof *keep : 1);
		uint8_t *out = malloc(rdata.length > 0 ? rdata.length : 1);
		assert_non_null(keep);
		assert_non_null(out);
		for (size_t j = 0; j < count; j++) {
			keep[j] = strips[i].keep[j] == '1';
		}
		assert_int_equal(
			icp_rdata_addresses(strips[i].type, rdata.octets, rdata.length, NULL, 0),
			count);
		size_t length =
			icp_rdata_strip(strips[i].type, rdata.octets, rdata.length, keep, out);
		if (length != want.length || memcmp(out, want.octets, length) != 0) {
			fail_msg("%s: %zu octets", strips[i].shows, length);
		}
		free(out);
		free(keep);
		free(want.octets);
		free(rdata.octets);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_has_addresses),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_cut),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_target),
		cmocka_unit_test(test_strip),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

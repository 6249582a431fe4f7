/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/name.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

#define A10 "aaaaaaaaaa"
#define A60 A10 A10 A10 A10 A10 A10
#define A63 A60 "aaa"
#define A50 A10 A10 A10 A10 A10
#define A180 A60 A60 A60
#define A192 A63 "." A63 "." A63 "."
#define A252 A192 A60

/*! Makes a copy that ends where its memory ends, so that a read beyond it is found. */
static void *exact_copy(const void *bytes, size_t length)
{
	void *copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, length);
	return copy;
}

static int parse(icp_name_t *name, const char *text, size_t length, const char **why)
{
	char *copy = exact_copy(text, length);
	int code = icp_name_parse(name, copy, length, why);
	free(copy);
	return code;
}

static icp_name_t name_of(const char *text)
{
	icp_name_t name = {0};
	if (strcmp(text, ".") != 0) {
		assert_int_equal(parse(&name, text, strlen(text), NULL), ICP_EOK);
	}
	return name;
}

static const struct {
	const char *shows;
	const char *text;
	const char *want;
	unsigned labels;
} good[] = {
	{"lower case stays", "www.example.com", "www.example.com", 3},
	{"upper case becomes lower", "WWW.ExAmPlE.COM", "www.example.com", 3},
	{"every letter and digit",
		"ABCDEFGHIJKLMNOPQRSTUVWXYZ.abcdefghijklmnopqrstuvwxyz.0123456789",
		"abcdefghijklmnopqrstuvwxyz.abcdefghijklmnopqrstuvwxyz.0123456789", 3},
	{"one trailing dot", "example.com.", "example.com", 2},
	{"one label", "com", "com", 1},
	{"one character", "a", "a", 1},
	{"digits alone", "163.com", "163.com", 2},
	{"underscores anywhere", "_dmarc.a_b.c_", "_dmarc.a_b.c_", 3},
	{"inner hyphens", "a-b.c--d.cn", "a-b.c--d.cn", 3},
	{"hyphens at three and four", "ab--cd.com", "ab--cd.com", 2},
	{"an A-label", "XN--FIQS8S", "xn--fiqs8s", 1},
	{"a label that only looks like an A-label", "xn--zzzzzz99.com", "xn--zzzzzz99.com", 2},
	{"label of 63", A63 ".com", A63 ".com", 2},
	{"name of 253", A252 "a", A252 "a", 4},
	{"name of 253 with a last label of one", A192 A50 "aaaaaaaaa.a", A192 A50 "aaaaaaaaa.a", 5},
	{"name of 253 and a trailing dot", A252 "a.", A252 "a", 4},
	{"an A-label that makes the name 253 long", A192 A50 ".中国", A192 A50 ".xn--fiqs8s", 5},
	{"U-labels", "例子.中国", "xn--fsqu00a.xn--fiqs8s", 2},
	{"a U-label between ASCII labels", "www.例子.com.", "www.xn--fsqu00a.com", 3},
	{"ASCII letters and others in one label", "Ab例子", "xn--ab-rt3ck06b", 1},
	{"an A-label of 63", A50 "aaa中", "xn--" A50 "aaa-iv09f", 1},
	{"an ideographic full stop", "例子。中国。", "xn--fsqu00a.xn--fiqs8s", 2},
	{"a fullwidth full stop", "www．example．com", "www.example.com", 3},
	{"a halfwidth full stop", "www｡example｡com", "www.example.com", 3},
	{"fullwidth letters", "ＥＸＡＭＰＬＥ.com", "example.com", 2},
	{"a fullwidth A-label", "ｘn--fiqs8s", "xn--fiqs8s", 1},
	{"upper case outside ASCII", "BÜCHER.de", "xn--bcher-kva.de", 2},
	{"combining characters are composed", "bu\u0308cher", "xn--bcher-kva", 1},
	{"non-transitional: sharp s stays", "faß.de", "xn--fa-hia.de", 2},
	{"ignored characters vanish", "exam\u00adple.com", "example.com", 2},
};

static void test_parse_good(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		char text[ICP_NAME_TEXT_MAX];
		icp_name_t name;
		if (parse(&name, good[i].text, strlen(good[i].text), NULL) != ICP_EOK) {
			fail_msg("%s: refused", good[i].shows);
		}
		icp_name_format(&name, text);
		if (strcmp(text, good[i].want) != 0 || name.labels != good[i].labels ||
			name.length != strlen(text) + 1) {
			fail_msg("%s: %s, %u labels, %u octets", good[i].shows, text, name.labels,
				name.length);
		}
	}
}

static const struct {
	const char *shows;
	const char *text;
	size_t length; /*!< 0: up to the NUL. */
	const char *why;
} bad[] = {
	{"empty", "", 0, "empty name"},
	{"a dot alone", ".", 0, "empty label"},
	{"an ideographic full stop alone", "。", 0, "empty label"},
	{"a leading dot", ".example.com", 0, "empty label"},
	{"two dots inside", "example..com", 0, "empty label"},
	{"two dots of two kinds", "example.。com", 0, "empty label"},
	{"two trailing dots", "example.com..", 0, "empty label"},
	{"nothing is left of a label", "\u00ad.com", 0, "empty label"},
	{"label of 64", A63 "a.com", 0, "label over 63 characters"},
	{"last label of 64", "com." A63 "a", 0, "label over 63 characters"},
	{"a label of 240", A60 A60 A60 A60, 0, "label over 63 characters"},
	{"a label of 300", A60 A60 A60 A60 A60, 0, "label over 63 characters"},
	{"label of 64 where 63 have room", A63 "." A63 "." A60 "a." A63 "a", 0,
		"label over 63 characters"},
	{"A-label of 64", A50 "aaaa中", 0, "label over 63 characters"},
	{"a U-label of 183 octets", "中" A60 A60 A60, 0, "label over 63 characters"},
	{"a U-label of 512 octets", "中" A180 A180 A60 A60 A10 A10 "aaaaaaaaa", 0,
		"label over 63 characters"},
	{"a U-label of 543 octets", "中" A180 A180 A180, 0, "label over 63 characters"},
	{"name of 254", A252 "aa", 0, "name over 253 characters"},
	{"name of 254 in a label of its own", A252 ".a", 0, "name over 253 characters"},
	{"name of 255 whose last label has no room", A252 "a.a", 0, "name over 253 characters"},
	{"an A-label that makes the name 254 long", A192 A50 "a.中国", 0,
		"name over 253 characters"},
	{"a space", "exam ple.com", 0, "character not allowed in a name"},
	{"a leading space", " example.com", 0, "character not allowed in a name"},
	{"a trailing line end", "example.com\n", 0, "character not allowed in a name"},
	{"a slash", "example.com/", 0, "character not allowed in a name"},
	{"a colon", "example.com:80", 0, "character not allowed in a name"},
	{"a wildcard", "*.example.com", 0, "character not allowed in a name"},
	{"an escape", "ex\\097mple.com", 0, "character not allowed in a name"},
	{"the octets beside letters: at", "a@a", 0, "character not allowed in a name"},
	{"the octets beside letters: bracket", "a[a", 0, "character not allowed in a name"},
	{"the octets beside letters: backquote", "a`a", 0, "character not allowed in a name"},
	{"the octets beside letters: brace", "a{a", 0, "character not allowed in a name"},
	{"DEL", "a\x7f", 0, "character not allowed in a name"},
	{"NUL inside", "exam\0ple.com", 12, "character not allowed in a name"},
	{"NUL at the end", "example.com\0", 12, "character not allowed in a name"},
	{"NUL in a U-label", "中\0国", 7, "character not allowed in a name"},
	{"hyphen first", "-a.com", 0, "hyphen at the start or end of a label"},
	{"hyphen last", "a-.com", 0, "hyphen at the start or end of a label"},
	{"hyphen last of all", "com.a-", 0, "hyphen at the start or end of a label"},
	{"hyphen alone", "-", 0, "hyphen at the start or end of a label"},
	{"hyphen before a U-label", "-中", 0, "not valid IDNA2008"},
	{"symbols", "☃.com", 0, "not valid IDNA2008"},
	{"a broken A-label in fullwidth", "ｘn--aa中", 0, "not valid IDNA2008"},
	{"hyphens at three and four of a U-label", "ab--中", 0, "not valid IDNA2008"},
	{"not UTF-8", "\xff\xfe.com", 0, "not valid IDNA2008"},
	{"a continuation octet alone", "a\x80", 0, "not valid IDNA2008"},
	{"UTF-8 cut short", "a\xe4\xb8", 0, "not valid IDNA2008"},
	{"mapped to a dot", "a\u2024b", 0, "not valid IDNA2008"},
	{"mapped to a sign", "a\uff1bb", 0, "not valid IDNA2008"},
	{"underscore beside a U-label", "_中", 0, "not valid IDNA2008"},
	{"mapped to an underscore", "a\uff3fb", 0, "not valid IDNA2008"},
	{"a space beside a U-label", "中 ", 0, "not valid IDNA2008"},
	{"mixed directions", "\u05d0a", 0, "not valid IDNA2008"},
};

static void test_parse_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		size_t length = bad[i].length > 0 ? bad[i].length : strlen(bad[i].text);
		const char *why = NULL;
		icp_name_t name;
		if (parse(&name, bad[i].text, length, &why) != ICP_EINVAL) {
			fail_msg("%s: taken", bad[i].shows);
		}
		if (why == NULL || strcmp(why, bad[i].why) != 0) {
			fail_msg("%s: %s", bad[i].shows, why != NULL ? why : "no reason");
		}
	}
}

static const struct {
	const char *shows;
	const char *wire;
	size_t length;
	const char *want; /*!< NULL: refused. */
} wires[] = {
	{"the root", "\0", 1, "."},
	{"upper case becomes lower", "\3WwW\7eXAMPLE\3CoM\0", 17, "www.example.com"},
	{"octets beside letters stay", "\4@[`{\0", 6, "\\064[`{"},
	{"octets above ASCII stay", "\2\xc1\xda\0", 4, "\\193\\218"},
	{"a dot inside a label", "\3a.b\0", 5, "a\\046b"},
	{"NUL inside a label", "\3a\0b\0", 5, "a\\000b"},
	{"octets after the root label", "\1a\0zzz", 6, "a"},
	{"nothing", "", 0, NULL},
	{"no root label", "\3www", 4, NULL},
	{"a label cut short", "\3ww", 3, NULL},
	{"a length alone", "\3", 1, NULL},
	{"a compression pointer", "\1a\xc0\x0c\0", 5, NULL},
	{"an extended label type", "\x41z\0", 3, NULL},
	{"the other label type", "\x80\0", 2, NULL},
};

static void test_from_wire(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(wires); i++) {
		uint8_t *copy = exact_copy(wires[i].wire, wires[i].length);
		char text[ICP_NAME_TEXT_MAX] = "";
		icp_name_t name;
		int code = icp_name_from_wire(&name, copy, wires[i].length);
		free(copy);
		if (code == ICP_EOK) {
			icp_name_format(&name, text);
		}
		if (wires[i].want == NULL ? code != ICP_EINVAL : strcmp(text, wires[i].want) != 0) {
			fail_msg("%s: %d, %s", wires[i].shows, code, text);
		}
	}
}

/*! Writes labels of one octet each, then the last one of some octets, then the root. */
static size_t long_wire(uint8_t *wire, unsigned singles, unsigned last)
{
	size_t at = 0;
	for (unsigned i = 0; i < singles; i++) {
		wire[at++] = 1;
		wire[at++] = 'a';
	}
	if (last > 0) {
		wire[at++] = (uint8_t)last;
		memset(wire + at, 'b', last);
		at += last;
	}
	wire[at++] = 0;
	return at;
}

static void test_longest(void **state)
{
	(void)state;
	uint8_t wire[400];
	char text[ICP_NAME_TEXT_MAX];
	icp_name_t name;

	assert_int_equal(icp_name_from_wire(&name, wire, long_wire(wire, 127, 0)), ICP_EOK);
	assert_int_equal(name.labels, ICP_NAME_LABELS_MAX);
	assert_int_equal(name.length, ICP_NAME_MAX);
	icp_name_format(&name, text);
	assert_int_equal(strlen(text), 253);
	assert_int_equal(icp_name_from_stored(&name, wire, ICP_NAME_MAX), ICP_EOK);

	assert_int_equal(icp_name_from_wire(&name, wire, long_wire(wire, 128, 0)), ICP_EINVAL);
	assert_int_equal(icp_name_from_wire(&name, wire, long_wire(wire, 126, 2)), ICP_EINVAL);
	assert_int_equal(icp_name_from_stored(&name, wire, 255), ICP_EINVAL);
	assert_int_equal(icp_name_from_wire(&name, wire, long_wire(wire, 0, 63)), ICP_EOK);
	assert_int_equal(icp_name_from_wire(&name, wire, long_wire(wire, 0, 64)), ICP_EINVAL);

	/* Four labels of octets that all need an escape make the longest text. */
	memset(wire, 0xff, sizeof wire);
	wire[0] = wire[64] = wire[128] = 63;
	wire[192] = 61;
	wire[254] = 0;
	assert_int_equal(icp_name_from_wire(&name, wire, sizeof wire), ICP_EOK);
	icp_name_format(&name, text);
	assert_int_equal(strlen(text), 4 * 250 + 3);
	assert_int_equal(icp_name_from_stored(&name, wire, 254), ICP_EOK);
}

static const struct {
	const char *shows;
	const char *wire;
	size_t length;
	int code;
	unsigned labels;
} stored[] = {
	{"the root", "", 0, ICP_EOK, 0},
	{"two labels", "\7example\3com", 12, ICP_EOK, 2},
	{"octets beside letters", "\3@[\xff", 4, ICP_EOK, 1},
	{"upper case", "\7examplE\3com", 12, ICP_EINVAL, 0},
	{"the first and the last upper case letter", "\2aA\1Z", 5, ICP_EINVAL, 0},
	{"a label cut short", "\7example\3co", 11, ICP_EINVAL, 0},
	{"a length without its label", "\7example\3", 9, ICP_EINVAL, 0},
	{"a root label", "\7example\3com\0", 13, ICP_EINVAL, 0},
	{"a compression pointer", "\xc0\x0c", 2, ICP_EINVAL, 0},
};

static void test_from_stored(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(stored); i++) {
		uint8_t *copy = exact_copy(stored[i].wire, stored[i].length);
		icp_name_t name = {0};
		int code = icp_name_from_stored(&name, copy, stored[i].length);
		bool same = memcmp(name.wire, copy, name.length) == 0;
		free(copy);
		if (code != stored[i].code || name.labels != stored[i].labels || !same) {
			fail_msg("%s: %d, %u labels", stored[i].shows, code, name.labels);
		}
	}
}

static void test_format_escapes(void **state)
{
	(void)state;
	for (unsigned octet = 0; octet < 256; octet++) {
		const icp_name_t name = {.length = 2, .labels = 1, .wire = {1, (uint8_t)octet}};
		bool plain = octet > 32 && octet < 127 && !strchr("\"$().;@\\", (int)octet);
		char text[ICP_NAME_TEXT_MAX];
		char want[5] = {'\\', (char)('0' + octet / 100), (char)('0' + octet / 10 % 10),
			(char)('0' + octet % 10)};
		if (plain) {
			want[0] = (char)octet;
			want[1] = '\0';
		}
		icp_name_format(&name, text);
		assert_string_equal(text, want);
	}
}

static void test_is_ldh(void **state)
{
	(void)state;
	static const struct {
		const char *wire;
		size_t length;
		bool want;
	} cases[] = {
		{"\3a-z\2"
		 "09",
			7, true},
		{"\1a", 2, true},
		{"\3a_b\3com", 8, false},
		{"\3com\3a_b", 8, false},
		{"\2-a", 3, false},
		{"\2a-", 3, false},
		{"\3a.b", 4, false},
		{"\1\0", 2, false},
		{"\1\xe4", 2, false},
		{"\1*\3com", 6, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_name_t name;
		assert_int_equal(icp_name_from_stored(
					 &name, (const uint8_t *)cases[i].wire, cases[i].length),
			ICP_EOK);
		if (icp_name_is_ldh(&name) != cases[i].want) {
			fail_msg("case %zu", i);
		}
	}
}

static const struct {
	const char *shows;
	const char *name;
	const char *suffix;
	bool want;
} unders[] = {
	{"the name itself", "example.com", "example.com", true},
	{"one below", "www.example.com", "example.com", true},
	{"far below", "a.b.c.example.com", "example.com", true},
	{"all are under the root", "example.com", ".", true},
	{"the root is under itself", ".", ".", true},
	{"the root is under no other", ".", "com", false},
	{"the parent is not under it", "com", "example.com", false},
	{"no label boundary", "notexample.com", "example.com", false},
	{"no label boundary, same number of octets", "a.xample.com", "example.com", false},
	{"another name of the same length", "exampla.com", "example.com", false},
	{"another suffix", "example.com.cn", "example.com", false},
};

static void test_is_under(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(unders); i++) {
		icp_name_t name = name_of(unders[i].name);
		icp_name_t suffix = name_of(unders[i].suffix);
		if (icp_name_is_under(&name, &suffix) != unders[i].want) {
			fail_msg("%s", unders[i].shows);
		}
	}
	/* The suffix's octets end the name, but its length octet is content of a label there. */
	const icp_name_t name = {.length = 6, .labels = 2, .wire = "\1x\3a\1c"};
	const icp_name_t suffix = {.length = 2, .labels = 1, .wire = "\1c"};
	assert_false(icp_name_is_under(&name, &suffix));
}

static void test_suffixes(void **state)
{
	(void)state;
	const icp_name_t root = {0};
	icp_name_t name = name_of("www.shop.example.com");
	uint8_t offsets[ICP_NAME_LABELS_MAX + 1];
	static const uint8_t want[] = {21, 17, 9, 4, 0};

	icp_name_suffixes(&name, offsets);
	for (unsigned labels = 0; labels <= 4; labels++) {
		assert_int_equal(offsets[labels], want[labels]);
		assert_int_equal(icp_name_suffix(&name, labels), want[labels]);
	}
	icp_name_suffixes(&root, offsets);
	assert_int_equal(offsets[0], 0);
	assert_int_equal(icp_name_suffix(&root, 0), 0);
}

static void test_compare(void **state)
{
	(void)state;
	/* These are no names; nothing is written outside all the same. */
	static const uint8_t zeros[ICP_NAME_MAX];
	assert_int_equal(icp_name_compare(zeros, sizeof zeros, zeros, sizeof zeros), 0);

	/* In canonical order: by label from the right, as octets; the shorter first. */
	static const struct {
		const char *wire;
		size_t length;
	} order[] = {
		{"", 0},
		{"\7example", 8},
		{"\1a\7example", 10},
		{"\10yljkjljk\1a\7example", 19},
		{"\1z\1a\7example", 12},
		{"\3zab\1a\7example", 14},
		{"\1b\7example", 10},
		{"\1z\7example", 10},
		{"\1\1\1z\7example", 12},
		{"\1*\1z\7example", 12},
		{"\1\xc8\1z\7example", 12},
		{"\2zz\7example", 11},
		{"\7examplf", 8},
	};
	for (size_t i = 0; i < COUNT(order); i++) {
		for (size_t j = 0; j < COUNT(order); j++) {
			uint8_t *a = exact_copy(order[i].wire, order[i].length);
			uint8_t *b = exact_copy(order[j].wire, order[j].length);
			int sign = icp_name_compare(a, order[i].length, b, order[j].length);
			free(a);
			free(b);
			if ((sign > 0) - (sign < 0) != (i > j) - (i < j)) {
				fail_msg("%zu and %zu: %d", i, j, sign);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_good),
		cmocka_unit_test(test_parse_bad),
		cmocka_unit_test(test_from_wire),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_from_stored),
		cmocka_unit_test(test_format_escapes),
		cmocka_unit_test(test_is_ldh),
		cmocka_unit_test(test_is_under),
		cmocka_unit_test(test_suffixes),
		cmocka_unit_test(test_compare),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

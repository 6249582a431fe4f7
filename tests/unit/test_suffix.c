/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/suffix.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static int set_up(void **state)
{
	*state = icp_suffix_create();
	return *state != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	icp_suffix_destroy(*state);
	return 0;
}

static const struct {
	const char *name;
	const char *registrable; /*!< NULL: none. */
} cases[] = {
	{"example.com", "example.com"},
	{"www.example.com", "example.com"},
	{"a.b.c.www.example.com", "example.com"},
	{"com", NULL},
	{"no-such-top-level-domain", NULL},
	{"example.no-such-top-level-domain", "example.no-such-top-level-domain"},
	{"a.example.no-such-top-level-domain", "example.no-such-top-level-domain"},
	/* Rules of two labels and more. */
	{"com.cn", NULL},
	{"example.com.cn", "example.com.cn"},
	{"www.shop.example.com.cn", "example.com.cn"},
	{"example.cn", "example.cn"},
	{"pvt.k12.ma.us", NULL},
	{"a.b.pvt.k12.ma.us", "b.pvt.k12.ma.us"},
	{"b.k12.ma.us", "b.k12.ma.us"},
	/* Any label under a wildcard is a suffix, but for the exceptions. */
	{"any.ck", NULL},
	{"example.any.ck", "example.any.ck"},
	{"www.example.any.ck", "example.any.ck"},
	{"www.ck", "www.ck"},
	{"a.www.ck", "www.ck"},
	{"city.kawasaki.jp", "city.kawasaki.jp"},
	{"a.b.kawasaki.jp", "a.b.kawasaki.jp"},
	/* The private section does not count. */
	{"github.io", "github.io"},
	{"somebody.github.io", "github.io"},
	{"bucket.s3.amazonaws.com", "amazonaws.com"},
	/* Suffixes that are not ASCII. */
	{"\xe5\x85\xac\xe5\x8f\xb8.cn", NULL},
	{"www.example.\xe5\x85\xac\xe5\x8f\xb8.cn", "example.\xe5\x85\xac\xe5\x8f\xb8.cn"},
	{"a.b.\xe4\xb8\xad\xe5\x9b\xbd", "b.\xe4\xb8\xad\xe5\x9b\xbd"},
	{"_sip._tcp.example.com", "example.com"},
};

static icp_name_t name_of(const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return name;
}

static void registrable_domains(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_name_t name = name_of(cases[i].name);
		unsigned wanted =
			cases[i].registrable != NULL ? name_of(cases[i].registrable).labels : 0;
		unsigned found = icp_suffix_registrable(*state, &name);
		if (found != wanted) {
			fail_msg("%s: %u labels, not %u", cases[i].name, found, wanted);
		}
	}
}

static void a_suffix_is_a_name_without_a_registrable_domain(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_name_t name = name_of(cases[i].name);
		if (icp_suffix_is_public(*state, &name) != (cases[i].registrable == NULL)) {
			fail_msg("%s", cases[i].name);
		}
	}
}

static void the_root_is_neither(void **state)
{
	icp_name_t root = {.length = 0};
	assert_false(icp_suffix_is_public(*state, &root));
	assert_int_equal(icp_suffix_registrable(*state, &root), 0);
}

static icp_name_t from_wire(const char *wire, size_t length)
{
	icp_name_t name;
	assert_int_equal(icp_name_from_wire(&name, (const uint8_t *)wire, length), ICP_EOK);
	return name;
}

#define WIRE(text) from_wire(text, sizeof(text))

/*! Dots, NULs and octets above ASCII in a label are not what they would be in a text. */
static void octets_of_all_kinds(void **state)
{
	icp_name_t name = WIRE("\3a.b\6com.cn");
	assert_int_equal(name.labels, 2);
	assert_int_equal(icp_suffix_registrable(*state, &name), 2);
	name = WIRE("\5www.a\1b\2ck");
	assert_int_equal(icp_suffix_registrable(*state, &name), 3);
	name = WIRE("\6\xe5\x85\xac\xe5\x8f\xb8\2cn");
	assert_false(icp_suffix_is_public(*state, &name));
	name = WIRE("\6com.cn\7example\3com");
	assert_int_equal(icp_suffix_registrable(*state, &name), 2);
	name = WIRE("\7example\6com.cn");
	assert_int_equal(icp_suffix_registrable(*state, &name), 2);
	name = WIRE("\5www\0x\7example\3com\2cn");
	assert_int_equal(icp_suffix_registrable(*state, &name), 3);
	name = WIRE("\4com\0\2cn");
	assert_false(icp_suffix_is_public(*state, &name));
	name = WIRE("\3\xff\xfe\xfd\3com");
	assert_int_equal(icp_suffix_registrable(*state, &name), 2);
	/* A label as long as the code of a dot is. */
	name = WIRE("\56"
		    "abcdefghijabcdefghijabcdefghijabcdefghijabcdef\3com\2cn");
	assert_int_equal(icp_suffix_registrable(*state, &name), 3);
}

static void names_of_the_greatest_length(void **state)
{
	icp_name_t name = {.length = ICP_NAME_MAX, .labels = ICP_NAME_LABELS_MAX};
	for (size_t i = 0; i < ICP_NAME_MAX; i += 2) {
		name.wire[i] = 1;
		name.wire[i + 1] = 'a';
	}
	assert_int_equal(icp_suffix_registrable(*state, &name), 2);
	assert_false(icp_suffix_is_public(*state, &name));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(registrable_domains),
		cmocka_unit_test(a_suffix_is_a_name_without_a_registrable_domain),
		cmocka_unit_test(the_root_is_neither),
		cmocka_unit_test(octets_of_all_kinds),
		cmocka_unit_test(names_of_the_greatest_length),
	};
	return cmocka_run_group_tests_name("suffix", tests, set_up, tear_down);
}

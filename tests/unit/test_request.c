/* SPDX-License-Identifier: BSD-3-Clause */
/* What is read of a request of the block page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "blockpage/request.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void hosts_are_told_apart(void **state)
{
	static const struct {
		const char *text;
		enum icp_host kind;
		const char *name;
	} cases[] = {
		{"example.cn", ICP_HOST_NAME, "example.cn"},
		{"WWW.Example.CN.", ICP_HOST_NAME, "www.example.cn"},
		{" example.cn:8080\t", ICP_HOST_NAME, "example.cn"},
		{"example.cn:", ICP_HOST_NAME, "example.cn"},
		{"localhost", ICP_HOST_NAME, "localhost"},
		{"_dmarc.example.cn", ICP_HOST_NAME, "_dmarc.example.cn"},
		{"例子.中国:80", ICP_HOST_NAME, "xn--fsqu00a.xn--fiqs8s"},
		{"example.0cn", ICP_HOST_NAME, "example.0cn"},
		{"0x.example", ICP_HOST_NAME, "0x.example"},
		{NULL, ICP_HOST_NONE, NULL},
		{"", ICP_HOST_NONE, NULL},
		{" \t ", ICP_HOST_NONE, NULL},
		{":80", ICP_HOST_NONE, NULL},
		{"203.0.113.80", ICP_HOST_ADDRESS, NULL},
		{"203.0.113.80:80", ICP_HOST_ADDRESS, NULL},
		{"[2001:db8::80]", ICP_HOST_ADDRESS, NULL},
		{"[2001:db8::80]:80", ICP_HOST_ADDRESS, NULL},
		{"2001:db8::80", ICP_HOST_ADDRESS, NULL},
		{"127.1", ICP_HOST_ADDRESS, NULL},
		{"2130706433", ICP_HOST_ADDRESS, NULL},
		{"0x7f.0x1.", ICP_HOST_ADDRESS, NULL},
		{"example.0X7F", ICP_HOST_ADDRESS, NULL},
		{"2｡", ICP_HOST_ADDRESS, NULL},
		{"１２７。０。０。１", ICP_HOST_ADDRESS, NULL},
		{".", ICP_HOST_BAD, NULL},
		{"a..b", ICP_HOST_BAD, NULL},
		{"-a.cn", ICP_HOST_BAD, NULL},
		{"a b.cn", ICP_HOST_BAD, NULL},
		{"a%2fb.cn", ICP_HOST_BAD, NULL},
		{"<script>alert(1)</script>", ICP_HOST_BAD, NULL},
		{"\"onload=x.cn", ICP_HOST_BAD, NULL},
		{"a@example.cn", ICP_HOST_BAD, NULL},
		{"example.cn/path", ICP_HOST_BAD, NULL},
		{"example.cn:80:80", ICP_HOST_BAD, NULL},
		{"example.cn:http", ICP_HOST_BAD, NULL},
		{"[2001:db8::80", ICP_HOST_BAD, NULL},
		{"[2001:db8::80]x", ICP_HOST_BAD, NULL},
		{"[203.0.113.80.1]", ICP_HOST_BAD, NULL},
		{"[]", ICP_HOST_BAD, NULL},
		{"\xff\xfe.cn", ICP_HOST_BAD, NULL},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_name_t name;
		char text[ICP_NAME_TEXT_MAX];
		enum icp_host kind = icp_request_host(&name, cases[i].text);
		if (kind != cases[i].kind) {
			fail_msg("\"%s\": %d", cases[i].text, (int)kind);
		}
		if (kind == ICP_HOST_NAME) {
			icp_name_format(&name, text);
			assert_string_equal(text, cases[i].name);
		}
	}
}

static void a_host_of_any_length_has_an_end(void **state)
{
	static char text[65536];
	icp_name_t name;
	(void)state;
	memset(text, 'a', sizeof text - 1);
	assert_int_equal(icp_request_host(&name, text), ICP_HOST_BAD);
	memset(text, '.', sizeof text - 1);
	assert_int_equal(icp_request_host(&name, text), ICP_HOST_BAD);
}

static void languages_are_chosen_by_weight(void **state)
{
	static const struct {
		const char *accept;
		enum icp_language language;
	} cases[] = {
		{NULL, ICP_ZH},
		{"", ICP_ZH},
		{"en", ICP_EN},
		{"en-GB", ICP_EN},
		{"EN-us", ICP_EN},
		{"zh-CN", ICP_ZH},
		{"zh-TW", ICP_ZH},
		{"zh-Hant-HK", ICP_ZH},
		{"fr", ICP_ZH},
		{"fr, de;q=0.9", ICP_ZH},
		{"english", ICP_ZH},
		{"*", ICP_ZH},
		{"fr, *;q=0.5", ICP_ZH},
		{"en-GB,en;q=0.9,zh;q=0.8", ICP_EN},
		{"zh-CN,zh;q=0.9,en;q=0.8", ICP_ZH},
		{"fr,en;q=0.3,zh;q=0.2", ICP_EN},
		{"en;q=0.5, zh;q=0.7", ICP_ZH},
		{"en;q=0.001", ICP_EN},
		{"en, zh", ICP_EN},
		{"zh, en", ICP_ZH},
		{"en;q=0.5, zh;q=0.5", ICP_EN},
		{"en;q=0, *", ICP_ZH},
		{"zh;q=0, *;q=0.1", ICP_EN},
		{"zh;q=0", ICP_EN},
		{"en;q=0", ICP_ZH},
		{"zh;q=0, en;q=0", ICP_ZH},
		{"en;q=0.2, *;q=0.8", ICP_ZH},
		{"zh;q=0.2, *;q=0.8", ICP_EN},
		{"en ; q=0.9 , zh ; q=0.8", ICP_EN},
		{"en;q=0.8;level=1, zh;q=0.7", ICP_EN},
		{"en;q=2, zh;q=0.1", ICP_ZH},
		{"en;q=1.001, zh;q=0.1", ICP_ZH},
		{"en;q=, zh;q=0.1", ICP_ZH},
		{"en;q=0.1234, zh;q=0.1", ICP_ZH},
		{",,;;q=1,=,en", ICP_EN},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		if (icp_request_language(cases[i].accept) != cases[i].language) {
			fail_msg("\"%s\"", cases[i].accept);
		}
	}
}

static void queries_are_decoded(void **state)
{
	static const struct {
		const char *query;
		const char *value; /* NULL: none */
	} cases[] = {
		{NULL, NULL},
		{"", NULL},
		{"name", NULL},
		{"name=", ""},
		{"name=a", "a"},
		{"x=1&name=a.cn&name=b", "a.cn"},
		{"xname=1&name=a", "a"},
		{"name=%61%2E%63n", "a.cn"},
		{"name=%e4%be%8b.cn", "例.cn"},
		{"name=a+b", "a b"},
		{"name=%", NULL},
		{"name=%6", NULL},
		{"name=%zz", NULL},
		{"name=%00", NULL},
		{"name=a%00b", NULL},
		{"name=123456789012345", "123456789012345"},
		{"name=1234567890123456", NULL},
		{"&&&name=x&&", "x"},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char value[16];
		bool found = icp_request_query(cases[i].query, "name", value, sizeof value);
		if (found != (cases[i].value != NULL)) {
			fail_msg("\"%s\"", cases[i].query);
		}
		if (found) {
			assert_string_equal(value, cases[i].value);
		}
	}
}

static void the_switch_knows_two_words(void **state)
{
	enum icp_language language = ICP_ZH;
	(void)state;
	assert_true(icp_request_switch("lang=en", &language));
	assert_int_equal(language, ICP_EN);
	assert_true(icp_request_switch("a=b&lang=zh", &language));
	assert_int_equal(language, ICP_ZH);
	assert_false(icp_request_switch("lang=EN", &language));
	assert_false(icp_request_switch("lang=en-GB", &language));
	assert_false(icp_request_switch("lang=", &language));
	assert_false(icp_request_switch("language=en", &language));
	assert_false(icp_request_switch(NULL, &language));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts_are_told_apart),
		cmocka_unit_test(a_host_of_any_length_has_an_end),
		cmocka_unit_test(languages_are_chosen_by_weight),
		cmocka_unit_test(queries_are_decoded),
		cmocka_unit_test(the_switch_knows_two_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

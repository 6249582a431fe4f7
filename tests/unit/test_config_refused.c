/* SPDX-License-Identifier: BSD-3-Clause */
/*! Configurations that are refused, and what is said of them. */
#include "tests/unit/config_cases.h"
#include "tests/unit/config_help.h"

static void expect_errors(const refused_t *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		expect_error(
			cases[i].shows, cases[i].content, strlen(cases[i].content), cases[i].want);
	}
}

static void test_values(void **state)
{
	(void)state;
	expect_errors(values, COUNT(values));
}

static void test_daemon_values(void **state)
{
	(void)state;
	expect_errors(daemon_values, COUNT(daemon_values));
}

static void test_keys(void **state)
{
	(void)state;
	expect_errors(keys, COUNT(keys));
}

static void test_together(void **state)
{
	(void)state;
	expect_errors(together, COUNT(together));
}

static void test_syntax(void **state)
{
	(void)state;
	expect_errors(syntax, COUNT(syntax));
}

/* MINIMAL, then a line that begins so and repeats the piece this often. */
static void expect_repeated(const char *begin, const char *piece, size_t times, const char *want)
{
	size_t head = strlen(MINIMAL) + strlen(begin);
	size_t length = head + times * strlen(piece);
	char *content = malloc(length + 1);
	assert_non_null(content);
	sprintf(content, "%s%s", MINIMAL, begin);
	for (size_t i = 0; i < times; i++) {
		memcpy(content + head + i * strlen(piece), piece, strlen(piece));
	}
	if (want != NULL) {
		expect_error(begin, content, length, want);
	} else {
		content[length] = '\0';
		icp_config_t config = load_good(content);
		icp_config_deinit(&config);
	}
	free(content);
}

static void test_limits(void **state)
{
	(void)state;
	size_t left = SIZE_LIMIT - strlen(MINIMAL);
	expect_repeated("#", "x", left - 1, NULL);
	expect_repeated("#", "x", left, ":1: file too large; allowed: 1048576 octets");
	expect_repeated("exempt: ", "[", 100000, ":4: nested too deep; allowed: 16 levels");
	expect_repeated("exempt: ", "{a: ", 100000, ":4: nested too deep; allowed: 16 levels");
	expect_repeated("exempt: [", "&a a,", 65, ":4: too many anchors; allowed: 64");
	expect_repeated("exempt: [", "&a [a],", 65, ":4: too many anchors; allowed: 64");
	expect_repeated("exempt: [", "&a {a: b},", 65, ":4: too many anchors; allowed: 64");
	expect_repeated("exempt: ", "\n- a", 65536, NULL);
	expect_repeated("exempt: ", "\n- a", 65537, ":5: exempt: a list of 65537; allowed: " NAMES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_daemon_values),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_together),
		cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

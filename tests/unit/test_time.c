/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/time.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define DAY INT64_C(86400)
#define EAST8 (INT64_C(8) * 3600)

/*! Parses a copy without a NUL that ends where its memory ends. */
static int parse(int64_t *seconds, const char *text, size_t length, enum icp_date date)
{
	char *copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	memcpy(copy, text, length);
	int code = icp_time_parse(seconds, copy, length, date);
	free(copy);
	return code;
}

static const struct {
	const char *shows;
	const char *text;
	int64_t want;
} times[] = {
	{"the epoch", "1970-01-01T00:00:00Z", 0},
	{"one second later", "1970-01-01T00:00:01Z", 1},
	{"one second before", "1969-12-31T23:59:59Z", -1},
	{"a time of today", "2026-11-23T12:00:00+08:00", 1795406400},
	{"the same at another offset", "2026-11-22T22:30:00-05:30", 1795406400},
	{"lower case", "2026-11-23t04:00:00z", 1795406400},
	{"offset zero", "2026-11-23T04:00:00+00:00", 1795406400},
	{"unknown offset", "2026-11-23T04:00:00-00:00", 1795406400},
	{"the greatest offset east", "1970-01-01T23:59:00+23:59", 0},
	{"the greatest offset west", "1969-12-31T00:01:00-23:59", 0},
	{"a fraction is cut", "1970-01-01T00:00:00.999999999999999999999999Z", 0},
	{"a fraction is cut down, not to zero", "1969-12-31T23:59:59.5Z", -1},
	{"a fraction of one digit with an offset", "1970-01-01T08:00:00.9+08:00", 0},
	{"a leap second", "2016-12-31T23:59:60Z", 1483228800},
	{"a leap second with a fraction", "2016-12-31T23:59:60.5Z", 1483228800},
	{"29 February in a leap year", "2024-02-29T00:00:00Z", 1709164800},
	{"29 February in 2000", "2000-02-29T00:00:00Z", 951782400},
	{"1 March after no leap day", "1900-03-01T00:00:00Z", -2203891200},
	{"a day beyond 32 bits", "2038-01-19T03:14:08Z", INT64_C(2147483648)},
	{"the first year", "0001-01-01T00:00:00Z", INT64_C(-62135596800)},
	{"the last year", "9999-12-31T15:59:59Z", INT64_C(253402271999)},
	{"beyond what can be written, low", "0001-01-01T00:00:00+23:59", INT64_C(-62135625600)},
	{"beyond what can be written, high", "9999-12-31T23:59:59Z", INT64_C(253402271999)},
};

static void test_times(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(times); i++) {
		for (int date = ICP_DATE_FIRST; date <= ICP_DATE_THROUGH; date++) {
			int64_t seconds = 12345;
			int code = parse(&seconds, times[i].text, strlen(times[i].text),
				(enum icp_date)date);
			if (code != ICP_EOK || seconds != times[i].want) {
				fail_msg("%s: %d, %lld", times[i].shows, code, (long long)seconds);
			}
		}
	}
}

static const struct {
	const char *shows;
	const char *text;
	int64_t first;
	int64_t through;
} dates[] = {
	{"the epoch's day", "1970-01-01", -EAST8, DAY - EAST8},
	{"a day of today", "2026-11-23", 1795363200, 1795363200 + DAY},
	{"the end of a month", "2026-11-30", 1795968000, 1795968000 + DAY},
	{"the end of a year", "2026-12-31", 1798646400, 1798646400 + DAY},
	{"before a leap day", "2024-02-28", 1709049600, 1709049600 + DAY},
	{"the first day", "0001-01-01", INT64_C(-62135625600), INT64_C(-62135625600) + DAY},
	{"the end of the last day is its last second", "9999-12-31", INT64_C(253402185600),
		INT64_C(253402185600) + DAY - 1},
};

static void test_dates(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(dates); i++) {
		int64_t first = 0;
		int64_t through = 0;
		size_t length = strlen(dates[i].text);
		assert_int_equal(parse(&first, dates[i].text, length, ICP_DATE_FIRST), ICP_EOK);
		assert_int_equal(parse(&through, dates[i].text, length, ICP_DATE_THROUGH), ICP_EOK);
		if (first != dates[i].first || through != dates[i].through) {
			fail_msg("%s: %lld, %lld", dates[i].shows, (long long)first,
				(long long)through);
		}
	}
}

static const struct {
	const char *shows;
	const char *text;
} bad[] = {
	{"empty", ""},
	{"a word", "tomorrow"},
	{"a number", "1795406400"},
	{"29 February in a common year", "2026-02-29"},
	{"29 February in 1900", "1900-02-29"},
	{"30 February", "2024-02-30"},
	{"31 April", "2026-04-31"},
	{"31 June", "2026-06-31"},
	{"31 September", "2026-09-31"},
	{"31 November", "2026-11-31"},
	{"32 January", "2026-01-32"},
	{"day 0", "2026-01-00"},
	{"month 0", "2026-00-01"},
	{"month 13", "2026-13-01"},
	{"year 0", "0000-01-01"},
	{"no year", "-01-01"},
	{"no hour", "2026-01-01T:00:00Z"},
	{"a year of two digits", "26-01-01"},
	{"a year of five digits", "10000-01-01"},
	{"a signed year", "+2026-01-01"},
	{"a month of one digit", "2026-1-01"},
	{"a day of one digit", "2026-01-1"},
	{"slashes", "2026/01/01"},
	{"no hyphens", "20260101"},
	{"a leading space", " 2026-01-01"},
	{"a trailing space", "2026-01-01 "},
	{"a T alone", "2026-01-01T"},
	{"no offset", "2026-01-01T00:00:00"},
	{"no seconds", "2026-01-01T00:00Z"},
	{"a space for the T", "2026-01-01 00:00:00Z"},
	{"an underscore for the T", "2026-01-01_00:00:00Z"},
	{"hour 24", "2026-01-01T24:00:00Z"},
	{"minute 60", "2026-01-01T00:60:00Z"},
	{"second 61", "2026-01-01T00:00:61Z"},
	{"an hour of one digit", "2026-01-01T0:00:00Z"},
	{"a fraction without digits", "2026-01-01T00:00:00.Z"},
	{"a comma before the fraction", "2026-01-01T00:00:00,5Z"},
	{"a fraction without an offset", "2026-01-01T00:00:00.5"},
	{"offset hour 24", "2026-01-01T00:00:00+24:00"},
	{"offset minute 60", "2026-01-01T00:00:00+08:60"},
	{"an offset without a colon", "2026-01-01T00:00:00+0800"},
	{"an offset of hours alone", "2026-01-01T00:00:00+08"},
	{"an offset without a sign", "2026-01-01T00:00:0008:00"},
	{"a zone's name", "2026-01-01T00:00:00CST"},
	{"more after Z", "2026-01-01T00:00:00Z "},
	{"more after an offset", "2026-01-01T00:00:00+08:00Z"},
};

static void test_bad(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++) {
		int64_t seconds;
		if (parse(&seconds, bad[i].text, strlen(bad[i].text), ICP_DATE_FIRST) !=
			ICP_EINVAL) {
			fail_msg("%s: taken", bad[i].shows);
		}
	}
}

static void test_every_truncation_is_bad(void **state)
{
	(void)state;
	static const char text[] = "2026-11-23T12:00:00.25+08:00";
	int64_t seconds;

	for (size_t length = 0; length < sizeof text - 1; length++) {
		int want = length == strlen("2026-11-23") ? ICP_EOK : ICP_EINVAL;
		assert_int_equal(parse(&seconds, text, length, ICP_DATE_FIRST), want);
	}
	assert_int_equal(parse(&seconds, text, sizeof text - 1, ICP_DATE_FIRST), ICP_EOK);
	/* A NUL ends nothing: it is a character that is not allowed. */
	assert_int_equal(parse(&seconds, "2026-11-23", 11, ICP_DATE_FIRST), ICP_EINVAL);
	assert_int_equal(
		parse(&seconds, "2026-11-23\00000:00:00Z", 20, ICP_DATE_FIRST), ICP_EINVAL);
	assert_int_equal(parse(&seconds, "2026-11-23\0\0", 12, ICP_DATE_FIRST), ICP_EINVAL);
	assert_int_equal(parse(&seconds, "2026-11-23T12:00:00\0", 20, ICP_DATE_FIRST), ICP_EINVAL);
}

static const struct {
	const char *shows;
	int64_t seconds;
	const char *want;
} formats[] = {
	{"no time", ICP_TIME_NONE, ""},
	{"the epoch", 0, "1970-01-01T08:00:00+08:00"},
	{"before the epoch", -EAST8 - 1, "1969-12-31T23:59:59+08:00"},
	{"a time of today", 1795406400, "2026-11-23T12:00:00+08:00"},
	{"every digit", 1795419354, "2026-11-23T15:35:54+08:00"},
	{"a leap day", 1709164800, "2024-02-29T08:00:00+08:00"},
	{"the last second of a leap year", 1735660799, "2024-12-31T23:59:59+08:00"},
	{"the first second of the next", 1735660800, "2025-01-01T00:00:00+08:00"},
	{"the first time", INT64_C(-62135625600), "0001-01-01T00:00:00+08:00"},
	{"the last time", INT64_C(253402271999), "9999-12-31T23:59:59+08:00"},
	{"before the first time", INT64_MIN + 1, "0001-01-01T00:00:00+08:00"},
	{"after the last time", INT64_MAX, "9999-12-31T23:59:59+08:00"},
};

static void test_format(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(formats); i++) {
		char text[ICP_TIME_TEXT_MAX];
		memset(text, 'x', sizeof text);
		icp_time_format(formats[i].seconds, text);
		if (strcmp(text, formats[i].want) != 0) {
			fail_msg("%s: %s", formats[i].shows, text);
		}
	}
}

static void assert_round_trip(int64_t seconds)
{
	char text[ICP_TIME_TEXT_MAX];
	int64_t back = 0;

	icp_time_format(seconds, text);
	if (strlen(text) != ICP_TIME_TEXT_MAX - 1 ||
		parse(&back, text, strlen(text), ICP_DATE_FIRST) != ICP_EOK || back != seconds) {
		fail_msg("%lld: %s, %lld", (long long)seconds, text, (long long)back);
	}
}

/*! Days from one date to before another, at their first and last seconds; text grows with time. */
static unsigned walk(const char *from, const char *to, int64_t step)
{
	char texts[2][ICP_TIME_TEXT_MAX] = {"", ""};
	unsigned count = 0;
	int64_t at;
	int64_t end;

	assert_int_equal(parse(&at, from, strlen(from), ICP_DATE_FIRST), ICP_EOK);
	assert_int_equal(parse(&end, to, strlen(to), ICP_DATE_FIRST), ICP_EOK);
	for (; at < end; at += step) {
		assert_round_trip(at);
		assert_round_trip(at + DAY - 1);
		icp_time_format(at, texts[count % 2]);
		assert_true(strcmp(texts[1 - count % 2], texts[count % 2]) < 0);
		count++;
	}
	return count;
}

static void test_round_trips(void **state)
{
	(void)state;
	/* Every day of the calendar's period of 400 years; then days of all years. */
	assert_int_equal(walk("1801-01-01", "2201-01-01", DAY), 146097);
	assert_int_equal(walk("0001-01-01", "9999-12-31", 97 * DAY), 3652058 / 97 + 1);
}

static void test_transfer_life(void **state)
{
	(void)state;
	int64_t approved;
	int64_t expires;

	assert_int_equal(parse(&approved, "2026-11-23", 10, ICP_DATE_FIRST), ICP_EOK);
	assert_int_equal(parse(&expires, "2027-01-06", 10, ICP_DATE_THROUGH), ICP_EOK);
	assert_int_equal(expires - approved, ICP_TRANSFER_SECONDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_times),
		cmocka_unit_test(test_dates),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_every_truncation_is_bad),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_round_trips),
		cmocka_unit_test(test_transfer_life),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

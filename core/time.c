/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/time.h"

#include <stdbool.h>
#include <string.h>

#include "core/error.h"

#define DAY INT64_C(86400)
#define HOUR INT64_C(3600)
#define MINUTE INT64_C(60)
#define FEED_OFFSET (8 * HOUR) /* UTC+8 */
#define YEAR_MAX 9999
#define EPOCH_DAY 719162 /* Days from 0001-01-01 to 1970-01-01. */
#define LAST_DAY 3652058 /* Days from 0001-01-01 to 9999-12-31. */

/* What can be written at UTC+8 in four digits of a year. Times of these two days that lie beyond
 * in another zone, and the end of 9999-12-31, are moved to the limit: people write them to say
 * "forever", and a dump must be able to write what a feed held. */
#define TIME_FIRST (-EPOCH_DAY * DAY - FEED_OFFSET)
#define TIME_LAST ((LAST_DAY - EPOCH_DAY + 1) * DAY - FEED_OFFSET - 1)

/*! The rest of the text. */
typedef struct {
	const char *at;
	size_t left;
} cursor_t;

static bool is_leap(int year)
{
	return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static int month_days(int year, int month)
{
	static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

/*! Days from 0001-01-01 to the first day of a year from 1 on. */
static int year_begin(int year)
{
	int past = year - 1;
	return past * 365 + past / 4 - past / 100 + past / 400;
}

static bool take(cursor_t *cursor, const char *wanted)
{
	if (cursor->left == 0 || cursor->at[0] == '\0' || strchr(wanted, cursor->at[0]) == NULL) {
		return false;
	}
	cursor->at++;
	cursor->left--;
	return true;
}

static bool is_digit(char character)
{
	return character >= '0' && character <= '9';
}

/*! Reads exactly that many digits, for a value in low..high. */
static bool take_number(cursor_t *cursor, size_t digits, int low, int high, int *value)
{
	*value = 0;
	if (cursor->left < digits) {
		return false;
	}
	for (size_t i = 0; i < digits; i++) {
		if (!is_digit(cursor->at[i])) {
			return false;
		}
		*value = *value * 10 + (cursor->at[i] - '0');
	}
	cursor->at += digits;
	cursor->left -= digits;
	return *value >= low && *value <= high;
}

/*! Passes over at least one digit. */
static bool take_digits(cursor_t *cursor)
{
	size_t before = cursor->left;
	while (cursor->left > 0 && is_digit(*cursor->at)) {
		cursor->at++;
		cursor->left--;
	}
	return cursor->left < before;
}

/*! Reads YYYY-MM-DD as days since 1970-01-01. */
static bool take_date(cursor_t *cursor, int64_t *day)
{
	int year;
	int month;
	int month_day;

	if (!take_number(cursor, 4, 1, YEAR_MAX, &year) || !take(cursor, "-") ||
		!take_number(cursor, 2, 1, 12, &month) || !take(cursor, "-") ||
		!take_number(cursor, 2, 1, month_days(year, month), &month_day)) {
		return false;
	}
	*day = (int64_t)year_begin(year) - EPOCH_DAY + month_day - 1;
	for (int before = 1; before < month; before++) {
		*day += month_days(year, before);
	}
	return true;
}

/*! Reads hh:mm:ss and a fraction as seconds of a day; a leap second is the second after it. */
static bool take_clock(cursor_t *cursor, int64_t *seconds)
{
	int hour;
	int minute;
	int second;

	if (!take_number(cursor, 2, 0, 23, &hour) || !take(cursor, ":") ||
		!take_number(cursor, 2, 0, 59, &minute) || !take(cursor, ":") ||
		!take_number(cursor, 2, 0, 60, &second)) {
		return false;
	}
	if (take(cursor, ".") && !take_digits(cursor)) {
		return false;
	}
	*seconds = hour * HOUR + minute * MINUTE + second;
	return true;
}

/*! Reads "Z" or +hh:mm as seconds east. */
static bool take_zone(cursor_t *cursor, int64_t *seconds)
{
	int hour;
	int minute;

	if (take(cursor, "Zz")) {
		*seconds = 0;
		return true;
	}
	int sign = cursor->left > 0 && cursor->at[0] == '-' ? -1 : 1;
	if (!take(cursor, "+-") || !take_number(cursor, 2, 0, 23, &hour) || !take(cursor, ":") ||
		!take_number(cursor, 2, 0, 59, &minute)) {
		return false;
	}
	*seconds = sign * (hour * HOUR + minute * MINUTE);
	return true;
}

int64_t icp_time_clamp(int64_t seconds)
{
	if (seconds < TIME_FIRST) {
		return TIME_FIRST;
	}
	return seconds > TIME_LAST ? TIME_LAST : seconds;
}

int icp_time_parse(int64_t *seconds, const char *text, size_t length, enum icp_date date)
{
	cursor_t cursor = {text, length};
	int64_t day;
	int64_t clock = 0;
	int64_t zone = FEED_OFFSET;

	if (!take_date(&cursor, &day)) {
		return ICP_EINVAL;
	}
	if (cursor.left == 0) {
		day += date == ICP_DATE_THROUGH;
	} else if (!take(&cursor, "Tt") || !take_clock(&cursor, &clock) ||
		   !take_zone(&cursor, &zone) || cursor.left > 0) {
		return ICP_EINVAL;
	}
	*seconds = icp_time_clamp(day * DAY + clock - zone);
	return ICP_EOK;
}

/*! Writes a number with leading zeros, and the character after it. Returns the place after both. */
static char *put_number(char *out, int digits, int value, char after)
{
	for (int i = digits - 1; i >= 0; i--) {
		out[i] = (char)('0' + value % 10);
		value /= 10;
	}
	out[digits] = after;
	return out + digits + 1;
}

void icp_time_format(int64_t seconds, char text[ICP_TIME_TEXT_MAX])
{
	if (seconds == ICP_TIME_NONE) {
		text[0] = '\0';
		return;
	}
	int64_t local = icp_time_clamp(seconds) - TIME_FIRST;
	int day = (int)(local / DAY);
	int clock = (int)(local % DAY);

	/* No year has more than 366 days: the first guess is never too late, and early by a few. */
	int year = day / 366 + 1;
	while (year_begin(year + 1) <= day) {
		year++;
	}
	day -= year_begin(year);
	int month = 1;
	while (day >= month_days(year, month)) {
		day -= month_days(year, month);
		month++;
	}
	char *out = put_number(text, 4, year, '-');
	out = put_number(out, 2, month, '-');
	out = put_number(out, 2, day + 1, 'T');
	out = put_number(out, 2, clock / 3600, ':');
	out = put_number(out, 2, clock / 60 % 60, ':');
	out = put_number(out, 2, clock % 60, '+');
	memcpy(out, "08:00", sizeof "08:00");
}

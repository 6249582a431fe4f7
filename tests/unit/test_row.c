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
#include "core/row.h"
#include "core/time.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))

/*! A repeatable source of numbers (an LCG; its upper bits are good enough here). */
static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 24;
}

/*! Decodes a copy that ends where its memory ends; the row's pointers are void afterwards. */
static size_t decode_copy(icp_row_t *row, const void *bytes, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, length);
	size_t used = icp_row_decode(row, copy, length);
	free(copy);
	return used;
}

static void assert_same_row(const icp_row_t *a, const icp_row_t *b)
{
	assert_int_equal(a->status, b->status);
	assert_int_equal(a->provider_length, b->provider_length);
	assert_memory_equal(a->provider, b->provider, a->provider_length);
	assert_int_equal(a->number_length, b->number_length);
	if (a->number_length > 0) {
		assert_memory_equal(a->number, b->number, a->number_length);
	}
	assert_true(a->approved_at == b->approved_at);
	assert_true(a->expires_at == b->expires_at);
	assert_true(a->rectify_by == b->rectify_by);
	assert_int_equal(a->licensed_count, b->licensed_count);
	if (a->licensed_count > 0) {
		assert_memory_equal(
			a->licensed, b->licensed, a->licensed_count * sizeof *a->licensed);
	}
}

/*! What the pointers of a random row lead to. */
typedef struct {
	char provider[ICP_PROVIDER_MAX];
	char number[ICP_NUMBER_MAX];
	icp_prefix_t licensed[ICP_LICENSED_MAX];
} row_memory_t;

/*! A time of any magnitude and sign, or none. */
static int64_t random_time(uint64_t *seed)
{
	if (next_random(seed) % 4 == 0) {
		return ICP_TIME_NONE;
	}
	uint64_t magnitude = (next_random(seed) << 32 ^ next_random(seed)) & INT64_MAX;
	int64_t value = (int64_t)(magnitude >> next_random(seed) % 63);
	return next_random(seed) % 2 == 0 ? value : -value;
}

static icp_row_t random_row(uint64_t *seed, row_memory_t *memory)
{
	static const char slug[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
	icp_row_t row = {
		.status = (uint8_t)(next_random(seed) % ICP_STATUS_COUNT),
		.provider = memory->provider,
		.provider_length = (uint8_t)(1 + next_random(seed) % ICP_PROVIDER_MAX),
		.number = memory->number,
		.number_length = (uint8_t)(next_random(seed) % (ICP_NUMBER_MAX + 1)),
		.approved_at = random_time(seed),
		.expires_at = random_time(seed),
		.rectify_by = random_time(seed),
	};
	for (size_t i = 0; i < row.provider_length; i++) {
		memory->provider[i] = slug[next_random(seed) % (sizeof slug - 1)];
	}
	for (size_t i = 0; i < row.number_length; i++) {
		memory->number[i] = (char)next_random(seed);
	}
	if (next_random(seed) % 3 == 0) {
		row.licensed = memory->licensed;
		row.licensed_count = (uint16_t)(1 + next_random(seed) % 8);
	}
	for (size_t i = 0; i < row.licensed_count; i++) {
		icp_prefix_t *prefix = &memory->licensed[i];
		memset(prefix, (int)(next_random(seed) & 0xff), sizeof *prefix);
		prefix->address.family = next_random(seed) % 2 == 0 ? 4 : 6;
		prefix->length = prefix->address.family == 4 ? 32 : 128;
	}
	return row;
}

static void test_round_trip(void **state)
{
	(void)state;
	static row_memory_t memory;
	uint8_t bytes[ICP_ROW_MAX + 5];
	uint64_t seed = 1;

	for (unsigned i = 0; i < 2000; i++) {
		icp_row_t row = random_row(&seed, &memory);
		icp_row_t back;
		memset(&back, 0xff, sizeof back);
		back.domain = bytes;
		memset(bytes, (int)(i & 0xff), sizeof bytes);
		size_t length = icp_row_encode(&row, bytes);
		assert_in_range(length, 4, ICP_ROW_MAX);
		/* What follows a row belongs to the next one. */
		assert_int_equal(icp_row_decode(&back, bytes, sizeof bytes), length);
		assert_same_row(&row, &back);
		assert_int_equal(icp_row_decode(&back, bytes, length), length);
		assert_same_row(&row, &back);
		assert_true(back.licensed_count > 0 || back.licensed == NULL);
		assert_ptr_equal(back.domain, bytes);
		assert_int_equal(back.domain_length, 0xff);
		assert_int_equal(back.labels, 0xff);
	}
}

static void test_every_truncation_is_refused(void **state)
{
	(void)state;
	static row_memory_t memory;
	uint8_t bytes[ICP_ROW_MAX];
	uint64_t seed = 2;
	icp_row_t back;

	for (unsigned i = 0; i < 200; i++) {
		icp_row_t row = random_row(&seed, &memory);
		size_t length = icp_row_encode(&row, bytes);
		for (size_t cut = 0; cut < length; cut++) {
			assert_int_equal(decode_copy(&back, bytes, cut), 0);
		}
	}
}

/* Whatever one octet becomes, nothing is read outside, and a row that is taken keeps its limits. */
static void test_every_damaged_octet(void **state)
{
	(void)state;
	static row_memory_t memory;
	uint8_t bytes[ICP_ROW_MAX];
	uint64_t seed = 3;
	icp_row_t back;

	for (unsigned i = 0; i < 10; i++) {
		icp_row_t row = random_row(&seed, &memory);
		size_t length = icp_row_encode(&row, bytes);
		for (size_t at = 0; at < length; at++) {
			uint8_t right = bytes[at];
			for (unsigned wrong = 0; wrong < 256; wrong++) {
				bytes[at] = (uint8_t)wrong;
				size_t used = decode_copy(&back, bytes, length);
				assert_true(used <= length);
				assert_true(used == 0 ||
					    (back.status < ICP_STATUS_COUNT &&
						    back.provider_length <= ICP_PROVIDER_MAX &&
						    back.number_length <= ICP_NUMBER_MAX &&
						    back.licensed_count <= ICP_LICENSED_MAX));
			}
			bytes[at] = right;
		}
	}
}

static void test_largest_row(void **state)
{
	(void)state;
	static row_memory_t memory;
	memset(memory.provider, 'a', sizeof memory.provider);
	memset(memory.number, '1', sizeof memory.number);
	for (size_t i = 0; i < ICP_LICENSED_MAX; i++) {
		memory.licensed[i] = (icp_prefix_t){.address = {.family = 6}, .length = 128};
	}
	const icp_row_t row = {
		.status = ICP_STATUS_COUNT - 1,
		.provider = memory.provider,
		.provider_length = ICP_PROVIDER_MAX,
		.number = memory.number,
		.number_length = ICP_NUMBER_MAX,
		.licensed = memory.licensed,
		.licensed_count = ICP_LICENSED_MAX,
		.approved_at = INT64_MAX,
		.expires_at = INT64_MIN + 1,
		.rectify_by = INT64_MAX,
	};
	uint8_t *bytes = malloc(ICP_ROW_MAX);
	icp_row_t back;

	assert_non_null(bytes);
	size_t length = icp_row_encode(&row, bytes);
	assert_in_range(length, 1, ICP_ROW_MAX);
	assert_int_equal(icp_row_decode(&back, bytes, length), length);
	assert_same_row(&row, &back);
	free(bytes);
}

/* The layout is a part of the store's format: these octets must not change. */
static void test_layout(void **state)
{
	(void)state;
	static const uint8_t small[] = "\x04\x06qcloud\x00";
	static const uint8_t full[] = "\xf3\x06qcloud\x04"
				      "No-1"
				      "\x80\x01\x81\x01\x02"
				      "\x01\x00\x04\xc0\x00\x02\x00\0\0\0\0\0\0\0\0\0\0\0\0\x18";
	const icp_prefix_t licensed = {
		.address = {.family = 4, .bytes = {192, 0, 2}}, .length = 24};
	icp_row_t row = {
		.status = ICP_PENDING,
		.provider = "qcloud",
		.provider_length = 6,
		.approved_at = ICP_TIME_NONE,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE,
	};
	uint8_t bytes[ICP_ROW_MAX];

	assert_int_equal(icp_row_encode(&row, bytes), sizeof small - 1);
	assert_memory_equal(bytes, small, sizeof small - 1);

	row.status = ICP_TRANSFER_PREAPPROVED;
	row.number = "No-1";
	row.number_length = 4;
	row.approved_at = 64;
	row.expires_at = -65;
	row.rectify_by = 1;
	row.licensed = &licensed;
	row.licensed_count = 1;
	assert_int_equal(icp_row_encode(&row, bytes), sizeof full - 1);
	assert_memory_equal(bytes, full, sizeof full - 1);
}

#define SLUG32 "0123456789abcdefghijklmnopqrstuv"
#define SLUG33 SLUG32 "w"
#define ZEROS12 "\0\0\0\0\0\0\0\0\0\0\0\0"
#define NINE80 "\x80\x80\x80\x80\x80\x80\x80\x80\x80"
#define EIGHTFF "\xff\xff\xff\xff\xff\xff\xff\xff"

/*! One octet more or less than these makes the difference. */
static const struct {
	const char *shows;
	const char *bytes;
	size_t length;
	bool taken;
} borders[] = {
	{"a plain row", "\x00\x01z\x00", 4, true},
	{"the highest status", "\x06\x01z\x00", 4, true},
	{"a status above it", "\x07\x01z\x00", 4, false},
	{"the unused bit beside the status", "\x08\x01z\x00", 4, false},
	{"all bits of the status", "\x0f\x01z\x00", 4, false},
	{"no provider", "\x00\x00\x00", 3, false},
	{"the longest provider", "\x00\x20" SLUG32 "\x00", 35, true},
	{"a provider too long", "\x00\x21" SLUG33 "\x00", 36, false},
	{"a provider in upper case", "\x00\x01Z\x00", 4, false},
	{"a provider with NUL", "\x00\x02z\0\x00", 5, false},
	{"a number too long for what is left", "\x00\x01z\x02z", 5, false},
	{"a flag without its time", "\x10\x01z\x00", 4, false},
	{"a time of one octet", "\x10\x01z\x00\x00", 5, true},
	{"zero in two octets", "\x10\x01z\x00\x80\x00", 6, false},
	{"a longer overlong time", "\x20\x01z\x00\xff\x80\x00", 7, false},
	{"the highest time", "\x10\x01z\x00\xfe" EIGHTFF "\x01", 14, true},
	{"the lowest time", "\x10\x01z\x00\xfd" EIGHTFF "\x01", 14, true},
	{"the value that means none", "\x10\x01z\x00\xff" EIGHTFF "\x01", 14, false},
	{"a time of 65 bits", "\x40\x01z\x00" NINE80 "\x02", 14, false},
	{"a time of eleven octets", "\x40\x01z\x00" NINE80 "\x81\x01", 15, false},
	{"one prefix", "\x80\x01z\x00\x01\x00\x04\xc0\x00\x02\x00" ZEROS12 "\x20", 24, true},
	{"no prefixes", "\x80\x01z\x00\x00\x00", 6, false},
	{"half a count", "\x80\x01z\x00\x01", 5, false},
	{"family 0", "\x80\x01z\x00\x01\x00\x00\xc0\x00\x02\x00" ZEROS12 "\x20", 24, false},
	{"family 5", "\x80\x01z\x00\x01\x00\x05\xc0\x00\x02\x00" ZEROS12 "\x20", 24, false},
	{"IPv4 of 33 bits", "\x80\x01z\x00\x01\x00\x04\xc0\x00\x02\x00" ZEROS12 "\x21", 24, false},
	{"IPv6 of 33 bits", "\x80\x01z\x00\x01\x00\x06\xc0\x00\x02\x00" ZEROS12 "\x21", 24, true},
	{"IPv6 of 128 bits", "\x80\x01z\x00\x01\x00\x06\xc0\x00\x02\x00" ZEROS12 "\x80", 24, true},
	{"IPv6 of 129 bits", "\x80\x01z\x00\x01\x00\x06\xc0\x00\x02\x00" ZEROS12 "\x81", 24, false},
};

static void test_borders(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(borders); i++) {
		icp_row_t row;
		size_t used = decode_copy(&row, borders[i].bytes, borders[i].length);
		if (used != (borders[i].taken ? borders[i].length : 0)) {
			fail_msg("%s: %zu", borders[i].shows, used);
		}
	}
}

/* These need more octets than a literal holds well. */
static void test_long_borders(void **state)
{
	(void)state;
	static uint8_t bytes[8 + 18 * (ICP_LICENSED_MAX + 1)] = {0x00, 1, 'a', ICP_NUMBER_MAX};
	icp_row_t row;

	assert_int_equal(icp_row_decode(&row, bytes, sizeof bytes), 4 + ICP_NUMBER_MAX);
	bytes[3]++;
	assert_int_equal(icp_row_decode(&row, bytes, sizeof bytes), 0);

	bytes[0] = 0x80;
	bytes[3] = 0;
	bytes[4] = ICP_LICENSED_MAX & 0xff;
	bytes[5] = ICP_LICENSED_MAX >> 8;
	for (size_t i = 0; i <= ICP_LICENSED_MAX; i++) {
		bytes[6 + 18 * i] = 4;
	}
	assert_int_equal(icp_row_decode(&row, bytes, sizeof bytes),
		6 + sizeof(icp_prefix_t) * ICP_LICENSED_MAX);
	bytes[4]++;
	assert_int_equal(icp_row_decode(&row, bytes, sizeof bytes), 0);
}

static void test_status_words(void **state)
{
	(void)state;
	static const char *const words[ICP_STATUS_COUNT] = {"filed", "changing", "rectifying",
		"transfer-preapproved", "pending", "transfer-cancelled", "deregistered"};
	enum icp_status status;

	for (unsigned i = 0; i < ICP_STATUS_COUNT; i++) {
		status = ICP_STATUS_COUNT;
		assert_string_equal(icp_status_name((enum icp_status)i), words[i]);
		assert_int_equal(icp_status_parse(&status, words[i], strlen(words[i])), ICP_EOK);
		assert_int_equal(status, i);
		assert_int_equal(
			icp_status_parse(&status, words[i], strlen(words[i]) - 1), ICP_EINVAL);
		assert_int_equal(
			icp_status_parse(&status, words[i], strlen(words[i]) + 1), ICP_EINVAL);
	}
	assert_string_equal(icp_status_name(ICP_STATUS_COUNT), "unknown");
	assert_int_equal(icp_status_parse(&status, "", 0), ICP_EINVAL);
	assert_int_equal(icp_status_parse(&status, "Filed", 5), ICP_EINVAL);
	assert_int_equal(icp_status_parse(&status, "unfiled", 7), ICP_EINVAL);
}

static void test_provider_slugs(void **state)
{
	(void)state;
	static const char *const good[] = {"qcloud", "a", "0", "-", "a-b-9", SLUG32};
	static const char *const bad[] = {"", "Qcloud", "q_cloud", "q.cloud", "q cloud", " qcloud",
		"qcloud\n", "云", "a`", "a{", "a/", "a:"};

	for (size_t i = 0; i < COUNT(good); i++) {
		if (!icp_provider_valid(good[i], strlen(good[i]))) {
			fail_msg("refused: %s", good[i]);
		}
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		if (icp_provider_valid(bad[i], strlen(bad[i]))) {
			fail_msg("taken: %s", bad[i]);
		}
	}
	assert_false(icp_provider_valid("qcloud", 7));
	assert_false(icp_provider_valid(SLUG33, 33));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_every_truncation_is_refused),
		cmocka_unit_test(test_every_damaged_octet),
		cmocka_unit_test(test_largest_row),
		cmocka_unit_test(test_layout),
		cmocka_unit_test(test_borders),
		cmocka_unit_test(test_long_borders),
		cmocka_unit_test(test_status_words),
		cmocka_unit_test(test_provider_slugs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* The changes of a delta: what was added comes back, whole and in order; nothing that is not what
 * was stored is read as if it were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "core/time.h"
#include "loader/changes.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SEAL 8
#define TEN "0123456789"
#define NUMBER "京ICP备11018762号-1"
#define ENTITY "京ICP备11018762号"

static icp_prefix_t licensed[ICP_LICENSED_MAX];

static icp_name_t name_of(const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return name;
}

static icp_row_t row_of(const char *provider, const char *number, enum icp_status status)
{
	return (icp_row_t){
		.provider = provider,
		.provider_length = (uint8_t)strlen(provider),
		.number = number,
		.number_length = (uint8_t)strlen(number),
		.status = (uint8_t)status,
		.approved_at = ICP_TIME_NONE,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE,
	};
}

static icp_change_t upsert(
	const char *domain, const char *provider, const char *number, enum icp_status status)
{
	return (icp_change_t){.op = ICP_OP_UPSERT,
		.name = name_of(domain),
		.row = row_of(provider, number, status)};
}

static icp_change_t deletion(const char *domain, const char *provider)
{
	return (icp_change_t){.op = ICP_OP_DELETE,
		.name = name_of(domain),
		.row = row_of(provider, "", ICP_FILED)};
}

static icp_change_t deregistration(const char *number)
{
	return (icp_change_t){.op = ICP_OP_DEREGISTER_ENTITY, .row = row_of("", number, ICP_FILED)};
}

/*! Every op, every part of a row and each at its limits. */
static size_t all_changes(icp_change_t changes[10])
{
	const char *longest =
		TEN TEN TEN TEN TEN TEN "." TEN TEN TEN TEN TEN TEN "." TEN TEN TEN TEN TEN TEN
					"." TEN TEN TEN TEN TEN TEN ".example0";
	const char *number128 = TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234号";
	size_t count = 0;
	for (size_t i = 0; i < ICP_LICENSED_MAX; i++) {
		char text[32];
		snprintf(text, sizeof text, "10.0.%zu.%zu", i / 256, i % 256);
		assert_int_equal(icp_prefix_parse(&licensed[i], text, strlen(text)), ICP_EOK);
	}
	changes[count++] = upsert("example.com", "qcloud", NUMBER, ICP_FILED);
	changes[count++] = deletion("www.example.com", "q");
	changes[count++] = deregistration(ENTITY);
	changes[count++] = upsert("例子.中国", TEN TEN TEN "ab", number128, ICP_RECTIFYING);
	changes[count - 1].row.rectify_by = 253402300799;
	changes[count++] = upsert(longest, "qcloud", number128, ICP_TRANSFER_PREAPPROVED);
	changes[count - 1].row.approved_at = -62135596800;
	changes[count - 1].row.expires_at = 0;
	changes[count - 1].row.licensed = licensed;
	changes[count - 1].row.licensed_count = ICP_LICENSED_MAX;
	changes[count++] = upsert("e.com", "qcloud", "", ICP_PENDING);
	changes[count++] = deregistration(number128);
	changes[count++] = deletion(longest, TEN TEN TEN "ab");
	/* The same pair again; the order is what tells. */
	changes[count++] = upsert("example.com", "qcloud", NUMBER, ICP_DEREGISTERED);
	changes[count++] = deregistration("号");
	return count;
}

static void assert_same_text(const char *a, size_t a_length, const char *b, size_t b_length)
{
	assert_int_equal(a_length, b_length);
	if (a_length > 0) {
		assert_memory_equal(a, b, a_length);
	}
}

static void assert_same_row(const icp_row_t *read, const icp_row_t *row)
{
	assert_int_equal(read->status, row->status);
	assert_same_text(
		read->provider, read->provider_length, row->provider, row->provider_length);
	assert_same_text(read->number, read->number_length, row->number, row->number_length);
	assert_true(read->approved_at == row->approved_at);
	assert_true(read->expires_at == row->expires_at);
	assert_true(read->rectify_by == row->rectify_by);
	assert_same_text((const char *)read->licensed,
		read->licensed_count * sizeof *read->licensed, (const char *)row->licensed,
		row->licensed_count * sizeof *row->licensed);
}

static void assert_same(const icp_change_t *read, const icp_change_t *change)
{
	assert_int_equal(read->op, change->op);
	assert_int_equal(read->name.labels, change->name.labels);
	assert_same_text((const char *)read->name.wire, read->name.length,
		(const char *)change->name.wire, change->name.length);
	assert_int_equal(read->row.labels, change->name.labels);
	assert_same_text((const char *)read->row.domain, read->row.domain_length,
		(const char *)change->name.wire, change->name.length);
	assert_same_row(&read->row, &change->row);
}

static void assert_holds(const icp_changes_t *changes, const icp_change_t *expected, size_t count)
{
	size_t at = 0;
	icp_change_t change;
	assert_int_equal(icp_changes_count(changes), count);
	for (size_t i = 0; i < count; i++) {
		memset(&change, 0xff, sizeof change);
		assert_int_equal(icp_changes_next(changes, &at, &change), 1);
		assert_same(&change, &expected[i]);
	}
	assert_int_equal(icp_changes_next(changes, &at, &change), 0);
	assert_int_equal(icp_changes_next(changes, &at, &change), 0);
}

/*! Reads a copy that ends where its memory ends. */
static int from_copy(icp_changes_t **changes, const uint8_t *octets, size_t length)
{
	uint8_t *copy = malloc(length > 0 ? length : 1);
	assert_non_null(copy);
	if (length > 0) {
		memcpy(copy, octets, length);
	}
	int ret = icp_changes_from_stored(changes, copy, length);
	free(copy);
	return ret;
}

static icp_changes_t *changes_of(const icp_change_t *list, size_t count)
{
	icp_changes_t *changes = icp_changes_create();
	assert_non_null(changes);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(icp_changes_add(changes, &list[i]), ICP_EOK);
	}
	return changes;
}

static void test_round_trip(void **state)
{
	(void)state;
	icp_change_t all[10];
	size_t count = all_changes(all);
	icp_changes_t *changes = changes_of(all, count);
	assert_holds(changes, all, count);

	size_t length;
	icp_changes_t *read;
	const uint8_t *stored = icp_changes_stored(changes, &length);
	assert_int_equal(from_copy(&read, stored, length), ICP_EOK);
	assert_holds(read, all, count);

	/* What was read can be added to, and what was stored is stored anew. */
	assert_int_equal(icp_changes_add(read, &all[0]), ICP_EOK);
	assert_int_equal(icp_changes_add(changes, &all[0]), ICP_EOK);
	assert_int_equal(icp_changes_count(read), count + 1);
	size_t read_length;
	const uint8_t *read_stored = icp_changes_stored(read, &read_length);
	stored = icp_changes_stored(changes, &length);
	assert_int_equal(read_length, length);
	assert_memory_equal(read_stored, stored, length);
	icp_changes_destroy(read);
	assert_int_equal(from_copy(&read, stored, length), ICP_EOK);
	assert_int_equal(icp_changes_count(read), count + 1);
	icp_changes_destroy(read);
	icp_changes_destroy(changes);
	icp_changes_destroy(NULL);
}

static void test_none(void **state)
{
	(void)state;
	icp_changes_t *read;
	size_t length;
	icp_changes_t *changes = changes_of(NULL, 0);
	assert_holds(changes, NULL, 0);
	const uint8_t *stored = icp_changes_stored(changes, &length);
	assert_int_equal(length, SEAL);
	assert_int_equal(from_copy(&read, stored, length), ICP_EOK);
	assert_holds(read, NULL, 0);
	icp_changes_destroy(read);
	icp_changes_destroy(changes);

	const uint8_t zeros[SEAL] = {0};
	assert_int_equal(from_copy(&read, zeros, sizeof zeros), ICP_EDAMAGED);
}

/*! More than the first room holds, many times over. */
static void test_many(void **state)
{
	(void)state;
	enum { ROUNDS = 500 };
	icp_change_t all[10];
	size_t count = all_changes(all);
	icp_changes_t *changes = changes_of(NULL, 0);
	for (size_t i = 0; i < ROUNDS * count; i++) {
		assert_int_equal(icp_changes_add(changes, &all[i % count]), ICP_EOK);
	}
	icp_change_t change;
	size_t at = 0;
	for (size_t i = 0; i < ROUNDS * count; i++) {
		assert_int_equal(icp_changes_next(changes, &at, &change), 1);
		assert_same(&change, &all[i % count]);
	}
	assert_int_equal(icp_changes_next(changes, &at, &change), 0);
	assert_int_equal(icp_changes_count(changes), ROUNDS * count);
	icp_changes_destroy(changes);
}

/*! Each octet in each way of one bit, and each truncation. */
static void test_damage(void **state)
{
	(void)state;
	icp_change_t all[10];
	icp_changes_t *read = NULL;
	size_t length;
	size_t count = all_changes(all);
	all[4].row.licensed_count = 2;
	icp_changes_t *changes = changes_of(all, count);
	const uint8_t *stored = icp_changes_stored(changes, &length);
	uint8_t *octets = malloc(length + 1);
	assert_non_null(octets);
	memcpy(octets, stored, length);
	for (size_t at = 0; at < length; at++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			octets[at] ^= (uint8_t)(1U << bit);
			assert_int_equal(from_copy(&read, octets, length), ICP_EDAMAGED);
			octets[at] ^= (uint8_t)(1U << bit);
		}
		octets[at] ^= 0xff;
		assert_int_equal(from_copy(&read, octets, length), ICP_EDAMAGED);
		octets[at] ^= 0xff;
		assert_int_equal(from_copy(&read, octets, at), ICP_EDAMAGED);
	}
	octets[length] = 0;
	assert_int_equal(from_copy(&read, octets, length + 1), ICP_EDAMAGED);
	assert_int_equal(from_copy(&read, octets, length), ICP_EOK);
	icp_changes_destroy(read);
	icp_changes_destroy(changes);
	free(octets);
}

/*! Reads content under a seal that fits. */
static int from_content(icp_changes_t **changes, const char *content, size_t length)
{
	uint8_t octets[1024];
	assert_true(length <= sizeof octets - SEAL);
	uint64_t hash = XXH3_64bits(content, length);
	for (size_t i = 0; i < SEAL; i++) {
		octets[i] = (uint8_t)(hash >> 8 * i);
	}
	if (length > 0) {
		memcpy(octets + SEAL, content, length);
	}
	return from_copy(changes, octets, SEAL + length);
}

#define TEXT(text) text, sizeof(text) - 1

/*! What a seal stands for must still be changes. */
static void test_wild_content(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *content;
		size_t length;
		int ret;
	} cases[] = {
		{"upsert", TEXT("\0\6\1a\3com\0\1q\1x"), ICP_EOK},
		{"delete", TEXT("\1\6\1a\3com\1q"), ICP_EOK},
		{"deregister", TEXT("\2\1x"), ICP_EOK},
		{"op", TEXT("\3\1x"), ICP_EDAMAGED},
		{"op 255", TEXT("\xff\1x"), ICP_EDAMAGED},
		{"op alone, upsert", TEXT("\0"), ICP_EDAMAGED},
		{"op alone, delete", TEXT("\1"), ICP_EDAMAGED},
		{"op alone, deregister", TEXT("\2"), ICP_EDAMAGED},
		{"no name", TEXT("\1\0\1q"), ICP_EDAMAGED},
		{"name of one label", TEXT("\1\4\3com\1q"), ICP_EDAMAGED},
		{"name in capitals", TEXT("\1\6\1A\3com\1q"), ICP_EDAMAGED},
		{"name with a root", TEXT("\1\7\1a\3com\0\1q"), ICP_EDAMAGED},
		{"name beyond the end", TEXT("\1\6\1a\3co"), ICP_EDAMAGED},
		{"name cut in a label", TEXT("\1\5\1a\3co\1q"), ICP_EDAMAGED},
		{"name with a pointer", TEXT("\1\4\1a\xc0\0\1q"), ICP_EDAMAGED},
		{"name of 255", TEXT("\1\xff\1a\3com\1q"), ICP_EDAMAGED},
		{"no provider", TEXT("\1\6\1a\3com\0"), ICP_EDAMAGED},
		{"provider not there", TEXT("\1\6\1a\3com"), ICP_EDAMAGED},
		{"provider in capitals", TEXT("\1\6\1a\3com\1Q"), ICP_EDAMAGED},
		{"provider beyond the end", TEXT("\1\6\1a\3com\2q"), ICP_EDAMAGED},
		{"provider of 33", TEXT("\1\6\1a\3com\x21" TEN TEN TEN "abc"), ICP_EDAMAGED},
		{"row not there", TEXT("\0\6\1a\3com"), ICP_EDAMAGED},
		{"row of status 7", TEXT("\0\6\1a\3com\7\1q\1x"), ICP_EDAMAGED},
		{"row cut", TEXT("\0\6\1a\3com\0\1q\2x"), ICP_EDAMAGED},
		{"row with a number not UTF-8", TEXT("\0\6\1a\3com\0\1q\1\xff"), ICP_EDAMAGED},
		{"no number", TEXT("\2\0"), ICP_EDAMAGED},
		{"number beyond the end", TEXT("\2\2x"), ICP_EDAMAGED},
		{"number not UTF-8", TEXT("\2\1\xff"), ICP_EDAMAGED},
		{"number of 129",
			TEXT("\2\x81" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "012345678"),
			ICP_EDAMAGED},
		{"number of 128",
			TEXT("\2\x80" TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN "01234567"),
			ICP_EOK},
		{"good and then one octet", TEXT("\2\1x\2"), ICP_EDAMAGED},
		{"good and good", TEXT("\2\1x\2\1y"), ICP_EOK},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_changes_t *read = NULL;
		print_message("  %s\n", cases[i].name);
		assert_int_equal(
			from_content(&read, cases[i].content, cases[i].length), cases[i].ret);
		icp_changes_destroy(read);
	}
}

/*! Every content that is one change away from a good one reads as changes or not at all. */
static void test_sealed_damage(void **state)
{
	(void)state;
	static const char good[] = "\0\6\1a\3com\xf3\1q\1x\2\4\x80\1\1\0"
				   "\4\n\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x20"
				   "\1\6\1a\3com\1q\2\1x";
	char content[sizeof good];
	size_t length = sizeof good - 1;
	icp_changes_t *read;
	assert_int_equal(from_content(&read, good, length), ICP_EOK);
	assert_int_equal(icp_changes_count(read), 3);
	icp_changes_destroy(read);
	for (size_t at = 0; at < length; at++) {
		memcpy(content, good, sizeof good);
		for (unsigned value = 0; value <= UINT8_MAX; value++) {
			content[at] = (char)value;
			int ret = from_content(&read, content, length);
			assert_true(ret == ICP_EOK || ret == ICP_EDAMAGED);
			if (ret == ICP_EOK) {
				assert_in_range(icp_changes_count(read), 1, 3);
				icp_changes_destroy(read);
			}
		}
		if (from_content(&read, good, at) == ICP_EOK) {
			assert_in_range(icp_changes_count(read), 0, 2);
			icp_changes_destroy(read);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_none),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_wild_content),
		cmocka_unit_test(test_sealed_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

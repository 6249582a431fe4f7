/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/node.h"
#include "core/time.h"

#define NODES 50
#define NODE_MAX 256

/*! A bucket of NODES names, made by itself. */
typedef struct {
	icp_name_t names[NODES];
	uint8_t data[NODES][NODE_MAX];
	icp_packed_node_t packed[NODES];
	uint8_t *bucket;
	size_t length;
} sample_t;

static int by_hash(const void *a, const void *b)
{
	const icp_packed_node_t *x = a;
	const icp_packed_node_t *y = b;
	return x->hash < y->hash ? -1 : x->hash > y->hash;
}

static icp_row_t some_row(const icp_name_t *name)
{
	return (icp_row_t){
		.domain = name->wire,
		.domain_length = name->length,
		.labels = name->labels,
		.provider = "qcloud",
		.provider_length = 6,
		.number = "京ICP备11018762号-1",
		.number_length = (uint8_t)strlen("京ICP备11018762号-1"),
		.status = ICP_FILED,
		.approved_at = 1700000000,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE,
	};
}

static int make_sample(void **state)
{
	sample_t *sample = calloc(1, sizeof *sample);
	size_t octets = 0;
	for (size_t i = 0; i < NODES; i++) {
		char text[32];
		int length = snprintf(text, sizeof text, "name%zu.example.com", i);
		icp_name_t *name = &sample->names[i];
		assert_int_equal(icp_name_parse(name, text, (size_t)length, NULL), ICP_EOK);
		icp_row_t row = some_row(name);
		bool has_row = i % 3 != 0;
		size_t at = icp_node_encode_head(
			sample->data[i], name->wire, name->length, has_row, !has_row);
		if (has_row) {
			at += icp_row_encode(&row, sample->data[i] + at);
		}
		assert_true(at <= NODE_MAX);
		sample->packed[i] = (icp_packed_node_t){
			.hash = icp_name_hash(name->wire, name->length),
			.data = sample->data[i],
			.length = at,
		};
		octets += at;
	}
	qsort(sample->packed, NODES, sizeof *sample->packed, by_hash);
	sample->length = icp_bucket_size(NODES, octets);
	/* Exactly as large as the bucket, so that a sanitizer sees every read outside. */
	sample->bucket = malloc(sample->length);
	icp_bucket_encode(sample->bucket, sample->packed, NODES, 0, UINT64_MAX);
	*state = sample;
	return 0;
}

static int free_sample(void **state)
{
	sample_t *sample = *state;
	free(sample->bucket);
	free(sample);
	return 0;
}

static int find(const sample_t *sample, const icp_name_t *name, icp_node_t *node)
{
	return icp_bucket_find(sample->bucket, sample->length,
		icp_name_hash(name->wire, name->length), name->wire, name->length, node);
}

static void every_name_is_found(void **state)
{
	const sample_t *sample = *state;
	for (size_t i = 0; i < NODES; i++) {
		icp_node_t node;
		assert_int_equal(find(sample, &sample->names[i], &node), 1);
		assert_int_equal(node.name_length, sample->names[i].length);
		assert_memory_equal(node.name, sample->names[i].wire, node.name_length);
		assert_int_equal(node.row_count, i % 3 != 0);
		assert_int_equal(node.below, i % 3 == 0);
	}
}

static void a_row_comes_back_as_it_went_in(void **state)
{
	const sample_t *sample = *state;
	icp_node_t node;
	icp_row_t row;
	assert_int_equal(find(sample, &sample->names[1], &node), 1);
	assert_int_equal(icp_row_decode(&row, node.rows, node.rows_length), node.rows_length);
	assert_int_equal(row.status, ICP_FILED);
	assert_int_equal(row.approved_at, 1700000000);
	assert_int_equal(row.provider_length, 6);
	assert_memory_equal(row.provider, "qcloud", 6);
}

static void other_names_are_not_found(void **state)
{
	const sample_t *sample = *state;
	for (size_t i = 0; i < 2000; i++) {
		char text[32];
		icp_name_t name;
		icp_node_t node;
		int length = snprintf(text, sizeof text, "other%zu.example.com", i);
		assert_int_equal(icp_name_parse(&name, text, (size_t)length, NULL), ICP_EOK);
		assert_int_equal(find(sample, &name, &node), 0);
	}
}

static void a_whole_bucket_passes_the_check(void **state)
{
	const sample_t *sample = *state;
	size_t count;
	uint64_t digest;
	assert_int_equal(icp_bucket_open(sample->bucket, sample->length, &count), ICP_EOK);
	assert_int_equal(count, NODES);
	assert_int_equal(
		icp_bucket_check(sample->bucket, sample->length, 0, UINT64_MAX, &digest), ICP_EOK);
	uint64_t again = icp_bucket_encode(sample->bucket, sample->packed, NODES, 0, UINT64_MAX);
	assert_true(digest == again);
}

static void another_range_is_damage(void **state)
{
	const sample_t *sample = *state;
	assert_int_equal(icp_bucket_check(sample->bucket, sample->length, 1, UINT64_MAX, NULL),
		ICP_EDAMAGED);
	assert_int_equal(icp_bucket_check(sample->bucket, sample->length, 0, UINT64_MAX - 1, NULL),
		ICP_EDAMAGED);
}

/*! Encodes the sample with another range, and puts back what was there. */
static int check_with_range(const sample_t *sample, uint64_t low, uint64_t high)
{
	icp_bucket_encode(sample->bucket, sample->packed, NODES, low, high);
	int ret = icp_bucket_check(sample->bucket, sample->length, low, high, NULL);
	icp_bucket_encode(sample->bucket, sample->packed, NODES, 0, UINT64_MAX);
	return ret;
}

static void nodes_outside_the_bucket_s_range_are_damage(void **state)
{
	const sample_t *sample = *state;
	uint64_t first = sample->packed[0].hash;
	uint64_t last = sample->packed[NODES - 1].hash;
	assert_int_equal(check_with_range(sample, first, last), ICP_EOK);
	assert_int_equal(check_with_range(sample, first + 1, last), ICP_EDAMAGED);
	assert_int_equal(check_with_range(sample, first, last - 1), ICP_EDAMAGED);
}

static void a_name_outside_the_range_is_not_simply_missing(void **state)
{
	const sample_t *sample = *state;
	icp_node_t node;
	uint64_t first = sample->packed[0].hash;
	icp_bucket_encode(sample->bucket, sample->packed + 1, NODES - 1, first + 1, UINT64_MAX);
	size_t length = sample->length - sample->packed[0].length - ICP_BUCKET_PER_NODE;
	int ret = icp_bucket_find(sample->bucket, length, first, sample->packed[0].data + 1,
		sample->packed[0].data[0], &node);
	icp_bucket_encode(sample->bucket, sample->packed, NODES, 0, UINT64_MAX);
	assert_int_equal(ret, ICP_EDAMAGED);
}

static void an_empty_bucket_holds_nothing(void **state)
{
	(void)state;
	uint8_t bucket[ICP_BUCKET_HEADER];
	icp_node_t node;
	icp_bucket_encode(bucket, NULL, 0, 7, 9);
	assert_int_equal(icp_bucket_check(bucket, sizeof bucket, 7, 9, NULL), ICP_EOK);
	assert_int_equal(
		icp_bucket_find(bucket, sizeof bucket, 8, (const uint8_t *)"", 0, &node), 0);
	assert_int_equal(icp_bucket_find(bucket, sizeof bucket, 6, (const uint8_t *)"", 0, &node),
		ICP_EDAMAGED);
}

static void every_flipped_bit_is_damage(void **state)
{
	const sample_t *sample = *state;
	for (size_t bit = 0; bit < 8 * sample->length; bit++) {
		sample->bucket[bit / 8] ^= (uint8_t)(1u << bit % 8);
		assert_int_equal(
			icp_bucket_check(sample->bucket, sample->length, 0, UINT64_MAX, NULL),
			ICP_EDAMAGED);
		sample->bucket[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/*! A damaged bucket says the truth or that it is damaged, and nothing outside of it is read. */
static void damage_is_never_followed(void **state)
{
	const sample_t *sample = *state;
	icp_name_t missing;
	assert_int_equal(icp_name_parse(&missing, "missing.example.com", 19, NULL), ICP_EOK);
	for (size_t bit = 0; bit < 8 * sample->length; bit++) {
		sample->bucket[bit / 8] ^= (uint8_t)(1u << bit % 8);
		for (size_t i = 0; i < NODES; i++) {
			icp_node_t node;
			int ret = find(sample, &sample->names[i], &node);
			assert_true(ret == 1 || ret == ICP_EDAMAGED);
			if (ret == 1 && i % 3 != 0) {
				icp_row_t row;
				assert_int_equal(node.row_count, 1);
				assert_int_equal(icp_row_decode(&row, node.rows, node.rows_length),
					node.rows_length);
				assert_int_equal(row.status, ICP_FILED);
			}
		}
		icp_node_t node;
		int ret = find(sample, &missing, &node);
		assert_true(ret == 0 || ret == ICP_EDAMAGED);
		sample->bucket[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

static void every_truncation_is_damage(void **state)
{
	const sample_t *sample = *state;
	for (size_t length = 0; length < sample->length; length++) {
		uint8_t *part = malloc(length + 1);
		icp_node_t node;
		memcpy(part, sample->bucket, length);
		assert_int_equal(icp_bucket_check(part, length, 0, UINT64_MAX, NULL), ICP_EDAMAGED);
		const icp_name_t *name = &sample->names[length % NODES];
		(void)icp_bucket_find(part, length, icp_name_hash(name->wire, name->length),
			name->wire, name->length, &node);
		free(part);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_found),
		cmocka_unit_test(a_row_comes_back_as_it_went_in),
		cmocka_unit_test(other_names_are_not_found),
		cmocka_unit_test(a_whole_bucket_passes_the_check),
		cmocka_unit_test(another_range_is_damage),
		cmocka_unit_test(a_name_outside_the_range_is_not_simply_missing),
		cmocka_unit_test(an_empty_bucket_holds_nothing),
		cmocka_unit_test(nodes_outside_the_bucket_s_range_are_damage),
		cmocka_unit_test(every_flipped_bit_is_damage),
		cmocka_unit_test(damage_is_never_followed),
		cmocka_unit_test(every_truncation_is_damage),
	};
	return cmocka_run_group_tests(tests, make_sample, free_sample);
}

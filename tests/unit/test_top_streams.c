/* SPDX-License-Identifier: BSD-3-Clause */
/*! The sketch against exact counts: streams of all kinds, on one sketch and on several. */
#include "tests/unit/top_help.h"

#define NAMES_MAX 20000
#define ADDITIONS 200000

/*! A repeatable source of numbers (an LCG; its upper bits are good enough here). */
static uint64_t next_random(uint64_t *seed)
{
	*seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return *seed >> 24;
}

/*! A stream of names, spread over sketches, and what it truly holds. */
typedef struct {
	icp_name_t names[NAMES_MAX];
	uint64_t exact[NAMES_MAX];
	size_t name_count;
	icp_top_t *tops[SKETCHES_MAX];
	size_t sketches;
	uint64_t seed;
	uint64_t added[SKETCHES_MAX][ICP_TOP_SETS];
} stream_t;

static stream_t *make_stream(size_t names, size_t sketches)
{
	stream_t *stream = calloc(1, sizeof *stream);
	assert_non_null(stream);
	stream->name_count = names;
	stream->sketches = sketches;
	stream->seed = 7;
	for (size_t i = 0; i < names; i++) {
		char text[64];
		snprintf(text, sizeof text, "domain-%zu.example", i);
		stream->names[i] = name_of(text);
	}
	for (size_t i = 0; i < sketches; i++) {
		stream->tops[i] = make_sketch();
	}
	return stream;
}

static void feed(stream_t *stream, size_t name, size_t sketch)
{
	stream->exact[name]++;
	stream->added[sketch][set_of(&stream->names[name])]++;
	add_name(stream->tops[sketch], TURN, &stream->names[name]);
}

static size_t any_sketch(stream_t *stream)
{
	return next_random(&stream->seed) % stream->sketches;
}

/*! What can be promised of the bound: in each set the lowest of its counts, at most. */
static uint64_t greatest_bound(const stream_t *stream)
{
	uint64_t greatest = 0;
	for (size_t set = 0; set < ICP_TOP_SETS; set++) {
		uint64_t sum = 0;
		for (size_t i = 0; i < stream->sketches; i++) {
			sum += stream->added[i][set] / ICP_TOP_WAYS;
		}
		greatest = sum > greatest ? sum : greatest;
	}
	return greatest;
}

/*! Holds the list against the truth. Returns how many names are listed. */
static size_t check_and_free(stream_t *stream)
{
	icp_top_list_t list;
	size_t listed = 0;
	assert_int_equal(merge(&list, stream->tops, stream->sketches, TURN), ICP_EOK);
	for (size_t i = 0; i < stream->name_count; i++) {
		const icp_top_entry_t *entry = find(&list, &stream->names[i]);
		if (entry == NULL) {
			assert_true(stream->exact[i] <= list.bound);
			continue;
		}
		listed++;
		assert_true(stream->exact[i] > 0);
		assert_true(stream->exact[i] <= entry->count);
		assert_true(stream->exact[i] >= entry->count - entry->error);
	}
	assert_int_equal(listed, list.count);
	assert_true(list.bound <= greatest_bound(stream));
	for (size_t i = 1; i < list.count; i++) {
		assert_true(list.items[i - 1].count >= list.items[i].count);
	}
	icp_top_deinit(&list);
	for (size_t i = 0; i < stream->sketches; i++) {
		free(stream->tops[i]);
	}
	free(stream);
	return listed;
}

static void an_empty_sketch(void **state)
{
	(void)state;
	stream_t *stream = make_stream(1, 1);
	assert_int_equal(check_and_free(stream), 0);
}

/*! Zipf's law: the Nth name comes with a frequency of 1/N. */
static size_t draw_zipf(stream_t *stream, const double *sums)
{
	double total = sums[stream->name_count - 1];
	double at = (double)(next_random(&stream->seed) % (1u << 30)) / (1u << 30) * total;
	size_t low = 0;
	size_t high = stream->name_count - 1;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (sums[middle] <= at) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

static void a_stream_after_zipf(void **state)
{
	(void)state;
	static double sums[NAMES_MAX];
	for (size_t i = 0; i < NAMES_MAX; i++) {
		sums[i] = (i > 0 ? sums[i - 1] : 0) + 1 / (double)(i + 1);
	}
	for (size_t sketches = 1; sketches <= SKETCHES_MAX; sketches++) {
		stream_t *stream = make_stream(NAMES_MAX, sketches);
		icp_top_list_t list;
		for (size_t i = 0; i < ADDITIONS; i++) {
			feed(stream, draw_zipf(stream, sums), any_sketch(stream));
		}
		assert_int_equal(merge(&list, stream->tops, sketches, TURN), ICP_EOK);
		for (size_t i = 0; i < 10; i++) {
			const icp_top_entry_t *entry = find(&list, &stream->names[i]);
			assert_non_null(entry);
			assert_true(entry->error * 10 < entry->count);
		}
		icp_top_deinit(&list);
		assert_true(check_and_free(stream) >= (size_t)ICP_TOP_SETS * ICP_TOP_WAYS);
	}
}

static void every_name_equally_often(void **state)
{
	(void)state;
	stream_t *stream = make_stream(NAMES_MAX, 2);
	for (size_t i = 0; i < ADDITIONS; i++) {
		feed(stream, next_random(&stream->seed) % NAMES_MAX, any_sketch(stream));
	}
	assert_true(check_and_free(stream) >= (size_t)ICP_TOP_SETS * ICP_TOP_WAYS);
}

/*! Each comes again when it has just been thrown out, the worst for any sketch. */
static void names_in_turn(void **state)
{
	(void)state;
	stream_t *stream = make_stream((size_t)ICP_TOP_SETS * ICP_TOP_WAYS * 2, 1);
	for (size_t i = 0; i < ADDITIONS; i++) {
		feed(stream, i % stream->name_count, 0);
	}
	assert_int_equal(check_and_free(stream), ICP_TOP_SETS * ICP_TOP_WAYS);
}

static void a_heavy_name_before_a_flood_stays(void **state)
{
	(void)state;
	stream_t *stream = make_stream(NAMES_MAX, 1);
	for (size_t i = 0; i < 1000; i++) {
		feed(stream, 0, 0);
	}
	for (size_t i = 1; i < NAMES_MAX / 2; i++) {
		feed(stream, i, 0);
	}
	icp_top_list_t list;
	assert_int_equal(merge(&list, stream->tops, 1, TURN), ICP_EOK);
	assert_memory_equal(list.items[0].domain.wire, stream->names[0].wire, 8);
	assert_int_equal(list.items[0].count, 1000);
	assert_int_equal(list.items[0].error, 0);
	icp_top_deinit(&list);
	check_and_free(stream);
}

/*! Names of one set alone, as somebody who knows the hash may choose them. */
static void names_that_meet_in_one_set(void **state)
{
	(void)state;
	stream_t *stream = make_stream(NAMES_MAX, 2);
	size_t chosen[NAMES_MAX];
	size_t count = 0;
	for (size_t i = 0; i < NAMES_MAX; i++) {
		if (set_of(&stream->names[i]) == ICP_TOP_SETS - 1) {
			chosen[count++] = i;
		}
	}
	assert_true(count > 100);
	for (size_t i = 0; i < ADDITIONS; i++) {
		feed(stream, chosen[next_random(&stream->seed) % count], any_sketch(stream));
	}
	assert_true(check_and_free(stream) >= ICP_TOP_WAYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_sketch),
		cmocka_unit_test(a_stream_after_zipf),
		cmocka_unit_test(every_name_equally_often),
		cmocka_unit_test(names_in_turn),
		cmocka_unit_test(a_heavy_name_before_a_flood_stays),
		cmocka_unit_test(names_that_meet_in_one_set),
	};
	return cmocka_run_group_tests_name("top, streams", tests, NULL, NULL);
}

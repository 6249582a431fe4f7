/* SPDX-License-Identifier: BSD-3-Clause */
/*! Statistics: how long judgements took, and reading for those who must not wait. */
#include "tests/unit/stats_help.h"

#include "core/stats_file.h"

static void each_time_is_in_its_class(void **state)
{
	static const struct {
		uint64_t nanoseconds;
		unsigned class;
	} cases[] = {
		{0, 0},
		{1, 0},
		{100, 0},
		{101, 1},
		{250, 1},
		{251, 2},
		{1000, 3},
		{1001, 4},
		{9999999, 15},
		{10000000, 15},
		{10000001, 16},
		{UINT64_C(3600000000000), 16},
	};
	uint64_t sum = 0;
	uint64_t expected[ICP_LATENCY_CLASSES] = {0};
	icp_stats_t *stats = open_file_stats(*state, 3);
	for (unsigned i = 0; i < COUNT(cases); i++) {
		icp_stats_took(stats, i % 3, cases[i].nanoseconds);
		expected[cases[i].class]++;
		sum += cases[i].nanoseconds;
	}
	icp_stats_snapshot_t snapshot = read_stats(*state);
	for (unsigned class = 0; class < ICP_LATENCY_CLASSES; class ++) {
		assert_int_equal(snapshot.latency[class], expected[class]);
	}
	assert_true(snapshot.latency_sum == sum);
	/* They share nothing with the counters beside them. */
	for (enum icp_stat stat = 0; stat < ICP_STAT_COUNT; stat++) {
		assert_int_equal(snapshot.counts[stat], 0);
	}
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void bounds_ascend_from_100_ns_to_10_ms(void **state)
{
	(void)state;
	assert_int_equal(icp_latency_bound(0), 100);
	for (unsigned class = 1; class < ICP_LATENCY_CLASSES - 1; class ++) {
		assert_true(icp_latency_bound(class) > icp_latency_bound(class - 1));
	}
	assert_int_equal(icp_latency_bound(ICP_LATENCY_CLASSES - 2), 10000000);
	assert_int_equal(icp_latency_bound(ICP_LATENCY_CLASSES - 1), 0);
}

static void one_judgement_of_61_is_timed(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	unsigned timed[2] = {0, 0};
	for (unsigned i = 0; i < 3 * ICP_LATENCY_EVERY; i++) {
		/* The second seat judges twice as often. */
		for (unsigned turn = 0; turn < 3; turn++) {
			unsigned seat = turn > 0;
			if (icp_stats_wants_time(stats, seat)) {
				icp_stats_took(stats, seat, 700);
				timed[seat]++;
			}
			judge(stats, seat, ICP_PASS, ICP_REASON_FILED, 1);
		}
	}
	assert_int_equal(timed[0], 3);
	assert_int_equal(timed[1], 6);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.latency[3], 9);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

/*! The first one is, so that one who tries it out sees it; and one that came to nothing is not the
 * one that was meant. */
static void a_judgement_that_came_to_nothing_is_not_timed(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 1);
	for (unsigned i = 0; i < 5; i++) {
		assert_true(icp_stats_wants_time(stats, 0));
	}
	judge(stats, 0, ICP_PASS, ICP_REASON_FILED, 1);
	assert_true(icp_stats_wants_time(stats, 0));
	icp_stats_took(stats, 0, 1);
	judge(stats, 0, ICP_PASS, ICP_REASON_FILED, 1);
	assert_false(icp_stats_wants_time(stats, 0));
	icp_stats_close(stats);
}

static void reading_quickly_finds_the_same(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = open_file_stats(place, 2);
	block(stats, 0, "www.first.example", 41);
	block(stats, 1, "first.example", 41);
	icp_stats_took(stats, 1, 700);
	icp_stats_snapshot_t all;
	icp_stats_snapshot_t counters;
	assert_int_equal(icp_stats_read_quickly(&all, place->dir, true, &place->diag), ICP_EOK);
	assert_int_equal(
		icp_stats_read_quickly(&counters, place->dir, false, &place->diag), ICP_EOK);
	assert_domain(&all, "first.example", 2);
	assert_int_equal(counters.top.count, 0);
	assert_int_equal(all.counts[ICP_STAT_BLOCKED], 2);
	assert_int_equal(counters.counts[ICP_STAT_BLOCKED], 2);
	assert_int_equal(all.latency[3], 1);
	assert_int_equal(counters.latency[3], 1);
	assert_int_equal(counters.generation, 41);
	icp_stats_snapshot_deinit(&all);
	icp_stats_snapshot_deinit(&counters);
	icp_stats_close(stats);
}

/*! A writer that stands still in the midst of a change of the list is waited for, but not where the
 * list is not wanted. */
static void counters_do_not_wait_for_the_list(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = open_file_stats(place, 1);
	block(stats, 0, "first.example", 41);
	uint64_t odd = 1;
	int fd = open(place->file, O_WRONLY);
	for (size_t set = 0; set < ICP_TOP_SETS; set++) {
		size_t at = sizeof(icp_stats_file_t) + offsetof(icp_stats_area_t, top.sets) +
			    set * sizeof(icp_top_set_t);
		assert_int_equal(pwrite(fd, &odd, sizeof odd, (off_t)at), sizeof odd);
	}
	assert_int_equal(close(fd), 0);
	icp_stats_snapshot_t snapshot;
	assert_int_equal(
		icp_stats_read_quickly(&snapshot, place->dir, false, &place->diag), ICP_EOK);
	assert_int_equal(snapshot.left_out, 0);
	assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 1);
	icp_stats_snapshot_deinit(&snapshot);
	assert_int_equal(
		icp_stats_read_quickly(&snapshot, place->dir, true, &place->diag), ICP_EOK);
	assert_int_equal(snapshot.left_out, ICP_TOP_SETS);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(each_time_is_in_its_class),
		cmocka_unit_test(bounds_ascend_from_100_ns_to_10_ms),
		IN_PLACE(one_judgement_of_61_is_timed),
		IN_PLACE(a_judgement_that_came_to_nothing_is_not_timed),
		IN_PLACE(reading_quickly_finds_the_same),
		IN_PLACE(counters_do_not_wait_for_the_list),
	};
	return cmocka_run_group_tests_name("stats, latency", tests, NULL, NULL);
}

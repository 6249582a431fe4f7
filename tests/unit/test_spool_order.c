/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/spool_help.h"

#define FEEDS_MAX 6
#define T 100000 /* Now, in milliseconds. */

static icp_spool_feed_t full(const char *base, uint64_t sequence)
{
	static char names[][2] = {"a", "b", "c", "d"};
	return (icp_spool_feed_t){.base = names[base[0] - 'a'],
		.suffix = "",
		.state = ICP_SPOOL_GOOD,
		.full = true,
		.sequence = sequence,
		.since = T};
}

static icp_spool_feed_t delta(const char *base, uint64_t sequence)
{
	icp_spool_feed_t feed = full(base, sequence);
	feed.full = false;
	return feed;
}

static icp_spool_feed_t in_state(icp_spool_feed_t feed, enum icp_spool_state state, int64_t since)
{
	feed.state = state;
	feed.since = since;
	return feed;
}

static icp_spool_feed_t waits(icp_spool_feed_t feed, int64_t until)
{
	feed.retry_at = until;
	return feed;
}

static icp_spool_feed_t wanted(icp_spool_feed_t feed)
{
	feed.wanted = true;
	return feed;
}

static icp_spool_feed_t leaves(icp_spool_feed_t feed)
{
	feed.leaves = true;
	return feed;
}

#define EMPTY                                                                                      \
	{                                                                                          \
		.there = false                                                                     \
	}
#define AT(number)                                                                                 \
	{                                                                                          \
		.there = true, .sequence = (number)                                                \
	}

typedef struct {
	const char *shows;
	icp_spool_store_t store;
	icp_spool_feed_t feeds[FEEDS_MAX];
	enum icp_spool_step step;
	const char *base; /* NULL: none. */
	int64_t wake;
} case_t;

static void check(const case_t *it, bool paused)
{
	icp_spool_feed_t feeds[FEEDS_MAX];
	icp_spool_t spool = {.feeds = feeds};
	memcpy(feeds, it->feeds, sizeof feeds);
	while (spool.count < FEEDS_MAX && it->feeds[spool.count].base != NULL) {
		spool.count++;
	}
	icp_spool_next_t next = icp_spool_next(&spool, &it->store, paused, T);
	if (next.step != it->step || (next.feed != NULL) != (it->base != NULL) ||
		(next.feed != NULL && strcmp(next.feed->base, it->base) != 0) ||
		(it->step == ICP_SPOOL_NOTHING && next.wake != it->wake)) {
		fail_msg("%s: step %d, %s, wake %lld", it->shows, (int)next.step,
			next.feed != NULL ? next.feed->base : "none", (long long)next.wake);
	}
}

static void test_order(void **state)
{
	(void)state;
	const case_t cases[] = {
		{"nothing there", AT(5), {{0}}, ICP_SPOOL_NOTHING, NULL, INT64_MAX},
		{"the next delta", AT(5), {delta("b", 7), delta("c", 6)}, ICP_SPOOL_LOAD, "c", 0},
		{"a delta waits for the one before", AT(5), {delta("a", 7)}, ICP_SPOOL_NOTHING,
			NULL, INT64_MAX},
		{"a delta waits for a full feed", EMPTY, {delta("a", 1)}, ICP_SPOOL_NOTHING, NULL,
			INT64_MAX},
		{"the first full feed", EMPTY, {delta("a", 8), full("b", 7)}, ICP_SPOOL_LOAD, "b",
			0},
		{"by sequence, not by name", AT(5), {full("a", 9), delta("b", 6)}, ICP_SPOOL_LOAD,
			"b", 0},
		{"a delta before the full feed that has it", AT(5), {full("a", 6), delta("b", 6)},
			ICP_SPOOL_LOAD, "b", 0},
		{"full feeds by name where their sequence is the same", AT(5),
			{full("b", 6), full("a", 6)}, ICP_SPOOL_LOAD, "a", 0},
		{"an older full feed is for the loader to judge", AT(5), {full("a", 3)},
			ICP_SPOOL_LOAD, "a", 0},
		{"a full feed goes over a gap", AT(5), {delta("a", 7), full("b", 8)},
			ICP_SPOOL_LOAD, "b", 0},
		{"a delta that was applied", AT(5), {delta("a", 5), delta("b", 6)},
			ICP_SPOOL_APPLIED, "a", 0},
		{"one that failed holds up no other", AT(5),
			{waits(full("a", 4), T + 1), delta("b", 6)}, ICP_SPOOL_LOAD, "b", 0},
		{"one that failed is tried again", AT(5), {waits(delta("a", 6), T)}, ICP_SPOOL_LOAD,
			"a", 0},
		{"and not before", AT(5), {waits(delta("a", 6), T + 9), waits(full("b", 6), T + 7)},
			ICP_SPOOL_NOTHING, NULL, T + 7},
		{"what may still be written", AT(5),
			{in_state(full("a", 0), ICP_SPOOL_WRONG, T - 10)}, ICP_SPOOL_NOTHING, NULL,
			T - 10 + ICP_SPOOL_SETTLE_MS},
		{"what is wrong for long", AT(5),
			{in_state(full("a", 0), ICP_SPOOL_WRONG, T - ICP_SPOOL_SETTLE_MS)},
			ICP_SPOOL_REJECT, "a", 0},
		{"what can't be read is looked at again", AT(5),
			{in_state(full("a", 0), ICP_SPOOL_UNREAD, 0)}, ICP_SPOOL_NOTHING, NULL,
			T + ICP_SPOOL_SETTLE_MS},
		{"a manifest alone waits", AT(5), {in_state(delta("a", 6), ICP_SPOOL_ALONE, 0)},
			ICP_SPOOL_NOTHING, NULL, INT64_MAX},
		{"what is wanted comes first", AT(5), {delta("a", 6), wanted(full("b", 9))},
			ICP_SPOOL_LOAD, "b", 0},
		{"what is decided comes first", AT(5), {delta("a", 6), leaves(full("b", 9))},
			ICP_SPOOL_LEAVE, "b", 0},
		{"what could not be moved holds up no other", AT(5),
			{waits(leaves(delta("a", 5)), T + 5), delta("b", 6)}, ICP_SPOOL_LOAD, "b",
			0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		check(&cases[i], false);
	}
}

static void test_paused(void **state)
{
	(void)state;
	const case_t cases[] = {
		{"paused", AT(5),
			{delta("a", 6), delta("b", 5), full("c", 6),
				in_state(full("d", 0), ICP_SPOOL_WRONG, 0)},
			ICP_SPOOL_NOTHING, NULL, INT64_MAX},
		{"paused, but wanted", AT(5), {delta("a", 6), wanted(full("b", 9))}, ICP_SPOOL_LOAD,
			"b", 0},
		{"paused, but decided", AT(5), {leaves(delta("a", 6))}, ICP_SPOOL_LEAVE, "a", 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		check(&cases[i], true);
	}
}

static void test_gap(void **state)
{
	(void)state;
	const struct {
		const char *shows;
		icp_spool_store_t store;
		icp_spool_feed_t feeds[FEEDS_MAX];
		icp_spool_gap_t want;
	} cases[] = {
		{"none", AT(5), {delta("a", 7), delta("b", 6)}, {0}},
		{"one is missing", AT(5), {delta("a", 7), delta("b", 9), full("c", 6)},
			{.waiting = 2, .missing = 6, .first = 7}},
		{"behind some that are there", AT(5), {delta("a", 9), delta("b", 7), delta("c", 6)},
			{.waiting = 1, .missing = 8, .first = 9}},
		{"twice the same", AT(5), {delta("a", 6), delta("b", 6), delta("c", 7)}, {0}},
		{"those that were applied", AT(5), {delta("a", 3), delta("b", 5)}, {0}},
		{"no store", EMPTY, {delta("a", 1)}, {.waiting = 1, .missing = 0, .first = 1}},
		{"a manifest alone is not there", AT(5),
			{in_state(delta("a", 6), ICP_SPOOL_ALONE, 0), delta("b", 7)},
			{.waiting = 1, .missing = 6, .first = 7}},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_spool_gap_t gap;
		icp_spool_feed_t feeds[FEEDS_MAX];
		icp_spool_t spool = {.feeds = feeds};
		memcpy(feeds, cases[i].feeds, sizeof feeds);
		while (spool.count < FEEDS_MAX && cases[i].feeds[spool.count].base != NULL) {
			spool.count++;
		}
		assert_int_equal(icp_spool_gap(&spool, &cases[i].store, &gap), ICP_EOK);
		if (gap.waiting != cases[i].want.waiting || gap.missing != cases[i].want.missing ||
			gap.first != cases[i].want.first) {
			fail_msg("%s: %zu, %lu, %lu", cases[i].shows, gap.waiting,
				(unsigned long)gap.missing, (unsigned long)gap.first);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_paused),
		cmocka_unit_test(test_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

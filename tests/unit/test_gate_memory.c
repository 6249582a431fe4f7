/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a seat remembers of its judgements: it is the same answer without a look at the store, and
 * it ends with whatever it rests on.
 */
#include "tests/unit/gate_help.h"

#define DAY INT64_C(86400)
#define APPROVED "2026-11-24T00:00:00+08:00" /* NOW */
#define TRANSFER(domain) domain ",qcloud,transfer-preapproved," NUMBER "," APPROVED ",,,\n"
#define RECTIFYING(domain) domain ",qcloud,rectifying," NUMBER ",,," APPROVED ",\n"

static icp_decision_t decide(
	const world_t *world, const char *name_text, const char *addresses_text, int64_t now)
{
	icp_name_t name;
	icp_address_t addresses[ICP_MEMORY_MORE_MAX / sizeof(icp_address_t) + 1];
	size_t count = 0;
	icp_decision_t decision;
	assert_int_equal(icp_name_parse(&name, name_text, strlen(name_text), NULL), ICP_EOK);
	for (const char *at = addresses_text; *at != '\0';) {
		size_t length = strcspn(at, " ");
		assert_int_equal(icp_address_parse(&addresses[count++], at, length), ICP_EOK);
		at += length + (at[length] == ' ');
	}
	assert_int_equal(
		icp_gate_decide(world->gate, 0, &name, addresses, count, now, &decision), ICP_EOK);
	icp_gate_release(world->gate, 0);
	return decision;
}

/*! Decides twice; the second time from memory. */
static enum icp_reason decide_twice(
	const world_t *world, const char *name, const char *addresses, int64_t now)
{
	icp_decision_t first = decide(world, name, addresses, now);
	icp_decision_t second = decide(world, name, addresses, now);
	assert_null(second.places);
	assert_null(second.rows);
	assert_int_equal(second.judgement.verdict, first.judgement.verdict);
	assert_int_equal(second.judgement.reason, first.judgement.reason);
	assert_int_equal(second.judgement.covering, first.judgement.covering);
	assert_int_equal(second.judgement.until, first.judgement.until);
	assert_true(icp_stamp_equal(&second.stamp, &first.stamp));
	return second.judgement.reason;
}

static void what_was_judged_is_remembered(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	assert_non_null(decide(&world, "www.filed.example", GATED, 1).places);
	assert_int_equal(decide_twice(&world, "www.filed.example", GATED, 1), ICP_REASON_FILED);
	assert_int_equal(decide_twice(&world, "unfiled.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(decide_twice(&world, "filed.example", ABROAD, 1), ICP_REASON_NOT_GATED);
	/* The same name elsewhere is another question. */
	assert_int_equal(decide_twice(&world, "unfiled.example", ABROAD, 1), ICP_REASON_NOT_GATED);
	assert_int_equal(
		decide_twice(&world, "unfiled.example", GATED " " GATED, 1), ICP_REASON_UNFILED);
	close_world(&world);
}

/*! Decides twice; nothing may be remembered. */
static enum icp_reason decide_anew(
	const world_t *world, const char *name, const char *addresses, int64_t now)
{
	icp_decision_t decision = decide(world, name, addresses, now);
	assert_non_null(decision.places);
	decision = decide(world, name, addresses, now);
	assert_non_null(decision.places);
	return decision.judgement.reason;
}

static void every_address_keeps_its_ruling(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	const char *addresses = ABROAD " " GATED " " ABROAD;
	assert_int_equal(decide_anew(&world, "unfiled.example", addresses, 1), ICP_REASON_UNFILED);
	icp_decision_t decision = decide(&world, "unfiled.example", addresses, 1);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(decision.rulings[i].gated, i == 1);
		assert_int_equal(decision.rulings[i].verdict, i == 1 ? ICP_BLOCK : ICP_PASS);
		assert_int_equal(decision.rulings[i].reason,
			i == 1 ? ICP_REASON_UNFILED : ICP_REASON_NOT_GATED);
	}
	close_world(&world);
}

static void more_addresses_are_judged_each_time(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	const char *nine = GATED " " GATED " " GATED " " GATED " " GATED " " GATED " " GATED
				 " " GATED " " GATED;
	for (unsigned i = 0; i < 2; i++) {
		icp_decision_t decision = decide(&world, "unfiled.example", nine, 1);
		assert_non_null(decision.places);
		assert_int_equal(decision.judgement.reason, ICP_REASON_UNFILED);
	}
	close_world(&world);
}

/*! Of names that long the seed does not take part in the key as it should. */
static void long_names_are_judged_each_time(void **state)
{
	world_t world = open_world(*state);
	char name[256];
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	char label[61] = "";
	memset(label, 'a', sizeof label - 1);
	snprintf(name, sizeof name, "%s.%s.%s.%.28s.filed.example", label, label, label, label);
	assert_int_equal(decide_anew(&world, name, GATED, 1), ICP_REASON_FILED);
	assert_int_equal(decide_twice(&world, name + 61, GATED, 1), ICP_REASON_FILED);
	close_world(&world);
}

/*! The generation's successor is met in the midst of a judgement, and another range database with
 * it: the judgement is of both. */
static void all_is_replaced_within_a_second(void **state)
{
	world_t world = open_world(*state);
	const char *nine = GATED " " GATED " " GATED " " GATED " " GATED " " GATED " " GATED
				 " " GATED " " GATED;
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	assert_int_equal(
		decide(&world, "new.example", nine, 1).judgement.reason, ICP_REASON_UNFILED);
	publish(*state, ROW("new.example"));
	compile_ranges(*state, "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n");
	assert_int_equal(
		decide(&world, "new.example", nine, 1).judgement.reason, ICP_REASON_NOT_GATED);
	close_world(&world);
}

static void a_new_generation_ends_it(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("old.example"));
	create_gate(&world, 1);
	assert_int_equal(decide_twice(&world, "old.example", GATED, 1), ICP_REASON_FILED);
	assert_int_equal(decide_twice(&world, "new.example", GATED, 1), ICP_REASON_UNFILED);
	publish(*state, ROW("new.example"));
	assert_int_equal(decide_twice(&world, "old.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(decide_twice(&world, "new.example", GATED, 1), ICP_REASON_FILED);
	close_world(&world);
}

static void another_range_database_ends_it(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	assert_int_equal(decide_twice(&world, "unfiled.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(decide_twice(&world, "unfiled.example", ABROAD, 1), ICP_REASON_NOT_GATED);
	compile_ranges(*state, "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n");
	assert_int_equal(decide_twice(&world, "unfiled.example", GATED, 2), ICP_REASON_NOT_GATED);
	assert_int_equal(decide_twice(&world, "unfiled.example", ABROAD, 2), ICP_REASON_UNFILED);
	close_world(&world);
}

/*! What rests on times is not remembered. */
static void time_ends_it(void **state)
{
	world_t world = open_world(*state);
	publish(*state, TRANSFER("moving.example"));
	create_gate(&world, 1);
	const int64_t end = NOW + 45 * DAY;
	assert_int_equal(decide_anew(&world, "moving.example", GATED, NOW - 1), ICP_REASON_PENDING);
	assert_int_equal(
		decide_anew(&world, "moving.example", GATED, NOW), ICP_REASON_TRANSFER_PREAPPROVED);
	assert_int_equal(decide_anew(&world, "moving.example", GATED, end - 1),
		ICP_REASON_TRANSFER_PREAPPROVED);
	assert_int_equal(
		decide_anew(&world, "moving.example", GATED, end), ICP_REASON_TRANSFER_EXPIRED);
	/* A clock that is set back. */
	assert_int_equal(decide_anew(&world, "moving.example", GATED, end - 1),
		ICP_REASON_TRANSFER_PREAPPROVED);
	close_world(&world);
}

static void a_deadline_ends_it(void **state)
{
	world_t world = open_world(*state);
	publish(*state, RECTIFYING("late.example"));
	world.config.policy.rectify_overdue = ICP_BLOCK;
	create_gate(&world, 1);
	assert_int_equal(
		decide_anew(&world, "late.example", GATED, NOW - 1), ICP_REASON_RECTIFYING);
	assert_int_equal(
		decide_anew(&world, "late.example", GATED, NOW), ICP_REASON_RECTIFY_OVERDUE);
	close_world(&world);
}

static void what_could_not_be_read_is_not_remembered(void **state)
{
	world_t world = open_world(*state);
	create_gate(&world, 1);
	for (unsigned i = 0; i < 2; i++) {
		icp_decision_t decision = decide(&world, "filed.example", GATED, 1);
		assert_int_equal(decision.judgement.reason, ICP_REASON_NO_INDEX);
		assert_non_null(decision.places);
	}
	publish(*state, ROW("filed.example"));
	assert_int_equal(decide_twice(&world, "filed.example", GATED, 2), ICP_REASON_FILED);
	close_world(&world);
}

/*! A number in a name. */
static icp_name_t name_of(unsigned number)
{
	char text[32];
	icp_name_t name;
	int length = snprintf(text, sizeof text, "n%u.example", number);
	assert_int_equal(icp_name_parse(&name, text, (size_t)length, NULL), ICP_EOK);
	return name;
}

static icp_memory_key_t key_of(const icp_memory_t *memory, unsigned number)
{
	icp_name_t name = name_of(number);
	return icp_memory_key(memory, &name, &number, sizeof number);
}

static void many_names_have_room(void **state)
{
	icp_memory_t *memory = icp_memory_create();
	const icp_stamp_t stamp = {.generation = 1, .commit = 2, .version = 3};
	unsigned found = 0;
	(void)state;
	assert_non_null(memory);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < ICP_MEMORY_SLOTS / 2; i++) {
			icp_memory_key_t key = key_of(memory, i);
			const icp_memory_item_t *kept = icp_memory_find(memory, key, &stamp);
			const icp_memory_item_t item = {
				.ruling = (uint8_t)i, .covering = (uint8_t)(i >> 8)};
			assert_true(kept == NULL || (kept->ruling == item.ruling &&
							    kept->covering == item.covering));
			found += kept != NULL;
			icp_memory_put(memory, key, &stamp, &item);
		}
	}
	assert_true(found > ICP_MEMORY_SLOTS / 3);
	icp_memory_destroy(memory);
}

/*! Names that are asked for again outlast any number of others. */
static void what_is_asked_for_again_stays(void **state)
{
	enum { HOT = 1000 };
	icp_memory_t *memory = icp_memory_create();
	const icp_stamp_t stamp = {.generation = 1};
	const icp_memory_item_t item = {.ruling = 1};
	unsigned kept = 0;
	(void)state;
	assert_non_null(memory);
	for (unsigned i = 0; i < HOT; i++) {
		icp_memory_put(memory, key_of(memory, i), &stamp, &item);
	}
	for (unsigned i = HOT; i < 4 * ICP_MEMORY_SLOTS; i++) {
		if (i % 64 == 0) {
			(void)icp_memory_find(memory, key_of(memory, i / 64 % HOT), &stamp);
		}
		icp_memory_put(memory, key_of(memory, i), &stamp, &item);
	}
	for (unsigned i = 0; i < HOT; i++) {
		kept += icp_memory_find(memory, key_of(memory, i), &stamp) != NULL;
	}
	assert_true(kept > HOT * 9 / 10);
	icp_memory_destroy(memory);
}

/*! What rests on something else, also on what was there before the last change, is gone. */
static void a_stamp_that_comes_back_is_another(void **state)
{
	icp_memory_t *memory = icp_memory_create();
	const icp_stamp_t old = {.generation = 1, .commit = 1, .version = 1};
	const icp_stamp_t new = {.generation = 1, .commit = 2, .version = 1};
	const icp_stamp_t no_store = {.version = 1};
	const icp_memory_item_t item = {.ruling = 7};
	(void)state;
	assert_non_null(memory);
	icp_memory_key_t key = key_of(memory, 1);
	icp_memory_put(memory, key, &old, &item);
	assert_non_null(icp_memory_find(memory, key, &old));
	assert_null(icp_memory_find(memory, key, &no_store));
	assert_null(icp_memory_find(memory, key, &new));
	assert_null(icp_memory_find(memory, key, &old));
	icp_memory_put(memory, key, &no_store, &item);
	assert_null(icp_memory_find(memory, key, &old));
	assert_non_null(icp_memory_find(memory, key, &no_store));
	icp_memory_destroy(memory);
}

/*! Two memories have keys of their own, so none can be made beforehand. */
static void keys_are_by_lot(void **state)
{
	icp_memory_t *one = icp_memory_create();
	icp_memory_t *other = icp_memory_create();
	(void)state;
	assert_non_null(one);
	assert_non_null(other);
	assert_true(key_of(one, 1).tag != key_of(other, 1).tag);
	assert_true(key_of(one, 1).tag == key_of(one, 1).tag);
	icp_memory_destroy(one);
	icp_memory_destroy(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(what_was_judged_is_remembered),
		IN_SITE(every_address_keeps_its_ruling),
		IN_SITE(more_addresses_are_judged_each_time),
		IN_SITE(long_names_are_judged_each_time),
		IN_SITE(all_is_replaced_within_a_second),
		IN_SITE(a_new_generation_ends_it),
		IN_SITE(another_range_database_ends_it),
		IN_SITE(time_ends_it),
		IN_SITE(a_deadline_ends_it),
		IN_SITE(what_could_not_be_read_is_not_remembered),
		cmocka_unit_test(many_names_have_room),
		cmocka_unit_test(what_is_asked_for_again_stays),
		cmocka_unit_test(a_stamp_that_comes_back_is_another),
		cmocka_unit_test(keys_are_by_lot),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

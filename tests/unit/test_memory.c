/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What becomes of the memory when its ages are used up. To count that far would take hours, so the
 * number is set here; what else the memory does is seen through the gate, in test_gate_memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "core/error.h"
#include "core/memory_private.h"

static const icp_stamp_t no_store = {.version = 1};

static icp_stamp_t stamp_of(uint64_t commit)
{
	return (icp_stamp_t){.generation = 7, .commit = commit, .version = 1};
}

static icp_memory_key_t key_of(const icp_memory_t *memory, const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return icp_memory_key(memory, &name, "", 0);
}

static void put(icp_memory_t *memory, const char *name, icp_stamp_t stamp, uint8_t covering)
{
	const icp_memory_item_t item = {.covering = covering};
	icp_memory_put(memory, key_of(memory, name), &stamp, &item);
}

/*! Which judgement is found; 0: none. */
static unsigned find(icp_memory_t *memory, const char *name, icp_stamp_t stamp)
{
	const icp_memory_item_t *item = icp_memory_find(memory, key_of(memory, name), &stamp);
	return item != NULL ? item->covering : 0;
}

static icp_memory_t *create_memory(void)
{
	icp_memory_t *memory = icp_memory_create();
	assert_non_null(memory);
	return memory;
}

/*! The first age comes again; a judgement that has it from the first time is not taken for new. */
static void nothing_of_the_first_round_comes_back(void **state)
{
	(void)state;
	icp_memory_t *memory = create_memory();
	put(memory, "old.example", stamp_of(1), 1);
	assert_int_equal(find(memory, "old.example", stamp_of(1)), 1);
	memory->last_age = UINT32_MAX;
	assert_int_equal(find(memory, "old.example", stamp_of(2)), 0);
	icp_memory_destroy(memory);
}

/*! What was the age of one kind of judgements before is not given to the other while it has it. */
static void kinds_do_not_come_to_share_an_age(void **state)
{
	(void)state;
	icp_memory_t *memory = create_memory();
	put(memory, "first.example", stamp_of(1), 1);
	put(memory, "abroad.example", no_store, 2);
	memory->last_age = UINT32_MAX;
	assert_int_equal(find(memory, "first.example", stamp_of(2)), 0);
	assert_int_equal(find(memory, "abroad.example", no_store), 0);
	put(memory, "abroad.example", no_store, 3);
	for (uint64_t commit = 3; commit < 6; commit++) {
		assert_int_equal(find(memory, "abroad.example", stamp_of(commit)), 0);
	}
	assert_int_equal(find(memory, "abroad.example", no_store), 3);
	icp_memory_destroy(memory);
}

/*! What is put when the round ends is found: no age is 0, which stands for a free slot. */
static void the_next_round_begins_at_once(void **state)
{
	(void)state;
	icp_memory_t *memory = create_memory();
	memory->last_age = UINT32_MAX - 1;
	put(memory, "last.example", stamp_of(1), 1);
	put(memory, "next.example", stamp_of(2), 2);
	assert_int_equal(find(memory, "next.example", stamp_of(2)), 2);
	assert_int_equal(find(memory, "last.example", stamp_of(2)), 0);
	assert_int_equal(find(memory, "last.example", stamp_of(1)), 0);
	icp_memory_destroy(memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_of_the_first_round_comes_back),
		cmocka_unit_test(kinds_do_not_come_to_share_an_age),
		cmocka_unit_test(the_next_round_begins_at_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

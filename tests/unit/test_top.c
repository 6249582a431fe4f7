/* SPDX-License-Identifier: BSD-3-Clause */
/*! The sketch: places, turns, merging, damage. */
#include "tests/unit/top_help.h"

static void assert_entry(
	const icp_top_list_t *list, const char *text, uint64_t count, uint64_t error)
{
	icp_name_t name = name_of(text);
	const icp_top_entry_t *entry = find(list, &name);
	assert_non_null(entry);
	assert_int_equal(entry->count, count);
	assert_int_equal(entry->error, error);
}

static void few_names_are_counted_exactly(void **state)
{
	(void)state;
	icp_top_t *top = make_sketch();
	icp_top_list_t list;
	for (size_t i = 0; i < 5; i++) {
		add_text(top, TURN, "example.com");
		add_text(top, TURN, "a.example.com");
	}
	add_text(top, TURN, "example.com");
	assert_int_equal(merge(&list, &top, 1, TURN), ICP_EOK);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.bound, 0);
	assert_entry(&list, "example.com", 6, 0);
	assert_entry(&list, "a.example.com", 5, 0);
	assert_int_equal(list.items[0].count, 6);
	icp_top_deinit(&list);
	free(top);
}

/*! A name that only one of two sketches lists; the other may have counted it unlisted. */
static void a_sketch_that_does_not_list_a_name_adds_to_its_error(void **state)
{
	(void)state;
	icp_top_t *tops[] = {make_sketch(), make_sketch()};
	icp_top_list_t list;
	icp_name_t name = name_of("example.com");
	for (size_t i = 0; i < 10; i++) {
		add_name(tops[0], TURN, &name);
	}
	size_t others = 0;
	for (size_t i = 0; others < ICP_TOP_WAYS; i++) {
		char text[64];
		snprintf(text, sizeof text, "other-%zu.example", i);
		icp_name_t other = name_of(text);
		if (set_of(&other) == set_of(&name)) {
			others++;
			for (size_t times = 0; times < 3; times++) {
				add_name(tops[1], TURN, &other);
			}
		}
	}
	assert_int_equal(merge(&list, tops, 2, TURN), ICP_EOK);
	assert_entry(&list, "example.com", 13, 3);
	assert_int_equal(list.bound, 3);
	assert_int_equal(list.count, 1 + ICP_TOP_WAYS);
	/* Those, on the other hand, can't be unlisted in the first one, which has free places. */
	assert_int_equal(list.items[1].count, 3);
	assert_int_equal(list.items[1].error, 0);
	icp_top_deinit(&list);
	free(tops[0]);
	free(tops[1]);
}

static void a_new_turn_begins_anew(void **state)
{
	(void)state;
	icp_top_t *tops[] = {make_sketch(), make_sketch()};
	icp_top_list_t list;
	for (size_t i = 0; i < 1000; i++) {
		char text[64];
		snprintf(text, sizeof text, "old-%zu.example", i);
		add_text(tops[i % 2], TURN, text);
	}
	/* Only the first sketch has come to the next turn. */
	add_text(tops[0], TURN + 2, "new.example");
	add_text(tops[0], TURN + 2, "new.example");
	assert_int_equal(merge(&list, tops, 2, TURN + 2), ICP_EOK);
	assert_int_equal(list.count, 1);
	assert_int_equal(list.bound, 0);
	assert_entry(&list, "new.example", 2, 0);
	icp_top_deinit(&list);

	add_text(tops[0], TURN + 4, "new.example");
	assert_int_equal(merge(&list, tops, 2, TURN + 4), ICP_EOK);
	assert_entry(&list, "new.example", 1, 0);
	icp_top_deinit(&list);
	free(tops[0]);
	free(tops[1]);
}

static void names_of_any_length(void **state)
{
	(void)state;
	icp_top_t *top = make_sketch();
	icp_top_list_t list;
	icp_name_t name = {.length = 0};
	add_name(top, TURN, &name);
	while (name.labels < ICP_NAME_LABELS_MAX) {
		name.wire[name.length++] = 1;
		name.wire[name.length++] = 0xff - name.labels;
		name.labels++;
		add_name(top, TURN, &name);
		add_name(top, TURN, &name);
	}
	assert_int_equal(name.length, ICP_NAME_MAX);
	assert_int_equal(merge(&list, &top, 1, TURN), ICP_EOK);
	assert_int_equal(list.bound, 0);
	assert_int_equal(list.count, 1 + ICP_NAME_LABELS_MAX);
	const icp_top_entry_t *last = find(&list, &name);
	assert_non_null(last);
	assert_int_equal(last->count, 2);
	assert_int_equal(list.items[ICP_NAME_LABELS_MAX].domain.length, 0);
	icp_top_deinit(&list);
	free(top);
}

/*! Names can be made whose hash is the same; here the sketch is. */
static void equal_hashes_are_different_names(void **state)
{
	(void)state;
	icp_top_t *top = make_sketch();
	icp_name_t name = name_of("example.com");
	icp_top_set_t *set = &top->sets[set_of(&name)];
	add_name(top, TURN, &name);
	uint64_t first = atomic_load(&set->name[0][0]);
	atomic_store(&set->name[0][0], first ^ (UINT64_C(1) << 32));
	add_name(top, TURN, &name);
	assert_int_equal(atomic_load(&set->hash[0]), atomic_load(&set->hash[1]));
	assert_int_equal(atomic_load(&set->count[0]), 1);
	assert_int_equal(atomic_load(&set->count[1]), 1);
	add_name(top, TURN, &name);
	assert_int_equal(atomic_load(&set->count[0]), 1);
	assert_int_equal(atomic_load(&set->count[1]), 2);
	free(top);
}

typedef void (*damage_t)(icp_top_set_t *set);

static void error_of_all(icp_top_set_t *set)
{
	atomic_store(&set->error[0], atomic_load(&set->count[0]));
}

static void count_beyond_all(icp_top_set_t *set)
{
	atomic_store(&set->count[0], ICP_TOP_COUNT_MAX + 1);
}

static void other_hash(icp_top_set_t *set)
{
	atomic_fetch_xor(&set->hash[0], 1);
}

static void other_octet(icp_top_set_t *set)
{
	atomic_fetch_xor(&set->name[0][0], UINT64_C(1) << 32);
}

static void no_name(icp_top_set_t *set)
{
	atomic_fetch_or(&set->name[0][0], 0xff);
}

static void label_too_long(icp_top_set_t *set)
{
	atomic_fetch_or(&set->name[0][0], 0xff00);
}

static void damage_is_found(void **state)
{
	static const damage_t damages[] = {
		error_of_all, count_beyond_all, other_hash, other_octet, no_name, label_too_long};
	(void)state;
	for (size_t i = 0; i < COUNT(damages); i++) {
		icp_top_t *top = make_sketch();
		icp_top_list_t list;
		icp_name_t name = name_of("example.com");
		add_name(top, TURN, &name);
		damages[i](&top->sets[set_of(&name)]);
		assert_int_equal(merge(&list, &top, 1, TURN), ICP_EDAMAGED);
		icp_top_deinit(&list);
		/* Nobody looks at what is of another turn. */
		assert_int_equal(merge(&list, &top, 1, TURN + 2), ICP_EOK);
		icp_top_deinit(&list);
		free(top);
	}
}

static void a_name_in_the_wrong_set_is_found(void **state)
{
	(void)state;
	icp_top_t *top = make_sketch();
	icp_top_list_t list = {.items = NULL};
	icp_name_t name = name_of("example.com");
	add_name(top, TURN, &name);
	size_t set = set_of(&name);
	assert_int_equal(icp_top_merge(&list, &top->sets[set], 1, set ^ 1, TURN), ICP_EDAMAGED);
	assert_int_equal(icp_top_merge(&list, &top->sets[set], 1, set, TURN), ICP_EOK);
	assert_int_equal(list.count, 1);
	icp_top_deinit(&list);
	free(top);
}

/*! A set that is changed by and by, seen through reads of the file. */
typedef struct {
	uint64_t sequences[8]; /*!< What the reads of the sequence give, then the last for ever. */
	size_t sequence_count;
	size_t reads;
	int ret;
} changing_t;

static int fetch_changing(void *context, off_t at, void *out, size_t length)
{
	changing_t *changing = context;
	(void)at;
	if (length == sizeof(uint64_t)) {
		size_t last = changing->sequence_count - 1;
		size_t number = changing->reads < last ? changing->reads : last;
		memcpy(out, &changing->sequences[number], length);
		changing->reads++;
	} else {
		memset(out, 0, length);
	}
	return changing->ret;
}

static int copy(changing_t *changing, unsigned *patience)
{
	static icp_top_set_t set;
	return icp_top_copy(&set, fetch_changing, changing, 0, patience);
}

static void a_copy_is_of_one_moment(void **state)
{
	(void)state;
	unsigned patience = 0;
	changing_t still = {.sequences = {4}, .sequence_count = 1};
	assert_int_equal(copy(&still, &patience), ICP_EOK);
	assert_int_equal(still.reads, 2);
	changing_t once = {.sequences = {4, 6, 6, 6}, .sequence_count = 4};
	assert_int_equal(copy(&once, &patience), ICP_EOK);
	assert_int_equal(once.reads, 4);
	changing_t begun = {.sequences = {5, 5, 5, 6, 6}, .sequence_count = 5};
	assert_int_equal(copy(&begun, &patience), ICP_EOK);
	assert_int_equal(begun.reads, 6);
	changing_t unreadable = {.sequences = {4}, .sequence_count = 1, .ret = ICP_ESYS};
	assert_int_equal(copy(&unreadable, &patience), ICP_ESYS);
}

static void patience_ends(void **state)
{
	(void)state;
	unsigned patience = 0;
	changing_t torn = {.sequences = {5}, .sequence_count = 1};
	assert_int_equal(copy(&torn, &patience), ICP_EBUSY);
	size_t reads = torn.reads;
	patience = 3;
	torn.reads = 0;
	assert_int_equal(copy(&torn, &patience), ICP_EBUSY);
	assert_int_equal(patience, 0);
	assert_true(torn.reads > reads);
}

static void the_sequence_tells_of_changes(void **state)
{
	(void)state;
	icp_top_t *top = make_sketch();
	icp_name_t name = name_of("example.com");
	icp_top_set_t *set = &top->sets[set_of(&name)];
	add_name(top, TURN, &name);
	uint64_t first = atomic_load(&set->sequence);
	assert_true(first > 0 && first % 2 == 0);
	/* A count alone is one word. */
	add_name(top, TURN, &name);
	assert_int_equal(atomic_load(&set->sequence), first);
	add_name(top, TURN + 2, &name);
	uint64_t second = atomic_load(&set->sequence);
	assert_true(second > first && second % 2 == 0);
	free(top);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(few_names_are_counted_exactly),
		cmocka_unit_test(a_sketch_that_does_not_list_a_name_adds_to_its_error),
		cmocka_unit_test(a_new_turn_begins_anew),
		cmocka_unit_test(names_of_any_length),
		cmocka_unit_test(equal_hashes_are_different_names),
		cmocka_unit_test(damage_is_found),
		cmocka_unit_test(a_name_in_the_wrong_set_is_found),
		cmocka_unit_test(a_copy_is_of_one_moment),
		cmocka_unit_test(patience_ends),
		cmocka_unit_test(the_sequence_tells_of_changes),
	};
	return cmocka_run_group_tests_name("top", tests, NULL, NULL);
}

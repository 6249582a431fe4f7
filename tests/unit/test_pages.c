/* SPDX-License-Identifier: BSD-3-Clause */
/* Environments that LMDB wrote, read by core/pages.h: what LMDB finds in them must be found. */
#include "tests/unit/pages_help.h"

#define MANY 24000
#define STEP 10 /*!< Between the keys; there is room for others. */
#define WEAR 400

/*! Compares an entry with what LMDB's cursor stands on. */
static void assert_same(const icp_entry_t *entry, const MDB_val *key, const MDB_val *data)
{
	assert_int_equal(entry->key_size, key->mv_size);
	assert_memory_equal(entry->key, key->mv_data, key->mv_size);
	assert_int_equal(entry->data_size, data->mv_size);
	assert_memory_equal(entry->data, data->mv_data, data->mv_size);
}

static void same_walk(const image_t *image, const icp_tree_t *tree, MDB_txn *txn, MDB_dbi dbi)
{
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val data;
	icp_pages_walk_t walk;
	icp_entry_t entry;
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	icp_pages_walk(&walk, &image->pages, tree);
	while (mdb_cursor_get(cursor, &key, &data, MDB_NEXT) == 0) {
		assert_int_equal(icp_pages_walk_next(&walk, &entry), 1);
		assert_same(&entry, &key, &data);
	}
	assert_int_equal(icp_pages_walk_next(&walk, &entry), 0);
	assert_int_equal(icp_pages_walk_next(&walk, &entry), 0);
	mdb_cursor_close(cursor);
}

static void same_find(
	const image_t *image, const icp_tree_t *tree, MDB_cursor *cursor, uint64_t number)
{
	MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
	MDB_val data;
	icp_entry_t entry;
	int rc = mdb_cursor_get(cursor, &key, &data, MDB_SET_RANGE);
	assert_int_equal(icp_pages_find(&image->pages, tree, number, &entry), rc == 0);
	if (rc == 0) {
		assert_same(&entry, &key, &data);
	}
}

/*! Keys at both ends, at random, and on, before and behind every one that is there. */
static void same_finds(
	const image_t *image, const icp_tree_t *tree, MDB_txn *txn, MDB_dbi dbi, uint64_t *state)
{
	MDB_cursor *cursor;
	icp_pages_walk_t walk;
	icp_entry_t entry;
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	static const uint64_t ends[] = {0, 1, UINT64_MAX - 1, UINT64_MAX, UINT64_C(1) << 63};
	for (size_t i = 0; i < COUNT(ends); i++) {
		same_find(image, tree, cursor, ends[i]);
	}
	for (unsigned i = 0; i < 2000; i++) {
		same_find(image, tree, cursor, draw(state) >> draw(state) % 64);
	}
	icp_pages_walk(&walk, &image->pages, tree);
	while (icp_pages_walk_next(&walk, &entry) == 1) {
		uint64_t number = icp_entry_number(&entry);
		same_find(image, tree, cursor, number - 1);
		same_find(image, tree, cursor, number);
		same_find(image, tree, cursor, number + 1);
	}
	mdb_cursor_close(cursor);
}

/*! Compares all trees, those of LMDB's own too. */
static void same_all(world_t *world, unsigned depth)
{
	static const struct {
		const char *name;
		unsigned flags;
	} names[] = {{"meta", 0}, {"buckets", MDB_INTEGERKEY}, {"deltas", MDB_INTEGERKEY}};
	MDB_txn *txn;
	image_t image = take_image(world);
	assert_int_equal(icp_pages_check(&image.pages, true), ICP_EOK);
	assert_int_equal(icp_pages_check(&image.pages, false), ICP_EOK);
	assert_int_equal(mdb_txn_begin(world->env, NULL, MDB_RDONLY, &txn), 0);
	assert_int_equal(mdb_txn_id(txn), image.pages.txn);
	same_walk(&image, &image.pages.free, txn, 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		MDB_dbi dbi;
		icp_tree_t tree = named_tree(&image, names[i].name);
		assert_int_equal(mdb_dbi_open(txn, names[i].name, names[i].flags, &dbi), 0);
		same_walk(&image, &tree, txn, dbi);
		if (tree.integer_keys) {
			same_finds(&image, &tree, txn, dbi, &world->state);
		}
	}
	icp_tree_t none;
	assert_int_equal(icp_pages_tree(&image.pages, "bucket", &none), 0);
	assert_int_equal(icp_pages_tree(&image.pages, "buckets2", &none), 0);
	assert_true(named_tree(&image, "buckets").depth >= depth);
	mdb_txn_abort(txn);
	drop_image(&image);
}

/*! Makes the three databases, with so many entries of sizes below a limit. */
static void fill(world_t *world, unsigned count, size_t least, size_t most)
{
	begin(world);
	MDB_dbi meta = database(world, "meta", 0);
	MDB_dbi buckets = database(world, "buckets", MDB_INTEGERKEY);
	(void)database(world, "deltas", MDB_INTEGERKEY);
	put_text(world, meta, "generation", "1");
	put_text(world, meta, "format", "2");
	for (unsigned i = 0; i < count; i++) {
		put(world, buckets, (uint64_t)i * STEP + STEP,
			least + draw(&world->state) % (most - least + 1));
	}
	commit(world);
}

static void nothing_is_found_in_an_empty_environment(void **state)
{
	(void)state;
	world_t world;
	icp_tree_t tree;
	open_world(&world);
	image_t image = take_image(&world);
	assert_int_equal(icp_pages_check(&image.pages, true), ICP_EOK);
	assert_int_equal(icp_pages_tree(&image.pages, "meta", &tree), 0);
	drop_image(&image);
	fill(&world, 0, 1, 1);
	same_all(&world, 0);
	close_world(&world);
}

static void few_entries_are_found(void **state)
{
	(void)state;
	for (unsigned count = 1; count < 9; count++) {
		world_t world;
		open_world(&world);
		fill(&world, count, 1, 3000);
		same_all(&world, 1);
		close_world(&world);
	}
}

static void many_entries_on_leaves_are_found(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, MANY, 200, 500);
	same_all(&world, 3);
	close_world(&world);
}

/* As the buckets of a generation. */
static void many_entries_of_a_page_each_are_found(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, MANY / 2, 4000, 4080);
	same_all(&world, 2);
	close_world(&world);
}

static void entries_of_several_pages_are_found(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, 1000, 1, VALUE_MAX);
	same_all(&world, 2);
	close_world(&world);
}

/* The largest key is the last bucket's: nothing is beyond it. */
static void the_largest_key_is_found(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, 500, 200, 500);
	begin(&world);
	MDB_dbi buckets = database(&world, "buckets", MDB_INTEGERKEY);
	put(&world, buckets, UINT64_MAX, 4000);
	put(&world, buckets, 0, 4000);
	commit(&world);
	same_all(&world, 2);
	close_world(&world);
}

/* Its list of free pages is longer than a page. */
static void a_database_that_was_emptied_leaves_free_pages(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, 3000, 4000, 9000);
	begin(&world);
	assert_int_equal(mdb_drop(world.txn, database(&world, "buckets", MDB_INTEGERKEY), 0), 0);
	commit(&world);
	same_all(&world, 0);
	image_t image = take_image(&world);
	assert_true(image.pages.free.overflow_pages > 1);
	drop_image(&image);
	begin(&world);
	MDB_dbi buckets = database(&world, "buckets", MDB_INTEGERKEY);
	for (unsigned i = 0; i < 100; i++) {
		put(&world, buckets, draw(&world.state), 300);
	}
	commit(&world);
	same_all(&world, 2);
	close_world(&world);
}

/*! One commit of the kind that deltas make. */
static void wear(world_t *world, unsigned round)
{
	begin(world);
	MDB_dbi meta = database(world, "meta", 0);
	MDB_dbi buckets = database(world, "buckets", MDB_INTEGERKEY);
	MDB_dbi deltas = database(world, "deltas", MDB_INTEGERKEY);
	char text[32];
	snprintf(text, sizeof text, "%u", round);
	assert_int_equal(mdb_drop(world->txn, meta, 0), 0);
	put_text(world, meta, "sequence", text);
	put(world, deltas, round, 1 + draw(&world->state) % 6000);
	if (round % 50 == 49) {
		assert_int_equal(mdb_drop(world->txn, deltas, 0), 0);
	}
	/* By turns it grows and shrinks. */
	unsigned changes = (unsigned)(draw(&world->state) % 40);
	for (unsigned i = 0; i < changes; i++) {
		uint64_t number = draw(&world->state) % 500;
		if (draw(&world->state) % 100 < (round / 100 % 2 == 0 ? 70 : 20)) {
			put(world, buckets, number, 1 + draw(&world->state) % 5000);
		} else {
			delete (world, buckets, number);
		}
	}
	commit(world);
}

/* Every page is in use once or free, also while a reader keeps LMDB from using pages anew. */
static void wear_leaves_every_page_in_one_place(void **state)
{
	(void)state;
	world_t world;
	MDB_txn *reader = NULL;
	open_world(&world);
	fill(&world, 10, 1, 5000);
	for (unsigned round = 0; round < WEAR; round++) {
		wear(&world, round);
		if (round % 20 == 10) {
			assert_int_equal(mdb_txn_begin(world.env, NULL, MDB_RDONLY, &reader), 0);
		} else if (round % 20 == 18) {
			mdb_txn_abort(reader);
		}
		image_t image = take_image(&world);
		assert_int_equal(icp_pages_check(&image.pages, true), ICP_EOK);
		drop_image(&image);
		if (round % 40 == 0) {
			same_all(&world, 0);
		}
	}
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_found_in_an_empty_environment),
		cmocka_unit_test(few_entries_are_found),
		cmocka_unit_test(many_entries_on_leaves_are_found),
		cmocka_unit_test(many_entries_of_a_page_each_are_found),
		cmocka_unit_test(entries_of_several_pages_are_found),
		cmocka_unit_test(the_largest_key_is_found),
		cmocka_unit_test(a_database_that_was_emptied_leaves_free_pages),
		cmocka_unit_test(wear_leaves_every_page_in_one_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

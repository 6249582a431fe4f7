/* SPDX-License-Identifier: BSD-3-Clause */
/* What a directory says is what the tree says, and it is there when it pays. */
#include "tests/unit/pages_help.h"

#include "core/directory.h"

#define PAGE_DATA 4000 /*!< Octets: more than a leaf takes in. */

/*! Keys as buckets have them, the last one at the end; some have data in the leaf. */
static void fill(world_t *world, unsigned count, bool small_too)
{
	begin(world);
	MDB_dbi buckets = database(world, "buckets", MDB_INTEGERKEY);
	for (unsigned i = 1; i < count; i++) {
		bool small = small_too && i % 5 == 0;
		put(world, buckets, draw(&world->state),
			small ? 1 + draw(&world->state) % 500
			      : PAGE_DATA + draw(&world->state) % 9000);
	}
	put(world, buckets, UINT64_MAX, PAGE_DATA);
	commit(world);
}

/*! True when the directory could say it. */
static bool same_find(const image_t *image, const icp_tree_t *tree,
	const icp_directory_t *directory, uint64_t key)
{
	icp_entry_t entry;
	icp_entry_t data;
	icp_extent_t extent;
	assert_int_equal(icp_pages_find(&image->pages, tree, key, &entry), 1);
	icp_extent_t again;
	size_t near;
	if (!icp_directory_find(directory, key, &extent)) {
		assert_false(icp_directory_guess(directory, key, &again, &near));
		return false;
	}
	assert_int_equal(extent.page, entry.overflow);
	assert_int_equal(extent.size, entry.data_size);
	assert_true(icp_directory_guess(directory, key, &again, &near));
	assert_memory_equal(&again, &extent, sizeof extent);
	assert_in_range(near, 0, extent.size - 1);
	assert_int_equal(icp_pages_data(&image->pages, extent.page, extent.size, &data), ICP_EOK);
	assert_ptr_equal(data.data, entry.data);
	assert_int_equal(data.data_size, entry.data_size);
	assert_int_equal(data.overflow_count, entry.overflow_count);
	return true;
}

static void same_finds(unsigned count)
{
	world_t world;
	open_world(&world);
	fill(&world, count, count % 2 == 0);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	icp_directory_t *directory = icp_directory_make(&image.pages, &tree);
	assert_non_null(directory);
	assert_int_equal(icp_directory_txn(directory), image.pages.txn);
	unsigned found = 0;
	for (unsigned i = 0; i < 3000; i++) {
		found += same_find(&image, &tree, directory, draw(&world.state));
	}
	/* But for those with data in the leaf, and what is too near to a key. */
	assert_true(found >= (count % 2 == 0 ? 2000 : 2990));
	static const uint64_t ends[] = {0, 1, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
	for (size_t i = 0; i < COUNT(ends); i++) {
		(void)same_find(&image, &tree, directory, ends[i]);
	}
	icp_pages_walk_t walk;
	icp_entry_t entry;
	icp_pages_walk(&walk, &image.pages, &tree);
	while (icp_pages_walk_next(&walk, &entry) == 1) {
		uint64_t key = icp_entry_number(&entry);
		for (uint64_t off = 1; off != 0; off <<= 1) {
			(void)same_find(&image, &tree, directory, key - off);
			(void)same_find(&image, &tree, directory, key + off);
		}
		assert_false(same_find(&image, &tree, directory, key));
	}
	icp_directory_unref(directory);
	drop_image(&image);
	close_world(&world);
}

static void what_it_says_the_tree_says(void **state)
{
	(void)state;
	for (unsigned count = 1; count <= 40; count++) {
		same_finds(count);
	}
	same_finds(1000);
	same_finds(4001);
}

/*! Keys of the entries around a number. */
static void neighbours(
	const uint64_t *keys, size_t count, uint64_t key, uint64_t *low, uint64_t *high)
{
	*low = 0;
	for (size_t i = 0; i < count && keys[i] < key; i++) {
		*low = keys[i];
		*high = keys[i + 1];
	}
	if (*low == 0) {
		*high = keys[0];
	}
}

static void a_key_is_near_where_it_would_be(void **state)
{
	(void)state;
	enum { ENTRIES = 2000, FINDS = 3000 };
	static uint64_t keys[ENTRIES];
	world_t world;
	open_world(&world);
	fill(&world, ENTRIES, false);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	icp_directory_t *directory = icp_directory_make(&image.pages, &tree);
	assert_non_null(directory);
	icp_pages_walk_t walk;
	icp_entry_t entry;
	icp_pages_walk(&walk, &image.pages, &tree);
	for (size_t i = 0; i < ENTRIES; i++) {
		assert_int_equal(icp_pages_walk_next(&walk, &entry), 1);
		keys[i] = icp_entry_number(&entry);
	}
	unsigned met = 0;
	for (unsigned i = 0; i < FINDS; i++) {
		uint64_t key = draw(&world.state);
		uint64_t low;
		uint64_t high;
		icp_extent_t extent;
		size_t near;
		neighbours(keys, ENTRIES, key, &low, &high);
		if (icp_directory_guess(directory, key, &extent, &near)) {
			double part = (double)(key - low) / (double)(high - low);
			double off = part * (double)extent.size - (double)near;
			met += off > -2 && off < 2;
		}
	}
	/* But for those between which no key has the high bits. */
	assert_true(met > FINDS - FINDS / 50);
	icp_directory_unref(directory);
	drop_image(&image);
	close_world(&world);
}

/*! Of keys that differ below what it holds of them only the tree can tell which is the first. */
static void near_keys_are_left_to_the_tree(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	begin(&world);
	MDB_dbi buckets = database(&world, "buckets", MDB_INTEGERKEY);
	static const uint64_t near = UINT64_C(0x123456789) << 28;
	put(&world, buckets, near + 10, PAGE_DATA);
	put(&world, buckets, near + 20, PAGE_DATA);
	put(&world, buckets, near + 30, PAGE_DATA);
	put(&world, buckets, UINT64_MAX, PAGE_DATA);
	commit(&world);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	icp_directory_t *directory = icp_directory_make(&image.pages, &tree);
	assert_non_null(directory);
	for (uint64_t key = near; key < near + 40; key++) {
		assert_false(same_find(&image, &tree, directory, key));
	}
	assert_true(same_find(&image, &tree, directory, near << 1));
	assert_true(same_find(&image, &tree, directory, near >> 1));
	icp_directory_unref(directory);
	drop_image(&image);
	close_world(&world);
}

static void of_other_trees_there_is_none(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, 300, true);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	tree.entries--;
	assert_null(icp_directory_make(&image.pages, &tree));
	tree.entries += 2;
	assert_null(icp_directory_make(&image.pages, &tree));
	tree.entries = 0;
	assert_null(icp_directory_make(&image.pages, &tree));
	tree.entries = UINT64_MAX;
	assert_null(icp_directory_make(&image.pages, &tree));
	tree = named_tree(&image, "buckets");
	image.pages.count = (UINT64_C(1) << 28) + 1;
	assert_null(icp_directory_make(&image.pages, &tree));
	drop_image(&image);

	begin(&world);
	delete (&world, database(&world, "buckets", MDB_INTEGERKEY), UINT64_MAX);
	commit(&world);
	image = take_image(&world);
	tree = named_tree(&image, "buckets");
	assert_null(icp_directory_make(&image.pages, &tree));
	drop_image(&image);
	close_world(&world);
}

/*! Of keys that are no hashes, and of one whose key has another size. */
static void of_other_keys_there_is_none(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	begin(&world);
	MDB_dbi buckets = database(&world, "buckets", MDB_INTEGERKEY);
	for (uint64_t i = 1; i < 300; i++) {
		put(&world, buckets, i << 40, PAGE_DATA);
	}
	put(&world, buckets, UINT64_MAX, PAGE_DATA);
	commit(&world);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	assert_null(icp_directory_make(&image.pages, &tree));
	drop_image(&image);
	close_world(&world);

	open_world(&world);
	fill(&world, 2, false);
	image = take_image(&world);
	tree = named_tree(&image, "buckets");
	icp_directory_t *directory = icp_directory_make(&image.pages, &tree);
	assert_non_null(directory);
	icp_directory_unref(directory);
	uint8_t *page = (uint8_t *)image.pages.map + tree.root * image.pages.page_size;
	uint16_t node;
	memcpy(&node, page + ICP_PAGE_HEADER, sizeof node);
	page[node + ICP_NODE_HEADER - 2] = 6;
	assert_null(icp_directory_make(&image.pages, &tree));
	drop_image(&image);
	close_world(&world);
}

/*! Any octet of the pages of the tree, each in turn. */
static void damage_is_found_or_does_no_harm(void **state)
{
	(void)state;
	world_t world;
	open_world(&world);
	fill(&world, 120, true);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	uint8_t *octets = (uint8_t *)image.pages.map;
	unsigned refused = 0;
	for (size_t octet = 2 * (size_t)image.pages.page_size; octet < image.size; octet += 3) {
		uint8_t before = octets[octet];
		octets[octet] ^= (uint8_t)(1 + draw(&world.state) % 255);
		icp_directory_t *directory = icp_directory_make(&image.pages, &tree);
		refused += directory == NULL;
		for (unsigned i = 0; directory != NULL && i < 20; i++) {
			icp_entry_t data;
			icp_extent_t at;
			if (icp_directory_find(directory, draw(&world.state), &at) &&
				icp_pages_data(&image.pages, at.page, at.size, &data) == ICP_EOK) {
				assert_in_range((uintptr_t)data.data, (uintptr_t)octets,
					(uintptr_t)octets + image.size - at.size);
			}
		}
		icp_directory_unref(directory);
		octets[octet] = before;
	}
	assert_true(refused > 100);
	drop_image(&image);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_it_says_the_tree_says),
		cmocka_unit_test(a_key_is_near_where_it_would_be),
		cmocka_unit_test(near_keys_are_left_to_the_tree),
		cmocka_unit_test(of_other_trees_there_is_none),
		cmocka_unit_test(of_other_keys_there_is_none),
		cmocka_unit_test(damage_is_found_or_does_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

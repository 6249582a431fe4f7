/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Environments that were damaged on purpose, in ways that single octets do not come to. Reading
 * ends, nothing is read outside of the file (a sanitizer tells), and the check finds it.
 */
#include "tests/unit/pages_help.h"

static uint8_t *page_of(const image_t *image, uint64_t number)
{
	return image->octets + number * image->pages.page_size;
}

/*! Where a node of a page begins. */
static uint8_t *node_of(uint8_t *page, unsigned position)
{
	uint16_t offset;
	memcpy(&offset, page + 16 + 2 * (size_t)position, sizeof offset);
	return page + offset;
}

/*! Lets a branch lead elsewhere. Gives where it led before. */
static uint64_t lead_to(uint8_t *page, unsigned position, uint64_t number)
{
	uint8_t *node = node_of(page, position);
	uint64_t before = 0;
	memcpy(&before, node, 6);
	memcpy(node, &number, 6);
	return before;
}

static void assert_damaged(const image_t *image, const icp_tree_t *tree)
{
	static const uint64_t keys[] = {0, 15, 1000, UINT64_MAX};
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	for (size_t i = 0; i < COUNT(keys); i++) {
		(void)icp_pages_find(&image->pages, tree, keys[i], &entry);
	}
	icp_pages_walk(&walk, &image->pages, tree);
	do {
		ret = icp_pages_walk_next(&walk, &entry);
	} while (ret == 1);
	assert_int_equal(icp_pages_check(&image->pages, true), ICP_EDAMAGED);
}

static void branches_that_lead_astray(void **state)
{
	(void)state;
	world_t world;
	make(&world, 2500, 1000);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	uint8_t *root = page_of(&image, tree.root);
	assert_int_equal(tree.depth, 3);

	print_message("  to itself\n");
	uint64_t first = lead_to(root, 0, tree.root);
	assert_damaged(&image, &tree);
	lead_to(root, 0, first);

	print_message("  to an ancestor\n");
	uint8_t *below = page_of(&image, first);
	uint64_t leaf = lead_to(below, 1, tree.root);
	assert_damaged(&image, &tree);

	print_message("  to a page that is used\n");
	lead_to(below, 1, lead_to(below, 0, leaf));
	assert_damaged(&image, &tree);
	uint64_t other = lead_to(below, 0, leaf);
	assert_int_equal(other, leaf);

	print_message("  to two pages in the wrong order\n");
	drop_image(&image);
	image = take_image(&world);
	root = page_of(&image, tree.root);
	first = lead_to(root, 0, 0);
	lead_to(root, 0, lead_to(root, 1, first));
	assert_damaged(&image, &tree);

	print_message("  to a page behind the last\n");
	drop_image(&image);
	image = take_image(&world);
	lead_to(page_of(&image, tree.root), 1, image.pages.last + 1);
	assert_damaged(&image, &tree);

	print_message("  to a meta page\n");
	lead_to(page_of(&image, tree.root), 1, 1);
	assert_damaged(&image, &tree);
	drop_image(&image);
	close_world(&world);
}

/*! Where the main tree keeps the description of another one. */
static uint8_t *description(const image_t *image, const char *name)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	icp_pages_walk(&walk, &image->pages, &image->pages.main);
	while (icp_pages_walk_next(&walk, &entry) == 1) {
		if (entry.key_size == strlen(name) &&
			memcmp(entry.key, name, entry.key_size) == 0) {
			return image->octets + (entry.data - image->octets);
		}
	}
	fail();
	return NULL;
}

static void descriptions_that_lie(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		size_t size;
		uint64_t value;
	} cases[] = {
		{"no depth", 6, 2, 0},
		{"less depth", 6, 2, 2},
		{"more depth", 6, 2, 4},
		{"most depth", 6, 2, 32},
		{"too much depth", 6, 2, 33},
		{"no branches", 8, 8, 0},
		{"a branch more", 8, 8, UINT64_MAX},
		{"no leaves", 16, 8, 0},
		{"an overflow page", 24, 8, 1},
		{"no entries", 32, 8, 0},
		{"an entry", 32, 8, 1},
		{"all entries", 32, 8, UINT64_MAX},
		{"no root", 40, 8, UINT64_MAX},
		{"root in a meta page", 40, 8, 0},
		{"root behind all pages", 40, 8, UINT64_MAX - 1},
		{"root that overflows", 40, 8, UINT64_MAX / 4096 + 1},
		{"keys of text", 4, 2, 0},
		{"more flags", 4, 2, 12},
	};
	(void)state;
	world_t world;
	make(&world, 2500, 1000);
	image_t image = take_image(&world);
	uint8_t *octets = description(&image, "buckets");
	uint8_t sound[48];
	memcpy(sound, octets, sizeof sound);
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_tree_t tree;
		print_message("  %s\n", cases[i].what);
		memcpy(octets + cases[i].at, &cases[i].value, cases[i].size);
		if (icp_tree_read(&tree, octets, sizeof sound) == ICP_EOK) {
			assert_damaged(&image, &tree);
		}
		assert_int_equal(icp_pages_check(&image.pages, true), ICP_EDAMAGED);
		memcpy(octets, sound, sizeof sound);
	}
	assert_int_equal(icp_pages_check(&image.pages, true), ICP_EOK);
	drop_image(&image);
	close_world(&world);
}

static void put_number(uint8_t *octets, size_t at, uint64_t value, size_t size)
{
	memcpy(octets + at, &value, size);
}

/*
 * Thirty levels of branches, of which every one leads to the next in twenty ways: there are more
 * ways than can be gone.
 */
static void ways_without_end(void **state)
{
	enum { SIZE = 512, LEVELS = 30, WAYS = 20, NODE = 16 };
	static uint8_t octets[(LEVELS + 3) * SIZE];
	(void)state;
	for (unsigned number = 2; number < LEVELS + 3; number++) {
		bool is_leaf = number == LEVELS + 2;
		unsigned nodes = is_leaf ? 1 : WAYS;
		uint8_t *page = octets + (size_t)number * SIZE;
		put_number(page, 0, number, 8);
		put_number(page, 10, is_leaf ? 2 : 1, 2);
		put_number(page, 12, 16 + 2 * nodes, 2);
		put_number(page, 14, SIZE - NODE * nodes, 2);
		for (unsigned i = 0; i < nodes; i++) {
			size_t at = SIZE - (size_t)NODE * (i + 1);
			put_number(page, 16 + 2 * i, at, 2);
			put_number(page, at, is_leaf ? 0 : number + 1, 4);
			put_number(page, at + 6, 8, 2);
			put_number(page, at + 8, i, 8);
		}
	}
	const icp_tree_t tree = {.root = 2,
		.depth = LEVELS + 1,
		.integer_keys = true,
		.branch_pages = LEVELS,
		.leaf_pages = 1,
		.entries = 1};
	const icp_pages_t pages = {.map = octets,
		.count = LEVELS + 3,
		.last = LEVELS + 2,
		.page_size = SIZE,
		.free = {.root = ICP_PAGES_NONE, .integer_keys = true},
		.main = tree};
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	assert_int_equal(icp_pages_find(&pages, &tree, 0, &entry), 1);
	icp_pages_walk(&walk, &pages, &tree);
	do {
		ret = icp_pages_walk_next(&walk, &entry);
	} while (ret == 1);
	assert_int_equal(ret, ICP_EDAMAGED);
	assert_int_equal(icp_pages_check(&pages, true), ICP_EDAMAGED);
}

/* LMDB moves nodes by their sizes: one that says it is larger would push others off the page. */
static void nodes_that_share_octets(void **state)
{
	(void)state;
	world_t world;
	make(&world, 40, 300);
	image_t image = take_image(&world);
	icp_tree_t tree = named_tree(&image, "buckets");
	uint64_t leaf = 0;
	memcpy(&leaf, node_of(page_of(&image, tree.root), 1), 6);
	/* Nodes lie from the page's end down: the second one's octets end where the first one's
	 * begin. */
	uint8_t *node = node_of(page_of(&image, leaf), 1);
	uint16_t size;
	memcpy(&size, node, sizeof size);
	size += 2;
	memcpy(node, &size, sizeof size);
	assert_int_equal(icp_pages_check(&image.pages, true), ICP_EDAMAGED);
	assert_int_equal(icp_pages_check(&image.pages, false), ICP_EDAMAGED);
	drop_image(&image);
	close_world(&world);
}

/* A file has no room for the list of so many free pages: not a number to get memory for. */
static void a_last_page_far_away(void **state)
{
	(void)state;
	world_t world;
	make(&world, 14, 1500);
	image_t image = take_image(&world);
	uint8_t *meta = page_of(&image, image.slot);
	put_number(meta, 32, UINT64_C(1) << 62, 8);
	put_number(meta, 136, (UINT64_C(1) << 49) - 1, 8);
	assert_true(read_meta(&image, image.slot));
	assert_int_equal(icp_pages_check(&image.pages, true), ICP_EDAMAGED);
	assert_int_equal(icp_pages_check(&image.pages, false), ICP_EDAMAGED);
	drop_image(&image);
	close_world(&world);
}

static void lists_of_free_pages_that_lie(void **state)
{
	static const struct {
		const char *what;
		size_t at; /*!< 0: the count. */
		uint64_t value;
	} cases[] = {
		{"fewer", 0, 1},
		{"none", 0, 0},
		{"more than there is room for", 0, UINT64_MAX},
		{"a meta page", 1, 1},
		{"behind the last page", 1, UINT64_MAX},
		{"in use", 1, 0},
		{"ascending", 2, 0},
	};
	(void)state;
	world_t world;
	make(&world, 14, 1500);
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_pages_walk_t walk;
		icp_entry_t entry;
		uint64_t list[3];
		image_t image = take_image(&world);
		print_message("  %s\n", cases[i].what);
		icp_pages_walk(&walk, &image.pages, &image.pages.free);
		assert_int_equal(icp_pages_walk_next(&walk, &entry), 1);
		memcpy(list, entry.data, sizeof list);
		assert_true(list[0] > 1);
		if (cases[i].at == 2) {
			uint64_t first = list[1];
			list[1] = list[2];
			list[2] = first;
		} else {
			list[cases[i].at] = cases[i].value;
		}
		if (strcmp(cases[i].what, "in use") == 0) {
			list[1] = image.pages.main.root;
		}
		memcpy(image.octets + (entry.data - image.octets), list, sizeof list);
		assert_int_equal(icp_pages_check(&image.pages, true), ICP_EDAMAGED);
		drop_image(&image);
	}
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(branches_that_lead_astray),
		cmocka_unit_test(descriptions_that_lie),
		cmocka_unit_test(ways_without_end),
		cmocka_unit_test(nodes_that_share_octets),
		cmocka_unit_test(lists_of_free_pages_that_lie),
		cmocka_unit_test(a_last_page_far_away),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

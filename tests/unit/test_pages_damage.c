/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Environments whose pages are damaged. Whatever an octet is changed to, nothing is read outside of
 * the file (a sanitizer tells), everything ends, and icp_pages_check finds the change, but for:
 *
 *   octets without meaning  the padding in the heads of pages and behind nodes of odd size, what is
 *                           between the places of nodes and the nodes, the first key of a branch,
 *                           room behind the end of a list of free pages, the lower and upper bound
 *                           of a meta page, the flag "no directory"
 *   a key of a branch       that still divides what is on its left from what is on its right
 *   content                 keys of leaves in the same order, data, and their sizes, when they
 * leave the size of the node or the number of its pages: sealed in the databases themselves
 * (info.h, node.h, store.h) of the meta page        the size of the map and the number of the
 * commit: see info.h the kind of keys        of a tree with less than two entries: see store.c
 */
#include "tests/unit/pages_help.h"

#define FNV_BASIS UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME UINT64_C(0x100000001b3)

/*! What a change of an octet may do without being found; that of a head, nothing. */
enum { NOTHING_LIVE, CONTENT, ELSEWHERE, FREE, HEAD };

static uint64_t hash(uint64_t state, const void *octets, size_t length)
{
	const uint8_t *at = octets;
	for (size_t i = 0; i < length; i++) {
		state = (state ^ at[i]) * FNV_PRIME;
	}
	return state;
}

/*! Takes in all that one tree says. */
static int view_tree(const icp_pages_t *pages, const icp_tree_t *tree, uint64_t *state)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	icp_pages_walk(&walk, pages, tree);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		size_t length = entry.data_size;
		if (tree == &pages->free && length >= sizeof(uint64_t)) {
			uint64_t count;
			memcpy(&count, entry.data, sizeof count);
			size_t used = sizeof count * ((size_t)count + 1);
			length = count < length && used < length ? used : length;
		}
		*state = hash(*state, &entry.key_size, sizeof entry.key_size);
		*state = hash(*state, entry.key, entry.key_size);
		*state = hash(*state, &length, sizeof length);
		*state = hash(*state, entry.data, length);
	}
	return ret;
}

/*! All that an environment says, as a number; 0 when it can't be read. */
static uint64_t view(const icp_pages_t *pages)
{
	uint64_t state = FNV_BASIS;
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	if (view_tree(pages, &pages->free, &state) != 0) {
		return 0;
	}
	state = hash(state, &pages->last, sizeof pages->last);
	icp_pages_walk(&walk, pages, &pages->main);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		icp_tree_t tree;
		if (!entry.is_tree ||
			icp_tree_read(&tree, entry.data, entry.data_size) != ICP_EOK) {
			return 0;
		}
		state = hash(state, entry.key, entry.key_size);
		state = hash(state, entry.data, entry.data_size);
		if (view_tree(pages, &tree, &state) != 0) {
			return 0;
		}
	}
	return ret == 0 ? state : 0;
}

/*! Reads in every way; what is found does not matter. */
static void read_all(const icp_pages_t *pages)
{
	static const char *const names[] = {"buckets", "deltas", "meta"};
	static const uint64_t keys[] = {0, 15, 1000, UINT64_MAX};
	for (size_t i = 0; i < COUNT(names); i++) {
		icp_tree_t tree;
		icp_entry_t entry;
		if (icp_pages_tree(pages, names[i], &tree) != 1) {
			continue;
		}
		for (size_t k = 0; k < COUNT(keys); k++) {
			(void)icp_pages_find(pages, &tree, keys[k], &entry);
		}
	}
	(void)view(pages);
	(void)icp_pages_check(pages, false);
}

/*! For each octet of an image, what a change of it may do. */
static uint8_t *kinds;

static void mark(const image_t *image, const uint8_t *from, size_t length, uint8_t kind)
{
	memset(kinds + (from - image->octets), kind, length);
}

/*! The heads of pages, without their padding. */
static void mark_head(const image_t *image, const uint8_t *page)
{
	mark(image, page, 8, HEAD);
	mark(image, page + 10, 6, HEAD);
}

/*! What lies between the places of a page's nodes and the nodes. */
static void mark_room(const image_t *image, const uint8_t *page)
{
	uint16_t bounds[2];
	memcpy(bounds, page + 12, sizeof bounds);
	mark(image, page + bounds[0], bounds[1] - (size_t)bounds[0], FREE);
}

static void mark_tree(const image_t *image, const icp_tree_t *tree)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	bool is_free = tree == &image->pages.free;
	icp_pages_walk(&walk, &image->pages, tree);
	while (icp_pages_walk_next(&walk, &entry) == 1) {
		for (unsigned i = 0; i < walk.level; i++) {
			mark_head(image, walk.path[i]);
			mark_room(image, walk.path[i]);
		}
		if (entry.overflow != 0) {
			mark_head(image, entry.data - 16);
		}
		/* Size of the data, flags, size of the key, key. */
		mark(image, entry.key - 8, 4, CONTENT);
		if (!tree->integer_keys) {
			mark(image, entry.key - 2, 2, CONTENT);
		}
		if (!is_free) {
			mark(image, entry.key, entry.key_size, CONTENT);
			mark(image, entry.data, entry.data_size, CONTENT);
			continue;
		}
		mark(image, entry.key, entry.key_size, ELSEWHERE);
		uint64_t count;
		memcpy(&count, entry.data, sizeof count);
		for (uint64_t i = 1; i <= count; i++) {
			uint64_t page;
			size_t page_size = image->pages.page_size;
			memcpy(&page, entry.data + i * sizeof page, sizeof page);
			if (page < image->size / page_size) {
				mark(image, image->octets + page * page_size, page_size, FREE);
			}
		}
	}
}

static void mark_all(const image_t *image)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	kinds = calloc(image->size, 1);
	assert_non_null(kinds);
	const uint8_t *meta = image->octets + image->slot * (size_t)image->pages.page_size;
	mark(image, meta + 32, 8, ELSEWHERE);
	mark(image, meta + 144, 8, ELSEWHERE);
	mark_tree(image, &image->pages.free);
	icp_pages_walk(&walk, &image->pages, &image->pages.main);
	while (icp_pages_walk_next(&walk, &entry) == 1) {
		icp_tree_t tree;
		assert_int_equal(icp_tree_read(&tree, entry.data, entry.data_size), ICP_EOK);
		mark_tree(image, &tree);
		mark(image, entry.key, entry.key_size, CONTENT);
		mark(image, entry.data + 4, 2, CONTENT);
	}
}

/*! Changes an octet, tries everything, and puts it back. */
static void change(image_t *image, size_t at, uint8_t to, uint64_t whole)
{
	uint8_t was = image->octets[at];
	if (to == was) {
		return;
	}
	image->octets[at] = to;
	if (read_meta(image, image->slot)) {
		read_all(&image->pages);
		if (icp_pages_check(&image->pages, true) == ICP_EOK &&
			(kinds[at] == HEAD ||
				(kinds[at] == NOTHING_LIVE && view(&image->pages) != whole))) {
			fail_msg("page %zu, octet %zu: %02x became %02x", at / 4096, at % 4096, was,
				to);
		}
	}
	image->octets[at] = was;
}

/*! Changes octets of the current meta page and of all pages; each one, or each STEPth or so. */
static void change_all(image_t *image, unsigned step)
{
	uint64_t state = 1;
	assert_int_equal(icp_pages_check(&image->pages, true), ICP_EOK);
	uint64_t whole = view(&image->pages);
	assert_int_not_equal(whole, 0);
	mark_all(image);
	size_t page_size = image->pages.page_size;
	for (size_t at = 0; at<image->size; at += step> 1 ? 1 + draw(&state) % step : 1) {
		bool is_meta = at < 2 * page_size;
		if (is_meta &&
			(at / page_size != image->slot || at % page_size >= ICP_PAGES_META_SIZE)) {
			continue;
		}
		/* Of these there are most, and they are not looked at. */
		if ((kinds[at] == CONTENT || kinds[at] == FREE) && draw(&state) % 64 != 0) {
			continue;
		}
		uint8_t was = image->octets[at];
		change(image, at, was ^ 1, whole);
		change(image, at, was ^ 0x80, whole);
		change(image, at, 0, whole);
		change(image, at, (uint8_t)draw(&state), whole);
	}
	free(kinds);
}

static void every_octet_of_a_small_environment(void **state)
{
	(void)state;
	world_t world;
	make(&world, 14, 1500);
	image_t image = take_image(&world);
	icp_tree_t buckets = named_tree(&image, "buckets");
	assert_int_equal(buckets.depth, 2);
	assert_true(image.pages.free.entries > 0);
	change_all(&image, 1);
	drop_image(&image);
	close_world(&world);
}

static void some_octets_of_a_large_environment(void **state)
{
	(void)state;
	world_t world;
	make(&world, 2500, 1000);
	begin(&world);
	assert_int_equal(mdb_drop(world.txn, database(&world, "deltas", MDB_INTEGERKEY), 0), 0);
	commit(&world);
	image_t image = take_image(&world);
	assert_true(named_tree(&image, "buckets").depth >= 3);
	change_all(&image, 60000);
	drop_image(&image);
	close_world(&world);
}

/*! A file that ends early reads as damaged, or as it was. */
static void every_length_of_a_file(void **state)
{
	(void)state;
	world_t world;
	make(&world, 14, 1500);
	image_t image = take_image(&world);
	uint64_t whole = view(&image.pages);
	for (size_t size = image.size; size >= (size_t)2 * 4096; size -= 512) {
		uint8_t *octets = malloc(size);
		assert_non_null(octets);
		memcpy(octets, image.octets, size);
		image_t cut = {.size = size, .octets = octets};
		assert_true(read_meta(&cut, image.slot));
		read_all(&cut.pages);
		if (icp_pages_check(&cut.pages, true) == ICP_EOK) {
			assert_int_equal(view(&cut.pages), whole);
		}
		free(octets);
	}
	drop_image(&image);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_octet_of_a_small_environment),
		cmocka_unit_test(some_octets_of_a_large_environment),
		cmocka_unit_test(every_length_of_a_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "core/error.h"
#include "core/pages.h"

#define KEY_MAX 511 /*!< LMDB's limit. */

/*! What is known so far of one environment. */
typedef struct {
	const icp_pages_t *pages;
	uint8_t *used; /*!< A bit for each page up to the last. */
	bool whole;
	icp_tree_t seen; /*!< What was counted of the tree that is being looked at. */
	unsigned depth;
	bool integer_keys;
	bool is_free; /*!< It is that of free pages. */
	bool is_main; /*!< It is that of the named trees. */
	bool exact;   /*!< Keys of branches must be the first ones below them. */
} check_t;

/*! The keys that a page may hold: from low on, below high; NULL: no bound. */
typedef struct {
	const icp_entry_t *low;
	const icp_entry_t *high;
} bounds_t;

/*! Takes pages for use in one place. False: they are used elsewhere, or are none. */
static bool claim(check_t *check, uint64_t first, uint64_t count)
{
	if (first < 2 || first > check->pages->last || count > check->pages->last + 1 - first) {
		return false;
	}
	for (uint64_t page = first; page < first + count; page++) {
		uint8_t bit = (uint8_t)(1U << page % 8);
		if ((check->used[page / 8] & bit) != 0) {
			return false;
		}
		check->used[page / 8] |= bit;
	}
	return true;
}

/*! LMDB's order of keys. */
static int compare(const check_t *check, const icp_entry_t *a, const icp_entry_t *b)
{
	if (check->integer_keys) {
		uint64_t x = icp_entry_number(a);
		uint64_t y = icp_entry_number(b);
		return (x > y) - (x < y);
	}
	size_t shorter = a->key_size < b->key_size ? a->key_size : b->key_size;
	int order = memcmp(a->key, b->key, shorter);
	return order != 0 ? order : (a->key_size > b->key_size) - (a->key_size < b->key_size);
}

static bool key_is_sound(const check_t *check, const icp_entry_t *entry)
{
	return check->integer_keys ? entry->key_size == sizeof(uint64_t)
				   : entry->key_size > 0 && entry->key_size <= KEY_MAX;
}

/*! Takes the octets of a node, in units of two. False: they are another's, or too many. */
static bool claim_octets(uint8_t *taken, size_t begin, size_t end)
{
	for (size_t unit = begin / 2; unit < end / 2; unit++) {
		uint8_t bit = (uint8_t)(1U << unit % 8);
		if ((taken[unit / 8] & bit) != 0) {
			return false;
		}
		taken[unit / 8] |= bit;
	}
	return true;
}

/*! LMDB moves nodes about, by their sizes: they must fill all that is not free, each for itself. */
static bool nodes_fill_page(const check_t *check, const uint8_t *page, unsigned nodes, bool is_leaf)
{
	size_t page_size = check->pages->page_size;
	/* Two must fit on a page, with their places. */
	size_t node_max = ((page_size - ICP_PAGE_HEADER) / 2 & ~(size_t)1) - sizeof(uint16_t);
	uint8_t taken[ICP_PAGE_SIZE_MAX / 16] = {0};
	uint16_t upper;
	size_t used = 0;
	for (unsigned i = 0; i < nodes; i++) {
		icp_entry_t entry;
		uint64_t child;
		int ret = is_leaf ? icp_page_leaf(check->pages, page, i, &entry)
				  : icp_page_branch(check->pages, page, i, &entry, &child);
		if (ret != ICP_EOK) {
			return false;
		}
		size_t size = ICP_NODE_HEADER + entry.key_size;
		size += entry.overflow != 0 ? sizeof entry.overflow : entry.data_size;
		size_t begin = (size_t)(entry.key - page) - ICP_NODE_HEADER;
		size_t end = begin + size + size % 2;
		if (size > node_max || !claim_octets(taken, begin, end)) {
			return false;
		}
		used += end - begin;
	}
	memcpy(&upper, page + ICP_PAGE_AT_UPPER, sizeof upper);
	return used == page_size - upper;
}

/*! Can this be the first key of a leaf whose keys are not to be lower than that? */
static bool is_first(const check_t *check, const icp_entry_t *entry, const icp_entry_t *low)
{
	int order = low != NULL ? compare(check, low, entry) : 0;
	return check->exact ? order == 0 : order <= 0;
}

static int check_leaf(check_t *check, const uint8_t *page, unsigned nodes, bounds_t bounds)
{
	icp_entry_t previous;
	for (unsigned i = 0; i < nodes; i++) {
		icp_entry_t entry;
		if (icp_page_leaf(check->pages, page, i, &entry) != ICP_EOK ||
			(check->whole && icp_page_overflow(check->pages, &entry) != ICP_EOK) ||
			!key_is_sound(check, &entry) || (entry.is_tree && !check->is_main) ||
			(i == 0 && !is_first(check, &entry, bounds.low)) ||
			(i > 0 && compare(check, &previous, &entry) >= 0) ||
			(bounds.high != NULL && compare(check, &entry, bounds.high) >= 0)) {
			return ICP_EDAMAGED;
		}
		if (entry.overflow != 0) {
			if (!claim(check, entry.overflow, entry.overflow_count)) {
				return ICP_EDAMAGED;
			}
			check->seen.overflow_pages += entry.overflow_count;
		}
		check->seen.entries++;
		previous = entry;
	}
	return ICP_EOK;
}

static int check_page(check_t *check, uint64_t number, unsigned level, bounds_t bounds)
{
	unsigned nodes;
	bool is_leaf = level + 1 == check->depth;
	const uint8_t *page = icp_page_at(
		check->pages, number, is_leaf ? ICP_PAGE_LEAF : ICP_PAGE_BRANCH, &nodes);
	/* LMDB ends the process at a branch without a fork, but not in the list of free pages. */
	if (page == NULL || !claim(check, number, 1) ||
		!nodes_fill_page(check, page, nodes, is_leaf) ||
		(!is_leaf && nodes < 2 && !check->is_free)) {
		return ICP_EDAMAGED;
	}
	if (is_leaf) {
		check->seen.leaf_pages++;
		return check_leaf(check, page, nodes, bounds);
	}
	check->seen.branch_pages++;
	icp_entry_t key;
	uint64_t child;
	int ret = icp_page_branch(check->pages, page, 0, &key, &child);
	bounds_t below = {.low = bounds.low};
	for (unsigned i = 1; ret == ICP_EOK && i <= nodes; i++) {
		icp_entry_t next = {.key = NULL};
		uint64_t next_child = ICP_PAGES_NONE;
		below.high = bounds.high;
		if (i < nodes) {
			if (icp_page_branch(check->pages, page, i, &next, &next_child) != ICP_EOK ||
				!key_is_sound(check, &next) ||
				(below.low != NULL && compare(check, below.low, &next) >= 0) ||
				(bounds.high != NULL && compare(check, &next, bounds.high) >= 0)) {
				return ICP_EDAMAGED;
			}
			below.high = &next;
		}
		ret = check_page(check, child, level + 1, below);
		key = next;
		below.low = &key;
		child = next_child;
	}
	return ret;
}

static int check_tree(check_t *check, const icp_tree_t *tree)
{
	check->seen = (icp_tree_t){.depth = tree->depth};
	check->depth = tree->depth;
	check->integer_keys = tree->integer_keys;
	check->is_free = tree == &check->pages->free;
	check->is_main = tree == &check->pages->main;
	if (tree->depth > 0) {
		int ret = check_page(check, tree->root, 0, (bounds_t){NULL, NULL});
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	const icp_tree_t *seen = &check->seen;
	return seen->branch_pages == tree->branch_pages && seen->leaf_pages == tree->leaf_pages &&
			       (seen->overflow_pages == tree->overflow_pages ||
				       (!check->whole &&
					       seen->overflow_pages < tree->overflow_pages)) &&
			       seen->entries == tree->entries
		       ? ICP_EOK
		       : ICP_EDAMAGED;
}

/*! All trees that the main one names. */
static int check_named(check_t *check)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	icp_tree_t tree;
	int ret;
	icp_pages_walk(&walk, check->pages, &check->pages->main);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		if (!entry.is_tree ||
			icp_tree_read(&tree, entry.data, entry.data_size) != ICP_EOK ||
			check_tree(check, &tree) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
	}
	return ret;
}

/*! Each entry says which pages a commit freed: their number, and they in descending order. */
static int check_free(check_t *check)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	icp_pages_walk(&walk, check->pages, &check->pages->free);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		uint64_t count;
		uint64_t before = UINT64_MAX;
		if (entry.data_size < sizeof count || entry.data_size % sizeof count != 0 ||
			icp_entry_number(&entry) > check->pages->txn) {
			return ICP_EDAMAGED;
		}
		memcpy(&count, entry.data, sizeof count);
		/* LMDB may keep more room than the list needs. */
		if (count > entry.data_size / sizeof count - 1) {
			return ICP_EDAMAGED;
		}
		for (uint64_t i = 1; i <= count; i++) {
			uint64_t page;
			memcpy(&page, entry.data + i * sizeof page, sizeof page);
			if (page >= before || !claim(check, page, 1)) {
				return ICP_EDAMAGED;
			}
			before = page;
		}
	}
	return ret;
}

/*! Every page is used once, or free. */
static int check_rest(const check_t *check)
{
	for (uint64_t page = 2; page <= check->pages->last; page++) {
		if ((check->used[page / 8] & 1U << page % 8) == 0) {
			return ICP_EDAMAGED;
		}
	}
	return ICP_EOK;
}

int icp_pages_check(const icp_pages_t *pages, bool whole)
{
	/* A page that the file does not reach to is a free one, so it takes room in a list. */
	uint64_t listed = pages->count * (pages->page_size / sizeof(uint64_t));
	if (pages->last >= pages->count + listed) {
		return ICP_EDAMAGED;
	}
	check_t check = {.pages = pages, .used = calloc(pages->last / 8 + 1, 1), .whole = whole};
	if (check.used == NULL) {
		return ICP_ENOMEM;
	}
	int ret = check_tree(&check, &pages->free);
	if (ret == ICP_EOK) {
		ret = check_tree(&check, &pages->main);
	}
	if (ret == ICP_EOK) {
		ret = check_named(&check);
	}
	if (ret == ICP_EOK) {
		ret = check_free(&check);
	}
	if (ret == ICP_EOK && whole) {
		ret = check_rest(&check);
	}
	free(check.used);
	return ret;
}

int icp_pages_check_keys(const icp_pages_t *pages, const icp_tree_t *tree)
{
	check_t check = {.pages = pages, .used = calloc(pages->last / 8 + 1, 1), .exact = true};
	if (check.used == NULL) {
		return ICP_ENOMEM;
	}
	int ret = check_tree(&check, tree);
	free(check.used);
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/pages.h"

#include <string.h>

#include "core/error.h"

#define MAGIC UINT32_C(0xbeefc0de)
#define DATA_VERSION 1
#define PAGE_SIZE_MIN 512
#define HEADER ICP_PAGE_HEADER
#define NODE_HEADER ICP_NODE_HEADER
#define PAGE_META 8
#define TREE_SIZE 48
#define FLAG_INTEGER_KEYS 8
#define FLAG_NO_DIRECTORY 0x4000 /*!< Of the environment; kept with the tree of free pages. */
#define FLAG_BIG_DATA 1
#define FLAG_TREE 2

enum { AT_NUMBER = 0, AT_PAD = 8, AT_FLAGS = 10, AT_LOWER = 12, AT_UPPER = ICP_PAGE_AT_UPPER };
enum {
	AT_MAGIC = 16,
	AT_VERSION = 20,
	AT_ADDRESS = 24,
	AT_MAP_SIZE = 32,
	AT_FREE = 40,
	AT_MAIN = 88,
	AT_LAST = 136,
	AT_TXN = 144,
};

static uint16_t u16(const uint8_t *at)
{
	uint16_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static uint32_t u32(const uint8_t *at)
{
	uint32_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static uint64_t u64(const uint8_t *at)
{
	uint64_t value;
	memcpy(&value, at, sizeof value);
	return value;
}

static int read_tree(icp_tree_t *tree, const uint8_t *octets, unsigned flags_of_others)
{
	unsigned flags = u16(octets + 4) & ~flags_of_others;
	*tree = (icp_tree_t){
		.depth = u16(octets + 6),
		.branch_pages = u64(octets + 8),
		.leaf_pages = u64(octets + 16),
		.overflow_pages = u64(octets + 24),
		.entries = u64(octets + 32),
		.root = u64(octets + 40),
		.integer_keys = flags == FLAG_INTEGER_KEYS,
	};
	bool empty = tree->root == ICP_PAGES_NONE;
	return (tree->integer_keys || flags == 0) && tree->depth <= ICP_PAGES_DEPTH_MAX &&
			       empty == (tree->depth == 0) && empty == (tree->entries == 0)
		       ? ICP_EOK
		       : ICP_EDAMAGED;
}

int icp_tree_read(icp_tree_t *tree, const uint8_t *octets, size_t size)
{
	return size == TREE_SIZE && u32(octets) == 0 ? read_tree(tree, octets, 0) : ICP_EDAMAGED;
}

int icp_pages_meta(icp_pages_t *pages, const uint8_t *octets, unsigned slot, uint64_t file_size)
{
	if (u64(octets + AT_NUMBER) != slot || u16(octets + AT_PAD) != 0 ||
		u16(octets + AT_FLAGS) != PAGE_META || u32(octets + AT_MAGIC) != MAGIC ||
		u64(octets + AT_ADDRESS) != 0) {
		return ICP_EDAMAGED;
	}
	if (u32(octets + AT_VERSION) != DATA_VERSION) {
		return ICP_EVERSION;
	}
	/* The size of pages stands where other trees have nothing. */
	uint32_t page_size = u32(octets + AT_FREE);
	if (page_size < PAGE_SIZE_MIN || page_size > ICP_PAGE_SIZE_MAX ||
		(page_size & (page_size - 1)) != 0 || u32(octets + AT_MAIN) != 0) {
		return ICP_EDAMAGED;
	}
	*pages = (icp_pages_t){
		.last = u64(octets + AT_LAST),
		.map_size = u64(octets + AT_MAP_SIZE),
		.txn = u64(octets + AT_TXN),
		.page_size = page_size,
	};
	pages->count = file_size / page_size;
	if (pages->map_size % page_size != 0 || pages->last < 1 ||
		pages->last >= pages->map_size / page_size ||
		(u16(octets + AT_FREE + 4) & FLAG_NO_DIRECTORY) == 0 ||
		read_tree(&pages->free, octets + AT_FREE, FLAG_NO_DIRECTORY) != ICP_EOK ||
		!pages->free.integer_keys ||
		read_tree(&pages->main, octets + AT_MAIN, 0) != ICP_EOK ||
		pages->main.integer_keys) {
		return ICP_EDAMAGED;
	}
	if (pages->count > pages->last + 1) {
		pages->count = pages->last + 1;
	}
	return ICP_EOK;
}

const uint8_t *icp_page_at(
	const icp_pages_t *pages, uint64_t number, unsigned kind, unsigned *nodes)
{
	if (number < 2 || number >= pages->count) {
		return NULL;
	}
	const uint8_t *page = pages->map + number * pages->page_size;
	unsigned lower = u16(page + AT_LOWER);
	unsigned upper = u16(page + AT_UPPER);
	if (u64(page + AT_NUMBER) != number || u16(page + AT_FLAGS) != kind || lower <= HEADER ||
		lower % 2 != 0 || lower > upper || upper > pages->page_size) {
		return NULL;
	}
	*nodes = (lower - HEADER) / 2;
	return page;
}

/*!
 * A node whose key lies on the page; NULL when it does not. Each number is read once: the pages of
 * a commit that nobody keeps may change while they are read.
 */
static const uint8_t *node_at(const icp_pages_t *pages, const uint8_t *page, unsigned position,
	size_t *key_size, size_t *room)
{
	size_t offset = u16(page + HEADER + 2 * (size_t)position);
	if (offset < u16(page + AT_UPPER) || offset % 2 != 0 ||
		offset + NODE_HEADER > pages->page_size) {
		return NULL;
	}
	const uint8_t *node = page + offset;
	*key_size = u16(node + 6);
	size_t end = offset + NODE_HEADER + *key_size;
	*room = end <= pages->page_size ? pages->page_size - end : 0;
	return end <= pages->page_size ? node : NULL;
}

int icp_page_branch(const icp_pages_t *pages, const uint8_t *page, unsigned position,
	icp_entry_t *key, uint64_t *child)
{
	size_t key_size;
	size_t room;
	const uint8_t *node = node_at(pages, page, position, &key_size, &room);
	if (node == NULL) {
		return ICP_EDAMAGED;
	}
	*key = (icp_entry_t){.key = node + NODE_HEADER, .key_size = key_size};
	*child = (uint64_t)u16(node + 4) << 32 | (uint64_t)u16(node + 2) << 16 | u16(node);
	return ICP_EOK;
}

int icp_page_overflow(const icp_pages_t *pages, icp_entry_t *entry)
{
	if (entry->overflow == 0) {
		return ICP_EOK;
	}
	const uint8_t *page = pages->map + entry->overflow * pages->page_size;
	uint64_t count = u32(page + AT_LOWER);
	if (u64(page + AT_NUMBER) != entry->overflow || u16(page + AT_FLAGS) != ICP_PAGE_OVERFLOW ||
		count < entry->overflow_count || count > pages->count - entry->overflow) {
		return ICP_EDAMAGED;
	}
	entry->overflow_count = count;
	return ICP_EOK;
}

/*! Finds the data that lies on pages of its own. */
static int find_overflow(const icp_pages_t *pages, uint64_t number, icp_entry_t *entry)
{
	uint64_t needed = (HEADER - 1 + entry->data_size) / pages->page_size + 1;
	if (number < 2 || number >= pages->count || needed > pages->count - number) {
		return ICP_EDAMAGED;
	}
	entry->data = pages->map + number * pages->page_size + HEADER;
	entry->overflow = number;
	entry->overflow_count = needed;
	return ICP_EOK;
}

int icp_pages_data(const icp_pages_t *pages, uint64_t number, size_t size, icp_entry_t *entry)
{
	*entry = (icp_entry_t){.data_size = size};
	int ret = find_overflow(pages, number, entry);
	return ret == ICP_EOK ? icp_page_overflow(pages, entry) : ret;
}

/*! Reads a node of a leaf page, and the head of what holds its data. */
static int read_entry(
	const icp_pages_t *pages, const uint8_t *page, unsigned position, icp_entry_t *entry)
{
	int ret = icp_page_leaf(pages, page, position, entry);
	return ret == ICP_EOK ? icp_page_overflow(pages, entry) : ret;
}

int icp_page_leaf(
	const icp_pages_t *pages, const uint8_t *page, unsigned position, icp_entry_t *entry)
{
	size_t key_size;
	size_t room;
	const uint8_t *node = node_at(pages, page, position, &key_size, &room);
	if (node == NULL) {
		return ICP_EDAMAGED;
	}
	unsigned flags = u16(node + 4);
	*entry = (icp_entry_t){
		.key = node + NODE_HEADER,
		.key_size = key_size,
		.data_size = (size_t)u16(node + 2) << 16 | u16(node),
		.is_tree = flags == FLAG_TREE,
	};
	const uint8_t *data = entry->key + key_size;
	if (flags == FLAG_BIG_DATA) {
		return room >= sizeof(uint64_t) ? find_overflow(pages, u64(data), entry) : ICP_EDAMAGED;
	}
	if ((flags != 0 && flags != FLAG_TREE) || entry->data_size > room) {
		return ICP_EDAMAGED;
	}
	entry->data = data;
	return ICP_EOK;
}

uint64_t icp_entry_number(const icp_entry_t *entry)
{
	return entry->key_size == sizeof(uint64_t) ? u64(entry->key) : 0;
}

/*! A page with integer keys that is searched, and what is known of its keys from above. */
typedef struct {
	const uint8_t *page;
	unsigned nodes;
	uint64_t low;  /*!< None is below this... */
	uint64_t high; /*!< ...or above this. */
} search_t;

static int key_at(
	const icp_pages_t *pages, const search_t *search, unsigned position, uint64_t *key)
{
	size_t key_size;
	size_t room;
	const uint8_t *node = node_at(pages, search->page, position, &key_size, &room);
	if (node == NULL || key_size != sizeof *key) {
		return ICP_EDAMAGED;
	}
	*key = u64(node + NODE_HEADER);
	return ICP_EOK;
}

/*! Where a key would be if those of the page lay at equal distances. */
static unsigned guess(const search_t *search, unsigned first, uint64_t key)
{
	if (key <= search->low || key >= search->high) {
		return key <= search->low ? first : search->nodes;
	}
	/* In steps of 2^-32 of the distance. */
	uint64_t step = ((search->high - search->low) >> 32) + 1;
	uint64_t part = (key - search->low) / step;
	return first + (unsigned)(part * (search->nodes - first) >> 32);
}

/*!
 * Position of the first node from `first` on whose key is above the number, or with `or_equal` not
 * below it. Keys that are hashes are where they are guessed to be, or next to it, so that few lines
 * of the page are touched; with others it takes twice the steps of a binary search at most.
 */
static int search_page(const icp_pages_t *pages, const search_t *search, unsigned first,
	bool or_equal, uint64_t number, unsigned *position)
{
	unsigned low = first;          /* All before are too low. */
	unsigned high = search->nodes; /* None from here on is. */
	unsigned step = 1;
	unsigned at = guess(search, first, number);
	while (low < high) {
		uint64_t key;
		at = at < low ? low : at >= high ? high - 1 : at;
		if (key_at(pages, search, at, &key) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		if (or_equal ? key >= number : key > number) {
			high = at;
			at = at > step ? at - step : 0;
		} else {
			low = at + 1;
			at += step;
		}
		if (low > first && high < search->nodes) {
			at = (low + high) / 2;
		}
		step *= 2;
	}
	*position = low;
	return ICP_EOK;
}

/*! The last child whose keys may be as low as the number; and the page to its right, if any. The
 * bounds become those of the child. */
static int choose_child(
	const icp_pages_t *pages, search_t *search, uint64_t key, uint64_t *child, uint64_t *right)
{
	icp_entry_t entry;
	unsigned above;
	/* The first key is below all: it may be left out. */
	if (search_page(pages, search, 1, false, key, &above) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	if (above < search->nodes) {
		if (icp_page_branch(pages, search->page, above, &entry, right) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		search->high = icp_entry_number(&entry);
	}
	if (icp_page_branch(pages, search->page, above - 1, &entry, child) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	if (above > 1) {
		search->low = icp_entry_number(&entry);
	}
	return ICP_EOK;
}

/*! The first entry of the leaf that is so many levels below a page. */
static int first_below(
	const icp_pages_t *pages, uint64_t number, unsigned levels, icp_entry_t *entry)
{
	unsigned nodes;
	for (; levels > 0; levels--) {
		const uint8_t *page = icp_page_at(pages, number, ICP_PAGE_BRANCH, &nodes);
		if (page == NULL || icp_page_branch(pages, page, 0, entry, &number) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
	}
	const uint8_t *page = icp_page_at(pages, number, ICP_PAGE_LEAF, &nodes);
	if (page == NULL || read_entry(pages, page, 0, entry) != ICP_EOK ||
		entry->key_size != sizeof(uint64_t)) {
		return ICP_EDAMAGED;
	}
	return 1;
}

int icp_pages_find(
	const icp_pages_t *pages, const icp_tree_t *tree, uint64_t key, icp_entry_t *entry)
{
	uint64_t number = tree->root;
	uint64_t right = ICP_PAGES_NONE; /*!< The page beside the path, at its lowest fork. */
	unsigned right_levels = 0;
	unsigned position;
	search_t search = {.low = 0, .high = UINT64_MAX};
	if (tree->depth == 0) {
		return 0;
	}
	for (unsigned levels = tree->depth - 1u; levels > 0; levels--) {
		uint64_t beside = ICP_PAGES_NONE;
		search.page = icp_page_at(pages, number, ICP_PAGE_BRANCH, &search.nodes);
		if (search.page == NULL ||
			choose_child(pages, &search, key, &number, &beside) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		if (beside != ICP_PAGES_NONE) {
			right = beside;
			right_levels = levels - 1;
		}
	}
	search.page = icp_page_at(pages, number, ICP_PAGE_LEAF, &search.nodes);
	if (search.page == NULL ||
		search_page(pages, &search, 0, true, key, &position) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	if (position == search.nodes) {
		return right == ICP_PAGES_NONE ? 0 : first_below(pages, right, right_levels, entry);
	}
	return read_entry(pages, search.page, position, entry) == ICP_EOK ? 1 : ICP_EDAMAGED;
}

void icp_pages_walk(icp_pages_walk_t *walk, const icp_pages_t *pages, const icp_tree_t *tree)
{
	walk->pages = pages;
	walk->next = tree->root;
	walk->left = pages->count;
	walk->depth = tree->depth;
	walk->level = 0;
}

/*! Goes down to the next leaf. 1: it is the last page of the path; 0: there is none. */
static int enter_leaf(icp_pages_walk_t *walk)
{
	unsigned nodes;
	while (walk->level < walk->depth) {
		icp_entry_t key;
		if (walk->next == ICP_PAGES_NONE) {
			return 0;
		}
		bool is_leaf = walk->level + 1 == walk->depth;
		const uint8_t *page = icp_page_at(
			walk->pages, walk->next, is_leaf ? ICP_PAGE_LEAF : ICP_PAGE_BRANCH, &nodes);
		/* Pages that lead to each other in many ways would be gone through for ever. */
		if (page == NULL || walk->left-- == 0) {
			return ICP_EDAMAGED;
		}
		walk->path[walk->level] = page;
		walk->nodes[walk->level] = (uint16_t)nodes;
		walk->at[walk->level] = 0;
		walk->level++;
		walk->next = ICP_PAGES_NONE;
		if (!is_leaf) {
			walk->at[walk->level - 1] = 1;
			if (icp_page_branch(walk->pages, page, 0, &key, &walk->next) != ICP_EOK) {
				return ICP_EDAMAGED;
			}
		}
	}
	return walk->depth > 0;
}

/*! Leaves pages that are done; the next child of the lowest one that is not will be entered. */
static int leave_pages(icp_pages_walk_t *walk)
{
	walk->level--;
	while (walk->level > 0) {
		unsigned level = walk->level - 1u;
		if (walk->at[level] < walk->nodes[level]) {
			icp_entry_t key;
			return icp_page_branch(walk->pages, walk->path[level], walk->at[level]++,
				&key, &walk->next);
		}
		walk->level--;
	}
	return ICP_EOK;
}

int icp_pages_walk_key(icp_pages_walk_t *walk, icp_entry_t *entry)
{
	for (;;) {
		int ret = enter_leaf(walk);
		if (ret != 1) {
			return ret;
		}
		unsigned level = walk->level - 1u;
		if (walk->at[level] < walk->nodes[level]) {
			ret = icp_page_leaf(
				walk->pages, walk->path[level], walk->at[level]++, entry);
			return ret == ICP_EOK ? 1 : ret;
		}
		if (leave_pages(walk) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
	}
}

int icp_pages_walk_next(icp_pages_walk_t *walk, icp_entry_t *entry)
{
	int ret = icp_pages_walk_key(walk, entry);
	return ret == 1 && icp_page_overflow(walk->pages, entry) != ICP_EOK ? ICP_EDAMAGED : ret;
}

int icp_pages_tree(const icp_pages_t *pages, const char *name, icp_tree_t *tree)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	size_t length = strlen(name);
	int ret;
	icp_pages_walk(&walk, pages, &pages->main);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		if (entry.key_size == length && memcmp(entry.key, name, length) == 0) {
			return entry.is_tree && icp_tree_read(tree, entry.data, entry.data_size) ==
							ICP_EOK
				       ? 1
				       : ICP_EDAMAGED;
		}
	}
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * An LMDB environment. Input: its octets. Both of its commits are read in all ways: databases by
 * name, all of their entries, keys, what they say of the generation. What passes the check whole
 * must be readable, and must be the same in every way that it is read.
 */
#include "core/error.h"
#include "core/info.h"
#include "core/pages.h"
#include "tests/fuzz/fuzz.h"

#define KEYS 64

/*! Reads one octet in all that an entry leads to. */
static unsigned touch(const icp_entry_t *entry)
{
	unsigned sum = 0;
	for (size_t i = 0; i < entry->key_size; i++) {
		sum += entry->key[i];
	}
	if (entry->data_size > 0) {
		sum += entry->data[0] + entry->data[entry->data_size - 1];
	}
	return sum;
}

/*! Looks for a key that is there, and for those beside it. */
static void find_around(const icp_pages_t *pages, const icp_tree_t *tree, uint64_t key, bool sound)
{
	for (uint64_t number = key - 1; number != key + 2; number++) {
		icp_entry_t entry;
		int ret = icp_pages_find(pages, tree, number, &entry);
		must(ret == 1 || ret == 0 || ret == ICP_EDAMAGED, "nothing else goes wrong");
		must(!sound || ret >= 0, "a sound tree can be searched");
		if (ret == 1) {
			(void)touch(&entry);
			must(!sound || icp_entry_number(&entry) >= number,
				"what is found in a sound tree is not below");
		}
		must(!sound || number != key || (ret == 1 && icp_entry_number(&entry) == key),
			"a key of a sound tree is found");
	}
}

static void read_tree(const icp_pages_t *pages, const icp_tree_t *tree, bool sound)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	uint64_t count = 0;
	int ret;
	icp_pages_walk(&walk, pages, tree);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		(void)touch(&entry);
		if (tree->integer_keys && count < KEYS) {
			find_around(pages, tree, icp_entry_number(&entry), sound);
		}
		count++;
	}
	must(ret == 0 || ret == ICP_EDAMAGED, "a walk ends");
	must(!sound || (ret == 0 && count == tree->entries), "a sound tree is gone through");
	find_around(pages, tree, 0, false);
}

static void read_commit(const icp_pages_t *pages)
{
	static const char *const names[] = {ICP_STORE_META, ICP_STORE_BUCKETS, ICP_STORE_DELTAS};
	icp_store_info_t info;
	int quick = icp_pages_check(pages, false);
	int whole = icp_pages_check(pages, true);
	must((quick == ICP_EOK || quick == ICP_EDAMAGED) &&
			(whole == ICP_EOK || whole == ICP_EDAMAGED),
		"a check needs little memory");
	must(whole != ICP_EOK || quick == ICP_EOK, "the quick check asks for less");
	bool sound = whole == ICP_EOK;
	read_tree(pages, &pages->free, sound);
	read_tree(pages, &pages->main, sound);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		icp_tree_t tree;
		int ret = icp_pages_tree(pages, names[i], &tree);
		must(!sound || ret >= 0, "a database of a sound environment is described");
		if (ret == 1) {
			read_tree(pages, &tree, sound);
		}
	}
	(void)icp_info_read(&info, pages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_pages_t pages;
	size_t page_size = 0;
	uint8_t *map = exact_copy(data, size);
	for (unsigned slot = 0; slot < 2; slot++) {
		size_t at = slot * page_size;
		if (at + ICP_PAGES_META_SIZE > size ||
			icp_pages_meta(&pages, map + at, slot, size) != ICP_EOK) {
			break;
		}
		page_size = pages.page_size;
		pages.map = map;
		read_commit(&pages);
	}
	free(map);
	return 0;
}

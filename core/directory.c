/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/directory.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "core/error.h"

enum { REST_BITS = 21, PAGE_BITS = 28, SIZE_BITS = 15 };

#define PER_TOP 8 /*!< Entries under the same high bits, about: they fill a line of the cache. */
#define PER_TOP_MAX                                                                                \
	64 /*!< Of hashes there never are more; of others the search would take long.              \
	    */

/*! A key with the same high bits as its neighbours, and where its data is. */
typedef struct {
	uint64_t rest : REST_BITS; /*!< The bits below the high ones. */
	uint64_t page : PAGE_BITS;
	uint64_t size : SIZE_BITS; /*!< 0: only the tree can say. */
} place_t;

_Static_assert(sizeof(place_t) == sizeof(uint64_t), "eight octets");

struct icp_directory {
	atomic_uint references;
	uint64_t txn;
	unsigned top_bits;
	uint32_t *tops; /*!< First place with these high bits, or above; one more for the end. */
	place_t places[];
};

static uint64_t top_of(const icp_directory_t *directory, uint64_t key)
{
	return key >> (64 - directory->top_bits);
}

static uint64_t rest_of(const icp_directory_t *directory, uint64_t key)
{
	return key << directory->top_bits >> (64 - REST_BITS);
}

static icp_directory_t *allocate(const icp_pages_t *pages, const icp_tree_t *tree)
{
	if (tree->entries == 0 || tree->entries > pages->count ||
		pages->count > UINT64_C(1) << PAGE_BITS) {
		return NULL;
	}
	unsigned top_bits = 1;
	while (tree->entries >> top_bits > PER_TOP) {
		top_bits++;
	}
	size_t tops = ((size_t)1 << top_bits) + 1;
	size_t places = tree->entries * sizeof(place_t);
	icp_directory_t *new = malloc(sizeof *new + places + tops * sizeof *new->tops);
	if (new != NULL) {
		atomic_init(&new->references, 1);
		new->txn = pages->txn;
		new->top_bits = top_bits;
		new->tops = (uint32_t *)(new->places + tree->entries);
	}
	return new;
}

static place_t place_of(const icp_directory_t *directory, uint64_t key, const icp_entry_t *entry)
{
	bool fits = entry->overflow != 0 && entry->data_size < 1U << SIZE_BITS;
	return (place_t){
		.rest = rest_of(directory, key),
		.page = fits ? entry->overflow : 0,
		.size = fits ? entry->data_size : 0,
	};
}

/*! \return ICP_EOK, ICP_EDAMAGED: also where keys are no hashes */
static int fill(icp_directory_t *directory, const icp_pages_t *pages, const icp_tree_t *tree)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	uint64_t top = 0;
	uint64_t last = 0;
	uint32_t count = 0;
	int ret;
	icp_pages_walk(&walk, pages, tree);
	while ((ret = icp_pages_walk_key(&walk, &entry)) == 1) {
		uint64_t key = icp_entry_number(&entry);
		if (count == tree->entries || entry.key_size != sizeof key ||
			(count > 0 && key <= last)) {
			return ICP_EDAMAGED;
		}
		while (top <= top_of(directory, key)) {
			directory->tops[top++] = count;
		}
		if (count - directory->tops[top - 1] == PER_TOP_MAX) {
			return ICP_EDAMAGED;
		}
		directory->places[count++] = place_of(directory, key, &entry);
		last = key;
	}
	if (ret != 0 || count != tree->entries || last != UINT64_MAX) {
		return ICP_EDAMAGED;
	}
	directory->tops[top] = count;
	return ICP_EOK;
}

icp_directory_t *icp_directory_make(const icp_pages_t *pages, const icp_tree_t *tree)
{
	icp_directory_t *directory = allocate(pages, tree);
	if (directory != NULL && fill(directory, pages, tree) != ICP_EOK) {
		icp_directory_unref(directory);
		return NULL;
	}
	return directory;
}

icp_directory_t *icp_directory_ref(icp_directory_t *directory)
{
	atomic_fetch_add_explicit(&directory->references, 1, memory_order_relaxed);
	return directory;
}

void icp_directory_unref(icp_directory_t *directory)
{
	if (directory != NULL &&
		atomic_fetch_sub_explicit(&directory->references, 1, memory_order_acq_rel) == 1) {
		free(directory);
	}
}

uint64_t icp_directory_txn(const icp_directory_t *directory)
{
	return directory->txn;
}

/*! The place of the first entry whose key is not below that of these bits; NULL: only the tree can
 * say. */
static const place_t *search(const icp_directory_t *directory, uint64_t top, uint64_t rest)
{
	const place_t *place = directory->places + directory->tops[top];
	const place_t *end = directory->places + directory->tops[top + 1];
	while (place < end && place->rest < rest) {
		place++;
	}
	/* Which of two keys is the lower one may be in the bits that are not here; so the highest
	 * node of a bucket is left to the tree. The place at the end is the first of those with
	 * higher bits, and there is one. */
	return (place < end && place->rest == rest) || place->size == 0 ? NULL : place;
}

bool icp_directory_find(const icp_directory_t *directory, uint64_t key, icp_extent_t *extent)
{
	const place_t *place = search(directory, top_of(directory, key), rest_of(directory, key));
	if (place != NULL) {
		*extent = (icp_extent_t){.page = place->page, .size = place->size};
	}
	return place != NULL;
}

bool icp_directory_guess(
	const icp_directory_t *directory, uint64_t key, icp_extent_t *extent, size_t *near)
{
	const int64_t whole = INT64_C(1) << REST_BITS;
	uint64_t top = top_of(directory, key);
	int64_t rest = (int64_t)rest_of(directory, key);
	const place_t *place = search(directory, top, (uint64_t)rest);
	if (place == NULL) {
		return false;
	}
	/* By the distance to the entries on both sides: those of neighbouring high bits, as seldom
	 * as there is none with these. */
	bool is_first = place == directory->places + directory->tops[top];
	bool is_beyond = place == directory->places + directory->tops[top + 1];
	int64_t low = place == directory->places ? 0 : (int64_t)place[-1].rest - is_first * whole;
	int64_t high = (int64_t)place->rest + is_beyond * whole;
	*extent = (icp_extent_t){.page = place->page, .size = place->size};
	*near = (size_t)((uint64_t)(rest - low) * place->size / (uint64_t)(high - low));
	return true;
}

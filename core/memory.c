/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/memory.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define WAYS 4 /*!< Slots that a key may have. */

typedef struct {
	uint64_t key; /*!< 0: free. */
	icp_memory_item_t item;
} slot_t;

_Static_assert(sizeof(slot_t) == 64, "a slot fills a cache line");

struct icp_memory {
	slot_t slots[ICP_MEMORY_SLOTS];
	unsigned turn; /*!< Which of a key's slots goes next. */
};

icp_memory_t *icp_memory_create(void)
{
	/* Zeroed pages cost nothing until they are used. */
	return calloc(1, sizeof(icp_memory_t));
}

void icp_memory_destroy(icp_memory_t *memory)
{
	free(memory);
}

uint64_t icp_memory_key(const icp_name_t *name, const void *more, size_t length)
{
	uint64_t key = XXH3_64bits_withSeed(more, length, XXH3_64bits(name->wire, name->length));
	return key != 0 ? key : 1;
}

static size_t first_way(uint64_t key)
{
	return key % ICP_MEMORY_SLOTS / WAYS * WAYS;
}

const icp_memory_item_t *icp_memory_find(const icp_memory_t *memory, uint64_t key)
{
	const slot_t *ways = &memory->slots[first_way(key)];
	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].key == key) {
			return &ways[i].item;
		}
	}
	return NULL;
}

void icp_memory_put(icp_memory_t *memory, uint64_t key, const icp_memory_item_t *item)
{
	slot_t *ways = &memory->slots[first_way(key)];
	unsigned way = memory->turn++ % WAYS;
	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].key == key) {
			way = i;
			break;
		}
		if (ways[i].key == 0) {
			way = i;
		}
	}
	ways[way] = (slot_t){.key = key, .item = *item};
}

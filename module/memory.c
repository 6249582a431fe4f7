/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/memory.h"

#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

typedef struct {
	uint64_t key; /*!< 0: free. */
	icp_memory_item_t item;
} slot_t;

_Static_assert(sizeof(slot_t) <= 64, "a slot fills a cache line");

struct icp_memory {
	_Alignas(64) slot_t slots[ICP_MEMORY_SLOTS];
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

uint64_t icp_memory_key(const icp_name_t *name, uint16_t type, bool checking_disabled)
{
	uint64_t seed = (uint64_t)type << 1 | checking_disabled;
	uint64_t key = XXH3_64bits_withSeed(name->wire, name->length, seed);
	return key != 0 ? key : 1;
}

const icp_memory_item_t *icp_memory_find(const icp_memory_t *memory, uint64_t key)
{
	const slot_t *slot = &memory->slots[key % ICP_MEMORY_SLOTS];
	return slot->key == key ? &slot->item : NULL;
}

void icp_memory_put(icp_memory_t *memory, uint64_t key, const icp_memory_item_t *item)
{
	memory->slots[key % ICP_MEMORY_SLOTS] = (slot_t){.key = key, .item = *item};
}

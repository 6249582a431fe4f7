/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/memory_private.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#define HUGE_PAGE ((size_t)2 << 20) /*!< What the kernel may map at once. */
#define WAYS ICP_MEMORY_WAYS
#define SLOTS_SIZE (ICP_MEMORY_SLOTS * sizeof(icp_memory_slot_t))

/*! Zeroed pages, which take no memory until they are used; NULL when there are none. */
static icp_memory_slot_t *map_slots(void)
{
	uint8_t *map = mmap(NULL, SLOTS_SIZE + HUGE_PAGE, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (map == MAP_FAILED) {
		return NULL;
	}
	size_t before = -(uintptr_t)map % HUGE_PAGE;
	if (before > 0) {
		munmap(map, before);
	}
	munmap(map + before + SLOTS_SIZE, HUGE_PAGE - before);
	/* Any slot may be next: with small pages, each look would miss the TLB. */
	(void)madvise(map + before, SLOTS_SIZE, MADV_HUGEPAGE);
	return (icp_memory_slot_t *)(map + before);
}

icp_memory_t *icp_memory_create(void)
{
	icp_memory_t *memory = calloc(1, sizeof *memory);
	if (memory == NULL) {
		return NULL;
	}
	memory->slots = map_slots();
	if (memory->slots == NULL ||
		getrandom(&memory->seed, sizeof memory->seed, 0) != sizeof memory->seed) {
		icp_memory_destroy(memory);
		return NULL;
	}
	return memory;
}

void icp_memory_destroy(icp_memory_t *memory)
{
	if (memory != NULL) {
		if (memory->slots != NULL) {
			munmap(memory->slots, SLOTS_SIZE);
		}
		free(memory);
	}
}

icp_memory_key_t icp_memory_key(
	const icp_memory_t *memory, const icp_name_t *name, const void *more, size_t length)
{
	uint8_t octets[ICP_NAME_MAX + 1 + ICP_MEMORY_MORE_MAX];
	assert(icp_memory_takes(name, length));
	memcpy(octets, name->wire, name->length);
	octets[name->length] = 0; /* The root's label: where names end. */
	memcpy(octets + name->length + 1, more, length);
	XXH128_hash_t hash = XXH3_128bits_withSeed(octets, name->length + 1 + length, memory->seed);
	return (icp_memory_key_t){.tag = hash.low64, .place = hash.high64};
}

static icp_memory_slot_t *ways_of(const icp_memory_t *memory, icp_memory_key_t key)
{
	return memory->slots + key.place % (ICP_MEMORY_SLOTS / WAYS) * WAYS;
}

/*! The age of judgements that rest on this. One that was left behind never comes back. */
static uint32_t age_of(icp_memory_t *memory, const icp_stamp_t *stamp)
{
	icp_memory_basis_t *basis =
		stamp->generation != 0 ? &memory->with_store : &memory->without_store;
	if (basis->age == 0 || !icp_stamp_equal(&basis->stamp, stamp)) {
		if (++memory->last_age == 0) {
			memset(memory->slots, 0, SLOTS_SIZE);
			memory->with_store.age = memory->without_store.age = 0;
			memory->last_age = 1;
		}
		*basis = (icp_memory_basis_t){.stamp = *stamp, .age = memory->last_age};
	}
	return basis->age;
}

const icp_memory_item_t *icp_memory_find(
	icp_memory_t *memory, icp_memory_key_t key, const icp_stamp_t *stamp)
{
	uint32_t age = age_of(memory, stamp);
	icp_memory_slot_t *ways = ways_of(memory, key);
	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].tag == key.tag && ways[i].age == age) {
			ways[i].used = 1;
			return &ways[i].item;
		}
	}
	return NULL;
}

/*! The way that goes: one that holds no more, or was not asked for again, or whose turn it is. */
static icp_memory_slot_t *choose_way(icp_memory_t *memory, icp_memory_slot_t *ways)
{
	unsigned turn = memory->turn++;
	for (unsigned i = 0; i < WAYS; i++) {
		uint32_t age = ways[i].age;
		if (age == 0 ||
			(age != memory->with_store.age && age != memory->without_store.age)) {
			return &ways[i];
		}
	}
	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[(turn + i) % WAYS].used == 0) {
			return &ways[(turn + i) % WAYS];
		}
	}
	for (unsigned i = 0; i < WAYS; i++) {
		ways[i].used = 0;
	}
	return &ways[turn % WAYS];
}

void icp_memory_put(icp_memory_t *memory, icp_memory_key_t key, const icp_stamp_t *stamp,
	const icp_memory_item_t *item)
{
	uint32_t age = age_of(memory, stamp);
	icp_memory_slot_t *ways = ways_of(memory, key);
	icp_memory_slot_t *way = NULL;
	for (unsigned i = 0; i < WAYS; i++) {
		if (ways[i].tag == key.tag) {
			way = &ways[i];
		}
	}
	if (way == NULL) {
		way = choose_way(memory, ways);
	}
	*way = (icp_memory_slot_t){.tag = key.tag, .age = age, .item = *item};
}

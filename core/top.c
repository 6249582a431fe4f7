/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include "core/top.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <xxhash.h>

#define TRIES_AT_ONCE 20 /*!< A change takes less time than a try. */
#define PAUSE_NS 1000000 /*!< A millisecond, for a writer that does not run. */
#define SET_SHIFT 59     /*!< The upper bits of a hash are the number of its set. */
#define FIRST_ITEMS 64

_Static_assert(UINT64_C(1) << (64 - SET_SHIFT) == ICP_TOP_SETS, "a hash names its set");

/*! A name as a set keeps it: a length octet, the wire form, and zeros to the end of the word. */
typedef union {
	uint64_t words[ICP_TOP_NAME_WORDS];
	uint8_t octets[ICP_TOP_NAME_WORDS * sizeof(uint64_t)];
} packed_t;

_Static_assert(sizeof(packed_t) > ICP_NAME_MAX, "room for any name and its length");

static size_t words_of(size_t name_length)
{
	return (1 + name_length + sizeof(uint64_t) - 1) / sizeof(uint64_t);
}

static inline uint64_t get(const _Atomic uint64_t *place)
{
	return atomic_load_explicit(place, memory_order_relaxed);
}

/*! Stores after all that was stored before, so that a change is not seen before its mark. */
static inline void put(_Atomic uint64_t *place, uint64_t value)
{
	atomic_store_explicit(place, value, memory_order_release);
}

static void reset(icp_top_set_t *set, uint64_t turn)
{
	uint64_t sequence = get(&set->sequence);
	put(&set->sequence, sequence + 1);
	for (size_t i = 0; i < ICP_TOP_WAYS; i++) {
		put(&set->count[i], 0);
	}
	put(&set->turn, turn);
	put(&set->sequence, sequence + 2);
}

static bool holds(const icp_top_set_t *set, size_t way, const packed_t *name)
{
	size_t count = words_of(name->octets[0]);
	for (size_t i = 0; i < count; i++) {
		if (get(&set->name[way][i]) != name->words[i]) {
			return false;
		}
	}
	return true;
}

/*! The place with the lowest count, which is a free one if there is any. */
static size_t lowest(const icp_top_set_t *set)
{
	size_t found = 0;
	for (size_t i = 1; i < ICP_TOP_WAYS; i++) {
		if (get(&set->count[i]) < get(&set->count[found])) {
			found = i;
		}
	}
	return found;
}

static void replace(icp_top_set_t *set, size_t way, uint64_t hash, const packed_t *name)
{
	uint64_t sequence = get(&set->sequence);
	uint64_t before = get(&set->count[way]);
	size_t words = words_of(name->octets[0]);
	put(&set->sequence, sequence + 1);
	put(&set->hash[way], hash);
	put(&set->error[way], before);
	put(&set->count[way], before + 1);
	for (size_t i = 0; i < words; i++) {
		put(&set->name[way][i], name->words[i]);
	}
	put(&set->sequence, sequence + 2);
}

void icp_top_add(icp_top_t *top, uint64_t turn, const uint8_t *wire, size_t length)
{
	uint64_t hash = XXH3_64bits(wire, length);
	icp_top_set_t *set = &top->sets[hash >> SET_SHIFT];
	packed_t name;

	name.words[words_of(length) - 1] = 0;
	name.octets[0] = (uint8_t)length;
	memcpy(name.octets + 1, wire, length);

	if (get(&set->turn) != turn) {
		reset(set, turn);
	}
	for (size_t i = 0; i < ICP_TOP_WAYS; i++) {
		/* Names can be made that have the same hash. */
		if (get(&set->hash[i]) == hash && get(&set->count[i]) > 0 && holds(set, i, &name)) {
			put(&set->count[i], get(&set->count[i]) + 1);
			return;
		}
	}
	replace(set, lowest(set), hash, &name);
}

int icp_top_copy(
	icp_top_set_t *set, icp_top_fetch_t fetch, void *context, off_t at, unsigned *patience)
{
	for (unsigned tries = 1;; tries++) {
		uint64_t before;
		uint64_t after;
		int ret = fetch(context, at, &before, sizeof before);
		if (ret != ICP_EOK || (ret = fetch(context, at, set, sizeof *set)) != ICP_EOK ||
			(ret = fetch(context, at, &after, sizeof after)) != ICP_EOK) {
			return ret;
		}
		if (before == after && before % 2 == 0) {
			return ICP_EOK;
		}
		if (tries < TRIES_AT_ONCE) {
			continue;
		}
		if (*patience == 0) {
			return ICP_EBUSY;
		}
		--*patience;
		nanosleep(&(const struct timespec){.tv_nsec = PAUSE_NS}, NULL);
	}
}

/*! What one set says of a name. */
typedef struct {
	uint64_t hash;
	uint64_t lowest; /*!< Of the set. */
	icp_top_entry_t entry;
} part_t;

static int read_part(part_t *part, const icp_top_set_t *set, size_t way, size_t index)
{
	packed_t name;
	icp_top_entry_t *entry = &part->entry;
	for (size_t i = 0; i < ICP_TOP_NAME_WORDS; i++) {
		name.words[i] = get(&set->name[way][i]);
	}
	part->hash = get(&set->hash[way]);
	entry->count = get(&set->count[way]);
	entry->error = get(&set->error[way]);
	if (entry->count > ICP_TOP_COUNT_MAX || entry->error >= entry->count ||
		icp_name_from_stored(&entry->domain, name.octets + 1, name.octets[0]) != ICP_EOK ||
		part->hash != XXH3_64bits(name.octets + 1, name.octets[0]) ||
		part->hash >> SET_SHIFT != index) {
		return ICP_EDAMAGED;
	}
	return ICP_EOK;
}

/*! Any order will do that has equal names side by side. */
static int by_name(const void *one, const void *other)
{
	const part_t *a = one;
	const part_t *b = other;
	if (a->hash != b->hash) {
		return a->hash < b->hash ? -1 : 1;
	}
	return icp_name_compare(a->entry.domain.wire, a->entry.domain.length, b->entry.domain.wire,
		b->entry.domain.length);
}

static icp_top_entry_t *next_item(icp_top_list_t *list)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity > 0 ? 2 * list->capacity : FIRST_ITEMS;
		icp_top_entry_t *items = realloc(list->items, capacity * sizeof *items);
		if (items == NULL) {
			return NULL;
		}
		list->items = items;
		list->capacity = capacity;
	}
	return &list->items[list->count++];
}

/*! Makes one item of all parts of the same name. */
static int fold(icp_top_list_t *list, part_t *parts, size_t count, uint64_t bound)
{
	qsort(parts, count, sizeof *parts, by_name);
	for (size_t i = 0; i < count;) {
		const part_t *first = &parts[i];
		icp_top_entry_t *item = next_item(list);
		if (item == NULL) {
			return ICP_ENOMEM;
		}
		uint64_t most = bound;
		uint64_t least = 0;
		for (; i < count && by_name(first, &parts[i]) == 0; i++) {
			most += parts[i].entry.count - parts[i].lowest;
			least += parts[i].entry.count - parts[i].entry.error;
		}
		item->domain = first->entry.domain;
		item->count = most;
		item->error = most - least;
	}
	return ICP_EOK;
}

int icp_top_merge(icp_top_list_t *list, const icp_top_set_t *sets, size_t set_count, size_t index,
	uint64_t turn)
{
	part_t *parts = malloc((set_count + 1) * ICP_TOP_WAYS * sizeof *parts);
	size_t count = 0;
	uint64_t bound = 0;
	int ret = ICP_EOK;
	if (parts == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < set_count; i++) {
		const icp_top_set_t *set = &sets[i];
		if (get(&set->turn) != turn) {
			continue;
		}
		uint64_t least = get(&set->count[lowest(set)]);
		bound += least;
		for (size_t way = 0; way < ICP_TOP_WAYS && ret == ICP_EOK; way++) {
			if (get(&set->count[way]) > 0) {
				parts[count].lowest = least;
				ret = read_part(&parts[count++], set, way, index);
			}
		}
	}
	if (ret == ICP_EOK) {
		ret = fold(list, parts, count, bound);
	}
	if (bound > list->bound) {
		list->bound = bound;
	}
	free(parts);
	return ret;
}

static int by_rank(const void *one, const void *other)
{
	const icp_top_entry_t *a = one;
	const icp_top_entry_t *b = other;
	if (a->count != b->count) {
		return a->count > b->count ? -1 : 1;
	}
	if (a->error != b->error) {
		return a->error < b->error ? -1 : 1;
	}
	return icp_name_compare(a->domain.wire, a->domain.length, b->domain.wire, b->domain.length);
}

void icp_top_sort(icp_top_list_t *list)
{
	if (list->count > 0) {
		qsort(list->items, list->count, sizeof *list->items, by_rank);
	}
}

void icp_top_deinit(icp_top_list_t *list)
{
	free(list->items);
	*list = (icp_top_list_t){.items = NULL};
}

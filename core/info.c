/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/info.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A state of XXH3 on the stack is aligned as it asks for. */
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "core/time.h"

#define SEAL "seal"
#define SOURCE "source"
#define FORMAT "format"
#define NUMBER_MAX 24

/*! Numbers, by ascending key; all of them have 64 bits. */
static const struct {
	const char *key;
	size_t at;
	bool optional; /*!< Not written when it has its default. */
} numbers[] = {
	{"as_of", offsetof(icp_store_info_t, as_of), true},
	{"base", offsetof(icp_store_info_t, base), false},
	{"buckets", offsetof(icp_store_info_t, buckets), false},
	{"commit", offsetof(icp_store_info_t, commit), false},
	{"created_at", offsetof(icp_store_info_t, created_at), false},
	{"digest", offsetof(icp_store_info_t, digest), false},
	{"generation", offsetof(icp_store_info_t, generation), false},
	{"map_size", offsetof(icp_store_info_t, map_size), false},
	{"nodes", offsetof(icp_store_info_t, nodes), false},
	{"replaced", offsetof(icp_store_info_t, replaced), true},
	{"rows", offsetof(icp_store_info_t, rows), false},
	{"sequence", offsetof(icp_store_info_t, sequence), false},
	{"superseded", offsetof(icp_store_info_t, superseded), true},
};

#define NUMBER_COUNT (sizeof numbers / sizeof *numbers)
_Static_assert(NUMBER_COUNT + 3 == ICP_INFO_ENTRIES, "format, source and seal");

static const icp_store_info_t defaults = {.as_of = ICP_TIME_NONE};

int64_t icp_info_age(const icp_store_info_t *info, int64_t now)
{
	int64_t from = info->as_of != ICP_TIME_NONE ? info->as_of : info->created_at;
	return now > from ? now - from : 0;
}

static int64_t get_number(const icp_store_info_t *info, size_t at)
{
	int64_t value;
	memcpy(&value, (const char *)info + at, sizeof value);
	return value;
}

static void seal_entry(
	XXH3_state_t *state, const void *key, size_t key_size, const void *value, size_t value_size)
{
	XXH3_64bits_update(state, key, key_size);
	XXH3_64bits_update(state, "", 1);
	XXH3_64bits_update(state, value, value_size);
	XXH3_64bits_update(state, "", 1);
}

static void seal_format(const XXH3_state_t *state, char text[NUMBER_MAX])
{
	snprintf(text, NUMBER_MAX, "%016" PRIx64, (uint64_t)XXH3_64bits_digest(state));
}

static int compare_entries(const void *a, const void *b)
{
	return strcmp(((const icp_info_entry_t *)a)->key, ((const icp_info_entry_t *)b)->key);
}

size_t icp_info_entries(const icp_store_info_t *info, icp_info_entry_t entries[ICP_INFO_ENTRIES])
{
	size_t count = 0;
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		int64_t value = get_number(info, numbers[i].at);
		if (!numbers[i].optional || value != get_number(&defaults, numbers[i].at)) {
			entries[count].key = numbers[i].key;
			snprintf(entries[count++].value, ICP_SOURCE_MAX, "%" PRId64, value);
		}
	}
	entries[count].key = FORMAT;
	snprintf(entries[count++].value, ICP_SOURCE_MAX, "%d", ICP_STORE_FORMAT);
	entries[count].key = SOURCE;
	snprintf(entries[count++].value, ICP_SOURCE_MAX, "%s", info->source);
	qsort(entries, count, sizeof *entries, compare_entries);

	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	for (size_t i = 0; i < count; i++) {
		seal_entry(&state, entries[i].key, strlen(entries[i].key), entries[i].value,
			strlen(entries[i].value));
	}
	entries[count].key = SEAL;
	seal_format(&state, entries[count++].value);
	return count;
}

static bool is_key(const icp_entry_t *entry, const char *key)
{
	return entry->key_size == strlen(key) && memcmp(entry->key, key, entry->key_size) == 0;
}

static int take_number(const icp_entry_t *entry, void *into)
{
	char text[NUMBER_MAX];
	char *end;
	if (entry->data_size == 0 || entry->data_size >= sizeof text) {
		return ICP_EDAMAGED;
	}
	memcpy(text, entry->data, entry->data_size);
	text[entry->data_size] = '\0';
	errno = 0;
	int64_t value = strtoll(text, &end, 10);
	if (*end != '\0' || errno != 0) {
		return ICP_EDAMAGED;
	}
	memcpy(into, &value, sizeof value);
	return ICP_EOK;
}

/*! What was read so far of the entries. */
typedef struct {
	XXH3_state_t state;
	icp_store_info_t *info;
	uint32_t found; /*!< A bit for each number. */
	int64_t format;
	char seal[NUMBER_MAX];
} reading_t;

static int take_entry(reading_t *reading, const icp_entry_t *entry)
{
	if (is_key(entry, SEAL)) {
		if (entry->data_size >= sizeof reading->seal) {
			return ICP_EDAMAGED;
		}
		memcpy(reading->seal, entry->data, entry->data_size);
		reading->seal[entry->data_size] = '\0';
		return ICP_EOK;
	}
	seal_entry(&reading->state, entry->key, entry->key_size, entry->data, entry->data_size);
	if (is_key(entry, FORMAT)) {
		return take_number(entry, &reading->format);
	}
	if (is_key(entry, SOURCE)) {
		if (entry->data_size >= sizeof reading->info->source) {
			return ICP_EDAMAGED;
		}
		memcpy(reading->info->source, entry->data, entry->data_size);
		return ICP_EOK;
	}
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		if (is_key(entry, numbers[i].key)) {
			reading->found |= UINT32_C(1) << i;
			return take_number(entry, (char *)reading->info + numbers[i].at);
		}
	}
	/* Of another format, perhaps, which only the entry for that tells. */
	return ICP_EOK;
}

static int finish(const reading_t *reading, const icp_pages_t *pages)
{
	char seal[NUMBER_MAX];
	if (reading->format != ICP_STORE_FORMAT) {
		return reading->format > 0 ? ICP_EVERSION : ICP_EDAMAGED;
	}
	seal_format(&reading->state, seal);
	if (strcmp(seal, reading->seal) != 0) {
		return ICP_EDAMAGED;
	}
	for (size_t i = 0; i < NUMBER_COUNT; i++) {
		if (!numbers[i].optional && (reading->found & UINT32_C(1) << i) == 0) {
			return ICP_EDAMAGED;
		}
	}
	/* A meta page that leads to the entries of another commit is damaged itself. */
	return reading->info->commit == pages->txn && reading->info->map_size == pages->map_size
		       ? ICP_EOK
		       : ICP_EDAMAGED;
}

int icp_info_read(icp_store_info_t *info, const icp_pages_t *pages)
{
	icp_tree_t tree;
	icp_pages_walk_t walk;
	icp_entry_t entry;
	*info = defaults;
	int ret = icp_pages_tree(pages, ICP_STORE_META, &tree);
	if (ret != 1) {
		return ICP_EDAMAGED;
	}
	reading_t reading = {.info = info};
	XXH3_64bits_reset(&reading.state);
	icp_pages_walk(&walk, pages, &tree);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		ret = take_entry(&reading, &entry);
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	return ret == 0 ? finish(&reading, pages) : ret;
}

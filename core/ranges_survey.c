/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/mmdb.h"
#include "core/ranges_private.h"

#define PATH_SHOWN 256
#define NAMES_SIZE 256 /* Octets at first. */
#define RANGES_SIZE 256

/* A tree may lead to its parts in more ways than one, but not in that many: nodes are gone through
 * so often, and some more times. */
#define VISITS_PER_NODE 2
#define VISITS (1U << 20)

/* Numbers of places under a key. */
typedef struct {
	uint32_t key; /* 0: empty slot. */
	uint32_t place;
} slot_t;

typedef struct {
	slot_t *slots;
	uint32_t count;
	unsigned bits;       /* Of the number of slots, of which at most half are used. */
	uint32_t multiplier; /* Odd, by lot: no file can have keys that fall together. */
} table_t;

/* The tree on its way into the lists. */
typedef struct {
	icp_ranges_t *ranges;
	icp_mmdb_t mmdb;
	table_t by_offset;  /* Offset of a record + 1. */
	table_t by_content; /* Hash of what it says. */
	uint32_t ipv4_root; /* Of the tree of IPv4. */
	unsigned bits;      /* Of the addresses of the list at work. */
	uint64_t visits;    /* That are left. */
	uint32_t node;      /* At work; for messages. */
	bool has_mainland;  /* A record has a string at the mainland path. */
} survey_t;

/* Room for more items; NULL when there is none. */
static void *list_grow(icp_list_t *list, size_t more, size_t size, size_t room_at_first)
{
	if (list->items == NULL || list->room - list->count < more) {
		size_t room = 2 * list->room + room_at_first + more;
		void *items = room > UINT32_MAX ? NULL : realloc(list->items, room * size);
		if (items == NULL) {
			return NULL;
		}
		list->items = items;
		list->room = room;
	}
	void *end = (char *)list->items + list->count * size;
	list->count += more;
	return end;
}

/* The slot of a key, or the empty one where it belongs. */
static slot_t *find_slot(const table_t *table, uint32_t key)
{
	uint32_t at = key * table->multiplier >> (32 - table->bits);
	while (table->slots[at].key != 0 && table->slots[at].key != key) {
		at = (at + 1) & ((UINT32_C(1) << table->bits) - 1);
	}
	return &table->slots[at];
}

/* Likewise, with room for one more; NULL: out of memory. */
static slot_t *reserve_slot(table_t *table, uint32_t key)
{
	size_t size = table->slots == NULL ? 0 : (size_t)1 << table->bits;
	if ((size_t)table->count * 2 >= size) {
		table_t grown = *table;
		grown.bits = size == 0 ? 8 : table->bits + 1;
		grown.slots =
			grown.bits > 31 ? NULL : calloc((size_t)1 << grown.bits, sizeof(slot_t));
		if (grown.slots == NULL) {
			return NULL;
		}
		for (size_t i = 0; i < size; i++) {
			if (table->slots[i].key != 0) {
				*find_slot(&grown, table->slots[i].key) = table->slots[i];
			}
		}
		free(table->slots);
		*table = grown;
	}
	return find_slot(table, key);
}

static void fill_slot(table_t *table, slot_t *slot, uint32_t key, uint32_t place)
{
	table->count += slot->key == 0;
	*slot = (slot_t){.key = key, .place = place};
}

/* Adds a place. */
static int add_place(
	icp_ranges_t *ranges, bool mainland, const char *name, size_t length, uint32_t *place)
{
	char *kept = list_grow(&ranges->names, length, 1, NAMES_SIZE);
	icp_says_t *says = list_grow(&ranges->places, 1, sizeof *says, 16);
	if (kept == NULL || says == NULL || ranges->places.count >= ICP_RANGES_ALIAS) {
		return ICP_ENOMEM;
	}
	memcpy(kept, name, length);
	*says = (icp_says_t){
		.provider = (uint32_t)(ranges->names.count - length),
		.mainland = mainland,
		.provider_length = (uint8_t)length,
	};
	*place = (uint32_t)(ranges->places.count - 1);
	return ICP_EOK;
}

/* Finds the place that says this, or adds it. */
static int intern_place(
	survey_t *survey, bool mainland, const char *name, size_t length, uint32_t *place)
{
	icp_ranges_t *ranges = survey->ranges;
	uint32_t key = (uint32_t)XXH3_64bits_withSeed(name, length, mainland) | 1;
	slot_t *slot = reserve_slot(&survey->by_content, key);
	if (slot == NULL) {
		return ICP_ENOMEM;
	}
	if (slot->key == key) {
		const icp_says_t *says = icp_says_of(ranges, slot->place);
		if (says->mainland == mainland && says->provider_length == length &&
			memcmp(icp_says_name(ranges, says), name, length) == 0) {
			*place = slot->place;
			return ICP_EOK;
		}
	}
	/* Of two with one hash the later is found. */
	int rc = add_place(ranges, mainland, name, length, place);
	if (rc == ICP_EOK) {
		fill_slot(&survey->by_content, slot, key, *place);
	}
	return rc;
}

/* Reads what a record says. ICP_ERANGES: it is damaged. */
static int read_record(survey_t *survey, MMDB_entry_s *entry, uint32_t *place)
{
	const icp_config_t *config = survey->ranges->config;
	const char *country;
	const char *provider = NULL;
	uint32_t country_length;
	uint32_t provider_length = 0;
	bool mainland = false;
	if (!icp_mmdb_string(entry, config->ranges.mainland_path, &country, &country_length) ||
		(config->ranges.provider_path[0] != NULL &&
			!icp_mmdb_string(entry, config->ranges.provider_path, &provider,
				&provider_length))) {
		return ICP_ERANGES;
	}
	if (country != NULL) {
		const char *wanted = config->ranges.mainland_equals;
		mainland = country_length == strlen(wanted) &&
			   memcmp(country, wanted, country_length) == 0;
		survey->has_mainland = true;
	}
	if (provider == NULL || provider_length > ICP_PROVIDER_MAX) {
		provider = "";
		provider_length = 0;
	}
	return intern_place(survey, mainland, provider, provider_length, place);
}

/* Checks the record at an offset of the data, when it comes for the first time, and reads it. */
static int take_record(survey_t *survey, MMDB_entry_s *entry, uint32_t *place)
{
	uint32_t key = entry->offset + 1;
	slot_t *slot = reserve_slot(&survey->by_offset, key);
	if (slot == NULL) {
		return ICP_ENOMEM;
	}
	if (slot->key == key) {
		*place = slot->place;
		return ICP_EOK;
	}
	int rc = icp_mmdb_check(&survey->mmdb, entry->offset) ? read_record(survey, entry, place)
							      : ICP_ERANGES;
	if (rc == ICP_EOK) {
		fill_slot(&survey->by_offset, slot, key, *place);
	}
	return rc;
}

/* Appends a range; one that says the same as the one before is a part of it. */
static int add_range(survey_t *survey, const uint64_t first[2], uint32_t place)
{
	icp_ranges_t *ranges = survey->ranges;
	if (survey->bits == ICP_IPV4_BITS) {
		const icp_range4_t *end =
			(const icp_range4_t *)ranges->ipv4.items + ranges->ipv4.count;
		if (ranges->ipv4.count > 0 && end[-1].place == place) {
			return ICP_EOK;
		}
		icp_range4_t *range = list_grow(&ranges->ipv4, 1, sizeof *range, RANGES_SIZE);
		if (range == NULL) {
			return ICP_ENOMEM;
		}
		*range = (icp_range4_t){.first = (uint32_t)(first[0] >> 32), .place = place};
		return ICP_EOK;
	}
	const icp_range6_t *end = (const icp_range6_t *)ranges->ipv6.items + ranges->ipv6.count;
	if (ranges->ipv6.count > 0 && end[-1].place == place) {
		return ICP_EOK;
	}
	icp_range6_t *range = list_grow(&ranges->ipv6, 1, sizeof *range, RANGES_SIZE);
	if (range == NULL) {
		return ICP_ENOMEM;
	}
	*range = (icp_range6_t){.first = {first[0], first[1]}, .place = place};
	return ICP_EOK;
}

static int walk_node(survey_t *survey, uint32_t node, const uint64_t first[2], unsigned depth);

/* Takes one record of a node, and all that hangs under it. */
static int walk_record(survey_t *survey, uint64_t record, unsigned type, MMDB_entry_s *entry,
	const uint64_t first[2], unsigned depth)
{
	uint32_t place = 0;
	if (type == MMDB_RECORD_TYPE_SEARCH_NODE && depth < survey->bits) {
		return walk_node(survey, (uint32_t)record, first, depth);
	}
	if (type == MMDB_RECORD_TYPE_DATA &&
		record >= (uint64_t)survey->mmdb.db.metadata.node_count + ICP_MMDB_SEPARATOR) {
		int rc = take_record(survey, entry, &place);
		if (rc != ICP_EOK) {
			return rc;
		}
	} else if (type != MMDB_RECORD_TYPE_EMPTY && type != MMDB_RECORD_TYPE_SEARCH_NODE) {
		return ICP_ERANGES;
	}
	return add_range(survey, first, place);
}

static int walk_node(survey_t *survey, uint32_t node, const uint64_t first[2], unsigned depth)
{
	MMDB_search_node_s found;
	if (survey->bits == ICP_IPV6_BITS && node == survey->ipv4_root && depth <= ICP_IPV4_AT) {
		return add_range(survey, first, ICP_RANGES_ALIAS | depth);
	}
	survey->node = node;
	if (survey->visits-- == 0) {
		return ICP_EBUSY;
	}
	if (MMDB_read_node(&survey->mmdb.db, node, &found) != MMDB_SUCCESS) {
		return ICP_ERANGES;
	}
	int rc = walk_record(survey, found.left_record, found.left_record_type,
		&found.left_record_entry, first, depth + 1);
	if (rc != ICP_EOK) {
		return rc;
	}
	uint64_t right[2] = {first[0], first[1]};
	right[depth / 64] |= UINT64_C(1) << (63 - depth % 64);
	survey->node = node;
	return walk_record(survey, found.right_record, found.right_record_type,
		&found.right_record_entry, right, depth + 1);
}

/* Fills the list of IPv4; its tree hangs under zeros in one of IPv6. */
static int walk_ipv4(survey_t *survey)
{
	static const uint64_t zero[2];
	const MMDB_s *db = &survey->mmdb.db;
	uint32_t node = 0;
	survey->bits = ICP_IPV4_BITS;
	for (unsigned depth = 0; db->metadata.ip_version == 6 && depth < ICP_IPV4_AT; depth++) {
		MMDB_search_node_s found;
		survey->node = node;
		if (MMDB_read_node(db, node, &found) != MMDB_SUCCESS) {
			return ICP_ERANGES;
		}
		if (found.left_record_type != MMDB_RECORD_TYPE_SEARCH_NODE) {
			/* One range that holds all of IPv4. */
			return walk_record(survey, found.left_record, found.left_record_type,
				&found.left_record_entry, zero, ICP_IPV4_BITS);
		}
		node = (uint32_t)found.left_record;
	}
	survey->ipv4_root = node;
	return walk_node(survey, node, zero, 0);
}

static int walk_ipv6(survey_t *survey)
{
	static const uint64_t zero[2];
	survey->bits = ICP_IPV6_BITS;
	return survey->mmdb.db.metadata.ip_version == 6 ? walk_node(survey, 0, zero, 0) : ICP_EOK;
}

/* Says that no record has the mainland path, naming its keys. */
static int fail_path(const icp_config_t *config, icp_diag_t *diag)
{
	char keys[PATH_SHOWN] = "";
	for (const char *const *key = config->ranges.mainland_path; *key != NULL; key++) {
		size_t used = strlen(keys);
		snprintf(keys + used, sizeof keys - used, "%s%s", used == 0 ? "" : ", ", *key);
	}
	return icp_fail(diag, ICP_ERANGES,
		"%s: no record has a string at ranges.mainland.path: [%s]", config->ranges.database,
		keys);
}

static int fail_node(const survey_t *survey, int rc, icp_diag_t *diag)
{
	const char *path = survey->ranges->config->ranges.database;
	if (rc == ICP_ENOMEM) {
		return icp_fail(diag, rc, "%s: %s", path, icp_strerror(rc));
	}
	if (rc == ICP_EBUSY) {
		return icp_fail(
			diag, ICP_ERANGES, "%s: tree leads to its parts in too many ways", path);
	}
	return icp_fail(
		diag, rc, "%s: tree node %" PRIu32 ": a record is damaged", path, survey->node);
}

/* Gives back the room that a list does not need. */
static void icp_list_trim(icp_list_t *list, size_t size)
{
	void *items = list->count == 0 ? NULL : realloc(list->items, list->count * size);
	if (items != NULL) {
		list->items = items;
		list->room = list->count;
	}
}

int icp_ranges_survey(icp_ranges_t *ranges, icp_diag_t *diag)
{
	uint32_t none;
	uint32_t lot = 0;
	if (getrandom(&lot, sizeof lot, 0) != sizeof lot) {
		return icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
	}
	survey_t survey = {.ranges = ranges,
		.by_offset = {.multiplier = lot | 1},
		.by_content = {.multiplier = lot | 1},
		.ipv4_root = UINT32_MAX};
	int rc = icp_mmdb_open(&survey.mmdb, ranges->config->ranges.database, diag);
	if (rc != ICP_EOK) {
		return rc;
	}
	ranges->file = survey.mmdb.file;
	survey.visits = VISITS_PER_NODE * (uint64_t)survey.mmdb.db.metadata.node_count + VISITS;
	rc = intern_place(&survey, false, "", 0, &none);
	rc = rc == ICP_EOK ? walk_ipv4(&survey) : rc;
	rc = rc == ICP_EOK ? walk_ipv6(&survey) : rc;
	if (rc != ICP_EOK) {
		rc = fail_node(&survey, rc, diag);
	} else if (!survey.has_mainland) {
		rc = fail_path(ranges->config, diag);
	}
	icp_list_trim(&ranges->ipv4, sizeof(icp_range4_t));
	icp_list_trim(&ranges->ipv6, sizeof(icp_range6_t));
	icp_mmdb_close(&survey.mmdb);
	free(survey.by_offset.slots);
	free(survey.by_content.slots);
	return rc;
}

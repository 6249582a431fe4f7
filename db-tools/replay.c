/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "loader/changes.h"
#include "loader/entities.h"
#include "loader/slab.h"

/*! A pair that a delta puts or deletes. What it leads to lies in the slab. */
typedef struct {
	uint64_t hash;
	const uint8_t *name;
	const char *provider;
	uint8_t name_length;
	uint8_t provider_length;
} pair_t;

struct icp_replay {
	icp_reader_t *reader;
	icp_slab_t slab;
	pair_t *pairs; /*!< By hash, name and provider; one may be there more than once. */
	size_t count;
	size_t capacity;
	icp_row_t *entities; /*!< Deregistered; their numbers alone. */
	size_t entity_count;

	size_t at; /*!< The next pair. */
	icp_nodes_t feed;
	icp_node_t node; /*!< The feed's next one, if has_node. */
	bool has_node;
	bool ended;
	uint8_t *rows; /*!< Of the node that was put together last. */
	size_t rows_capacity;
};

/*! The rows of a node, one after the other. */
typedef struct {
	const uint8_t *at;
	size_t left;
	size_t count; /*!< With the one that is present. */
	icp_row_t row;
	size_t length; /*!< Of the row's octets. */
} rows_t;

/*! Pairs of one name. */
typedef struct {
	const pair_t *pairs;
	size_t count;
} group_t;

static int take_pair(icp_replay_t *replay, const icp_change_t *change)
{
	const icp_name_t *name = &change->name;
	size_t length = change->row.provider_length;
	if (replay->count == replay->capacity) {
		size_t capacity = 2 * replay->capacity + 64;
		pair_t *pairs = realloc(replay->pairs, capacity * sizeof *pairs);
		if (pairs == NULL) {
			return ICP_ENOMEM;
		}
		replay->pairs = pairs;
		replay->capacity = capacity;
	}
	uint8_t *octets = icp_slab_take(&replay->slab, name->length + length);
	if (octets == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(octets, name->wire, name->length);
	memcpy(octets + name->length, change->row.provider, length);
	replay->pairs[replay->count++] = (pair_t){
		.hash = icp_name_hash(name->wire, name->length),
		.name = octets,
		.provider = (const char *)octets + name->length,
		.name_length = name->length,
		.provider_length = (uint8_t)length,
	};
	return ICP_EOK;
}

static int take_entity(icp_replay_t *replay, const icp_row_t *entity)
{
	icp_row_t *entities =
		realloc(replay->entities, (replay->entity_count + 1) * sizeof *replay->entities);
	if (entities == NULL) {
		return ICP_ENOMEM;
	}
	replay->entities = entities;
	uint8_t *number = icp_slab_take(&replay->slab, entity->number_length);
	if (number == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(number, entity->number, entity->number_length);
	entities[replay->entity_count++] = (icp_row_t){
		.number = (const char *)number,
		.number_length = entity->number_length,
	};
	return ICP_EOK;
}

static int take_delta(icp_replay_t *replay, uint64_t sequence)
{
	const uint8_t *stored;
	size_t length;
	icp_changes_t *changes;
	icp_change_t change;
	size_t at = 0;
	int ret = icp_reader_delta(replay->reader, sequence, &stored, &length);
	if (ret != 1) {
		return ICP_EDAMAGED;
	}
	ret = icp_changes_from_stored(&changes, stored, length);
	if (ret != ICP_EOK) {
		return ret;
	}
	while ((ret = icp_changes_next(changes, &at, &change)) == 1) {
		ret = change.op == ICP_OP_DEREGISTER_ENTITY ? take_entity(replay, &change.row)
							    : take_pair(replay, &change);
		if (ret != ICP_EOK) {
			break;
		}
	}
	icp_changes_destroy(changes);
	return ret;
}

static icp_row_t provider_of(const pair_t *pair)
{
	return (icp_row_t){.provider = pair->provider, .provider_length = pair->provider_length};
}

/*! The order of nodes. */
static int compare_names(uint64_t hash, const uint8_t *name, size_t length, const pair_t *pair)
{
	if (hash != pair->hash) {
		return hash < pair->hash ? -1 : 1;
	}
	return icp_stored_compare(name, length, pair->name, pair->name_length);
}

static int compare_pairs(const void *one, const void *other)
{
	const pair_t *a = one;
	const pair_t *b = other;
	int order = compare_names(a->hash, a->name, a->name_length, b);
	if (order != 0) {
		return order;
	}
	icp_row_t row_a = provider_of(a);
	icp_row_t row_b = provider_of(b);
	return icp_provider_compare(&row_a, &row_b);
}

int icp_replay_create(icp_replay_t **replay, icp_reader_t *reader, uint64_t after, icp_diag_t *diag)
{
	icp_replay_t *made = calloc(1, sizeof *made);
	if (made == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "deltas: out of memory");
	}
	made->reader = reader;
	for (uint64_t sequence = after + 1; sequence <= reader->info.sequence; sequence++) {
		int ret = take_delta(made, sequence);
		if (ret != ICP_EOK) {
			icp_replay_destroy(made);
			return icp_fail(diag, ret,
				"delta %" PRIu64 " of generation %" PRIu64 ": %s", sequence,
				reader->info.generation, icp_strerror(ret));
		}
	}
	if (made->count > 0) {
		qsort(made->pairs, made->count, sizeof *made->pairs, compare_pairs);
	}
	*replay = made;
	return ICP_EOK;
}

void icp_replay_destroy(icp_replay_t *replay)
{
	if (replay != NULL) {
		icp_slab_deinit(&replay->slab);
		free(replay->pairs);
		free(replay->entities);
		free(replay->rows);
		free(replay);
	}
}

static int decode(rows_t *rows)
{
	if (rows->count == 0) {
		return ICP_EOK;
	}
	rows->length = icp_row_decode(&rows->row, rows->at, rows->left);
	return rows->length > 0 ? ICP_EOK : ICP_EDAMAGED;
}

/*! Begins with the first row; without a node there is none. */
static int begin_rows(rows_t *rows, const icp_node_t *node)
{
	*rows = (rows_t){.count = 0};
	if (node != NULL) {
		rows->at = node->rows;
		rows->left = node->rows_length;
		rows->count = node->row_count;
	}
	return decode(rows);
}

static int pass_row(rows_t *rows)
{
	rows->at += rows->length;
	rows->left -= rows->length;
	rows->count--;
	return decode(rows);
}

static bool is_named(const group_t *group, const icp_row_t *row)
{
	size_t low = 0;
	size_t high = group->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		icp_row_t provider = provider_of(&group->pairs[middle]);
		int order = icp_provider_compare(&provider, row);
		if (order == 0) {
			return true;
		}
		if (order < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return false;
}

/*! Writes a row behind those of the node that is put together. */
static int put_row(icp_replay_t *replay, icp_node_t *node, const icp_row_t *row)
{
	size_t used = node->rows_length;
	if (replay->rows_capacity - used < ICP_ROW_MAX) {
		size_t capacity = 2 * replay->rows_capacity + ICP_ROW_MAX;
		uint8_t *rows = realloc(replay->rows, capacity);
		if (rows == NULL) {
			return ICP_ENOMEM;
		}
		replay->rows = rows;
		replay->rows_capacity = capacity;
	}
	node->rows_length += icp_row_encode(row, replay->rows + used);
	node->rows = replay->rows;
	node->row_count++;
	return ICP_EOK;
}

/*! The feed's row, as the deltas' deregistrations leave it. */
static int put_own(icp_replay_t *replay, icp_node_t *node, icp_row_t row)
{
	for (size_t i = 0; i < replay->entity_count; i++) {
		if (icp_entity_holds(&replay->entities[i], &row)) {
			row.status = ICP_DEREGISTERED;
			row.expires_at = ICP_TIME_NONE;
			row.rectify_by = ICP_TIME_NONE;
		}
	}
	return put_row(replay, node, &row);
}

/*! Rows whose pairs are named are the generation's, the others the feed's. */
static int merge(
	icp_replay_t *replay, rows_t *own, rows_t *current, const group_t *group, icp_node_t *node)
{
	int ret = ICP_EOK;
	while (ret == ICP_EOK && own->count + current->count > 0) {
		int order = 0;
		if (own->count > 0 && current->count > 0) {
			order = icp_provider_compare(&own->row, &current->row);
		} else {
			order = own->count > 0 ? -1 : 1;
		}
		const icp_row_t *provider = order <= 0 ? &own->row : &current->row;
		bool named = is_named(group, provider);
		if (named && order >= 0) {
			ret = put_row(replay, node, &current->row);
		} else if (!named && order <= 0) {
			ret = put_own(replay, node, own->row);
		}
		if (ret == ICP_EOK && order <= 0) {
			ret = pass_row(own);
		}
		if (ret == ICP_EOK && order >= 0) {
			ret = pass_row(current);
		}
	}
	return ret;
}

/*!
 * Puts a node together.
 * \param own    the feed's; NULL: it has none
 * \param group  its pairs that are named; may be none
 */
static int assemble(
	icp_replay_t *replay, const icp_node_t *own, const group_t *group, icp_node_t *node)
{
	icp_node_t found;
	rows_t own_rows;
	rows_t current_rows;
	int ret = 0;
	*node = (icp_node_t){.below = own != NULL && own->below};
	node->name = own != NULL ? own->name : group->pairs->name;
	node->name_length = own != NULL ? own->name_length : group->pairs->name_length;
	if (group->count > 0) {
		ret = icp_reader_find_node(replay->reader, node->name, node->name_length, &found);
	}
	if (ret >= 0) {
		ret = begin_rows(&current_rows, ret == 1 ? &found : NULL);
	}
	if (ret == ICP_EOK) {
		ret = begin_rows(&own_rows, own);
	}
	if (ret == ICP_EOK) {
		ret = merge(replay, &own_rows, &current_rows, group, node);
	}
	return ret == ICP_EOK ? 1 : ret;
}

/*! The next pair and those of the same name behind it. */
static group_t take_group(icp_replay_t *replay)
{
	const pair_t *first = &replay->pairs[replay->at];
	group_t group = {first, 0};
	while (replay->at < replay->count &&
		compare_names(first->hash, first->name, first->name_length,
			&replay->pairs[replay->at]) == 0) {
		replay->at++;
		group.count++;
	}
	return group;
}

/*! Nearly all nodes are of no entity that was deregistered, and pass as they are. */
static bool may_be_of_entity(const icp_replay_t *replay)
{
	const icp_node_t *node = &replay->node;
	for (size_t i = 0; i < replay->entity_count; i++) {
		const icp_row_t *entity = &replay->entities[i];
		if (memmem(node->rows, node->rows_length, entity->number, entity->number_length) !=
			NULL) {
			return true;
		}
	}
	return false;
}

/*! Where the feed's next node stands to the next pair: before it, at it, behind it. */
static int compare_next(const icp_replay_t *replay)
{
	const icp_node_t *node = &replay->node;
	if (replay->at == replay->count) {
		return -1;
	}
	if (!replay->has_node) {
		return 1;
	}
	return compare_names(icp_name_hash(node->name, node->name_length), node->name,
		node->name_length, &replay->pairs[replay->at]);
}

static int next(void *context, icp_node_t *node)
{
	icp_replay_t *replay = context;
	group_t group = {NULL, 0};
	if (!replay->has_node && !replay->ended) {
		int ret = replay->feed.next(replay->feed.context, &replay->node);
		if (ret < 0) {
			return ret;
		}
		replay->has_node = ret == 1;
		replay->ended = ret == 0;
	}
	if (replay->ended && replay->at == replay->count) {
		return 0;
	}
	int order = compare_next(replay);
	if (order >= 0) {
		group = take_group(replay);
	}
	if (order > 0) {
		return assemble(replay, NULL, &group, node);
	}
	replay->has_node = false;
	if (order == 0 || may_be_of_entity(replay)) {
		return assemble(replay, &replay->node, &group, node);
	}
	*node = replay->node;
	return 1;
}

icp_nodes_t icp_replay_over(icp_replay_t *replay, icp_nodes_t feed)
{
	replay->feed = feed;
	return (icp_nodes_t){next, replay};
}

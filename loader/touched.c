/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/touched.h"

#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "loader/entities.h"
#include "loader/slab.h"

#define FIRST_SLOTS 64 /*!< A power of two. */

/*! A row in its stored form. */
typedef struct {
	const uint8_t *octets;
	size_t length;
	icp_row_t row; /*!< Leads into the octets. */
} held_t;

typedef struct {
	icp_touched_node_t node;
	held_t *rows; /*!< By ascending provider. */
	size_t count;
	size_t capacity;
	bool below;
} entry_t;

struct icp_touched {
	icp_reader_t *reader;
	icp_slab_t slab;
	entry_t **slots; /*!< Hash table with open addressing; NULL: free. */
	size_t capacity;
	size_t count;
	icp_touched_node_t *result;
};

icp_touched_t *icp_touched_create(icp_reader_t *reader)
{
	icp_touched_t *touched = calloc(1, sizeof *touched);
	if (touched == NULL) {
		return NULL;
	}
	touched->reader = reader;
	touched->capacity = FIRST_SLOTS;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	touched->slots = calloc(touched->capacity, sizeof *touched->slots);
	if (touched->slots == NULL) {
		free(touched);
		return NULL;
	}
	return touched;
}

void icp_touched_destroy(icp_touched_t *touched)
{
	if (touched == NULL) {
		return;
	}
	for (size_t i = 0; i < touched->capacity; i++) {
		if (touched->slots[i] != NULL) {
			free(touched->slots[i]->rows);
			free(touched->slots[i]);
		}
	}
	icp_slab_deinit(&touched->slab);
	free(touched->slots);
	free(touched->result);
	free(touched);
}

/*! The slot of a name, or the free one where it belongs. */
static entry_t **find_slot(
	entry_t **slots, size_t capacity, uint64_t hash, const uint8_t *name, size_t length)
{
	size_t at = hash & (capacity - 1);
	while (slots[at] != NULL) {
		const icp_touched_node_t *node = &slots[at]->node;
		if (node->hash == hash && node->name_length == length &&
			memcmp(node->name, name, length) == 0) {
			break;
		}
		at = (at + 1) & (capacity - 1);
	}
	return &slots[at];
}

static int grow(icp_touched_t *touched)
{
	size_t capacity = 2 * touched->capacity;
	/* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
	entry_t **slots = calloc(capacity, sizeof *slots);
	if (slots == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < touched->capacity; i++) {
		entry_t *entry = touched->slots[i];
		if (entry != NULL) {
			*find_slot(slots, capacity, entry->node.hash, entry->node.name,
				entry->node.name_length) = entry;
		}
	}
	free(touched->slots);
	touched->slots = slots;
	touched->capacity = capacity;
	return ICP_EOK;
}

/*! Opens a gap among the rows. */
static int make_room(entry_t *entry, size_t at)
{
	if (entry->count == entry->capacity) {
		size_t capacity = 2 * entry->capacity + 2;
		held_t *rows = realloc(entry->rows, capacity * sizeof *rows);
		if (rows == NULL) {
			return ICP_ENOMEM;
		}
		entry->rows = rows;
		entry->capacity = capacity;
	}
	memmove(&entry->rows[at + 1], &entry->rows[at], (entry->count - at) * sizeof *entry->rows);
	entry->count++;
	return ICP_EOK;
}

/*! Takes the rows of the node as it is. */
static int take_rows(entry_t *entry, const icp_node_t *node)
{
	size_t at = 0;
	for (size_t i = 0; i < node->row_count; i++) {
		held_t held = {.octets = node->rows + at};
		held.length = icp_row_decode(&held.row, held.octets, node->rows_length - at);
		if (held.length == 0) {
			return ICP_EDAMAGED;
		}
		int ret = make_room(entry, i);
		if (ret != ICP_EOK) {
			return ret;
		}
		entry->rows[i] = held;
		at += held.length;
	}
	return ICP_EOK;
}

/*! Reads a node for the first time. */
static int read_entry(icp_touched_t *touched, entry_t *entry, const uint8_t *name, size_t length)
{
	icp_touched_node_t *node = &entry->node;
	uint8_t *copy = icp_slab_take(&touched->slab, length);
	if (copy == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(copy, name, length);
	node->name = copy;
	node->name_length = (uint8_t)length;
	node->hash = icp_name_hash(name, length);
	int ret = icp_reader_find_node(touched->reader, name, length, &node->before);
	if (ret < 0) {
		return ret;
	}
	node->existed = ret == 1;
	entry->below = node->existed && node->before.below;
	return node->existed ? take_rows(entry, &node->before) : ICP_EOK;
}

/*! Gives the entry of a name. */
static int touch(icp_touched_t *touched, const uint8_t *name, size_t length, entry_t **entry)
{
	uint64_t hash = icp_name_hash(name, length);
	entry_t **slot = find_slot(touched->slots, touched->capacity, hash, name, length);
	if (*slot != NULL) {
		*entry = *slot;
		return ICP_EOK;
	}
	entry_t *new = calloc(1, sizeof *new);
	int ret = new != NULL ? read_entry(touched, new, name, length) : ICP_ENOMEM;
	if (ret != ICP_EOK) {
		if (new != NULL) {
			free(new->rows);
		}
		free(new);
		return ret;
	}
	*slot = new;
	*entry = new;
	touched->count++;
	return 2 * touched->count > touched->capacity ? grow(touched) : ICP_EOK;
}

/*! Position of the provider's row, or where it belongs. */
static size_t find_row(const entry_t *entry, const icp_row_t *row, bool *found)
{
	size_t low = 0;
	size_t high = entry->count;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (icp_provider_compare(&entry->rows[middle].row, row) < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	*found = low < entry->count && icp_provider_compare(&entry->rows[low].row, row) == 0;
	return low;
}

static int hold(icp_touched_t *touched, const icp_row_t *row, held_t *held)
{
	uint8_t octets[ICP_ROW_MAX];
	held->length = icp_row_encode(row, octets);
	uint8_t *copy = icp_slab_take(&touched->slab, held->length);
	if (copy == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(copy, octets, held->length);
	held->octets = copy;
	icp_row_decode(&held->row, copy, held->length);
	return ICP_EOK;
}

/*! Says in every parent that there is something below it. */
static int mark_parents(icp_touched_t *touched, const icp_name_t *name)
{
	size_t at = 0;
	for (unsigned labels = name->labels; labels > 2; labels--) {
		entry_t *parent;
		at += 1 + (size_t)name->wire[at];
		int ret = touch(touched, name->wire + at, name->length - at, &parent);
		/* One that was marked before has parents that were. */
		if (ret != ICP_EOK || parent->below) {
			return ret;
		}
		parent->below = true;
	}
	return ICP_EOK;
}

static int upsert(icp_touched_t *touched, const icp_change_t *change)
{
	entry_t *entry;
	held_t held;
	bool found;
	int ret = touch(touched, change->name.wire, change->name.length, &entry);
	if (ret == ICP_EOK) {
		ret = hold(touched, &change->row, &held);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	size_t at = find_row(entry, &change->row, &found);
	if (!found) {
		if (entry->count == ICP_NODE_ROWS_MAX) {
			return ICP_EINVAL;
		}
		ret = make_room(entry, at);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	entry->rows[at] = held;
	return mark_parents(touched, &change->name);
}

/*! Parents keep their marks: a lookup then goes a level deeper for nothing, until the next full
 * feed. To take them back, all that is below would have to be known. */
static int delete (icp_touched_t *touched, const icp_change_t *change)
{
	entry_t *entry;
	bool found;
	int ret = touch(touched, change->name.wire, change->name.length, &entry);
	if (ret != ICP_EOK) {
		return ret;
	}
	size_t at = find_row(entry, &change->row, &found);
	if (found) {
		entry->count--;
		memmove(&entry->rows[at], &entry->rows[at + 1],
			(entry->count - at) * sizeof *entry->rows);
	}
	return ICP_EOK;
}

/*! Touches every node of the snapshot that holds rows of entities that are deregistered. */
static int touch_entities(icp_touched_t *touched, const icp_entities_t *entities)
{
	icp_walk_t walk;
	icp_node_t node;
	int ret;
	icp_walk_begin(&walk, touched->reader);
	while ((ret = icp_walk_next(&walk, &node)) == 1) {
		entry_t *entry;
		size_t at = 0;
		bool theirs = false;
		for (size_t i = 0; i < node.row_count && !theirs; i++) {
			icp_row_t row;
			size_t octets = icp_row_decode(&row, node.rows + at, node.rows_length - at);
			if (octets == 0) {
				return ICP_EDAMAGED;
			}
			theirs = icp_entities_hold(entities, &row);
			at += octets;
		}
		ret = theirs ? touch(touched, node.name, node.name_length, &entry) : ICP_EOK;
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	return ret;
}

/*! All nodes with rows of the entity were touched before. */
static int deregister(icp_touched_t *touched, const icp_row_t *entity)
{
	int ret = ICP_EOK;
	for (size_t i = 0; i < touched->capacity && ret == ICP_EOK; i++) {
		entry_t *entry = touched->slots[i];
		for (size_t at = 0; entry != NULL && at < entry->count && ret == ICP_EOK; at++) {
			icp_row_t row = entry->rows[at].row;
			if (icp_entity_holds(entity, &row)) {
				row.status = ICP_DEREGISTERED;
				row.expires_at = ICP_TIME_NONE;
				row.rectify_by = ICP_TIME_NONE;
				ret = hold(touched, &row, &entry->rows[at]);
			}
		}
	}
	return ret;
}

/*! One walk finds the rows of all entities. */
static int prepare(icp_touched_t *touched, const icp_changes_t *changes)
{
	icp_entities_t entities = {.items = NULL};
	int ret = icp_entities_collect(&entities, changes);
	if (ret == ICP_EOK && entities.count > 0) {
		ret = touch_entities(touched, &entities);
	}
	icp_entities_deinit(&entities);
	return ret;
}

static int apply_one(icp_touched_t *touched, const icp_change_t *change)
{
	switch (change->op) {
	case ICP_OP_UPSERT:
		return upsert(touched, change);
	case ICP_OP_DELETE:
		return delete (touched, change);
	default:
		return deregister(touched, &change->row);
	}
}

_Static_assert(ICP_NODE_ROWS_MAX == 32767, "as is said");

int icp_touched_apply(icp_touched_t *touched, const icp_changes_t *changes, icp_bad_t *bad)
{
	icp_change_t change;
	size_t at = 0;
	bool any_bad = false;
	int ret = prepare(touched, changes);
	for (size_t i = 0; ret == ICP_EOK && (ret = icp_changes_next(changes, &at, &change)) == 1;
		i++) {
		ret = apply_one(touched, &change);
		if (ret == ICP_EINVAL) {
			icp_bad_add_pair(bad, icp_changes_line(changes, i),
				"domain would have over 32767 rows", &change.row);
			any_bad = true;
			ret = ICP_EOK;
		}
	}
	return ret == ICP_EOK && any_bad ? ICP_EINVAL : ret;
}

/*! Writes a node as it will be. */
static int encode(icp_touched_t *touched, const entry_t *entry, icp_node_t *after)
{
	size_t head = 1 + (size_t)entry->node.name_length + 2;
	size_t length = head;
	for (size_t i = 0; i < entry->count; i++) {
		length += entry->rows[i].length;
	}
	uint8_t *octets = icp_slab_take(&touched->slab, length);
	if (octets == NULL) {
		return ICP_ENOMEM;
	}
	icp_node_encode_head(
		octets, entry->node.name, entry->node.name_length, entry->count, entry->below);
	uint8_t *at = octets + head;
	for (size_t i = 0; i < entry->count; i++) {
		memcpy(at, entry->rows[i].octets, entry->rows[i].length);
		at += entry->rows[i].length;
	}
	*after = (icp_node_t){
		.name = octets + 1,
		.name_length = entry->node.name_length,
		.rows = octets + head,
		.rows_length = length - head,
		.row_count = (uint16_t)entry->count,
		.below = entry->below,
	};
	return ICP_EOK;
}

static bool differs(const icp_touched_node_t *node)
{
	if (!node->existed || !node->exists) {
		return node->existed != node->exists;
	}
	return node->before.below != node->after.below ||
	       node->before.rows_length != node->after.rows_length ||
	       memcmp(node->before.rows, node->after.rows, node->after.rows_length) != 0;
}

static int compare_nodes(const void *one, const void *other)
{
	const icp_touched_node_t *a = one;
	const icp_touched_node_t *b = other;
	if (a->hash != b->hash) {
		return a->hash < b->hash ? -1 : 1;
	}
	return icp_stored_compare(a->name, a->name_length, b->name, b->name_length);
}

int icp_touched_finish(icp_touched_t *touched, const icp_touched_node_t **nodes, size_t *count)
{
	*count = 0;
	touched->result = malloc((touched->count + 1) * sizeof *touched->result);
	if (touched->result == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < touched->capacity; i++) {
		entry_t *entry = touched->slots[i];
		if (entry == NULL) {
			continue;
		}
		entry->node.exists = entry->count > 0 || entry->below;
		if (entry->node.exists && encode(touched, entry, &entry->node.after) != ICP_EOK) {
			return ICP_ENOMEM;
		}
		if (differs(&entry->node)) {
			touched->result[(*count)++] = entry->node;
		}
	}
	qsort(touched->result, *count, sizeof *touched->result, compare_nodes);
	*nodes = touched->result;
	return ICP_EOK;
}

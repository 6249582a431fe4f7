/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/entities.h"

#include <stdlib.h>
#include <string.h>

#include "core/error.h"

static int compare(const void *one, const void *other)
{
	const icp_entity_t *a = one;
	const icp_entity_t *b = other;
	size_t shorter = a->length < b->length ? a->length : b->length;
	int order = memcmp(a->text, b->text, shorter);
	return order != 0 ? order : (a->length > b->length) - (a->length < b->length);
}

static int add(icp_entities_t *entities, size_t *capacity, const icp_row_t *row)
{
	if (entities->count == *capacity) {
		*capacity = 2 * *capacity + 16;
		icp_entity_t *items = realloc(entities->items, *capacity * sizeof *items);
		if (items == NULL) {
			return ICP_ENOMEM;
		}
		entities->items = items;
	}
	entities->items[entities->count++] = (icp_entity_t){row->number, row->number_length};
	return ICP_EOK;
}

int icp_entities_collect(icp_entities_t *entities, const icp_changes_t *changes)
{
	icp_change_t change;
	size_t capacity = 0;
	size_t at = 0;
	int ret;
	while ((ret = icp_changes_next(changes, &at, &change)) == 1) {
		if (change.op == ICP_OP_DEREGISTER_ENTITY &&
			add(entities, &capacity, &change.row) != ICP_EOK) {
			return ICP_ENOMEM;
		}
	}
	if (entities->count > 0) {
		qsort(entities->items, entities->count, sizeof *entities->items, compare);
	}
	return ret;
}

void icp_entities_deinit(icp_entities_t *entities)
{
	free(entities->items);
	*entities = (icp_entities_t){.items = NULL};
}

/*! Octets of a number without the hyphen and digits of a site; all of them if it has none. */
static size_t entity_length(const icp_row_t *row)
{
	size_t length = row->number_length;
	while (length > 0 && row->number[length - 1] >= '0' && row->number[length - 1] <= '9') {
		length--;
	}
	bool is_site = length > 0 && length < row->number_length && row->number[length - 1] == '-';
	return is_site ? length - 1 : row->number_length;
}

bool icp_entities_hold(const icp_entities_t *entities, const icp_row_t *row)
{
	const icp_entity_t keys[] = {
		{row->number, row->number_length}, {row->number, entity_length(row)}};
	for (size_t i = 0; entities->count > 0 && i < 2; i++) {
		if (bsearch(&keys[i], entities->items, entities->count, sizeof *entities->items,
			    compare) != NULL) {
			return true;
		}
	}
	return false;
}

bool icp_entity_holds(const icp_row_t *entity, const icp_row_t *row)
{
	icp_entity_t item = {entity->number, entity->number_length};
	const icp_entities_t one = {.items = &item, .count = 1};
	return icp_entities_hold(&one, row);
}

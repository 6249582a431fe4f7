/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/count.h"
#include "core/error.h"
#include "core/node.h"

#define FIRST_PLACES 16

_Static_assert(
	ICP_GROUPS_TEXT_MAX > ICP_GROUPS_SHOWN * (ICP_GROUP_NAME_MAX + 3 + ICP_COUNT_TEXT_MAX) +
				      2 * ICP_COUNT_TEXT_MAX + 9,
	"the longest text fits");

void icp_groups_deinit(icp_groups_t *groups)
{
	free(groups->places);
	*groups = (icp_groups_t){.places = NULL};
}

/*! The place of a word, or the free one where it belongs. */
static icp_group_t *find_place(
	icp_group_t *places, size_t capacity, const char *name, size_t length)
{
	size_t at = icp_name_hash((const uint8_t *)name, length) & (capacity - 1);
	while (places[at].count > 0 &&
		(places[at].length != length || memcmp(places[at].name, name, length) != 0)) {
		at = (at + 1) & (capacity - 1);
	}
	return &places[at];
}

static int grow(icp_groups_t *groups)
{
	size_t capacity = groups->capacity == 0 ? FIRST_PLACES : 2 * groups->capacity;
	icp_group_t *places = calloc(capacity, sizeof *places);
	if (places == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < groups->capacity; i++) {
		const icp_group_t *group = &groups->places[i];
		if (group->count > 0) {
			*find_place(places, capacity, group->name, group->length) = *group;
		}
	}
	free(groups->places);
	groups->places = places;
	groups->capacity = capacity;
	return ICP_EOK;
}

int icp_groups_count(icp_groups_t *groups, const char *name, size_t length)
{
	if (2 * groups->used >= groups->capacity && grow(groups) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	icp_group_t *group = find_place(groups->places, groups->capacity, name, length);
	if (group->count++ == 0) {
		memcpy(group->name, name, length);
		group->length = (uint8_t)length;
		groups->used++;
	}
	return ICP_EOK;
}

static bool goes_before(const icp_group_t *a, const icp_group_t *b)
{
	return a->count != b->count ? a->count > b->count : strcmp(a->name, b->name) < 0;
}

size_t icp_groups_largest(const icp_groups_t *groups, icp_group_t *largest, size_t room)
{
	size_t count = 0;
	for (size_t i = 0; i < groups->capacity; i++) {
		const icp_group_t *group = &groups->places[i];
		if (group->count == 0 ||
			(count == room && (room == 0 || !goes_before(group, &largest[room - 1])))) {
			continue;
		}
		size_t at = count < room ? count++ : room - 1;
		for (; at > 0 && goes_before(group, &largest[at - 1]); at--) {
			largest[at] = largest[at - 1];
		}
		largest[at] = *group;
	}
	return count;
}

static uint64_t total(const icp_groups_t *groups)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < groups->capacity; i++) {
		sum += groups->places[i].count;
	}
	return sum;
}

void icp_groups_format(const icp_groups_t *groups, char text[ICP_GROUPS_TEXT_MAX])
{
	icp_group_t largest[ICP_GROUPS_SHOWN];
	size_t count = icp_groups_largest(groups, largest, ICP_GROUPS_SHOWN);
	uint64_t left = total(groups);
	char number[ICP_COUNT_TEXT_MAX];
	size_t at = 0;
	text[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		icp_count_format(largest[i].count, number);
		at += (size_t)snprintf(text + at, ICP_GROUPS_TEXT_MAX - at, "%s%s %s",
			i > 0 ? ", " : "", largest[i].name, number);
		left -= largest[i].count;
	}
	if (left > 0) {
		char others[ICP_COUNT_TEXT_MAX];
		icp_count_format(groups->used - count, others);
		icp_count_format(left, number);
		snprintf(text + at, ICP_GROUPS_TEXT_MAX - at, ", %s other%s %s", others,
			groups->used - count == 1 ? "" : "s", number);
	}
}

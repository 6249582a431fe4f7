/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of the sketch share: names, sketches, and a merge of them as they are in memory.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/top.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define TURN 2
#define SKETCHES_MAX 4

static inline icp_name_t name_of(const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return name;
}

static inline void add_name(icp_top_t *top, uint64_t turn, const icp_name_t *name)
{
	icp_top_add(top, turn, name->wire, name->length);
}

static inline void add_text(icp_top_t *top, uint64_t turn, const char *text)
{
	icp_name_t name = name_of(text);
	add_name(top, turn, &name);
}

static inline size_t set_of(const icp_name_t *name)
{
	return XXH3_64bits(name->wire, name->length) / (UINT64_MAX / ICP_TOP_SETS + 1);
}

/*! Merges sketches as they are in memory. */
static inline int merge(icp_top_list_t *list, icp_top_t *const *tops, size_t count, uint64_t turn)
{
	static icp_top_set_t sets[SKETCHES_MAX];
	int ret = ICP_EOK;
	*list = (icp_top_list_t){.items = NULL};
	for (size_t index = 0; index < ICP_TOP_SETS && ret == ICP_EOK; index++) {
		for (size_t i = 0; i < count; i++) {
			memcpy(&sets[i], &tops[i]->sets[index], sizeof sets[i]);
		}
		ret = icp_top_merge(list, sets, count, index, turn);
	}
	icp_top_sort(list);
	return ret;
}

static inline icp_top_t *make_sketch(void)
{
	icp_top_t *top = aligned_alloc(64, sizeof *top);
	assert_non_null(top);
	memset(top, 0, sizeof *top);
	return top;
}

static inline const icp_top_entry_t *find(const icp_top_list_t *list, const icp_name_t *name)
{
	for (size_t i = 0; i < list->count; i++) {
		const icp_name_t *domain = &list->items[i].domain;
		if (domain->length == name->length &&
			memcmp(domain->wire, name->wire, name->length) == 0) {
			return &list->items[i];
		}
	}
	return NULL;
}

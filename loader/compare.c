/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/compare.h"

#include <string.h>

static int next_of_none(void *context, icp_node_t *node)
{
	(void)context;
	(void)node;
	return 0;
}

icp_nodes_t icp_nodes_none(void)
{
	return (icp_nodes_t){next_of_none, NULL};
}

static int next_of_walk(void *context, icp_node_t *node)
{
	return icp_walk_next(context, node);
}

icp_nodes_t icp_nodes_of_walk(icp_walk_t *walk)
{
	return (icp_nodes_t){next_of_walk, walk};
}

static int next_of_index(void *context, icp_node_t *node)
{
	return icp_index_next(context, node);
}

icp_nodes_t icp_nodes_of_index(icp_index_t *index)
{
	return (icp_nodes_t){next_of_index, index};
}

/*! The rows of one node, one after the other. */
typedef struct {
	const uint8_t *at;
	size_t left;
	uint16_t count; /*!< Not read yet. */
	bool present;   /*!< There is a row. */
	const uint8_t *octets;
	size_t length;
	icp_row_t row;
} rows_t;

/*! Reads the next row. Rows out of order would be told as gone and new. */
static int read_row(rows_t *rows)
{
	bool present = rows->present;
	icp_row_t previous = rows->row;
	rows->present = rows->count > 0;
	if (!rows->present) {
		return rows->left == 0 ? ICP_EOK : ICP_EDAMAGED;
	}
	rows->octets = rows->at;
	rows->length = icp_row_decode(&rows->row, rows->at, rows->left);
	if (rows->length == 0 || (present && icp_provider_compare(&previous, &rows->row) >= 0)) {
		return ICP_EDAMAGED;
	}
	rows->at += rows->length;
	rows->left -= rows->length;
	rows->count--;
	return ICP_EOK;
}

/*! Begins with the first row; without a node there is none. */
static int begin_rows(rows_t *rows, const icp_node_t *node)
{
	icp_name_t name;
	*rows = (rows_t){.present = false};
	if (node == NULL) {
		return ICP_EOK;
	}
	if (icp_name_from_stored(&name, node->name, node->name_length) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	rows->at = node->rows;
	rows->left = node->rows_length;
	rows->count = node->row_count;
	rows->row = (icp_row_t){
		.domain = node->name,
		.domain_length = node->name_length,
		.labels = name.labels,
	};
	return read_row(rows);
}

static bool same_octets(const rows_t *a, const rows_t *b)
{
	return a->length == b->length && memcmp(a->octets, b->octets, a->length) == 0;
}

int icp_compare_nodes(
	const icp_node_t *one, const icp_node_t *other, icp_compare_visit_t visit, void *context)
{
	rows_t before;
	rows_t after;
	int ret = begin_rows(&before, one);
	if (ret == ICP_EOK) {
		ret = begin_rows(&after, other);
	}
	while (ret == ICP_EOK && (before.present || after.present)) {
		int order = 0;
		if (before.present && after.present) {
			order = icp_provider_compare(&before.row, &after.row);
		} else {
			order = before.present ? -1 : 1;
		}
		if (order != 0 || !same_octets(&before, &after)) {
			ret = visit(order <= 0 ? &before.row : NULL, order >= 0 ? &after.row : NULL,
				context);
		}
		if (ret == ICP_EOK && order <= 0) {
			ret = read_row(&before);
		}
		if (ret == ICP_EOK && order >= 0) {
			ret = read_row(&after);
		}
	}
	return ret;
}

static bool same_name(const icp_node_t *a, const icp_node_t *b)
{
	return a->name_length == b->name_length && memcmp(a->name, b->name, a->name_length) == 0;
}

static bool same_rows(const icp_node_t *a, const icp_node_t *b)
{
	return a->row_count == b->row_count && a->rows_length == b->rows_length &&
	       (a->rows_length == 0 || memcmp(a->rows, b->rows, a->rows_length) == 0);
}

/*! The order of nodes whose names differ. */
static int compare_places(const icp_node_t *a, const icp_node_t *b)
{
	uint64_t hash_a = icp_name_hash(a->name, a->name_length);
	uint64_t hash_b = icp_name_hash(b->name, b->name_length);
	if (hash_a != hash_b) {
		return hash_a < hash_b ? -1 : 1;
	}
	return icp_stored_compare(a->name, a->name_length, b->name, b->name_length);
}

int icp_compare(icp_nodes_t before, icp_nodes_t after, icp_compare_visit_t visit, void *context)
{
	icp_node_t one;
	icp_node_t other;
	int left = before.next(before.context, &one);
	int right = after.next(after.context, &other);

	while (left >= 0 && right >= 0 && left + right > 0) {
		int order = right - left;
		/* Nearly all nodes are the same in both, and need no hash. */
		if (left == right && !same_name(&one, &other)) {
			order = compare_places(&one, &other);
		}
		if (order != 0 || !same_rows(&one, &other)) {
			int ret = icp_compare_nodes(order <= 0 ? &one : NULL,
				order >= 0 ? &other : NULL, visit, context);
			if (ret != ICP_EOK) {
				return ret;
			}
		}
		if (order <= 0) {
			left = before.next(before.context, &one);
		}
		if (order >= 0) {
			right = after.next(after.context, &other);
		}
	}
	if (left < 0) {
		return left;
	}
	return right < 0 ? right : ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The rows of a full feed in memory, on their way to be the nodes of a generation (see
 * core/node.h): collected, sorted, freed of pairs given twice, and joined with the parents that
 * they need. One thread.
 */
#pragma once

#include "core/error.h"
#include "core/name.h"
#include "core/node.h"
#include "core/row.h"
#include "loader/bad.h"

typedef struct icp_index icp_index_t;

typedef struct {
	uint64_t rows;
	uint64_t domains; /*!< Nodes with rows. */
	uint64_t nodes;   /*!< With the empty non-terminals. */
	uint64_t octets;  /*!< That the nodes need in buckets, at most. */
} icp_index_counts_t;

/*!
 * \brief Called with one encoded node.
 * \param node  lives until the call ends
 * \return anything but ICP_EOK ends the walk
 */
typedef int (*icp_node_visit_t)(uint64_t hash, const uint8_t *node, size_t length, void *context);

/*! \return NULL when out of memory */
icp_index_t *icp_index_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_index_destroy(icp_index_t *index);

/*!
 * \brief Adds a row; it is copied.
 * \param line  of the feed
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_index_add(icp_index_t *index, const icp_name_t *name, const icp_row_t *row, uint64_t line);

/*!
 * \brief Sorts what was added and counts it; nothing can be added afterwards.
 * \param bad  takes each pair that was given before, and rows beyond ICP_NODE_ROWS_MAX of a domain
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_index_sort(icp_index_t *index, icp_bad_t *bad, icp_index_counts_t *counts);

/*!
 * \brief Calls visit for every node, by ascending hash. Only after icp_index_sort, without bad
 *        rows.
 * \retval ICP_EOK, ICP_ENOMEM, or what visit returned last
 */
int icp_index_each(const icp_index_t *index, icp_node_visit_t visit, void *context);

/*!
 * \brief Gives the next node, by ascending (hash, name), names by (length, octets); the rows of a
 *        node are by ascending octets of their providers. Begins anew after the end. Only after
 *        icp_index_sort, without bad rows.
 * \param node  lives until the next call
 * \retval 1  a node
 * \retval 0  the end
 * \retval ICP_ENOMEM
 */
int icp_index_next(icp_index_t *index, icp_node_t *node);

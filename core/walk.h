/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The nodes of a snapshot one by one. Stands in for that of format 2. One thread.
 */
#pragma once

#include "core/store.h"

typedef struct icp_walk {
	icp_reader_t *reader;
	const uint8_t *bucket;
	size_t length;
	size_t position; /*!< Of the next node in the bucket. */
	size_t count;
	uint64_t key;
	bool begun;
} icp_walk_t;

/*! \brief Begins before the first node. The reader must hold a snapshot. */
void icp_walk_begin(icp_walk_t *walk, icp_reader_t *reader);

/*!
 * \brief Gives the next node, by ascending (hash, name).
 * \retval 1  a node
 * \retval 0  the end
 * \retval ICP_EDAMAGED
 */
int icp_walk_next(icp_walk_t *walk, icp_node_t *node);

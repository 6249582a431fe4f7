/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The nodes that a delta touches: as they stand in a snapshot, and as they will be. Changes are
 * applied here, in memory; update.h writes the result. One thread.
 */
#pragma once

#include "core/store.h"
#include "loader/bad.h"
#include "loader/changes.h"

typedef struct icp_touched icp_touched_t;

/*! One node. Its pointers live as long as the icp_touched_t and the snapshot. */
typedef struct {
	uint64_t hash;
	const uint8_t *name;
	uint8_t name_length;
	bool existed;      /*!< In the snapshot. */
	bool exists;       /*!< From now on. */
	icp_node_t before; /*!< If it existed. */
	icp_node_t after;  /*!< If it exists; its octets are one piece, see icp_node_octets. */
} icp_touched_node_t;

/*!
 * \param reader  holds its snapshot as long as the result is used
 * \return NULL when out of memory
 */
icp_touched_t *icp_touched_create(icp_reader_t *reader);

/*! \brief Frees it; NULL is fine. */
void icp_touched_destroy(icp_touched_t *touched);

/*!
 * \brief Applies changes in their order.
 * \param bad  takes each change by which a domain would have over ICP_NODE_ROWS_MAX rows
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EDAMAGED  what they touch is damaged
 * \retval ICP_EINVAL    there are bad ones
 */
int icp_touched_apply(icp_touched_t *touched, const icp_changes_t *changes, icp_bad_t *bad);

/*!
 * \brief Gives the nodes that differ from the snapshot, by ascending (hash, name). Nothing can be
 *        applied afterwards.
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_touched_finish(icp_touched_t *touched, const icp_touched_node_t **nodes, size_t *count);

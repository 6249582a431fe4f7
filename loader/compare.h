/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What differs between two states of the filing database: both are walked in step, as their nodes
 * stand in one order, and only nodes that differ are looked into. Works on anything that gives
 * nodes one by one: a generation, a feed in memory. One thread.
 */
#pragma once

#include "core/error.h"
#include "core/node.h"
#include "core/store.h"
#include "loader/index.h"

/*!
 * Gives nodes by ascending (hash, name), names by (length, octets); the rows of a node are by
 * ascending octets of their providers. A value; what the context points at must outlive it.
 */
typedef struct {
	/*! 1: a node, which lives until the next call; 0: the end; else an error code. */
	int (*next)(void *context, icp_node_t *node);
	void *context;
} icp_nodes_t;

/*! \brief No nodes: a state that holds nothing. */
icp_nodes_t icp_nodes_none(void);

/*! \brief The nodes of a generation, from where the walk stands. */
icp_nodes_t icp_nodes_of_walk(icp_walk_t *walk);

/*! \brief The nodes of a feed in memory, see icp_index_next. */
icp_nodes_t icp_nodes_of_index(icp_index_t *index);

/*!
 * \brief Called with one (domain, provider) pair that differs in any field.
 * \param before, after  NULL: there is no such row there; one of them is not NULL. They live until
 *                       the call ends.
 * \return anything but ICP_EOK ends the comparison
 */
typedef int (*icp_compare_visit_t)(const icp_row_t *before, const icp_row_t *after, void *context);

/*!
 * \brief Calls visit for every pair that differs; pairs of one domain follow each other.
 * \retval ICP_EOK
 * \retval ICP_EDAMAGED  a node that differs holds what is no name or no row
 * \return or what visit or a source returned last
 */
int icp_compare(icp_nodes_t before, icp_nodes_t after, icp_compare_visit_t visit, void *context);

/*!
 * \brief Calls visit for every pair that differs between two nodes of one name.
 * \param one, other  before and after; NULL: there is no such node; one of them is not NULL
 * \retval as icp_compare
 */
int icp_compare_nodes(
	const icp_node_t *one, const icp_node_t *other, icp_compare_visit_t visit, void *context);

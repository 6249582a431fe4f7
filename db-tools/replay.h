/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A full feed as a load of it would leave it: with the deltas applied that a generation has beyond
 * the feed's sequence. Works on nodes as they pass, without a store or an index of its own.
 *
 * The generation has these deltas already. So a pair that one of them puts or deletes ends as it
 * stands in the generation, whatever the feed holds; only a pair that none of them names is the
 * feed's, and of the deltas only the deregistration of its entity, at whatever time, can have
 * changed it. Parents that the deltas add are not among the nodes: they have no rows. One thread.
 */
#pragma once

#include "core/store.h"
#include "loader/compare.h"

typedef struct icp_replay icp_replay_t;

/*!
 * \brief Reads the deltas of a generation that are newer than a sequence.
 * \param reader  holds its snapshot as long as the replay is used
 * \param after   not below info.base of the generation
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_replay_create(
	icp_replay_t **replay, icp_reader_t *reader, uint64_t after, icp_diag_t *diag);

/*! \brief Frees it; NULL is fine. */
void icp_replay_destroy(icp_replay_t *replay);

/*! \brief The nodes of a feed, with the deltas applied. For one walk. */
icp_nodes_t icp_replay_over(icp_replay_t *replay, icp_nodes_t feed);

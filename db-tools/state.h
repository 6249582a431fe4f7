/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A state of the filing database that diff compares: a generation of the store, or a full feed,
 * which is read whole and checked by the rules of loading. One thread.
 */
#pragma once

#include "core/store.h"
#include "loader/compare.h"

typedef struct {
	const char *text; /*!< As it was named. */
	bool is_feed;
	bool has_sequence;     /*!< Not a feed without a manifest. */
	icp_store_info_t info; /*!< Of a feed: sequence, as_of and rows. */
	icp_reader_t reader;   /*!< Of a generation, with a snapshot. */
	icp_walk_t walk;
	icp_index_t *index; /*!< Of a feed. */
} icp_state_t;

/*! \brief True when the text names a feed: not "current", and not the number of a generation. */
bool icp_state_is_feed(const char *text);

/*!
 * \brief Opens a state.
 * \param text   "current", the number of a generation, or the path of a feed
 * \param store  not used for a feed
 * \param other  a state already open, or NULL: of the same generation it shares the store, which a
 *               process may open only once
 * \retval ICP_EOK
 * \retval ICP_EFEED  the feed is not valid; its bad rows were written to stderr
 * \retval ICP_ENOMEM; those of icp_store_open and icp_reader_begin
 */
int icp_state_open(icp_state_t *state, const char *text, const char *store,
	const icp_state_t *other, icp_diag_t *diag);

/*! \brief Frees it; a zeroed one is fine. */
void icp_state_close(icp_state_t *state);

/*! \brief Its nodes, from the first. */
icp_nodes_t icp_state_nodes(icp_state_t *state);

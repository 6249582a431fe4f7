/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Rewrites the buckets of the nodes that a delta touches, in a transaction. One thread.
 */
#pragma once

#include "loader/touched.h"

typedef struct {
	const char *path;     /*!< For messages. */
	icp_reader_t *reader; /*!< With a snapshot of the state before the transaction. */
	struct MDB_txn *txn;
	unsigned buckets;       /*!< Handle of ICP_STORE_BUCKETS. */
	icp_store_info_t *info; /*!< Its members buckets and digest are kept right. */
	icp_diag_t *diag;
} icp_rewrite_t;

/*!
 * \brief Writes nodes into their buckets; a bucket that grows over its page is split. The buckets
 *        are checked whole before.
 * \param nodes  by ascending (hash, name)
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_EFULL, ICP_ESYS, ICP_ENOMEM
 */
int icp_rewrite_nodes(icp_rewrite_t *rewrite, const icp_touched_node_t *nodes, size_t count);

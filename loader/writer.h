/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Writes the file of a new generation: an LMDB environment that nobody else knows of yet. One
 * thread.
 */
#pragma once

#include "core/store.h"

typedef struct icp_writer icp_writer_t;

/*!
 * \brief Makes the file; it must not exist.
 * \param path, diag  must outlive the writer
 * \param octets  that the nodes will need in buckets, at most
 * \retval ICP_EOK
 * \retval ICP_ESYS    can't be made, no space left
 * \retval ICP_ENOMEM
 */
int icp_writer_open(icp_writer_t **writer, const char *path, uint64_t octets, icp_diag_t *diag);

/*! \brief Closes the file; what was not finished is lost. NULL is fine. */
void icp_writer_close(icp_writer_t *writer);

/*!
 * \brief Adds an encoded node, by ascending hash. Its signature is that of icp_node_visit_t.
 * \param context  the writer
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM  the diag of icp_writer_open is filled
 */
int icp_writer_add(uint64_t hash, const uint8_t *node, size_t length, void *context);

/*!
 * \brief Adds what is kept of a delta; after all nodes, by ascending sequence.
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_writer_delta(icp_writer_t *writer, uint64_t sequence, const uint8_t *stored, size_t length);

/*!
 * \brief Writes the last bucket and the meta entries, and brings all to the disk.
 * \param info  what is known of the content is set here: buckets, commit, digest, map_size
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_writer_finish(icp_writer_t *writer, icp_store_info_t *info);

/*!
 * \brief Replaces the meta entries in a transaction.
 * \param meta  handle of ICP_STORE_META
 * \param info  commit is set here
 * \return LMDB's code
 */
int icp_writer_put_info(struct MDB_txn *txn, unsigned meta, icp_store_info_t *info);

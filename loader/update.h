/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Writes to a generation that is there: each step one LMDB transaction, so that a reader, or a
 * power cut, finds the state before it or the state after it. One thread; the store must be locked.
 */
#pragma once

#include "loader/bad.h"
#include "loader/changes.h"
#include "loader/compare.h"

typedef struct icp_update icp_update_t;

/*! What a delta is, beside its changes. */
typedef struct {
	uint64_t sequence;
	int64_t as_of;
	const char *source; /*!< Must not be that of icp_update_info, which is written. */
	icp_bad_t *bad;     /*!< Takes changes that a domain has no room for; NULL: one is told. */
} icp_update_delta_t;

/*!
 * \brief Opens a generation and checks that LMDB can work on it.
 * \param path  of its file; must outlive the update
 * \param sync  false: steps are brought to the disk by icp_update_sync alone
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ESYS, ICP_ENOMEM; those of icp_store_open_file
 */
int icp_update_open(icp_update_t **update, const char *path, bool sync, icp_diag_t *diag);

/*! \brief Closes it; what was not committed is dropped. NULL is fine. */
void icp_update_close(icp_update_t *update);

/*! \brief What the generation says of itself, with what was applied. */
const icp_store_info_t *icp_update_info(const icp_update_t *update);

/*! \brief False when so many pages are free, or held by readers, that a copy is the better place.
 */
bool icp_update_has_room(const icp_update_t *update);

/*!
 * \brief Applies a delta in a transaction, which icp_update_commit or icp_update_abort has to end.
 * \param visit  called for each pair that differs; may be NULL
 * \retval ICP_EOK
 * \retval ICP_EFULL     the file has no room for it
 * \retval ICP_EDAMAGED  what it touches is damaged
 * \retval ICP_EFEED     a domain would have too many rows; diag tells of the first
 * \retval ICP_ESYS, ICP_ENOMEM, or what visit returned; nothing is left to be ended then
 */
int icp_update_apply(icp_update_t *update, icp_changes_t *changes, const icp_update_delta_t *delta,
	icp_compare_visit_t visit, void *context, icp_diag_t *diag);

/*! \brief Number of the transaction. */
uint64_t icp_update_transaction(const icp_update_t *update);

/*! \retval ICP_EOK, ICP_EFULL, ICP_ESYS, ICP_ENOMEM */
int icp_update_commit(icp_update_t *update, icp_diag_t *diag);

void icp_update_abort(icp_update_t *update);

/*!
 * \brief Says in the generation, in a transaction, that another one is current, or (0) that it is.
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_update_supersede(icp_update_t *update, uint64_t generation, icp_diag_t *diag);

/*! \brief Brings all that was committed to the disk. \retval ICP_EOK, ICP_ESYS */
int icp_update_sync(icp_update_t *update, icp_diag_t *diag);

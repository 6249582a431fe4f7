/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Applies deltas to the current generation, each in one transaction with its sequence in it. A
 * generation whose file has no room, or is half empty because a reader holds its old pages, is
 * copied to a new one on the way. One thread.
 */
#pragma once

#include "loader/bad.h"
#include "loader/session.h"
#include "loader/update.h"

typedef struct {
	icp_session_t session;
	icp_update_t *update; /*!< On the current generation; NULL: not opened yet. */
	char *path;           /*!< Of its file. */
} icp_delta_t;

typedef struct {
	bool skipped;     /*!< It was applied before. */
	uint64_t changes; /*!< Rows of the delta. */
	uint64_t pairs;   /*!< Pairs that differ now. */
	uint64_t gained;  /*!< Permissions. */
	uint64_t lost;
	icp_store_info_t info; /*!< Of the generation, after it. */
} icp_delta_result_t;

/*!
 * \brief Locks the store.
 * \retval ICP_EOK; those of icp_session_open
 * \retval ICP_ENOSTORE   there is no current generation to apply deltas to
 * \retval ICP_EDAMAGED, ICP_EVERSION
 */
int icp_delta_open(icp_delta_t *delta, const icp_session_options_t *options, icp_diag_t *diag);

void icp_delta_close(icp_delta_t *delta);

/*!
 * \brief Loads one feed, with its manifest.
 * \param bad     zeroed; takes the feed's bad rows
 * \param result  filled on success
 * \retval ICP_EOK
 * \retval ICP_EFEED  the feed or its manifest is not valid, or it is out of sequence
 * \retval those of icp_delta_apply; nothing changed then
 */
int icp_delta_load(icp_delta_t *delta, const char *feed, icp_delta_result_t *result, icp_bad_t *bad,
	icp_diag_t *diag);

/*!
 * \brief Applies changes that were read and checked. The sequence must be the next one.
 * \param result  filled on success
 * \retval ICP_EOK
 * \retval ICP_EFEED     a domain would have too many rows
 * \retval ICP_EDAMAGED, ICP_ESYS, ICP_ENOMEM  nothing changed
 */
int icp_delta_apply(icp_delta_t *delta, icp_changes_t *changes, const icp_update_delta_t *what,
	icp_delta_result_t *result, icp_diag_t *diag);

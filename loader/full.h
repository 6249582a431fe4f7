/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Loads a full feed: a new generation is built beside the current one, checked whole, and made
 * current in one step. On any failure the store stays as it is. One thread.
 */
#pragma once

#include "loader/bad.h"
#include "loader/guard.h"
#include "loader/progress.h"
#include "loader/session.h"
#include "loader/stream.h"

/*! A full feed that is not a file, and what else its manifest would say. */
typedef struct {
	icp_give_t give;
	void *context;
	uint64_t sequence;
	int64_t as_of;
} icp_full_origin_t;

typedef struct {
	const char *feed;                /*!< Its file, or for messages what origin is. */
	const icp_full_origin_t *origin; /*!< NULL: there is a file. */
	bool manifest_optional;          /*!< A feed without a manifest is accepted. */
	bool force;                      /*!< However many permissions are lost. */
	icp_max_lost_t max_lost;
	icp_session_options_t options; /*!< Its time becomes created_at. */
	icp_progress_t *progress;
} icp_full_job_t;

typedef struct {
	icp_store_info_t info;
	uint64_t domains; /*!< Of the feed. */
	uint64_t size;    /*!< Octets of the generation's file. */
	uint64_t lost;    /*!< Permissions, against the generation before. */
	uint64_t gained;
	uint64_t replayed; /*!< Deltas newer than the feed. */
} icp_full_result_t;

/*!
 * \brief Loads a feed. It is read before the store is locked.
 * \param result  filled on success
 * \param bad     zeroed; takes the feed's bad rows
 * \param diag    filled on failure
 * \retval ICP_EOK
 * \retval ICP_EFEED   the feed can't be read, has bad rows, or does not agree with its manifest
 * \retval ICP_EGUARD  it is older than that of the current generation, or too many permissions
 *                     would be lost
 * \retval ICP_EBUSY   another loader holds the store
 * \retval ICP_ESYS, ICP_ENOMEM, ICP_EDAMAGED
 */
int icp_full_load(
	const icp_full_job_t *job, icp_full_result_t *result, icp_bad_t *bad, icp_diag_t *diag);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a store holds: the current generation, and those that are kept.
 */
#pragma once

#include "loader/generations.h"

typedef struct {
	uint64_t number;
	bool current;
	int code; /*!< ICP_EOK; else info and size are void. */
	icp_store_info_t info;
	uint64_t size; /*!< Octets. */
} icp_kept_t;

typedef struct {
	icp_store_info_t info; /*!< Of the current generation. */
	uint64_t size;         /*!< Octets. */
	icp_kept_t *kept;      /*!< Newest first. */
	size_t kept_count;
} icp_status_t;

/*!
 * \brief Reads the state of a store, without its lock.
 * \param status  freed with icp_status_deinit on success
 * \retval ICP_EOK
 * \retval those of icp_store_open, icp_generations_list
 */
int icp_status_read(icp_status_t *status, const char *store, icp_diag_t *diag);

void icp_status_deinit(icp_status_t *status);

/*! \brief Seconds since the data's time, or since the build when that is not known. */
int64_t icp_status_age(const icp_status_t *status, int64_t now);

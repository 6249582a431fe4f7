/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a store holds: the current generation, and those that are kept.
 */
#pragma once

#include "loader/generations.h"
#include "loader/readers.h"

typedef struct {
	uint64_t number;
	bool current;
	int code; /*!< ICP_EOK; else info and size are void. */
	icp_store_info_t info;
	uint64_t size;   /*!< Octets. */
	icp_diag_t diag; /*!< Without ICP_EOK: why. */
} icp_kept_t;

typedef struct {
	int code;        /*!< Of reading the current generation; else info and size are void. */
	icp_diag_t diag; /*!< Without ICP_EOK: why. */
	icp_store_info_t info; /*!< Of the current generation. */
	uint64_t size;         /*!< Octets. */
	int readers_code;      /*!< Of counting them; else readers is void. */
	icp_diag_t readers_diag;
	icp_readers_t readers; /*!< Of the current generation, without this process. */
	bool audit_pending;    /*!< Lines of the audit log wait for the next load. */
	icp_kept_t *kept;      /*!< Newest first. */
	size_t kept_count;
} icp_status_t;

/*!
 * \brief Reads the state of a store, without its lock.
 * \param status  freed with icp_status_deinit on success; also filled when the current generation
 *                can't be read
 * \retval ICP_EOK
 * \retval ICP_ENOSTORE  no current generation
 * \retval those of icp_generations_list
 */
int icp_status_read(icp_status_t *status, const char *store, icp_diag_t *diag);

/*!
 * \brief The same for a process that must outlive whatever becomes of LMDB's lock file: it does not
 *        open that, and has the readers counted by a child. That they can't be counted leaves the
 *        generation one that can be read, unless it is for a damaged lock file.
 */
int icp_status_read_apart(
	icp_status_t *status, const char *store, icp_readers_memory_t *readers, icp_diag_t *diag);

void icp_status_deinit(icp_status_t *status);

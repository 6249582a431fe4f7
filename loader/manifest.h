/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The manifest beside a feed (icpgate-feed(5)).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "loader/source.h"

typedef struct {
	const char *kind; /*!< A constant: "full" or "delta". */
	uint64_t sequence;
	uint64_t rows;
	int64_t as_of;
	uint8_t sha256[ICP_SHA256_SIZE];
} icp_manifest_t;

/*!
 * \brief The path of a feed's manifest: without the suffix of compression, with ".json".
 * \return freed by the caller; NULL when out of memory
 */
char *icp_manifest_path(const char *feed);

/*!
 * \brief Reads a manifest strictly: each key once, none missing, no other.
 * \param no_links  a symbolic link is not followed
 * \param found  false when there is no such file
 * \retval ICP_EOK
 * \retval ICP_EFEED   not there, can't be read, or not valid: "FILE: key: what is wrong"
 * \retval ICP_ENOMEM
 */
int icp_manifest_read(
	icp_manifest_t *manifest, const char *path, bool no_links, bool *found, icp_diag_t *diag);

/*!
 * \brief Likewise, of an open file; path is for messages.
 * \retval ICP_EOK, ICP_EFEED, ICP_ENOMEM
 */
int icp_manifest_read_file(icp_manifest_t *manifest, int file, const char *path, icp_diag_t *diag);

/*!
 * \brief Compares what was read of the feed with what the manifest says.
 * \param path  of the manifest
 * \retval ICP_EOK, ICP_EFEED
 */
int icp_manifest_check(const icp_manifest_t *manifest, const char *path, uint64_t rows,
	const uint8_t digest[ICP_SHA256_SIZE], icp_diag_t *diag);

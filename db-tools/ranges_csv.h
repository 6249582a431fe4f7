/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Compiles address ranges from CSV (RFC 4180, UTF-8) to a range database.
 *
 * The header row names the columns prefix, country and provider, in any order. A prefix is an IPv4
 * or IPv6 prefix or address, a country two upper-case letters, a provider a slug or empty. Empty
 * lines and a byte order mark are skipped.
 */
#pragma once

#include "core/error.h"
#include "db-tools/mmdb_write.h"

typedef icp_mmdb_stats_t icp_ranges_stats_t;

/*!
 * \brief Reads the CSV file and writes the database; see icp_mmdb_write for what becomes of
 *        out_path.
 * \param build_epoch  seconds, above zero; the time of the build as the file tells it
 * \param stats        filled on success
 * \param diag         on ICP_EINVAL: "FILE:LINE: what is wrong: VALUE"
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EINVAL  the CSV file is not valid
 * \retval ICP_ESYS    a file can't be read or written
 */
int icp_ranges_compile(const char *csv_path, const char *out_path, int64_t build_epoch,
	icp_ranges_stats_t *stats, icp_diag_t *diag);

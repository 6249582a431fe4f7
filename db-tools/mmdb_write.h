/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Writer of range databases: MaxMind DB format 2.0, one IPv6 tree with the IPv4 addresses under
 * ::/96, records of the shape {country: {iso_code}, provider}.
 *
 * Where prefixes overlap the longest wins. The families are kept apart: an IPv6 prefix that covers
 * ::/96 says nothing about IPv4 addresses. Equal neighbours are merged, equal records are stored
 * once, and the same input gives the same file. A writer belongs to one thread.
 */
#pragma once

#include "core/address.h"
#include "core/error.h"

typedef struct icp_mmdb icp_mmdb_t;

typedef struct {
	uint64_t prefixes; /*!< Added. */
	uint64_t records;  /*!< Distinct ones, of all prefixes added. */
	uint64_t nodes;    /*!< Of the search tree. */
	uint64_t octets;   /*!< Of the file. */
} icp_mmdb_stats_t;

/*!
 * \brief Makes an empty writer.
 * \param source  names the input in diagnostics; must outlive the writer
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_mmdb_create(icp_mmdb_t **mmdb, const char *source);

/*! \brief Frees a writer; NULL is fine. */
void icp_mmdb_destroy(icp_mmdb_t *mmdb);

/*!
 * \brief Adds a prefix. One inside ::ffff:0:0/96 is taken as the IPv4 prefix it stands for.
 * \param line      where the source gives the prefix, for diagnostics
 * \param country   two letters
 * \param provider  a slug, or an empty string: the record then has no such key
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EINVAL  an IPv6 prefix inside ::/96, where the format keeps the IPv4 addresses; or
 *                     country or provider too long
 */
int icp_mmdb_add(icp_mmdb_t *mmdb, const icp_prefix_t *prefix, uint32_t line, const char *country,
	const char *provider, icp_diag_t *diag);

/*!
 * \brief Writes the file: beside the path, synchronised, then renamed to it. After an error the
 *        path is as it was and nothing is left beside it.
 * \param build_epoch  seconds, above zero; readers take it as the time of the build
 * \param record_bits  least size of a tree record (0, 24, 28 or 32); it grows as the content needs
 * \param stats        filled on success
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EINVAL  a prefix was added twice, none was added, build_epoch is not above zero, or
 *                     the file would be larger than readers can map (4 GiB)
 * \retval ICP_ESYS    the file can't be written, or the path is not that of a regular file
 */
int icp_mmdb_write(icp_mmdb_t *mmdb, const char *path, int64_t build_epoch, unsigned record_bits,
	icp_mmdb_stats_t *stats, icp_diag_t *diag);

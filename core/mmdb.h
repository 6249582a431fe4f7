/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * An MMDB file (MaxMind DB format 2.0), opened by libmaxminddb once it is known that this is safe:
 * libmaxminddb recurses as deep as encoded values tell it to, so they are checked before it reads
 * them.
 *
 * Threads: one. The file is mapped: it must not be changed in place while it is open, or see
 * fault.h.
 */
#pragma once

#include <maxminddb.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "core/error.h"

#define ICP_MMDB_SEPARATOR 16 /*!< Octets between the tree and the data. */

/*! Encoded values. */
typedef struct {
	const uint8_t *octets;
	uint64_t size;
	uint64_t budget; /*!< Values that may still be read. */
} icp_mmdb_section_t;

typedef struct {
	MMDB_s db;
	struct stat file;
	icp_mmdb_section_t data;
} icp_mmdb_t;

/*!
 * \brief Opens a file whose metadata can be read and whose tree lies in it. Records are not looked
 *        at: each has to be checked before it is read.
 * \param mmdb  closed with icp_mmdb_close
 * \retval ICP_EOK, ICP_ERANGES, ICP_ENOMEM
 */
int icp_mmdb_open(icp_mmdb_t *mmdb, const char *path, icp_diag_t *diag);

void icp_mmdb_close(icp_mmdb_t *mmdb);

/*! \brief True when the file at a path is, unchanged, the one that this was read of. */
bool icp_mmdb_is_file(const char *path, const struct stat *file);

/*! \brief Checks that a record and all that it leads to lie in the data. \param offset  in it */
bool icp_mmdb_check(icp_mmdb_t *mmdb, uint64_t offset);

/*!
 * \brief Reads the string at a path of a record that was checked.
 * \param path    keys, NULL at the end
 * \param string  leads into the file; NULL when there is none
 * \return false: the record is damaged
 */
bool icp_mmdb_string(
	MMDB_entry_s *entry, const char *const *path, const char **string, uint32_t *length);

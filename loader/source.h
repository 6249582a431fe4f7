/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A feed's file as stored: opened once, read once from start to end, hashed on the way, so that
 * the octets that were hashed are the ones that were used. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "core/error.h"

#define ICP_SHA256_SIZE 32

typedef struct icp_source icp_source_t;

/*!
 * \brief Opens a regular file and reads its first piece.
 * \retval ICP_EOK
 * \retval ICP_EFEED   can't be opened or read, or is not a regular file
 * \retval ICP_ENOMEM
 */
int icp_source_open(icp_source_t **source, const char *path, bool no_links, icp_diag_t *diag);

/*! \brief Closes it; NULL is fine. */
void icp_source_close(icp_source_t *source);

/*!
 * \brief The first piece, which icp_source_read will give again.
 * \param length  0 for an empty file
 */
const uint8_t *icp_source_head(const icp_source_t *source, size_t *length);

/*!
 * \brief Gives the next piece; it lives until the next call.
 * \return its octets; 0 at the end; -1 when it can't be read, errno says why
 */
ssize_t icp_source_read(icp_source_t *source, const uint8_t **piece);

/*! \brief Octets given so far. */
uint64_t icp_source_position(const icp_source_t *source);

/*! \brief Octets of the file when it was opened. */
uint64_t icp_source_size(const icp_source_t *source);

/*! \brief SHA-256 of all octets; once, after the end was read. */
void icp_source_digest(icp_source_t *source, uint8_t digest[ICP_SHA256_SIZE]);

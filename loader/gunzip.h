/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Decompression of gzip (RFC 1952) with its check sums, which libarchive passes over: a changed
 * bit would otherwise go unnoticed where no manifest vouches for the file.
 */
#pragma once

#include <stdbool.h>

#include "loader/source.h"

typedef struct icp_gunzip icp_gunzip_t;

/*! \brief True when the octets begin a gzip member. */
bool icp_gunzip_knows(const uint8_t *head, size_t length);

/*!
 * \brief Makes a reader.
 * \param source  must outlive it
 * \return NULL when out of memory
 */
icp_gunzip_t *icp_gunzip_create(icp_source_t *source);

/*! \brief Frees it; NULL is fine. */
void icp_gunzip_destroy(icp_gunzip_t *gunzip);

/*!
 * \brief Fills a buffer, as far as there is data.
 * \param why  set on failure to what is wrong; lives as long as the reader
 * \return octets; 0 at the end; -1 when the data is damaged, truncated, or can't be read
 */
ssize_t icp_gunzip_read(icp_gunzip_t *gunzip, void *buffer, size_t size, const char **why);

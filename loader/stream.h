/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A feed's lines: the file decompressed (gzip, xz, zstd, recognised by content; else taken as it
 * is), or what is given in its place, cut at its line feeds. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "loader/source.h"

#define ICP_LINE_MAX ((size_t)64 * 1024) /*!< Octets of a line. */

typedef struct icp_stream icp_stream_t;

/*!
 * \brief Opens a feed's file.
 * \param path      must outlive the stream
 * \param no_links  a symbolic link is not followed
 * \retval ICP_EOK
 * \retval ICP_EFEED   can't be opened or read, is not a regular file, or is damaged
 * \retval ICP_ENOMEM
 */
int icp_stream_open(icp_stream_t **stream, const char *path, bool no_links, icp_diag_t *diag);

/*!
 * Gives the next octets of a feed that is not a file.
 * \param into  room for them
 * \return how many; 0 at the end; else an error code that is passed on, and diag filled
 */
typedef ssize_t (*icp_give_t)(void *context, char *into, size_t room, icp_diag_t *diag);

/*!
 * \brief Opens a feed that is not a file. Nothing is decompressed.
 * \param name     for messages; must outlive the stream
 * \param context  handed to give
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_stream_open_given(
	icp_stream_t **stream, const char *name, icp_give_t give, void *context, icp_diag_t *diag);

/*! \brief Closes it; NULL is fine. */
void icp_stream_close(icp_stream_t *stream);

/*!
 * \brief Gives the next line, without its line feed.
 * \param line  lives until the next call; not ended by NUL
 * \retval 1           a line
 * \retval 0           the end; all octets of the file were read
 * \retval ICP_EFEED   can't be read, compressed data is damaged, truncated or followed by others,
 *                      or a line is longer than ICP_LINE_MAX
 * \retval those of the function that gives
 */
int icp_stream_line(icp_stream_t *stream, const char **line, size_t *length, icp_diag_t *diag);

/*! \brief Number of the line given last, from 1. */
uint64_t icp_stream_number(const icp_stream_t *stream);

const char *icp_stream_path(const icp_stream_t *stream);

/*! \brief The file under it, for its position, size and digest; NULL: what is read is no file. */
icp_source_t *icp_stream_source(icp_stream_t *stream);

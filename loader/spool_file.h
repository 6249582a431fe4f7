/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Single files of the spool. Nothing here follows a link.
 */
#pragma once

#include "loader/spool.h"

/*! \brief Takes the stamp of a file. \return whether there is one; if not, the stamp is all zero */
bool icp_spool_take_stamp(int directory, const char *name, icp_spool_stamp_t *stamp);

bool icp_spool_same_time(const struct timespec *a, const struct timespec *b);

bool icp_spool_same_stamp(const icp_spool_stamp_t *a, const icp_spool_stamp_t *b);

/*! \brief Opens a regular file for reading. \return -1 and errno */
int icp_spool_open_file(int directory, const char *name);

/*!
 * \brief Writes a small file whole, or not at all: under a hidden name, to the disk, then renamed
 * over what is there. \return 0; -1 and errno
 */
int icp_spool_write_file(int directory, const char *name, const char *text, size_t length);

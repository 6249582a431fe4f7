/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * CSV records (RFC 4180) of a stream, one a line: a field in quotes must end on it. One thread.
 *
 * A line without a quote, which nearly every line is, is cut at its commas; the others go through
 * libcsv.
 */
#pragma once

#include "loader/stream.h"

#define ICP_RECORD_FIELDS_MAX 16

typedef struct {
	const char *text; /*!< Not ended by NUL. */
	size_t length;
} icp_field_t;

typedef struct {
	uint64_t line;
	size_t count; /*!< May exceed ICP_RECORD_FIELDS_MAX; those beyond are not kept. */
	icp_field_t fields[ICP_RECORD_FIELDS_MAX];
	const char *fault; /*!< A constant phrase when it is not CSV; fields[0] is the text. */
} icp_record_t;

typedef struct icp_records icp_records_t;

/*!
 * \brief Makes a reader.
 * \param stream  must outlive it; nothing was read from it
 * \return NULL when out of memory
 */
icp_records_t *icp_records_create(icp_stream_t *stream);

/*! \brief Frees it; NULL is fine. */
void icp_records_destroy(icp_records_t *records);

/*!
 * \brief Gives the next record. Reading goes on with the next line after one that is not CSV.
 * \param record  its texts live until the next call
 * \retval 1           a record, perhaps with a fault
 * \retval 0           the end
 * \retval ICP_EFEED, ICP_ENOMEM  as icp_stream_line
 */
int icp_records_next(icp_records_t *records, icp_record_t *record, icp_diag_t *diag);

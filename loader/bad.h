/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The bad rows of a feed: the first ones by line, whatever the order in which they are found, and
 * the number of all.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "core/row.h"

#define ICP_BAD_KEPT 20

typedef struct {
	uint64_t line;
	char text[512]; /*!< "what is wrong: VALUE" */
} icp_bad_row_t;

/*! Begins zeroed; owns nothing. */
typedef struct {
	uint64_t total;
	size_t kept;
	icp_bad_row_t rows[ICP_BAD_KEPT]; /*!< By line. */
} icp_bad_t;

/*!
 * \brief Notes a bad row.
 * \param what           what is wrong with it
 * \param value, length  as it stands in the feed; shown by icp_text_show
 */
void icp_bad_add(icp_bad_t *bad, uint64_t line, const char *what, const char *value, size_t length);

/*! \brief The same of a row whose fields are good: the value is "DOMAIN PROVIDER". */
void icp_bad_add_pair(icp_bad_t *bad, uint64_t line, const char *what, const icp_row_t *row);

/*! \brief Writes "FILE:LINE: what is wrong: VALUE" for each row kept, and the total. */
void icp_bad_print(const icp_bad_t *bad, const char *path, FILE *out);

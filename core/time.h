/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Points in time as feeds and commands write them. Seconds since 1970-01-01T00:00:00Z; no function
 * asks a clock.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define ICP_TIME_NONE INT64_MIN /*!< No time is given. */
#define ICP_TIME_TEXT_MAX 26    /*!< "2026-11-23T12:00:00+08:00" with its NUL. */
#define ICP_TRANSFER_SECONDS                                                                       \
	(INT64_C(45) * 86400) /*!< Default life of a transfer pre-approval.                        \
			       */

/*! What a date without a time means; feeds and commands read dates at UTC+8. */
enum icp_date {
	ICP_DATE_FIRST,   /*!< Its first second. */
	ICP_DATE_THROUGH, /*!< Through its end: the first second of the next day, exclusive. */
};

/*!
 * \brief Reads an RFC 3339 time, or a date (YYYY-MM-DD). Fractions of a second are cut off.
 * \retval ICP_EOK, ICP_EINVAL
 */
int icp_time_parse(int64_t *seconds, const char *text, size_t length, enum icp_date date);

/*!
 * \brief The nearest time that can be written; for one that was reckoned. What was read is one.
 */
int64_t icp_time_clamp(int64_t seconds);

/*! \brief RFC 3339 at UTC+8; an empty string for ICP_TIME_NONE. */
void icp_time_format(int64_t seconds, char text[ICP_TIME_TEXT_MAX]);

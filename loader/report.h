/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the commands print on success, as text or as one JSON object on a line. Failures of writing
 * are left to the stream's error flag.
 */
#pragma once

#include <jansson.h>
#include <stdio.h>

#include "loader/delta.h"
#include "loader/full.h"
#include "loader/rollback.h"
#include "loader/status.h"

/*!
 * \brief The summary of a load: one line.
 * \param seconds  that it took
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_report_full(const icp_full_result_t *result, double seconds, bool json, FILE *out);

/*!
 * \brief What a delta did: one line.
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_report_delta(const icp_delta_result_t *result, const char *feed, bool json, FILE *out);

/*! \brief What a rollback did: one line. \retval ICP_EOK, ICP_ENOMEM */
int icp_report_rollback(const icp_rollback_result_t *result, bool json, FILE *out);

/*! \brief A JSON string in RFC 3339; null for ICP_TIME_NONE. */
json_t *icp_report_time(int64_t seconds);

/*! \brief The state of a store as an object; NULL: out of memory. */
json_t *icp_report_status_json(const icp_status_t *status, int64_t now);

/*!
 * \brief The state of a store.
 * \param now  seconds; for the age
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_report_status(const icp_status_t *status, int64_t now, bool json, FILE *out);

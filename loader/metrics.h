/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is observed, as metrics in the text format of Prometheus (version 0.0.4); see
 * icpgate-metrics(7). Nothing in them names a client or a domain, and what labels may hold is fixed
 * here, so that the number of series is.
 */
#pragma once

#include <stdio.h>

#include "loader/observed.h"

#define ICP_METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"

/*! \brief Writes all metrics. What is not known is left out. */
void icp_metrics_print(const icp_observed_t *observed, FILE *out);

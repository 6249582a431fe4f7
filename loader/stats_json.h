/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a resolver has counted, as JSON: for icpgate stat, and for the daemon.
 */
#pragma once

#include <jansson.h>

#include "core/stats.h"

/*! \brief A mode's name in the configuration. */
const char *icp_mode_name(enum icp_mode mode);

/*! \brief The snapshot as an object; NULL: out of memory. */
json_t *icp_stats_json(const icp_stats_snapshot_t *snapshot);

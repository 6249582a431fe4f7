/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is observed, as JSON.
 */
#pragma once

#include <jansson.h>

#include "loader/observed.h"

/*! \brief Loads that ended, by kind and outcome. */
json_t *icp_loads_json(const icp_daemon_state_t *daemon);

/*! \brief The last load, or null if there was none. */
json_t *icp_load_json(const icp_load_t *last);

/*! \brief What the daemon knows of itself, as an object; NULL: out of memory. */
json_t *icp_daemon_json(const icp_daemon_state_t *daemon);

/*!
 * \brief All of it: health, what "icpgate-load status --json" and "icpgate stat --json" say, and
 * the daemon's own. NULL: out of memory.
 */
json_t *icp_observed_json(const icp_observed_t *observed);

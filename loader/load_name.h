/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Names for what the daemon's state says, for programs and people.
 */
#pragma once

#include "loader/daemon_state.h"

/*! \brief "full", "delta" or "rollback". */
const char *icp_load_kind_name(enum icp_load_kind kind);

/*! \brief "done", "guard", "usage", "feed", "failed" or "crashed". */
const char *icp_load_outcome_name(enum icp_load_outcome outcome);

/*! \brief "off", "running" or "waiting". */
const char *icp_follow_name(enum icp_follow_state state);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * All that can be told of a store, its resolver and its daemon at one moment: what HTTP's answers
 * are made of. Reading takes some milliseconds and no lock; it never verifies anything, and waits
 * for nobody longer than some hundredths of a second, but for the child that counts readers. One
 * thread.
 */
#pragma once

#include "core/config.h"
#include "core/stats.h"
#include "loader/daemon_state.h"
#include "loader/status.h"

typedef struct {
	int64_t now; /*!< Seconds since the epoch. */
	const icp_config_t *config;
	const icp_daemon_state_t *daemon;
	int store_code; /*!< ICP_EOK: the current generation can be read. */
	icp_diag_t store_diag;
	icp_status_t status; /*!< With another code only its list of generations holds. */
	int stats_code;      /*!< ICP_EOK; ICP_ENOSTORE: no resolver has counted. */
	icp_diag_t stats_diag;
	icp_stats_snapshot_t stats; /*!< With ICP_EOK. */
} icp_observed_t;

/*!
 * \brief Reads all. What can't be read is a part of what is observed.
 * \param observed  freed with icp_observed_deinit; config and daemon must outlive it
 * \param store     its directory, which may be another than the configuration's
 * \param readers   what was counted last
 * \param domains   false: without the list of blocked domains
 */
void icp_observe(icp_observed_t *observed, const char *store, const icp_config_t *config,
	const icp_daemon_state_t *daemon, icp_readers_memory_t *readers, int64_t now, bool domains);

/*! \brief Frees what it owns; a zeroed one is fine. */
void icp_observed_deinit(icp_observed_t *observed);

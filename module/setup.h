/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The module's state, from the daemon's start (or reload) to its end.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "core/gate.h"
#include "core/stats.h"
#include "module/unbound.h"

/*! How many lines a thread has logged in a second; on a cache line of its own. */
typedef struct {
	_Alignas(64) time_t second;
	unsigned lines;
	unsigned held_back;
} icp_log_limit_t;

/*! Shared by all threads; nothing in it changes after setup but the clock, and inside the gate. */
typedef struct {
	icp_config_t config;
	icp_gate_t *gate;
	unsigned seats; /*!< One for each worker thread; the gate has a spare one behind them. */
	pthread_mutex_t spare_lock; /*!< Held while the spare seat is used. */
	icp_stats_t *stats;
	icp_log_limit_t *log_limits; /*!< One for each seat. */
	_Atomic(time_t) clock;       /*!< The latest time of a query. */
} icp_module_t;

typedef int (*icp_response_callback_t)(
	struct module_qstate *qstate, struct dns_msg *response, int id, void *argument);

/*!
 * \brief Checks daemon and configurations, and makes the state. Says in the log what it refuses.
 * \return 1, or 0: the daemon then does not start
 */
int icp_module_setup(struct module_env *env, int id, icp_response_callback_t on_response);

/*! \brief Frees the state; also after a failed setup. */
void icp_module_teardown(struct module_env *env, int id);

/*! \brief Ends all leases when the clock has been set back: they would last until it is as late
 * again.
 */
void icp_module_watch_clock(icp_module_t *module, struct module_env *env);

/*! \brief The seat for callbacks that don't know their thread. */
static inline unsigned icp_module_spare_seat(const icp_module_t *module)
{
	return module->seats;
}

/*! \brief The state; NULL before setup. */
icp_module_t *icp_module_of(const struct module_env *env, int id);

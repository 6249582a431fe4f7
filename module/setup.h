/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The module's state, from the daemon's start (or reload) to its end.
 */
#pragma once

#include "core/gate.h"
#include "module/unbound.h"

/*! Shared by all threads; nothing in it changes after setup but inside the gate. */
typedef struct {
	icp_config_t config;
	icp_gate_t *gate;
	unsigned seats; /*!< One for each worker thread. */
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

/*! \brief The state; NULL before setup. */
icp_module_t *icp_module_of(const struct module_env *env, int id);

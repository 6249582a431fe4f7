/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a process that anybody on the net talks to gives up once it serves: it makes no socket but a
 * local one (by which a service manager is notified), connects to nothing, and becomes no other
 * program. It can't take this back. The connections that it accepts are not concerned.
 *
 * The unit of systemd forbids more, but can't tell a socket that listens from one that sends.
 */
#pragma once

#include "core/error.h"

/*!
 * \brief Gives this up, for this thread and those that it makes; call it when all that listens is
 *        there.
 * \retval ICP_EOK
 * \retval ICP_ESYS  the system or the processor is not known to do it; nothing changed
 */
int icp_confine(icp_diag_t *diag);

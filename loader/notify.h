/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Tells the service manager how the process is, as sd_notify(3) describes it: one datagram to the
 * socket that $NOTIFY_SOCKET names. Without that, nothing is told. One thread.
 */
#pragma once

#include <stdint.h>

#define ICP_NOTIFY_MAX 512 /*!< Octets of a message. */

typedef struct {
	int socket;           /*!< -1: nobody to tell. */
	uint64_t watchdog_us; /*!< A sign of life is due at least so often; 0: never. */
} icp_notify_t;

/*!
 * \brief Reads the environment, and takes the variables out of it, as children have nothing to
 *        tell.
 * \param pid  of this process; a watchdog of another one is none of ours
 */
void icp_notify_open(icp_notify_t *notify, uint64_t pid);

/*! \brief Closes the socket. */
void icp_notify_close(icp_notify_t *notify);

/*! \brief Sends "KEY=VALUE" lines. What can't be sent is lost, as the manager would have it. */
void icp_notify(const icp_notify_t *notify, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

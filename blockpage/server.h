/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The HTTP server: libevent's, with what that one lacks.
 *
 * From one request to the next, and to the first one, a client has a time in which it must have
 * sent the request whole and taken the answer before; a client that sends an octet now and then
 * gains nothing. So connections stand in a row by the time of their last request, and the first in
 * it is the one that goes when its time is over, or when there are too many and a new one comes.
 *
 * One thread, that of the event base.
 */
#pragma once

#include "blockpage/service.h"

struct event_base;

typedef struct icp_server icp_server_t;

/*! Asked for every request; the service may be another one than before. */
typedef icp_service_t *(*icp_service_of_t)(void *context);

/*!
 * \brief Listens, and answers as soon as the event base runs.
 * \param config  listen, connections, timeout, and the block addresses; need not outlive the call
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_ESYS  diag names the address
 */
int icp_server_open(icp_server_t **server, struct event_base *base, const icp_config_t *config,
	icp_service_of_t service_of, void *context, icp_diag_t *diag);

/*! \brief Closes all connections; NULL is fine. */
void icp_server_close(icp_server_t *server);

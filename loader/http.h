/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The daemon's HTTP server, for monitoring on the same machine: /metrics (Prometheus), /healthz
 * (200 or 503, and why), /status (JSON). GET and HEAD only, one request for each connection.
 *
 * It listens on a loopback address only. A connection gets ICP_HTTP_SECONDS from its beginning to
 * its end, a head ICP_HTTP_HEAD_MAX octets, and there are ICP_HTTP_CONNECTIONS_MAX of them; one
 * more ends the oldest. So those who connect and do not ask, or ask slowly, keep nobody else
 * waiting.
 *
 * One thread, the event loop's. Each request reads the store anew, in some milliseconds.
 */
#pragma once

#include "core/config.h"
#include "loader/daemon_state.h"

#define ICP_HTTP_HEAD_MAX 8192
#define ICP_HTTP_SECONDS 10
#define ICP_HTTP_CONNECTIONS_MAX 64

struct event_base;

typedef struct icp_http icp_http_t;

/*!
 * \brief Begins to listen, where the configuration says so. SIGPIPE is ignored from here on.
 * \param http    NULL is left there when the configuration says "none"
 * \param store   its directory; with config and state, it must outlive the server. The
 *                configuration may be replaced where it lies
 * \retval ICP_EOK
 * \retval ICP_ECONFIG  not a loopback address
 * \retval ICP_ESYS     can't listen there
 * \retval ICP_ENOMEM
 */
int icp_http_open(icp_http_t **http, struct event_base *base, const char *store,
	const icp_config_t *config, const icp_daemon_state_t *state, icp_diag_t *diag);

/*! \brief Ends all connections; NULL is fine. Before the event base is freed. */
void icp_http_close(icp_http_t *http);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is asked at the daemon's control socket: one line, a JSON object,
 *
 *   {"command": "status" | "rollback" | "pause" | "resume"}
 *   {"command": "load", "feed": NAME, "force": BOOLEAN}     force may be left out
 *
 * NAME is that of a feed in the spool, or of one that left it; done/NAME and rejected/NAME say
 * which.
 *
 * The answer is one line too: {"ok": true, ...} or {"ok": false, "error": TEXT, ...}.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"
#include "loader/spool_name.h"

#define ICP_REQUEST_MAX 4096 /*!< Octets of a request, with its line end. */

enum icp_command {
	ICP_COMMAND_STATUS,
	ICP_COMMAND_LOAD,
	ICP_COMMAND_ROLLBACK,
	ICP_COMMAND_PAUSE,
	ICP_COMMAND_RESUME,
};

typedef struct {
	enum icp_command command;
	char base[ICP_SPOOL_BASE_MAX + 1]; /*!< Of the feed to be loaded. */
	enum icp_spool_place place; /*!< Where it lies; ICP_SPOOL_PLACES: that is not said. */
	bool force;
} icp_request_t;

/*!
 * \brief Reads a request strictly.
 * \retval ICP_EOK
 * \retval ICP_EINVAL  diag: what is wrong with it
 */
int icp_request_parse(icp_request_t *request, const char *line, size_t length, icp_diag_t *diag);

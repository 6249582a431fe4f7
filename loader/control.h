/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The daemon's control socket: a stream socket in the file system, with mode 0660, so that who may
 * write to the file may give orders. A client sends one request (request.h) and gets one answer,
 * which for a load or a rollback may take as long as that does. Requests are short, clients are
 * few, and neither may be slow: a client that does not send or take its line within some seconds is
 * left. One thread, that of the event loop.
 */
#pragma once

#include <event2/event.h>
#include <jansson.h>

#include "loader/request.h"

#define ICP_CONTROL_CLIENTS_MAX 16 /*!< At a time; others wait. */
#define ICP_CONTROL_SECONDS 5      /*!< For a line, in either direction. */

typedef struct icp_control icp_control_t;

/*!
 * Carries out a request.
 * \param user  of the client
 * \return the answer, taken over; NULL: it is given later, by icp_control_answer
 */
typedef json_t *(*icp_control_take_t)(const icp_request_t *request, unsigned user, void *context);

/*!
 * \brief Makes the socket, in place of one that a daemon left behind that is no more.
 * \param path  must outlive the structure
 * \retval ICP_EOK
 * \retval ICP_EBUSY  somebody listens there
 * \retval ICP_ESYS, ICP_ENOMEM
 */
int icp_control_open(icp_control_t **control, struct event_base *base, const char *path,
	icp_control_take_t take, void *context, icp_diag_t *diag);

/*! \brief Removes the socket; who waits for an answer is told that there is none. NULL is fine. */
void icp_control_close(icp_control_t *control);

/*! Whether a load of this feed, that a client waits for, will never be. */
typedef bool (*icp_control_lost_t)(const char *base, void *context);

/*! \brief Answers those who wait for what will never be, and forgets those who went away. */
void icp_control_review(icp_control_t *control, icp_control_lost_t is_lost, void *context);

/*!
 * \brief Answers all clients that wait for this command.
 * \param base    of the feed, with ICP_COMMAND_LOAD; else NULL
 * \param answer  taken over
 */
void icp_control_answer(
	icp_control_t *control, enum icp_command command, const char *base, json_t *answer);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A child process of the daemon: another program, whose output is kept up to a bound. It ends with
 * the daemon. One thread, that of the event loop.
 */
#pragma once

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/error.h"

#define ICP_CHILD_OUTPUT_MAX 65536 /*!< Octets of output that are kept; the rest is dropped. */
#define ICP_CHILD_LINE_MAX 1024    /*!< Octets of a line that is handed on; the rest is dropped. */

/*! Takes a line of output, without its line end. */
typedef void (*icp_child_line_t)(const char *line, void *context);

typedef struct {
	pid_t pid; /*!< 0: there is none. */
	int pipe;
	struct event *readable;
	icp_child_line_t line; /*!< Or NULL: the output is kept. */
	void *context;
	char *output; /*!< Ends with NUL. */
	size_t length;
	bool cut;   /*!< There was more. */
	bool ended; /*!< It is no more. */
	int exit;   /*!< Then: its exit status; -1: a signal ended it. */
	int killer; /*!< With -1: the signal. */
} icp_child_t;

/*!
 * \brief Starts a program, with stdin empty, and both its outputs in one.
 * \param child      freed with icp_child_close once it has ended
 * \param arguments  the first is the path of the program; NULL at the end
 * \param line       or NULL
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_child_start(icp_child_t *child, struct event_base *base, char *const arguments[],
	icp_child_line_t line, void *context, icp_diag_t *diag);

/*!
 * \brief Asks whether it has ended; to be called after SIGCHLD. Then all its output is there.
 * \return true once, when it has
 */
bool icp_child_reap(icp_child_t *child);

/*! \brief Sends it a signal, if there is one. */
void icp_child_signal(const icp_child_t *child, int number);

/*! \brief Forgets a child that has ended, or one that was never started. */
void icp_child_close(icp_child_t *child);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Reads the audit log of a store (see loader/audit.h) from its first day on. It may be read beside
 * a loader. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

/*! Not ended by NUL. */
typedef struct {
	const char *text;
	size_t length;
} icp_audit_text_t;

/*! One line; its texts live until the call with it ends. */
typedef struct {
	icp_audit_text_t time;
	icp_audit_text_t domain; /*!< A-labels. */
	icp_audit_text_t provider;
	icp_audit_text_t from;
	icp_audit_text_t to;
	icp_audit_text_t source;
	uint64_t generation;
	uint64_t sequence;
} icp_audit_record_t;

/*! Anything but ICP_EOK ends the reading. */
typedef int (*icp_audit_visit_t)(const icp_audit_record_t *record, void *context);

/*!
 * \brief Calls visit for each line of each day's file, oldest first.
 * \param damaged  files that could not be read to their end; each was told on stderr, and the
 *                 others were read all the same
 * \retval ICP_EOK
 * \retval ICP_ESYS    no such store, or it can't be read
 * \retval ICP_ENOMEM
 * \return or what visit returned last
 */
int icp_audit_log_read(const char *store, icp_audit_visit_t visit, void *context, size_t *damaged,
	icp_diag_t *diag);

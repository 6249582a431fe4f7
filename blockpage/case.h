/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Which case a name is, for the page: what the gate says of it, as `icpgate lookup NAME` without an
 * address does, as if the name pointed at a gated address of the first provider. Why the page is
 * shown for any other host.
 */
#pragma once

#include "blockpage/request.h"
#include "core/gate.h"

enum icp_case {
	ICP_CASE_UNFILED,
	ICP_CASE_FILED_ELSEWHERE,
	ICP_CASE_TRANSFER_EXPIRED,
	ICP_CASE_PENDING,
	ICP_CASE_TRANSFER_CANCELLED,
	ICP_CASE_DEREGISTERED,
	ICP_CASE_RECTIFY_OVERDUE,
	ICP_CASE_LICENCE_ADDRESS_MISMATCH,
	ICP_CASE_PERMITTED,  /*!< It is not blocked, or not any more. */
	ICP_CASE_UNREADABLE, /*!< The store can't be read. */
	ICP_CASE_ADDRESS,    /*!< No name, but an address. */
	ICP_CASE_NO_NAME,
	ICP_CASE_BAD_NAME,
	ICP_CASE_COUNT,
};

/*! \brief The names of the cases, for templates ("unfiled", ...). */
extern const char *const icp_case_names[ICP_CASE_COUNT];

/*! What the page tells. */
typedef struct {
	enum icp_case kind;
	const char *reason;              /*!< The contract's word; else the case's name. */
	char host[ICP_NAME_TEXT_MAX];    /*!< The name; empty: none. */
	char unicode[ICP_NAME_TEXT_MAX]; /*!< With U-labels, if it has any; else empty. */
	char domain[ICP_NAME_TEXT_MAX];  /*!< The nearest with a row; else empty. */
} icp_finding_t;

/*!
 * \brief Finds the case of a host.
 * \param host  as icp_request_host gave it
 * \param name  with ICP_HOST_NAME
 * \param gate  by icp_gate_create_for_names; its first seat is used
 */
void icp_case_find(icp_finding_t *finding, enum icp_host host, const icp_name_t *name,
	icp_gate_t *gate, const icp_policy_t *policy, int64_t now);

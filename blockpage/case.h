/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Which case a name is, for the page: what the gate says of it, without an address. Why the page is
 * shown for any other host.
 *
 * Where the visitor's resolver saw the name point, nobody knows here. So it is judged at a gated
 * address of each provider, and refused if any of them refuses it: the visitor is sent here by that
 * one. Of several refusals the one that tells most is shown.
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

/*! The places that a name is judged at, made once. */
typedef struct {
	icp_place_t *items;
	size_t count;
} icp_places_t;

/*! What the page tells. */
typedef struct {
	enum icp_case kind;
	const char *reason;              /*!< The contract's word; else the case's name. */
	char host[ICP_NAME_TEXT_MAX];    /*!< The name; empty: none. */
	char unicode[ICP_NAME_TEXT_MAX]; /*!< With U-labels, if it has any; else empty. */
	char domain[ICP_NAME_TEXT_MAX];  /*!< The nearest with a row; else empty. */
} icp_finding_t;

/*!
 * \brief Makes the places: one of each provider, or one of none where addresses have no provider.
 * \param config  must outlive them
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_places_init(icp_places_t *places, const icp_config_t *config);

/*! \brief Frees them; those that are zero, too. */
void icp_places_deinit(icp_places_t *places);

/*!
 * \brief The ruling that tells why: of the refusals one that rests on rows of its own provider,
 * then filed elsewhere, then unfiled; without a refusal the first.
 */
const icp_ruling_t *icp_case_ruling(const icp_ruling_t *rulings, size_t count);

/*!
 * \brief Finds the case of a host.
 * \param host  as icp_request_host gave it
 * \param name  with ICP_HOST_NAME
 * \param gate  by icp_gate_create_for_names; its first seat is used
 */
void icp_case_find(icp_finding_t *finding, enum icp_host host, const icp_name_t *name,
	icp_gate_t *gate, const icp_places_t *places, int64_t now);

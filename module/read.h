/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Reading the addresses that RRsets lead to: A, AAAA, and the hints of HTTPS and SVCB. Pure but for
 * the region that results are allocated in.
 */
#pragma once

#include <stdbool.h>

#include "core/rdata.h"
#include "module/unbound.h"

typedef struct {
	icp_address_t *items;
	size_t count;
} icp_addresses_t;

static inline uint16_t icp_rrset_type(const struct ub_packed_rrset_key *rrset)
{
	return ntohs(rrset->rk.type);
}

static inline const struct packed_rrset_data *icp_rrset_data(
	const struct ub_packed_rrset_key *rrset)
{
	return rrset->entry.data;
}

/*! \brief True for data from the answer section of a response; else it is glue or the like. */
bool icp_rrset_is_answer(const struct packed_rrset_data *data);

/*! \brief True when any of the RRsets has a type that leads to addresses. */
bool icp_read_leads(struct ub_packed_rrset_key *const *rrsets, size_t count);

/*! \brief How many addresses one record holds; its rdata begins with its length. */
size_t icp_read_record(const struct ub_packed_rrset_key *rrset, size_t record);

/*!
 * \brief Appends the addresses of RRsets, in their order, to an array.
 * \param addresses  empty at first; moved within the region
 * \return false: out of memory
 */
bool icp_read_addresses(struct regional *region, struct ub_packed_rrset_key *const *rrsets,
	size_t count, icp_addresses_t *addresses);

/*! \brief Appends other addresses. \return false: out of memory */
bool icp_addresses_append(
	struct regional *region, icp_addresses_t *addresses, const icp_addresses_t *more);

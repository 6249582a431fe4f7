/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The addresses that a record leads to: those in the rdata of A (RFC 1035), AAAA (RFC 3596), and
 * the address hints of SVCB and HTTPS (RFC 9460). Rdata comes from the network in uncompressed
 * wire form and may hold anything. Every function is pure and safe in any thread.
 */
#pragma once

#include "core/address.h"

enum icp_rrtype {
	ICP_RRTYPE_A = 1,
	ICP_RRTYPE_AAAA = 28,
	ICP_RRTYPE_SVCB = 64,
	ICP_RRTYPE_HTTPS = 65,
};

/*! \brief True for the types above. */
bool icp_rdata_has_addresses(uint16_t type);

/*!
 * \brief Reads the addresses of one record, in their order.
 *
 * Rdata that is cut or malformed gives the addresses that stand before the fault, or none.
 *
 * \param addresses  filled with the first `room` of them; may be NULL when room is 0
 * \return how many there are
 */
size_t icp_rdata_addresses(
	uint16_t type, const uint8_t *rdata, size_t length, icp_address_t *addresses, size_t room);

/*!
 * \brief Reads priority and TargetName of an SVCB or HTTPS record.
 * \param target  set to point into rdata at the name in wire form; one octet long for "."
 * \param target_length  with the root label
 * \return false if they are cut or malformed
 */
bool icp_rdata_target(const uint8_t *rdata, size_t length, uint16_t *priority,
	const uint8_t **target, size_t *target_length);

/*!
 * \brief Copies a record without some of its addresses.
 *
 * A parameter of which no hint remains is left out; one that its record calls mandatory can't be
 * missing, so then the whole record is. Other addresses and parameters stay as they are.
 *
 * \param keep  for each address of icp_rdata_addresses, in its order
 * \param out   room for length octets
 * \return length of the copy; 0: the record is to be left out
 */
size_t icp_rdata_strip(
	uint16_t type, const uint8_t *rdata, size_t length, const bool *keep, uint8_t *out);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * IP addresses and prefixes. Values without pointers; every function is pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICP_ADDRESS_TEXT_MAX 46 /*!< Longest text form with its NUL. */
#define ICP_PREFIX_TEXT_MAX (ICP_ADDRESS_TEXT_MAX + 4)
#define ICP_ENDPOINT_TEXT_MAX (ICP_ADDRESS_TEXT_MAX + 8)

/*! An address; all members are bytes, so it may lie anywhere in a stored record. */
typedef struct {
	uint8_t family;    /*!< 4 or 6. */
	uint8_t bytes[16]; /*!< Network order; IPv4 uses the first four, the rest is zero. */
} icp_address_t;

/*! A prefix; bits beyond the length are zero. A part of the store's format: 18 bytes. */
typedef struct {
	icp_address_t address;
	uint8_t length; /*!< 0 to 32 or 0 to 128. */
} icp_prefix_t;

/*! Where a server listens. */
typedef struct {
	icp_address_t address; /*!< Its family 0: nowhere. */
	uint16_t port;
} icp_endpoint_t;

_Static_assert(sizeof(icp_prefix_t) == 18 && _Alignof(icp_prefix_t) == 1, "stored as it is");

/*! \retval ICP_EOK, ICP_EINVAL  (not an address in the form of inet_pton) */
int icp_address_parse(icp_address_t *address, const char *text, size_t length);

/*! \retval ICP_EOK, ICP_EINVAL  (4 or 16 bytes only) */
int icp_address_from_bytes(icp_address_t *address, const uint8_t *bytes, size_t length);

void icp_address_format(const icp_address_t *address, char text[ICP_ADDRESS_TEXT_MAX]);

/*!
 * \brief Parses "address/length", or an address alone, which is a prefix of full length.
 * \retval ICP_EOK
 * \retval ICP_EINVAL  not a prefix, or bits beyond its length are set
 */
int icp_prefix_parse(icp_prefix_t *prefix, const char *text, size_t length);

/*! A prefix of full length is written without "/length". */
void icp_prefix_format(const icp_prefix_t *prefix, char text[ICP_PREFIX_TEXT_MAX]);

bool icp_prefix_holds(const icp_prefix_t *prefix, const icp_address_t *address);

/*!
 * \brief Parses "address:port", an IPv6 address in brackets, the port from 1 to 65535.
 * \retval ICP_EOK, ICP_EINVAL
 */
int icp_endpoint_parse(icp_endpoint_t *endpoint, const char *text, size_t length);

void icp_endpoint_format(const icp_endpoint_t *endpoint, char text[ICP_ENDPOINT_TEXT_MAX]);

/*!
 * \brief The IPv4 address inside a mapped (RFC 4291, ::ffff:0:0/96) or translated (RFC 6052) IPv6
 *        address; every other address unchanged.
 * \param nat64  prefixes of length 32, 40, 48, 56, 64 or 96
 */
icp_address_t icp_address_unmap(
	const icp_address_t *address, const icp_prefix_t *nat64, size_t nat64_count);

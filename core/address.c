/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "core/error.h"

#define IPV4_BITS 32
#define IPV6_BITS 128

static unsigned family_bits(uint8_t family)
{
	return family == 4 ? IPV4_BITS : IPV6_BITS;
}

int icp_address_parse(icp_address_t *address, const char *text, size_t length)
{
	char copy[ICP_ADDRESS_TEXT_MAX];
	uint8_t bytes[16];

	if (length == 0 || length >= sizeof copy || memchr(text, '\0', length) != NULL) {
		return ICP_EINVAL;
	}
	memcpy(copy, text, length);
	copy[length] = '\0';

	if (inet_pton(AF_INET, copy, bytes) == 1) {
		return icp_address_from_bytes(address, bytes, 4);
	}
	if (inet_pton(AF_INET6, copy, bytes) == 1) {
		return icp_address_from_bytes(address, bytes, 16);
	}
	return ICP_EINVAL;
}

int icp_address_from_bytes(icp_address_t *address, const uint8_t *bytes, size_t length)
{
	if (length != 4 && length != 16) {
		return ICP_EINVAL;
	}
	*address = (icp_address_t){.family = length == 4 ? 4 : 6};
	memcpy(address->bytes, bytes, length);
	return ICP_EOK;
}

void icp_address_format(const icp_address_t *address, char text[ICP_ADDRESS_TEXT_MAX])
{
	int family = address->family == 4 ? AF_INET : AF_INET6;
	if (inet_ntop(family, address->bytes, text, ICP_ADDRESS_TEXT_MAX) == NULL) {
		text[0] = '\0';
	}
}

/*! Reads decimal digits without a sign or leading zeros. Returns -1 when they are none, or more
 * than so many. */
static int parse_number(const char *text, size_t length, size_t digits)
{
	int value = 0;

	if (length == 0 || length > digits || (length > 1 && text[0] == '0')) {
		return -1;
	}
	for (size_t i = 0; i < length; i++) {
		if (text[i] < '0' || text[i] > '9') {
			return -1;
		}
		value = value * 10 + (text[i] - '0');
	}
	return value;
}

/*! True when the first bits of both are the same. */
static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8;
	unsigned rest = bits % 8;

	if (memcmp(a, b, whole) != 0) {
		return false;
	}
	return rest == 0 || (a[whole] ^ b[whole]) >> (8 - rest) == 0;
}

static bool is_zero_beyond(const icp_address_t *address, unsigned bits)
{
	for (unsigned bit = bits; bit < family_bits(address->family); bit++) {
		if (address->bytes[bit / 8] & (0x80 >> bit % 8)) {
			return false;
		}
	}
	return true;
}

int icp_prefix_parse(icp_prefix_t *prefix, const char *text, size_t length)
{
	icp_prefix_t result;
	const char *slash = length > 0 ? memchr(text, '/', length) : NULL;
	size_t address_length = slash != NULL ? (size_t)(slash - text) : length;

	if (icp_address_parse(&result.address, text, address_length) != ICP_EOK) {
		return ICP_EINVAL;
	}
	int bits = (int)family_bits(result.address.family);
	if (slash != NULL) {
		int given = parse_number(slash + 1, length - address_length - 1, 3);
		if (given < 0 || given > bits) {
			return ICP_EINVAL;
		}
		bits = given;
	}
	if (!is_zero_beyond(&result.address, (unsigned)bits)) {
		return ICP_EINVAL;
	}
	result.length = (uint8_t)bits;
	*prefix = result;
	return ICP_EOK;
}

void icp_prefix_format(const icp_prefix_t *prefix, char text[ICP_PREFIX_TEXT_MAX])
{
	icp_address_format(&prefix->address, text);
	if (prefix->length != family_bits(prefix->address.family)) {
		size_t used = strlen(text);
		snprintf(text + used, ICP_PREFIX_TEXT_MAX - used, "/%u", prefix->length);
	}
}

int icp_endpoint_parse(icp_endpoint_t *endpoint, const char *text, size_t length)
{
	icp_endpoint_t result = {.port = 0};
	const char *colon = length > 0 ? memrchr(text, ':', length) : NULL;
	if (colon == NULL) {
		return ICP_EINVAL;
	}
	size_t address_length = (size_t)(colon - text);
	bool brackets = address_length >= 2 && text[0] == '[' && colon[-1] == ']';
	if (icp_address_parse(&result.address, text + brackets,
		    address_length - 2 * (size_t)brackets) != ICP_EOK ||
		brackets != (result.address.family == 6)) {
		return ICP_EINVAL;
	}
	int port = parse_number(colon + 1, length - address_length - 1, 5);
	if (port < 1 || port > UINT16_MAX) {
		return ICP_EINVAL;
	}
	result.port = (uint16_t)port;
	*endpoint = result;
	return ICP_EOK;
}

void icp_endpoint_format(const icp_endpoint_t *endpoint, char text[ICP_ENDPOINT_TEXT_MAX])
{
	char address[ICP_ADDRESS_TEXT_MAX];
	bool brackets = endpoint->address.family == 6;
	icp_address_format(&endpoint->address, address);
	snprintf(text, ICP_ENDPOINT_TEXT_MAX, "%s%s%s:%u", brackets ? "[" : "", address,
		brackets ? "]" : "", endpoint->port);
}

bool icp_prefix_holds(const icp_prefix_t *prefix, const icp_address_t *address)
{
	return prefix->address.family == address->family &&
	       same_bits(prefix->address.bytes, address->bytes, prefix->length);
}

/*!
 * Takes the IPv4 address that stands behind a prefix of RFC 6052, 2.2. Bits 64 to 71 are no part of
 * it; who translates passes over them (2.3), though they should be zero.
 */
static icp_address_t extract_ipv4(const icp_address_t *address, unsigned prefix_bits)
{
	const unsigned reserved = 8;
	unsigned at = prefix_bits / 8;
	icp_address_t ipv4 = {.family = 4};

	for (unsigned i = 0; i < 4; i++) {
		at += at == reserved;
		ipv4.bytes[i] = address->bytes[at++];
	}
	return ipv4;
}

static bool is_translation_length(unsigned length)
{
	return length == 96 || (length >= 32 && length <= 64 && length % 8 == 0);
}

icp_address_t icp_address_unmap(
	const icp_address_t *address, const icp_prefix_t *nat64, size_t nat64_count)
{
	static const icp_prefix_t mapped = {
		.address = {.family = 6, .bytes = {[10] = 0xff, [11] = 0xff}}, .length = 96};

	if (address->family != 6) {
		return *address;
	}
	if (icp_prefix_holds(&mapped, address)) {
		return extract_ipv4(address, mapped.length);
	}
	for (size_t i = 0; i < nat64_count; i++) {
		if (is_translation_length(nat64[i].length) &&
			icp_prefix_holds(&nat64[i], address)) {
			return extract_ipv4(address, nat64[i].length);
		}
	}
	return *address;
}

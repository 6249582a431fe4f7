/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/rdata.h"

#include <string.h>

#include "core/error.h"

#define LABEL_MAX 63
#define NAME_MAX_OCTETS 255
#define PARAM_HEAD 4 /*!< Key and length. */

/*! SvcParamKeys that matter here (RFC 9460, 14.3.2). */
enum { KEY_MANDATORY = 0, KEY_IPV4HINT = 4, KEY_IPV6HINT = 6 };

/*! One parameter of an SVCB record; its value lies in the rdata. */
typedef struct {
	uint16_t key;
	const uint8_t *value;
	size_t length;
} param_t;

static uint16_t read_uint16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static void write_uint16(uint8_t *at, size_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static bool is_service(uint16_t type)
{
	return type == ICP_RRTYPE_SVCB || type == ICP_RRTYPE_HTTPS;
}

bool icp_rdata_has_addresses(uint16_t type)
{
	return type == ICP_RRTYPE_A || type == ICP_RRTYPE_AAAA || is_service(type);
}

bool icp_rdata_target(const uint8_t *rdata, size_t length, uint16_t *priority,
	const uint8_t **target, size_t *target_length)
{
	size_t at = sizeof *priority;
	while (at < length && rdata[at] != 0) {
		if (rdata[at] > LABEL_MAX) {
			return false;
		}
		at += 1 + (size_t)rdata[at];
	}
	if (at >= length || at + 1 - sizeof *priority > NAME_MAX_OCTETS) {
		return false;
	}
	*priority = read_uint16(rdata);
	*target = rdata + sizeof *priority;
	*target_length = at + 1 - sizeof *priority;
	return true;
}

/*! Offset of the parameters; length if there are none, or none can be found. */
static size_t params_begin(const uint8_t *rdata, size_t length)
{
	uint16_t priority;
	const uint8_t *target;
	size_t target_length;
	if (!icp_rdata_target(rdata, length, &priority, &target, &target_length)) {
		return length;
	}
	return sizeof priority + target_length;
}

/*! Reads the parameter at an offset and moves that behind it. False at the end, or at a cut one. */
static bool next_param(const uint8_t *rdata, size_t length, size_t *at, param_t *param)
{
	if (length - *at < PARAM_HEAD) {
		return false;
	}
	const uint8_t *head = rdata + *at;
	size_t value_length = read_uint16(head + 2);
	if (length - *at - PARAM_HEAD < value_length) {
		return false;
	}
	*param = (param_t){
		.key = read_uint16(head), .value = head + PARAM_HEAD, .length = value_length};
	*at += PARAM_HEAD + value_length;
	return true;
}

/*! Octets of an address in this parameter; 0 when it holds none. */
static size_t hint_size(const param_t *param)
{
	switch (param->key) {
	case KEY_IPV4HINT:
		return 4;
	case KEY_IPV6HINT:
		return 16;
	default:
		return 0;
	}
}

static size_t single_address(
	size_t wanted, const uint8_t *rdata, size_t length, icp_address_t *addresses, size_t room)
{
	if (length != wanted) {
		return 0;
	}
	if (room > 0) {
		(void)icp_address_from_bytes(addresses, rdata, length);
	}
	return 1;
}

size_t icp_rdata_addresses(
	uint16_t type, const uint8_t *rdata, size_t length, icp_address_t *addresses, size_t room)
{
	if (type == ICP_RRTYPE_A || type == ICP_RRTYPE_AAAA) {
		return single_address(
			type == ICP_RRTYPE_A ? 4 : 16, rdata, length, addresses, room);
	}
	size_t count = 0;
	if (!is_service(type)) {
		return count;
	}
	param_t param;
	for (size_t at = params_begin(rdata, length); next_param(rdata, length, &at, &param);) {
		size_t size = hint_size(&param);
		for (size_t i = 0; size > 0 && i + size <= param.length; i += size) {
			if (count < room) {
				(void)icp_address_from_bytes(
					&addresses[count], param.value + i, size);
			}
			count++;
		}
	}
	return count;
}

static bool is_mandatory(const uint8_t *rdata, size_t length, uint16_t key)
{
	param_t param;
	for (size_t at = params_begin(rdata, length); next_param(rdata, length, &at, &param);) {
		for (size_t i = 0; param.key == KEY_MANDATORY && i + 2 <= param.length; i += 2) {
			if (read_uint16(param.value + i) == key) {
				return true;
			}
		}
	}
	return false;
}

/*! Writes a parameter with the hints that are kept; returns its length, 0 if none is. */
static size_t strip_param(const param_t *param, size_t size, const bool *keep, uint8_t *out)
{
	size_t length = 0;
	for (size_t i = 0; i + size <= param->length; i += size) {
		if (*keep++) {
			memcpy(out + PARAM_HEAD + length, param->value + i, size);
			length += size;
		}
	}
	write_uint16(out, param->key);
	write_uint16(out + 2, length);
	return length > 0 ? PARAM_HEAD + length : 0;
}

static size_t strip_service(const uint8_t *rdata, size_t length, const bool *keep, uint8_t *out)
{
	size_t at = params_begin(rdata, length);
	size_t written = at;
	size_t begin = at;
	param_t param;
	memcpy(out, rdata, at);
	for (; next_param(rdata, length, &at, &param); begin = at) {
		size_t size = hint_size(&param);
		size_t addresses = size > 0 ? param.length / size : 0;
		if (addresses == 0) {
			memcpy(out + written, rdata + begin, at - begin);
			written += at - begin;
			continue;
		}
		size_t param_length = strip_param(&param, size, keep, out + written);
		if (param_length == 0 && is_mandatory(rdata, length, param.key)) {
			return 0;
		}
		written += param_length;
		keep += addresses;
	}
	/* What follows a fault is no parameter, and no client reads it. */
	return written;
}

size_t icp_rdata_strip(
	uint16_t type, const uint8_t *rdata, size_t length, const bool *keep, uint8_t *out)
{
	if (is_service(type)) {
		return strip_service(rdata, length, keep, out);
	}
	if (icp_rdata_addresses(type, rdata, length, NULL, 0) == 1 && !*keep) {
		return 0;
	}
	memcpy(out, rdata, length);
	return length;
}

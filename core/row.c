/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/row.h"

#include <string.h>

#include "core/error.h"
#include "core/time.h"

/*
 * A stored row:
 *
 *   status | flags       1 octet; a flag for each optional part that is present
 *   length, provider     1 octet, 1 to ICP_PROVIDER_MAX
 *   length, number       1 octet, 0 to ICP_NUMBER_MAX
 *   approved_at, expires_at, rectify_by      each if flagged: zigzag LEB128, shortest form
 *   count, licensed      if flagged: 2 octets, little-endian, 1 to ICP_LICENSED_MAX; prefixes
 *
 * One row has one form only. Decoding checks all of it but two things, which the bucket's checksum
 * stands for: that the number is UTF-8, and that the bits of a prefix beyond its length are zero.
 */
enum {
	STATUS_MASK = 0x0f,
	HAS_APPROVED = 0x10,
	HAS_EXPIRES = 0x20,
	HAS_RECTIFY = 0x40,
	HAS_LICENSED = 0x80,
};

_Static_assert((int)ICP_STATUS_COUNT <= (int)STATUS_MASK, "a status fits in its bits");

static const char *const status_names[ICP_STATUS_COUNT] = {
	[ICP_FILED] = "filed",
	[ICP_CHANGING] = "changing",
	[ICP_RECTIFYING] = "rectifying",
	[ICP_TRANSFER_PREAPPROVED] = "transfer-preapproved",
	[ICP_PENDING] = "pending",
	[ICP_TRANSFER_CANCELLED] = "transfer-cancelled",
	[ICP_DEREGISTERED] = "deregistered",
};

const char *icp_status_name(enum icp_status status)
{
	return (unsigned)status < ICP_STATUS_COUNT ? status_names[status] : "unknown";
}

int icp_status_parse(enum icp_status *status, const char *text, size_t length)
{
	for (unsigned i = 0; i < ICP_STATUS_COUNT; i++) {
		if (strlen(status_names[i]) == length &&
			memcmp(status_names[i], text, length) == 0) {
			*status = (enum icp_status)i;
			return ICP_EOK;
		}
	}
	return ICP_EINVAL;
}

bool icp_provider_valid(const char *text, size_t length)
{
	if (length == 0 || length > ICP_PROVIDER_MAX) {
		return false;
	}
	for (size_t i = 0; i < length; i++) {
		uint8_t octet = (uint8_t)text[i];
		if ((uint8_t)(octet - 'a') >= 26 && (uint8_t)(octet - '0') >= 10 && octet != '-') {
			return false;
		}
	}
	return true;
}

int icp_provider_compare(const icp_row_t *a, const icp_row_t *b)
{
	size_t shorter =
		a->provider_length < b->provider_length ? a->provider_length : b->provider_length;
	int order = memcmp(a->provider, b->provider, shorter);
	return order != 0 ? order : a->provider_length - b->provider_length;
}

static uint8_t *put_text(uint8_t *out, const char *text, uint8_t length)
{
	*out++ = length;
	if (length > 0) {
		memcpy(out, text, length);
	}
	return out + length;
}

/*! Small values of either sign become few octets. */
static uint8_t *put_time(uint8_t *out, int64_t seconds)
{
	uint64_t left = (uint64_t)seconds << 1 ^ (seconds < 0 ? UINT64_MAX : 0);
	while (left >= 0x80) {
		*out++ = (uint8_t)(left | 0x80);
		left >>= 7;
	}
	*out++ = (uint8_t)left;
	return out;
}

size_t icp_row_encode(const icp_row_t *row, uint8_t *out)
{
	uint8_t *at = out + 1;

	*out = row->status;
	at = put_text(at, row->provider, row->provider_length);
	at = put_text(at, row->number, row->number_length);
	if (row->approved_at != ICP_TIME_NONE) {
		*out |= HAS_APPROVED;
		at = put_time(at, row->approved_at);
	}
	if (row->expires_at != ICP_TIME_NONE) {
		*out |= HAS_EXPIRES;
		at = put_time(at, row->expires_at);
	}
	if (row->rectify_by != ICP_TIME_NONE) {
		*out |= HAS_RECTIFY;
		at = put_time(at, row->rectify_by);
	}
	if (row->licensed_count > 0) {
		size_t octets = row->licensed_count * sizeof *row->licensed;
		*out |= HAS_LICENSED;
		*at++ = (uint8_t)row->licensed_count;
		*at++ = (uint8_t)(row->licensed_count >> 8);
		memcpy(at, row->licensed, octets);
		at += octets;
	}
	return (size_t)(at - out);
}

/*! What is left to read. */
typedef struct {
	const uint8_t *at;
	size_t left;
} cursor_t;

static bool take_text(cursor_t *cursor, size_t longest, const char **text, uint8_t *length)
{
	if (cursor->left == 0 || *cursor->at > longest || *cursor->at > cursor->left - 1) {
		return false;
	}
	*length = *cursor->at;
	*text = (const char *)cursor->at + 1;
	cursor->at += 1 + (size_t)*length;
	cursor->left -= 1 + (size_t)*length;
	return true;
}

static bool take_time(cursor_t *cursor, int64_t *seconds)
{
	uint64_t value = 0;

	for (unsigned shift = 0; cursor->left > 0; shift += 7) {
		uint8_t octet = *cursor->at++;
		cursor->left--;
		/* Of the tenth octet one bit has room. */
		if (shift == 63 && octet > 1) {
			return false;
		}
		value |= (uint64_t)(octet & 0x7f) << shift;
		if (octet < 0x80) {
			*seconds = (int64_t)(value >> 1 ^ -(value & 1));
			bool overlong = octet == 0 && shift > 0;
			return !overlong && *seconds != ICP_TIME_NONE;
		}
	}
	return false;
}

static bool take_licensed(cursor_t *cursor, icp_row_t *row)
{
	if (cursor->left < 2) {
		return false;
	}
	size_t count = cursor->at[0] | (size_t)cursor->at[1] << 8;
	size_t octets = count * sizeof *row->licensed;
	if (count == 0 || count > ICP_LICENSED_MAX || octets > cursor->left - 2) {
		return false;
	}
	row->licensed = (const icp_prefix_t *)(cursor->at + 2);
	row->licensed_count = (uint16_t)count;
	for (size_t i = 0; i < count; i++) {
		uint8_t family = row->licensed[i].address.family;
		if ((family != 4 && family != 6) ||
			row->licensed[i].length > (family == 4 ? 32 : 128)) {
			return false;
		}
	}
	cursor->at += 2 + octets;
	cursor->left -= 2 + octets;
	return true;
}

size_t icp_row_decode(icp_row_t *row, const uint8_t *in, size_t length)
{
	if (length == 0) {
		return 0;
	}
	cursor_t cursor = {in + 1, length - 1};
	row->status = in[0] & STATUS_MASK;
	row->approved_at = ICP_TIME_NONE;
	row->expires_at = ICP_TIME_NONE;
	row->rectify_by = ICP_TIME_NONE;
	row->licensed = NULL;
	row->licensed_count = 0;

	if (row->status >= ICP_STATUS_COUNT ||
		!take_text(&cursor, ICP_PROVIDER_MAX, &row->provider, &row->provider_length) ||
		!icp_provider_valid(row->provider, row->provider_length) ||
		!take_text(&cursor, ICP_NUMBER_MAX, &row->number, &row->number_length) ||
		(in[0] & HAS_APPROVED && !take_time(&cursor, &row->approved_at)) ||
		(in[0] & HAS_EXPIRES && !take_time(&cursor, &row->expires_at)) ||
		(in[0] & HAS_RECTIFY && !take_time(&cursor, &row->rectify_by)) ||
		(in[0] & HAS_LICENSED && !take_licensed(&cursor, row))) {
		return 0;
	}
	return length - cursor.left;
}

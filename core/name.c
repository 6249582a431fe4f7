/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/name.h"

#include <idn2.h>
#include <string.h>

#include "core/error.h"

#define LABEL_MAX 63
#define UNICODE_LABEL_MAX 512 /* Octets; only a contrived label is longer and fits in 63. */

static const char name_too_long[] = "name over 253 characters";
static const char label_too_long[] = "label over 63 characters";
static const char bad_character[] = "character not allowed in a name";
static const char bad_unicode[] = "not valid IDNA2008";

/*! What an octet becomes in a label; a dot for those that can't stand in one. */
static const char label_octets[256 + 1] = "................................"
					  ".............-..0123456789......"
					  ".abcdefghijklmnopqrstuvwxyz...._"
					  ".abcdefghijklmnopqrstuvwxyz....."
					  "................................"
					  "................................"
					  "................................"
					  "................................";

static int refuse(const char **why, const char *phrase)
{
	if (why != NULL) {
		*why = phrase;
	}
	return ICP_EINVAL;
}

/*! Octets of the full stop at the head of text; 0 when there is none. */
static size_t stop_size(const uint8_t *text, size_t length)
{
	static const char *const wide[] = {"\u3002", "\uff0e", "\uff61"};

	if (length == 0 || text[0] < 0x80) {
		return length > 0 && text[0] == '.' ? 1 : 0;
	}
	for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
		if (length >= 3 && memcmp(text, wide[i], 3) == 0) {
			return 3;
		}
	}
	return 0;
}

/*! The next full stop, or the end of the text. */
static const uint8_t *find_stop(const uint8_t *text, const uint8_t *end)
{
	while (text < end && stop_size(text, (size_t)(end - text)) == 0) {
		text++;
	}
	return text;
}

static inline bool is_label_octet(uint8_t octet)
{
	return label_octets[octet] != '.';
}

/*! Copies label octets in lower case up to the first other one. Returns how many. */
static inline size_t copy_octets(uint8_t *out, const uint8_t *text, size_t length)
{
	size_t size = 0;
	while (size < length && is_label_octet(text[size])) {
		out[size] = (uint8_t)label_octets[text[size]];
		size++;
	}
	return size;
}

/*! Takes the result of a conversion, which need not be a label: UTS #46 also maps to ASCII dots,
 * signs and underscores. */
static int take_converted(
	uint8_t *label, size_t room, size_t *size, const uint8_t *result, const char **why)
{
	*size = strlen((const char *)result);
	if (*size > LABEL_MAX) {
		return refuse(why, label_too_long);
	}
	if (*size > room) {
		return refuse(why, name_too_long);
	}
	if (copy_octets(label, result, *size) < *size || memchr(label, '_', *size) != NULL) {
		return refuse(why, bad_unicode);
	}
	return ICP_EOK;
}

/*!
 * Converts a label that is not ASCII.
 * \param label, room  where it goes
 * \param size         its octets there
 */
static int convert_label(uint8_t *label, size_t room, size_t *size, const uint8_t *text,
	size_t length, const char **why)
{
	uint8_t unicode[UNICODE_LABEL_MAX + 1];
	uint8_t *result = NULL;

	if (length > UNICODE_LABEL_MAX) {
		return refuse(why, label_too_long);
	}
	if (memchr(text, '\0', length) != NULL) {
		return refuse(why, bad_character);
	}
	memcpy(unicode, text, length);
	unicode[length] = '\0';

	switch (idn2_lookup_u8(unicode, &result, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL)) {
	case IDN2_OK:
		break;
	case IDN2_MALLOC:
		return ICP_ENOMEM;
	case IDN2_PUNYCODE_BIG_OUTPUT:
	case IDN2_TOO_BIG_LABEL:
	case IDN2_TOO_BIG_DOMAIN:
		return refuse(why, label_too_long);
	default:
		return refuse(why, bad_unicode);
	}
	int code = take_converted(label, room, size, result, why);
	idn2_free(result);
	return code;
}

/*! What is wrong with a label of allowed octets; NULL if nothing. */
static inline const char *label_fault(const uint8_t *label, size_t size)
{
	if (size == 0) {
		return "empty label";
	}
	if (size > LABEL_MAX) {
		return label_too_long;
	}
	if (label[0] == '-' || label[size - 1] == '-') {
		return "hyphen at the start or end of a label";
	}
	return NULL;
}

/*! What is wrong when a label of this size goes on with an octet that is no full stop. */
static const char *end_fault(uint8_t octet, size_t size)
{
	if (!is_label_octet(octet)) {
		return bad_character;
	}
	return size >= LABEL_MAX ? label_too_long : name_too_long;
}

int icp_name_parse(icp_name_t *name, const char *text, size_t length, const char **why)
{
	const uint8_t *at = (const uint8_t *)text;
	const uint8_t *end = at + length;
	size_t used = 0;
	unsigned labels = 0;

	if (length == 0) {
		return refuse(why, "empty name");
	}
	while (at < end) {
		if (used == ICP_NAME_MAX) {
			return refuse(why, name_too_long);
		}
		size_t room = ICP_NAME_MAX - used - 1;
		size_t rest = (size_t)(end - at);
		uint8_t *label = name->wire + used + 1;
		size_t size = copy_octets(label, at, rest < room ? rest : room);

		const uint8_t *label_end = at + size;
		size_t stop = stop_size(label_end, rest - size);
		if (stop == 0 && size < rest && *label_end >= 0x80) {
			label_end = find_stop(label_end, end);
			int code = convert_label(
				label, room, &size, at, (size_t)(label_end - at), why);
			if (code != ICP_EOK) {
				return code;
			}
			stop = stop_size(label_end, (size_t)(end - label_end));
		}
		if (stop == 0 && label_end < end) {
			return refuse(why, end_fault(*label_end, size));
		}
		const char *fault = label_fault(label, size);
		if (fault != NULL) {
			return refuse(why, fault);
		}
		name->wire[used] = (uint8_t)size;
		used += 1 + size;
		labels++;
		at = label_end + stop;
	}
	name->length = (uint8_t)used;
	name->labels = (uint8_t)labels;
	return ICP_EOK;
}

/*! Eight octets with A to Z in lower case. */
static uint64_t lower(uint64_t octets)
{
	const uint64_t ones = UINT64_C(0x0101010101010101);
	uint64_t low = octets & 0x7f * ones;
	uint64_t from_a = low + (0x80 - 'A') * ones;
	uint64_t above_z = low + (0x7f - 'Z') * ones;
	uint64_t upper = from_a & ~above_z & ~octets & 0x80 * ones;
	return octets | upper >> 2;
}

static void copy_lower(uint8_t *out, const uint8_t *in, size_t length)
{
	uint64_t octets;
	size_t at = 0;
	for (; at + sizeof octets <= length; at += sizeof octets) {
		memcpy(&octets, in + at, sizeof octets);
		octets = lower(octets);
		memcpy(out + at, &octets, sizeof octets);
	}
	for (; at < length; at++) {
		bool upper = (uint8_t)(in[at] - 'A') < 26;
		out[at] = (uint8_t)(in[at] | upper << 5);
	}
}

int icp_name_from_wire(icp_name_t *name, const uint8_t *wire, size_t length)
{
	size_t at = 0;
	unsigned labels = 0;

	while (at < length && wire[at] != 0) {
		size_t next = at + 1 + (size_t)wire[at];
		/* A length above 63 is a compression pointer or nothing known. */
		if (wire[at] > LABEL_MAX || next > ICP_NAME_MAX || next > length) {
			return ICP_EINVAL;
		}
		at = next;
		labels++;
	}
	if (at >= length) {
		return ICP_EINVAL;
	}
	/* Length octets lie below 'A' and stay as they are. */
	copy_lower(name->wire, wire, at);
	name->length = (uint8_t)at;
	name->labels = (uint8_t)labels;
	return ICP_EOK;
}

int icp_name_from_stored(icp_name_t *name, const uint8_t *wire, size_t length)
{
	size_t used = 0;
	unsigned labels = 0;

	if (length > ICP_NAME_MAX) {
		return ICP_EINVAL;
	}
	while (used < length) {
		if (wire[used] == 0 || wire[used] > LABEL_MAX) {
			return ICP_EINVAL;
		}
		used += 1 + (size_t)wire[used];
		labels++;
	}
	if (used != length) {
		return ICP_EINVAL;
	}
	/* Length octets lie below 'A', so they need no care here. */
	for (size_t i = 0; i < length; i++) {
		if ((uint8_t)(wire[i] - 'A') < 26) {
			return ICP_EINVAL;
		}
		name->wire[i] = wire[i];
	}
	name->length = (uint8_t)length;
	name->labels = (uint8_t)labels;
	return ICP_EOK;
}

/*! True for octets that stand for themselves: printable and without a meaning in a zone file. */
static bool is_plain(uint8_t octet)
{
	return octet > ' ' && octet < 0x7f && strchr("\"$().;@\\", octet) == NULL;
}

void icp_name_format(const icp_name_t *name, char text[ICP_NAME_TEXT_MAX])
{
	char *out = text;

	for (size_t at = 0; at < name->length;) {
		size_t end = at + 1 + name->wire[at];
		if (at > 0) {
			*out++ = '.';
		}
		for (at++; at < end; at++) {
			uint8_t octet = name->wire[at];
			if (is_plain(octet)) {
				*out++ = (char)octet;
				continue;
			}
			*out++ = '\\';
			*out++ = (char)('0' + octet / 100);
			*out++ = (char)('0' + octet / 10 % 10);
			*out++ = (char)('0' + octet % 10);
		}
	}
	if (out == text) {
		*out++ = '.';
	}
	*out = '\0';
}

bool icp_name_is_ldh(const icp_name_t *name)
{
	for (size_t at = 0; at < name->length;) {
		const uint8_t *label = name->wire + at + 1;
		size_t size = name->wire[at];
		if (label_fault(label, size) != NULL) {
			return false;
		}
		for (size_t i = 0; i < size; i++) {
			if (!is_label_octet(label[i]) || label[i] == '_') {
				return false;
			}
		}
		at += 1 + size;
	}
	return true;
}

bool icp_name_is_under(const icp_name_t *name, const icp_name_t *suffix)
{
	if (suffix->labels > name->labels) {
		return false;
	}
	size_t offset = icp_name_suffix(name, suffix->labels);
	return name->length - offset == suffix->length &&
	       memcmp(name->wire + offset, suffix->wire, suffix->length) == 0;
}

size_t icp_name_suffix(const icp_name_t *name, unsigned labels)
{
	size_t offset = 0;
	for (unsigned above = name->labels; above > labels; above--) {
		offset += 1 + (size_t)name->wire[offset];
	}
	return offset;
}

void icp_name_tail(icp_name_t *tail, const icp_name_t *name, unsigned labels)
{
	size_t offset = icp_name_suffix(name, labels);
	tail->length = (uint8_t)(name->length - offset);
	tail->labels = (uint8_t)labels;
	memcpy(tail->wire, name->wire + offset, tail->length);
}

void icp_name_suffixes(const icp_name_t *name, uint8_t offsets[ICP_NAME_LABELS_MAX + 1])
{
	uint8_t offset = 0;
	for (unsigned labels = name->labels; labels > 0; labels--) {
		offsets[labels] = offset;
		offset = (uint8_t)(offset + 1 + name->wire[offset]);
	}
	offsets[0] = offset;
}

/*! Notes where each label begins. Returns their number. */
static size_t find_labels(uint8_t offsets[ICP_NAME_LABELS_MAX], const uint8_t *wire, size_t length)
{
	size_t count = 0;
	for (size_t at = 0; at < length && count < ICP_NAME_LABELS_MAX;
		at += 1 + (size_t)wire[at]) {
		offsets[count++] = (uint8_t)at;
	}
	return count;
}

int icp_name_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	uint8_t a_offsets[ICP_NAME_LABELS_MAX];
	uint8_t b_offsets[ICP_NAME_LABELS_MAX];
	size_t a_count = find_labels(a_offsets, a, a_length);
	size_t b_count = find_labels(b_offsets, b, b_length);

	while (a_count > 0 && b_count > 0) {
		const uint8_t *a_label = a + a_offsets[--a_count];
		const uint8_t *b_label = b + b_offsets[--b_count];
		int order =
			memcmp(a_label + 1, b_label + 1, *a_label < *b_label ? *a_label : *b_label);
		if (order == 0) {
			order = *a_label - *b_label;
		}
		if (order != 0) {
			return order;
		}
	}
	return (a_count > 0) - (b_count > 0);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/request.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "core/address.h"
#include "core/error.h"

#define HOST_MAX 1024   /*!< Octets of a host that may be a name. */
#define WEIGHT_ONE 1000 /*!< A weight of 1. */
#define WEIGHT_UNSET (-1)

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_address(const char *text, size_t length)
{
	icp_address_t address;
	return icp_address_parse(&address, text, length) == ICP_EOK;
}

/*!
 * "127.1", "0x7f.1" and "2130706433" are addresses to browsers, which look at the last label. The
 * name's text is asked, as a dot has several forms.
 */
static bool ends_in_number(const icp_name_t *name)
{
	char text[ICP_NAME_TEXT_MAX];
	icp_name_format(name, text);
	const char *dot = strrchr(text, '.');
	const char *label = dot != NULL ? dot + 1 : text;
	size_t length = strlen(label);
	if (label[0] == '0' && label[1] == 'x') {
		return strspn(label + 2, "0123456789abcdef") == length - 2;
	}
	return strspn(label, "0123456789") == length;
}

/*! Cuts ":80" off, and ":" alone. */
static size_t without_port(const char *text, size_t length)
{
	size_t end = length;
	while (end > 0 && is_digit(text[end - 1])) {
		end--;
	}
	return end > 0 && text[end - 1] == ':' ? end - 1 : length;
}

static enum icp_host bracketed(const char *text, size_t length)
{
	const char *end = memchr(text, ']', length);
	if (end == NULL) {
		return ICP_HOST_BAD;
	}
	size_t inside = (size_t)(end - text) - 1;
	bool whole = without_port(text, length) == inside + 2;
	return whole && is_address(text + 1, inside) ? ICP_HOST_ADDRESS : ICP_HOST_BAD;
}

enum icp_host icp_request_host(icp_name_t *name, const char *text)
{
	size_t length = text != NULL ? strlen(text) : 0;
	while (length > 0 && is_space(*text)) {
		text++;
		length--;
	}
	while (length > 0 && is_space(text[length - 1])) {
		length--;
	}
	if (length == 0) {
		return ICP_HOST_NONE;
	}
	if (length > HOST_MAX) {
		return ICP_HOST_BAD;
	}
	if (text[0] == '[') {
		return bracketed(text, length);
	}
	if (is_address(text, length)) {
		return ICP_HOST_ADDRESS;
	}
	length = without_port(text, length);
	if (length == 0) {
		return ICP_HOST_NONE;
	}
	if (is_address(text, length)) {
		return ICP_HOST_ADDRESS;
	}
	if (icp_name_parse(name, text, length, NULL) != ICP_EOK) {
		return ICP_HOST_BAD;
	}
	return ends_in_number(name) ? ICP_HOST_ADDRESS : ICP_HOST_NAME;
}

/*! Reads a weight of 0 to 1 with three decimals. WEIGHT_UNSET: it is none. */
static int read_weight(const char *text, size_t length)
{
	if (length == 0 || length > 5 || (text[0] != '0' && text[0] != '1') ||
		(length > 1 && text[1] != '.')) {
		return WEIGHT_UNSET;
	}
	int weight = (text[0] - '0') * WEIGHT_ONE;
	int unit = WEIGHT_ONE / 10;
	for (size_t i = 2; i < length; i++) {
		if (!is_digit(text[i])) {
			return WEIGHT_UNSET;
		}
		weight += (text[i] - '0') * unit;
		unit /= 10;
	}
	return weight <= WEIGHT_ONE ? weight : WEIGHT_UNSET;
}

/*! Takes a piece up to a character, without the space around it; at is moved behind it. */
static const char *next_piece(const char **at, const char *end, char until, size_t *length)
{
	const char *start = *at;
	const char *stop = memchr(start, until, (size_t)(end - start));
	*at = stop != NULL ? stop + 1 : end;
	stop = stop != NULL ? stop : end;
	while (start < stop && is_space(*start)) {
		start++;
	}
	while (start < stop && is_space(stop[-1])) {
		stop--;
	}
	*length = (size_t)(stop - start);
	return start;
}

/*! The weight that the parameters of a range give it. */
static int weight_of(const char *at, const char *end)
{
	int weight = WEIGHT_ONE;
	while (at < end) {
		size_t length;
		const char *piece = next_piece(&at, end, ';', &length);
		if (length >= 2 && (piece[0] == 'q' || piece[0] == 'Q') && piece[1] == '=') {
			weight = read_weight(piece + 2, length - 2);
		}
	}
	return weight;
}

static bool is_tag(const char *range, size_t length, const char *language)
{
	size_t primary = strlen(language);
	return length >= primary && strncasecmp(range, language, primary) == 0 &&
	       (length == primary || range[primary] == '-');
}

enum icp_language icp_request_language(const char *accept)
{
	static const char *const tags[ICP_LANGUAGE_COUNT] = {[ICP_ZH] = "zh", [ICP_EN] = "en"};
	int weights[ICP_LANGUAGE_COUNT] = {WEIGHT_UNSET, WEIGHT_UNSET};
	int any = WEIGHT_UNSET;
	enum icp_language first = ICP_ZH; /* Of two with the same weight. */
	const char *at = accept != NULL ? accept : "";
	const char *end = at + strlen(at);

	while (at < end) {
		size_t length;
		size_t tag_length;
		const char *range = next_piece(&at, end, ',', &length);
		const char *rest = range;
		const char *tag = next_piece(&rest, range + length, ';', &tag_length);
		int weight = weight_of(rest, range + length);
		if (tag_length == 1 && *tag == '*') {
			any = weight > any ? weight : any;
		}
		for (unsigned i = 0; i < ICP_LANGUAGE_COUNT; i++) {
			if (is_tag(tag, tag_length, tags[i]) && weight > weights[i]) {
				weights[i] = weight;
				first = weight > 0 && weight > weights[1 - i] ? (enum icp_language)i
									      : first;
			}
		}
	}
	for (unsigned i = 0; i < ICP_LANGUAGE_COUNT; i++) {
		weights[i] = weights[i] == WEIGHT_UNSET ? any : weights[i];
	}
	if (weights[ICP_ZH] == weights[ICP_EN]) {
		return first;
	}
	/* Who refuses the one may get the other, though he did not ask for it. */
	if (weights[ICP_ZH] <= 0 && weights[ICP_EN] <= 0) {
		return weights[ICP_ZH] == 0 ? ICP_EN : ICP_ZH;
	}
	return weights[ICP_EN] > weights[ICP_ZH] ? ICP_EN : ICP_ZH;
}

static int hex_value(char c)
{
	if (is_digit(c)) {
		return c - '0';
	}
	int lower = tolower((unsigned char)c);
	return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool decode(const char *text, size_t length, char *out, size_t room)
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		char c = text[i] == '+' ? ' ' : text[i];
		if (c == '%') {
			int high = i + 2 < length ? hex_value(text[i + 1]) : -1;
			int low = i + 2 < length ? hex_value(text[i + 2]) : -1;
			if (high < 0 || low < 0) {
				return false;
			}
			c = (char)(high * 16 + low);
			i += 2;
		}
		if (c == '\0' || used + 1 >= room) {
			return false;
		}
		out[used++] = c;
	}
	out[used] = '\0';
	return true;
}

bool icp_request_query(const char *query, const char *key, char *out, size_t room)
{
	size_t key_length = strlen(key);
	while (query != NULL && *query != '\0') {
		size_t length = strcspn(query, "&");
		if (length > key_length && query[key_length] == '=' &&
			memcmp(query, key, key_length) == 0) {
			return decode(query + key_length + 1, length - key_length - 1, out, room);
		}
		query += length;
		query += *query == '&';
	}
	return false;
}

bool icp_request_switch(const char *query, enum icp_language *language)
{
	char value[8];
	if (!icp_request_query(query, "lang", value, sizeof value)) {
		return false;
	}
	bool zh = strcmp(value, "zh") == 0;
	if (!zh && strcmp(value, "en") != 0) {
		return false;
	}
	*language = zh ? ICP_ZH : ICP_EN;
	return true;
}

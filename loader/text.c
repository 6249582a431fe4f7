/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/text.h"

#include <stdint.h>
#include <string.h>

/*! Octets of the character at the head of text; 0 when it is not UTF-8. */
static size_t character_size(const uint8_t *text, size_t length)
{
	uint8_t first = text[0];
	uint8_t low = 0x80;
	uint8_t high = 0xbf;
	size_t size;

	if (first < 0x80) {
		return 1;
	}
	if (first < 0xc2 || first > 0xf4) {
		return 0;
	}
	if (first < 0xe0) {
		size = 2;
	} else if (first < 0xf0) {
		size = 3;
		low = first == 0xe0 ? 0xa0 : low;   /* else overlong */
		high = first == 0xed ? 0x9f : high; /* else a surrogate */
	} else {
		size = 4;
		low = first == 0xf0 ? 0x90 : low;   /* else overlong */
		high = first == 0xf4 ? 0x8f : high; /* else above U+10FFFF */
	}
	if (size > length || text[1] < low || text[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < size; i++) {
		if ((text[i] & 0xc0) != 0x80) {
			return 0;
		}
	}
	return size;
}

/*! For the head of a valid character. */
static bool is_control(const uint8_t *text)
{
	return text[0] < ' ' || text[0] == 0x7f || (text[0] == 0xc2 && text[1] < 0xa0);
}

bool icp_text_is_utf8(const char *text, size_t length)
{
	const uint8_t *octets = (const uint8_t *)text;
	for (size_t at = 0; at < length;) {
		size_t size = character_size(octets + at, length - at);
		if (size == 0) {
			return false;
		}
		at += size;
	}
	return true;
}

bool icp_text_has_control(const char *text, size_t length)
{
	const uint8_t *octets = (const uint8_t *)text;
	for (size_t i = 0; i < length; i++) {
		/* 0xc2 begins a character of two octets, so the second is there. */
		if (is_control(octets + i)) {
			return true;
		}
	}
	return false;
}

/*! A character as it is shown. */
typedef struct {
	char text[4];
	size_t length;
	size_t taken; /*!< Octets of it that this shows. */
} shown_t;

static shown_t show(const uint8_t *octets, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	size_t size = character_size(octets, length);
	shown_t shown = {.length = size, .taken = size};
	if (size > 0 && !is_control(octets)) {
		memcpy(shown.text, octets, size);
		return shown;
	}
	return (shown_t){{'\\', 'x', digits[octets[0] >> 4], digits[octets[0] & 0xf]}, 4, 1};
}

void icp_text_show(char shown[ICP_SHOWN_TEXT_MAX], const char *text, size_t length)
{
	const uint8_t *octets = (const uint8_t *)text;
	char *out = shown;
	size_t at = 0;

	if (length == 0) {
		memcpy(shown, "(empty)", sizeof "(empty)");
		return;
	}
	while (at < length) {
		size_t size = character_size(octets + at, length - at);
		if (at + (size > 0 ? size : 1) > ICP_SHOWN_MAX) {
			memcpy(out, "...", 3);
			out += 3;
			break;
		}
		shown_t one = show(octets + at, length - at);
		memcpy(out, one.text, one.length);
		out += one.length;
		at += one.taken;
	}
	*out = '\0';
}

void icp_text_escape(char *escaped, size_t room, const char *text)
{
	const uint8_t *octets = (const uint8_t *)text;
	size_t left = strlen(text);
	while (left > 0) {
		shown_t one = show(octets, left);
		if (one.length >= room) {
			break;
		}
		memcpy(escaped, one.text, one.length);
		escaped += one.length;
		room -= one.length;
		octets += one.taken;
		left -= one.taken;
	}
	*escaped = '\0';
}

void icp_text_quote(char *quoted, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789._~/-";
	if (word[0] != '~' && word[strspn(word, plain)] == '\0') {
		memcpy(quoted, word, strlen(word) + 1);
		return;
	}
	*quoted++ = '\'';
	for (; *word != '\0'; word++) {
		if (*word == '\'') {
			*quoted++ = '\'';
			*quoted++ = '\\';
			*quoted++ = '\'';
		}
		*quoted++ = *word;
	}
	memcpy(quoted, "'", sizeof "'");
}

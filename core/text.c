/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/text.h"

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

size_t icp_text_escape(char *shown, size_t room, const char *text, size_t length)
{
	static const char digits[] = "0123456789abcdef";
	const uint8_t *octets = (const uint8_t *)text;
	size_t used = 0;
	size_t at = 0;

	while (at < length) {
		size_t size = character_size(octets + at, length - at);
		bool plain = size > 0 && !is_control(octets + at);
		if (used + (plain ? size : 4) >= room) {
			break;
		}
		if (plain) {
			memcpy(shown + used, octets + at, size);
			used += size;
			at += size;
			continue;
		}
		shown[used++] = '\\';
		shown[used++] = 'x';
		shown[used++] = digits[octets[at] >> 4];
		shown[used++] = digits[octets[at] & 0xf];
		at++;
	}
	shown[used] = '\0';
	return used;
}

void icp_text_show(char shown[ICP_SHOWN_TEXT_MAX], const char *text, size_t length)
{
	const uint8_t *octets = (const uint8_t *)text;
	size_t whole = 0;

	if (length == 0) {
		memcpy(shown, "(empty)", sizeof "(empty)");
		return;
	}
	while (whole < length) {
		size_t size = character_size(octets + whole, length - whole);
		if (whole + (size > 0 ? size : 1) > ICP_SHOWN_MAX) {
			break;
		}
		whole += size > 0 ? size : 1;
	}
	size_t used = icp_text_escape(shown, ICP_SHOWN_TEXT_MAX, text, whole);
	if (whole < length) {
		memcpy(shown + used, "...", sizeof "...");
	}
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

/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/template_scan.h"

#include <string.h>
#include <strings.h>

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool begins(const char *rest, size_t length, const char *with)
{
	size_t size = strlen(with);
	return length >= size && strncasecmp(rest, with, size) == 0;
}

static void add_to(char name[ICP_SCAN_NAME_MAX], char c)
{
	size_t used = strlen(name);
	if (used + 1 < ICP_SCAN_NAME_MAX) {
		name[used] = lower(c);
		name[used + 1] = '\0';
	}
}

static void leave_tag(icp_scan_t *scan)
{
	bool style = strcmp(scan->element, "style") == 0;
	*scan = (icp_scan_t){.place = style ? ICP_PLACE_STYLE : ICP_PLACE_TEXT};
}

static const char *check_element(const icp_scan_t *scan)
{
	if (strcmp(scan->element, "script") == 0) {
		return "a script, which the page's policy forbids";
	}
	/* What stands inside these is not what it looks like. */
	static const char *const raw[] = {
		"xmp", "iframe", "noembed", "noframes", "plaintext", "noscript"};
	for (size_t i = 0; i < sizeof raw / sizeof *raw; i++) {
		if (strcmp(scan->element, raw[i]) == 0) {
			return "an element that pages can't have";
		}
	}
	return NULL;
}

static const char *check_attribute(const icp_scan_t *scan)
{
	if (strcmp(scan->attribute, "style") == 0) {
		return "a style attribute, which the page's policy forbids";
	}
	if (strncmp(scan->attribute, "on", 2) == 0) {
		return "a handler, which the page's policy forbids";
	}
	return strcmp(scan->attribute, "srcdoc") == 0 ? "srcdoc" : NULL;
}

static void step_text(icp_scan_t *scan, const char *rest, size_t length)
{
	if (*rest != '<' || length < 2) {
		return;
	}
	char next = lower(rest[1]);
	if (next == '!' || next == '?') {
		*scan = (icp_scan_t){
			.place = ICP_PLACE_COMMENT, .comment = begins(rest, length, "<!--")};
	} else if ((next >= 'a' && next <= 'z') || next == '/') {
		*scan = (icp_scan_t){.place = ICP_PLACE_TAG, .names_element = true};
	}
}

/*! Inside a tag, but in no value. */
static const char *step_tag(icp_scan_t *scan, char c)
{
	if (scan->names_element) {
		if (!is_space(c) && c != '>' && (c != '/' || scan->element[0] == '\0')) {
			add_to(scan->element, c);
			return NULL;
		}
		scan->names_element = false;
		const char *wrong = check_element(scan);
		if (wrong != NULL) {
			return wrong;
		}
	}
	if (c == '>') {
		leave_tag(scan);
	} else if (c == '=') {
		scan->value_next = true;
		return scan->attribute[0] == '\0' ? "= with no name before it"
						  : check_attribute(scan);
	} else if (scan->value_next && (c == '"' || c == '\'')) {
		scan->place = ICP_PLACE_QUOTED;
		scan->quote = c;
		scan->value_next = false;
	} else if (scan->value_next && !is_space(c)) {
		scan->place = ICP_PLACE_UNQUOTED;
		scan->value_next = false;
	} else if (c == '"' || c == '\'' || c == '<') {
		return "a quote or < inside a tag";
	} else if (is_space(c) || c == '/') {
		if (!scan->value_next) {
			scan->attribute[0] = '\0';
		}
	} else {
		add_to(scan->attribute, c);
	}
	return NULL;
}

static void end_value(icp_scan_t *scan)
{
	scan->place = ICP_PLACE_TAG;
	scan->quote = '\0';
	scan->attribute[0] = '\0';
}

static const char *step_unquoted(icp_scan_t *scan, char c)
{
	if (is_space(c) || c == '>') {
		end_value(scan);
		return step_tag(scan, c);
	}
	return NULL;
}

/*! A comment ends with "-->", of which this is the last character; what else is in <!...> with ">".
 */
static void step_comment(icp_scan_t *scan, const char *rest)
{
	if (*rest == '>' && (!scan->comment || (rest[-1] == '-' && rest[-2] == '-'))) {
		*scan = (icp_scan_t){.place = ICP_PLACE_TEXT};
	}
}

const char *icp_scan_step(icp_scan_t *scan, const char *rest, size_t length)
{
	switch (scan->place) {
	case ICP_PLACE_TEXT:
		step_text(scan, rest, length);
		return NULL;
	case ICP_PLACE_TAG:
		return *rest == '<' ? "< inside a tag" : step_tag(scan, *rest);
	case ICP_PLACE_QUOTED:
		if (*rest == scan->quote) {
			end_value(scan);
		}
		return NULL;
	case ICP_PLACE_UNQUOTED:
		return step_unquoted(scan, *rest);
	case ICP_PLACE_COMMENT:
		step_comment(scan, rest);
		return NULL;
	case ICP_PLACE_STYLE:
		if (begins(rest, length, "</style")) {
			*scan = (icp_scan_t){.place = ICP_PLACE_TAG, .names_element = true};
		}
		return NULL;
	}
	return NULL;
}

bool icp_scan_in_url(const icp_scan_t *scan)
{
	static const char *const urls[] = {"href", "src", "action", "formaction", "data", "poster",
		"cite", "background", "srcset", "ping", "manifest", "content", "xlink:href"};
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		if (strcmp(scan->attribute, urls[i]) == 0) {
			return true;
		}
	}
	return false;
}

bool icp_scan_same(const icp_scan_t *a, const icp_scan_t *b)
{
	return a->place == b->place && a->quote == b->quote &&
	       a->names_element == b->names_element && a->value_next == b->value_next &&
	       a->comment == b->comment && strcmp(a->element, b->element) == 0 &&
	       strcmp(a->attribute, b->attribute) == 0;
}

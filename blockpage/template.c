/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/template_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "blockpage/template_scan.h"

#define DEPTH_MAX 8     /*!< Sections in sections. */
#define SHOWN_MAX 40    /*!< Octets of a mark that a message shows. */
#define ALLOWED_MAX 640 /*!< Octets of a list of names. */

typedef struct {
	size_t op;
	unsigned line;
	icp_scan_t scan;
} section_t;

typedef struct {
	icp_template_t *made;
	const char *path;
	const char *at;
	const char *end;
	unsigned line;
	icp_scan_t scan;
	section_t sections[DEPTH_MAX];
	size_t depth;
	icp_diag_t *diag;
} parser_t;

static int no_memory(icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
}

/*! A message about what stands at a place, as it is shown. */
static int refuse(const parser_t *parser, const char *what, const char *text, size_t length)
{
	char shown[SHOWN_MAX + 4];
	size_t size = length < SHOWN_MAX ? length : SHOWN_MAX;
	for (size_t i = 0; i < size; i++) {
		shown[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	}
	snprintf(shown + size, sizeof shown - size, "%s", size < length ? "..." : "");
	return icp_fail(parser->diag, ICP_ECONFIG, "%s:%u: %s: \"%s\"", parser->path, parser->line,
		what, shown);
}

static void list_names(const icp_template_words_t *words, bool sections, char out[ALLOWED_MAX])
{
	size_t used = 0;
	for (size_t i = 0; sections && i < words->case_count && used < ALLOWED_MAX; i++) {
		used += (size_t)snprintf(out + used, ALLOWED_MAX - used, "%s%s",
			used == 0 ? "" : ", ", words->cases[i]);
	}
	for (size_t i = 0; i < words->value_count && used < ALLOWED_MAX; i++) {
		used += (size_t)snprintf(out + used, ALLOWED_MAX - used, "%s%s",
			used == 0 ? "" : ", ", words->values[i].name);
	}
}

static int refuse_name(const parser_t *parser, bool section, const char *text, size_t length)
{
	char allowed[ALLOWED_MAX] = "";
	list_names(parser->made->words, section, allowed);
	int ret = refuse(
		parser, section ? "unknown name in a section" : "unknown value", text, length);
	size_t used = strlen(parser->diag->text);
	snprintf(parser->diag->text + used, sizeof parser->diag->text - used, "; allowed: %s",
		allowed);
	return ret;
}

static bool is_name(const char *name, const char *text, size_t length)
{
	return strlen(name) == length && memcmp(name, text, length) == 0;
}

static int find_value(const icp_template_words_t *words, const char *text, size_t length)
{
	for (size_t i = 0; i < words->value_count; i++) {
		if (is_name(words->values[i].name, text, length)) {
			return (int)i;
		}
	}
	return -1;
}

static const char *misplaced(enum icp_value_kind kind, const icp_scan_t *scan)
{
	if ((scan->place == ICP_PLACE_STYLE) != (kind == ICP_VALUE_STYLE)) {
		return kind == ICP_VALUE_STYLE ? "only a style element can hold this"
					       : "a style element can't hold this";
	}
	switch (scan->place) {
	case ICP_PLACE_TAG:
		return "a value in a tag, outside an attribute in quotes";
	case ICP_PLACE_UNQUOTED:
		return "a value in an attribute without quotes";
	case ICP_PLACE_COMMENT:
		return "a value in a comment";
	case ICP_PLACE_QUOTED:
		return icp_scan_in_url(scan) && kind != ICP_VALUE_URL
			       ? "an attribute for a URL can't hold this"
			       : NULL;
	case ICP_PLACE_TEXT:
	case ICP_PLACE_STYLE:
		break;
	}
	return NULL;
}

static int take_value(parser_t *parser, const char *text, size_t length)
{
	const icp_template_words_t *words = parser->made->words;
	int found = find_value(words, text, length);
	if (found < 0) {
		return refuse_name(parser, false, text, length);
	}
	enum icp_value_kind kind = words->values[found].kind;
	const char *wrong = misplaced(kind, &parser->scan);
	if (wrong != NULL) {
		return refuse(parser, wrong, text, length);
	}
	icp_op_t op = {
		.kind = ICP_OP_VALUE, .value = (unsigned)found, .raw = kind == ICP_VALUE_STYLE};
	return icp_template_add(parser->made, op) != NULL ? ICP_EOK : no_memory(parser->diag);
}

static int take_condition(const parser_t *parser, icp_op_t *op, const char *text, size_t length)
{
	const icp_template_words_t *words = parser->made->words;
	for (size_t i = 0; i < words->case_count; i++) {
		if (is_name(words->cases[i], text, length)) {
			op->cases |= UINT32_C(1) << i;
			return ICP_EOK;
		}
	}
	int found = find_value(words, text, length);
	if (found < 0) {
		return refuse_name(parser, true, text, length);
	}
	op->values |= UINT32_C(1) << found;
	return ICP_EOK;
}

static int open_section(parser_t *parser, bool negated, const char *text, size_t length)
{
	icp_op_t op = {.kind = ICP_OP_IF, .negated = negated};
	const char *end = text + length;
	while (text < end) {
		const char *space = memchr(text, ' ', (size_t)(end - text));
		size_t size = space != NULL ? (size_t)(space - text) : (size_t)(end - text);
		int ret = size > 0 ? take_condition(parser, &op, text, size) : ICP_EOK;
		if (ret != ICP_EOK) {
			return ret;
		}
		text += size + (space != NULL);
	}
	if (op.cases == 0 && op.values == 0) {
		return refuse(parser, "a section without a name", "", 0);
	}
	if (parser->depth == DEPTH_MAX) {
		return refuse(parser, "more than 8 sections in each other", "", 0);
	}
	if (icp_template_add(parser->made, op) == NULL) {
		return no_memory(parser->diag);
	}
	parser->sections[parser->depth++] = (section_t){
		.op = parser->made->count - 1, .line = parser->line, .scan = parser->scan};
	return ICP_EOK;
}

static int close_section(parser_t *parser)
{
	if (parser->depth == 0) {
		return refuse(parser, "no section to end", "{{/}}", 5);
	}
	const section_t *section = &parser->sections[--parser->depth];
	if (!icp_scan_same(&section->scan, &parser->scan)) {
		return icp_fail(parser->diag, ICP_ECONFIG,
			"%s:%u: the section of line %u begins and ends in different places of the "
			"HTML",
			parser->path, parser->line, section->line);
	}
	parser->made->ops[section->op].end = parser->made->count;
	return ICP_EOK;
}

/*! Takes what stands in a mark. */
static int take_mark(parser_t *parser, const char *text, size_t length)
{
	while (length > 0 && *text == ' ') {
		text++;
		length--;
	}
	while (length > 0 && text[length - 1] == ' ') {
		length--;
	}
	if (length == 0) {
		return refuse(parser, "an empty mark", "{{}}", 4);
	}
	switch (*text) {
	case '!':
		return ICP_EOK;
	case '#':
	case '^':
		return open_section(parser, *text == '^', text + 1, length - 1);
	case '/':
		return length == 1 ? close_section(parser)
				   : refuse(parser, "a section ends with {{/}}", text, length);
	default:
		return take_value(parser, text, length);
	}
}

static void count_lines(parser_t *parser, const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		parser->line += text[i] == '\n';
	}
}

/*! Takes text up to the next mark, or the end. */
static int take_text(parser_t *parser)
{
	const char *start = parser->at;
	size_t left = (size_t)(parser->end - start);
	const char *mark = memmem(start, left, "{{", 2);
	size_t length = mark != NULL ? (size_t)(mark - start) : left;
	for (size_t i = 0; i < length; i++) {
		const char *wrong = icp_scan_step(&parser->scan, start + i, length - i);
		if (wrong != NULL) {
			return refuse(parser, "not allowed", wrong, strlen(wrong));
		}
		parser->line += start[i] == '\n';
	}
	parser->at += length;
	icp_op_t op = {.kind = ICP_OP_TEXT, .text = start, .length = length};
	return length == 0 || icp_template_add(parser->made, op) != NULL ? ICP_EOK
									 : no_memory(parser->diag);
}

static int parse(parser_t *parser)
{
	while (parser->at < parser->end) {
		int ret = take_text(parser);
		if (ret != ICP_EOK) {
			return ret;
		}
		if (parser->at == parser->end) {
			break;
		}
		const char *text = parser->at + 2;
		const char *close = memmem(text, (size_t)(parser->end - text), "}}", 2);
		if (close == NULL) {
			return refuse(parser, "a mark without an end", parser->at,
				(size_t)(parser->end - parser->at));
		}
		ret = take_mark(parser, text, (size_t)(close - text));
		if (ret != ICP_EOK) {
			return ret;
		}
		count_lines(parser, text, (size_t)(close - text));
		parser->at = close + 2;
	}
	if (parser->depth > 0) {
		parser->line = parser->sections[parser->depth - 1].line;
		return refuse(parser, "a section without an end", "", 0);
	}
	if (parser->scan.place != ICP_PLACE_TEXT) {
		return refuse(parser, "ends inside a tag, a comment or a style element", "", 0);
	}
	return ICP_EOK;
}

int icp_template_parse(icp_template_t **parsed, const char *text, size_t length, const char *path,
	const icp_template_words_t *words, icp_diag_t *diag)
{
	icp_diag_t unread;
	parser_t parser = {.path = path, .line = 1, .diag = diag != NULL ? diag : &unread};
	if (length > ICP_TEMPLATE_SIZE_MAX || memchr(text, '\0', length) != NULL) {
		return refuse(&parser, "not a template", "over 256 KiB, or with a NUL in it", 33);
	}
	parser.made = calloc(1, sizeof *parser.made);
	char *copy = malloc(length + 1);
	if (parser.made == NULL || copy == NULL) {
		free(parser.made);
		free(copy);
		return no_memory(parser.diag);
	}
	memcpy(copy, text, length);
	parser.made->text = copy;
	parser.made->words = words;
	parser.at = copy;
	parser.end = copy + length;
	int ret = parse(&parser);
	if (ret != ICP_EOK) {
		icp_template_free(parser.made);
		return ret;
	}
	*parsed = parser.made;
	return ICP_EOK;
}

void icp_template_free(icp_template_t *parsed)
{
	if (parsed != NULL) {
		free(parsed->ops);
		free(parsed->text);
		free(parsed);
	}
}

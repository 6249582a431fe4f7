/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config_yaml.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define SHOWN_MAX 64                        /* Octets of a value that a message shows. */
#define SHOWN_TEXT_MAX (4 * SHOWN_MAX + 16) /* All of them escaped, quotes, dots, NUL. */
#define DEPTH_MAX 16
#define ANCHORS_MAX 64

struct icp_yaml {
	const char *path;
	yaml_document_t document;
};

/* Returns the content, or NULL and the error in rc. */
static char *read_file(const char *path, size_t *length, int *rc, icp_diag_t *diag)
{
	FILE *file = fopen(path, "rbe");
	if (file == NULL) {
		*rc = icp_fail(diag, ICP_ESYS, "%s: %s", path, strerror(errno));
		return NULL;
	}
	char *text = malloc(ICP_YAML_SIZE_MAX + 1);
	if (text == NULL) {
		*rc = icp_fail(diag, ICP_ENOMEM, "%s: %s", path, icp_strerror(ICP_ENOMEM));
		goto cleanup;
	}
	*length = fread(text, 1, ICP_YAML_SIZE_MAX + 1, file);
	if (ferror(file)) {
		*rc = icp_fail(diag, ICP_ESYS, "%s: %s", path, strerror(errno));
	} else if (*length > ICP_YAML_SIZE_MAX) {
		*rc = icp_fail(diag, ICP_ECONFIG, "%s:1: file too large; allowed: %d octets", path,
			ICP_YAML_SIZE_MAX);
	} else {
		*rc = ICP_EOK;
	}
	if (*rc != ICP_EOK) {
		free(text);
		text = NULL;
	}
cleanup:
	fclose(file);
	return text;
}

/* An octet that is no UTF-8 is met while reading ahead: its place is known, its line is not. */
static size_t line_at(const char *text, size_t offset)
{
	size_t line = 1;
	for (size_t i = 0; i < offset; i++) {
		line += text[i] == '\n';
	}
	return line;
}

static int parser_failed(
	const yaml_parser_t *parser, const char *path, const char *text, icp_diag_t *diag)
{
	/* Where memory runs out libyaml may forget to say so, and then there is no problem. */
	if (parser->error == YAML_MEMORY_ERROR || parser->problem == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: %s", path, icp_strerror(ICP_ENOMEM));
	}
	size_t line = parser->error == YAML_READER_ERROR ? line_at(text, parser->problem_offset)
							 : parser->problem_mark.line + 1;
	bool context = parser->context != NULL;
	return icp_fail(diag, ICP_ECONFIG, "%s:%zu: not valid YAML: %s%s%s", path, line,
		context ? parser->context : "", context ? ", " : "", parser->problem);
}

/* What the parser has met so far. */
typedef struct {
	unsigned documents, anchors, depth;
} seen_t;

static int look_at(seen_t *seen, const yaml_event_t *event, const char *path, icp_diag_t *diag)
{
	size_t line = event->start_mark.line + 1;
	switch (event->type) {
	case YAML_DOCUMENT_START_EVENT:
		seen->documents++;
		break;
	case YAML_SCALAR_EVENT:
		seen->anchors += event->data.scalar.anchor != NULL;
		break;
	case YAML_SEQUENCE_START_EVENT:
		seen->anchors += event->data.sequence_start.anchor != NULL;
		seen->depth++;
		break;
	case YAML_MAPPING_START_EVENT:
		seen->anchors += event->data.mapping_start.anchor != NULL;
		seen->depth++;
		break;
	case YAML_SEQUENCE_END_EVENT:
	case YAML_MAPPING_END_EVENT:
		seen->depth--;
		break;
	default:
		break;
	}
	if (seen->documents > 1) {
		return icp_fail(
			diag, ICP_ECONFIG, "%s:%zu: a second document; allowed: one", path, line);
	}
	if (seen->depth > DEPTH_MAX) {
		return icp_fail(diag, ICP_ECONFIG, "%s:%zu: nested too deep; allowed: %d levels",
			path, line, DEPTH_MAX);
	}
	if (seen->anchors > ANCHORS_MAX) {
		return icp_fail(diag, ICP_ECONFIG, "%s:%zu: too many anchors; allowed: %d", path,
			line, ANCHORS_MAX);
	}
	return ICP_EOK;
}

/*
 * A first pass, before the document is built: the time of the second grows with the square of the
 * depth and of the anchors, and it stops at the end of the first document.
 */
static int scan(yaml_parser_t *parser, const char *path, const char *text, icp_diag_t *diag)
{
	seen_t seen = {0};
	for (;;) {
		yaml_event_t event;
		if (!yaml_parser_parse(parser, &event)) {
			return parser_failed(parser, path, text, diag);
		}
		bool end = event.type == YAML_STREAM_END_EVENT;
		int rc = look_at(&seen, &event, path, diag);
		yaml_event_delete(&event);
		if (end || rc != ICP_EOK) {
			return rc;
		}
	}
}

static int build(yaml_parser_t *parser, icp_yaml_t *yaml, const char *text, icp_diag_t *diag)
{
	if (!yaml_parser_load(parser, &yaml->document)) {
		return parser_failed(parser, yaml->path, text, diag);
	}
	return ICP_EOK;
}

static int parse(icp_yaml_t *yaml, const char *text, size_t length, icp_diag_t *diag)
{
	int rc = ICP_EOK;
	for (int pass = 1; rc == ICP_EOK && pass <= 2; pass++) {
		yaml_parser_t parser;
		if (!yaml_parser_initialize(&parser)) {
			return icp_fail(
				diag, ICP_ENOMEM, "%s: %s", yaml->path, icp_strerror(ICP_ENOMEM));
		}
		yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
		rc = pass == 1 ? scan(&parser, yaml->path, text, diag)
			       : build(&parser, yaml, text, diag);
		yaml_parser_delete(&parser);
	}
	return rc;
}

int icp_yaml_open(icp_yaml_t **yaml, const char *path, icp_diag_t *diag)
{
	int rc = ICP_EOK;
	size_t length = 0;
	char *text = read_file(path, &length, &rc, diag);
	if (text == NULL) {
		return rc;
	}
	icp_yaml_t *fresh = calloc(1, sizeof *fresh);
	if (fresh == NULL) {
		rc = icp_fail(diag, ICP_ENOMEM, "%s: %s", path, icp_strerror(ICP_ENOMEM));
		goto cleanup;
	}
	fresh->path = path;
	rc = parse(fresh, text, length, diag);
	if (rc == ICP_EOK) {
		*yaml = fresh;
		fresh = NULL;
	}
cleanup:
	icp_yaml_close(fresh);
	free(text);
	return rc;
}

void icp_yaml_close(icp_yaml_t *yaml)
{
	if (yaml != NULL) {
		yaml_document_delete(&yaml->document);
		free(yaml);
	}
}

static bool is_null(const char *text, bool plain)
{
	static const char *const words[] = {"", "~", "null", "Null", "NULL"};
	for (size_t i = 0; plain && i < sizeof words / sizeof *words; i++) {
		if (strcmp(text, words[i]) == 0) {
			return true;
		}
	}
	return false;
}

static icp_yaml_value_t value_of(const yaml_node_t *node)
{
	static const char *const tags[] = {
		[YAML_SCALAR_NODE] = YAML_DEFAULT_SCALAR_TAG,
		[YAML_SEQUENCE_NODE] = YAML_DEFAULT_SEQUENCE_TAG,
		[YAML_MAPPING_NODE] = YAML_DEFAULT_MAPPING_TAG,
	};
	icp_yaml_value_t value = {.line = node->start_mark.line + 1, .node = node};
	if (strcmp((const char *)node->tag, tags[node->type]) != 0) {
		value.kind = ICP_YAML_TAGGED;
	} else if (node->type == YAML_SEQUENCE_NODE) {
		value.kind = ICP_YAML_LIST;
		value.length =
			(size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	} else if (node->type == YAML_MAPPING_NODE) {
		value.kind = ICP_YAML_MAPPING;
		value.length =
			(size_t)(node->data.mapping.pairs.top - node->data.mapping.pairs.start);
	} else {
		value.text = (const char *)node->data.scalar.value;
		value.length = node->data.scalar.length;
		value.plain = node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
		value.kind = is_null(value.text, value.plain) ? ICP_YAML_NULL : ICP_YAML_SCALAR;
	}
	return value;
}

icp_yaml_value_t icp_yaml_root(icp_yaml_t *yaml)
{
	const yaml_node_t *root = yaml_document_get_root_node(&yaml->document);
	return root != NULL ? value_of(root) : (icp_yaml_value_t){.kind = ICP_YAML_NULL, .line = 1};
}

icp_yaml_value_t icp_yaml_item(icp_yaml_t *yaml, const icp_yaml_value_t *list, size_t index)
{
	const yaml_node_t *node = list->node;
	int item = node->data.sequence.items.start[index];
	return value_of(yaml_document_get_node(&yaml->document, item));
}

void icp_yaml_pair(icp_yaml_t *yaml, const icp_yaml_value_t *mapping, size_t index,
	icp_yaml_value_t *key, icp_yaml_value_t *value)
{
	const yaml_node_t *node = mapping->node;
	yaml_node_pair_t pair = node->data.mapping.pairs.start[index];
	*key = value_of(yaml_document_get_node(&yaml->document, pair.key));
	*value = value_of(yaml_document_get_node(&yaml->document, pair.value));
}

bool icp_yaml_is_control(const char *text, size_t left)
{
	unsigned char first = (unsigned char)text[0];
	if (first == 0xc2) { /* U+0080 to U+009F take two octets */
		return left > 1 && (unsigned char)text[1] < 0xa0;
	}
	return first < 0x20 || first == 0x7f;
}

/* A terminal or a log must get one line and no escape sequence, whatever the file holds. */
static void quote(char shown[SHOWN_TEXT_MAX], const char *text, size_t length)
{
	size_t end = length > SHOWN_MAX ? SHOWN_MAX : length;
	while (end < length && ((unsigned char)text[end] & 0xc0) == 0x80) {
		end--;
	}
	char *out = shown;
	*out++ = '"';
	for (size_t i = 0; i < end; i++) {
		if (icp_yaml_is_control(text + i, end - i)) {
			out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
			if ((unsigned char)text[i] == 0xc2) {
				i++;
				out += sprintf(out, "\\x%02x", (unsigned char)text[i]);
			}
		} else {
			*out++ = text[i];
		}
	}
	sprintf(out, "%s", end < length ? "...\"" : "\"");
}

static void show(char shown[SHOWN_TEXT_MAX], const icp_yaml_value_t *value)
{
	switch (value->kind) {
	case ICP_YAML_SCALAR:
		quote(shown, value->text, value->length);
		return;
	case ICP_YAML_LIST:
		snprintf(shown, SHOWN_TEXT_MAX, "a list of %zu", value->length);
		return;
	case ICP_YAML_MAPPING:
		snprintf(shown, SHOWN_TEXT_MAX, "a mapping");
		return;
	case ICP_YAML_TAGGED:
		snprintf(shown, SHOWN_TEXT_MAX, "a value with a tag");
		return;
	case ICP_YAML_NULL:
	case ICP_YAML_ABSENT:
		break;
	}
	snprintf(shown, SHOWN_TEXT_MAX, "null");
}

int icp_yaml_refuse(const icp_yaml_t *yaml, const char *what, const icp_yaml_value_t *value,
	const char *why, const char *allowed, icp_diag_t *diag)
{
	char shown[SHOWN_TEXT_MAX];
	show(shown, value);
	return icp_fail(diag, ICP_ECONFIG, "%s:%zu: %s: %s%s%s%s; allowed: %s", yaml->path,
		value->line, what, shown, why != NULL ? " (" : "", why != NULL ? why : "",
		why != NULL ? ")" : "", allowed);
}

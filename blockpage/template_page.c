/* SPDX-License-Identifier: BSD-3-Clause */
/*! Pages out of templates. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "blockpage/template_private.h"

#define ESCAPED_MAX 6 /*!< Octets of a character that is escaped: "&quot;". */

icp_op_t *icp_template_add(icp_template_t *made, icp_op_t op)
{
	if (made->count == made->capacity) {
		size_t capacity = made->capacity == 0 ? 64 : 2 * made->capacity;
		icp_op_t *ops = realloc(made->ops, capacity * sizeof *ops);
		if (ops == NULL) {
			return NULL;
		}
		made->ops = ops;
		made->capacity = capacity;
	}
	made->ops[made->count] = op;
	return &made->ops[made->count++];
}

static bool any_set(const icp_value_t *values, uint32_t wanted)
{
	for (unsigned i = 0; i < ICP_TEMPLATE_WORDS_MAX; i++) {
		if ((wanted >> i & 1) != 0 && values[i].text != NULL) {
			return true;
		}
	}
	return false;
}

static size_t escape(const char *text, size_t length, char *out)
{
	size_t used = 0;
	for (size_t i = 0; i < length; i++) {
		const char *entity = NULL;
		switch (text[i]) {
		case '&':
			entity = "&amp;";
			break;
		case '<':
			entity = "&lt;";
			break;
		case '>':
			entity = "&gt;";
			break;
		case '"':
			entity = "&quot;";
			break;
		case '\'':
			entity = "&#39;";
			break;
		default:
			out[used++] = text[i];
			continue;
		}
		while (*entity != '\0') {
			out[used++] = *entity++;
		}
	}
	return used;
}

static size_t write_value(const icp_op_t *op, const icp_value_t *values, char *out)
{
	const icp_value_t *value = &values[op->value];
	if (value->text == NULL) {
		return 0;
	}
	if (op->raw) {
		memcpy(out, value->text, value->length);
		return value->length;
	}
	return escape(value->text, value->length, out);
}

/*! What is left of one op in a settled template; text is written to "out". */
typedef struct {
	const icp_template_t *parsed;
	icp_template_t *settled;
	unsigned page_case;
	const icp_value_t *values;
	uint32_t fixed;
	char *out;
	size_t used;
} settling_t;

static int settle_text(settling_t *settling, size_t length, bool *glue)
{
	icp_template_t *settled = settling->settled;
	icp_op_t *last = settled->count > 0 ? &settled->ops[settled->count - 1] : NULL;
	char *text = settling->out + settling->used;
	settling->used += length;
	if (length == 0) {
		return ICP_EOK;
	}
	if (*glue && last != NULL && last->kind == ICP_OP_TEXT) {
		last->length += length;
		return ICP_EOK;
	}
	icp_op_t op = {.kind = ICP_OP_TEXT, .text = text, .length = length};
	*glue = true;
	return icp_template_add(settled, op) != NULL ? ICP_EOK : ICP_ENOMEM;
}

static int settle(settling_t *settling, size_t first, size_t end);

/*! Decides on a section, or leaves it with what is still open of its conditions. */
static int settle_section(settling_t *settling, const icp_op_t *op, size_t inside)
{
	icp_template_t *settled = settling->settled;
	bool holds = (op->cases >> settling->page_case & 1) != 0 ||
		     any_set(settling->values, op->values & settling->fixed);
	uint32_t open = holds ? 0 : op->values & ~settling->fixed;
	if (open == 0) {
		return holds != op->negated ? settle(settling, inside, op->end) : ICP_EOK;
	}
	size_t at = settled->count;
	icp_op_t left = {.kind = ICP_OP_IF, .negated = op->negated, .values = open};
	if (icp_template_add(settled, left) == NULL) {
		return ICP_ENOMEM;
	}
	int ret = settle(settling, inside, op->end);
	settled->ops[at].end = settled->count;
	return ret;
}

/*! Settles the steps from first to end. Sections in each other are few. */
static int settle(settling_t *settling, size_t first, size_t end)
{
	bool glue = false; /* Text behind a section must not become part of it. */
	int ret = ICP_EOK;
	for (size_t i = first; i < end && ret == ICP_EOK; i++) {
		const icp_op_t *op = &settling->parsed->ops[i];
		char *out = settling->out + settling->used;
		if (op->kind == ICP_OP_IF) {
			ret = settle_section(settling, op, i + 1);
			glue = false;
			i = op->end - 1;
		} else if (op->kind == ICP_OP_TEXT) {
			memcpy(out, op->text, op->length);
			ret = settle_text(settling, op->length, &glue);
		} else if ((settling->fixed >> op->value & 1) != 0) {
			ret = settle_text(settling, write_value(op, settling->values, out), &glue);
		} else {
			ret = icp_template_add(settling->settled, *op) != NULL ? ICP_EOK
									       : ICP_ENOMEM;
		}
	}
	return ret;
}

/*! Octets that a template takes with no section left out. */
static size_t room_for(const icp_template_t *parsed, const icp_value_t *values)
{
	size_t room = 0;
	for (size_t i = 0; i < parsed->count; i++) {
		const icp_op_t *op = &parsed->ops[i];
		if (op->kind == ICP_OP_TEXT) {
			room += op->length;
		} else if (op->kind == ICP_OP_VALUE && values[op->value].text != NULL) {
			room += values[op->value].length * (op->raw ? 1 : ESCAPED_MAX);
		}
	}
	return room;
}

int icp_template_settle(icp_template_t **settled, const icp_template_t *parsed, unsigned page_case,
	const icp_value_t *values, uint32_t fixed)
{
	icp_template_t *made = calloc(1, sizeof *made);
	settling_t settling = {
		.parsed = parsed,
		.settled = made,
		.page_case = page_case,
		.values = values,
		.fixed = fixed,
		.out = malloc(room_for(parsed, values) + 1),
	};
	if (made == NULL || settling.out == NULL) {
		free(made);
		free(settling.out);
		return ICP_ENOMEM;
	}
	made->words = parsed->words;
	made->text = settling.out;
	int ret = settle(&settling, 0, parsed->count);
	if (ret != ICP_EOK) {
		icp_template_free(made);
		return ret;
	}
	*settled = made;
	return ICP_EOK;
}

size_t icp_template_room(const icp_template_t *settled, const icp_value_t *values)
{
	return room_for(settled, values);
}

size_t icp_template_render(const icp_template_t *settled, const icp_value_t *values, char *out)
{
	size_t used = 0;
	for (size_t i = 0; i < settled->count; i++) {
		const icp_op_t *op = &settled->ops[i];
		if (op->kind == ICP_OP_TEXT) {
			memcpy(out + used, op->text, op->length);
			used += op->length;
		} else if (op->kind == ICP_OP_VALUE) {
			used += write_value(op, values, out + used);
		} else if (any_set(values, op->values) == op->negated) {
			i = op->end - 1;
		}
	}
	return used;
}

/*! Finds a word in lower case, whatever case the text has. */
static const char *find_word(const char *text, const char *end, const char *word)
{
	size_t length = strlen(word);
	for (; text != NULL && (size_t)(end - text) >= length; text++) {
		if (strncasecmp(text, word, length) == 0) {
			return text;
		}
	}
	return NULL;
}

const char *icp_template_style(const icp_template_t *settled, size_t *at, size_t *length)
{
	size_t before = 0;
	for (size_t i = 0; i < settled->count; before += settled->ops[i].length, i++) {
		const icp_op_t *op = &settled->ops[i];
		size_t skip = *at > before ? *at - before : 0;
		if (op->kind != ICP_OP_TEXT || skip >= op->length) {
			continue;
		}
		const char *end = op->text + op->length;
		const char *tag = find_word(op->text + skip, end, "<style");
		const char *inside = find_word(tag, end, ">");
		const char *close = find_word(inside, end, "</style");
		if (close != NULL) {
			*length = (size_t)(close - inside) - 1;
			*at = before + (size_t)(close - op->text);
			return inside + 1;
		}
	}
	return NULL;
}

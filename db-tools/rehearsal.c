/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/rehearsal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db-tools/tools.h"

#define FIRST_PLACES 1024 /*!< A power of two. */

/*! A copy of a node's rows. */
typedef struct {
	uint8_t *octets; /*!< NULL: none. */
	size_t length;
	uint16_t count;
} copy_t;

/*! A name that was asked for, or a parent of one. */
typedef struct {
	uint64_t hash;
	icp_name_t name; /*!< Its length 0: a free place. */
	bool asked;
	copy_t rows[ICP_SIDE_COUNT];
} wanted_t;

/*! Nodes on their way. */
typedef struct {
	icp_rehearsal_t *rehearsal;
	icp_nodes_t nodes;
	enum icp_side side;
} watch_t;

struct icp_rehearsal {
	wanted_t **places; /*!< Hash table with open addressing. */
	size_t capacity;
	size_t used;
	wanted_t **asked; /*!< In the order of the file. */
	size_t asked_count;
	watch_t watches[ICP_SIDE_COUNT];
	icp_row_t *rows; /*!< Of the name judged last. */
	size_t rows_capacity;
};

static size_t find_place(
	wanted_t *const *places, size_t capacity, uint64_t hash, const uint8_t *name, size_t length)
{
	size_t at = hash & (capacity - 1);
	while (places[at] != NULL &&
		(places[at]->hash != hash || places[at]->name.length != length ||
			memcmp(places[at]->name.wire, name, length) != 0)) {
		at = (at + 1) & (capacity - 1);
	}
	return at;
}

static int grow(icp_rehearsal_t *rehearsal)
{
	size_t capacity = rehearsal->capacity == 0 ? FIRST_PLACES : 2 * rehearsal->capacity;
	wanted_t **places = calloc(capacity, sizeof(wanted_t *));
	wanted_t **asked = realloc(rehearsal->asked, capacity * sizeof(wanted_t *));
	rehearsal->asked = asked != NULL ? asked : rehearsal->asked;
	if (places == NULL || asked == NULL) {
		free(places);
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < rehearsal->capacity; i++) {
		wanted_t *wanted = rehearsal->places[i];
		if (wanted != NULL) {
			places[find_place(places, capacity, wanted->hash, wanted->name.wire,
				wanted->name.length)] = wanted;
		}
	}
	free(rehearsal->places);
	rehearsal->places = places;
	rehearsal->capacity = capacity;
	return ICP_EOK;
}

/*! The entry of a name, made where there is none; NULL when out of memory. */
static wanted_t *want(icp_rehearsal_t *rehearsal, const uint8_t *wire, size_t length)
{
	if (2 * rehearsal->used >= rehearsal->capacity && grow(rehearsal) != ICP_EOK) {
		return NULL;
	}
	uint64_t hash = icp_name_hash(wire, length);
	size_t at = find_place(rehearsal->places, rehearsal->capacity, hash, wire, length);
	if (rehearsal->places[at] == NULL) {
		wanted_t *wanted = calloc(1, sizeof *wanted);
		if (wanted == NULL) {
			return NULL;
		}
		wanted->hash = hash;
		icp_name_from_stored(&wanted->name, wire, length);
		rehearsal->places[at] = wanted;
		rehearsal->used++;
	}
	return rehearsal->places[at];
}

/*! Adds a name and its parents. */
static int ask(icp_rehearsal_t *rehearsal, const icp_name_t *name)
{
	for (unsigned labels = name->labels; labels > 0; labels--) {
		size_t at = icp_name_suffix(name, labels);
		wanted_t *wanted = want(rehearsal, name->wire + at, name->length - at);
		if (wanted == NULL) {
			return ICP_ENOMEM;
		}
		if (labels == name->labels && !wanted->asked) {
			wanted->asked = true;
			rehearsal->asked[rehearsal->asked_count++] = wanted;
		}
	}
	return ICP_EOK;
}

/*! Reads a word as a name; one that is none is reported. */
static int ask_text(icp_rehearsal_t *rehearsal, const char *where, uint64_t line, const char *text,
	size_t length, size_t *invalid)
{
	icp_name_t name;
	icp_diag_t diag = {""};
	int code = icp_tool_name(&name, text, length, &diag);
	if (code == ICP_EINVAL) {
		fprintf(stderr, "%s:%" PRIu64 ": %s\n", where, line, diag.text);
		++*invalid;
		return ICP_EOK;
	}
	return code == ICP_EOK ? ask(rehearsal, &name) : code;
}

/*! The domains of what "icpgate stat --json" prints. */
static int read_json(icp_rehearsal_t *rehearsal, FILE *file, const char *where, size_t *invalid,
	icp_diag_t *diag)
{
	json_error_t error;
	json_t *content = json_loadf(file, 0, &error);
	if (content == NULL) {
		return icp_fail(
			diag, ICP_EFEED, "%s:%d: not JSON: %s", where, error.line, error.text);
	}
	json_t *domains = json_object_get(json_object_get(content, "blocked_domains"), "domains");
	int code = ICP_EOK;
	if (!json_is_array(domains)) {
		code = icp_fail(diag, ICP_EFEED, "%s: not what icpgate stat --json prints", where);
	}
	for (size_t i = 0; i < json_array_size(domains) && code == ICP_EOK; i++) {
		const json_t *domain = json_object_get(json_array_get(domains, i), "domain");
		char text[ICP_NAME_TEXT_MAX];
		int length = snprintf(text, sizeof text, "%s",
			json_is_string(domain) ? json_string_value(domain) : "");
		/* The whole document is one line. */
		code = ask_text(rehearsal, where, 1, text, (size_t)length, invalid);
	}
	json_decref(content);
	return code;
}

static int read_lines(icp_rehearsal_t *rehearsal, FILE *file, const char *where, size_t *invalid,
	icp_diag_t *diag)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	int code = ICP_EOK;
	for (uint64_t number = 1; code == ICP_EOK && (size = getline(&line, &room, file)) >= 0;
		number++) {
		char *at = line;
		size_t length;
		const char *word = icp_tool_word(&at, line + size, &length);
		if (word != NULL) {
			code = ask_text(rehearsal, where, number, word, length, invalid);
		}
	}
	free(line);
	if (code == ICP_EOK && !feof(file)) {
		code = icp_fail(diag, ICP_EFEED, "%s: %s", where, strerror(errno));
	}
	return code;
}

/*! JSON is known by its first octet, which no name begins with. */
static int read_names(icp_rehearsal_t *rehearsal, FILE *file, const char *where, size_t *invalid,
	icp_diag_t *diag)
{
	int first = getc(file);
	if (first == EOF) {
		return ferror(file) ? icp_fail(diag, ICP_EFEED, "%s: %s", where, strerror(errno))
				    : ICP_EOK;
	}
	ungetc(first, file);
	return first == '{' ? read_json(rehearsal, file, where, invalid, diag)
			    : read_lines(rehearsal, file, where, invalid, diag);
}

int icp_rehearsal_read(
	icp_rehearsal_t **rehearsal, const char *path, size_t *invalid, icp_diag_t *diag)
{
	bool from_stdin = strcmp(path, "-") == 0;
	const char *where = from_stdin ? "stdin" : path;
	FILE *file = from_stdin ? stdin : fopen(path, "re");
	if (file == NULL) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", path, strerror(errno));
	}
	*invalid = 0;
	icp_rehearsal_t *read = calloc(1, sizeof *read);
	int code = read != NULL ? grow(read) : ICP_ENOMEM;
	if (code == ICP_EOK) {
		code = read_names(read, file, where, invalid, diag);
	}
	if (!from_stdin) {
		fclose(file);
	}
	if (code != ICP_EOK) {
		icp_rehearsal_destroy(read);
		return code;
	}
	*rehearsal = read;
	return ICP_EOK;
}

void icp_rehearsal_destroy(icp_rehearsal_t *rehearsal)
{
	if (rehearsal == NULL) {
		return;
	}
	for (size_t i = 0; i < rehearsal->capacity; i++) {
		wanted_t *wanted = rehearsal->places[i];
		if (wanted != NULL) {
			free(wanted->rows[ICP_SIDE_A].octets);
			free(wanted->rows[ICP_SIDE_B].octets);
			free(wanted);
		}
	}
	free(rehearsal->places);
	free(rehearsal->asked);
	free(rehearsal->rows);
	free(rehearsal);
}

size_t icp_rehearsal_count(const icp_rehearsal_t *rehearsal)
{
	return rehearsal->asked_count;
}

static int watch(void *context, icp_node_t *node)
{
	const watch_t *watch = context;
	icp_rehearsal_t *rehearsal = watch->rehearsal;
	int ret = watch->nodes.next(watch->nodes.context, node);
	if (ret != 1 || node->rows_length == 0) {
		return ret;
	}
	size_t at = find_place(rehearsal->places, rehearsal->capacity,
		icp_name_hash(node->name, node->name_length), node->name, node->name_length);
	if (rehearsal->places[at] == NULL) {
		return 1;
	}
	copy_t *copy = &rehearsal->places[at]->rows[watch->side];
	free(copy->octets);
	*copy = (copy_t){malloc(node->rows_length), node->rows_length, node->row_count};
	if (copy->octets == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(copy->octets, node->rows, node->rows_length);
	return 1;
}

icp_nodes_t icp_rehearsal_watch(icp_rehearsal_t *rehearsal, enum icp_side side, icp_nodes_t nodes)
{
	rehearsal->watches[side] = (watch_t){rehearsal, nodes, side};
	return (icp_nodes_t){watch, &rehearsal->watches[side]};
}

/*! Adds the rows of one name to those of the name that is judged. */
static int add_rows(
	icp_rehearsal_t *rehearsal, const wanted_t *wanted, const copy_t *copy, size_t *count)
{
	if (*count + copy->count > rehearsal->rows_capacity) {
		size_t capacity = 2 * (*count + copy->count);
		icp_row_t *rows = realloc(rehearsal->rows, capacity * sizeof *rows);
		if (rows == NULL) {
			return ICP_ENOMEM;
		}
		rehearsal->rows = rows;
		rehearsal->rows_capacity = capacity;
	}
	size_t at = 0;
	for (size_t i = 0; i < copy->count; i++) {
		icp_row_t *row = &rehearsal->rows[*count];
		size_t octets = icp_row_decode(row, copy->octets + at, copy->length - at);
		if (octets == 0) {
			return ICP_EDAMAGED;
		}
		row->domain = wanted->name.wire;
		row->domain_length = wanted->name.length;
		row->labels = wanted->name.labels;
		at += octets;
		++*count;
	}
	return ICP_EOK;
}

int icp_rehearsal_judge(icp_rehearsal_t *rehearsal, size_t position, const icp_judge_t *judge,
	icp_rehearsed_t *rehearsed)
{
	/* No rows are something else than no store, which is NULL. */
	static const icp_row_t nothing;
	const icp_name_t *name = &rehearsal->asked[position]->name;
	rehearsed->name = *name;
	for (unsigned side = 0; side < ICP_SIDE_COUNT; side++) {
		size_t count = 0;
		for (unsigned labels = 1; labels <= name->labels; labels++) {
			size_t at = icp_name_suffix(name, labels);
			const wanted_t *wanted =
				want(rehearsal, name->wire + at, name->length - at);
			int ret = wanted != NULL
					  ? add_rows(rehearsal, wanted, &wanted->rows[side], &count)
					  : ICP_ENOMEM;
			if (ret != ICP_EOK) {
				return ret;
			}
		}
		icp_ruling_t ruling;
		rehearsed->judgement[side] = icp_verdict_judge(&judge->policy, name, &judge->place,
			1, count > 0 ? rehearsal->rows : &nothing, count, judge->now, &ruling);
	}
	return ICP_EOK;
}

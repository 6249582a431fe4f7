/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate dump: the rows of one snapshot as CSV, in the feed's form. */
#include <ctype.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/time.h"
#include "db-tools/tools.h"

/*!
 * A node with rows, in 24 octets, as there are millions. The node itself stays in the store's
 * pages, and its name would have to be fetched from there for every comparison: the key spares
 * most of these.
 */
typedef struct {
	uint64_t key; /*!< Begin of the name in the canonical order. */
	const uint8_t *name;
	uint32_t rows_length;
	uint16_t row_count;
	uint8_t name_length;
	uint8_t rows_offset; /*!< Of the rows, after the name's end. */
} entry_t;

_Static_assert(sizeof(entry_t) == 24, "five million of them take 120 MB");

typedef struct {
	const icp_name_t *suffix; /*!< NULL: all names. */
	entry_t *items;
	size_t count;
	size_t capacity;
} list_t;

/*!
 * The first eight octets of the labels from the right, each label ended by a zero. Where the keys
 * of two names differ, the lower key is the lower name: a label that ends is lower than one that
 * goes on. Names with a zero octet in a label, which no feed can bring, would be out of order.
 */
static uint64_t name_key(const icp_name_t *name)
{
	uint8_t octets[8] = {0};
	uint64_t key;
	size_t filled = 0;
	for (unsigned labels = 1; labels <= name->labels && filled < sizeof octets; labels++) {
		const uint8_t *label = name->wire + icp_name_suffix(name, labels);
		size_t room = sizeof octets - filled;
		memcpy(octets + filled, label + 1, label[0] < room ? label[0] : room);
		filled += label[0] + 1u;
	}
	memcpy(&key, octets, sizeof key);
	return be64toh(key);
}

static int grow(list_t *list)
{
	size_t capacity = list->capacity == 0 ? 1024 : 2 * list->capacity;
	entry_t *items = realloc(list->items, capacity * sizeof *items);
	if (items == NULL) {
		return ICP_ENOMEM;
	}
	list->items = items;
	list->capacity = capacity;
	return ICP_EOK;
}

static int collect(const icp_node_t *node, list_t *list)
{
	icp_name_t name;
	if (node->row_count == 0) {
		return ICP_EOK;
	}
	ptrdiff_t offset = node->rows - (node->name + node->name_length);
	if (icp_name_from_stored(&name, node->name, node->name_length) != ICP_EOK || offset < 0 ||
		offset > UINT8_MAX || node->rows_length > UINT32_MAX) {
		return ICP_EDAMAGED;
	}
	if (list->suffix != NULL && !icp_name_is_under(&name, list->suffix)) {
		return ICP_EOK;
	}
	if (list->count == list->capacity && grow(list) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	list->items[list->count++] = (entry_t){
		.key = name_key(&name),
		.name = node->name,
		.rows_length = (uint32_t)node->rows_length,
		.row_count = node->row_count,
		.name_length = node->name_length,
		.rows_offset = (uint8_t)offset,
	};
	return ICP_EOK;
}

static int compare_entries(const void *left, const void *right)
{
	const entry_t *a = left;
	const entry_t *b = right;
	if (a->key != b->key) {
		return a->key < b->key ? -1 : 1;
	}
	return icp_name_compare(a->name, a->name_length, b->name, b->name_length);
}

static int compare_providers(const void *left, const void *right)
{
	return icp_provider_compare(left, right);
}

/*! Readers of CSV may strip white space at the ends of a field that is not quoted. */
static bool needs_quotes(const char *text, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"' || text[i] == ',' || text[i] == '\r' || text[i] == '\n') {
			return true;
		}
	}
	return length > 0 &&
	       (isblank((unsigned char)text[0]) || isblank((unsigned char)text[length - 1]));
}

/*! Writes a field and the comma after it. */
static void put_field(const char *text, size_t length)
{
	if (!needs_quotes(text, length)) {
		fwrite(text, 1, length, stdout);
		putchar(',');
		return;
	}
	putchar('"');
	for (size_t i = 0; i < length; i++) {
		if (text[i] == '"') {
			putchar('"');
		}
		putchar(text[i]);
	}
	fputs("\",", stdout);
}

static void put_text(const char *text)
{
	put_field(text, strlen(text));
}

static void put_time(int64_t time)
{
	char text[ICP_TIME_TEXT_MAX];
	icp_time_format(time, text);
	put_text(text);
}

static int put_csv(const icp_row_t *row)
{
	char domain[ICP_NAME_TEXT_MAX];
	icp_stored_format(row->domain, row->domain_length, domain);
	put_text(domain);
	put_field(row->provider, row->provider_length);
	put_text(icp_status_name(row->status));
	put_field(row->number, row->number_length);
	put_time(row->approved_at);
	put_time(row->expires_at);
	put_time(row->rectify_by);
	icp_licensed_print(row);
	putchar('\n');
	return ICP_EOK;
}

static int put_json(const icp_row_t *row)
{
	json_t *value = icp_json_row(row);
	if (value == NULL) {
		return ICP_ENOMEM;
	}
	icp_json_print(value);
	return ICP_EOK;
}

static int put_entry(const entry_t *entry, icp_reader_t *reader, bool json)
{
	icp_node_t node = {
		.name = entry->name,
		.rows = entry->name + entry->name_length + entry->rows_offset,
		.rows_length = entry->rows_length,
		.row_count = entry->row_count,
		.name_length = entry->name_length,
	};
	icp_rows_t *rows = &reader->rows;
	rows->count = 0;
	int code = icp_reader_rows(reader, &node);
	if (code != ICP_EOK) {
		return code;
	}
	qsort(rows->items, rows->count, sizeof *rows->items, compare_providers);
	for (size_t i = 0; i < rows->count && code == ICP_EOK; i++) {
		code = json ? put_json(&rows->items[i]) : put_csv(&rows->items[i]);
	}
	return code;
}

static int dump(icp_reader_t *reader, list_t *list, bool json)
{
	icp_walk_t walk;
	icp_node_t node;
	int code;
	icp_walk_begin(&walk, reader);
	while ((code = icp_walk_next(&walk, &node)) == 1) {
		code = collect(&node, list);
		if (code != ICP_EOK) {
			break;
		}
	}
	if (code != ICP_EOK) {
		return code;
	}
	if (list->count > 0) {
		qsort(list->items, list->count, sizeof *list->items, compare_entries);
	}
	if (!json) {
		puts("domain,provider,status,number,approved_at,expires_at,rectify_by,"
		     "licensed_addresses");
	}
	for (size_t i = 0; i < list->count && code == ICP_EOK; i++) {
		code = put_entry(&list->items[i], reader, json);
		if (ferror(stdout)) {
			return ICP_EOK; /* Told by icp_tool_finish. */
		}
	}
	return code;
}

int icp_tool_dump(const icp_tool_t *tool, int count, char **arguments)
{
	icp_name_t suffix;
	icp_reader_t reader;
	icp_diag_t diag = {""};
	list_t list = {.suffix = NULL};

	if (count > 0) {
		int code = icp_tool_name(&suffix, arguments[0], strlen(arguments[0]), &diag);
		if (code != ICP_EOK) {
			return icp_tool_failed(code, &diag);
		}
		list.suffix = &suffix;
	}
	int code = icp_tool_open(tool, &reader, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	code = dump(&reader, &list, tool->json);
	icp_tool_close(&reader);
	free(list.items);
	return code == ICP_EOK ? ICP_EXIT_DONE : icp_tool_failed(code, &diag);
}

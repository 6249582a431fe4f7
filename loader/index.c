/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/index.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/node.h"
#include "loader/slab.h"

/*
 * An entry is a row, or a mark that a name has something below it. Its octets in the slab:
 *
 *   line:u64 row_length:u16 name_length:u8 name row
 *
 * A mark has no row. Entries are sorted by (hash, name, provider, line), which puts a mark before
 * the rows of its name.
 */
typedef struct {
	uint64_t hash; /*!< Of the name. */
	const uint8_t *octets;
} entry_t;

enum { AT_ROW_LENGTH = 8, AT_NAME_LENGTH = 10, AT_NAME = 11 };

#define FIRST_ENTRIES 1024
#define FIRST_MARKS 1024 /*!< A power of two. */
#define SORT_BITS 16     /*!< Of the hash, by which entries are dealt into heaps. */
#define LOOK_AHEAD 12    /*!< Entries. */

/*! Where a node is put together. */
typedef struct {
	uint8_t *octets;
	size_t capacity;
} node_buffer_t;

struct icp_index {
	icp_slab_t slab;
	entry_t *entries;
	size_t count;
	size_t capacity;
	uint64_t octets; /*!< Of the nodes, if no two entries shared a name. */
	entry_t *marks;  /*!< Hash table with open addressing; octets NULL: free. */
	size_t mark_count;
	size_t mark_capacity;
	size_t next;          /*!< Entry of icp_index_next. */
	node_buffer_t buffer; /*!< Of icp_index_next. */
};

/*! The parts of an entry; they lead into the slab. */
typedef struct {
	uint64_t line;
	const uint8_t *name;
	const uint8_t *row;
	uint16_t row_length;
	uint8_t name_length;
} parts_t;

static parts_t parts_of(const entry_t *entry)
{
	parts_t parts = {
		.name = entry->octets + AT_NAME,
		.name_length = entry->octets[AT_NAME_LENGTH],
	};
	parts.row = parts.name + parts.name_length;
	memcpy(&parts.line, entry->octets, sizeof parts.line);
	memcpy(&parts.row_length, entry->octets + AT_ROW_LENGTH, sizeof parts.row_length);
	return parts;
}

static const uint8_t *put_entry(icp_index_t *index, uint64_t line, const uint8_t *name,
	size_t name_length, const uint8_t *row, size_t row_length)
{
	uint16_t stored_length = (uint16_t)row_length;
	index->octets += icp_bucket_size(1, 1 + name_length + 2 + row_length);
	uint8_t *octets = icp_slab_take(&index->slab, AT_NAME + name_length + row_length);
	if (octets == NULL) {
		return NULL;
	}
	memcpy(octets, &line, sizeof line);
	memcpy(octets + AT_ROW_LENGTH, &stored_length, sizeof stored_length);
	octets[AT_NAME_LENGTH] = (uint8_t)name_length;
	memcpy(octets + AT_NAME, name, name_length);
	if (row_length > 0) {
		memcpy(octets + AT_NAME + name_length, row, row_length);
	}
	return octets;
}

icp_index_t *icp_index_create(void)
{
	icp_index_t *index = calloc(1, sizeof *index);
	if (index == NULL) {
		return NULL;
	}
	index->capacity = FIRST_ENTRIES;
	index->mark_capacity = FIRST_MARKS;
	index->entries = malloc(index->capacity * sizeof *index->entries);
	index->marks = calloc(index->mark_capacity, sizeof *index->marks);
	if (index->entries == NULL || index->marks == NULL) {
		icp_index_destroy(index);
		return NULL;
	}
	return index;
}

void icp_index_destroy(icp_index_t *index)
{
	if (index != NULL) {
		icp_slab_deinit(&index->slab);
		free(index->entries);
		free(index->marks);
		free(index->buffer.octets);
		free(index);
	}
}

static int add_entry(icp_index_t *index, entry_t entry)
{
	if (entry.octets == NULL) {
		return ICP_ENOMEM;
	}
	if (index->count == index->capacity) {
		size_t capacity = 2 * index->capacity;
		entry_t *entries = realloc(index->entries, capacity * sizeof *entries);
		if (entries == NULL) {
			return ICP_ENOMEM;
		}
		index->entries = entries;
		index->capacity = capacity;
	}
	index->entries[index->count++] = entry;
	return ICP_EOK;
}

/*! The mark of a name, or the free place where it belongs. */
static entry_t *find_mark(
	entry_t *marks, size_t capacity, uint64_t hash, const uint8_t *name, size_t length)
{
	size_t place = hash & (capacity - 1);
	while (marks[place].octets != NULL) {
		const uint8_t *octets = marks[place].octets;
		if (marks[place].hash == hash && octets[AT_NAME_LENGTH] == length &&
			memcmp(octets + AT_NAME, name, length) == 0) {
			break;
		}
		place = (place + 1) & (capacity - 1);
	}
	return &marks[place];
}

static int grow_marks(icp_index_t *index)
{
	size_t capacity = 2 * index->mark_capacity;
	entry_t *marks = calloc(capacity, sizeof *marks);
	if (marks == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < index->mark_capacity; i++) {
		const entry_t *mark = &index->marks[i];
		if (mark->octets != NULL) {
			parts_t parts = parts_of(mark);
			*find_mark(marks, capacity, mark->hash, parts.name, parts.name_length) =
				*mark;
		}
	}
	free(index->marks);
	index->marks = marks;
	index->mark_capacity = capacity;
	return ICP_EOK;
}

/*! Marks every parent with at least two labels. */
static int mark_parents(icp_index_t *index, const icp_name_t *name)
{
	size_t at = 0;
	for (unsigned labels = name->labels; labels > 2; labels--) {
		at += 1 + (size_t)name->wire[at];
		const uint8_t *parent = name->wire + at;
		size_t length = name->length - at;
		uint64_t hash = icp_name_hash(parent, length);
		entry_t *mark = find_mark(index->marks, index->mark_capacity, hash, parent, length);
		if (mark->octets != NULL) {
			/* Its own parents were marked with it. */
			return ICP_EOK;
		}
		*mark = (entry_t){hash, put_entry(index, 0, parent, length, NULL, 0)};
		if (mark->octets == NULL) {
			return ICP_ENOMEM;
		}
		if (2 * ++index->mark_count > index->mark_capacity &&
			grow_marks(index) != ICP_EOK) {
			return ICP_ENOMEM;
		}
	}
	return ICP_EOK;
}

int icp_index_add(icp_index_t *index, const icp_name_t *name, const icp_row_t *row, uint64_t line)
{
	uint8_t octets[ICP_ROW_MAX];
	size_t length = icp_row_encode(row, octets);
	entry_t entry = {
		icp_name_hash(name->wire, name->length),
		put_entry(index, line, name->wire, name->length, octets, length),
	};
	int ret = add_entry(index, entry);
	return ret == ICP_EOK ? mark_parents(index, name) : ret;
}

static int compare_names(const parts_t *a, const parts_t *b)
{
	return icp_stored_compare(a->name, a->name_length, b->name, b->name_length);
}

static int compare_providers(const parts_t *a, const parts_t *b)
{
	icp_row_t row_a = {.provider_length = 0};
	icp_row_t row_b = {.provider_length = 0};
	icp_row_decode(&row_a, a->row, a->row_length);
	icp_row_decode(&row_b, b->row, b->row_length);
	if (row_a.provider_length == 0 || row_b.provider_length == 0) {
		return (row_a.provider_length > 0) - (row_b.provider_length > 0);
	}
	return icp_provider_compare(&row_a, &row_b);
}

static int compare_entries(const void *one, const void *other)
{
	const entry_t *a = one;
	const entry_t *b = other;
	if (a->hash != b->hash) {
		return a->hash < b->hash ? -1 : 1;
	}
	parts_t parts_a = parts_of(a);
	parts_t parts_b = parts_of(b);
	int order = compare_names(&parts_a, &parts_b);
	if (order == 0) {
		order = compare_providers(&parts_a, &parts_b);
	}
	return order != 0 ? order : (parts_a.line > parts_b.line) - (parts_a.line < parts_b.line);
}

/*! Hashes are spread evenly, so heaps by their first bits are small, and sorted in the cache. */
static int sort_entries(icp_index_t *index)
{
	const size_t heaps = (size_t)1 << SORT_BITS;
	entry_t *sorted = malloc(index->capacity * sizeof *sorted);
	size_t *ends = calloc(heaps, sizeof *ends);
	if (sorted == NULL || ends == NULL) {
		free(sorted);
		free(ends);
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < index->count; i++) {
		ends[index->entries[i].hash >> (64 - SORT_BITS)]++;
	}
	size_t start = 0;
	for (size_t heap = 0; heap < heaps; heap++) {
		size_t size = ends[heap];
		ends[heap] = start;
		start += size;
	}
	/* Each start moves to its heap's end. */
	for (size_t i = 0; i < index->count; i++) {
		sorted[ends[index->entries[i].hash >> (64 - SORT_BITS)]++] = index->entries[i];
	}
	for (size_t heap = 0; heap < heaps; heap++) {
		start = heap > 0 ? ends[heap - 1] : 0;
		qsort(sorted + start, ends[heap] - start, sizeof *sorted, compare_entries);
	}
	free(ends);
	free(index->entries);
	index->entries = sorted;
	return ICP_EOK;
}

/*! Where the entries of the name at a position end. */
static size_t name_end(const icp_index_t *index, size_t start)
{
	const entry_t *entries = index->entries;
	size_t end = start + 1;
	while (end < index->count && entries[end].hash == entries[start].hash) {
		parts_t first = parts_of(&entries[start]);
		parts_t next = parts_of(&entries[end]);
		if (compare_names(&first, &next) != 0) {
			break;
		}
		end++;
	}
	return end;
}

static void refuse_row(icp_bad_t *bad, const parts_t *parts, const char *what)
{
	icp_row_t row = {.domain = parts->name, .domain_length = parts->name_length};
	icp_row_decode(&row, parts->row, parts->row_length);
	icp_bad_add_pair(bad, parts->line, what, &row);
}

/*! Notes the bad rows among those of one name, start..end. */
static void find_bad(const icp_index_t *index, size_t start, size_t end, icp_bad_t *bad)
{
	size_t first = start;
	for (size_t i = start + 1; i < end; i++) {
		parts_t parts = parts_of(&index->entries[i]);
		parts_t before = parts_of(&index->entries[first]);
		if (compare_providers(&before, &parts) != 0) {
			first = i;
			continue;
		}
		char what[64];
		snprintf(
			what, sizeof what, "pair given twice, first at line %" PRIu64, before.line);
		refuse_row(bad, &parts, what);
	}
	if (end - start > ICP_NODE_ROWS_MAX) {
		parts_t parts = parts_of(&index->entries[end - 1]);
		refuse_row(bad, &parts, "domain has over 32767 rows");
	}
}

int icp_index_sort(icp_index_t *index, icp_bad_t *bad, icp_index_counts_t *counts)
{
	for (size_t i = 0; i < index->mark_capacity; i++) {
		if (index->marks[i].octets != NULL &&
			add_entry(index, index->marks[i]) != ICP_EOK) {
			return ICP_ENOMEM;
		}
	}
	free(index->marks);
	index->marks = NULL;
	if (sort_entries(index) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	*counts = (icp_index_counts_t){
		.rows = index->count - index->mark_count,
		.octets = index->octets,
	};
	uint64_t empty = index->mark_count;
	for (size_t start = 0; start < index->count;) {
		size_t end = name_end(index, start);
		if (end - start > 1) {
			/* Only here are the octets looked at: they are far away in memory. */
			bool marked = parts_of(&index->entries[start]).row_length == 0;
			empty -= marked;
			find_bad(index, start + marked, end, bad);
		}
		counts->nodes++;
		start = end;
	}
	counts->domains = counts->nodes - empty;
	return ICP_EOK;
}

static int reserve(node_buffer_t *buffer, size_t wanted)
{
	if (wanted > buffer->capacity) {
		uint8_t *octets = realloc(buffer->octets, 2 * wanted);
		if (octets == NULL) {
			return ICP_ENOMEM;
		}
		*buffer = (node_buffer_t){octets, 2 * wanted};
	}
	return ICP_EOK;
}

/*! Octets of the rows of the entries start..end. */
static size_t rows_length(const icp_index_t *index, size_t start, size_t end)
{
	size_t length = 0;
	for (size_t i = start; i < end; i++) {
		length += parts_of(&index->entries[i]).row_length;
	}
	return length;
}

static size_t copy_rows(const icp_index_t *index, size_t start, size_t end, uint8_t *out)
{
	size_t length = 0;
	for (size_t i = start; i < end; i++) {
		parts_t parts = parts_of(&index->entries[i]);
		memcpy(out + length, parts.row, parts.row_length);
		length += parts.row_length;
	}
	return length;
}

/*! Encodes the node of the entries start..end. Returns its length; 0 when out of memory. */
static size_t encode_node(const icp_index_t *index, size_t start, size_t end, node_buffer_t *buffer)
{
	parts_t first = parts_of(&index->entries[start]);
	bool marked = first.row_length == 0;
	if (reserve(buffer, ICP_NAME_MAX + 3 + rows_length(index, start, end)) != ICP_EOK) {
		return 0;
	}
	size_t length = icp_node_encode_head(
		buffer->octets, first.name, first.name_length, end - start - marked, marked);
	return length + copy_rows(index, start + marked, end, buffer->octets + length);
}

/*! The entries' octets lie all over the slab: asks for those of an entry to come. */
static void fetch_ahead(const icp_index_t *index, size_t start)
{
	if (start + LOOK_AHEAD < index->count) {
		__builtin_prefetch(index->entries[start + LOOK_AHEAD].octets);
	}
}

int icp_index_each(const icp_index_t *index, icp_node_visit_t visit, void *context)
{
	node_buffer_t buffer = {NULL, 0};
	int ret = ICP_EOK;
	for (size_t start = 0; start < index->count && ret == ICP_EOK;) {
		fetch_ahead(index, start);
		size_t end = name_end(index, start);
		size_t length = encode_node(index, start, end, &buffer);
		ret = length > 0 ? visit(index->entries[start].hash, buffer.octets, length, context)
				 : ICP_ENOMEM;
		start = end;
	}
	free(buffer.octets);
	return ret;
}

int icp_index_next(icp_index_t *index, icp_node_t *node)
{
	size_t start = index->next;
	if (start == index->count) {
		index->next = 0;
		return 0;
	}
	fetch_ahead(index, start);
	size_t end = name_end(index, start);
	parts_t first = parts_of(&index->entries[start]);
	bool marked = first.row_length == 0;
	size_t rows = end - start - marked;
	*node = (icp_node_t){
		.name = first.name,
		.name_length = first.name_length,
		.row_count = (uint16_t)rows,
		.below = marked,
	};
	if (rows == 1) {
		/* Nearly always; it is used where it lies. */
		parts_t only = parts_of(&index->entries[end - 1]);
		node->rows = only.row;
		node->rows_length = only.row_length;
	} else {
		if (reserve(&index->buffer, 1 + rows_length(index, start, end)) != ICP_EOK) {
			return ICP_ENOMEM;
		}
		node->rows = index->buffer.octets;
		node->rows_length = copy_rows(index, start + marked, end, index->buffer.octets);
	}
	index->next = end;
	return 1;
}

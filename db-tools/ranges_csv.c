/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/ranges_csv.h"

#include <csv.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/row.h"

#define LINE_MAX_OCTETS 1023 /* No line with three valid fields comes near. */
#define VALUE_SHOWN 64       /* Octets of a wrong value that a diagnostic shows. */

enum column { COLUMN_PREFIX, COLUMN_COUNTRY, COLUMN_PROVIDER, COLUMN_COUNT };

static const char *const column_names[COLUMN_COUNT] = {"prefix", "country", "provider"};

/* One line split into fields; the header may show one field too many, to be named. */
typedef struct {
	size_t count;
	const char *fields[COLUMN_COUNT + 1];
	char text[LINE_MAX_OCTETS + COLUMN_COUNT + 2];
	size_t used;
} fields_t;

typedef struct {
	const char *path;
	FILE *file;
	struct csv_parser parser;
	icp_mmdb_t *mmdb;
	uint32_t line;
	bool has_header;
	enum column columns[COLUMN_COUNT]; /* What stands in each field. */
	fields_t fields;
	icp_diag_t *diag;
} reader_t;

static int fail_line(const reader_t *reader, const char *what, const char *value)
{
	return icp_fail(reader->diag, ICP_EINVAL, "%s:%" PRIu32 ": %s: %.*s", reader->path,
		reader->line, what, VALUE_SHOWN, value);
}

static int is_never(unsigned char octet)
{
	(void)octet;
	return 0;
}

/* Called by libcsv for each field of the line. */
static void take_field(void *text, size_t length, void *data)
{
	fields_t *fields = data;
	if (fields->count <= COLUMN_COUNT) {
		char *copy = fields->text + fields->used;
		memcpy(copy, text, length);
		copy[length] = '\0';
		fields->fields[fields->count] = copy;
		fields->used += length + 1;
	}
	fields->count++;
}

/* Learns from the header what stands in each field. */
static int take_header(reader_t *reader)
{
	const fields_t *fields = &reader->fields;
	bool given[COLUMN_COUNT] = {false};
	for (size_t i = 0; i < fields->count && i <= COLUMN_COUNT; i++) {
		unsigned column = 0;
		while (column < COLUMN_COUNT &&
			strcmp(fields->fields[i], column_names[column]) != 0) {
			column++;
		}
		if (column == COLUMN_COUNT) {
			return fail_line(reader, "unknown column", fields->fields[i]);
		}
		if (given[column]) {
			return fail_line(reader, "column given twice", fields->fields[i]);
		}
		given[column] = true;
		reader->columns[i] = column;
	}
	for (unsigned column = 0; column < COLUMN_COUNT; column++) {
		if (!given[column]) {
			return fail_line(reader, "missing column", column_names[column]);
		}
	}
	reader->has_header = true;
	return ICP_EOK;
}

static bool is_country(const char *text)
{
	return strlen(text) == 2 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' &&
	       text[1] <= 'Z';
}

static int take_row(reader_t *reader)
{
	const char *values[COLUMN_COUNT];
	if (reader->fields.count != COLUMN_COUNT) {
		char count[24];
		snprintf(count, sizeof count, "%zu", reader->fields.count);
		return fail_line(reader, "not 3 fields", count);
	}
	for (size_t i = 0; i < COLUMN_COUNT; i++) {
		values[reader->columns[i]] = reader->fields.fields[i];
	}
	icp_prefix_t prefix;
	const char *text = values[COLUMN_PREFIX];
	if (icp_prefix_parse(&prefix, text, strlen(text)) != ICP_EOK) {
		return fail_line(reader, "not a prefix, or bits are set beyond its length", text);
	}
	if (!is_country(values[COLUMN_COUNTRY])) {
		return fail_line(reader, "country is not two letters A-Z", values[COLUMN_COUNTRY]);
	}
	text = values[COLUMN_PROVIDER];
	if (*text != '\0' && !icp_provider_valid(text, strlen(text))) {
		return fail_line(
			reader, "provider is not a slug of a-z, 0-9 and -, at most 32", text);
	}
	return icp_mmdb_add(
		reader->mmdb, &prefix, reader->line, values[COLUMN_COUNTRY], text, reader->diag);
}

/*
 * Splits a line without its end. The parser sees one line at a time, since no field of ours has a
 * line end in it; so a stray quote is found on its own line.
 */
static int take_line(reader_t *reader, const char *line, size_t length)
{
	fields_t *fields = &reader->fields;
	fields->count = 0;
	fields->used = 0;
	if (csv_parse(&reader->parser, line, length, take_field, NULL, fields) != length ||
		csv_fini(&reader->parser, take_field, NULL, fields) != 0) {
		if (csv_error(&reader->parser) == CSV_ENOMEM) {
			return icp_fail(
				reader->diag, ICP_ENOMEM, "%s: out of memory", reader->path);
		}
		return fail_line(reader, "quotes do not match", line);
	}
	return reader->has_header ? take_row(reader) : take_header(reader);
}

/*
 * Reads a line, without its end, of at most LINE_MAX_OCTETS. Returns its length, one more than
 * that for a longer line, -1 at the end of the file.
 */
static int read_line(FILE *file, char line[LINE_MAX_OCTETS + 2])
{
	int length = 0;
	int octet = getc_unlocked(file);
	if (octet == EOF) {
		return -1;
	}
	while (octet != EOF && octet != '\n' && length <= LINE_MAX_OCTETS) {
		line[length++] = (char)octet;
		octet = getc_unlocked(file);
	}
	if (octet == '\n' && length > 0 && line[length - 1] == '\r') {
		length--;
	}
	line[length] = '\0';
	return length;
}

static int read_file(reader_t *reader)
{
	static const char mark[3] = "\xef\xbb\xbf";
	char line[LINE_MAX_OCTETS + 2];
	int length;
	while ((length = read_line(reader->file, line)) >= 0) {
		const char *text = line;
		reader->line++;
		if (length > LINE_MAX_OCTETS) {
			return fail_line(reader, "line longer than 1023 octets", line);
		}
		if (memchr(line, '\0', (size_t)length) != NULL) {
			return fail_line(reader, "NUL octet", line);
		}
		if (reader->line == 1 && length >= 3 && memcmp(line, mark, 3) == 0) {
			text += 3;
			length -= 3;
		}
		int rc = length == 0 ? ICP_EOK : take_line(reader, text, (size_t)length);
		if (rc != ICP_EOK) {
			return rc;
		}
	}
	if (ferror(reader->file)) {
		return icp_fail(reader->diag, ICP_ESYS, "%s: can't be read: %s", reader->path,
			strerror(errno));
	}
	if (!reader->has_header) {
		return icp_fail(reader->diag, ICP_EINVAL, "%s: empty", reader->path);
	}
	return ICP_EOK;
}

int icp_ranges_compile(const char *csv_path, const char *out_path, int64_t build_epoch,
	icp_ranges_stats_t *stats, icp_diag_t *diag)
{
	reader_t reader = {.path = csv_path, .diag = diag};
	reader.file = fopen(csv_path, "re");
	if (reader.file == NULL) {
		return icp_fail(
			diag, ICP_ESYS, "%s: can't be opened: %s", csv_path, strerror(errno));
	}
	csv_init(&reader.parser, CSV_STRICT | CSV_STRICT_FINI | CSV_APPEND_NULL);
	csv_set_space_func(&reader.parser, is_never);
	csv_set_term_func(&reader.parser, is_never);
	int rc = icp_mmdb_create(&reader.mmdb, csv_path);
	if (rc != ICP_EOK) {
		icp_fail(diag, rc, "%s: %s", csv_path, icp_strerror(rc));
		goto cleanup;
	}
	rc = read_file(&reader);
	if (rc == ICP_EOK) {
		rc = icp_mmdb_write(reader.mmdb, out_path, build_epoch, 0, stats, diag);
	}
cleanup:
	icp_mmdb_destroy(reader.mmdb);
	csv_free(&reader.parser);
	fclose(reader.file);
	return rc;
}

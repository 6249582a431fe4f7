/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/record.h"

#include <csv.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

struct icp_records {
	icp_stream_t *stream;
	struct csv_parser csv;
	bool began;    /*!< The byte order mark, if any, is behind us. */
	bool complete; /*!< libcsv saw the end of the record. */
	size_t text_length;
	icp_record_t *record; /*!< The one being read by libcsv. */
	char text[ICP_LINE_MAX + 1];
};

/*! Blanks belong to the field. */
static int is_space(unsigned char octet)
{
	(void)octet;
	return 0;
}

/*! A carriage return alone does not end a record. */
static int is_end(unsigned char octet)
{
	return octet == '\n';
}

static bool csv_begin(icp_records_t *records)
{
	if (csv_init(&records->csv, CSV_STRICT | CSV_STRICT_FINI) != 0) {
		return false;
	}
	csv_set_space_func(&records->csv, is_space);
	csv_set_term_func(&records->csv, is_end);
	return true;
}

icp_records_t *icp_records_create(icp_stream_t *stream)
{
	icp_records_t *records = malloc(sizeof *records);
	if (records == NULL) {
		return NULL;
	}
	memset(records, 0, offsetof(icp_records_t, text));
	records->stream = stream;
	if (!csv_begin(records)) {
		free(records);
		return NULL;
	}
	return records;
}

void icp_records_destroy(icp_records_t *records)
{
	if (records != NULL) {
		csv_free(&records->csv);
		free(records);
	}
}

static void add_field(icp_record_t *record, const char *text, size_t length)
{
	if (record->count < ICP_RECORD_FIELDS_MAX) {
		record->fields[record->count] = (icp_field_t){text, length};
	}
	record->count++;
}

static void split(icp_record_t *record, const char *line, size_t length)
{
	const char *end = line + length;
	const char *comma;
	while ((comma = memchr(line, ',', (size_t)(end - line))) != NULL) {
		add_field(record, line, (size_t)(comma - line));
		line = comma + 1;
	}
	add_field(record, line, (size_t)(end - line));
}

/*! libcsv uses its buffer again for the next field. What it gives is never longer than its input.
 */
static void take_field(void *text, size_t length, void *context)
{
	icp_records_t *records = context;
	char *into = records->text + records->text_length;
	if (length > 0) {
		memcpy(into, text, length);
	}
	records->text_length += length;
	add_field(records->record, into, length);
}

static void take_end(int last, void *context)
{
	(void)last;
	icp_records_t *records = context;
	records->complete = true;
}

/*! Lines may end in CR LF; the LF is gone already. */
static size_t without_return(const char *line, size_t length)
{
	return length > 0 && line[length - 1] == '\r' ? length - 1 : length;
}

static bool parse(icp_records_t *records, const char *text, size_t length)
{
	return csv_parse(&records->csv, text, length, take_field, take_end, records) == length;
}

/*! Makes a record of what libcsv can't read, and forgets what libcsv had. */
static int refuse(icp_records_t *records, const char *fault, const char *line, size_t length)
{
	icp_record_t *record = records->record;
	record->fault = fault;
	record->count = 1;
	record->fields[0] = (icp_field_t){line, length};
	csv_free(&records->csv);
	return csv_begin(records) ? 1 : ICP_ENOMEM;
}

/*!
 * Reads a record that has quotes. It must end on its line: no value may hold a line end, and a
 * quote that was never closed must not swallow the rows that follow.
 */
static int read_quoted(icp_records_t *records, const char *line, size_t length, icp_diag_t *diag)
{
	records->text_length = 0;
	records->complete = false;
	if (!parse(records, line, length) || !parse(records, "\n", 1)) {
		return csv_error(&records->csv) == CSV_EPARSE
			       ? refuse(records, "quotes are not as CSV has them", line, length)
			       : icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	return records->complete
		       ? 1
		       : refuse(records, "quoted field does not end on its line", line, length);
}

int icp_records_next(icp_records_t *records, icp_record_t *record, icp_diag_t *diag)
{
	static const char mark[] = "\xef\xbb\xbf";
	const char *line;
	size_t length;
	int ret = icp_stream_line(records->stream, &line, &length, diag);
	if (ret <= 0) {
		return ret;
	}
	if (!records->began && length >= 3 && memcmp(line, mark, 3) == 0) {
		line += 3;
		length -= 3;
	}
	records->began = true;
	records->record = record;
	record->line = icp_stream_number(records->stream);
	record->count = 0;
	record->fault = NULL;
	if (memchr(line, '"', length) != NULL) {
		return read_quoted(records, line, without_return(line, length), diag);
	}
	split(record, line, without_return(line, length));
	return 1;
}

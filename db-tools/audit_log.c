/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/audit_log.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#include "loader/audit.h"

#define PACKED_SIZE ((size_t)128 * 1024)
#define TEXT_SIZE ((size_t)256 * 1024) /*!< More than any line. */
#define FIELDS 8
#define DAY_PATTERN "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]" ICP_AUDIT_DAY_SUFFIX

/*! A day's file on its way. */
typedef struct {
	int directory;
	int file;
	ZSTD_DCtx *zstd;
	icp_audit_visit_t visit;
	void *context;
	const char *trouble; /*!< What is wrong with the file; NULL: nothing so far. */
	uint64_t line;
	bool in_frame; /*!< A frame began and did not end yet. */
	size_t text_length;
	uint8_t packed[PACKED_SIZE];
	char text[TEXT_SIZE];
} log_t;

static bool parse_number(icp_audit_text_t text, uint64_t *number)
{
	char digits[24];
	char *end;
	if (text.length == 0 || text.length >= sizeof digits || text.text[0] < '0' ||
		text.text[0] > '9') {
		return false;
	}
	memcpy(digits, text.text, text.length);
	digits[text.length] = '\0';
	errno = 0;
	*number = strtoull(digits, &end, 10);
	return errno == 0 && *end == '\0';
}

/*! Takes the quotes off in place. False: they are not those of one field. */
static bool unquote(char *text, size_t *length)
{
	if (*length == 0 || text[0] != '"') {
		return true;
	}
	size_t at = 1;
	size_t out = 0;
	while (at < *length && (text[at] != '"' || (at + 1 < *length && text[at + 1] == '"'))) {
		at += text[at] == '"';
		text[out++] = text[at++];
	}
	bool whole = at + 1 == *length;
	*length = out;
	return whole;
}

/*! Only the last field, the source, can be quoted. */
static bool parse_line(char *line, size_t length, icp_audit_record_t *record)
{
	icp_audit_text_t fields[FIELDS];
	char *at = line;
	char *end = line + length;
	for (size_t i = 0; i + 1 < FIELDS; i++) {
		char *comma = memchr(at, ',', (size_t)(end - at));
		if (comma == NULL) {
			return false;
		}
		fields[i] = (icp_audit_text_t){at, (size_t)(comma - at)};
		at = comma + 1;
	}
	size_t left = (size_t)(end - at);
	if (!unquote(at, &left)) {
		return false;
	}
	*record = (icp_audit_record_t){
		.time = fields[0],
		.domain = fields[1],
		.provider = fields[2],
		.from = fields[3],
		.to = fields[4],
		.source = {at, left},
	};
	return parse_number(fields[5], &record->generation) &&
	       parse_number(fields[6], &record->sequence);
}

/*! Lines are shown on terminals. */
static bool has_control(const char *line, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		if ((unsigned char)line[i] < ' ' || line[i] == '\x7f') {
			return true;
		}
	}
	return false;
}

static int take_line(log_t *log, char *line, size_t length)
{
	static const char header[] = ICP_AUDIT_HEADER;
	icp_audit_record_t record;
	log->line++;
	if (length == sizeof header - 2 && memcmp(line, header, length) == 0) {
		return ICP_EOK;
	}
	if (has_control(line, length) || !parse_line(line, length, &record)) {
		log->trouble = "not a line of the audit log";
		return ICP_EOK;
	}
	return log->visit(&record, log->context);
}

/*! Takes the whole lines out of the text. */
static int take_lines(log_t *log)
{
	char *at = log->text;
	char *end = log->text + log->text_length;
	char *stop;
	int ret = ICP_EOK;
	while (ret == ICP_EOK && log->trouble == NULL &&
		(stop = memchr(at, '\n', (size_t)(end - at))) != NULL) {
		ret = take_line(log, at, (size_t)(stop - at));
		at = stop + 1;
	}
	log->text_length = (size_t)(end - at);
	memmove(log->text, at, log->text_length);
	if (log->text_length == TEXT_SIZE) {
		log->trouble = "a line without an end";
	}
	return ret;
}

static int take_packed(log_t *log, size_t length)
{
	ZSTD_inBuffer in = {log->packed, length, 0};
	int ret = ICP_EOK;
	/* The last octet of a frame is not taken before all of its text was given. */
	while (ret == ICP_EOK && log->trouble == NULL && in.pos < in.size) {
		ZSTD_outBuffer out = {log->text, TEXT_SIZE, log->text_length};
		size_t left = ZSTD_decompressStream(log->zstd, &out, &in);
		if (ZSTD_isError(left)) {
			log->trouble = ZSTD_getErrorName(left);
			return ICP_EOK;
		}
		log->in_frame = left > 0;
		log->text_length = out.pos;
		ret = take_lines(log);
	}
	return ret;
}

static ssize_t read_packed(const log_t *log, uint8_t *packed)
{
	ssize_t size;
	do {
		size = read(log->file, packed, PACKED_SIZE);
	} while (size < 0 && errno == EINTR);
	return size;
}

/*!
 * Reads on, also where a loader is just appending: a frame that is not whole then has a pending
 * file beside it, or was completed by the time that there is none.
 */
static ssize_t read_more(log_t *log)
{
	ssize_t size = read_packed(log, log->packed);
	if (size != 0 || !log->in_frame) {
		return size;
	}
	if (faccessat(log->directory, ICP_AUDIT_PENDING, F_OK, 0) == 0) {
		log->in_frame = false;
		log->text_length = 0;
		return 0;
	}
	return read_packed(log, log->packed);
}

static int read_day(log_t *log)
{
	ssize_t size;
	int ret = ICP_EOK;
	while (ret == ICP_EOK && log->trouble == NULL && (size = read_more(log)) != 0) {
		if (size < 0) {
			log->trouble = strerror(errno);
			return ICP_EOK;
		}
		ret = take_packed(log, (size_t)size);
	}
	if (ret == ICP_EOK && log->trouble == NULL && (log->in_frame || log->text_length > 0)) {
		log->trouble = "ends too early";
	}
	return ret;
}

static int open_day(log_t *log, const char *path, const char *name, size_t *damaged)
{
	log->trouble = NULL;
	log->line = 0;
	log->in_frame = false;
	log->text_length = 0;
	ZSTD_DCtx_reset(log->zstd, ZSTD_reset_session_only);
	log->file = openat(log->directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	int ret = ICP_EOK;
	if (log->file < 0) {
		log->trouble = strerror(errno);
	} else {
		ret = read_day(log);
		close(log->file);
	}
	if (log->trouble != NULL) {
		fprintf(stderr, "%s/%s: damaged after line %" PRIu64 ": %s\n", path, name,
			log->line, log->trouble);
		++*damaged;
	}
	return ret;
}

static int is_day(const struct dirent *entry)
{
	return fnmatch(DAY_PATTERN, entry->d_name, 0) == 0;
}

static int read_days(log_t *log, const char *path, size_t *damaged, icp_diag_t *diag)
{
	struct dirent **days;
	int count = scandir(path, &days, is_day, alphasort);
	if (count < 0) {
		return icp_fail(diag, ICP_ESYS, "%s: %s", path, strerror(errno));
	}
	int ret = ICP_EOK;
	for (int i = 0; i < count; i++) {
		if (ret == ICP_EOK) {
			ret = open_day(log, path, days[i]->d_name, damaged);
		}
		free(days[i]);
	}
	free(days);
	return ret;
}

static int read_directory(
	log_t *log, const char *store, const char *path, size_t *damaged, icp_diag_t *diag)
{
	log->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (log->directory < 0) {
		/* A store in which no permission was changed yet has none. */
		if (errno == ENOENT && access(store, F_OK) == 0) {
			return ICP_EOK;
		}
		return icp_fail(diag, ICP_ESYS, "%s: %s", path, strerror(errno));
	}
	int ret = read_days(log, path, damaged, diag);
	close(log->directory);
	return ret;
}

int icp_audit_log_read(const char *store, icp_audit_visit_t visit, void *context, size_t *damaged,
	icp_diag_t *diag)
{
	char *path;
	*damaged = 0;
	if (asprintf(&path, "%s/" ICP_AUDIT_DIRECTORY, store) < 0) {
		return ICP_ENOMEM;
	}
	log_t *log = calloc(1, sizeof *log);
	int ret = ICP_ENOMEM;
	if (log != NULL) {
		log->visit = visit;
		log->context = context;
		log->zstd = ZSTD_createDCtx();
		if (log->zstd != NULL) {
			ret = read_directory(log, store, path, damaged, diag);
		}
		ZSTD_freeDCtx(log->zstd);
	}
	free(log);
	free(path);
	return ret;
}

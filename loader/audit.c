/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/audit.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/time.h"
#include "loader/audit_file.h"
#include "loader/guard.h"

#define LEVEL 1                        /*!< The text repeats itself; more makes it 3% smaller. */
#define TEXT_SIZE ((size_t)128 * 1024) /*!< Of lines that are compressed at a time. */
#define SUFFIX_MAX (2 * NAME_MAX + 64) /*!< What stands behind the statuses in each line. */
#define LINE_MAX_OCTETS ((size_t)4096)

_Static_assert(ICP_TIME_TEXT_MAX + ICP_NAME_TEXT_MAX + ICP_PROVIDER_MAX + 64 + SUFFIX_MAX <
		       LINE_MAX_OCTETS,
	"the longest line fits");

#define SET_ASIDE_MAX 1000 /*!< Batches; each took a damaged file. */

struct icp_audit {
	const icp_generations_t *generations;
	icp_audit_batch_t batch;
	icp_diag_t *diag;
	icp_audit_files_t files;
	icp_audit_head_t head;
	bool begun;  /*!< The pending file was made. */
	bool sealed; /*!< The day's file may have been made. */
	ZSTD_CCtx *zstd;
	XXH3_state_t *hash;
	char prefix[ICP_TIME_TEXT_MAX + 1]; /*!< The time and its comma. */
	size_t prefix_length;
	char suffix[SUFFIX_MAX]; /*!< From the comma before the generation to the line's end. */
	size_t suffix_length;
	char *text;
	size_t text_length;
	uint8_t *packed;
	size_t packed_size;
};

/*! Puts the source in quotes where CSV needs them. A record is one line: no control characters. */
static void put_source(char *out, const char *source)
{
	bool quoted = strpbrk(source, "\",") != NULL || source[0] == ' ' ||
		      (source[0] != '\0' && source[strlen(source) - 1] == ' ');
	if (quoted) {
		*out++ = '"';
	}
	for (size_t i = 0; source[i] != '\0' && i < NAME_MAX; i++) {
		bool control = (unsigned char)source[i] < ' ' || source[i] == '\x7f';
		if (source[i] == '"') {
			*out++ = '"';
		}
		*out++ = control ? '?' : source[i];
	}
	if (quoted) {
		*out++ = '"';
	}
	memcpy(out, "\n", 2);
}

static void set_constant_parts(icp_audit_t *audit)
{
	const icp_audit_batch_t *batch = &audit->batch;
	char time[ICP_TIME_TEXT_MAX];
	icp_time_format(batch->now, time);
	audit->prefix_length = (size_t)snprintf(audit->prefix, sizeof audit->prefix, "%s,", time);
	int length = snprintf(audit->suffix, sizeof audit->suffix, ",%" PRIu64 ",%" PRIu64 ",",
		batch->generation, batch->sequence);
	put_source(audit->suffix + length, batch->source);
	audit->suffix_length = strlen(audit->suffix);
}

static void audit_destroy(icp_audit_t *audit)
{
	icp_audit_files_close(&audit->files);
	ZSTD_freeCCtx(audit->zstd);
	XXH3_freeState(audit->hash);
	free(audit->text);
	free(audit->packed);
	free(audit);
}

int icp_audit_begin(icp_audit_t **audit, const icp_generations_t *generations,
	const icp_audit_batch_t *batch, icp_diag_t *diag)
{
	icp_audit_t *begun = calloc(1, sizeof *begun);
	if (begun == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "audit log: out of memory");
	}
	begun->generations = generations;
	begun->batch = *batch;
	begun->diag = diag;
	begun->files = (icp_audit_files_t){generations, -1, -1};
	set_constant_parts(begun);
	*audit = begun;
	return ICP_EOK;
}

/*! Makes the pending file and what is needed to fill it, as a line comes. */
static int start(icp_audit_t *audit)
{
	audit->zstd = ZSTD_createCCtx();
	audit->hash = XXH3_createState();
	audit->packed_size = ZSTD_CStreamOutSize();
	audit->packed = malloc(audit->packed_size);
	audit->text = malloc(TEXT_SIZE);
	if (audit->zstd == NULL || audit->hash == NULL || audit->packed == NULL ||
		audit->text == NULL ||
		ZSTD_isError(ZSTD_CCtx_setParameter(audit->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
		ZSTD_isError(ZSTD_CCtx_setParameter(audit->zstd, ZSTD_c_checksumFlag, 1))) {
		return icp_fail(audit->diag, ICP_ENOMEM, "audit log: out of memory");
	}
	XXH3_64bits_reset(audit->hash);
	int ret = icp_audit_files_create(&audit->files, audit->generations, audit->diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	audit->begun = true;
	audit->head.generation = audit->batch.generation;
	icp_audit_files_day(&audit->files, audit->batch.now, &audit->head);
	if (audit->head.day_size == 0) {
		audit->text_length = sizeof ICP_AUDIT_HEADER - 1;
		memcpy(audit->text, ICP_AUDIT_HEADER, audit->text_length);
	}
	return ICP_EOK;
}

/*! Compresses the lines collected, and writes what comes of it. */
static int flush(icp_audit_t *audit, ZSTD_EndDirective directive)
{
	ZSTD_inBuffer in = {audit->text, audit->text_length, 0};
	size_t left;
	do {
		ZSTD_outBuffer out = {audit->packed, audit->packed_size, 0};
		left = ZSTD_compressStream2(audit->zstd, &out, &in, directive);
		if (ZSTD_isError(left)) {
			return icp_fail(
				audit->diag, ICP_ENOMEM, "audit log: %s", ZSTD_getErrorName(left));
		}
		XXH3_64bits_update(audit->hash, audit->packed, out.pos);
		int ret = icp_audit_files_write(
			&audit->files, audit->packed, out.pos, audit->head.length, audit->diag);
		if (ret != ICP_EOK) {
			return ret;
		}
		audit->head.length += out.pos;
	} while (in.pos < in.size || (directive == ZSTD_e_end && left > 0));
	audit->text_length = 0;
	return ICP_EOK;
}

static char *put_octets(char *out, const char *octets, size_t length)
{
	memcpy(out, octets, length);
	return out + length;
}

static char *put_text(char *out, const char *text)
{
	return put_octets(out, text, strlen(text));
}

static char *put_domain(char *out, const icp_row_t *row)
{
	icp_name_t name;
	if (icp_name_from_stored(&name, row->domain, row->domain_length) != ICP_EOK) {
		return put_text(out, "?");
	}
	icp_name_format(&name, out);
	return out + strlen(out);
}

static void put_line(icp_audit_t *audit, const icp_row_t *before, const icp_row_t *after)
{
	const icp_row_t *row = before != NULL ? before : after;
	char *at = audit->text + audit->text_length;
	at = put_octets(at, audit->prefix, audit->prefix_length);
	at = put_domain(at, row);
	*at++ = ',';
	at = put_octets(at, row->provider, row->provider_length);
	*at++ = ',';
	at = put_text(at, icp_guard_status(before));
	*at++ = ',';
	at = put_text(at, icp_guard_status(after));
	at = put_octets(at, audit->suffix, audit->suffix_length);
	audit->text_length = (size_t)(at - audit->text);
}

static bool permits(const icp_audit_t *audit, const icp_row_t *row)
{
	return row != NULL && icp_row_permits(row, audit->batch.rectify_overdue, audit->batch.now);
}

int icp_audit_add(const icp_row_t *before, const icp_row_t *after, void *context)
{
	icp_audit_t *audit = context;
	if (permits(audit, before) == permits(audit, after)) {
		return ICP_EOK;
	}
	int ret = audit->begun ? ICP_EOK : start(audit);
	if (ret == ICP_EOK && audit->text_length + LINE_MAX_OCTETS > TEXT_SIZE) {
		ret = flush(audit, ZSTD_e_continue);
	}
	if (ret == ICP_EOK) {
		put_line(audit, before, after);
	}
	return ret;
}

int icp_audit_prepare(icp_audit_t *audit, uint64_t commit)
{
	if (!audit->begun) {
		return ICP_EOK;
	}
	int ret = flush(audit, ZSTD_e_end);
	if (ret != ICP_EOK) {
		return ret;
	}
	audit->sealed = true;
	audit->head.commit = commit;
	audit->head.hash = XXH3_64bits_digest(audit->hash);
	return icp_audit_files_seal(&audit->files, &audit->head, audit->diag);
}

int icp_audit_commit(icp_audit_t *audit)
{
	int ret = audit->begun ? icp_audit_files_append(&audit->files, &audit->head, audit->diag)
			       : ICP_EOK;
	audit_destroy(audit);
	return ret;
}

void icp_audit_cancel(icp_audit_t *audit)
{
	if (audit == NULL) {
		return;
	}
	if (audit->begun) {
		icp_audit_files_drop(&audit->files, audit->sealed ? &audit->head : NULL);
	}
	audit_destroy(audit);
}

/*! A batch that can't be appended is kept beside, and told of. */
static int set_aside(
	const icp_audit_files_t *files, const char *why, icp_notice_t notice, icp_diag_t *diag)
{
	static const char path[] = "/" ICP_AUDIT_DIRECTORY "/" ICP_AUDIT_PENDING;
	const char *store = files->generations->store;
	char line[PATH_MAX];
	char aside[sizeof ICP_AUDIT_PENDING ".damaged." + 4];
	int rc = -1;
	errno = EEXIST;
	for (unsigned i = 1; rc != 0 && errno == EEXIST && i < SET_ASIDE_MAX; i++) {
		snprintf(aside, sizeof aside, ICP_AUDIT_PENDING ".damaged.%u", i);
		rc = renameat2(files->directory, ICP_AUDIT_PENDING, files->directory, aside,
			RENAME_NOREPLACE);
	}
	if (rc != 0) {
		return icp_fail(diag, ICP_ESYS, "%s%s: %s", store, path, strerror(errno));
	}
	snprintf(line, sizeof line, "%s%s: %s from the audit log; kept as %s", store, path, why,
		aside);
	notice(line);
	return ICP_EOK;
}

int icp_audit_recover(const icp_generations_t *generations, icp_audit_committed_t committed,
	void *context, icp_notice_t notice, icp_diag_t *diag)
{
	icp_audit_files_t files;
	icp_audit_head_t head;
	int ret = icp_audit_files_open(&files, generations, diag);
	if (ret != ICP_EOK || files.pending < 0) {
		icp_audit_files_close(&files);
		return ret;
	}
	if (!icp_audit_files_read(&files, &head)) {
		icp_audit_files_drop(&files, NULL);
	} else {
		ret = committed(head.generation, head.commit, context);
		if (ret == 0) {
			icp_audit_files_drop(&files, &head);
		} else if (ret == 1) {
			ret = icp_audit_files_whole(&files, &head)
				      ? icp_audit_files_append(&files, &head, diag)
				      : set_aside(&files,
						"damaged: changes that were committed are missing",
						notice, diag);
		} else if (ret == 2) {
			ret = set_aside(&files,
				"the generation can't be read: changes that may have been "
				"committed are missing",
				notice, diag);
		}
	}
	icp_audit_files_close(&files);
	return ret;
}

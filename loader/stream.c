/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/stream.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "loader/gunzip.h"

#define BUFFER_SIZE (4 * ICP_LINE_MAX)

struct icp_stream {
	const char *path;
	icp_give_t give; /*!< For what is not a file; NULL: there is a source. */
	void *context;
	icp_source_t *source;
	icp_gunzip_t *gunzip;    /*!< For gzip; NULL: the archive decompresses. */
	struct archive *archive; /*!< For all else. */
	uint64_t number;
	bool ended; /*!< Nothing comes any more into the buffer. */
	size_t start;
	size_t end; /*!< start..end is to be given. */
	char buffer[BUFFER_SIZE];
};

static la_ssize_t give_piece(struct archive *archive, void *context, const void **buffer)
{
	icp_stream_t *stream = context;
	const uint8_t *piece = NULL;
	ssize_t size = icp_source_read(stream->source, &piece);
	if (size < 0) {
		archive_set_error(archive, errno, "%s", strerror(errno));
		return ARCHIVE_FATAL;
	}
	*buffer = piece;
	return size;
}

static int archive_failed(const icp_stream_t *stream, icp_diag_t *diag)
{
	const char *why = archive_error_string(stream->archive);
	return icp_fail(diag, ICP_EFEED, "%s: data can't be read: %s", stream->path,
		why != NULL ? why : "damaged or truncated");
}

static int open_archive(icp_stream_t *stream, icp_diag_t *diag)
{
	struct archive_entry *entry;
	stream->archive = archive_read_new();
	if (stream->archive == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", stream->path);
	}
	/* A warning would mean that an external program is to be run. */
	if (archive_read_support_filter_xz(stream->archive) != ARCHIVE_OK ||
		archive_read_support_filter_zstd(stream->archive) != ARCHIVE_OK ||
		archive_read_support_format_raw(stream->archive) != ARCHIVE_OK ||
		archive_read_support_format_empty(stream->archive) != ARCHIVE_OK ||
		archive_read_open(stream->archive, stream, NULL, give_piece, NULL) != ARCHIVE_OK) {
		return archive_failed(stream, diag);
	}
	switch (archive_read_next_header(stream->archive, &entry)) {
	case ARCHIVE_OK:
		return ICP_EOK;
	case ARCHIVE_EOF:
		stream->ended = true;
		return ICP_EOK;
	default:
		return archive_failed(stream, diag);
	}
}

int icp_stream_open(icp_stream_t **stream, const char *path, bool no_links, icp_diag_t *diag)
{
	icp_stream_t *new = malloc(sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	memset(new, 0, offsetof(icp_stream_t, buffer));
	new->path = path;
	int ret = icp_source_open(&new->source, path, no_links, diag);
	if (ret == ICP_EOK) {
		size_t length;
		const uint8_t *head = icp_source_head(new->source, &length);
		if (!icp_gunzip_knows(head, length)) {
			ret = open_archive(new, diag);
		} else if ((new->gunzip = icp_gunzip_create(new->source)) == NULL) {
			ret = icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
		}
	}
	if (ret != ICP_EOK) {
		icp_stream_close(new);
		return ret;
	}
	*stream = new;
	return ICP_EOK;
}

int icp_stream_open_given(
	icp_stream_t **stream, const char *name, icp_give_t give, void *context, icp_diag_t *diag)
{
	icp_stream_t *new = malloc(sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", name);
	}
	memset(new, 0, offsetof(icp_stream_t, buffer));
	new->path = name;
	new->give = give;
	new->context = context;
	*stream = new;
	return ICP_EOK;
}

void icp_stream_close(icp_stream_t *stream)
{
	if (stream == NULL) {
		return;
	}
	icp_gunzip_destroy(stream->gunzip);
	archive_read_free(stream->archive);
	icp_source_close(stream->source);
	free(stream);
}

/*! Reads what follows the data, for the digest. It must be nothing: it may be a lost part. */
static int finish_archive(icp_stream_t *stream, icp_diag_t *diag)
{
	const uint8_t *piece;
	ssize_t size;
	while ((size = icp_source_read(stream->source, &piece)) > 0) {
	}
	if (size < 0) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", stream->path, strerror(errno));
	}
	int64_t used = archive_filter_bytes(stream->archive, -1);
	if ((uint64_t)used != icp_source_position(stream->source)) {
		return icp_fail(diag, ICP_EFEED,
			"%s: compressed data ends at octet %" PRId64 ", others follow it",
			stream->path, used);
	}
	return ICP_EOK;
}

/*! Moves the rest to the buffer's start and fills what is free behind it. */
static int fill(icp_stream_t *stream, icp_diag_t *diag)
{
	memmove(stream->buffer, stream->buffer + stream->start, stream->end - stream->start);
	stream->end -= stream->start;
	stream->start = 0;

	char *into = stream->buffer + stream->end;
	size_t room = BUFFER_SIZE - stream->end;
	ssize_t size;
	if (stream->give != NULL) {
		size = stream->give(stream->context, into, room, diag);
		if (size < 0) {
			return (int)size;
		}
	} else if (stream->gunzip != NULL) {
		const char *why;
		size = icp_gunzip_read(stream->gunzip, into, room, &why);
		if (size < 0) {
			return icp_fail(
				diag, ICP_EFEED, "%s: data can't be read: %s", stream->path, why);
		}
	} else {
		size = archive_read_data(stream->archive, into, room);
		if (size < 0) {
			return archive_failed(stream, diag);
		}
	}
	stream->end += (size_t)size;
	stream->ended = size == 0;
	return stream->ended && stream->archive != NULL ? finish_archive(stream, diag) : ICP_EOK;
}

static int line_too_long(const icp_stream_t *stream, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_EFEED, "%s:%" PRIu64 ": line is over %zu octets", stream->path,
		stream->number, ICP_LINE_MAX);
}

int icp_stream_line(icp_stream_t *stream, const char **line, size_t *length, icp_diag_t *diag)
{
	size_t looked = 0;
	for (;;) {
		const char *start = stream->buffer + stream->start;
		size_t size = stream->end - stream->start;
		const char *feed = memchr(start + looked, '\n', size - looked);
		if (feed == NULL && size == 0 && stream->ended) {
			return 0;
		}
		if (feed != NULL || stream->ended || size > ICP_LINE_MAX) {
			*line = start;
			*length = feed != NULL ? (size_t)(feed - start) : size;
			stream->start += *length + (feed != NULL);
			stream->number++;
			return *length > ICP_LINE_MAX ? line_too_long(stream, diag) : 1;
		}
		looked = size;
		int ret = fill(stream, diag);
		if (ret != ICP_EOK) {
			return ret;
		}
	}
}

uint64_t icp_stream_number(const icp_stream_t *stream)
{
	return stream->number;
}

const char *icp_stream_path(const icp_stream_t *stream)
{
	return stream->path;
}

icp_source_t *icp_stream_source(icp_stream_t *stream)
{
	return stream->source;
}

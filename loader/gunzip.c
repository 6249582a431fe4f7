/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/gunzip.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define ZLIB_CONST
#include <zlib.h>

#define MAGIC_SIZE 2
#define GZIP_WINDOW (MAX_WBITS + 16) /*!< zlib's way to say: gzip members only. */

struct icp_gunzip {
	icp_source_t *source;
	z_stream zip;
	bool between; /*!< A member ended; another one or the end of the file must follow. */
	bool ended;   /*!< The source has no more. */
};

bool icp_gunzip_knows(const uint8_t *head, size_t length)
{
	static const uint8_t magic[MAGIC_SIZE] = {0x1f, 0x8b};
	return length >= MAGIC_SIZE && memcmp(head, magic, MAGIC_SIZE) == 0;
}

icp_gunzip_t *icp_gunzip_create(icp_source_t *source)
{
	icp_gunzip_t *gunzip = calloc(1, sizeof *gunzip);
	if (gunzip == NULL) {
		return NULL;
	}
	gunzip->source = source;
	if (inflateInit2(&gunzip->zip, GZIP_WINDOW) != Z_OK) {
		free(gunzip);
		return NULL;
	}
	return gunzip;
}

void icp_gunzip_destroy(icp_gunzip_t *gunzip)
{
	if (gunzip != NULL) {
		inflateEnd(&gunzip->zip);
		free(gunzip);
	}
}

static bool fill_input(icp_gunzip_t *gunzip, const char **why)
{
	const uint8_t *piece = NULL;
	if (gunzip->zip.avail_in > 0 || gunzip->ended) {
		return true;
	}
	ssize_t size = icp_source_read(gunzip->source, &piece);
	if (size < 0) {
		*why = strerror(errno);
		return false;
	}
	gunzip->ended = size == 0;
	gunzip->zip.next_in = piece;
	gunzip->zip.avail_in = (uInt)size;
	return true;
}

/*! Decompresses what is at hand. */
static bool step(icp_gunzip_t *gunzip, const char **why)
{
	if (gunzip->between) {
		inflateReset(&gunzip->zip);
		gunzip->between = false;
	}
	switch (inflate(&gunzip->zip, Z_NO_FLUSH)) {
	case Z_OK:
		return true;
	case Z_STREAM_END:
		gunzip->between = true;
		return true;
	case Z_BUF_ERROR:
		*why = "gzip data is truncated";
		return false;
	case Z_MEM_ERROR:
		*why = "out of memory";
		return false;
	default:
		*why = gunzip->zip.msg != NULL ? gunzip->zip.msg : "gzip data is damaged";
		return false;
	}
}

ssize_t icp_gunzip_read(icp_gunzip_t *gunzip, void *buffer, size_t size, const char **why)
{
	gunzip->zip.next_out = buffer;
	gunzip->zip.avail_out = (uInt)size;
	while (gunzip->zip.avail_out > 0) {
		if (!fill_input(gunzip, why)) {
			return -1;
		}
		if (gunzip->between && gunzip->zip.avail_in == 0) {
			break;
		}
		if (!step(gunzip, why)) {
			return -1;
		}
	}
	return (ssize_t)(size - gunzip->zip.avail_out);
}

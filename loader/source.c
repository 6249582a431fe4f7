/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/source.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_MAX (128 * 1024)

struct icp_source {
	int file;
	uint64_t size;
	uint64_t position;
	size_t head; /*!< Octets of the first piece that were not given yet. */
	EVP_MD_CTX *digest;
	uint8_t piece[PIECE_MAX];
};

/*! Fills the piece. */
static ssize_t read_piece(icp_source_t *source)
{
	ssize_t size;
	do {
		size = read(source->file, source->piece, sizeof source->piece);
	} while (size < 0 && errno == EINTR);
	return size;
}

static int open_file(icp_source_t *source, const char *path, bool no_links, icp_diag_t *diag)
{
	struct stat st;
	/* Without O_NONBLOCK a FIFO would hold us until somebody writes. */
	source->file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (no_links ? O_NOFOLLOW : 0));
	if (source->file < 0 || fstat(source->file, &st) != 0) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", path, strerror(errno));
	}
	if (!S_ISREG(st.st_mode)) {
		return icp_fail(diag, ICP_EFEED, "%s: not a regular file", path);
	}
	source->size = (uint64_t)st.st_size;
	posix_fadvise(source->file, 0, 0, POSIX_FADV_SEQUENTIAL);

	ssize_t size = read_piece(source);
	if (size < 0) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", path, strerror(errno));
	}
	source->head = (size_t)size;
	return ICP_EOK;
}

int icp_source_open(icp_source_t **source, const char *path, bool no_links, icp_diag_t *diag)
{
	icp_source_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	int ret = open_file(new, path, no_links, diag);
	if (ret == ICP_EOK) {
		new->digest = EVP_MD_CTX_new();
		if (new->digest == NULL ||
			EVP_DigestInit_ex(new->digest, EVP_sha256(), NULL) != 1) {
			ret = icp_fail(diag, ICP_ENOMEM, "%s: no SHA-256", path);
		}
	}
	if (ret != ICP_EOK) {
		icp_source_close(new);
		return ret;
	}
	*source = new;
	return ICP_EOK;
}

void icp_source_close(icp_source_t *source)
{
	if (source == NULL) {
		return;
	}
	if (source->file >= 0) {
		close(source->file);
	}
	EVP_MD_CTX_free(source->digest);
	free(source);
}

const uint8_t *icp_source_head(const icp_source_t *source, size_t *length)
{
	*length = source->head;
	return source->piece;
}

ssize_t icp_source_read(icp_source_t *source, const uint8_t **piece)
{
	ssize_t size = (ssize_t)source->head;
	if (source->head > 0) {
		source->head = 0;
	} else {
		size = read_piece(source);
		if (size <= 0) {
			return size;
		}
	}
	if (EVP_DigestUpdate(source->digest, source->piece, (size_t)size) != 1) {
		errno = EIO;
		return -1;
	}
	source->position += (uint64_t)size;
	*piece = source->piece;
	return size;
}

uint64_t icp_source_position(const icp_source_t *source)
{
	return source->position;
}

uint64_t icp_source_size(const icp_source_t *source)
{
	return source->size;
}

void icp_source_digest(icp_source_t *source, uint8_t digest[ICP_SHA256_SIZE])
{
	EVP_DigestFinal_ex(source->digest, digest, NULL);
}

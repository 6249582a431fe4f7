/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/lmdb_error.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PROBE_PAGES 256 /*!< More than LMDB writes at once. */

/*! Writes to a file without a name. */
static int short_write_cause(const char *path)
{
	static const char page[4096];
	int cause = EIO;
	const char *slash = strrchr(path, '/');
	char *directory = slash != NULL ? strndup(path, (size_t)(slash - path + 1)) : strdup(".");
	if (directory == NULL) {
		return cause;
	}
	int file = open(directory, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	free(directory);
	for (unsigned i = 0; file >= 0 && i < PROBE_PAGES; i++) {
		ssize_t written = write(file, page, sizeof page);
		if (written < 0) {
			cause = errno;
			break;
		}
	}
	if (file >= 0) {
		close(file);
	}
	return cause;
}

int icp_lmdb_failed(const char *path, int rc, icp_diag_t *diag)
{
	if (rc == EIO) {
		rc = short_write_cause(path);
	}
	switch (rc) {
	case ENOMEM:
		return icp_fail(diag, ICP_ENOMEM, "%s: %s", path, mdb_strerror(rc));
	case MDB_MAP_FULL:
		return icp_fail(diag, ICP_EFULL, "%s: %s", path, icp_strerror(ICP_EFULL));
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_PANIC:
		return icp_fail(diag, ICP_EDAMAGED, "%s: %s", path, mdb_strerror(rc));
	default:
		return icp_fail(diag, ICP_ESYS, "%s: %s", path, mdb_strerror(rc));
	}
}

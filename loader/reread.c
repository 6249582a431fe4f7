/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/reread.h"

#include <fcntl.h>
#include <unistd.h>

int icp_reread(icp_reader_t *reader, const char *path, icp_diag_t *diag)
{
	/* For writing: kernels that put huge pages together from small ones don't do it then. They
	 * would give up the whole file again when the next delta opens it. */
	int file = open(path, O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (file >= 0) {
		(void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
	}
	int ret = icp_reader_open(reader, path, diag);
	if (ret == ICP_EOK) {
		icp_store_read_large(reader->store, file >= 0);
		ret = icp_reader_verify(reader, diag);
		icp_store_read_large(reader->store, false);
		if (ret != ICP_EOK) {
			icp_reader_close(reader);
		}
	}
	if (file >= 0) {
		close(file);
	}
	return ret;
}

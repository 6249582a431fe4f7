/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/owner.h"

bool icp_spool_take_stamp(int directory, const char *name, icp_spool_stamp_t *stamp)
{
	struct stat st;
	memset(stamp, 0, sizeof *stamp);
	if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		return false;
	}
	stamp->inode = st.st_ino;
	stamp->size = st.st_size;
	stamp->mode = st.st_mode;
	stamp->modified = st.st_mtim;
	stamp->changed = st.st_ctim;
	return true;
}

bool icp_spool_same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool icp_spool_same_stamp(const icp_spool_stamp_t *a, const icp_spool_stamp_t *b)
{
	return a->inode == b->inode && a->size == b->size && a->mode == b->mode &&
	       icp_spool_same_time(&a->modified, &b->modified) &&
	       icp_spool_same_time(&a->changed, &b->changed);
}

int icp_spool_open_file(int directory, const char *name)
{
	struct stat st;
	/* Without O_NONBLOCK a FIFO would hold us until somebody writes. */
	int file = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (file < 0) {
		return -1;
	}
	if (fstat(file, &st) != 0 || !S_ISREG(st.st_mode)) {
		close(file);
		errno = EINVAL;
		return -1;
	}
	return file;
}

static int write_all(int file, const char *text, size_t length)
{
	while (length > 0) {
		ssize_t size = write(file, text, length);
		if (size < 0 && errno == EINTR) {
			continue;
		}
		if (size <= 0) {
			return -1;
		}
		text += size;
		length -= (size_t)size;
	}
	return 0;
}

int icp_spool_write_file(int directory, const char *name, const char *text, size_t length)
{
	static const char fresh[] = ".new";
	if (unlinkat(directory, fresh, 0) != 0 && errno != ENOENT) {
		return -1;
	}
	int file = openat(
		directory, fresh, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660);
	if (file < 0) {
		return -1;
	}
	icp_owner_give(file, icp_owner_of(directory));
	int rc = write_all(file, text, length);
	if (rc == 0) {
		rc = fsync(file);
	}
	int error = errno;
	if (close(file) != 0 && rc == 0) {
		rc = -1;
		error = errno;
	}
	if (rc == 0 && renameat(directory, fresh, directory, name) == 0) {
		return fsync(directory);
	}
	error = rc == 0 ? errno : error;
	unlinkat(directory, fresh, 0);
	errno = error;
	return -1;
}

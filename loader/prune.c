/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/prune.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/error.h"
#include "core/time.h"
#include "loader/audit.h"

#define DATE_LENGTH 10

static DIR *open_audit(const char *store)
{
	int parent = open(store, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent < 0) {
		return NULL;
	}
	int file = openat(
		parent, ICP_AUDIT_DIRECTORY, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	close(parent);
	DIR *directory = file >= 0 ? fdopendir(file) : NULL;
	if (directory == NULL && file >= 0) {
		close(file);
	}
	return directory;
}

/*! Whether a file is that of a day, and that day was over before a time. */
static bool is_older(const char *name, int64_t time)
{
	int64_t end;
	return strlen(name) == DATE_LENGTH + strlen(ICP_AUDIT_DAY_SUFFIX) &&
	       strcmp(name + DATE_LENGTH, ICP_AUDIT_DAY_SUFFIX) == 0 &&
	       icp_time_parse(&end, name, DATE_LENGTH, ICP_DATE_THROUGH) == ICP_EOK && end <= time;
}

size_t icp_prune_audit(const char *store, int64_t now, int64_t seconds)
{
	struct stat st;
	size_t removed = 0;
	DIR *directory = open_audit(store);
	if (directory == NULL) {
		return 0;
	}
	int file = dirfd(directory);
	bool pending =
		fstatat(file, ICP_AUDIT_PENDING, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
	for (struct dirent *entry; !pending && (entry = readdir(directory)) != NULL;) {
		if (is_older(entry->d_name, now - seconds) &&
			unlinkat(file, entry->d_name, 0) == 0) {
			removed++;
		}
	}
	closedir(directory);
	return removed;
}

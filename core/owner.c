/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/owner.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

icp_owner_t icp_owner_of(int file)
{
	struct stat st;
	return fstat(file, &st) == 0 ? (icp_owner_t){st.st_uid, st.st_gid} : ICP_OWNER_NONE;
}

static bool is_empty(int file)
{
	int copy = openat(file, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	if (directory == NULL) {
		if (copy >= 0) {
			close(copy);
		}
		return false;
	}
	size_t entries = 0;
	while (entries <= 2 && readdir(directory) != NULL) {
		entries++;
	}
	closedir(directory);
	return entries <= 2; /* Itself, and what it is in. */
}

bool icp_owner_is_ours(int file)
{
	struct stat st;
	int error = errno;
	bool ours = fstat(file, &st) == 0 && st.st_uid == geteuid() &&
		    (S_ISDIR(st.st_mode) ? is_empty(file) : st.st_nlink == 1);
	errno = error;
	return ours;
}

void icp_owner_give(int file, icp_owner_t owner)
{
	int error = errno;
	uid_t user = geteuid() == 0 ? owner.user : (uid_t)-1;
	/* The owner of the directory might have put here what root alone may give away. An empty
	 * path is the file itself, also where it is open by O_PATH. */
	if (icp_owner_is_ours(file)) {
		(void)!fchownat(file, "", user, owner.group, AT_EMPTY_PATH); /* A wish. */
	}
	errno = error;
}

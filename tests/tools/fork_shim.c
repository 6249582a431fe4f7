/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that makes fork() go as the file ICP_FORK_LOG says by its name: "fail", as
 * where there are too many processes; "hang", a child that never comes to anything; else as ever.
 * An octet is added to the file for each.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

pid_t __libc_fork(void); /* NOLINT: the C library's name for it. */

pid_t fork(void)
{
	const char *path = getenv("ICP_FORK_LOG");
	const char *slash = path != NULL ? strrchr(path, '/') : NULL;
	if (slash == NULL) {
		return __libc_fork();
	}
	const char *how = slash + 1;
	int file = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	(void)!write(file, "x", 1);
	close(file);
	if (strcmp(how, "fail") == 0) {
		errno = EAGAIN;
		return -1;
	}
	pid_t pid = __libc_fork();
	while (pid == 0 && strcmp(how, "hang") == 0) {
		pause();
	}
	return pid;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that counts the calls by which a program changes files, and makes one of them
 * go wrong. By environment variables:
 *
 *   ICP_SHIM_LOG=FILE  writes a line for each: number, call, what it is about
 *   ICP_SHIM_AT=N      the call that goes wrong, from 1
 *   ICP_SHIM_DO=HOW    EIO, ENOSPC: it fails so, and nothing is done; short: a write does a half;
 *                      before, after: the process is killed by SIGKILL, before or after the call;
 *                      cut, cut-data, cut-names: so before the call, and what is not on the disk is
 *                      lost (see power_cut.h): all, contents, names; with N above all calls, at the
 *                      end of the process
 *   ICP_SHIM_ON=1      so do all that follow it, as on a disk that is gone
 *
 * Calls on the standard streams do not count, nor what the C library does within itself. All go
 * straight to the kernel: nothing here depends on who else is preloaded.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "power_cut.h"

enum how { NOTHING, FAIL, SHORT, BEFORE, AFTER, CUT };

static struct {
	long at;
	enum how how;
	int error;
	enum cut cut;
	int on;
	int log;
} plan = {.log = -1};

static atomic_long count;

__attribute__((constructor)) static void read_plan(void)
{
	const char *log = getenv("ICP_SHIM_LOG");
	const char *at = getenv("ICP_SHIM_AT");
	const char *how = getenv("ICP_SHIM_DO");
	const char *on = getenv("ICP_SHIM_ON");
	if (log != NULL) {
		plan.log = (int)syscall(
			SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	}
	plan.at = at != NULL ? strtol(at, NULL, 10) : 0;
	plan.on = on != NULL && strcmp(on, "1") == 0;
	how = how != NULL ? how : "";
	plan.error = strcmp(how, "ENOSPC") == 0 ? ENOSPC : EIO;
	plan.how = strcmp(how, "short") == 0     ? SHORT
		   : strcmp(how, "before") == 0  ? BEFORE
		   : strcmp(how, "after") == 0   ? AFTER
		   : strncmp(how, "cut", 3) == 0 ? CUT
		   : *how != '\0'                ? FAIL
						 : NOTHING;
	plan.cut = strcmp(how, "cut-data") == 0    ? CUT_DATA
		   : strcmp(how, "cut-names") == 0 ? CUT_NAMES
						   : CUT_ALL;
}

static void end_process(void)
{
	syscall(SYS_kill, getpid(), SIGKILL);
	for (;;) {
		pause();
	}
}

/*! The power fails when all is done. */
__attribute__((destructor)) static void end(void)
{
	if (plan.how == CUT && plan.at > 0) {
		cut_power(plan.cut);
		end_process();
	}
}

static void write_down(long number, const char *call, const char *path, int fd)
{
	char link[64];
	char about[256] = "";
	char line[384];
	if (path == NULL) {
		snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
		ssize_t length = readlink(link, about, sizeof about - 1);
		about[length > 0 ? length : 0] = '\0';
		path = about;
	}
	int length = snprintf(line, sizeof line, "%ld %s %s\n", number, call, path);
	syscall(SYS_write, plan.log, line, (size_t)length);
}

/*! Counts a call; says what is to become of it. CUT: it is made, and to be remembered. */
static enum how enter(const char *call, const char *path, int fd)
{
	if (path == NULL && fd >= 0 && fd <= STDERR_FILENO) {
		return NOTHING;
	}
	int saved = errno;
	long number = atomic_fetch_add(&count, 1) + 1;
	if (plan.log >= 0) {
		write_down(number, call, path, fd);
	}
	errno = saved;
	if (plan.at == 0 || (plan.on ? number < plan.at : number != plan.at)) {
		return plan.how == CUT ? CUT : NOTHING;
	}
	if (plan.how == CUT) {
		cut_power(plan.cut);
	}
	if (plan.how == BEFORE || plan.how == CUT) {
		end_process();
	}
	if (plan.how == FAIL) {
		errno = plan.error;
	}
	return plan.how;
}

static long leave(enum how how, long result)
{
	if (how == AFTER) {
		end_process();
	}
	return result;
}

/*! Makes the call unless it has to fail. `how` is a variable: it stands here twice. */
#define PASS(how, call) ((how) == FAIL ? -1 : leave((how), (call)))

ssize_t write(int fd, const void *data, size_t size)
{
	enum how how = enter("write", NULL, fd);
	if (how == CUT) {
		cut_write(fd, size, -1);
	}
	size_t part = how == SHORT && size > 1 ? size / 2 : size;
	return PASS(how, syscall(SYS_write, fd, data, part));
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
	enum how how = enter("pwrite", NULL, fd);
	if (how == CUT) {
		cut_write(fd, size, offset);
	}
	size_t part = how == SHORT && size > 1 ? size / 2 : size;
	return PASS(how, syscall(SYS_pwrite64, fd, data, part, offset));
}

static size_t size_of(const struct iovec *parts, int number)
{
	size_t all = 0;
	for (int i = 0; i < number; i++) {
		all += parts[i].iov_len;
	}
	return all;
}

/*! Half of what a vector holds, and at least one octet, as a write of one buffer. */
static ssize_t write_half(int fd, const struct iovec *parts, int number, off_t offset)
{
	size_t all = size_of(parts, number);
	char *buffer = malloc(all + 1);
	if (buffer == NULL) {
		abort();
	}
	size_t at = 0;
	for (int i = 0; i < number; i++) {
		memcpy(buffer + at, parts[i].iov_base, parts[i].iov_len);
		at += parts[i].iov_len;
	}
	size_t half = all > 1 ? all / 2 : all;
	ssize_t written = offset >= 0 ? syscall(SYS_pwrite64, fd, buffer, half, offset)
				      : syscall(SYS_write, fd, buffer, half);
	free(buffer);
	return written;
}

ssize_t writev(int fd, const struct iovec *parts, int number)
{
	enum how how = enter("writev", NULL, fd);
	if (how == CUT) {
		cut_write(fd, size_of(parts, number), -1);
	}
	if (how == SHORT) {
		return write_half(fd, parts, number, -1);
	}
	return PASS(how, syscall(SYS_writev, fd, parts, number));
}

ssize_t pwritev(int fd, const struct iovec *parts, int number, off_t offset)
{
	enum how how = enter("pwritev", NULL, fd);
	if (how == CUT) {
		cut_write(fd, size_of(parts, number), offset);
	}
	if (how == SHORT) {
		return write_half(fd, parts, number, offset);
	}
	return PASS(how, syscall(SYS_pwritev, fd, parts, number, offset, 0));
}

int fsync(int fd)
{
	enum how how = enter("fsync", NULL, fd);
	int rc = (int)PASS(how, syscall(SYS_fsync, fd));
	if (how == CUT) {
		cut_sync(fd);
	}
	return rc;
}

int fdatasync(int fd)
{
	enum how how = enter("fdatasync", NULL, fd);
	int rc = (int)PASS(how, syscall(SYS_fdatasync, fd));
	if (how == CUT) {
		cut_sync(fd);
	}
	return rc;
}

int msync(void *address, size_t length, int flags)
{
	enum how how = enter("msync", "", -1);
	return (int)PASS(how, syscall(SYS_msync, address, length, flags));
}

int ftruncate(int fd, off_t length)
{
	enum how how = enter("ftruncate", NULL, fd);
	if (how == CUT) {
		cut_resize(fd);
	}
	return (int)PASS(how, syscall(SYS_ftruncate, fd, length));
}

int fallocate(int fd, int mode, off_t offset, off_t length)
{
	enum how how = enter("fallocate", NULL, fd);
	if (how == CUT) {
		cut_resize(fd);
	}
	return (int)PASS(how, syscall(SYS_fallocate, fd, mode, offset, length));
}

/*! This one returns the error. */
int posix_fallocate(int fd, off_t offset, off_t length)
{
	int saved = errno;
	int error = fallocate(fd, 0, offset, length) == 0 ? 0 : errno;
	errno = saved;
	return error;
}

int renameat(int from_directory, const char *from, int to_directory, const char *to)
{
	enum how how = enter("renameat", to, -1);
	if (how == CUT) {
		cut_rename(from_directory, from, to_directory, to);
	}
	return (int)PASS(how, syscall(SYS_renameat2, from_directory, from, to_directory, to, 0));
}

int rename(const char *from, const char *to)
{
	return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int linkat(int from_directory, const char *from, int to_directory, const char *to, int flags)
{
	enum how how = enter("linkat", to, -1);
	if (how == CUT) {
		cut_make(to_directory, to, 0);
	}
	return (int)PASS(how, syscall(SYS_linkat, from_directory, from, to_directory, to, flags));
}

int symlinkat(const char *target, int directory, const char *path)
{
	enum how how = enter("symlinkat", path, -1);
	if (how == CUT) {
		cut_make(directory, path, 0);
	}
	return (int)PASS(how, syscall(SYS_symlinkat, target, directory, path));
}

int symlink(const char *target, const char *path)
{
	return symlinkat(target, AT_FDCWD, path);
}

int unlinkat(int directory, const char *path, int flags)
{
	enum how how = enter("unlinkat", path, -1);
	if (how == CUT) {
		cut_unlink(directory, path);
	}
	return (int)PASS(how, syscall(SYS_unlinkat, directory, path, flags));
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int directory, const char *path, mode_t mode)
{
	enum how how = enter("mkdirat", path, -1);
	if (how == CUT) {
		cut_make(directory, path, 1);
	}
	return (int)PASS(how, syscall(SYS_mkdirat, directory, path, mode));
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

int fchmod(int fd, mode_t mode)
{
	enum how how = enter("fchmod", NULL, fd);
	return (int)PASS(how, syscall(SYS_fchmod, fd, mode));
}

int flock(int fd, int operation)
{
	enum how how = enter("flock", NULL, fd);
	return (int)PASS(how, syscall(SYS_flock, fd, operation));
}

/*! Only a call that may make a file counts. */
static int open_at(int directory, const char *path, int flags, mode_t mode)
{
	enum how how = (flags & O_CREAT) != 0 ? enter("openat", path, -1) : NOTHING;
	if (how == CUT) {
		cut_make(directory, path, 0);
	}
	return (int)PASS(how, syscall(SYS_openat, directory, path, flags, mode));
}

static mode_t mode_of(int flags, va_list arguments)
{
	int has_mode = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
	return has_mode ? va_arg(arguments, mode_t) : 0;
}

int open(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_at(directory, path, flags, mode);
}

/*! Memory that no file stands behind does not count. */
void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	enum how how = fd >= 0 ? enter("mmap", NULL, fd) : NOTHING;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr) */
	return (void *)PASS(how, syscall(SYS_mmap, address, length, protection, flags, fd, offset));
}

/* On 64-bit machines the names for large files mean the same. */

ssize_t pwrite64(int fd, const void *data, size_t size, off_t offset)
{
	return pwrite(fd, data, size, offset);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int number, off_t offset)
{
	return pwritev(fd, parts, number, offset);
}

int ftruncate64(int fd, off_t length)
{
	return ftruncate(fd, length);
}

int fallocate64(int fd, int mode, off_t offset, off_t length)
{
	return fallocate(fd, mode, offset, length);
}

int posix_fallocate64(int fd, off_t offset, off_t length)
{
	return posix_fallocate(fd, offset, length);
}

int open64(const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_at(AT_FDCWD, path, flags, mode);
}

int openat64(int directory, const char *path, int flags, ...)
{
	va_list arguments;
	va_start(arguments, flags);
	mode_t mode = mode_of(flags, arguments);
	va_end(arguments);
	return open_at(directory, path, flags, mode);
}

void *mmap64(void *address, size_t length, int protection, int flags, int fd, off_t offset)
{
	return mmap(address, length, protection, flags, fd, offset);
}

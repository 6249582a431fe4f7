/* SPDX-License-Identifier: BSD-3-Clause */
#include "power_cut.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum kind { CONTENT, MADE_FILE, MADE_DIRECTORY, RENAMED, UNLINKED };

/*! A name in a directory. */
typedef struct {
	int directory; /*!< O_PATH. */
	char name[256];
} place_t;

/*! What has to be done to take back one call. */
typedef struct change {
	struct change *before;
	enum kind kind;
	dev_t device; /*!< Of what has to be synced: the file, or the directory. */
	ino_t inode;
	/* CONTENT */
	int file;
	off_t size;
	off_t offset;
	size_t length;
	char *octets;
	/* The others. */
	place_t place;
	place_t other;    /*!< RENAMED: where to. UNLINKED: where it is kept. */
	char target[256]; /*!< RENAMED: the link that stood there. */
} change_t;

static change_t *last;
static unsigned kept;

static void *checked(void *memory)
{
	return memory != NULL ? memory : (abort(), NULL);
}

static change_t *add(enum kind kind, int of)
{
	struct stat st;
	change_t *change = checked(calloc(1, sizeof *change));
	if (fstat(of, &st) != 0) {
		abort();
	}
	change->before = last;
	change->kind = kind;
	change->device = st.st_dev;
	change->inode = st.st_ino;
	last = change;
	return change;
}

static void find_place(place_t *place, int directory, const char *path)
{
	char parent[4096];
	const char *slash = strrchr(path, '/');
	size_t length = slash != NULL ? (size_t)(slash - path) + 1 : 0;
	snprintf(parent, sizeof parent, "%.*s", (int)length, path);
	snprintf(place->name, sizeof place->name, "%s", path + length);
	place->directory = (int)syscall(SYS_openat, directory, length > 0 ? parent : ".",
		O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
}

static int is_there(const place_t *place)
{
	struct stat st;
	return fstatat(place->directory, place->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void add_content(int fd, off_t offset, size_t length)
{
	struct stat st;
	char path[64];
	int saved = errno;
	int flags = fcntl(fd, F_GETFL);
	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode) || (length > 0 && (flags & O_DSYNC) != 0)) {
		errno = saved;
		return;
	}
	change_t *change = add(CONTENT, fd);
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	change->file = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
	change->size = st.st_size;
	change->offset = offset >= 0 ? offset : lseek(fd, 0, SEEK_CUR);
	change->octets = checked(malloc(length + 1));
	ssize_t got = pread(change->file, change->octets, length, change->offset);
	change->length = got > 0 ? (size_t)got : 0;
	errno = saved;
}

void cut_write(int fd, size_t size, off_t offset)
{
	add_content(fd, offset, size);
}

void cut_resize(int fd)
{
	struct stat st;
	/* All of it: a call that makes it shorter takes the end away. */
	add_content(fd, 0, fstat(fd, &st) == 0 ? (size_t)st.st_size : 0);
}

void cut_make(int directory, const char *path, int is_directory)
{
	int saved = errno;
	place_t place;
	find_place(&place, directory, path);
	if (place.directory >= 0 && !is_there(&place)) {
		add(is_directory ? MADE_DIRECTORY : MADE_FILE, place.directory)->place = place;
	}
	errno = saved;
}

void cut_rename(int from_directory, const char *from, int to_directory, const char *to)
{
	int saved = errno;
	place_t place;
	place_t other;
	find_place(&place, from_directory, from);
	find_place(&other, to_directory, to);
	if (is_there(&place)) {
		change_t *change = add(RENAMED, other.directory);
		change->place = place;
		change->other = other;
		/* Files are never replaced here, and would be lost. */
		if (readlinkat(other.directory, other.name, change->target,
			    sizeof change->target - 1) < 0 &&
			is_there(&other)) {
			abort();
		}
	}
	errno = saved;
}

void cut_unlink(int directory, const char *path)
{
	int saved = errno;
	place_t place;
	find_place(&place, directory, path);
	if (is_there(&place)) {
		change_t *change = add(UNLINKED, place.directory);
		change->place = place;
		change->other = place;
		snprintf(change->other.name, sizeof change->other.name, ".cut-%u", kept++);
		if (syscall(SYS_linkat, place.directory, place.name, place.directory,
			    change->other.name, 0) != 0) {
			abort();
		}
	}
	errno = saved;
}

static void forget(const change_t *change)
{
	if (change->kind == UNLINKED) {
		syscall(SYS_unlinkat, change->other.directory, change->other.name, 0);
	}
}

void cut_sync(int fd)
{
	struct stat st;
	int saved = errno;
	if (fstat(fd, &st) == 0) {
		for (change_t **at = &last; *at != NULL;) {
			change_t *change = *at;
			if (change->device == st.st_dev && change->inode == st.st_ino) {
				forget(change);
				*at = change->before;
			} else {
				at = &change->before;
			}
		}
	}
	errno = saved;
}

static void take_back(const change_t *change)
{
	const place_t *place = &change->place;
	const place_t *other = &change->other;
	switch (change->kind) {
	case CONTENT:
		if (syscall(SYS_pwrite64, change->file, change->octets, change->length,
			    change->offset) != (long)change->length ||
			syscall(SYS_ftruncate, change->file, change->size) != 0) {
			abort();
		}
		break;
	case MADE_FILE:
		syscall(SYS_unlinkat, place->directory, place->name, 0);
		break;
	case MADE_DIRECTORY:
		syscall(SYS_unlinkat, place->directory, place->name, AT_REMOVEDIR);
		break;
	case RENAMED:
		syscall(SYS_renameat2, other->directory, other->name, place->directory, place->name,
			0);
		if (change->target[0] != '\0') {
			syscall(SYS_symlinkat, change->target, other->directory, other->name);
		}
		break;
	case UNLINKED:
		syscall(SYS_renameat2, other->directory, other->name, place->directory, place->name,
			0);
		break;
	}
}

void cut_power(enum cut what)
{
	for (const change_t *change = last; change != NULL; change = change->before) {
		if (what == CUT_ALL || (what == CUT_DATA) == (change->kind == CONTENT)) {
			take_back(change);
		} else {
			forget(change);
		}
	}
}

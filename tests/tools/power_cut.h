/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Power cuts, for fail_shim.c: remembers what was changed in files and directories and not brought
 * to the disk yet, and takes it back. A file's content is on the disk after its fsync, a name after
 * that of its directory; nothing is earlier, which is less than most file systems promise. What is
 * written through a map is not seen.
 *
 * Each function is called before the call that it is named after. One thread.
 */
#pragma once

#include <sys/types.h>

enum cut { CUT_ALL, CUT_DATA, CUT_NAMES };

/*! offset < 0: the file's own. */
void cut_write(int fd, size_t size, off_t offset);

/*! Also for a call that only enlarges it. */
void cut_resize(int fd);

/*! A file, a symbolic link or a directory will be made, if it is not there. */
void cut_make(int directory, const char *path, int is_directory);

void cut_rename(int from_directory, const char *from, int to_directory, const char *to);

void cut_unlink(int directory, const char *path);

void cut_sync(int fd);

/*! Takes back what is not on the disk: all of it, or contents alone, or names alone. */
void cut_power(enum cut what);

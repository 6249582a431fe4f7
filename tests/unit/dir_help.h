/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A directory of a test's own, and files in it.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <ftw.h>
#include <unistd.h>

#define DIR_MAX 200 /*!< Octets of its path, with the NUL. */

/*! Makes a directory, in TMPDIR if that is set, whose name says what it is for. */
static inline void make_dir(char dir[DIR_MAX], const char *what)
{
	const char *base = getenv("TMPDIR");
	snprintf(dir, DIR_MAX, "%s/icpgate-%s-XXXXXX", base != NULL ? base : "/tmp", what);
	assert_non_null(mkdtemp(dir));
}

static inline int remove_one(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)type;
	(void)place;
	return remove(path);
}

/*! Removes a directory with all that is in it. Returns 0 when it is gone. */
static inline int remove_dir(const char *dir)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline void write_octets(const char *path, const void *octets, size_t length)
{
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(octets, 1, length, file), length);
	assert_int_equal(fclose(file), 0);
}

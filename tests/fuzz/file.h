/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * For harnesses of what reads files and tells operators what is wrong with them.
 */
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include "core/text.h"
#include "tests/fuzz/fuzz.h"

/*! \brief The path of a file in memory that holds these octets, until the next call. */
static inline const char *file_of(const uint8_t *data, size_t size)
{
	static char path[32];
	static int file = -1;
	if (file < 0) {
		file = memfd_create("input", MFD_CLOEXEC);
		snprintf(path, sizeof path, "/proc/self/fd/%d", file);
	}
	must(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size,
		"a file can be written");
	return path;
}

/*! \brief True for what a terminal shows as one line, and nothing else happens. */
static inline bool is_line(const char *text)
{
	size_t length = strlen(text);
	return length > 0 && icp_text_is_utf8(text, length) && !icp_text_has_control(text, length);
}

/*! \brief Aborts unless it names the file and then says what is wrong with it, on one line. */
static inline void must_tell(const char *text, const char *path)
{
	size_t length = strlen(path);
	must(is_line(text) && strncmp(text, path, length) == 0 && text[length] == ':' &&
			text[length + 1] != '\0',
		"an operator is told what is wrong with which file");
}

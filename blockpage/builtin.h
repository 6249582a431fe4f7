/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The files of blockpage/templates/, built into the program by blockpage/embed.
 */
#pragma once

#include <stddef.h>

typedef struct {
	const char *name; /*!< Of the file, without its directory. */
	const char *text;
	size_t length;
} icp_builtin_t;

/*! All of them; a NULL name at the end. */
extern const icp_builtin_t icp_builtins[];

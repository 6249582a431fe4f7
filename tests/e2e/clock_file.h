/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the preloaded clocks share: the seconds that the file ICP_CLOCK holds as an int64_t. A test
 * writes them while the process runs.
 */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const volatile int64_t *clock_seconds;

__attribute__((constructor)) static void map_clock(void)
{
	const char *path = getenv("ICP_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *clock_seconds, PROT_READ, MAP_SHARED, fd, 0)
			    : MAP_FAILED;
	if (map == MAP_FAILED) {
		perror("ICP_CLOCK");
		abort();
	}
	(void)close(fd);
	clock_seconds = map;
}

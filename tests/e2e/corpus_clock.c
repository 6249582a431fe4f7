/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that stops the clock of a process: it shows the seconds that the file
 * ICP_CLOCK holds as an int64_t, until a test writes others. So several resolvers count the same
 * seconds, and their caches age alike. Timers do not notice: they go by the monotonic clock.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *shown;

__attribute__((constructor)) static void map_clock(void)
{
	const char *path = getenv("ICP_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *shown, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED) {
		perror("ICP_CLOCK");
		abort();
	}
	(void)close(fd);
	shown = map;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	*tv = (struct timeval){.tv_sec = *shown};
	return 0;
}

time_t time(time_t *out)
{
	if (out != NULL) {
		*out = *shown;
	}
	return *shown;
}

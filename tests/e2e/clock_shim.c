/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that sets the clock of a process forward, by the seconds that the file
 * ICP_CLOCK holds as an int64_t. A test writes them while the process runs. Timers do not notice:
 * they go by the monotonic clock.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *ahead;

__attribute__((constructor)) static void map_clock(void)
{
	const char *path = getenv("ICP_CLOCK");
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd >= 0 ? mmap(NULL, sizeof *ahead, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
	if (map == MAP_FAILED) {
		perror("ICP_CLOCK");
		abort();
	}
	(void)close(fd);
	ahead = map;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec + *ahead;
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timeval now;
	(void)gettimeofday(&now, NULL);
	if (out != NULL) {
		*out = now.tv_sec;
	}
	return now.tv_sec;
}

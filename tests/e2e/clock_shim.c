/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that sets the clock of a process forward, by the seconds of
 * clock_file.h. Timers do not notice: they go by the monotonic clock.
 */
#include <sys/time.h>
#include <time.h>

#include "clock_file.h"

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec + *clock_seconds;
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

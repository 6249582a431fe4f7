/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that stops the clock of a process: it shows the seconds of clock_file.h,
 * until a test writes others. So several resolvers count the same seconds, and their caches age
 * alike. Timers do not notice: they go by the monotonic clock.
 */
#include <sys/time.h>
#include <time.h>

#include "clock_file.h"

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	(void)zone;
	*tv = (struct timeval){.tv_sec = *clock_seconds};
	return 0;
}

time_t time(time_t *out)
{
	if (out != NULL) {
		*out = *clock_seconds;
	}
	return *clock_seconds;
}

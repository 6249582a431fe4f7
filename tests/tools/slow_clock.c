/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A preloaded library that makes the monotonic clock of a process go by looks at it: each is
 * ICP_CLOCK_LOOK milliseconds after the one before it, and what really passed counts for one part
 * of ICP_CLOCK_SLOWER. So a test says how long things take, whatever the machine.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL

static int64_t begun, passed, look, slower;

static int64_t setting(const char *name)
{
	const char *text = getenv(name);
	return text != NULL ? strtoll(text, NULL, 10) : 1;
}

static int64_t read_clock(clockid_t id, struct timespec *time)
{
	(void)syscall(SYS_clock_gettime, id, time);
	return time->tv_sec * SECOND + time->tv_nsec;
}

int clock_gettime(clockid_t id, struct timespec *time)
{
	int64_t now = read_clock(id, time);
	if (id != CLOCK_MONOTONIC && id != CLOCK_MONOTONIC_COARSE) {
		return 0;
	}
	if (begun == 0) {
		begun = now;
		look = setting("ICP_CLOCK_LOOK") * 1000000;
		slower = setting("ICP_CLOCK_SLOWER");
	}
	passed += look;
	now = begun + (now - begun) / slower + passed;
	time->tv_sec = now / SECOND;
	time->tv_nsec = now % SECOND;
	return 0;
}

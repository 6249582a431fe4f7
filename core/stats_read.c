/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/stats_file.h"
#include "core/time.h"

#define PATIENCE 500     /*!< Milliseconds in all, for a resolver that is about to write. */
#define TRIES 100        /*!< For one that starts, or has a new generation. */
#define PAUSE_NS 1000000 /*!< Between two tries. */
#define QUICK_PATIENCE 20
#define QUICK_TRIES 10

/*! A file being read. */
typedef struct {
	int fd;
	char *path;
	icp_diag_t *diag;
	icp_stats_head_t head;
	icp_stats_turn_t turn;
	icp_top_set_t *sets; /*!< Room for one of each seat. */
	bool domains;        /*!< The list of them is wanted. */
	unsigned patience;   /*!< With threads in the midst of a change, see top.h. */
	unsigned patience_max;
	unsigned tries_max;
} source_t;

static int truncated(const source_t *source)
{
	return icp_fail(source->diag, ICP_EDAMAGED, "%s: truncated", source->path);
}

/*! Octets of the file, read and not mapped: it may be truncated meanwhile. */
static int fetch(void *context, off_t at, void *out, size_t length)
{
	const source_t *source = context;
	char *next = out;
	while (length > 0) {
		ssize_t done = pread(source->fd, next, length, at);
		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done < 0) {
			return icp_fail(
				source->diag, ICP_ESYS, "%s: %s", source->path, strerror(errno));
		}
		if (done == 0) {
			return truncated(source);
		}
		next += done;
		at += done;
		length -= (size_t)done;
	}
	return ICP_EOK;
}

static int damaged(const source_t *source, const char *what, uint64_t value)
{
	return icp_fail(
		source->diag, ICP_EDAMAGED, "%s: damaged: %s %" PRIu64, source->path, what, value);
}

static int none_counted(const char *store, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOSTORE,
		"%s/" ICP_STATS_FILE ": no resolver has counted in this store", store);
}

static int open_source(source_t *source, const char *store)
{
	struct stat st;
	source->fd = open(source->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (source->fd < 0 && errno == ENOENT) {
		return none_counted(store, source->diag);
	}
	if (source->fd < 0 || fstat(source->fd, &st) != 0) {
		return icp_fail(source->diag, ICP_ESYS, "%s: %s", source->path, strerror(errno));
	}
	if (!S_ISREG(st.st_mode)) {
		return icp_fail(source->diag, ICP_ESYS, "%s: not a regular file", source->path);
	}
	return st.st_size == 0 ? none_counted(store, source->diag) : ICP_EOK;
}

/*! True while somebody holds the writer's lock. */
static bool is_counting(const source_t *source)
{
	struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET};
	return fcntl(source->fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

static int check_head(const source_t *source)
{
	const icp_stats_head_t *head = &source->head;
	if (memcmp(head->magic, ICP_STATS_MAGIC, sizeof head->magic) != 0) {
		/* A resolver that starts writes the head last. */
		return is_counting(source)
			       ? ICP_EBUSY
			       : icp_fail(source->diag, ICP_EDAMAGED,
					 "%s: not a file of statistics, or not finished",
					 source->path);
	}
	if (head->format != ICP_STATS_FORMAT || head->area_size != sizeof(icp_stats_area_t) ||
		head->counters != ICP_STATS_COUNTERS) {
		return icp_fail(source->diag, ICP_EVERSION,
			"%s: written by another version of the resolver's module: format %" PRIu32
			", %" PRIu32 " counters",
			source->path, head->format, head->counters);
	}
	if (head->seats == 0 || head->seats > ICP_STATS_SEATS_MAX) {
		return damaged(source, "threads", head->seats);
	}
	if (head->mode != ICP_MODE_ENFORCE && head->mode != ICP_MODE_MONITOR) {
		return damaged(source, "mode", head->mode);
	}
	struct stat st;
	return fstat(source->fd, &st) != 0 || st.st_size < (off_t)icp_stats_size(head->seats)
		       ? truncated(source)
		       : ICP_EOK;
}

/*! Reads head and turn. */
static int read_head(source_t *source)
{
	int ret = fetch(source, 0, &source->head, sizeof source->head);
	if (ret != ICP_EOK || (ret = check_head(source)) != ICP_EOK) {
		return ret;
	}
	ret = fetch(source, offsetof(icp_stats_file_t, turn), &source->turn, sizeof source->turn);
	return ret == ICP_EOK && atomic_load(&source->turn.sequence) % 2 != 0 ? ICP_EBUSY : ret;
}

static off_t area_at(size_t seat)
{
	return (off_t)icp_stats_size(seat);
}

static int read_counters(source_t *source, icp_stats_snapshot_t *snapshot)
{
	uint64_t sums[ICP_STATS_COUNTERS] = {0};
	uint64_t counters[ICP_STATS_COUNTERS];
	for (size_t seat = 0; seat < source->head.seats; seat++) {
		int ret = fetch(source, area_at(seat) + (off_t)offsetof(icp_stats_area_t, counters),
			counters, sizeof counters);
		if (ret != ICP_EOK) {
			return ret;
		}
		for (size_t i = 0; i < sizeof counters / sizeof *counters; i++) {
			if (counters[i] > ICP_TOP_COUNT_MAX) {
				return damaged(source, "count", counters[i]);
			}
			sums[i] += counters[i];
		}
	}
	memcpy(snapshot->judged, sums, sizeof snapshot->judged);
	memcpy(snapshot->counts, sums + ICP_STATS_JUDGED, sizeof snapshot->counts);
	memcpy(snapshot->latency, sums + ICP_STATS_LATENCY, sizeof snapshot->latency);
	snapshot->latency_sum = sums[ICP_STATS_LATENCY_SUM];
	return ICP_EOK;
}

/*! Merges one set of all seats. */
static int read_set(source_t *source, size_t index, icp_stats_snapshot_t *snapshot)
{
	size_t count = 0;
	for (size_t seat = 0; seat < source->head.seats; seat++) {
		off_t at = area_at(seat) + (off_t)offsetof(icp_stats_area_t, top.sets) +
			   (off_t)(index * sizeof(icp_top_set_t));
		int ret = icp_top_copy(&source->sets[count], fetch, source, at, &source->patience);
		if (ret == ICP_EOK) {
			count++;
		} else if (ret == ICP_EBUSY) {
			snapshot->left_out++;
		} else {
			return ret;
		}
	}
	int ret = icp_top_merge(
		&snapshot->top, source->sets, count, index, atomic_load(&source->turn.sequence));
	return ret == ICP_EDAMAGED ? damaged(source, "list of domains, set", index) : ret;
}

static int read_content(source_t *source, icp_stats_snapshot_t *snapshot)
{
	snapshot->mode = source->head.mode;
	snapshot->seats = source->head.seats;
	snapshot->started = source->head.started;
	snapshot->generation = atomic_load(&source->turn.generation);
	int64_t no_index_since = atomic_load(&source->turn.no_index_since);
	snapshot->no_index_since = no_index_since != 0 ? no_index_since : ICP_TIME_NONE;
	snapshot->since =
		snapshot->generation != 0 ? atomic_load(&source->turn.since) : ICP_TIME_NONE;
	if (snapshot->generation > ICP_TOP_COUNT_MAX) {
		return damaged(source, "generation", snapshot->generation);
	}
	int ret = read_counters(source, snapshot);
	size_t sets = source->domains ? ICP_TOP_SETS : 0;
	for (size_t index = 0; index < sets && ret == ICP_EOK; index++) {
		ret = read_set(source, index, snapshot);
	}
	return ret;
}

/*! Reads the whole; ICP_EBUSY if it was not all of one resolver and one turn. */
static int read_once(source_t *source, icp_stats_snapshot_t *snapshot)
{
	int ret = read_head(source);
	if (ret != ICP_EOK) {
		return ret;
	}
	const icp_stats_head_t head = source->head;
	uint64_t turn = atomic_load(&source->turn.sequence);
	icp_top_set_t *sets = realloc(source->sets, head.seats * sizeof *sets);
	if (sets == NULL) {
		return ICP_ENOMEM;
	}
	source->sets = sets;
	int content = read_content(source, snapshot);
	ret = read_head(source);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (memcmp(&head, &source->head, sizeof head) != 0 ||
		turn != atomic_load(&source->turn.sequence)) {
		return ICP_EBUSY;
	}
	return content;
}

static int read_source(source_t *source, const char *store, icp_stats_snapshot_t *snapshot)
{
	int ret = open_source(source, store);
	if (ret != ICP_EOK) {
		return ret;
	}
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	for (unsigned tries = 0; tries < source->tries_max; tries++) {
		icp_stats_snapshot_deinit(snapshot);
		snapshot->counting = is_counting(source);
		source->patience = snapshot->counting ? source->patience_max : 0;
		ret = read_once(source, snapshot);
		if (ret != ICP_EBUSY) {
			break;
		}
		nanosleep(&pause, NULL);
	}
	if (ret == ICP_EBUSY) {
		icp_fail(source->diag, ret, "%s: a resolver is changing it; try again",
			source->path);
	} else if (ret == ICP_ENOMEM) {
		icp_fail(source->diag, ret, "%s: out of memory", source->path);
	}
	return ret;
}

/*! Takes a source that says how long to wait; frees what it holds. */
static int read_stats(source_t *source, const char *store, icp_stats_snapshot_t *snapshot)
{
	*snapshot = (icp_stats_snapshot_t){.counting = false};
	if (asprintf(&source->path, "%s/" ICP_STATS_FILE, store) < 0) {
		return icp_fail(source->diag, ICP_ENOMEM, "%s: out of memory", store);
	}
	int ret = read_source(source, store, snapshot);
	if (ret == ICP_EOK) {
		icp_top_sort(&snapshot->top);
	} else {
		icp_stats_snapshot_deinit(snapshot);
	}
	if (source->fd >= 0) {
		close(source->fd);
	}
	free(source->path);
	free(source->sets);
	return ret;
}

int icp_stats_read(icp_stats_snapshot_t *snapshot, const char *store, icp_diag_t *diag)
{
	source_t source = {
		.fd = -1,
		.diag = diag,
		.domains = true,
		.patience_max = PATIENCE,
		.tries_max = TRIES,
	};
	return read_stats(&source, store, snapshot);
}

int icp_stats_read_quickly(
	icp_stats_snapshot_t *snapshot, const char *store, bool domains, icp_diag_t *diag)
{
	source_t source = {
		.fd = -1,
		.diag = diag,
		.domains = domains,
		.patience_max = QUICK_PATIENCE,
		.tries_max = QUICK_TRIES,
	};
	return read_stats(&source, store, snapshot);
}

void icp_stats_snapshot_deinit(icp_stats_snapshot_t *snapshot)
{
	icp_top_deinit(&snapshot->top);
	*snapshot = (icp_stats_snapshot_t){.counting = false};
}

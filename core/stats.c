/* SPDX-License-Identifier: BSD-3-Clause */
#define XXH_INLINE_ALL
#include "core/stats.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "core/fault.h"
#include "core/stats_file.h"
#include "core/suffix.h"

#define CACHE_LINE 64
#define MEMO_SLOTS 32768 /*!< Power of two. */
#define MEMO_LABELS UINT64_C(0xff)
#define PATH_ROOM 4096

static const struct {
	const char *key;
	const char *title;
} stat_names[ICP_STAT_COUNT] = {
#define STAT_NAMES(constant, key, title) [ICP_STAT_##constant] = {key, title},
	ICP_STAT_TABLE(STAT_NAMES)
#undef STAT_NAMES
};

static const uint64_t latency_bounds[] = ICP_LATENCY_BOUNDS;

_Static_assert(sizeof latency_bounds / sizeof *latency_bounds == ICP_LATENCY_CLASSES - 1,
	"one class more than bounds");

/*! What only the seat's thread sees. */
typedef struct {
	_Alignas(CACHE_LINE) icp_stats_area_t *area;
	uint64_t turn;
	uint64_t generation;
	unsigned untimed; /*!< Judgements until one is to be timed. */
	/*! Registrable domains of names asked for lately: the name's hash, and in place of its
	 * lowest octet the labels. Looking up suffixes takes as long as all else together. */
	uint64_t memo[MEMO_SLOTS];
} seat_t;

struct icp_stats {
	icp_stats_file_t *map;
	size_t size;
	int fd; /*!< Holds the lock; -1: counts in memory. */
	icp_suffix_t *suffixes;
	seat_t *seats;
	pthread_mutex_t lock;  /*!< Guards the change of what follows. */
	_Atomic uint64_t turn; /*!< As in the file, which others might change. */
	uint64_t generation;
};

uint64_t icp_latency_bound(unsigned number)
{
	return number < ICP_LATENCY_CLASSES - 1 ? latency_bounds[number] : 0;
}

const char *icp_stat_key(enum icp_stat stat)
{
	return stat_names[stat].key;
}

const char *icp_stat_title(enum icp_stat stat)
{
	return stat_names[stat].title;
}

static int write_all(int fd, const void *octets, size_t length, off_t at)
{
	const char *next = octets;
	while (length > 0) {
		ssize_t done = pwrite(fd, next, length, at);
		if (done < 0 && errno == EINTR) {
			continue;
		}
		if (done <= 0) {
			return ICP_ESYS;
		}
		next += done;
		at += done;
		length -= (size_t)done;
	}
	return ICP_EOK;
}

/*! Writes every block, since a mapped one that is not there would have to be found on a full disk.
 * The head comes last: until then the file is not valid. */
static int write_file(int fd, size_t size, const icp_stats_head_t *head)
{
	static const char zeros[16 * ICP_STATS_PAGE];
	int ret = ICP_EOK;
	for (size_t at = 0; at < size && ret == ICP_EOK; at += sizeof zeros) {
		size_t length = size - at < sizeof zeros ? size - at : sizeof zeros;
		ret = write_all(fd, zeros, length, (off_t)at);
	}
	return ret == ICP_EOK ? write_all(fd, head, sizeof *head, 0) : ret;
}

/*! The lock of the open file, which goes with it, also when the process is killed. */
static int take_lock(int fd)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	return fcntl(fd, F_OFD_SETLK, &lock);
}

/*! Makes the file, or opens the one that is there. */
static int open_file(const char *path, bool *made)
{
	const int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
	int fd = open(path, flags | O_CREAT | O_EXCL, 0644);
	*made = fd >= 0;
	/* The process's umask may have taken bits away. */
	if (fd >= 0 && fchmod(fd, 0644) != 0) {
		errno = 0;
	}
	return fd < 0 && errno == EEXIST ? open(path, flags) : fd;
}

/*! Locks, fills and maps an open file. Returns what is wrong, or NULL. */
static const char *take_file(icp_stats_t *stats, int fd, const icp_stats_head_t *head)
{
	struct stat st;
	if (fstat(fd, &st) != 0) {
		return strerror(errno);
	}
	if (!S_ISREG(st.st_mode)) {
		return "not a regular file";
	}
	if (take_lock(fd) != 0) {
		return errno == EAGAIN ? "another resolver counts there" : strerror(errno);
	}
	if (write_file(fd, stats->size, head) != ICP_EOK) {
		const char *why = strerror(errno);
		/* What it took of a full disk is of better use to others. */
		if (ftruncate(fd, st.st_size) != 0) {
			errno = 0;
		}
		return why;
	}
	void *map =
		mmap(NULL, stats->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED) {
		return strerror(errno);
	}
	stats->map = map;
	stats->fd = fd;
	return NULL;
}

/*! Counts in the file from here on; or else not, and the diagnostic says why. */
static void use_file(
	icp_stats_t *stats, const char *store, const icp_stats_head_t *head, icp_diag_t *diag)
{
	char path[PATH_ROOM];
	bool made = false;
	int fd = -1;
	const char *why = "name too long";
	if ((size_t)snprintf(path, sizeof path, "%s/" ICP_STATS_FILE, store) < sizeof path) {
		fd = open_file(path, &made);
		why = fd < 0 ? strerror(errno) : take_file(stats, fd, head);
	}
	if (why == NULL) {
		return;
	}
	icp_fail(diag, ICP_ESYS, "%s/" ICP_STATS_FILE ": %s; counting in memory only", store, why);
	if (made) {
		unlink(path);
	}
	if (fd >= 0) {
		close(fd);
	}
}

static int make_seats(icp_stats_t *stats, unsigned count)
{
	stats->seats = aligned_alloc(CACHE_LINE, count * sizeof *stats->seats);
	if (stats->seats == NULL) {
		return ICP_ENOMEM;
	}
	memset(stats->seats, 0, count * sizeof *stats->seats);
	for (unsigned i = 0; i < count; i++) {
		stats->seats[i].area = &stats->map->areas[i];
	}
	return ICP_EOK;
}

int icp_stats_open(icp_stats_t **stats, const char *store, enum icp_mode mode, unsigned seats,
	int64_t now, icp_diag_t *diag)
{
	const icp_stats_head_t head = {
		.magic = {'i', 'c', 'p', 's', 't', 'a', 't', 's'},
		.format = ICP_STATS_FORMAT,
		.seats = seats,
		.counters = ICP_STATS_COUNTERS,
		.mode = mode,
		.area_size = sizeof(icp_stats_area_t),
		.started = now,
	};
	diag->text[0] = '\0';
	if (seats == 0 || seats > ICP_STATS_SEATS_MAX) {
		return icp_fail(diag, ICP_EINVAL, "%u threads can't be counted; 1 to %d can", seats,
			ICP_STATS_SEATS_MAX);
	}
	icp_stats_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	new->fd = -1;
	new->size = icp_stats_size(seats);
	pthread_mutex_init(&new->lock, NULL);
	use_file(new, store, &head, diag);
	if (new->map == NULL) {
		void *map = mmap(NULL, new->size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		new->map = map != MAP_FAILED ? map : NULL;
	}
	new->suffixes = icp_suffix_create();
	if (new->map == NULL || new->suffixes == NULL || make_seats(new, seats) != ICP_EOK) {
		icp_stats_close(new);
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	/* A page that was evicted would have to be read again in the midst of a query. A wish: the
	 * limit of what may be locked can be low. */
	if (mlock(new->map, new->size) != 0) {
		errno = 0;
	}
	*stats = new;
	return ICP_EOK;
}

void icp_stats_close(icp_stats_t *stats)
{
	if (stats == NULL) {
		return;
	}
	if (stats->map != NULL) {
		munmap(stats->map, stats->size);
	}
	if (stats->fd >= 0) {
		close(stats->fd);
	}
	icp_suffix_destroy(stats->suffixes);
	pthread_mutex_destroy(&stats->lock);
	free(stats->seats);
	free(stats);
}

/*! One thread writes a counter, others read it. */
static inline void add(_Atomic uint64_t *counter, uint64_t number)
{
	uint64_t value = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, value + number, memory_order_relaxed);
}

/*! Says in the file which turn is the current one. */
static void publish_turn(icp_stats_turn_t *turn, uint64_t number, uint64_t generation, int64_t now)
{
	atomic_store_explicit(&turn->sequence, number - 1, memory_order_relaxed);
	atomic_store_explicit(&turn->generation, generation, memory_order_release);
	atomic_store_explicit(&turn->since, now, memory_order_release);
	atomic_store_explicit(&turn->sequence, number, memory_order_release);
}

/*!
 * Puts a seat into the turn of a generation, which begins now if it is not the current one. A seat
 * that lags behind can bring back the last generation for a moment; the others then see a turn that
 * is not theirs and come here too.
 */
static void join_turn(icp_stats_t *stats, seat_t *seat, uint64_t generation, int64_t now)
{
	pthread_mutex_lock(&stats->lock);
	uint64_t turn = atomic_load(&stats->turn);
	if (stats->generation != generation) {
		turn += 2;
		stats->generation = generation;
		publish_turn(&stats->map->turn, turn, generation, now);
		atomic_store(&stats->turn, turn);
	}
	seat->turn = turn;
	seat->generation = generation;
	pthread_mutex_unlock(&stats->lock);
}

/*! Says whether the index can be read. All threads look at this line; it is seldom written. */
static void note_index(icp_stats_turn_t *turn, bool found, int64_t now)
{
	int64_t since = atomic_load_explicit(&turn->no_index_since, memory_order_relaxed);
	if (found != (since == 0)) {
		atomic_store_explicit(&turn->no_index_since, found ? 0 : now, memory_order_relaxed);
	}
}

void icp_stats_judged(icp_stats_t *stats, unsigned number, const icp_judgement_t *judgement,
	uint64_t generation, int64_t now)
{
	seat_t *seat = &stats->seats[number];
	seat->untimed -= seat->untimed > 0;
	icp_fault_enter();
	add(&seat->area->counters[icp_stats_place(judgement->verdict, judgement->reason)], 1);
	if (generation != 0 || judgement->reason == ICP_REASON_NO_INDEX) {
		note_index(&stats->map->turn, generation != 0, now);
	}
	if (generation != 0 &&
		(generation != seat->generation ||
			seat->turn != atomic_load_explicit(&stats->turn, memory_order_acquire))) {
		join_turn(stats, seat, generation, now);
	}
	icp_fault_leave();
}

bool icp_stats_wants_time(const icp_stats_t *stats, unsigned seat)
{
	return stats->seats[seat].untimed == 0;
}

void icp_stats_took(icp_stats_t *stats, unsigned number, uint64_t nanoseconds)
{
	seat_t *seat = &stats->seats[number];
	_Atomic uint64_t *counters = seat->area->counters;
	unsigned class = 0;
	while (class < ICP_LATENCY_CLASSES - 1 && nanoseconds > latency_bounds[class]) {
		class ++;
	}
	seat->untimed = ICP_LATENCY_EVERY;
	icp_fault_enter();
	add(&counters[ICP_STATS_LATENCY + class], 1);
	add(&counters[ICP_STATS_LATENCY_SUM], nanoseconds);
	icp_fault_leave();
}

void icp_stats_count(icp_stats_t *stats, unsigned seat, enum icp_stat stat, uint64_t number)
{
	icp_fault_enter();
	add(&stats->seats[seat].area->counters[ICP_STATS_JUDGED + stat], number);
	icp_fault_leave();
}

/*! Labels of the domain that a name is counted for. */
static unsigned domain_of(const icp_suffix_t *suffixes, seat_t *seat, const icp_name_t *name)
{
	uint64_t hash = XXH3_64bits(name->wire, name->length);
	uint64_t *slot = &seat->memo[hash % MEMO_SLOTS];
	if ((*slot & ~MEMO_LABELS) != (hash & ~MEMO_LABELS)) {
		*slot = (hash & ~MEMO_LABELS) | icp_suffix_registrable(suffixes, name);
	}
	unsigned labels = (unsigned)(*slot & MEMO_LABELS);
	return labels > 0 && labels < name->labels ? labels : name->labels;
}

void icp_stats_blocked(icp_stats_t *stats, unsigned number, const icp_name_t *name)
{
	seat_t *seat = &stats->seats[number];
	size_t at = icp_name_suffix(name, domain_of(stats->suffixes, seat, name));
	uint64_t turn = atomic_load_explicit(&stats->turn, memory_order_acquire);
	icp_fault_enter();
	icp_top_add(&seat->area->top, turn, name->wire + at, name->length - at);
	icp_fault_leave();
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Counts, in a program that it is preloaded into, how often locks are taken and how often one had
 * to be waited for because another thread held it. The counts stand in the file that
 * ICP_LOCK_COUNTS names, one line of the cache for each thread, and may be read at any time.
 *
 * A lock is first tried; if that fails it is counted as contended and taken as it would have been.
 * Locks that are only tried by the program itself are not counted.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define THREADS 64

typedef struct {
	_Alignas(64) uint64_t taken;
	uint64_t contended;
} counts_t;

static counts_t spare[THREADS];
static counts_t *counts = spare;
static atomic_uint threads;
static _Thread_local counts_t *mine;

static int (*real_mutex_lock)(pthread_mutex_t *);
static int (*real_read_lock)(pthread_rwlock_t *);
static int (*real_write_lock)(pthread_rwlock_t *);
static int (*real_spin_lock)(pthread_spinlock_t *);

/*! dlsym gives an object pointer, which C does not turn into one to a function. */
static void find(void *function, const char *name)
{
	*(void **)function = dlsym(RTLD_NEXT, name);
}

__attribute__((constructor)) static void begin(void)
{
	find(&real_mutex_lock, "pthread_mutex_lock");
	find(&real_read_lock, "pthread_rwlock_rdlock");
	find(&real_write_lock, "pthread_rwlock_wrlock");
	find(&real_spin_lock, "pthread_spin_lock");
	const char *path = getenv("ICP_LOCK_COUNTS");
	int fd = path != NULL ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
	if (fd >= 0 && ftruncate(fd, sizeof spare) == 0) {
		void *map = mmap(NULL, sizeof spare, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		counts = map != MAP_FAILED ? map : spare;
	}
	if (fd >= 0) {
		close(fd);
	}
}

static void count(int tried)
{
	if (mine == NULL) {
		mine = &counts[atomic_fetch_add(&threads, 1) % THREADS];
	}
	mine->taken++;
	mine->contended += tried != 0;
}

int pthread_mutex_lock(pthread_mutex_t *lock)
{
	int tried = pthread_mutex_trylock(lock);
	count(tried);
	return tried == 0 ? 0 : real_mutex_lock(lock);
}

int pthread_rwlock_rdlock(pthread_rwlock_t *lock)
{
	int tried = pthread_rwlock_tryrdlock(lock);
	count(tried);
	return tried == 0 ? 0 : real_read_lock(lock);
}

int pthread_rwlock_wrlock(pthread_rwlock_t *lock)
{
	int tried = pthread_rwlock_trywrlock(lock);
	count(tried);
	return tried == 0 ? 0 : real_write_lock(lock);
}

int pthread_spin_lock(pthread_spinlock_t *lock)
{
	int tried = pthread_spin_trylock(lock);
	count(tried);
	return tried == 0 ? 0 : real_spin_lock(lock);
}

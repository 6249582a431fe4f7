/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault.h"
#include "core/owner.h"
#include "core/store_private.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "bucket keys are LMDB's native integers");

/*! Octets of a lock file: a line of the cache for each reader, and what LMDB has before them. */
#define LOCK_SIZE ((off_t)64 * (ICP_STORE_READERS + 2))

int icp_store_from_lmdb(int rc)
{
	switch (rc) {
	case MDB_SUCCESS:
		return ICP_EOK;
	case ENOMEM:
		return ICP_ENOMEM;
	case MDB_VERSION_MISMATCH:
		return ICP_EVERSION;
	case MDB_INVALID:
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case EINVAL:
		return ICP_EDAMAGED;
	default:
		return ICP_ESYS;
	}
}

bool icp_store_stat(const icp_store_t *store, struct stat *st)
{
	int fd;
	return mdb_env_get_fd(store->env, &fd) == MDB_SUCCESS && fstat(fd, st) == 0;
}

/*! Reads both meta pages of a file, as LMDB would believe whatever they say. */
static int check_meta(const char *path, icp_pages_t pages[2], icp_diag_t *diag)
{
	uint8_t octets[ICP_PAGES_META_SIZE];
	struct stat st;
	/* Opening a FIFO must not wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0) {
		return icp_fail(diag, errno == ENOENT ? ICP_ENOSTORE : ICP_ESYS, "%s: %s", path,
			strerror(errno));
	}
	int ret = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? ICP_EOK : ICP_EDAMAGED;
	for (unsigned slot = 0; slot < 2 && ret == ICP_EOK; slot++) {
		off_t at = slot == 0 ? 0 : (off_t)pages[0].page_size;
		ret = pread(fd, octets, sizeof octets, at) == (ssize_t)sizeof octets
			      ? icp_pages_meta(&pages[slot], octets, slot, (uint64_t)st.st_size)
			      : ICP_EDAMAGED;
	}
	close(fd);
	if (ret == ICP_EOK && (pages[0].page_size != pages[1].page_size ||
				      pages[0].map_size != pages[1].map_size)) {
		ret = ICP_EDAMAGED;
	}
	if (ret == ICP_EVERSION) {
		return icp_fail(diag, ret, "%s: of another version of LMDB's format", path);
	}
	return ret == ICP_EOK ? ret : icp_fail(diag, ret, "%s: not a generation, or damaged", path);
}

/*! Makes the lock file of a generation that lost it, as the loader makes it: LMDB would make it one
 * of this process's own, that others could not open. */
static int make_lock_file(int directory, const char *name, const char *data_name)
{
	int data = openat(directory, data_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (data < 0) {
		return -1;
	}
	int fd = openat(directory, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0664);
	if (fd >= 0) {
		icp_owner_give(fd, icp_owner_of(data));
		/* The process's umask may have taken bits away. */
		(void)fchmod(fd, 0664);
	}
	close(data);
	return fd;
}

/*!
 * Opens the lock file of a path's data, or makes it. The directory is opened once and no link is
 * followed, as it may be another user's, who could change what a path leads to in between.
 */
static int open_lock_file(const char *path, const char *name)
{
	const char *slash = strrchr(path, '/');
	size_t length = slash == NULL ? 0 : (size_t)(slash + 1 - path);
	/* Without the slash, or a link would be followed, but that of the root. */
	char *parent = length == 0 ? strdup(".") : strndup(path, length > 1 ? length - 1 : 1);
	if (parent == NULL) {
		return -1;
	}
	int directory = open(parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	free(parent);
	if (directory < 0) {
		return -1;
	}
	int fd = openat(directory, name + length, O_RDWR | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd < 0 && errno == ENOENT) {
		fd = make_lock_file(directory, name + length, path + length);
	}
	close(directory);
	return fd;
}

/*!
 * Gives a lock file that was cut off its size back. LMDB takes a small one that others hold for one
 * with fewer readers, also where there is not room for any, and reads beyond its end. Of zeros it
 * says that they are no lock file, or it makes a new one of them if nobody holds it. This process
 * does not hold it either, or closing the file here would give its locks away.
 */
static int mend_lock_file(const char *path, icp_diag_t *diag)
{
	char *name;
	if (asprintf(&name, "%s-lock", path) < 0) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	struct stat st;
	int ret = ICP_EOK;
	int fd = open_lock_file(path, name);
	/* If it can't be opened, or is none, LMDB will say so. */
	if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < LOCK_SIZE) {
		int error = posix_fallocate(fd, 0, LOCK_SIZE);
		if (error != 0) {
			ret = icp_fail(diag, ICP_ESYS, "%s: %s", name, strerror(error));
		}
	}
	if (fd >= 0) {
		close(fd);
	}
	free(name);
	return ret;
}

static int open_env(icp_store_t *store, const char *path, unsigned flags, icp_diag_t *diag)
{
	int fd;
	int ret = store->slotless ? ICP_EOK : mend_lock_file(path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	int rc = mdb_env_create(&store->env);
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxreaders(store->env, ICP_STORE_READERS);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxdbs(store->env, 3);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_open(store->env, path, MDB_NOSUBDIR | MDB_NOTLS | flags, 0664);
	}
	if (rc == MDB_SUCCESS) {
		/* A reader that was killed leaves its slot; those would be used up one day. */
		(void)mdb_reader_check(store->env, NULL);
		rc = mdb_env_get_fd(store->env, &fd);
	}
	if (rc != MDB_SUCCESS) {
		return icp_fail(diag, icp_store_from_lmdb(rc), "%s: %s%s", path, mdb_strerror(rc),
			rc == EACCES && !store->slotless
				? " (the lock file beside it must be writable)"
				: "");
	}
	void *map = mmap(NULL, store->map_size, PROT_READ, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED) {
		return icp_fail(diag, ICP_ESYS, "%s: no memory map: %s", path, strerror(errno));
	}
	store->map = map;
	return ICP_EOK;
}

/*! Takes a snapshot once, so that what can't be read is refused when it is opened. */
static int check_snapshot(
	icp_store_t *store, const char *path, const icp_pages_t pages[2], icp_diag_t *diag)
{
	icp_reader_t reader;
	int ret = icp_reader_init(&reader, store, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_begin(&reader);
	if (ret == ICP_EOK) {
		icp_reader_end(&reader);
	}
	icp_reader_deinit(&reader);
	if (ret == ICP_EVERSION) {
		return icp_fail(diag, ret,
			"%s: format of another version of icpgate; load a full feed again", path);
	}
	bool is_short = pages[0].count <= pages[0].last || pages[1].count <= pages[1].last;
	return ret == ICP_EOK ? ret
			      : icp_fail(diag, ret, "%s: %s", path,
					ret == ICP_EDAMAGED && is_short ? "file is truncated"
									: icp_strerror(ret));
}

static int open_file(icp_store_t **store, const char *path, unsigned flags, icp_diag_t *diag)
{
	icp_pages_t pages[2] = {{.map = NULL}, {.map = NULL}};
	int ret = check_meta(path, pages, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_store_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	atomic_init(&new->references, 1);
	pthread_mutex_init(&new->lock, NULL);
	new->map_size = pages[0].map_size;
	new->page_size = pages[0].page_size;
	new->slotless = (flags & MDB_NOLOCK) != 0;
	icp_fault_enter();
	ret = open_env(new, path, flags, diag);
	if (ret == ICP_EOK) {
		ret = check_snapshot(new, path, pages, diag);
	}
	if (icp_fault_happened()) {
		ret = icp_fail(diag, ICP_EDAMAGED, "%s: file lost pages while it was opened", path);
	}
	icp_fault_leave();
	if (ret != ICP_EOK) {
		icp_store_unref(new);
		return ret;
	}
	*store = new;
	return ICP_EOK;
}

int icp_store_open_file(icp_store_t **store, const char *path, icp_diag_t *diag)
{
	return open_file(store, path, MDB_RDONLY, diag);
}

int icp_store_open_file_slotless(icp_store_t **store, const char *path, icp_diag_t *diag)
{
	return open_file(store, path, MDB_RDONLY | MDB_NOLOCK, diag);
}

int icp_store_open_writable(icp_store_t **store, const char *path, bool sync, icp_diag_t *diag)
{
	return open_file(store, path, sync ? 0 : MDB_NOSYNC, diag);
}

MDB_env *icp_store_env(icp_store_t *store)
{
	return store->env;
}

static int open_current(
	icp_store_t **store, const char *directory, unsigned flags, icp_diag_t *diag)
{
	char *current;
	if (asprintf(&current, "%s/" ICP_STORE_CURRENT, directory) < 0) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", directory);
	}
	/* The lock file is named after the path that LMDB is given: resolve the link first. */
	char *path = realpath(current, NULL);
	int ret;
	if (path == NULL) {
		ret = errno == ENOENT
			      ? icp_fail(diag, ICP_ENOSTORE, "%s: no current generation", directory)
			      : icp_fail(diag, ICP_ESYS, "%s: %s", current, strerror(errno));
	} else {
		ret = open_file(store, path, flags, diag);
	}
	free(path);
	if (ret != ICP_EOK) {
		free(current);
		return ret;
	}
	(*store)->current = current;
	return ICP_EOK;
}

int icp_store_open(icp_store_t **store, const char *directory, icp_diag_t *diag)
{
	return open_current(store, directory, MDB_RDONLY, diag);
}

int icp_store_open_slotless(icp_store_t **store, const char *directory, icp_diag_t *diag)
{
	return open_current(store, directory, MDB_RDONLY | MDB_NOLOCK, diag);
}

icp_store_t *icp_store_ref(icp_store_t *store)
{
	atomic_fetch_add_explicit(&store->references, 1, memory_order_relaxed);
	return store;
}

void icp_store_unref(icp_store_t *store)
{
	if (store == NULL ||
		atomic_fetch_sub_explicit(&store->references, 1, memory_order_acq_rel) != 1) {
		return;
	}
	if (store->map != NULL) {
		munmap(store->map, store->map_size);
	}
	if (store->env != NULL) {
		mdb_env_close(store->env);
	}
	icp_directory_unref(store->directory);
	pthread_mutex_destroy(&store->lock);
	free(store->current);
	free(store);
}

void icp_store_spoil(icp_store_t *store)
{
	atomic_store_explicit(&store->spoilt, true, memory_order_relaxed);
}

void icp_store_read_large(icp_store_t *store, bool large)
{
	(void)madvise(store->map, store->map_size, large ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

bool icp_store_is_current(const icp_store_t *store)
{
	struct stat mine;
	struct stat now;
	if (store->current == NULL) {
		return true;
	}
	return icp_store_stat(store, &mine) && stat(store->current, &now) == 0 &&
	       mine.st_dev == now.st_dev && mine.st_ino == now.st_ino;
}

typedef struct {
	icp_readers_t *readers;
	uint64_t last; /*!< Commit. */
} reader_list_t;

/*! Takes a line of LMDB's list: process, thread, and transaction or "-". */
static int take_reader(const char *line, void *context)
{
	reader_list_t *list = context;
	char *end;
	unsigned long process = strtoul(line, &end, 10);
	const char *transaction = strrchr(line, ' ');
	if (process == 0 || end == line || transaction == NULL) {
		return 0;
	}
	list->readers->slots++;
	uint64_t number = strtoull(transaction, &end, 10);
	if (end != transaction && number > 0) {
		list->readers->held++;
		list->readers->stale += number < list->last;
	}
	return 0;
}

int icp_store_readers(icp_store_t *store, icp_readers_t *readers)
{
	MDB_envinfo info;
	reader_list_t list = {.readers = readers};
	*readers = (icp_readers_t){.slots = 0};
	int rc = mdb_env_info(store->env, &info);
	if (rc == MDB_SUCCESS) {
		list.last = info.me_last_txnid;
		rc = mdb_reader_list(store->env, take_reader, &list);
	}
	return rc < 0 ? icp_store_from_lmdb(rc) : ICP_EOK;
}

uint64_t icp_store_size(const icp_store_t *store)
{
	struct stat st;
	return icp_store_stat(store, &st) ? (uint64_t)st.st_size : 0;
}

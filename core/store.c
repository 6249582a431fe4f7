/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/fault.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "bucket keys are LMDB's native integers");

#define FIRST_ROWS 32 /*!< More than a name and its parents have, nearly always. */
/*! Octets of a lock file: a line of the cache for each reader, and what LMDB has before them. */
#define LOCK_SIZE ((off_t)64 * (ICP_STORE_READERS + 2))
#define SNAPSHOT_TRIES 16 /*!< Two commits have to come in between each time. */

struct icp_store {
	atomic_uint references;
	atomic_bool spoilt;
	MDB_env *env;
	uint8_t *map; /*!< Of our own, as LMDB does not tell where its map is. */
	size_t map_size;
	size_t page_size;
	char *current; /*!< Path of the link it was opened by; NULL when opened by its file. */
};

static int from_lmdb(int rc)
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

static bool env_stat(const icp_store_t *store, struct stat *st)
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
	int fd = open(name, O_RDWR | O_CLOEXEC | O_NONBLOCK);
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

static int open_env(icp_store_t *store, const char *path, icp_diag_t *diag)
{
	int fd;
	int ret = mend_lock_file(path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	int rc = mdb_env_create(&store->env);
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxreaders(store->env, ICP_STORE_READERS);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_open(store->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS, 0664);
	}
	if (rc == MDB_SUCCESS) {
		/* A reader that was killed leaves its slot; those would be used up one day. */
		(void)mdb_reader_check(store->env, NULL);
		rc = mdb_env_get_fd(store->env, &fd);
	}
	if (rc != MDB_SUCCESS) {
		return icp_fail(diag, from_lmdb(rc), "%s: %s%s", path, mdb_strerror(rc),
			rc == EACCES ? " (the lock file beside it must be writable)" : "");
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

int icp_store_open_file(icp_store_t **store, const char *path, icp_diag_t *diag)
{
	icp_pages_t pages[2];
	int ret = check_meta(path, pages, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_store_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	atomic_init(&new->references, 1);
	new->map_size = pages[0].map_size;
	new->page_size = pages[0].page_size;
	icp_fault_enter();
	ret = open_env(new, path, diag);
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

int icp_store_open(icp_store_t **store, const char *directory, icp_diag_t *diag)
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
		ret = icp_store_open_file(store, path, diag);
	}
	free(path);
	if (ret != ICP_EOK) {
		free(current);
		return ret;
	}
	(*store)->current = current;
	return ICP_EOK;
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
	free(store->current);
	free(store);
}

void icp_store_spoil(icp_store_t *store)
{
	atomic_store_explicit(&store->spoilt, true, memory_order_relaxed);
}

bool icp_store_is_current(const icp_store_t *store)
{
	struct stat mine;
	struct stat now;
	if (store->current == NULL) {
		return true;
	}
	return env_stat(store, &mine) && stat(store->current, &now) == 0 &&
	       mine.st_dev == now.st_dev && mine.st_ino == now.st_ino;
}

uint64_t icp_store_size(const icp_store_t *store)
{
	struct stat st;
	return env_stat(store, &st) ? (uint64_t)st.st_size : 0;
}

int icp_reader_init(icp_reader_t *reader, icp_store_t *store, icp_diag_t *diag)
{
	*reader = (icp_reader_t){.store = NULL};
	icp_row_t *items = malloc(FIRST_ROWS * sizeof *items);
	if (items == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &reader->txn);
	if (rc != MDB_SUCCESS) {
		free(items);
		*reader = (icp_reader_t){.store = NULL};
		return icp_fail(diag, from_lmdb(rc), "store reader: %s", mdb_strerror(rc));
	}
	mdb_txn_reset(reader->txn);
	reader->rows = (icp_rows_t){.items = items, .capacity = FIRST_ROWS};
	reader->store = icp_store_ref(store);
	return ICP_EOK;
}

void icp_reader_deinit(icp_reader_t *reader)
{
	if (reader->store == NULL) {
		return;
	}
	mdb_txn_abort(reader->txn);
	free(reader->rows.items);
	icp_store_unref(reader->store);
	*reader = (icp_reader_t){.store = NULL};
}

/*! Reads a meta page of the map. ICP_EBUSY: it is not that of the transaction. */
static int read_meta(const icp_store_t *store, uint64_t txn, uint64_t file_size, icp_pages_t *pages)
{
	uint8_t octets[ICP_PAGES_META_SIZE];
	unsigned slot = txn & 1;
	memcpy(octets, store->map + slot * store->page_size, sizeof octets);
	int ret = icp_pages_meta(pages, octets, slot, file_size);
	pages->map = store->map;
	if (ret == ICP_EOK &&
		(pages->page_size != store->page_size || pages->map_size != store->map_size)) {
		ret = ICP_EDAMAGED;
	}
	return ret == ICP_EOK && pages->txn != txn ? ICP_EBUSY : ret;
}

/*!
 * Looks at the commit before. Two commits always stand in the file, each with its entries under a
 * seal; a meta page whose number was changed, so that the older one seems to be the newer, does not
 * fit to its entries.
 */
static int check_other_meta(const icp_store_t *store, uint64_t txn, uint64_t file_size)
{
	icp_pages_t other;
	icp_pages_t again;
	icp_store_info_t info;
	int ret = read_meta(store, txn - 1, file_size, &other);
	if (ret == ICP_EBUSY) {
		/* A commit that came meanwhile. */
		return other.txn == txn + 1 ? ICP_EOK : ICP_EDAMAGED;
	}
	if (ret == ICP_EOK) {
		ret = icp_info_read(&info, &other);
	}
	/* Its pages are not ours to keep: they may have been overwritten by the next commit. */
	if (ret != ICP_EOK && read_meta(store, txn - 1, file_size, &again) == ICP_EBUSY &&
		again.txn == txn + 1) {
		return ICP_EOK;
	}
	return ret;
}

/*! Gets to know a commit that the reader has not seen yet. ICP_EBUSY: others came after it. */
static int read_commit(icp_reader_t *reader, uint64_t txn)
{
	struct stat st;
	icp_pages_t pages;
	if (!env_stat(reader->store, &st)) {
		return ICP_ESYS;
	}
	reader->pages.txn = 0;
	int ret = read_meta(reader->store, txn, (uint64_t)st.st_size, &pages);
	if (ret == ICP_EOK) {
		ret = icp_info_read(&reader->info, &pages);
	}
	if (ret == ICP_EOK) {
		ret = check_other_meta(reader->store, txn, (uint64_t)st.st_size);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	if (icp_pages_tree(&pages, ICP_STORE_BUCKETS, &reader->buckets) != 1 ||
		!reader->buckets.integer_keys || reader->buckets.entries != reader->info.buckets ||
		icp_pages_tree(&pages, ICP_STORE_DELTAS, &reader->deltas) != 1 ||
		!reader->deltas.integer_keys) {
		return ICP_EDAMAGED;
	}
	reader->pages = pages;
	return ICP_EOK;
}

int icp_reader_begin(icp_reader_t *reader)
{
	int ret = ICP_EDAMAGED;
	if (atomic_load_explicit(&reader->store->spoilt, memory_order_relaxed)) {
		return ICP_EDAMAGED;
	}
	/* What looks like damage may be a page that is being written. */
	for (unsigned i = 0; i < SNAPSHOT_TRIES; i++) {
		int rc = mdb_txn_renew(reader->txn);
		if (rc != MDB_SUCCESS) {
			return from_lmdb(rc);
		}
		uint64_t txn = mdb_txn_id(reader->txn);
		ret = txn == reader->pages.txn ? ICP_EOK : read_commit(reader, txn);
		if (ret == ICP_EOK) {
			reader->rows.count = 0;
			return ICP_EOK;
		}
		mdb_txn_reset(reader->txn);
	}
	return ret == ICP_EBUSY ? ICP_EDAMAGED : ret;
}

void icp_reader_end(icp_reader_t *reader)
{
	reader->rows.count = 0;
	mdb_txn_reset(reader->txn);
}

static int add_rows(icp_reader_t *reader, const icp_node_t *node, unsigned labels)
{
	icp_rows_t *rows = &reader->rows;
	size_t wanted = rows->count + node->row_count;
	if (wanted > rows->capacity) {
		icp_row_t *items = realloc(rows->items, 2 * wanted * sizeof *items);
		if (items == NULL) {
			return ICP_ENOMEM;
		}
		rows->items = items;
		rows->capacity = 2 * wanted;
	}
	size_t at = 0;
	for (size_t i = 0; i < node->row_count; i++) {
		icp_row_t *row = &rows->items[rows->count];
		size_t octets = icp_row_decode(row, node->rows + at, node->rows_length - at);
		if (octets == 0) {
			return ICP_EDAMAGED;
		}
		row->domain = node->name;
		row->domain_length = node->name_length;
		row->labels = (uint8_t)labels;
		rows->count++;
		at += octets;
	}
	return ICP_EOK;
}

int icp_reader_rows(icp_reader_t *reader, const icp_node_t *node)
{
	icp_name_t name;
	if (icp_name_from_stored(&name, node->name, node->name_length) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	return add_rows(reader, node, name.labels);
}

int icp_reader_find_node(
	icp_reader_t *reader, const uint8_t *name, size_t name_length, icp_node_t *node)
{
	uint64_t hash = icp_name_hash(name, name_length);
	icp_entry_t bucket;
	/* The last bucket answers for all hashes that are left. */
	if (icp_pages_find(&reader->pages, &reader->buckets, hash, &bucket) != 1) {
		return ICP_EDAMAGED;
	}
	return icp_bucket_find(bucket.data, bucket.data_size, hash, name, name_length, node);
}

int icp_reader_find(icp_reader_t *reader, const icp_name_t *name)
{
	uint8_t offsets[ICP_NAME_LABELS_MAX + 1];
	icp_name_suffixes(name, offsets);
	reader->rows.count = 0;

	for (unsigned labels = 2; labels <= name->labels; labels++) {
		icp_node_t node = {.name = NULL};
		size_t at = offsets[labels];
		int ret = icp_reader_find_node(reader, name->wire + at, name->length - at, &node);
		if (ret <= 0) {
			return ret;
		}
		ret = add_rows(reader, &node, labels);
		if (ret != ICP_EOK) {
			return ret;
		}
		if (!node.below) {
			break;
		}
	}
	return ICP_EOK;
}

int icp_reader_each_bucket(icp_reader_t *reader, icp_bucket_visit_t visit, void *context)
{
	icp_pages_walk_t walk;
	icp_entry_t entry;
	int ret;
	icp_pages_walk(&walk, &reader->pages, &reader->buckets);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		ret = entry.key_size == sizeof(uint64_t)
			      ? visit(icp_entry_number(&entry), entry.data, entry.data_size,
					context)
			      : ICP_EDAMAGED;
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	return ret;
}

void icp_walk_begin(icp_walk_t *walk, icp_reader_t *reader)
{
	icp_pages_walk(&walk->pages, &reader->pages, &reader->buckets);
	walk->count = 0;
	walk->at = 0;
}

int icp_walk_next(icp_walk_t *walk, icp_node_t *node)
{
	while (walk->at == walk->count) {
		icp_entry_t entry;
		int ret = icp_pages_walk_next(&walk->pages, &entry);
		if (ret != 1) {
			return ret;
		}
		walk->bucket = entry.data;
		walk->length = entry.data_size;
		walk->at = 0;
		if (icp_bucket_open(walk->bucket, walk->length, &walk->count) != ICP_EOK) {
			walk->count = 0;
			return ICP_EDAMAGED;
		}
	}
	int ret = icp_bucket_node(walk->bucket, walk->length, walk->at++, node);
	return ret == ICP_EOK ? 1 : ret;
}

int icp_reader_delta(icp_reader_t *reader, uint64_t sequence, const uint8_t **data, size_t *length)
{
	icp_entry_t entry;
	int ret = icp_pages_find(&reader->pages, &reader->deltas, sequence, &entry);
	if (ret == 1) {
		ret = icp_entry_number(&entry) == sequence;
		*data = entry.data;
		*length = entry.data_size;
	}
	return ret;
}

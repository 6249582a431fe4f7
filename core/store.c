/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/store.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/time.h"

_Static_assert(sizeof(size_t) == sizeof(uint64_t), "bucket keys are LMDB's native integers");

#define FIRST_ROWS 32 /*!< More than a name and its parents have, nearly always. */

struct icp_store {
	atomic_uint references;
	MDB_env *env;
	MDB_dbi meta;
	MDB_dbi buckets;
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
	case MDB_NOTFOUND:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_VALSIZE:
	case EINVAL:
		return ICP_EDAMAGED;
	default:
		return ICP_ESYS;
	}
}

/*! LMDB would read beyond the end of a truncated file, and the process would get SIGBUS. */
static bool env_is_whole(MDB_env *env)
{
	MDB_envinfo info;
	MDB_stat statistics;
	struct stat st;
	int fd;
	if (mdb_env_info(env, &info) != MDB_SUCCESS ||
		mdb_env_stat(env, &statistics) != MDB_SUCCESS ||
		mdb_env_get_fd(env, &fd) != MDB_SUCCESS || fstat(fd, &st) != 0) {
		return false;
	}
	return ((uint64_t)info.me_last_pgno + 1) * statistics.ms_psize <= (uint64_t)st.st_size;
}

static int meta_number(MDB_txn *txn, MDB_dbi meta, const char *key, int64_t *number)
{
	MDB_val k = {.mv_size = strlen(key), .mv_data = (void *)key};
	MDB_val v;
	char text[24];
	int rc = mdb_get(txn, meta, &k, &v);
	if (rc != MDB_SUCCESS) {
		return from_lmdb(rc);
	}
	if (v.mv_size == 0 || v.mv_size >= sizeof text) {
		return ICP_EDAMAGED;
	}
	memcpy(text, v.mv_data, v.mv_size);
	text[v.mv_size] = '\0';
	char *end;
	errno = 0;
	*number = strtoll(text, &end, 10);
	return *end == '\0' && errno == 0 ? ICP_EOK : ICP_EDAMAGED;
}

/*! Opens the two databases and checks the format's version. */
static int open_databases(icp_store_t *store, const char *path, icp_diag_t *diag)
{
	MDB_txn *txn;
	unsigned flags = 0;
	int rc = mdb_txn_begin(store->env, NULL, MDB_RDONLY, &txn);
	if (rc != MDB_SUCCESS) {
		return icp_fail(diag, from_lmdb(rc), "%s: %s", path, mdb_strerror(rc));
	}
	rc = mdb_dbi_open(txn, ICP_STORE_META, 0, &store->meta);
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(txn, ICP_STORE_BUCKETS, MDB_INTEGERKEY, &store->buckets);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_flags(txn, store->buckets, &flags);
	}
	if (rc != MDB_SUCCESS || (flags & MDB_INTEGERKEY) == 0) {
		mdb_txn_abort(txn);
		return icp_fail(diag, ICP_EDAMAGED, "%s: not a generation of a store", path);
	}
	int64_t format = 0;
	int ret = meta_number(txn, store->meta, "format", &format);
	if (ret != ICP_EOK) {
		icp_fail(diag, ret, "%s: no format version in the store", path);
	} else if (format != ICP_STORE_FORMAT) {
		ret = icp_fail(diag, ICP_EVERSION,
			"%s: format version %" PRId64
			", this program reads version %d; load a full feed again",
			path, format, ICP_STORE_FORMAT);
	}
	/* Committing a read transaction keeps the handles. */
	mdb_txn_commit(txn);
	return ret;
}

int icp_store_open_file(icp_store_t **store, const char *path, icp_diag_t *diag)
{
	icp_store_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	atomic_init(&new->references, 1);
	int rc = mdb_env_create(&new->env);
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxdbs(new->env, 2);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxreaders(new->env, ICP_STORE_READERS);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_open(new->env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOTLS, 0664);
	}
	if (rc == MDB_SUCCESS) {
		/* A reader that was killed leaves its slot; those would be used up one day. */
		(void)mdb_reader_check(new->env, NULL);
	}
	int ret;
	if (rc != MDB_SUCCESS) {
		ret = icp_fail(diag, rc == ENOENT ? ICP_ENOSTORE : from_lmdb(rc), "%s: %s%s", path,
			mdb_strerror(rc),
			rc == EACCES ? " (the lock file beside it must be writable)" : "");
	} else if (!env_is_whole(new->env)) {
		ret = icp_fail(diag, ICP_EDAMAGED, "%s: file is truncated", path);
	} else {
		ret = open_databases(new, path, diag);
	}
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
	if (store->env != NULL) {
		mdb_env_close(store->env);
	}
	free(store->current);
	free(store);
}

static bool env_stat(const icp_store_t *store, struct stat *st)
{
	int fd;
	return mdb_env_get_fd(store->env, &fd) == MDB_SUCCESS && fstat(fd, st) == 0;
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
	if (rc == MDB_SUCCESS) {
		rc = mdb_cursor_open(reader->txn, store->buckets, &reader->cursor);
	}
	if (rc != MDB_SUCCESS) {
		if (reader->txn != NULL) {
			mdb_txn_abort(reader->txn);
		}
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
	mdb_cursor_close(reader->cursor);
	mdb_txn_abort(reader->txn);
	free(reader->rows.items);
	icp_store_unref(reader->store);
	*reader = (icp_reader_t){.store = NULL};
}

int icp_reader_begin(icp_reader_t *reader)
{
	int rc = mdb_txn_renew(reader->txn);
	if (rc != MDB_SUCCESS) {
		return from_lmdb(rc);
	}
	rc = mdb_cursor_renew(reader->txn, reader->cursor);
	if (rc != MDB_SUCCESS) {
		mdb_txn_reset(reader->txn);
		return from_lmdb(rc);
	}
	reader->rows.count = 0;
	return ICP_EOK;
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
	MDB_val key = {.mv_size = sizeof hash, .mv_data = &hash};
	MDB_val bucket;
	int rc = mdb_cursor_get(reader->cursor, &key, &bucket, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND) {
		return 0;
	}
	if (rc != MDB_SUCCESS) {
		return from_lmdb(rc);
	}
	return icp_bucket_find(bucket.mv_data, bucket.mv_size, hash, name, name_length, node);
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

int icp_reader_info(icp_reader_t *reader, icp_store_info_t *info)
{
	const struct {
		const char *key;
		void *into;
		bool optional;
	} entries[] = {
		{"generation", &info->generation, false},
		{"sequence", &info->sequence, false},
		{"rows", &info->rows, false},
		{"nodes", &info->nodes, false},
		{"buckets", &info->buckets, false},
		{"created_at", &info->created_at, false},
		{"as_of", &info->as_of, true},
	};
	*info = (icp_store_info_t){.as_of = ICP_TIME_NONE};
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		int64_t number;
		int ret = meta_number(reader->txn, reader->store->meta, entries[i].key, &number);
		if (ret == ICP_EOK) {
			memcpy(entries[i].into, &number, sizeof number);
		} else if (!entries[i].optional) {
			return ICP_EDAMAGED;
		}
	}
	return ICP_EOK;
}

int icp_reader_each_bucket(icp_reader_t *reader, icp_bucket_visit_t visit, void *context)
{
	MDB_cursor *cursor;
	MDB_val key;
	MDB_val bucket;
	int rc = mdb_cursor_open(reader->txn, reader->store->buckets, &cursor);
	if (rc != MDB_SUCCESS) {
		return from_lmdb(rc);
	}
	int ret = ICP_EOK;
	while (ret == ICP_EOK &&
		(rc = mdb_cursor_get(cursor, &key, &bucket, MDB_NEXT)) == MDB_SUCCESS) {
		uint64_t high;
		if (key.mv_size != sizeof high) {
			ret = ICP_EDAMAGED;
			break;
		}
		memcpy(&high, key.mv_data, sizeof high);
		ret = visit(high, bucket.mv_data, bucket.mv_size, context);
	}
	mdb_cursor_close(cursor);
	if (ret == ICP_EOK && rc != MDB_NOTFOUND) {
		ret = from_lmdb(rc);
	}
	return ret;
}

typedef struct {
	int (*visit)(const icp_node_t *node, void *context);
	void *context;
} each_t;

static int each_node(uint64_t key, const uint8_t *bucket, size_t length, void *context)
{
	(void)key;
	const each_t *each = context;
	size_t count = icp_bucket_count(bucket, length);
	int ret = count > 0 ? ICP_EOK : ICP_EDAMAGED;
	for (size_t i = 0; i < count && ret == ICP_EOK; i++) {
		icp_node_t node;
		ret = icp_bucket_node(bucket, length, i, &node);
		if (ret == ICP_EOK) {
			ret = each->visit(&node, each->context);
		}
	}
	return ret;
}

int icp_reader_each(
	icp_reader_t *reader, int (*visit)(const icp_node_t *node, void *context), void *context)
{
	each_t each = {.visit = visit, .context = context};
	return icp_reader_each_bucket(reader, each_node, &each);
}

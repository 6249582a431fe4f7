/* SPDX-License-Identifier: BSD-3-Clause */
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>

#include "core/store_private.h"

#define FIRST_ROWS 32     /*!< More than a name and its parents have, nearly always. */
#define SNAPSHOT_TRIES 16 /*!< Two commits have to come in between each time. */
/*! Reading a bucket's place from the tree in passing takes a small part of a search in it. So a
 * directory is made when its commit has lasted for a part of as many searches as it has buckets. */
#define DIRECTORY_WORTH 16
#define LINE 64      /*!< Of the processor's cache. */
#define HEAD_PART 20 /*!< Of a bucket, so large is the part before its nodes, about. */
#define AROUND 256   /*!< Octets: a node is not farther from where it is expected, mostly. */

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
		return icp_fail(
			diag, icp_store_from_lmdb(rc), "store reader: %s", mdb_strerror(rc));
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
	icp_directory_unref(reader->directory);
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
	if (!icp_store_stat(reader->store, &st)) {
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
	icp_directory_unref(reader->directory);
	reader->directory = NULL;
	reader->searches = 0;
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
			return icp_store_from_lmdb(rc);
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

bool icp_reader_is_latest(const icp_reader_t *reader)
{
	MDB_envinfo info;
	return !atomic_load_explicit(&reader->store->spoilt, memory_order_relaxed) &&
	       mdb_env_info(reader->store->env, &info) == MDB_SUCCESS &&
	       info.me_last_txnid == reader->pages.txn;
}

bool icp_reader_holds(const icp_reader_t *reader)
{
	if (!reader->store->slotless) {
		return true;
	}
#ifndef __SANITIZE_THREAD__ /* Which does not know of fences. */
	/* The pages were read before the number of the last commit is. */
	atomic_thread_fence(memory_order_acquire);
#endif
	return icp_reader_is_latest(reader);
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

/*! Makes the only reader of a store, which it takes over. */
static int begin_alone(icp_reader_t *reader, icp_store_t *store, const char *path, icp_diag_t *diag)
{
	int ret = icp_reader_init(reader, store, diag);
	icp_store_unref(store);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_reader_begin(reader);
	if (ret != ICP_EOK) {
		icp_reader_deinit(reader);
		return icp_fail(diag, ret, "%s: no snapshot: %s", path, icp_strerror(ret));
	}
	return ICP_EOK;
}

int icp_reader_open(icp_reader_t *reader, const char *path, icp_diag_t *diag)
{
	icp_store_t *store;
	int ret = icp_store_open_file(&store, path, diag);
	return ret == ICP_EOK ? begin_alone(reader, store, path, diag) : ret;
}

int icp_reader_open_current(icp_reader_t *reader, const char *directory, icp_diag_t *diag)
{
	icp_store_t *store;
	int ret = icp_store_open(&store, directory, diag);
	return ret == ICP_EOK ? begin_alone(reader, store, directory, diag) : ret;
}

void icp_reader_close(icp_reader_t *reader)
{
	icp_reader_end(reader);
	icp_reader_deinit(reader);
}

/*! Takes the directory of the commit, which is made if there is none. One thread makes it; others
 * search the tree meanwhile. Without slots the tree may change in the meantime. */
static void take_directory(icp_reader_t *reader)
{
	icp_store_t *store = reader->store;
	reader->searches = 0;
	if (store->slotless || pthread_mutex_trylock(&store->lock) != 0) {
		return;
	}
	uint64_t txn = store->directory != NULL ? icp_directory_txn(store->directory) : 0;
	if (txn < reader->pages.txn) {
		icp_directory_t *made = icp_directory_make(&reader->pages, &reader->buckets);
		if (made != NULL) {
			icp_directory_unref(store->directory);
			store->directory = made;
			txn = reader->pages.txn;
		}
	}
	if (txn == reader->pages.txn) {
		reader->directory = icp_directory_ref(store->directory);
	}
	pthread_mutex_unlock(&store->lock);
}

/*! Finds the bucket of a hash. \retval as icp_pages_find */
static int find_bucket(icp_reader_t *reader, uint64_t hash, icp_entry_t *bucket)
{
	icp_extent_t extent;
	if (reader->directory == NULL &&
		reader->searches++ >= reader->buckets.entries / DIRECTORY_WORTH) {
		take_directory(reader);
	}
	if (reader->directory != NULL && icp_directory_find(reader->directory, hash, &extent)) {
		int ret = icp_pages_data(&reader->pages, extent.page, extent.size, bucket);
		return ret == ICP_EOK ? 1 : ret;
	}
	return icp_pages_find(&reader->pages, &reader->buckets, hash, bucket);
}

int icp_reader_find_node(
	icp_reader_t *reader, const uint8_t *name, size_t name_length, icp_node_t *node)
{
	uint64_t hash = icp_name_hash(name, name_length);
	icp_entry_t bucket;
	/* The last bucket answers for all hashes that are left. */
	if (find_bucket(reader, hash, &bucket) != 1) {
		return ICP_EDAMAGED;
	}
	return icp_bucket_find(bucket.data, bucket.data_size, hash, name, name_length, node);
}

void icp_reader_expect(const icp_reader_t *reader, const icp_name_t *name)
{
	icp_extent_t extent;
	size_t near;
	if (reader->directory == NULL || name->labels < 2) {
		return;
	}
	size_t at = icp_name_suffix(name, 2);
	uint64_t hash = icp_name_hash(name->wire + at, name->length - at);
	if (!icp_directory_guess(reader->directory, hash, &extent, &near)) {
		return;
	}
	const uint8_t *data =
		reader->pages.map + extent.page * reader->pages.page_size + ICP_PAGE_HEADER;
	size_t head = extent.size / HEAD_PART;
	for (size_t octet = 0; octet <= head; octet += LINE) {
		__builtin_prefetch(data + octet);
	}
	near = head + near * (extent.size - head) / extent.size;
	size_t end = near + AROUND < extent.size ? near + AROUND : extent.size;
	for (size_t octet = near > AROUND ? near - AROUND : 0; octet < end; octet += LINE) {
		__builtin_prefetch(data + octet);
	}
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

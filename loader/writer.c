/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/lmdb_error.h"

#define COMMIT_BUCKETS 8192 /*!< What a transaction holds in memory; about 32 MiB. */
#define PAGE_HEADER 16      /*!< LMDB's, on the page that a bucket fills. */
#define SPARE_OCTETS ((uint64_t)256 * 1024 * 1024) /*!< Of the map, for deltas. */
#define SPARE_TIMES 3                              /*!< Likewise; half-filled buckets take 2. */

struct icp_writer {
	const char *path;
	icp_diag_t *diag;
	MDB_env *env;
	MDB_txn *txn;
	MDB_cursor *cursor; /*!< On the buckets; lives with the transaction. */
	MDB_dbi meta;
	MDB_dbi buckets;
	MDB_dbi deltas;
	uint64_t bucket_count;
	uint64_t low; /*!< Of the bucket that is being filled. */
	uint64_t digest;
	uint64_t map_size;
	size_t bucket_max; /*!< Octets. */
	/* The bucket that is being filled: nodes, and their octets one after the other. */
	icp_packed_node_t *nodes;
	size_t node_count;
	size_t node_capacity;
	uint8_t *octets;
	size_t octet_count;
	size_t octet_capacity;
};

static int failed(const icp_writer_t *writer, int rc)
{
	return icp_lmdb_failed(writer->path, rc, writer->diag);
}

static int begin(icp_writer_t *writer)
{
	int rc = mdb_txn_begin(writer->env, NULL, 0, &writer->txn);
	if (rc != MDB_SUCCESS) {
		writer->txn = NULL;
	}
	return rc;
}

/*! Ends the transaction, whatever comes of it. */
static int commit(icp_writer_t *writer)
{
	MDB_txn *txn = writer->txn;
	mdb_cursor_close(writer->cursor);
	writer->cursor = NULL;
	writer->txn = NULL;
	return mdb_txn_commit(txn);
}

static int open_env(icp_writer_t *writer, uint64_t octets)
{
	MDB_stat statistics;
	uint64_t size = SPARE_TIMES * octets + SPARE_OCTETS;
	/* Whole MiB are whole pages everywhere. */
	size = (size | 0xfffff) + 1;
	writer->map_size = size;

	int rc = mdb_env_create(&writer->env);
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_mapsize(writer->env, size);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_set_maxdbs(writer->env, 3);
	}
	/* Nobody else can know the file, so it needs no lock; it is synced once, at the end. */
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_open(
			writer->env, writer->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOLOCK, 0644);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_stat(writer->env, &statistics);
	}
	if (rc == MDB_SUCCESS) {
		writer->bucket_max = statistics.ms_psize - PAGE_HEADER;
	}
	return rc;
}

static int open_databases(icp_writer_t *writer)
{
	int rc = begin(writer);
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(writer->txn, ICP_STORE_META, MDB_CREATE, &writer->meta);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(writer->txn, ICP_STORE_BUCKETS, MDB_CREATE | MDB_INTEGERKEY,
			&writer->buckets);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(writer->txn, ICP_STORE_DELTAS, MDB_CREATE | MDB_INTEGERKEY,
			&writer->deltas);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_cursor_open(writer->txn, writer->buckets, &writer->cursor);
	}
	return rc;
}

int icp_writer_open(icp_writer_t **writer, const char *path, uint64_t octets, icp_diag_t *diag)
{
	icp_writer_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	new->path = path;
	new->diag = diag;
	int rc = open_env(new, octets);
	if (rc == MDB_SUCCESS) {
		rc = open_databases(new);
	}
	if (rc != MDB_SUCCESS) {
		int ret = failed(new, rc);
		icp_writer_close(new);
		return ret;
	}
	*writer = new;
	return ICP_EOK;
}

void icp_writer_close(icp_writer_t *writer)
{
	if (writer == NULL) {
		return;
	}
	if (writer->cursor != NULL) {
		mdb_cursor_close(writer->cursor);
	}
	if (writer->txn != NULL) {
		mdb_txn_abort(writer->txn);
	}
	if (writer->env != NULL) {
		mdb_env_close(writer->env);
	}
	free(writer->nodes);
	free(writer->octets);
	free(writer);
}

/*! Ends one transaction and begins the next. */
static int renew(icp_writer_t *writer)
{
	int rc = commit(writer);
	if (rc == MDB_SUCCESS) {
		rc = begin(writer);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_cursor_open(writer->txn, writer->buckets, &writer->cursor);
	}
	return rc;
}

/*! Writes the bucket that was filled, straight into its page. */
static int put_bucket(icp_writer_t *writer, uint64_t high)
{
	MDB_val key = {.mv_size = sizeof high, .mv_data = &high};
	MDB_val bucket = {.mv_size = icp_bucket_size(writer->node_count, writer->octet_count)};
	int rc = mdb_cursor_put(writer->cursor, &key, &bucket, MDB_APPEND | MDB_RESERVE);
	if (rc != MDB_SUCCESS) {
		return failed(writer, rc);
	}
	const uint8_t *at = writer->octets;
	for (size_t i = 0; i < writer->node_count; i++) {
		writer->nodes[i].data = at;
		at += writer->nodes[i].length;
	}
	writer->digest += icp_bucket_encode(
		bucket.mv_data, writer->nodes, writer->node_count, writer->low, high);
	writer->low = high + 1;
	writer->node_count = 0;
	writer->octet_count = 0;
	writer->bucket_count++;
	rc = writer->bucket_count % COMMIT_BUCKETS == 0 ? renew(writer) : MDB_SUCCESS;
	return rc == MDB_SUCCESS ? ICP_EOK : failed(writer, rc);
}

/*! Makes room for one more node. */
static int reserve(icp_writer_t *writer, size_t length)
{
	if (writer->node_count == writer->node_capacity) {
		size_t capacity = 2 * writer->node_capacity + 64;
		icp_packed_node_t *nodes = realloc(writer->nodes, capacity * sizeof *nodes);
		if (nodes == NULL) {
			return failed(writer, ENOMEM);
		}
		writer->nodes = nodes;
		writer->node_capacity = capacity;
	}
	if (writer->octet_count + length > writer->octet_capacity) {
		size_t capacity = 2 * (writer->octet_count + length);
		uint8_t *octets = realloc(writer->octets, capacity);
		if (octets == NULL) {
			return failed(writer, ENOMEM);
		}
		writer->octets = octets;
		writer->octet_capacity = capacity;
	}
	return ICP_EOK;
}

int icp_writer_add(uint64_t hash, const uint8_t *node, size_t length, void *context)
{
	icp_writer_t *writer = context;
	int ret;
	if (writer->node_count > 0) {
		/* A lookup searches one bucket, so names of one hash must share it. */
		uint64_t high = writer->nodes[writer->node_count - 1].hash;
		bool full = icp_bucket_size(writer->node_count + 1, writer->octet_count + length) >
			    writer->bucket_max;
		if (full && high != hash && (ret = put_bucket(writer, high)) != ICP_EOK) {
			return ret;
		}
	}
	if (icp_bucket_size(writer->node_count + 1, writer->octet_count) > UINT16_MAX) {
		return icp_fail(writer->diag, ICP_ESYS,
			"%s: names of hash %016" PRIx64 " do not fit in one bucket", writer->path,
			hash);
	}
	ret = reserve(writer, length);
	if (ret != ICP_EOK) {
		return ret;
	}
	writer->nodes[writer->node_count++] = (icp_packed_node_t){.hash = hash, .length = length};
	memcpy(writer->octets + writer->octet_count, node, length);
	writer->octet_count += length;
	return ICP_EOK;
}

int icp_writer_delta(icp_writer_t *writer, uint64_t sequence, const uint8_t *stored, size_t length)
{
	MDB_val key = {.mv_size = sizeof sequence, .mv_data = &sequence};
	MDB_val value = {.mv_size = length, .mv_data = (void *)stored};
	int rc = mdb_put(writer->txn, writer->deltas, &key, &value, 0);
	return rc == MDB_SUCCESS ? ICP_EOK : failed(writer, rc);
}

int icp_writer_put_info(struct MDB_txn *txn, unsigned meta, icp_store_info_t *info)
{
	icp_info_entry_t entries[ICP_INFO_ENTRIES];
	info->commit = mdb_txn_id(txn);
	int rc = mdb_drop(txn, meta, 0);
	size_t count = icp_info_entries(info, entries);
	for (size_t i = 0; i < count && rc == MDB_SUCCESS; i++) {
		MDB_val key = {
			.mv_size = strlen(entries[i].key), .mv_data = (void *)entries[i].key};
		MDB_val value = {.mv_size = strlen(entries[i].value), .mv_data = entries[i].value};
		rc = mdb_put(txn, meta, &key, &value, 0);
	}
	return rc;
}

int icp_writer_finish(icp_writer_t *writer, icp_store_info_t *info)
{
	int ret = put_bucket(writer, UINT64_MAX);
	if (ret != ICP_EOK) {
		return ret;
	}
	info->buckets = writer->bucket_count;
	info->digest = writer->digest;
	info->map_size = writer->map_size;
	int rc = icp_writer_put_info(writer->txn, writer->meta, info);
	if (rc == MDB_SUCCESS) {
		rc = renew(writer);
	}
	/* The commit before the last one must have its entries too; see store.c. */
	if (rc == MDB_SUCCESS) {
		rc = icp_writer_put_info(writer->txn, writer->meta, info);
	}
	if (rc == MDB_SUCCESS) {
		rc = commit(writer);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_env_sync(writer->env, 1);
	}
	return rc == MDB_SUCCESS ? ICP_EOK : failed(writer, rc);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/update.h"

#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/lmdb_error.h"
#include "loader/rewrite.h"
#include "loader/writer.h"

#define SPARE_OCTETS                                                                               \
	(UINT64_C(64) << 20) /*!< That the file may have beside twice what is in use. */

struct icp_update {
	const char *path;
	icp_store_t *store;
	icp_reader_t reader;
	MDB_txn *txn; /*!< NULL: none. */
	MDB_dbi meta;
	MDB_dbi buckets;
	MDB_dbi deltas;
	icp_store_info_t info;
	bool reading;
};

static int take_snapshot(icp_update_t *update, icp_diag_t *diag)
{
	int ret = icp_reader_begin(&update->reader);
	if (ret != ICP_EOK) {
		return icp_fail(diag, ret, "%s: %s", update->path, icp_strerror(ret));
	}
	update->reading = true;
	update->info = update->reader.info;
	return ICP_EOK;
}

static void give_snapshot(icp_update_t *update)
{
	if (update->reading) {
		icp_reader_end(&update->reader);
		update->reading = false;
	}
}

/*! Opens the handles, which stay. */
static int open_databases(icp_update_t *update, icp_diag_t *diag)
{
	MDB_txn *txn;
	int rc = mdb_txn_begin(icp_store_env(update->store), NULL, 0, &txn);
	if (rc != MDB_SUCCESS) {
		return icp_lmdb_failed(update->path, rc, diag);
	}
	rc = mdb_dbi_open(txn, ICP_STORE_META, 0, &update->meta);
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(txn, ICP_STORE_BUCKETS, MDB_INTEGERKEY, &update->buckets);
	}
	if (rc == MDB_SUCCESS) {
		rc = mdb_dbi_open(txn, ICP_STORE_DELTAS, MDB_INTEGERKEY, &update->deltas);
	}
	if (rc != MDB_SUCCESS) {
		mdb_txn_abort(txn);
		return icp_lmdb_failed(update->path, rc, diag);
	}
	/* Nothing was written, so this writes nothing and keeps the handles. */
	rc = mdb_txn_commit(txn);
	return rc == MDB_SUCCESS ? ICP_EOK : icp_lmdb_failed(update->path, rc, diag);
}

/*! LMDB aborts, or worse, on pages that lead astray. */
static int check(icp_update_t *update, icp_diag_t *diag)
{
	int ret = icp_reader_init(&update->reader, update->store, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = take_snapshot(update, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_pages_check(&update->reader.pages, false);
	give_snapshot(update);
	return ret == ICP_EOK ? ret
			      : icp_fail(diag, ret, "%s: %s", update->path, icp_strerror(ret));
}

int icp_update_open(icp_update_t **update, const char *path, bool sync, icp_diag_t *diag)
{
	icp_update_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	new->path = path;
	int ret = icp_store_open_writable(&new->store, path, sync, diag);
	if (ret == ICP_EOK) {
		ret = check(new, diag);
	}
	if (ret == ICP_EOK) {
		ret = open_databases(new, diag);
	}
	if (ret != ICP_EOK) {
		icp_update_close(new);
		return ret;
	}
	*update = new;
	return ICP_EOK;
}

void icp_update_close(icp_update_t *update)
{
	if (update == NULL) {
		return;
	}
	icp_update_abort(update);
	icp_reader_deinit(&update->reader);
	icp_store_unref(update->store);
	free(update);
}

const icp_store_info_t *icp_update_info(const icp_update_t *update)
{
	return &update->info;
}

bool icp_update_has_room(const icp_update_t *update)
{
	const icp_reader_t *reader = &update->reader;
	uint64_t used = icp_tree_pages(&reader->buckets) + icp_tree_pages(&reader->deltas);
	uint64_t spare = SPARE_OCTETS / reader->pages.page_size;
	return reader->pages.last < 2 * used + spare;
}

static int begin(icp_update_t *update, icp_diag_t *diag)
{
	int rc = mdb_txn_begin(icp_store_env(update->store), NULL, 0, &update->txn);
	if (rc != MDB_SUCCESS) {
		update->txn = NULL;
		return icp_lmdb_failed(update->path, rc, diag);
	}
	return ICP_EOK;
}

static int visit_all(const icp_touched_node_t *nodes, size_t count, icp_compare_visit_t visit,
	void *context, icp_store_info_t *info)
{
	int ret = ICP_EOK;
	for (size_t i = 0; i < count && ret == ICP_EOK; i++) {
		const icp_touched_node_t *node = &nodes[i];
		if (visit != NULL) {
			ret = icp_compare_nodes(node->existed ? &node->before : NULL,
				node->exists ? &node->after : NULL, visit, context);
		}
		info->nodes += node->exists;
		info->nodes -= node->existed;
		info->rows += node->exists ? node->after.row_count : 0;
		info->rows -= node->existed ? node->before.row_count : 0;
	}
	return ret;
}

static int put_delta(icp_update_t *update, icp_changes_t *changes, uint64_t sequence)
{
	size_t length;
	const uint8_t *stored = icp_changes_stored(changes, &length);
	MDB_val key = {.mv_size = sizeof sequence, .mv_data = &sequence};
	MDB_val value = {.mv_size = length, .mv_data = (void *)stored};
	return mdb_put(update->txn, update->deltas, &key, &value, 0);
}

/*! Writes the touched nodes, the delta itself, and what the generation says of itself. */
static int write_all(icp_update_t *update, const icp_touched_node_t *nodes, size_t count,
	icp_changes_t *changes, const icp_update_delta_t *delta, icp_diag_t *diag)
{
	int ret = begin(update, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_rewrite_t rewrite = {
		.path = update->path,
		.reader = &update->reader,
		.txn = update->txn,
		.buckets = update->buckets,
		.info = &update->info,
		.diag = diag,
	};
	ret = icp_rewrite_nodes(&rewrite, nodes, count);
	if (ret != ICP_EOK) {
		return ret;
	}
	update->info.sequence = delta->sequence;
	update->info.as_of = delta->as_of;
	update->info.superseded = 0;
	snprintf(update->info.source, sizeof update->info.source, "%s", delta->source);
	int rc = put_delta(update, changes, delta->sequence);
	if (rc == MDB_SUCCESS) {
		rc = icp_writer_put_info(update->txn, update->meta, &update->info);
	}
	return rc == MDB_SUCCESS ? ICP_EOK : icp_lmdb_failed(update->path, rc, diag);
}

static int apply(icp_update_t *update, icp_touched_t *touched, icp_changes_t *changes,
	const icp_update_delta_t *delta, icp_compare_visit_t visit, void *context, icp_diag_t *diag)
{
	const icp_touched_node_t *nodes;
	size_t count;
	icp_bad_t unlisted = {.total = 0};
	icp_bad_t *bad = delta->bad != NULL ? delta->bad : &unlisted;
	int ret = icp_touched_apply(touched, changes, bad);
	if (ret == ICP_EINVAL) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", delta->source, bad->rows[0].text);
	}
	if (ret == ICP_EOK) {
		ret = icp_touched_finish(touched, &nodes, &count);
	}
	if (ret != ICP_EOK) {
		return icp_fail(diag, ret, "%s: %s", update->path, icp_strerror(ret));
	}
	ret = visit_all(nodes, count, visit, context, &update->info);
	return ret == ICP_EOK ? write_all(update, nodes, count, changes, delta, diag) : ret;
}

int icp_update_apply(icp_update_t *update, icp_changes_t *changes, const icp_update_delta_t *delta,
	icp_compare_visit_t visit, void *context, icp_diag_t *diag)
{
	int ret = take_snapshot(update, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	icp_touched_t *touched = icp_touched_create(&update->reader);
	ret = touched != NULL ? apply(update, touched, changes, delta, visit, context, diag)
			      : icp_fail(diag, ICP_ENOMEM, "%s: out of memory", update->path);
	icp_touched_destroy(touched);
	give_snapshot(update);
	if (ret != ICP_EOK) {
		icp_update_abort(update);
	}
	return ret;
}

uint64_t icp_update_transaction(const icp_update_t *update)
{
	return update->info.commit;
}

/*! A meta page as it was. */
typedef struct {
	off_t at;
	uint8_t octets[ICP_PAGES_META_SIZE];
} kept_meta_t;

/*! Keeps the page that the transaction will write over. */
static void keep_meta(const icp_update_t *update, kept_meta_t *kept)
{
	const icp_pages_t *pages = &update->reader.pages;
	kept->at = (off_t)((mdb_txn_id(update->txn) & 1) * pages->page_size);
	memcpy(kept->octets, pages->map + kept->at, sizeof kept->octets);
}

/*!
 * LMDB, when it fails to write a meta page, leaves it with the number of the old commit and the
 * roots of the new one. It never looks at them; but readers of ours call that damage.
 */
static void restore_meta(const icp_update_t *update, const kept_meta_t *kept)
{
	int fd;
	if (memcmp(update->reader.pages.map + kept->at, kept->octets, sizeof kept->octets) == 0 ||
		mdb_env_get_fd(icp_store_env(update->store), &fd) != MDB_SUCCESS) {
		return;
	}
	/* Where this fails too, the disk is gone. */
	if (pwrite(fd, kept->octets, sizeof kept->octets, kept->at) ==
		(ssize_t)sizeof kept->octets) {
		fdatasync(fd);
	}
}

int icp_update_commit(icp_update_t *update, icp_diag_t *diag)
{
	kept_meta_t kept;
	MDB_txn *txn = update->txn;
	keep_meta(update, &kept);
	update->txn = NULL;
	int rc = mdb_txn_commit(txn);
	if (rc != MDB_SUCCESS) {
		restore_meta(update, &kept);
		return icp_lmdb_failed(update->path, rc, diag);
	}
	return ICP_EOK;
}

void icp_update_abort(icp_update_t *update)
{
	if (update->txn != NULL) {
		mdb_txn_abort(update->txn);
		update->txn = NULL;
	}
	update->info = update->reader.info;
}

int icp_update_supersede(icp_update_t *update, uint64_t generation, icp_diag_t *diag)
{
	int ret = take_snapshot(update, diag);
	give_snapshot(update);
	if (ret == ICP_EOK) {
		ret = begin(update, diag);
	}
	if (ret != ICP_EOK) {
		return ret;
	}
	update->info.superseded = generation;
	int rc = icp_writer_put_info(update->txn, update->meta, &update->info);
	if (rc != MDB_SUCCESS) {
		icp_update_abort(update);
		return icp_lmdb_failed(update->path, rc, diag);
	}
	return icp_update_commit(update, diag);
}

int icp_update_sync(icp_update_t *update, icp_diag_t *diag)
{
	int rc = mdb_env_sync(icp_store_env(update->store), 1);
	return rc == MDB_SUCCESS ? ICP_EOK : icp_lmdb_failed(update->path, rc, diag);
}

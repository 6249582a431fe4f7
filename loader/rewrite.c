/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/rewrite.h"

#include <inttypes.h>
#include <lmdb.h>
#include <stdlib.h>

#include "loader/lmdb_error.h"

#define PAGE_HEADER 16 /*!< LMDB's, on the page that a bucket fills. */

/*! One bucket, as it is and as it will be. */
typedef struct {
	const uint8_t *octets;
	size_t length;
	uint64_t low;
	uint64_t high;
	size_t count;
	icp_packed_node_t *nodes; /*!< The merged ones. */
	size_t merged;
} bucket_t;

static int damaged(const icp_rewrite_t *rewrite, uint64_t key)
{
	return icp_fail(rewrite->diag, ICP_EDAMAGED, "%s: bucket %016" PRIx64 " is damaged",
		rewrite->path, key);
}

/*! Finds the bucket that answers for a hash, and takes it out of the sums. */
static int find_bucket(const icp_rewrite_t *rewrite, uint64_t hash, bucket_t *bucket)
{
	icp_entry_t entry;
	uint64_t digest;
	if (icp_pages_find(&rewrite->reader->pages, &rewrite->reader->buckets, hash, &entry) != 1) {
		return damaged(rewrite, hash);
	}
	*bucket = (bucket_t){
		.octets = entry.data,
		.length = entry.data_size,
		.high = icp_entry_number(&entry),
	};
	if (icp_bucket_open(bucket->octets, bucket->length, &bucket->count) != ICP_EOK) {
		return damaged(rewrite, bucket->high);
	}
	bucket->low = icp_bucket_low(bucket->octets);
	if (hash < bucket->low || icp_bucket_check(bucket->octets, bucket->length, bucket->low,
					  bucket->high, &digest) != ICP_EOK) {
		return damaged(rewrite, bucket->high);
	}
	rewrite->info->digest -= digest;
	rewrite->info->buckets--;
	return ICP_EOK;
}

static void add_node(bucket_t *bucket, const icp_node_t *node, uint64_t hash)
{
	icp_packed_node_t *packed = &bucket->nodes[bucket->merged++];
	packed->hash = hash;
	packed->data = icp_node_octets(node, &packed->length);
}

static int compare_places(const icp_node_t *node, uint64_t hash, const icp_touched_node_t *touched)
{
	if (hash != touched->hash) {
		return hash < touched->hash ? -1 : 1;
	}
	return icp_stored_compare(
		node->name, node->name_length, touched->name, touched->name_length);
}

/*! Merges the nodes of the bucket with the touched ones, all of which belong to it. */
static int merge(bucket_t *bucket, const icp_touched_node_t *touched, size_t count)
{
	size_t next = 0;
	bucket->nodes = calloc(bucket->count + count + 1, sizeof *bucket->nodes);
	if (bucket->nodes == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < bucket->count; i++) {
		icp_node_t node;
		if (icp_bucket_node(bucket->octets, bucket->length, i, &node) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		uint64_t hash = icp_name_hash(node.name, node.name_length);
		int order = 1;
		while (next < count && (order = compare_places(&node, hash, &touched[next])) >= 0) {
			if (touched[next].exists) {
				add_node(bucket, &touched[next].after, touched[next].hash);
			}
			next++;
			if (order == 0) {
				break;
			}
			order = 1;
		}
		if (order != 0) {
			add_node(bucket, &node, hash);
		}
	}
	for (; next < count; next++) {
		if (touched[next].exists) {
			add_node(bucket, &touched[next].after, touched[next].hash);
		}
	}
	return ICP_EOK;
}

static int put_bucket(const icp_rewrite_t *rewrite, const icp_packed_node_t *nodes, size_t count,
	size_t octets, uint64_t low, uint64_t high)
{
	MDB_val key = {.mv_size = sizeof high, .mv_data = &high};
	MDB_val value = {.mv_size = icp_bucket_size(count, octets)};
	value.mv_data = malloc(value.mv_size);
	if (value.mv_data == NULL) {
		return icp_fail(rewrite->diag, ICP_ENOMEM, "%s: out of memory", rewrite->path);
	}
	rewrite->info->digest += icp_bucket_encode(value.mv_data, nodes, count, low, high);
	rewrite->info->buckets++;
	int rc = mdb_put(rewrite->txn, rewrite->buckets, &key, &value, 0);
	free(value.mv_data);
	return rc == MDB_SUCCESS ? ICP_EOK : icp_lmdb_failed(rewrite->path, rc, rewrite->diag);
}

/*! Writes the merged nodes in as many buckets as they need. The last one keeps the key. */
static int write_bucket(const icp_rewrite_t *rewrite, const bucket_t *bucket)
{
	size_t most = rewrite->reader->pages.page_size - PAGE_HEADER;
	uint64_t low = bucket->low;
	size_t start = 0;
	size_t octets = 0;
	for (size_t i = 0; i < bucket->merged; i++) {
		const icp_packed_node_t *node = &bucket->nodes[i];
		bool full = icp_bucket_size(i - start + 1, octets + node->length) > most;
		/* A lookup searches one bucket, so names of one hash must share it. */
		if (full && i > start && bucket->nodes[i - 1].hash != node->hash) {
			uint64_t high = bucket->nodes[i - 1].hash;
			int ret = put_bucket(
				rewrite, bucket->nodes + start, i - start, octets, low, high);
			if (ret != ICP_EOK) {
				return ret;
			}
			low = high + 1;
			start = i;
			octets = 0;
		}
		if (icp_bucket_size(i - start + 1, octets) > UINT16_MAX) {
			return icp_fail(rewrite->diag, ICP_ESYS,
				"%s: names of hash %016" PRIx64 " do not fit in one bucket",
				rewrite->path, node->hash);
		}
		octets += node->length;
	}
	return put_bucket(
		rewrite, bucket->nodes + start, bucket->merged - start, octets, low, bucket->high);
}

int icp_rewrite_nodes(icp_rewrite_t *rewrite, const icp_touched_node_t *nodes, size_t count)
{
	for (size_t start = 0; start < count;) {
		bucket_t bucket = {.octets = NULL};
		size_t end = start;
		int ret = find_bucket(rewrite, nodes[start].hash, &bucket);
		if (ret != ICP_EOK) {
			return ret;
		}
		while (end < count && nodes[end].hash <= bucket.high) {
			end++;
		}
		ret = merge(&bucket, nodes + start, end - start);
		ret = ret == ICP_EOK ? write_bucket(rewrite, &bucket)
				     : icp_fail(rewrite->diag, ret, "%s: %s", rewrite->path,
					       icp_strerror(ret));
		free(bucket.nodes);
		if (ret != ICP_EOK) {
			return ret;
		}
		start = end;
	}
	return ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <endian.h>
#include <inttypes.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/store.h"

typedef struct {
	icp_reader_t *reader;
	icp_diag_t *diag;
	uint64_t low;
	uint64_t digest;
	uint64_t rows;
	uint64_t nodes;
	uint64_t buckets;
} verify_t;

/*! A lookup comes down from the parent, so that must be there and say that something is below. */
static int verify_node(const icp_node_t *node, verify_t *verify)
{
	icp_name_t name;
	icp_node_t parent;
	if (icp_name_from_stored(&name, node->name, node->name_length) != ICP_EOK) {
		return ICP_EDAMAGED;
	}
	verify->nodes++;
	verify->rows += node->row_count;
	if (name.labels <= 2) {
		return ICP_EOK;
	}
	size_t at = icp_name_suffix(&name, name.labels - 1u);
	int ret = icp_reader_find_node(verify->reader, name.wire + at, name.length - at, &parent);
	if (ret == 1 && parent.below) {
		return ICP_EOK;
	}
	char text[ICP_NAME_TEXT_MAX];
	icp_name_format(&name, text);
	return icp_fail(verify->diag, ICP_EDAMAGED, "%s can't be reached from its parent", text);
}

static int verify_bucket(uint64_t key, const uint8_t *bucket, size_t length, void *context)
{
	verify_t *verify = context;
	uint64_t digest;
	if ((verify->buckets > 0 && verify->low == 0) || key < verify->low ||
		icp_bucket_check(bucket, length, verify->low, key, &digest) != ICP_EOK) {
		return icp_fail(
			verify->diag, ICP_EDAMAGED, "bucket %016" PRIx64 " is damaged", key);
	}
	verify->buckets++;
	verify->digest += digest;
	verify->low = key + 1;
	size_t count;
	int ret = icp_bucket_open(bucket, length, &count);
	for (size_t i = 0; i < count && ret == ICP_EOK; i++) {
		icp_node_t node;
		ret = icp_bucket_node(bucket, length, i, &node);
		if (ret == ICP_EOK) {
			ret = verify_node(&node, verify);
		}
	}
	return ret;
}

/*! Every delta since the full feed must be there, under its seal. */
static int verify_deltas(icp_reader_t *reader, icp_diag_t *diag)
{
	const icp_store_info_t *info = &reader->info;
	icp_pages_walk_t walk;
	icp_entry_t entry;
	uint64_t sequence = info->base;
	int ret;
	icp_pages_walk(&walk, &reader->pages, &reader->deltas);
	while ((ret = icp_pages_walk_next(&walk, &entry)) == 1) {
		uint64_t seal;
		sequence++;
		if (icp_entry_number(&entry) != sequence || entry.data_size < sizeof seal) {
			return icp_fail(
				diag, ICP_EDAMAGED, "delta %" PRIu64 " is missing", sequence);
		}
		memcpy(&seal, entry.data, sizeof seal);
		if (le64toh(seal) !=
			XXH3_64bits(entry.data + sizeof seal, entry.data_size - sizeof seal)) {
			return icp_fail(
				diag, ICP_EDAMAGED, "delta %" PRIu64 " is damaged", sequence);
		}
	}
	if (ret == 0 && sequence != info->sequence) {
		return icp_fail(diag, ICP_EDAMAGED, "delta %" PRIu64 " is missing", sequence + 1);
	}
	return ret;
}

static int verify_content(icp_reader_t *reader, icp_diag_t *diag)
{
	const icp_store_info_t *info = &reader->info;
	verify_t verify = {.reader = reader, .diag = diag};
	int ret = icp_reader_each_bucket(reader, verify_bucket, &verify);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (verify.buckets == 0 || verify.low != 0) {
		return icp_fail(diag, ICP_EDAMAGED, "the last bucket is missing");
	}
	if (verify.rows != info->rows || verify.nodes != info->nodes ||
		verify.buckets != info->buckets) {
		return icp_fail(diag, ICP_EDAMAGED,
			"%" PRIu64 " rows, %" PRIu64 " nodes, %" PRIu64 " buckets found, %" PRIu64
			", %" PRIu64 ", %" PRIu64 " recorded",
			verify.rows, verify.nodes, verify.buckets, info->rows, info->nodes,
			info->buckets);
	}
	if (verify.digest != info->digest) {
		return icp_fail(diag, ICP_EDAMAGED, "buckets are those of another commit");
	}
	return ICP_EOK;
}

int icp_reader_verify(icp_reader_t *reader, icp_diag_t *diag)
{
	int ret = icp_pages_check(&reader->pages, true);
	/* The loader deletes neither buckets nor deltas. */
	if (ret == ICP_EOK) {
		ret = icp_pages_check_keys(&reader->pages, &reader->buckets);
	}
	if (ret == ICP_EOK) {
		ret = icp_pages_check_keys(&reader->pages, &reader->deltas);
	}
	if (ret != ICP_EOK) {
		return icp_fail(diag, ret, "%s",
			ret == ICP_EDAMAGED ? "a page of the generation is damaged"
					    : icp_strerror(ret));
	}
	ret = verify_content(reader, diag);
	return ret == ICP_EOK ? verify_deltas(reader, diag) : ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A bucket of the index. Input: its octets. It is read as it is, then with the checksum put right,
 * and then with the fingerprints too, without which little would get past them.
 */
#include "core/error.h"
#include "core/node.h"
#include "tests/fuzz/fuzz.h"

#define CHECKSUM 4

/*! Reads every node by its position and by its name. */
static void read_nodes(const uint8_t *bucket, size_t length, bool is_good)
{
	size_t count = icp_bucket_count(bucket, length);
	for (size_t i = 0; i < count; i++) {
		icp_node_t node;
		icp_node_t found;
		icp_row_t row;
		if (icp_bucket_node(bucket, length, i, &node) != ICP_EOK) {
			must(!is_good, "a good bucket has good nodes");
			continue;
		}
		uint64_t hash = icp_name_hash(node.name, node.name_length);
		int ret =
			icp_bucket_find(bucket, length, hash, node.name, node.name_length, &found);
		must(ret == 1 || !is_good, "a node is found by its name");
		size_t at = 0;
		size_t rows = 0;
		size_t octets;
		while (at < node.rows_length && (octets = icp_row_decode(&row, node.rows + at,
							 node.rows_length - at)) > 0) {
			at += octets;
			rows++;
		}
		must(!is_good || (at == node.rows_length && rows == node.row_count),
			"a good node holds its rows");
	}
	icp_node_t node;
	must(icp_bucket_node(bucket, length, count, &node) == ICP_EDAMAGED,
		"there is no node behind the last one");
}

static void check(const uint8_t *octets, size_t length)
{
	uint8_t *bucket = exact_copy(octets, length);
	int ret = icp_bucket_check(bucket, length, 0, UINT64_MAX);
	must(ret == ICP_EOK || ret == ICP_EDAMAGED, "nothing else goes wrong");
	read_nodes(bucket, length, ret == ICP_EOK);
	free(bucket);
}

static void repair_checksum(uint8_t *bucket, size_t length)
{
	if (length < CHECKSUM) {
		return;
	}
	uint64_t sum = icp_name_hash(bucket + CHECKSUM, length - CHECKSUM);
	for (size_t i = 0; i < CHECKSUM; i++) {
		bucket[i] = (uint8_t)(sum >> 8 * i);
	}
}

static void repair_fingerprints(uint8_t *bucket, size_t length)
{
	size_t count = icp_bucket_count(bucket, length);
	for (size_t i = 0; i < count; i++) {
		icp_node_t node;
		if (icp_bucket_node(bucket, length, i, &node) == ICP_EOK) {
			bucket[ICP_BUCKET_HEADER + i] =
				(uint8_t)icp_name_hash(node.name, node.name_length);
		}
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	uint8_t *bucket = exact_copy(data, size);
	repair_checksum(bucket, size);
	check(bucket, size);
	repair_fingerprints(bucket, size);
	repair_checksum(bucket, size);
	check(bucket, size);
	free(bucket);
	return 0;
}

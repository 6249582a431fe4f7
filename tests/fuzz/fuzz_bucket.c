/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A bucket of the index. Input: its octets. It is read as it is, then with the checksums put right,
 * and then with the fingerprints too, without which little would get past them.
 */
#include <endian.h>

#include "core/error.h"
#include "core/node.h"
#include "tests/fuzz/fuzz.h"

enum { CHECKSUM = 4, AT_COUNT = 4, AT_LOW = 6, AT_HIGH = 14 };

static uint64_t read_u64(const uint8_t *octets)
{
	uint64_t value;
	memcpy(&value, octets, sizeof value);
	return le64toh(value);
}

/*! Reads every node by its position and by its name. */
static void read_nodes(const uint8_t *bucket, size_t length, bool is_good)
{
	icp_node_t node;
	size_t count;
	if (icp_bucket_open(bucket, length, &count) != ICP_EOK) {
		must(!is_good, "a good bucket has a good head");
		return;
	}
	for (size_t i = 0; i < count; i++) {
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
	must(icp_bucket_node(bucket, length, count, &node) == ICP_EDAMAGED,
		"there is no node behind the last one");
}

static void check(const uint8_t *octets, size_t length)
{
	uint8_t *bucket = exact_copy(octets, length);
	uint64_t low = length >= ICP_BUCKET_HEADER ? read_u64(bucket + AT_LOW) : 0;
	uint64_t high = length >= ICP_BUCKET_HEADER ? read_u64(bucket + AT_HIGH) : 0;
	int ret = icp_bucket_check(bucket, length, low, high, NULL);
	must(ret == ICP_EOK || ret == ICP_EDAMAGED, "nothing else goes wrong");
	read_nodes(bucket, length, ret == ICP_EOK);
	free(bucket);
}

static void put_sum(uint8_t *out, const uint8_t *octets, size_t length)
{
	uint32_t sum = htole32((uint32_t)icp_name_hash(octets, length));
	memcpy(out, &sum, sizeof sum);
}

/*! Where a node begins, as its offset says. */
static size_t offset_of(const uint8_t *bucket, size_t count, size_t position)
{
	const uint8_t *at = bucket + ICP_BUCKET_HEADER + count + 2 * position;
	return (size_t)(at[0] | at[1] << 8);
}

/*! Puts right what depends on the rest: checksums, and the fingerprints if so said. */
static void repair(uint8_t *bucket, size_t length, bool fingerprints)
{
	if (length < ICP_BUCKET_HEADER) {
		return;
	}
	size_t count = (size_t)(bucket[AT_COUNT] | bucket[AT_COUNT + 1] << 8);
	size_t head = ICP_BUCKET_HEADER + 3 * count;
	if (head > length) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		size_t start = offset_of(bucket, count, i);
		size_t end = i + 1 < count ? offset_of(bucket, count, i + 1) : length;
		if (start < head || end > length || end < start + CHECKSUM + 1) {
			continue;
		}
		const uint8_t *node = bucket + start + CHECKSUM;
		put_sum(bucket + start, node, end - start - CHECKSUM);
		if (fingerprints && node[0] + 1U <= end - start - CHECKSUM) {
			bucket[ICP_BUCKET_HEADER + i] = (uint8_t)icp_name_hash(node + 1, node[0]);
		}
	}
	put_sum(bucket, bucket + CHECKSUM, head - CHECKSUM);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	check(data, size);
	uint8_t *bucket = exact_copy(data, size);
	repair(bucket, size, false);
	check(bucket, size);
	repair(bucket, size, true);
	check(bucket, size);
	free(bucket);
	return 0;
}

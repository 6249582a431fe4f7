/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/node.h"

#include <assert.h>
#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"

enum { AT_COUNT = 4, AT_LOW = 6, AT_HIGH = 14 };

#define CHECKSUM 4 /*!< Octets. */

static uint16_t read_u16(const uint8_t *in)
{
	return (uint16_t)(in[0] | in[1] << 8);
}

static void write_u16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)value;
	out[1] = (uint8_t)(value >> 8);
}

static uint64_t read_u64(const uint8_t *in)
{
	uint64_t value;
	memcpy(&value, in, sizeof value);
	return le64toh(value);
}

static void write_u64(uint8_t *out, uint64_t value)
{
	value = htole64(value);
	memcpy(out, &value, sizeof value);
}

uint64_t icp_name_hash(const uint8_t *wire, size_t length)
{
	return XXH3_64bits(wire, length);
}

int icp_stored_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length)
{
	if (a_length != b_length) {
		return a_length < b_length ? -1 : 1;
	}
	return memcmp(a, b, a_length);
}

static bool sum_holds(const uint8_t *stored, uint64_t digest)
{
	uint32_t sum;
	memcpy(&sum, stored, sizeof sum);
	return le32toh(sum) == (uint32_t)digest;
}

static void write_sum(uint8_t *out, uint64_t digest)
{
	uint32_t sum = htole32((uint32_t)digest);
	memcpy(out, &sum, sizeof sum);
}

/*! Octets of a bucket's head: all before the first node. */
static size_t head_size(size_t count)
{
	return ICP_BUCKET_HEADER + 3 * count;
}

size_t icp_bucket_size(size_t node_count, size_t node_octets)
{
	return ICP_BUCKET_HEADER + node_count * ICP_BUCKET_PER_NODE + node_octets;
}

size_t icp_node_encode_head(
	uint8_t *out, const uint8_t *name, size_t name_length, size_t row_count, bool below)
{
	assert(name_length > 0 && name_length <= ICP_NAME_MAX && row_count <= ICP_NODE_ROWS_MAX);
	out[0] = (uint8_t)name_length;
	memcpy(out + 1, name, name_length);
	write_u16(out + 1 + name_length, row_count | (below ? ICP_NODE_BELOW : 0));
	return 1 + name_length + 2;
}

uint64_t icp_bucket_encode(
	uint8_t *out, const icp_packed_node_t *nodes, size_t count, uint64_t low, uint64_t high)
{
	assert(count <= UINT16_MAX);
	uint8_t *fingerprints = out + ICP_BUCKET_HEADER;
	uint8_t *offsets = fingerprints + count;
	size_t at = head_size(count);
	uint64_t digests = 0;

	write_u16(out + AT_COUNT, count);
	write_u64(out + AT_LOW, low);
	write_u64(out + AT_HIGH, high);
	for (size_t i = 0; i < count; i++) {
		assert(at <= UINT16_MAX);
		uint64_t digest = XXH3_64bits(nodes[i].data, nodes[i].length);
		fingerprints[i] = (uint8_t)nodes[i].hash;
		write_u16(offsets + 2 * i, at);
		write_sum(out + at, digest);
		memcpy(out + at + CHECKSUM, nodes[i].data, nodes[i].length);
		at += CHECKSUM + nodes[i].length;
		digests += digest;
	}
	write_sum(out, XXH3_64bits(out + CHECKSUM, head_size(count) - CHECKSUM));
	return digests;
}

int icp_bucket_open(const uint8_t *bucket, size_t length, size_t *count)
{
	if (length < ICP_BUCKET_HEADER) {
		return ICP_EDAMAGED;
	}
	*count = read_u16(bucket + AT_COUNT);
	size_t head = head_size(*count);
	if (*count == 0 ? length != head : length <= head) {
		return ICP_EDAMAGED;
	}
	return sum_holds(bucket, XXH3_64bits(bucket + CHECKSUM, head - CHECKSUM)) ? ICP_EOK
										  : ICP_EDAMAGED;
}

uint64_t icp_bucket_low(const uint8_t *bucket)
{
	return read_u64(bucket + AT_LOW);
}

/*! Reads a node, and gives the digest of its octets. */
static int node_at(const uint8_t *bucket, size_t length, size_t count, size_t position,
	icp_node_t *node, uint64_t *digest)
{
	const uint8_t *offsets = bucket + ICP_BUCKET_HEADER + count;
	size_t start = read_u16(offsets + 2 * position);
	size_t end = position + 1 < count ? read_u16(offsets + 2 * (position + 1)) : length;

	if (end > length || start < head_size(count) || start >= end ||
		end - start < CHECKSUM + 3) {
		return ICP_EDAMAGED;
	}
	const uint8_t *octets = bucket + start + CHECKSUM;
	size_t size = end - start - CHECKSUM;
	size_t name_length = octets[0];
	size_t head = 1 + name_length + 2;
	*digest = XXH3_64bits(octets, size);
	if (!sum_holds(bucket + start, *digest) || size < head) {
		return ICP_EDAMAGED;
	}
	uint16_t rows = read_u16(octets + 1 + name_length);
	*node = (icp_node_t){
		.name = octets + 1,
		.name_length = (uint8_t)name_length,
		.rows = octets + head,
		.rows_length = size - head,
		.row_count = rows & ICP_NODE_ROWS_MAX,
		.below = (rows & ICP_NODE_BELOW) != 0,
	};
	return ICP_EOK;
}

int icp_bucket_node(const uint8_t *bucket, size_t length, size_t position, icp_node_t *node)
{
	size_t count = read_u16(bucket + AT_COUNT);
	uint64_t digest;
	return position < count ? node_at(bucket, length, count, position, node, &digest)
				: ICP_EDAMAGED;
}

int icp_bucket_find(const uint8_t *bucket, size_t length, uint64_t hash, const uint8_t *name,
	size_t name_length, icp_node_t *node)
{
	size_t count;
	if (icp_bucket_open(bucket, length, &count) != ICP_EOK ||
		hash < read_u64(bucket + AT_LOW) || hash > read_u64(bucket + AT_HIGH)) {
		return ICP_EDAMAGED;
	}
	const uint8_t *fingerprints = bucket + ICP_BUCKET_HEADER;
	const uint8_t *at = fingerprints;
	const uint8_t *end = fingerprints + count;

	while ((at = memchr(at, (uint8_t)hash, (size_t)(end - at))) != NULL) {
		uint64_t digest;
		int ret =
			node_at(bucket, length, count, (size_t)(at - fingerprints), node, &digest);
		if (ret != ICP_EOK) {
			return ret;
		}
		if (node->name_length == name_length &&
			memcmp(node->name, name, name_length) == 0) {
			return 1;
		}
		at++;
	}
	return 0;
}

/*! Every row must decode, they must be in order, and together they must fill the node. */
static int check_rows(const icp_node_t *node)
{
	size_t at = 0;
	icp_row_t previous = {.provider_length = 0};
	for (size_t i = 0; i < node->row_count; i++) {
		icp_row_t row;
		size_t octets = icp_row_decode(&row, node->rows + at, node->rows_length - at);
		if (octets == 0 || !icp_provider_valid(row.provider, row.provider_length) ||
			(i > 0 && icp_provider_compare(&previous, &row) >= 0)) {
			return ICP_EDAMAGED;
		}
		at += octets;
		previous = row;
	}
	return at == node->rows_length ? ICP_EOK : ICP_EDAMAGED;
}

int icp_bucket_check(
	const uint8_t *bucket, size_t length, uint64_t low, uint64_t high, uint64_t *digest)
{
	size_t count;
	if (icp_bucket_open(bucket, length, &count) != ICP_EOK ||
		read_u64(bucket + AT_LOW) != low || read_u64(bucket + AT_HIGH) != high) {
		return ICP_EDAMAGED;
	}
	uint64_t previous = low;
	uint64_t digests = 0;
	for (size_t i = 0; i < count; i++) {
		icp_node_t node;
		icp_name_t name;
		uint64_t one;
		int ret = node_at(bucket, length, count, i, &node, &one);
		if (ret != ICP_EOK ||
			icp_name_from_stored(&name, node.name, node.name_length) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		uint64_t hash = icp_name_hash(node.name, node.name_length);
		if (name.labels < 2 || hash < previous || hash > high ||
			bucket[ICP_BUCKET_HEADER + i] != (uint8_t)hash ||
			(node.row_count == 0 && !node.below) || check_rows(&node) != ICP_EOK) {
			return ICP_EDAMAGED;
		}
		previous = hash;
		digests += one;
	}
	if (digest != NULL) {
		*digest = digests;
	}
	return ICP_EOK;
}

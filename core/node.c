/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/node.h"

#include <assert.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"

static uint16_t read_u16(const uint8_t *in)
{
	return (uint16_t)(in[0] | in[1] << 8);
}

static void write_u16(uint8_t *out, size_t value)
{
	out[0] = (uint8_t)value;
	out[1] = (uint8_t)(value >> 8);
}

uint64_t icp_name_hash(const uint8_t *wire, size_t length)
{
	return XXH3_64bits(wire, length);
}

static uint32_t checksum(const uint8_t *bucket, size_t length)
{
	return (uint32_t)XXH3_64bits(bucket + 4, length - 4);
}

static uint32_t stored_checksum(const uint8_t *bucket)
{
	return (uint32_t)read_u16(bucket) | (uint32_t)read_u16(bucket + 2) << 16;
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

void icp_bucket_encode(uint8_t *out, const icp_packed_node_t *nodes, size_t count)
{
	assert(count > 0 && count <= UINT16_MAX);
	uint8_t *fingerprints = out + ICP_BUCKET_HEADER;
	uint8_t *offsets = fingerprints + count;
	size_t at = icp_bucket_size(count, 0);

	write_u16(out + 4, count);
	for (size_t i = 0; i < count; i++) {
		assert(at <= UINT16_MAX);
		fingerprints[i] = (uint8_t)nodes[i].hash;
		write_u16(offsets + 2 * i, at);
		memcpy(out + at, nodes[i].data, nodes[i].length);
		at += nodes[i].length;
	}
	uint32_t sum = checksum(out, at);
	write_u16(out, sum & 0xffff);
	write_u16(out + 2, sum >> 16);
}

size_t icp_bucket_count(const uint8_t *bucket, size_t length)
{
	if (length < ICP_BUCKET_HEADER) {
		return 0;
	}
	size_t count = read_u16(bucket + 4);
	return icp_bucket_size(count, 0) < length ? count : 0;
}

static int node_at(
	const uint8_t *bucket, size_t length, size_t count, size_t position, icp_node_t *node)
{
	const uint8_t *offsets = bucket + ICP_BUCKET_HEADER + count;
	size_t start = read_u16(offsets + 2 * position);
	size_t end = position + 1 < count ? read_u16(offsets + 2 * (position + 1)) : length;

	if (end > length || start >= end || start < icp_bucket_size(count, 0)) {
		return ICP_EDAMAGED;
	}
	size_t name_length = bucket[start];
	size_t head = 1 + name_length + 2;
	if (end - start < head) {
		return ICP_EDAMAGED;
	}
	uint16_t rows = read_u16(bucket + start + 1 + name_length);
	*node = (icp_node_t){
		.name = bucket + start + 1,
		.name_length = (uint8_t)name_length,
		.rows = bucket + start + head,
		.rows_length = end - start - head,
		.row_count = rows & ICP_NODE_ROWS_MAX,
		.below = (rows & ICP_NODE_BELOW) != 0,
	};
	return ICP_EOK;
}

int icp_bucket_node(const uint8_t *bucket, size_t length, size_t position, icp_node_t *node)
{
	size_t count = icp_bucket_count(bucket, length);
	return position < count ? node_at(bucket, length, count, position, node) : ICP_EDAMAGED;
}

int icp_bucket_find(const uint8_t *bucket, size_t length, uint64_t hash, const uint8_t *name,
	size_t name_length, icp_node_t *node)
{
	size_t count = icp_bucket_count(bucket, length);
	if (count == 0) {
		return ICP_EDAMAGED;
	}
	const uint8_t *fingerprints = bucket + ICP_BUCKET_HEADER;
	const uint8_t *at = fingerprints;
	const uint8_t *end = fingerprints + count;

	while ((at = memchr(at, (uint8_t)hash, (size_t)(end - at))) != NULL) {
		int ret = node_at(bucket, length, count, (size_t)(at - fingerprints), node);
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

/*! Every row must decode, and together they must fill the node. */
static int check_rows(const icp_node_t *node)
{
	size_t at = 0;
	for (size_t i = 0; i < node->row_count; i++) {
		icp_row_t row;
		size_t octets = icp_row_decode(&row, node->rows + at, node->rows_length - at);
		if (octets == 0 || !icp_provider_valid(row.provider, row.provider_length)) {
			return ICP_EDAMAGED;
		}
		at += octets;
	}
	return at == node->rows_length ? ICP_EOK : ICP_EDAMAGED;
}

int icp_bucket_check(const uint8_t *bucket, size_t length, uint64_t low, uint64_t high)
{
	size_t count = icp_bucket_count(bucket, length);
	if (count == 0 || stored_checksum(bucket) != checksum(bucket, length)) {
		return ICP_EDAMAGED;
	}
	uint64_t previous = low;
	for (size_t i = 0; i < count; i++) {
		icp_node_t node;
		icp_name_t name;
		int ret = node_at(bucket, length, count, i, &node);
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
	}
	return ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The stored form of the index: nodes and the buckets they are packed in.
 *
 * Like a zone, the index has a node for every domain with rows and for every parent of it with at
 * least two labels (an empty non-terminal). A node says whether anything lies below it, so a
 * lookup walks down from the two-label parent and stops at the first name that is missing or has
 * nothing below: one probe for almost every name, with no public suffix list involved.
 *
 * Nodes are sorted by the hash of their name and packed into buckets that fill one database page.
 * A bucket's key is the highest hash in it, or UINT64_MAX for the last one, so the bucket of a
 * hash is the first whose key is not below it.
 *
 *   bucket  = checksum:u32 count:u16 low:u64 high:u64 fingerprint:u8[count] offset:u16[count]
 *             node[count]
 *   node    = checksum:u32 name_length:u8 name row_count:u15,below:u1 row[row_count]
 *                                                                      (u16, bit 15: below)
 *   row     = see icp_row_encode; by ascending provider
 *
 * Integers are little-endian. The bucket's checksum is the low half of XXH3-64 over what follows it
 * up to the first node; a node's is that over the rest of the node. Between them low and high, the
 * range of hashes that the bucket answers for, tell a bucket from every other of its generation. So
 * a lookup checks what it reads, and no more: a damaged bucket or one in the wrong place gives
 * ICP_EDAMAGED, not another answer. The fingerprint is the low octet of the hash. Offsets count
 * from the bucket's start. A bucket may be empty.
 *
 * Everything read from a bucket is checked against its length too; nothing is read outside. All
 * functions are pure.
 */
#pragma once

#include "core/name.h"
#include "core/row.h"

#define ICP_BUCKET_HEADER 22  /*!< Octets before the fingerprints. */
#define ICP_BUCKET_PER_NODE 7 /*!< Octets of fingerprint, offset and checksum. */
#define ICP_NODE_ROWS_MAX 0x7fff
#define ICP_NODE_BELOW 0x8000u /*!< Bit of the row count: there are nodes below this one. */

/*! A node as found; leads into the bucket. */
typedef struct {
	const uint8_t *name;
	const uint8_t *rows;
	size_t rows_length;
	uint16_t row_count;
	uint8_t name_length;
	bool below;
} icp_node_t;

/*! A node on its way into a bucket: all of it but the checksum. */
typedef struct {
	uint64_t hash;
	const uint8_t *data;
	size_t length;
} icp_packed_node_t;

/*! \brief The octets of a node as found, without its checksum. */
static inline const uint8_t *icp_node_octets(const icp_node_t *node, size_t *length)
{
	*length = (size_t)(node->rows + node->rows_length - (node->name - 1));
	return node->name - 1;
}

/*! \brief The hash that places a name; a part of the format. */
uint64_t icp_name_hash(const uint8_t *wire, size_t length);

/*! \brief Order of the names of one hash: by length, then by octets. */
int icp_stored_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);

/*! \brief Octets that a bucket of these sums needs. */
size_t icp_bucket_size(size_t node_count, size_t node_octets);

/*!
 * \brief Writes the head of a node: name, row count, flag. Rows follow it.
 * \param out  room for ICP_NAME_MAX + 3 octets
 * \return octets written
 */
size_t icp_node_encode_head(
	uint8_t *out, const uint8_t *name, size_t name_length, size_t row_count, bool below);

/*!
 * \brief Writes a bucket.
 * \param nodes      by ascending hash; all but the last begin below offset 65,536
 * \param low, high  the range of hashes that it answers for
 * \param out        room for icp_bucket_size octets
 * \return the sum of its nodes' digests, each the XXH3-64 whose low half is the checksum
 */
uint64_t icp_bucket_encode(
	uint8_t *out, const icp_packed_node_t *nodes, size_t count, uint64_t low, uint64_t high);

/*!
 * \brief Checks the head of a bucket.
 * \param count  of its nodes
 * \retval ICP_EOK, ICP_EDAMAGED
 */
int icp_bucket_open(const uint8_t *bucket, size_t length, size_t *count);

/*! \brief The lowest hash that a bucket answers for; only of one that icp_bucket_open found good.
 */
uint64_t icp_bucket_low(const uint8_t *bucket);

/*!
 * \brief Takes the node at a position, of a bucket that icp_bucket_open found good.
 * \retval ICP_EOK, ICP_EDAMAGED
 */
int icp_bucket_node(const uint8_t *bucket, size_t length, size_t position, icp_node_t *node);

/*!
 * \brief Finds a name.
 * \retval 1 found
 * \retval 0 not there
 * \retval ICP_EDAMAGED
 */
int icp_bucket_find(const uint8_t *bucket, size_t length, uint64_t hash, const uint8_t *name,
	size_t name_length, icp_node_t *node);

/*!
 * \brief Checks a bucket whole: checksums, range, order, names, rows.
 * \param low, high  what it must answer for
 * \param digest     the sum of its nodes' digests; may be NULL
 * \retval ICP_EOK, ICP_EDAMAGED
 */
int icp_bucket_check(
	const uint8_t *bucket, size_t length, uint64_t low, uint64_t high, uint64_t *digest);

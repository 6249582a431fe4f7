/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a generation says of itself: the database "meta", text keys and values in decimal, one entry
 * for each member below under its name, and "format", "source" and "seal".
 *
 * Each commit writes all of them anew. "seal" is the XXH3-64 of the others, in hexadecimal: of
 * each, by ascending key, the key and the value, both with a NUL behind.
 */
#pragma once

#include "core/pages.h"

#define ICP_STORE_FORMAT 2 /*!< Version of the format; another one is refused. */
#define ICP_STORE_META "meta"
#define ICP_STORE_BUCKETS "buckets"
#define ICP_STORE_DELTAS "deltas"
#define ICP_SOURCE_MAX 256 /*!< Octets of a feed's name, with its NUL. */

typedef struct {
	uint64_t generation;
	uint64_t sequence; /*!< Of the last delta. */
	uint64_t base;     /*!< Of the full feed that the generation was built of. */
	uint64_t rows;
	uint64_t nodes;
	uint64_t buckets;
	int64_t as_of;       /*!< Of the last manifest, but no time that was far ahead at its load;
				ICP_TIME_NONE without one. */
	int64_t created_at;  /*!< When it was built. */
	uint64_t commit;     /*!< LMDB's number of the transaction that wrote this. */
	uint64_t digest;     /*!< Sum of all nodes' digests; see node.h. */
	uint64_t map_size;   /*!< Octets of the environment's map. */
	uint64_t replaced;   /*!< The generation that was current before; 0: none. */
	uint64_t superseded; /*!< The generation that was made current in its place; 0: none. */
	char source[ICP_SOURCE_MAX]; /*!< Name of the last feed. */
} icp_store_info_t;

/*! \brief Seconds since as_of, or since it was built if that is not known; never negative. */
int64_t icp_info_age(const icp_store_info_t *info, int64_t now);

/*!
 * \brief Reads the entries of one commit, and checks that they are of this commit.
 * \retval ICP_EOK
 * \retval ICP_EDAMAGED
 * \retval ICP_EVERSION  of another format
 */
int icp_info_read(icp_store_info_t *info, const icp_pages_t *pages);

#define ICP_INFO_ENTRIES 16

typedef struct {
	const char *key;
	char value[ICP_SOURCE_MAX];
} icp_info_entry_t;

/*!
 * \brief The entries that say this, with their seal.
 * \return their number
 */
size_t icp_info_entries(const icp_store_info_t *info, icp_info_entry_t entries[ICP_INFO_ENTRIES]);

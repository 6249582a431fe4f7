/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Where the buckets of one commit lie: what LMDB's tree says of them, in eight octets each.
 *
 * A search in the tree touches two lines of one leaf among hundreds, which the buckets that pass
 * through the processor's caches drive out of them. The directory is a twentieth of their size, and
 * is searched in two lines. It knows nothing that the tree does not: what it can't say is to be
 * looked up there.
 *
 * Threads: may be shared by counting; the last reference frees it.
 */
#pragma once

#include "core/pages.h"

typedef struct icp_directory icp_directory_t;

/*!
 * \brief Reads a tree with integer keys, of which the last is UINT64_MAX, but no page of data.
 * \return with one reference; NULL: out of memory, damaged, of more than 2^28 pages, or keys that
 *         are not spread as hashes are
 */
icp_directory_t *icp_directory_make(const icp_pages_t *pages, const icp_tree_t *tree);

icp_directory_t *icp_directory_ref(icp_directory_t *directory);

/*! \brief Gives a reference back; NULL is fine. */
void icp_directory_unref(icp_directory_t *directory);

/*! \brief The commit that it is of. */
uint64_t icp_directory_txn(const icp_directory_t *directory);

/*! Where data lies. */
typedef struct {
	uint64_t page; /*!< The first of its pages. */
	size_t size;   /*!< In octets. */
} icp_extent_t;

/*!
 * \brief Finds the first entry whose key is not below a number.
 * \return false: only the tree can say
 */
bool icp_directory_find(const icp_directory_t *directory, uint64_t key, icp_extent_t *extent);

/*!
 * \brief Likewise, and guesses where in the data that lies which belongs to the key.
 * \param near  octets before it, as far as keys lie at equal distances; below the size
 */
bool icp_directory_guess(
	const icp_directory_t *directory, uint64_t key, icp_extent_t *extent, size_t *near);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The pages of an LMDB environment, read without LMDB.
 *
 * LMDB believes every number in its file: a damaged one makes it read outside the map or abort. So
 * the resolver and the tools take from LMDB the slot that keeps their snapshot from being
 * overwritten, and read the pages of that snapshot here, where each number is checked before it is
 * used. The layout is that of LMDB's data version 1 (lmdb 0.9) with 64-bit numbers in the machine's
 * order of octets.
 *
 *   environment = meta page, meta page, page...     the commits take turns on the two meta pages
 *   meta page   = header, magic:u32 version:u32 address:u64 map_size:u64
 *                 tree (of free pages) tree (main) last_page:u64 txn:u64
 *   tree        = pad:u32 flags:u16 depth:u16 branch_pages:u64 leaf_pages:u64 overflow_pages:u64
 *                 entries:u64 root:u64
 *   header      = number:u64 pad:u16 flags:u16, then lower:u16 upper:u16 or pages:u32
 *   node        = low:u16 high:u16 flags:u16 key_size:u16 key, data or number of a page
 *
 * Pages have no checksums. What is said here of damage holds for numbers that lead astray; that a
 * page holds what it should is for its user to check.
 *
 * Threads: all functions but the walk's, which changes the walk, are pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICP_PAGES_META_SIZE 152   /*!< Octets of a meta page that are read. */
#define ICP_PAGES_DEPTH_MAX 32    /*!< Levels of a tree; LMDB's own limit. */
#define ICP_PAGES_NONE UINT64_MAX /*!< Root of an empty tree. */

typedef struct {
	uint64_t branch_pages;
	uint64_t leaf_pages;
	uint64_t overflow_pages;
	uint64_t entries;
	uint64_t root;
	uint16_t depth;
	bool integer_keys;
} icp_tree_t;

/*! \brief How many pages a tree says that it has. */
static inline uint64_t icp_tree_pages(const icp_tree_t *tree)
{
	return tree->branch_pages + tree->leaf_pages + tree->overflow_pages;
}

/*! One commit, as a meta page describes it. */
typedef struct {
	const uint8_t *map; /*!< Of the file; the caller's. */
	uint64_t count;     /*!< Pages of the map that may be read. */
	uint64_t last;      /*!< Number of the last page that the commit knows of. */
	uint64_t map_size;  /*!< Octets that a map has to have. */
	uint64_t txn;
	uint32_t page_size;
	icp_tree_t free;
	icp_tree_t main;
} icp_pages_t;

/*! An entry of a tree; leads into the map. */
typedef struct {
	const uint8_t *key;
	const uint8_t *data;
	size_t key_size;
	size_t data_size;
	uint64_t overflow; /*!< First of the pages that hold the data; 0: it lies in the leaf. */
	uint64_t overflow_count; /*!< They, at least; see icp_page_overflow. */
	bool is_tree;            /*!< The data is another tree's description. */
} icp_entry_t;

/*!
 * \brief Reads a meta page.
 * \param octets     ICP_PAGES_META_SIZE octets, which nobody changes meanwhile
 * \param slot       0 or 1
 * \param file_size  octets; pages beyond it can't be read
 * \param pages      filled but for map
 * \retval ICP_EOK, ICP_EDAMAGED
 * \retval ICP_EVERSION  of another version of LMDB's format
 */
int icp_pages_meta(icp_pages_t *pages, const uint8_t *octets, unsigned slot, uint64_t file_size);

/*!
 * \brief Finds a named database.
 * \retval 1 found
 * \retval 0 not there
 * \retval ICP_EDAMAGED
 */
int icp_pages_tree(const icp_pages_t *pages, const char *name, icp_tree_t *tree);

/*! \brief Reads the description of a tree. \retval ICP_EOK, ICP_EDAMAGED */
int icp_tree_read(icp_tree_t *tree, const uint8_t *octets, size_t size);

/*!
 * \brief Finds the first entry whose key is not below a number, in a tree with integer keys.
 * \retval 1 found
 * \retval 0 all keys are below it
 * \retval ICP_EDAMAGED
 */
int icp_pages_find(
	const icp_pages_t *pages, const icp_tree_t *tree, uint64_t key, icp_entry_t *entry);

/*! \brief The key of an entry of a tree with integer keys. */
uint64_t icp_entry_number(const icp_entry_t *entry);

/*! A way through all entries of a tree, by ascending key. */
typedef struct {
	const icp_pages_t *pages;
	const uint8_t *path[ICP_PAGES_DEPTH_MAX]; /*!< Pages from the root down. */
	uint16_t nodes[ICP_PAGES_DEPTH_MAX];      /*!< On each. */
	uint16_t at[ICP_PAGES_DEPTH_MAX];         /*!< Next node on each. */
	uint64_t next;                            /*!< Root that is still to be entered. */
	uint64_t left;                            /*!< Pages that a sound tree may still have. */
	uint16_t depth;
	uint16_t level; /*!< Pages on the path. */
} icp_pages_walk_t;

/*! \brief Begins before the first entry. pages must outlive the walk; the tree is copied. */
void icp_pages_walk(icp_pages_walk_t *walk, const icp_pages_t *pages, const icp_tree_t *tree);

/*!
 * \brief Gives the next entry.
 * \retval 1 an entry
 * \retval 0 the end
 * \retval ICP_EDAMAGED
 */
int icp_pages_walk_next(icp_pages_walk_t *walk, icp_entry_t *entry);

/*! \brief The same, but nothing of what lies outside the leaf is read: data has to be looked up with
 * icp_pages_data. */
int icp_pages_walk_key(icp_pages_walk_t *walk, icp_entry_t *entry);

/*!
 * \brief Finds data that lies on pages of its own.
 * \param number  of the first of them
 * \param size    octets
 * \param entry   its data is set, and what is said of its pages
 * \retval ICP_EOK, ICP_EDAMAGED
 */
int icp_pages_data(const icp_pages_t *pages, uint64_t number, size_t size, icp_entry_t *entry);

/*!
 * \brief Checks that the trees of a commit hang together: order and bounds of all keys, each page
 *        in one place and of its kind, the nodes filling their page, the numbers of pages and
 *        entries, the list of free pages. LMDB can work on such an environment without harm. Data
 *        is not looked at, nor its size but for that of its node or pages; nor a key, as long as
 *        it is in order.
 * \param whole  also the heads of pages that hold data alone; these are most of all pages
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_pages_check(const icp_pages_t *pages, bool whole);

/*!
 * \brief Checks that each key of a branch is the first one below it, which is so in a tree of which
 *        nothing was ever deleted. Another one between its neighbours leads nobody astray.
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_pages_check_keys(const icp_pages_t *pages, const icp_tree_t *tree);

/* For pages_check.c. */

enum { ICP_PAGE_BRANCH = 1, ICP_PAGE_LEAF = 2, ICP_PAGE_OVERFLOW = 4 };
enum { ICP_PAGE_HEADER = 16, ICP_PAGE_AT_UPPER = 14, ICP_NODE_HEADER = 8 };

#define ICP_PAGE_SIZE_MAX 32768 /*!< LMDB's own limit. */

/*! \brief A page of the kind; NULL when it is none. nodes: those on it. */
const uint8_t *icp_page_at(
	const icp_pages_t *pages, uint64_t number, unsigned kind, unsigned *nodes);

/*! \brief Reads a node of a branch page. \retval ICP_EOK, ICP_EDAMAGED */
int icp_page_branch(const icp_pages_t *pages, const uint8_t *page, unsigned position,
	icp_entry_t *key, uint64_t *child);

/*! \brief Reads a node of a leaf page, but no page of its data. \retval ICP_EOK, ICP_EDAMAGED */
int icp_page_leaf(
	const icp_pages_t *pages, const uint8_t *page, unsigned position, icp_entry_t *entry);

/*! \brief Checks the head of the data's own pages, if it has any. \retval ICP_EOK, ICP_EDAMAGED */
int icp_page_overflow(const icp_pages_t *pages, icp_entry_t *entry);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The store, read side.
 *
 *   STORE/current                    symbolic link to the current generation, replaced by rename
 *   STORE/generations/NNNNNNNNNN.mdb one LMDB environment each, and its -lock file beside it
 *   STORE/lock                       held by the loader that writes
 *
 * An environment holds three named databases: "meta" (text, see info.h), "buckets" (integer keys,
 * see node.h) and "deltas" (integer keys: sequences; the changes of each delta since the full feed,
 * in the loader's form, with their XXH3-64 in front). A process opens an environment at most once
 * (LMDB's rule): keep the icp_store_t, share it by counting, and ask icp_store_is_current before
 * opening again.
 *
 * Readers take from LMDB what keeps a commit's pages from being used anew, and read the pages
 * themselves (see pages.h). Whatever the file holds, a reader gets the rows of one commit, or
 * ICP_EDAMAGED. One kind of damage only icp_reader_verify can find: the number of a page of buckets
 * that became by chance that of an older page of the same buckets.
 *
 * A process that may not write has no slot in LMDB's lock file, and nothing keeps its commit's
 * pages. They are overwritten by the transaction after the next one at the earliest. So it reads,
 * and then asks icp_reader_holds whether the commit is still the last one: if not, what was read is
 * void.
 *
 * The file may also lose pages while it is read. Callers that must live on read inside a section of
 * fault.h, and call icp_store_spoil when something happened there.
 *
 * A writer must not enlarge the map of an environment, which its builder makes large enough for
 * the deltas to come: readers would have to be stopped to follow.
 *
 * Threads: an icp_store_t may be shared; an icp_reader_t belongs to one thread.
 */
#pragma once

#include "core/error.h"
#include "core/info.h"
#include "core/node.h"

#define ICP_STORE_READERS 1022 /*!< Reader slots in the lock file. */
#define ICP_STORE_CURRENT "current"
#define ICP_STORE_GENERATIONS "generations"

typedef struct icp_store icp_store_t;

/*! Rows found by icp_reader_find; grows, is reused, and belongs to its reader. */
typedef struct {
	icp_row_t *items;
	size_t count;
	size_t capacity;
} icp_rows_t;

typedef struct icp_reader {
	icp_store_t *store; /*!< Counted. */
	struct MDB_txn *txn;
	icp_pages_t pages;               /*!< Of the last snapshot. */
	icp_tree_t buckets;              /*!< Likewise. */
	icp_tree_t deltas;               /*!< Likewise. */
	struct icp_directory *directory; /*!< Of the buckets, counted; NULL: none yet. */
	uint64_t searches;               /*!< Of the tree, in want of one. */
	icp_store_info_t info;           /*!< Of the last snapshot; valid while one is held. */
	icp_rows_t rows;
} icp_reader_t;

/*!
 * \brief Opens the current generation of a store.
 * \retval ICP_EOK
 * \retval ICP_ENOSTORE  no current generation
 * \retval ICP_EVERSION  another format
 * \retval ICP_EDAMAGED  not an environment, truncated, or its own entries contradict each other
 * \retval ICP_ESYS      no permission, no memory map
 * \retval ICP_ENOMEM
 */
int icp_store_open(icp_store_t **store, const char *directory, icp_diag_t *diag);

/*! \brief Opens one generation by its file; otherwise as icp_store_open. */
int icp_store_open_file(icp_store_t **store, const char *path, icp_diag_t *diag);

/*!
 * \brief As icp_store_open, for a process that may not write: its readers take no slot, and must
 * ask icp_reader_holds about what they read.
 */
int icp_store_open_slotless(icp_store_t **store, const char *directory, icp_diag_t *diag);

/*! \brief Likewise, one generation by its file. */
int icp_store_open_file_slotless(icp_store_t **store, const char *path, icp_diag_t *diag);

/*!
 * \brief Opens a generation by its file to write to it too, by icp_store_env. Only with the store's
 *        lock held.
 * \param sync  false: commits are not brought to the disk, for a file that nobody knows of yet
 * \retval as icp_store_open_file
 */
int icp_store_open_writable(icp_store_t **store, const char *path, bool sync, icp_diag_t *diag);

/*! \brief LMDB's environment, of a store that was opened to be written to. */
struct MDB_env *icp_store_env(icp_store_t *store);

icp_store_t *icp_store_ref(icp_store_t *store);

/*! \brief Gives a reference back; NULL is fine. The last one closes; no reader may be left. */
void icp_store_unref(icp_store_t *store);

/*! \brief True when the store's "current" still leads to this generation. */
bool icp_store_is_current(const icp_store_t *store);

/*! \brief From now on its readers get ICP_EDAMAGED: the file lost pages that were mapped. */
void icp_store_spoil(icp_store_t *store);

/*!
 * \brief From now on what a reader touches that is not in memory is read in pieces of 2 MiB, which
 *        the kernel maps as huge pages where it can; or no longer. For who reads all of it: for a
 *        single name that would be much to wait for. The file should be open for writing the while,
 *        see loader/reread.c. Without effect where the kernel knows no huge pages.
 */
void icp_store_read_large(icp_store_t *store, bool large);

/*! Who reads a generation. */
typedef struct {
	unsigned slots; /*!< Taken by readers, of all processes. */
	unsigned held;  /*!< Of these, with a snapshot at this moment. */
	unsigned stale; /*!< Of these, with one of an older commit: its pages can't be used anew. */
} icp_readers_t;

/*! \brief Looks who reads the generation. \retval ICP_EOK, ICP_ESYS */
int icp_store_readers(icp_store_t *store, icp_readers_t *readers);

/*! \brief Size of the generation's file in octets. */
uint64_t icp_store_size(const icp_store_t *store);

/*!
 * \brief Makes a reader; takes a reference to the store. No snapshot is held yet.
 * \retval ICP_EOK, ICP_ENOMEM, ICP_ESYS  (no reader slot free)
 */
int icp_reader_init(icp_reader_t *reader, icp_store_t *store, icp_diag_t *diag);

/*! \brief Frees the reader; a zeroed one is fine. */
void icp_reader_deinit(icp_reader_t *reader);

/*!
 * \brief Takes a snapshot; everything read until icp_reader_end is of one commit.
 * \retval ICP_EOK, ICP_ESYS, ICP_EDAMAGED, ICP_EVERSION
 */
int icp_reader_begin(icp_reader_t *reader);

/*! \brief True when there was no commit since the reader's last snapshot. Needs none. */
bool icp_reader_is_latest(const icp_reader_t *reader);

/*!
 * \brief True when what was read of the snapshot so far is of its commit. That is always so where
 *        readers have slots; without one, as long as there was no commit since. What is read
 *        afterwards has to be asked about again, so copy first.
 */
bool icp_reader_holds(const icp_reader_t *reader);

/*! \brief Gives the snapshot back. Rows, nodes and infos read from it are void from here. */
void icp_reader_end(icp_reader_t *reader);

/*!
 * \brief Opens one generation by its file, with one reader that holds a snapshot.
 * \retval those of icp_store_open_file, icp_reader_init and icp_reader_begin
 */
int icp_reader_open(icp_reader_t *reader, const char *path, icp_diag_t *diag);

/*! \brief The same with the current generation of a store. */
int icp_reader_open_current(icp_reader_t *reader, const char *directory, icp_diag_t *diag);

/*! \brief Ends the snapshot and the reader, and with it the store that icp_reader_open opened. */
void icp_reader_close(icp_reader_t *reader);

/*!
 * \brief Lets the processor fetch what icp_reader_find will read first, as far as that is known;
 * for callers who have other work to do meanwhile. Needs no snapshot.
 */
void icp_reader_expect(const icp_reader_t *reader, const icp_name_t *name);

/*!
 * \brief Collects the rows of a name and of its parents into reader->rows, top down.
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_reader_find(icp_reader_t *reader, const icp_name_t *name);

/*!
 * \brief Finds one node by its stored name.
 * \retval 1 found
 * \retval 0 not there
 * \retval ICP_EDAMAGED
 */
int icp_reader_find_node(
	icp_reader_t *reader, const uint8_t *name, size_t name_length, icp_node_t *node);

/*! Called with a bucket and its key; anything but ICP_EOK ends the walk. */
typedef int (*icp_bucket_visit_t)(
	uint64_t key, const uint8_t *bucket, size_t length, void *context);

/*!
 * \brief Calls visit for every bucket, by ascending key.
 * \return what visit returned last, or ICP_EDAMAGED
 */
int icp_reader_each_bucket(icp_reader_t *reader, icp_bucket_visit_t visit, void *context);

/*! A way through all nodes of a snapshot, by ascending hash, those of one hash by name. */
typedef struct {
	icp_pages_walk_t pages;
	const uint8_t *bucket;
	size_t length;
	size_t count;
	size_t at;
} icp_walk_t;

/*! \brief Begins before the first node. The reader must hold its snapshot as long as it is used. */
void icp_walk_begin(icp_walk_t *walk, icp_reader_t *reader);

/*!
 * \brief Gives the next node.
 * \retval 1 a node
 * \retval 0 the end
 * \retval ICP_EDAMAGED
 */
int icp_walk_next(icp_walk_t *walk, icp_node_t *node);

/*!
 * \brief Finds what is kept of a delta.
 * \retval 1 found; data leads into the snapshot
 * \retval 0 not there
 * \retval ICP_EDAMAGED
 */
int icp_reader_delta(icp_reader_t *reader, uint64_t sequence, const uint8_t **data, size_t *length);

/*!
 * \brief Decodes all rows of a node, domain included, into reader->rows (added at its end).
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_reader_rows(icp_reader_t *reader, const icp_node_t *node);

/*!
 * \brief Checks the whole generation: every page in use, buckets, order, every row, counts,
 * parents, deltas. \param diag  says what is wrong first \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_reader_verify(icp_reader_t *reader, icp_diag_t *diag);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Which names were counted most: a sketch of fixed size after the Space-Saving algorithm (Metwally,
 * Agrawal, El Abbadi: Efficient Computation of Frequent and Top-k Elements in Data Streams, 2005).
 *
 * A sketch is a part of a file that other processes read while it is written, so it holds neither
 * pointers nor locks. It consists of sets, and a name belongs to one of them by its hash. A set
 * counts so many names; when one more comes, it takes the place of that with the lowest count, and
 * goes on from there. So for each set, and whatever came:
 *   - a name that is listed was counted at most `count` and at least `count - error` times;
 *   - a name that is not listed was counted at most as often as the lowest count of its set, which
 *     is 0 while a place is free, and never more than the set's part of the total / ICP_TOP_WAYS.
 *
 * Several sketches, each with one writer, are merged set by set. A sketch that does not list a name
 * may still have counted it as often as the lowest count of its set; that much is added to the
 * name's count and to its error. So the merged count and error keep the promise above, and `bound`
 * is the most that any name can have been counted that is not in the merged list.
 *
 * A sketch begins anew when its turn changes: each set by itself, when next it is written to.
 * Sets of another turn are empty for the reader.
 *
 * Threads: one writer for each sketch, any number of readers, in any process.
 */
#pragma once

#include <stdatomic.h>
#include <sys/types.h>

#include "core/error.h"
#include "core/name.h"

#define ICP_TOP_SETS 32 /*!< Power of two. */
#define ICP_TOP_WAYS 16
#define ICP_TOP_NAME_WORDS 32                 /*!< Length octet and wire form, in 64-bit words. */
#define ICP_TOP_COUNT_MAX (UINT64_C(1) << 52) /*!< More than can ever be counted. */

/*! One set. The layout is a part of the format of the file. */
typedef struct {
	_Alignas(64) _Atomic uint64_t sequence; /*!< Odd while places or turn change. */
	_Atomic uint64_t turn;
	_Alignas(64) _Atomic uint64_t hash[ICP_TOP_WAYS];
	_Atomic uint64_t count[ICP_TOP_WAYS]; /*!< 0: the place is free. */
	_Atomic uint64_t error[ICP_TOP_WAYS];
	_Atomic uint64_t name[ICP_TOP_WAYS][ICP_TOP_NAME_WORDS];
} icp_top_set_t;

/*! A sketch; zeroed memory is an empty one of turn 0. */
typedef struct {
	icp_top_set_t sets[ICP_TOP_SETS];
} icp_top_t;

_Static_assert(sizeof(_Atomic uint64_t) == 8 && ATOMIC_LLONG_LOCK_FREE == 2, "shared by processes");
_Static_assert(sizeof(icp_top_set_t) == 64 + 3 * 128 + 16 * 256, "format of the file");

/*!
 * \brief Counts a name once.
 * \param turn  if it is not that of the name's set, the set begins anew
 * \param wire, length  a name's wire form, or a suffix of it; at most ICP_NAME_MAX octets
 */
void icp_top_add(icp_top_t *top, uint64_t turn, const uint8_t *wire, size_t length);

typedef struct {
	icp_name_t domain;
	uint64_t count; /*!< Counted at most so often. */
	uint64_t error; /*!< And at least so much less. */
} icp_top_entry_t;

/*! What merging gives. Zeroed, it is empty. */
typedef struct {
	icp_top_entry_t *items;
	size_t count;
	size_t capacity;
	uint64_t bound; /*!< A name that is not among the items was counted at most so often. */
} icp_top_list_t;

/*!
 * \brief Reads octets of the file in which the sketches are.
 * \return anything but ICP_EOK ends the reading
 */
typedef int (*icp_top_fetch_t)(void *context, off_t at, void *out, size_t length);

/*!
 * \brief Takes a copy of a set at one moment of its life.
 * \param at        where the set begins
 * \param patience  milliseconds to wait for a writer that is in the midst of a change; what was
 *                  waited is taken off
 * \retval ICP_EOK
 * \retval ICP_EBUSY  no patience left; that writer may have been killed
 * \return else what fetch returned
 */
int icp_top_copy(
	icp_top_set_t *set, icp_top_fetch_t fetch, void *context, off_t at, unsigned *patience);

/*!
 * \brief Adds to a list what the sketches hold in one set. Each set is to be added once.
 * \param sets   of each sketch that set; those of another turn count as empty
 * \param index  of the set
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_top_merge(icp_top_list_t *list, const icp_top_set_t *sets, size_t set_count, size_t index,
	uint64_t turn);

/*! \brief Brings the items into order: by count, the highest first, then by error, then by name. */
void icp_top_sort(icp_top_list_t *list);

/*! \brief Frees the items; a zeroed list is fine. */
void icp_top_deinit(icp_top_list_t *list);

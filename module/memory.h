/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A thread's memory of verdicts that block, so that a name that is asked for again and again is not
 * judged, nor its message copied, each time.
 *
 * A verdict holds while what it rests on is the same: the message that was judged, which is told
 * from every other by what it consists of, the commit of the store, the range database, and the
 * time up to which the rows say the same.
 *
 * A fixed number of slots, each taken by whoever comes last; nothing is allocated after the start.
 * One thread.
 */
#pragma once

#include "core/gate.h"

#define ICP_MEMORY_SLOTS 65536 /*!< A power of two; of 64 octets each. */

typedef struct icp_memory icp_memory_t;

/*! A verdict. */
typedef struct {
	uint64_t message;  /*!< What the message consists of; see icp_cached_t. */
	icp_stamp_t stamp; /*!< What it rests on. */
	int64_t until;     /*!< First second at which it may be another. */
	enum icp_reason reason;
	uint8_t covering; /*!< Labels of the nearest domain that has a row; 0: none. */
} icp_memory_item_t;

/*! \return NULL when out of memory */
icp_memory_t *icp_memory_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_memory_destroy(icp_memory_t *memory);

/*!
 * \brief A number that stands for a question.
 * \param checking_disabled  such questions are cached for themselves
 */
uint64_t icp_memory_key(const icp_name_t *name, uint16_t type, bool checking_disabled);

/*! \brief What is remembered under a key, perhaps of another question; NULL: nothing. */
const icp_memory_item_t *icp_memory_find(const icp_memory_t *memory, uint64_t key);

/*! \brief Remembers a verdict in place of whatever has its slot. */
void icp_memory_put(icp_memory_t *memory, uint64_t key, const icp_memory_item_t *item);

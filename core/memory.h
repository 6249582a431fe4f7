/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a thread remembers of its judgements.
 *
 * A judgement holds while what it rests on is the same: the commit of the store, the range
 * database, and the time up to which the rows say the same. Whoever takes one out has to see to
 * that.
 *
 * A fixed number of slots, four for each key to choose from; nothing is allocated after the start.
 * One thread.
 */
#pragma once

#include "core/verdict.h"

#define ICP_MEMORY_SLOTS 65536 /*!< A power of two; of 64 octets each. */
#define ICP_MEMORY_RULINGS 8   /*!< Judgements of more addresses are not remembered. */

typedef struct icp_memory icp_memory_t;

/*! What a judgement rests on beside name, addresses and time. Those of one seat that rest on the
 * same come to the same. */
typedef struct {
	uint64_t generation; /*!< 0: the store was not asked, or can't be read. */
	uint64_t commit;
	unsigned version; /*!< Grows when the generation or the range database is replaced. */
} icp_stamp_t;

static inline bool icp_stamp_equal(const icp_stamp_t *a, const icp_stamp_t *b)
{
	return a->generation == b->generation && a->commit == b->commit && a->version == b->version;
}

/*! A judgement. */
typedef struct {
	icp_stamp_t stamp;
	int64_t until;  /*!< First second at which it may be another. */
	uint64_t about; /*!< For the user of the key, to tell what it was about; else 0. */
	uint8_t verdict;
	uint8_t reason;
	uint8_t covering;                    /*!< As in icp_judgement_t. */
	uint8_t count;                       /*!< Of rulings. */
	uint8_t rulings[ICP_MEMORY_RULINGS]; /*!< See icp_ruling_pack. */
} icp_memory_item_t;

/*! \return NULL when out of memory */
icp_memory_t *icp_memory_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_memory_destroy(icp_memory_t *memory);

/*!
 * \brief A number that stands for a name and what else belongs to the question.
 * \param more, length  of octets, as they are
 */
uint64_t icp_memory_key(const icp_name_t *name, const void *more, size_t length);

/*! \brief What is remembered under a key; NULL: nothing. Lives until the next icp_memory_put. */
const icp_memory_item_t *icp_memory_find(const icp_memory_t *memory, uint64_t key);

/*! \brief Remembers a judgement, in place of another one if need be. */
void icp_memory_put(icp_memory_t *memory, uint64_t key, const icp_memory_item_t *item);

/*! \brief A ruling in an octet. */
static inline uint8_t icp_ruling_pack(const icp_ruling_t *ruling)
{
	return (uint8_t)(ruling->reason | ruling->verdict << 4 | (ruling->gated ? 1U << 5 : 0) |
			 ruling->warnings << 6);
}

static inline icp_ruling_t icp_ruling_unpack(uint8_t packed)
{
	return (icp_ruling_t){
		.reason = (enum icp_reason)(packed & 0xf),
		.verdict = (enum icp_verdict)(packed >> 4 & 1),
		.gated = (packed >> 5 & 1) != 0,
		.warnings = packed >> 6,
	};
}

_Static_assert(ICP_REASON_COUNT <= 16 && ICP_WARN_LICENCE_ADDRESS_MISMATCH < 4, "fit in an octet");

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a thread remembers of its judgements.
 *
 * A judgement holds while what it rests on is the same: the commit of the store, and the range
 * database. One that time alone may end is not remembered, nor one with rulings that differ.
 *
 * A fixed number of slots, four for each key to choose from; nothing is allocated after the start.
 * What was asked for again stays longer than what was not. Keys are hashes under a seed by lot, so
 * nobody can make two names that share one; of 80 bits in effect, so that it does not happen. One
 * thread.
 */
#pragma once

#include "core/verdict.h"

#define ICP_MEMORY_SLOTS 262144 /*!< A power of two; of 16 octets each. */
#define ICP_MEMORY_MORE_MAX 136 /*!< Octets of what else belongs to a question: 8 addresses. */

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

/*! Stands for a name and what else belongs to the question. */
typedef struct {
	uint64_t tag;
	uint64_t place;
} icp_memory_key_t;

/*! A judgement. */
typedef struct {
	uint8_t ruling;   /*!< That of every address; see icp_ruling_pack. */
	uint8_t covering; /*!< As in icp_judgement_t. */
} icp_memory_item_t;

/*! \return NULL when out of memory */
icp_memory_t *icp_memory_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_memory_destroy(icp_memory_t *memory);

/*!
 * \brief Whether a question may have a key: XXH3 lets a seed take part in what it makes of up to
 * 240 octets as one would wish, but not of more. \param length  of what else belongs to it
 */
static inline bool icp_memory_takes(const icp_name_t *name, size_t length)
{
	return length <= ICP_MEMORY_MORE_MAX && name->length + 1 + length <= 240;
}

/*!
 * \brief The key of a question that icp_memory_takes.
 * \param more, length  of octets, as they are
 */
icp_memory_key_t icp_memory_key(
	const icp_memory_t *memory, const icp_name_t *name, const void *more, size_t length);

/*!
 * \brief What is remembered under a key and rests on the same.
 * \param stamp  with generation 0: of a judgement that the store was not asked for
 * \return lives until the next icp_memory_put; NULL: nothing
 */
const icp_memory_item_t *icp_memory_find(
	icp_memory_t *memory, icp_memory_key_t key, const icp_stamp_t *stamp);

/*! \brief Remembers a judgement, in place of another one if need be. */
void icp_memory_put(icp_memory_t *memory, icp_memory_key_t key, const icp_stamp_t *stamp,
	const icp_memory_item_t *item);

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

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What memory.c and its test share.
 */
#pragma once

#include "core/memory.h"

#define ICP_MEMORY_WAYS 4 /*!< Slots that a key may have: a cache line of them. */

typedef struct {
	uint64_t tag;
	uint32_t age; /*!< Of what it rests on; 0: free. */
	icp_memory_item_t item;
	uint8_t used; /*!< Since others were to go. */
} icp_memory_slot_t;

_Static_assert(sizeof(icp_memory_slot_t) * ICP_MEMORY_WAYS == 64, "the ways fill a cache line");

/*! What judgements of one kind rest on, and its age: a number that no other had. */
typedef struct {
	icp_stamp_t stamp;
	uint32_t age;
} icp_memory_basis_t;

struct icp_memory {
	icp_memory_slot_t *slots;
	uint64_t seed;
	icp_memory_basis_t with_store;
	icp_memory_basis_t without_store; /*!< Its stamp has generation 0. */
	uint32_t last_age;
	unsigned turn; /*!< Which of a key's slots goes next. */
};

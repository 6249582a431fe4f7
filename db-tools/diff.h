/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What icpgate diff found, and how it is written. One thread.
 */
#pragma once

#include "db-tools/rehearsal.h"
#include "db-tools/replay.h"
#include "db-tools/state.h"
#include "db-tools/tools.h"
#include "loader/guard.h"
#include "loader/slab.h"

/*! A pair whose permission flips; all that its pointers lead to belongs to the difference. */
typedef struct {
	const uint8_t *domain; /*!< Stored name. */
	const char *provider;
	const char *from; /*!< Status, or "none". */
	const char *to;
	uint8_t domain_length;
	uint8_t provider_length;
	bool gained; /*!< Else lost. */
} icp_flip_t;

typedef struct {
	icp_state_t a;
	icp_state_t b;
	icp_replay_t *replay; /*!< NULL: a has no deltas that a full load of b would apply. */
	uint64_t replayed;    /*!< How many it has. */
	int64_t at;
	uint64_t added; /*!< Rows. */
	uint64_t removed;
	uint64_t changed;
	icp_guard_t guard;
	bool listed; /*!< The pairs are collected. */
	icp_flip_t *flips;
	size_t flip_count;
	size_t flip_capacity;
	icp_slab_t slab;
	icp_rehearsal_t *rehearsal; /*!< NULL: no names were given. */
	icp_judge_t judge;
} icp_difference_t;

/*!
 * \brief Writes it to stdout as text.
 * \retval ICP_EOK, ICP_ENOMEM, ICP_EDAMAGED
 */
int icp_difference_print(icp_difference_t *difference);

/*! \brief The same as one JSON object. */
int icp_difference_print_json(icp_difference_t *difference);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The entities that a delta deregisters, and which rows are theirs: those with an entity's number,
 * and those of its sites, with a hyphen and digits behind it. One thread.
 */
#pragma once

#include "loader/changes.h"

typedef struct {
	const char *text;
	size_t length;
} icp_entity_t;

/*! Begins zeroed. */
typedef struct {
	icp_entity_t *items; /*!< By ascending octets. */
	size_t count;
} icp_entities_t;

/*!
 * \brief Collects the entities of all changes; they lead into these.
 * \param entities  zeroed; freed with icp_entities_deinit
 * \retval ICP_EOK, ICP_ENOMEM, ICP_EDAMAGED
 */
int icp_entities_collect(icp_entities_t *entities, const icp_changes_t *changes);

void icp_entities_deinit(icp_entities_t *entities);

/*! \brief True when a row is of one of them. */
bool icp_entities_hold(const icp_entities_t *entities, const icp_row_t *row);

/*! \brief True when a row is of this entity. */
bool icp_entity_holds(const icp_row_t *entity, const icp_row_t *row);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The guard of a full feed: how many permissions would be lost and gained, by whom, and whether
 * that is too many. It counts what icp_compare tells it. One thread.
 *
 * A permission is a (domain, provider) pair whose row permits now, by icp_row_permits.
 */
#pragma once

#include "core/verdict.h"
#include "loader/compare.h"
#include "loader/groups.h"

#define ICP_GUARD_LOST 100           /*!< So many may always be lost. */
#define ICP_MAX_LOST_PERCENT 1000000 /*!< One percent in an icp_max_lost_t. */
#define ICP_MAX_LOST_DEFAULT 1000000 /*!< 1% */
#define ICP_STATUS_NONE "none"       /*!< Stands for the status of a row that is not there. */

/*! The share of the permissions that may be lost: millionths of a percent. */
typedef uint32_t icp_max_lost_t;

typedef struct {
	enum icp_verdict rectify_overdue;
	int64_t now;
	icp_nodes_t before; /*!< That icp_guard_watch passes on. */
	uint64_t have;      /*!< Permissions before. */
	uint64_t lost;
	uint64_t gained;
	icp_groups_t lost_by_provider;
	icp_groups_t lost_by_status; /*!< By the status after. */
	icp_groups_t gained_by_provider;
	icp_groups_t gained_by_status; /*!< By the status after. */
} icp_guard_t;

/*!
 * \brief Begins with nothing counted.
 * \param rectify_overdue  of the configuration; ICP_PASS without one
 * \param now              seconds
 */
void icp_guard_init(icp_guard_t *guard, enum icp_verdict rectify_overdue, int64_t now);

/*! \brief Frees it. */
void icp_guard_deinit(icp_guard_t *guard);

/*!
 * \brief Passes on the nodes of the state before and counts their permissions as they go by. Give
 *        what it returns to icp_compare in their place.
 * \return next gives ICP_EDAMAGED too, for a node that holds what is no row
 */
icp_nodes_t icp_guard_watch(icp_guard_t *guard, icp_nodes_t before);

/*!
 * \brief Counts one pair that differs. Its signature is that of icp_compare_visit_t.
 * \param context  the guard
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_guard_add(const icp_row_t *before, const icp_row_t *after, void *context);

/*! \brief The status of a row in words; "none" for NULL. */
const char *icp_guard_status(const icp_row_t *row);

/*!
 * \brief Reads a percentage: 0 to 100, with up to six digits after the point, and perhaps a "%".
 * \retval ICP_EOK, ICP_EINVAL
 */
int icp_max_lost_parse(icp_max_lost_t *max_lost, const char *text);

/*!
 * \brief Decides whether so many may be lost.
 * \param feed  for the message
 * \retval ICP_EOK
 * \retval ICP_EGUARD  more than max_lost and more than ICP_GUARD_LOST; diag says how many, how
 *                     many there were, and by whom
 */
int icp_guard_decide(
	const icp_guard_t *guard, icp_max_lost_t max_lost, const char *feed, icp_diag_t *diag);

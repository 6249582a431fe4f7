/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the files of a feed in the spool tell of it: their stamps, and the text of the manifest.
 * What can't be read for want of memory or descriptors, or because a disk fails, is unread, not
 * wrong.
 */
#pragma once

#include "loader/spool.h"

/*!
 * \brief Takes the stamps of a manifest and its feed.
 * \return how many feeds there are
 */
size_t icp_spool_take_stamps(const icp_spool_t *spool, icp_spool_feed_t *feed);

/*! \brief Whether the stamps of two are the same. */
bool icp_spool_is_same(const icp_spool_feed_t *a, const icp_spool_feed_t *b);

/*!
 * \brief Whether a feed that was to leave is another one by now. What is left of it while it is
 *        moved is not: its files go one by one, the manifest last.
 * \param old  its stamps, of which modes and times of changes may be missing, and its manifest's
 *             sum
 */
bool icp_spool_is_replaced(const icp_spool_feed_t *old, const icp_spool_feed_t *feed);

/*!
 * \brief Reads the manifest, and sets the feed's state and what the manifest says.
 * \param feeds  as icp_spool_take_stamps counted them
 * \param diag   says why, when it is wrong or unread
 */
void icp_spool_judge(
	const icp_spool_t *spool, icp_spool_feed_t *feed, size_t feeds, icp_diag_t *diag);

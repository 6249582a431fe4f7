/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A feed, full or delta: its header row, and then its rows one by one, read and checked. One
 * thread.
 */
#pragma once

#include "loader/bad.h"
#include "loader/rules.h"

/*! Which columns it has, and what its rows are. */
enum icp_feed_kind {
	ICP_FEED_FULL,  /*!< Rows. */
	ICP_FEED_DELTA, /*!< Changes: with the column op. */
};

typedef struct icp_feed icp_feed_t;

/*!
 * \brief Begins a feed: reads the header row.
 * \param stream  must outlive the feed; nothing was read from it
 * \param bad     takes the bad rows; must outlive the feed
 * \retval ICP_EOK
 * \retval ICP_EFEED   no header row, a column that is missing, not known or given twice; and those
 *                     of icp_stream_line
 * \retval ICP_ENOMEM
 */
int icp_feed_open(icp_feed_t **feed, icp_stream_t *stream, enum icp_feed_kind kind, icp_bad_t *bad,
	icp_diag_t *diag);

/*! \brief Frees it; NULL is fine. */
void icp_feed_close(icp_feed_t *feed);

/*!
 * \brief Gives the next good row of a full feed; bad ones on the way are noted and passed over.
 * \param name  the domain
 * \param row   its pointers live until the next call, or as long as name
 * \param line  on which the row begins
 * \retval 1           a row
 * \retval 0           the end
 * \retval ICP_EFEED, ICP_ENOMEM  as icp_stream_line
 */
int icp_feed_next(
	icp_feed_t *feed, icp_name_t *name, icp_row_t *row, uint64_t *line, icp_diag_t *diag);

/*!
 * \brief Gives the next good change of a delta feed, as icp_feed_next gives rows.
 * \param change  its row's pointers live until the next call, or as long as change
 */
int icp_feed_next_change(icp_feed_t *feed, icp_change_t *change, uint64_t *line, icp_diag_t *diag);

/*! \brief Data rows read so far, bad ones too. */
uint64_t icp_feed_count(const icp_feed_t *feed);

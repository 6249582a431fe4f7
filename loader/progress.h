/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A line on a terminal that says how far the work is. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

typedef struct {
	FILE *out;              /*!< A terminal; NULL: nothing is shown. */
	int64_t (*clock)(void); /*!< Milliseconds from any point on, never going back. */
	int64_t begun;          /*!< By the clock. */
	int64_t shown;          /*!< Likewise, when the line was last written. */
	bool visible;
} icp_progress_t;

/*! \brief Begins; asks the clock. */
void icp_progress_init(icp_progress_t *progress, FILE *out, int64_t (*clock)(void));

/*!
 * \brief Shows how far the feed was read, four times a second; call it as often as you like.
 * \param octets_total  0 where it is not known
 */
void icp_progress_read(
	icp_progress_t *progress, uint64_t octets, uint64_t octets_total, uint64_t rows);

/*! \brief Shows what is done now. */
void icp_progress_step(icp_progress_t *progress, const char *what);

/*! \brief Takes the line away. */
void icp_progress_clear(icp_progress_t *progress);

/*! \brief Seconds since the beginning. */
double icp_progress_seconds(const icp_progress_t *progress);

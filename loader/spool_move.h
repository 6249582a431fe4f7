/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * How a feed gets out of the spool, and what a daemon that was killed had been about to do.
 *
 * A feed and its manifest are two files, and a load is a third thing that happens or does not. So
 * what is about to be done is written down first, in SPOOL/.journal:
 *
 * "loading": a full feed is being loaded. Whether a delta was applied is told by its sequence; a
 * full feed may be loaded twice, which would cost the generation that a rollback needs. By the
 * generation that was current before, and the sequence of the one that is, the next daemon finds
 * out that it was.
 *
 * "moving": the files of a feed are being renamed. The next daemon renames what is left, unless
 * that is another feed by then: by sum and stamps the journal says which one it was. Its report
 * lies in SPOOL/.report until then.
 *
 * One thread.
 */
#pragma once

#include "loader/spool.h"

#define ICP_SPOOL_REPORT ".report"

/*! A full feed whose load was begun. */
typedef struct {
	char base[ICP_SPOOL_BASE_MAX + 1]; /*!< Empty: there is none. */
	uint8_t sha256[ICP_SHA256_SIZE];   /*!< By its manifest. */
	uint64_t sequence;
	uint64_t generation; /*!< That was current before; 0: none. */
} icp_spool_loading_t;

/*!
 * \brief Writes down that a full feed is being loaded.
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_spool_begin(const icp_spool_t *spool, const icp_spool_feed_t *feed, uint64_t generation,
	icp_diag_t *diag);

/*! \brief Forgets what was written down. */
void icp_spool_forget(const icp_spool_t *spool);

/*!
 * \brief Ends what a daemon before this one had begun; after icp_spool_open.
 * \param loading  the full feed that was being loaded, if one was
 * \retval ICP_EOK
 * \retval ICP_ESYS  a feed can't be moved to where it belongs
 */
int icp_spool_recover(const icp_spool_t *spool, icp_spool_loading_t *loading, icp_diag_t *diag);

/*!
 * \brief Moves a feed with its manifest to a place, and writes a report beside it. Where its name
 *        is taken there it gets the time put in.
 * \param report  what is to be read there; one that can't be written is told of by notice alone
 * \param now     seconds
 * \param as      the base that it has there
 * \param notice  empty, or what did not go well though the feed was moved
 * \retval ICP_EOK
 * \retval ICP_ESYS  it is still here, wholly or in part, and may be moved by another call
 */
int icp_spool_move(const icp_spool_t *spool, const icp_spool_feed_t *feed,
	enum icp_spool_place place, const char *report, int64_t now,
	char as[ICP_SPOOL_BASE_MAX + 1], icp_diag_t *notice, icp_diag_t *diag);

/*!
 * \brief The base under which icp_spool_move puts a feed into a place, with the same time.
 * \retval ICP_EOK
 * \retval ICP_ESYS  there is none left
 */
int icp_spool_choose_base(const icp_spool_t *spool, const char *base, enum icp_spool_place place,
	int64_t now, char as[ICP_SPOOL_BASE_MAX + 1], icp_diag_t *diag);

/*!
 * \brief Finds where a feed lies that left the spool.
 * \param place  in: where it is said to be, or ICP_SPOOL_PLACES; out: where it is
 * \retval ICP_EOK
 * \retval ICP_EINVAL  it is not there; it is in both, and it was not said which one is meant; or
 * there is one of that name in the spool
 */
int icp_spool_locate(
	const icp_spool_t *spool, const char *base, enum icp_spool_place *place, icp_diag_t *diag);

/*!
 * \brief Takes a feed with its manifest back into the spool from the place where icp_spool_locate
 * found it; the report of what became of it goes.
 * \retval ICP_EOK, ICP_ESYS
 */
int icp_spool_take_back(
	const icp_spool_t *spool, const char *base, enum icp_spool_place place, icp_diag_t *diag);

/*!
 * \brief Removes what lies in a place for longer than that.
 * \return how many files were removed
 */
size_t icp_spool_prune(
	const icp_spool_t *spool, enum icp_spool_place place, int64_t now, int64_t seconds);

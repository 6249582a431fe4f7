/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The daemon's spool: a directory into which feeds are put, and what lies in it at a time.
 *
 *   SPOOL/F.csv[.gz|.xz|.zst]  a feed; nothing happens with it until its manifest is there
 *   SPOOL/F.csv.json           the manifest
 *   SPOOL/done/, rejected/     feeds that are dealt with, and a report of each, F.csv.report
 *   SPOOL/.journal             what the daemon is about to do, see spool_move.h
 *   SPOOL/.paused              there while it is paused; says why
 *
 * Hidden files are nobody's business: transfers may write there first. Nothing is followed: a link,
 * or what is no regular file, is never opened. What is in the spool is described by the stamps of
 * its files, and looked at again when one of these changes; so what is half written is no more than
 * not ready. One thread. Times are milliseconds of a clock that is not set back.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "core/error.h"
#include "loader/source.h"
#include "loader/spool_name.h"

/*! What has not changed for so long is taken for what it shall be, and may be rejected. */
#define ICP_SPOOL_SETTLE_MS 5000
#define ICP_SPOOL_MANIFEST_MAX 65536 /*!< Octets. */
#define ICP_SPOOL_FEEDS_MAX 200000   /*!< Manifests that are looked at; others wait unseen. */

#define ICP_SPOOL_JOURNAL ".journal"
#define ICP_SPOOL_PAUSED ".paused"

/*! By which a change of a file is seen; all zero: it is not there. */
typedef struct {
	ino_t inode;
	off_t size;
	mode_t mode;
	struct timespec modified;
	struct timespec changed;
} icp_spool_stamp_t;

enum icp_spool_state {
	ICP_SPOOL_GOOD,   /*!< The manifest is valid, and there is a feed. */
	ICP_SPOOL_ALONE,  /*!< There is a manifest and no feed. */
	ICP_SPOOL_WRONG,  /*!< As it is, it can't be loaded. */
	ICP_SPOOL_UNREAD, /*!< The manifest can't be read, for no reason of its own. */
};

/*! A manifest and its feed. */
typedef struct {
	char *base;         /*!< "F.csv" */
	const char *suffix; /*!< Of the feed: one of icp_spool_suffixes. */
	icp_spool_stamp_t manifest;
	icp_spool_stamp_t feed;
	int64_t since; /*!< As long it has been as it is. */

	/* By its manifest, unless that is wrong: */
	uint64_t sequence;
	uint8_t sha256[ICP_SHA256_SIZE];

	/* What the daemon did with it, which a change of its files makes void: */
	int64_t retry_at; /*!< Nothing is done with it before. */
	char *report;     /*!< That goes with it, or NULL. */
	enum icp_spool_state state;
	unsigned tries;             /*!< Loads that failed and may be tried again. */
	enum icp_spool_place place; /*!< Where it goes, if it leaves. */
	bool leaves;                /*!< It is decided that it does; that holds as long as it is
				     * not another feed. */
	bool full;                  /*!< By its manifest; also when that is wrong. */
	bool told;                  /*!< That it is alone. */
	int64_t left_at;            /*!< Seconds: when that was decided; 0: it was not yet. */

	/* What a change does not make void, as long as the manifest tells of the same feed: */
	bool wanted;   /*!< By an operator: it comes first, and also while the daemon is paused. */
	bool forced;   /*!< By an operator: however many permissions are lost. */
	bool disliked; /*!< The loader refused it once: it is tried again only when it does not
			* change any more, as it may be long on its way. */
} icp_spool_feed_t;

typedef struct {
	const char *path;
	int directory; /*!< Locked: a spool has one daemon. */
	int places[ICP_SPOOL_PLACES];
	icp_spool_feed_t *feeds; /*!< In the order of their bases. */
	size_t count;
	size_t refused;                            /*!< Manifests whose names are refused. */
	char refused_name[4 * ICP_SPOOL_BASE_MAX]; /*!< One of them, fit to be shown. */
	bool more;                                 /*!< There are more than ICP_SPOOL_FEEDS_MAX. */
} icp_spool_t;

/*!
 * \brief Opens a spool, making it and its places where they are missing, and locks it.
 * \param path  must outlive the spool
 * \retval ICP_EOK
 * \retval ICP_EBUSY  another daemon has it, also after a second
 * \retval ICP_ESYS
 */
int icp_spool_open(icp_spool_t *spool, const char *path, icp_diag_t *diag);

/*! \brief Frees and unlocks it; a zeroed one whose directory is -1 is fine. */
void icp_spool_close(icp_spool_t *spool);

/*!
 * \brief Opens anew what is another directory by now, or was removed.
 * \param replaced  the spool itself is; then nothing is known of what lies in it
 * \retval those of icp_spool_open; what was open stays so
 */
int icp_spool_refresh(icp_spool_t *spool, bool *replaced, icp_diag_t *diag);

/*! \brief Likewise, for done/ and rejected/ alone. \retval ICP_EOK, ICP_ESYS */
int icp_spool_refresh_places(icp_spool_t *spool, icp_diag_t *diag);

/*!
 * \brief Looks at what lies in the spool.
 * \retval ICP_EOK
 * \retval ICP_ESYS, ICP_ENOMEM  what was known stays
 */
int icp_spool_scan(icp_spool_t *spool, int64_t now, icp_diag_t *diag);

/*! \brief The feed of a base; NULL: none. Lives until the next scan. */
icp_spool_feed_t *icp_spool_find(const icp_spool_t *spool, const char *base);

/*! \brief Forgets a feed that left; others move up. */
void icp_spool_drop(icp_spool_t *spool, icp_spool_feed_t *feed);

/*!
 * \brief Looks at a feed that lies in done/ or rejected/, as a scan does at those in the spool.
 * \param feed  zeroed but for its base; gets all that its files tell
 * \param diag  says why, when it is wrong or unread
 */
void icp_spool_look_at(const icp_spool_t *spool, enum icp_spool_place place, icp_spool_feed_t *feed,
	icp_diag_t *diag);

/*! \brief Says why a feed is wrong: reads it once more. "FILE: what is wrong" */
void icp_spool_explain(const icp_spool_t *spool, const icp_spool_feed_t *feed, icp_diag_t *diag);

/*! \brief Stops loading for good, until icp_spool_resume. \retval ICP_EOK, ICP_ESYS */
int icp_spool_pause(const icp_spool_t *spool, const char *why, icp_diag_t *diag);

/*! \retval ICP_EOK, ICP_ESYS */
int icp_spool_resume(const icp_spool_t *spool, icp_diag_t *diag);

/*! \brief Whether it is paused, and why. */
bool icp_spool_is_paused(const icp_spool_t *spool, char why[32]);

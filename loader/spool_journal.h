/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * SPOOL/.journal, see spool_move.h: a small JSON object that is replaced whole.
 */
#pragma once

#include "loader/spool.h"

enum icp_spool_what { ICP_SPOOL_LOADING, ICP_SPOOL_MOVING };

typedef struct {
	enum icp_spool_what what;
	char base[ICP_SPOOL_BASE_MAX + 1];
	uint8_t sha256[ICP_SHA256_SIZE]; /*!< By its manifest. */
	/*! With ICP_SPOOL_LOADING: */
	uint64_t sequence;
	uint64_t generation;
	/*! With ICP_SPOOL_MOVING: */
	enum icp_spool_place place;
	bool known; /*!< Which feed it is is said by the sum and the stamps, without modes and the
		     * times of changes. */
	icp_spool_stamp_t manifest;
	icp_spool_stamp_t feed;
	char as[ICP_SPOOL_BASE_MAX + 1];
} icp_spool_journal_t;

/*! \return 0; -1 and errno */
int icp_spool_journal_write(int directory, const icp_spool_journal_t *journal);

/*! \brief False when there is none, or none that makes sense. */
bool icp_spool_journal_read(int directory, icp_spool_journal_t *journal);

/*! \brief Reads its text: nothing in it is believed. */
bool icp_spool_journal_parse(icp_spool_journal_t *journal, const char *text, size_t length);

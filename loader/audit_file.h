/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The files of the audit log, see audit.h. The pending one is a head and a zstd frame. Its head is
 * written last and bears check sums over itself and over the frame: with any of it missing, the
 * batch was not prepared. One thread; the store must be locked.
 */
#pragma once

#include "loader/audit.h"

#define ICP_AUDIT_HEAD 80    /*!< Octets before the frame. */
#define ICP_AUDIT_DAY_MAX 24 /*!< The name of a day's file, with NULs at its end. */

typedef struct {
	uint64_t generation;
	uint64_t commit;
	uint64_t day_size; /*!< Octets of the day's file before; 0: it was not there. */
	uint64_t length;   /*!< Octets of the frame. */
	uint64_t hash;     /*!< XXH3-64 of the frame. */
	char day[ICP_AUDIT_DAY_MAX];
} icp_audit_head_t;

/*! The files, opened. */
typedef struct {
	const icp_generations_t *generations;
	int directory; /*!< -1: not there. */
	int pending;   /*!< -1: not there. */
} icp_audit_files_t;

/*!
 * \brief Opens the directory, and the pending file for reading, where they are.
 * \retval ICP_EOK, ICP_ESYS
 */
int icp_audit_files_open(
	icp_audit_files_t *files, const icp_generations_t *generations, icp_diag_t *diag);

/*!
 * \brief Makes the pending file, and the directory if it is missing.
 * \retval ICP_EOK
 * \retval ICP_ESYS  also when there is a pending file
 */
int icp_audit_files_create(
	icp_audit_files_t *files, const icp_generations_t *generations, icp_diag_t *diag);

/*! \brief Closes what is open. */
void icp_audit_files_close(icp_audit_files_t *files);

/*! \brief Fills in the day's file of a time, and its size. */
void icp_audit_files_day(const icp_audit_files_t *files, int64_t now, icp_audit_head_t *head);

/*!
 * \brief Writes a part of the frame.
 * \param at  octets of the frame before it
 * \retval ICP_EOK, ICP_ESYS
 */
int icp_audit_files_write(const icp_audit_files_t *files, const void *octets, size_t length,
	uint64_t at, icp_diag_t *diag);

/*!
 * \brief Reserves room in the day's file, writes the head, and brings all to the disk.
 * \retval ICP_EOK, ICP_ESYS
 */
int icp_audit_files_seal(
	const icp_audit_files_t *files, const icp_audit_head_t *head, icp_diag_t *diag);

/*! \brief Reads the head. False when the batch was not prepared. */
bool icp_audit_files_read(const icp_audit_files_t *files, icp_audit_head_t *head);

/*! \brief True when the frame is the one that the head tells of. */
bool icp_audit_files_whole(const icp_audit_files_t *files, const icp_audit_head_t *head);

/*!
 * \brief Appends the frame to the day's file, however much of it was appended before, and removes
 *        the pending file.
 * \retval ICP_EOK, ICP_ESYS
 */
int icp_audit_files_append(
	const icp_audit_files_t *files, const icp_audit_head_t *head, icp_diag_t *diag);

/*!
 * \brief Removes the pending file and gives back what was reserved.
 * \param head  NULL: the batch was not prepared
 */
void icp_audit_files_drop(const icp_audit_files_t *files, const icp_audit_head_t *head);

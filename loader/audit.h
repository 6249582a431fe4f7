/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The audit log: every change of a permission by a load or a rollback, in files of a day each,
 *
 *   STORE/audit/YYYY-MM-DD.csv.zst   the day at UTC+8 of the load's time
 *   STORE/audit/pending              a batch on its way into such a file
 *
 * A day's file is a sequence of zstd frames, one for each load that changed a permission, so that
 * zstdcat reads it; its text is CSV with the header row first and one record a line.
 *
 * The log tells neither less nor more than what was committed, wherever a load ends:
 *
 *   icp_audit_begin     the frame grows in the pending file
 *   icp_audit_prepare   it is whole, on the disk, and there is room in the day's file
 *   (the change is committed, and on the disk)
 *   icp_audit_commit    the frame is appended to the day's file, and pending is removed
 *
 * and icp_audit_recover, which the next load calls first, ends what was begun. A batch without a
 * line leaves no trace. One thread; the store must be locked.
 */
#pragma once

#include "core/verdict.h"
#include "loader/generations.h"

#define ICP_AUDIT_DIRECTORY "audit"
#define ICP_AUDIT_PENDING "pending"
#define ICP_AUDIT_DAY_SUFFIX ".csv.zst"
#define ICP_AUDIT_HEADER "time,domain,provider,from,to,generation,sequence,source\n"
#define ICP_AUDIT_LINK 0 /*!< In place of a commit: the change is the link "current". */

typedef struct icp_audit icp_audit_t;

/*! What a batch's lines have in common. */
typedef struct {
	enum icp_verdict rectify_overdue; /*!< Of the configuration; ICP_PASS without one. */
	int64_t now;                      /*!< Seconds. */
	uint64_t generation;              /*!< That will be, or is changed. */
	uint64_t sequence;                /*!< After the change. */
	const char *source;               /*!< Base name of the feed. */
} icp_audit_batch_t;

/*!
 * \brief Begins a batch. icp_audit_recover must have been called.
 * \param generations  the locked store; must outlive the batch, as must diag
 * \param batch        copied
 * \param diag         filled on every failure up to icp_audit_commit
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_audit_begin(icp_audit_t **audit, const icp_generations_t *generations,
	const icp_audit_batch_t *batch, icp_diag_t *diag);

/*!
 * \brief Adds a line, if the permission of the pair differs. Its signature is that of
 *        icp_compare_visit_t. Each pair at most once in a batch.
 * \param before, after  NULL: there is no such row; one of them is not NULL
 * \param context        the batch
 * \retval ICP_EOK
 * \retval ICP_ESYS  can't be written, no space left
 */
int icp_audit_add(const icp_row_t *before, const icp_row_t *after, void *context);

/*!
 * \brief Brings the batch to the disk. Nothing can be added afterwards.
 * \param commit  number of the LMDB transaction that will bring the change, or ICP_AUDIT_LINK
 * \retval ICP_EOK
 * \retval ICP_ESYS  icp_audit_cancel must follow
 */
int icp_audit_prepare(icp_audit_t *audit, uint64_t commit);

/*!
 * \brief Appends the prepared batch to the day's file and frees it. The change must be on the disk.
 * \retval ICP_EOK
 * \retval ICP_ESYS  the lines stay in the pending file, and the next load appends them
 */
int icp_audit_commit(icp_audit_t *audit);

/*! \brief Drops the batch, prepared or not, and frees it; NULL is fine. The change must not be. */
void icp_audit_cancel(icp_audit_t *audit);

/*!
 * Tells whether a prepared change was committed: 1 yes, 0 no, 2 it can't be told, or an error code.
 */
typedef int (*icp_audit_committed_t)(uint64_t generation, uint64_t commit, void *context);

/*!
 * \brief Ends what an interrupted load began: appends the batch of a change that was committed,
 *        removes that of one that was not.
 * \param notice  told when such a batch is damaged, or nobody can tell; it is then kept beside, as
 *                pending.damaged.N
 * \retval ICP_EOK
 * \retval ICP_ESYS  all is as it was
 * \return or the error of committed
 */
int icp_audit_recover(const icp_generations_t *generations, icp_audit_committed_t committed,
	void *context, icp_notice_t notice, icp_diag_t *diag);

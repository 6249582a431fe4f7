/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Names that are judged on two states of the filing database: would any of them flip? The rows that
 * count are picked as the states are walked, so no state needs an index of its own. One thread.
 */
#pragma once

#include "core/verdict.h"
#include "loader/compare.h"

typedef struct icp_rehearsal icp_rehearsal_t;

/*! The two states. */
enum icp_side { ICP_SIDE_A, ICP_SIDE_B, ICP_SIDE_COUNT };

/*! What a name is judged by, the same for all. */
typedef struct {
	icp_policy_t policy; /*!< Its pointers lead into the configuration. */
	icp_place_t place;
	int64_t now;
} icp_judge_t;

/*! One name, judged on both sides. */
typedef struct {
	icp_name_t name;
	icp_judgement_t judgement[ICP_SIDE_COUNT];
} icp_rehearsed_t;

/*!
 * \brief Reads names: one a line, or what "icpgate stat --json" prints. Blank lines are passed
 *        over, as is all of a line behind its first word; a name given again counts once.
 * \param path     "-" is stdin
 * \param invalid  lines that are no name; each was reported on stderr
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_EFEED  the file can't be read, or is JSON of another kind
 */
int icp_rehearsal_read(
	icp_rehearsal_t **rehearsal, const char *path, size_t *invalid, icp_diag_t *diag);

/*! \brief Frees it; NULL is fine. */
void icp_rehearsal_destroy(icp_rehearsal_t *rehearsal);

/*! \brief Names in it. */
size_t icp_rehearsal_count(const icp_rehearsal_t *rehearsal);

/*! \brief Passes on the nodes of a side, and copies the rows of those that matter. */
icp_nodes_t icp_rehearsal_watch(icp_rehearsal_t *rehearsal, enum icp_side side, icp_nodes_t nodes);

/*!
 * \brief Judges a name after both sides were walked.
 * \param position  below icp_rehearsal_count; they are in the order of the file
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_rehearsal_judge(icp_rehearsal_t *rehearsal, size_t position, const icp_judge_t *judge,
	icp_rehearsed_t *rehearsed);

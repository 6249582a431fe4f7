/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * From a reply to a verdict: the query name is judged, with all addresses that its answer leads to,
 * at the end of CNAME chains as well; the names in other sections are judged with theirs.
 */
#pragma once

#include "module/query.h"
#include "module/setup.h"

/*! What is to be done with an answer. */
enum icp_outcome_kind {
	ICP_OUTCOME_SERVE, /*!< As it is. */
	ICP_OUTCOME_STRIP, /*!< Without the blocked addresses. */
	ICP_OUTCOME_BLOCK, /*!< The block page's address instead. */
	ICP_OUTCOME_FAIL,  /*!< It could not be judged: SERVFAIL. */
};

typedef struct {
	enum icp_outcome_kind kind;
	bool monitored; /*!< It is served in monitor mode only. */
	enum icp_reason reason;
	icp_name_t domain; /*!< Covering domain, or the query name if there is none. */
	uint8_t covering;  /*!< Its labels, if it is a covering domain; else 0. */
	icp_stamp_t stamp; /*!< What the verdict rests on; none if it can't be remembered. */
	bool timed;        /*!< Times of rows take part. */
	const icp_ruling_t
		*rulings;     /*!< One for each address in the answer section, if stripped. */
	const bool *left_out; /*!< One for each RRset of the reply: the blocked ones outside the
				   answer section, to be left out if it is served. NULL: none. */
	time_t lease;         /*!< Seconds for which the reply may be cached. */
} icp_outcome_t;

/*!
 * \brief Judges a reply. In monitor mode the outcome is always to serve all of it; what would be
 *        blocked is logged.
 *
 * For an HTTPS or SVCB query the lookups must have been planned, and be done.
 *
 * \return false if the reply leads to no address; the outcome is then not set
 */
bool icp_module_judge(icp_module_t *module, struct module_qstate *qstate, const icp_query_t *query,
	struct reply_info *rep, icp_outcome_t *outcome);

/*! \brief Whether a query is of the kind whose blocked answers are remembered: for A or AAAA, with
 *         nobody but clients waiting for it. */
bool icp_module_is_memorable(const icp_module_t *module, const struct module_qstate *qstate);

/*!
 * \brief Remembers an outcome that blocks the answer to a memorable query.
 * \param message  identity of the parked message that was judged
 */
void icp_module_remember(icp_module_t *module, struct module_qstate *qstate, uint64_t message,
	const icp_outcome_t *outcome);

/*!
 * \brief Finds out whether a memorable query's parked message was judged before, and blocked on
 *        what still holds; counts as a judgement.
 * \return false if not; the outcome is then not set
 */
bool icp_module_recall(icp_module_t *module, struct module_qstate *qstate, uint64_t message,
	icp_outcome_t *outcome);

/*! \brief Adds to a counter, in the thread's part. */
void icp_module_count(icp_module_t *module, const struct module_qstate *qstate, enum icp_stat stat,
	uint64_t number);

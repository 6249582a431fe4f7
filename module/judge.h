/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * From an answer section to a verdict: the query name is judged, with the addresses at the end of
 * its CNAME chain.
 */
#pragma once

#include "module/cache.h"
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
	enum icp_reason reason;
	icp_name_t domain;           /*!< Covering domain, or the query name if there is none. */
	const icp_ruling_t *rulings; /*!< One for each address; in the query's region. */
	time_t lease;                /*!< Seconds for which the answer may be cached. */
} icp_outcome_t;

/*!
 * \brief Judges an answer section. In monitor mode the outcome is always to serve; what would be
 *        blocked is logged.
 * \return false if it holds no address; the outcome is then not set
 */
bool icp_module_judge(icp_module_t *module, struct module_qstate *qstate, const icp_chain_t *chain,
	icp_outcome_t *outcome);

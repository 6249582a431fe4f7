/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The answers that the module makes itself (contract, section 5). All memory is the query's
 * region; every function is for the thread that runs the query.
 */
#pragma once

#include "core/gate.h"
#include "module/read.h"

/*!
 * \brief Makes the block page's answer the result of a query: its addresses at the query name, or
 *        NODATA where the type has none; with EDE if a client sent EDNS, never AD. The query must
 *        end with it.
 * \param domain  the one that the reason is about
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_answer_block(struct module_qstate *qstate, const icp_config_t *config,
	enum icp_reason reason, const icp_name_t *domain);

/*!
 * \brief Makes an answer the result of a query from which the blocked addresses are taken out
 *        (`mixed: strip`): the answer section alone, without signatures, never AD.
 * \param rulings  of all addresses in the answer section, in their order
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_answer_strip(struct module_qstate *qstate, const icp_config_t *config,
	const struct reply_info *rep, const icp_ruling_t *rulings);

/*!
 * \brief A reply without some of its RRsets, which are in its authority and additional sections.
 * \param left_out  one for each RRset; NULL: none, and the reply itself is returned
 * \return the copy; NULL: out of memory
 */
struct reply_info *icp_answer_trim(
	struct module_qstate *qstate, struct reply_info *rep, const bool *left_out);

/*! \brief Says in an EDE option that the answer is stale, where Unbound is told to (RFC 8914, 4.4).
 */
void icp_answer_mark_stale(struct module_qstate *qstate);

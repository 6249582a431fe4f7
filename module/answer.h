/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The answers that the module makes itself (contract, section 5). All memory is the query's
 * region; every function is for the thread that runs the query.
 */
#pragma once

#include "core/gate.h"
#include "module/unbound.h"

/*!
 * \brief Makes the block page's answer the result of a query: its address at the query name, or
 *        NODATA where the family has none; with EDE, never AD.
 * \param domain  the one that the reason is about
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_answer_block(struct module_qstate *qstate, const icp_config_t *config,
	enum icp_reason reason, const icp_name_t *domain);

/*!
 * \brief Makes an answer the result of a query from which the blocked addresses are taken out
 *        (`mixed: strip`): CNAMEs and the remaining addresses, without signatures, never AD.
 * \param rrsets   the answer section
 * \param rulings  of all addresses in it, in their order
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_answer_strip(struct module_qstate *qstate, struct ub_packed_rrset_key **rrsets,
	size_t rrset_count, const icp_ruling_t *rulings);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Referrals for queries without recursion. Where access-control allows to snoop, Unbound answers
 * them from the RRset cache and asks no module; it only calls back before it sends the reply.
 */
#pragma once

#include "module/setup.h"

/*! \brief True when any client is allowed to snoop. */
bool icp_snoop_is_allowed(const struct config_file *cfg);

/*!
 * \brief For inplace_cb_reply_cache: takes the addresses of blocked names out of a referral. The
 *        argument is the module's state.
 *
 * Any other reply is a shared entry of the cache, which must not be changed, and was judged.
 */
int icp_snoop_on_reply(struct query_info *question, struct module_qstate *qstate,
	struct reply_info *rep, int rcode, struct edns_data *edns, struct edns_option **options,
	struct comm_reply *client, struct regional *region, struct timeval *now, int id,
	void *argument);

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/observed.h"

#include <stdio.h>

#include "core/fault.h"

/*! The phrase of a code where nobody said more. */
static void explain(icp_diag_t *diag, int code)
{
	if (code != ICP_EOK && diag->text[0] == '\0') {
		icp_fail(diag, code, "%s", icp_strerror(code));
	}
}

static void read_store(icp_observed_t *observed, const char *store, icp_readers_memory_t *readers)
{
	icp_diag_t *diag = &observed->store_diag;
	icp_fault_enter();
	observed->store_code = icp_status_read_apart(&observed->status, store, readers, diag);
	if (observed->store_code == ICP_EOK && observed->status.code != ICP_EOK) {
		observed->store_code = observed->status.code;
		*diag = observed->status.diag;
	}
	if (icp_fault_happened()) {
		observed->store_code = icp_fail(
			diag, ICP_EDAMAGED, "%s: a file lost pages while it was read", store);
	}
	icp_fault_leave();
	explain(diag, observed->store_code);
}

void icp_observe(icp_observed_t *observed, const char *store, const icp_config_t *config,
	const icp_daemon_state_t *daemon, icp_readers_memory_t *readers, int64_t now, bool domains)
{
	*observed = (icp_observed_t){.now = now, .config = config, .daemon = daemon};
	read_store(observed, store, readers);
	observed->stats_code =
		icp_stats_read_quickly(&observed->stats, store, domains, &observed->stats_diag);
	explain(&observed->stats_diag, observed->stats_code);
}

void icp_observed_deinit(icp_observed_t *observed)
{
	icp_status_deinit(&observed->status);
	icp_stats_snapshot_deinit(&observed->stats);
}

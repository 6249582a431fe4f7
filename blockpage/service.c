/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/service.h"

#include <stdlib.h>

#define THOUSAND 1000

int icp_service_open(
	icp_service_t **service, const char *path, char *store, icp_log_t log, icp_diag_t *diag)
{
	icp_service_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int ret = icp_config_load(&new->config, path, diag);
	if (ret != ICP_EOK) {
		free(new);
		/* A file that can't be read is no configuration. */
		return ret == ICP_ESYS ? ICP_ECONFIG : ret;
	}
	if (store != NULL) {
		new->config.store = store;
	}
	new->rate.rate = new->config.blockpage.api_rate;
	ret = icp_places_init(&new->places, &new->config);
	/* All of them are gated: that none is looked for among all providers with each page. */
	new->config.policy.scope = ICP_SCOPE_MAINLAND;
	ret = ret == ICP_EOK ? icp_site_open(&new->site, &new->config, diag)
			     : icp_fail(diag, ret, "out of memory");
	if (ret == ICP_EOK) {
		ret = icp_gate_create_for_names(&new->gate, &new->config, 1, log, diag);
	}
	if (ret != ICP_EOK) {
		icp_service_close(new);
		return ret;
	}
	*service = new;
	return ICP_EOK;
}

void icp_service_close(icp_service_t *service)
{
	if (service != NULL) {
		icp_gate_destroy(service->gate);
		icp_places_deinit(&service->places);
		icp_site_close(service->site);
		icp_config_deinit(&service->config);
		free(service);
	}
}

bool icp_rate_take(icp_rate_t *rate, int64_t now)
{
	int64_t most = (int64_t)rate->rate * THOUSAND;
	/* Of a whole second without answers there is no more than that. */
	int64_t passed = now - rate->at < THOUSAND ? now - rate->at : THOUSAND;
	rate->credit += passed * rate->rate;
	rate->credit = rate->credit < most ? rate->credit : most;
	rate->at = now;
	if (rate->credit < THOUSAND) {
		return false;
	}
	rate->credit -= THOUSAND;
	return true;
}

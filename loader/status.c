/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/status.h"

#include <stdlib.h>

#include "core/time.h"

static int read_kept(icp_status_t *status, const char *store, icp_diag_t *diag)
{
	uint64_t *numbers;
	size_t count;
	int ret = icp_generations_list(store, &numbers, &count, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	status->kept = calloc(count + 1, sizeof *status->kept);
	if (status->kept == NULL) {
		free(numbers);
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", store);
	}
	for (size_t i = 0; i < count; i++) {
		icp_kept_t kept = {.number = numbers[i]};
		kept.code = icp_generations_info(store, kept.number, &kept.info, &kept.size, NULL);
		kept.current = kept.number == status->info.generation;
		/* A loader may have removed it since the list was made. */
		if (kept.code != ICP_ENOSTORE) {
			status->kept[status->kept_count++] = kept;
		}
	}
	free(numbers);
	return ICP_EOK;
}

int icp_status_read(icp_status_t *status, const char *store, icp_diag_t *diag)
{
	*status = (icp_status_t){.kept = NULL};
	int ret = icp_generations_info(store, 0, &status->info, &status->size, diag);
	return ret == ICP_EOK ? read_kept(status, store, diag) : ret;
}

void icp_status_deinit(icp_status_t *status)
{
	free(status->kept);
	*status = (icp_status_t){.kept = NULL};
}

int64_t icp_status_age(const icp_status_t *status, int64_t now)
{
	const icp_store_info_t *info = &status->info;
	return now - (info->as_of != ICP_TIME_NONE ? info->as_of : info->created_at);
}

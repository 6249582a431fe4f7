/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/status.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "loader/audit.h"

/*! icp_generations_info or icp_generations_look */
typedef int (*look_t)(const char *store, uint64_t number, icp_store_info_t *info, uint64_t *size,
	icp_diag_t *diag);

static int read_kept(icp_status_t *status, const char *store, look_t look, icp_diag_t *diag)
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
		kept.code = look(store, kept.number, &kept.info, &kept.size, &kept.diag);
		kept.current = status->code == ICP_EOK && kept.number == status->info.generation;
		/* A loader may have removed it since the list was made. */
		if (kept.code != ICP_ENOSTORE) {
			status->kept[status->kept_count++] = kept;
		}
	}
	free(numbers);
	return ICP_EOK;
}

/*! Reads the current generation; what is wrong with it is a part of the status. */
static int read_current(icp_status_t *status, const char *store, icp_diag_t *diag)
{
	icp_store_t *opened;
	icp_reader_t reader;
	status->code = icp_store_open(&opened, store, &status->diag);
	if (status->code == ICP_ENOSTORE) {
		return icp_fail(diag, status->code, "%s", status->diag.text);
	}
	if (status->code != ICP_EOK) {
		return ICP_EOK;
	}
	status->code = icp_store_readers(opened, &status->readers);
	if (status->code == ICP_EOK) {
		status->code = icp_reader_init(&reader, opened, &status->diag);
	}
	if (status->code == ICP_EOK) {
		status->code = icp_reader_begin(&reader);
		status->info = reader.info;
		status->size = icp_store_size(opened);
		icp_reader_close(&reader);
	}
	icp_store_unref(opened);
	return ICP_EOK;
}

/*! The same, without the lock file. */
static int look_at_current(
	icp_status_t *status, const char *store, icp_readers_memory_t *readers, icp_diag_t *diag)
{
	status->code = icp_generations_look(store, 0, &status->info, &status->size, &status->diag);
	if (status->code == ICP_ENOSTORE) {
		return icp_fail(diag, status->code, "%s", status->diag.text);
	}
	if (status->code != ICP_EOK) {
		return ICP_EOK;
	}
	status->readers_code = icp_readers_count(
		readers, store, status->info.generation, &status->readers, &status->readers_diag);
	/* No resolver could open it either. For want of processes or time it can be read as well.
	 */
	if (status->readers_code == ICP_EDAMAGED) {
		status->code = status->readers_code;
		status->diag = status->readers_diag;
	}
	return ICP_EOK;
}

static bool has_pending(const char *store)
{
	char *path;
	if (asprintf(&path, "%s/" ICP_AUDIT_DIRECTORY "/" ICP_AUDIT_PENDING, store) < 0) {
		return false;
	}
	bool found = access(path, F_OK) == 0;
	free(path);
	return found;
}

int icp_status_read(icp_status_t *status, const char *store, icp_diag_t *diag)
{
	*status = (icp_status_t){.kept = NULL};
	int ret = read_current(status, store, diag);
	status->audit_pending = has_pending(store);
	return ret == ICP_EOK ? read_kept(status, store, icp_generations_info, diag) : ret;
}

int icp_status_read_apart(
	icp_status_t *status, const char *store, icp_readers_memory_t *readers, icp_diag_t *diag)
{
	*status = (icp_status_t){.kept = NULL};
	int ret = look_at_current(status, store, readers, diag);
	status->audit_pending = has_pending(store);
	return ret == ICP_EOK ? read_kept(status, store, icp_generations_look, diag) : ret;
}

void icp_status_deinit(icp_status_t *status)
{
	free(status->kept);
	*status = (icp_status_t){.kept = NULL};
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/session.h"

#include <errno.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/time.h"
#include "loader/update.h"

#define AHEAD_SECONDS INT64_C(86400) /*!< Clocks and time zones may differ, but not by more. */

/*! Was the change committed that a batch of the audit log tells of? */
static int was_committed(uint64_t generation, uint64_t commit, void *context)
{
	const icp_session_t *session = context;
	if (icp_generations_linked(&session->generations) != generation) {
		return 0;
	}
	/* The link tells of a generation that was damaged meanwhile, too. */
	if (commit == ICP_AUDIT_LINK) {
		return 1;
	}
	return session->current_code == ICP_EOK ? session->current.commit >= commit : 2;
}

int icp_session_refresh(icp_session_t *session, icp_diag_t *diag)
{
	uint64_t size;
	session->current_code = icp_generations_info(
		session->options.store, 0, &session->current, &size, &session->current_diag);
	switch (session->current_code) {
	case ICP_EOK:
		return ICP_EOK;
	case ICP_ENOSTORE:
	case ICP_EDAMAGED:
	case ICP_EVERSION:
		session->current = (icp_store_info_t){.as_of = ICP_TIME_NONE};
		return ICP_EOK;
	default:
		return icp_fail(diag, session->current_code, "%s", session->current_diag.text);
	}
}

/*! Removes what was renamed but did not become current before its loader ended. */
static void remove_half_promoted(icp_session_t *session)
{
	uint64_t *numbers;
	size_t count;
	const char *store = session->options.store;
	uint64_t linked = icp_generations_linked(&session->generations);
	/* Without a link, who knows; they go with the next load. */
	if (linked == 0 || icp_generations_list(store, &numbers, &count, NULL) != ICP_EOK) {
		return;
	}
	for (size_t i = 0; i < count && numbers[i] > linked; i++) {
		icp_store_info_t info;
		uint64_t size;
		/* One that was rolled back from bears the number of what is in its place. */
		if (icp_generations_info(store, numbers[i], &info, &size, NULL) == ICP_EOK &&
			info.superseded == 0) {
			icp_generations_discard(&session->generations, numbers[i]);
		}
	}
	free(numbers);
}

/*!
 * LMDB writes a commit, and then into the lock file that there is one: by this number its readers
 * go as long as any process has the generation open. A loader that was killed in between left a
 * commit that is one, but that none of them sees. LMDB mends that when the next transaction begins;
 * here before anything is read, or what is read would be the state before it. What can't be opened
 * is found out by what follows.
 */
static void announce_commit(const icp_session_t *session)
{
	const icp_generations_t *generations = &session->generations;
	uint64_t linked = icp_generations_linked(generations);
	char *path = linked != 0 ? icp_generations_path(generations, linked) : NULL;
	icp_store_t *store;
	MDB_txn *txn;
	if (path == NULL || icp_store_open_writable(&store, path, true, NULL) != ICP_EOK) {
		free(path);
		return;
	}
	if (mdb_txn_begin(icp_store_env(store), NULL, 0, &txn) == MDB_SUCCESS) {
		mdb_txn_abort(txn);
	}
	icp_store_unref(store);
	free(path);
}

int icp_session_open(icp_session_t *session, const icp_session_options_t *options, icp_diag_t *diag)
{
	*session = (icp_session_t){.options = *options};
	if (!options->creates && access(options->store, F_OK) != 0 && errno == ENOENT) {
		return icp_fail(diag, ICP_ENOSTORE, "%s: no current generation", options->store);
	}
	int ret = icp_generations_open(
		&session->generations, options->store, options->wait, options->notice, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (options->clock != NULL) {
		session->options.now = options->clock();
	}
	announce_commit(session);
	ret = icp_session_refresh(session, diag);
	if (ret == ICP_EOK) {
		ret = icp_audit_recover(
			&session->generations, was_committed, session, options->notice, diag);
	}
	if (ret != ICP_EOK) {
		icp_session_close(session);
		return ret;
	}
	remove_half_promoted(session);
	return ICP_EOK;
}

void icp_session_close(icp_session_t *session)
{
	icp_generations_close(&session->generations);
}

uint64_t icp_session_older(const icp_session_t *session, uint64_t number)
{
	uint64_t *numbers;
	size_t count;
	uint64_t found = 0;
	if (icp_generations_list(session->options.store, &numbers, &count, NULL) != ICP_EOK) {
		return 0;
	}
	for (size_t i = 0; i < count && found == 0; i++) {
		found = numbers[i] < number ? numbers[i] : 0;
	}
	free(numbers);
	return found;
}

int icp_session_number(const icp_session_t *session, uint64_t *number, icp_diag_t *diag)
{
	uint64_t *numbers;
	size_t count;
	int ret = icp_generations_list(session->options.store, &numbers, &count, diag);
	if (ret == ICP_EOK) {
		*number = (count > 0 ? numbers[0] : 0) + 1;
		free(numbers);
	}
	return ret;
}

int64_t icp_session_as_of(const icp_session_t *session, int64_t as_of, const char *feed)
{
	char text[ICP_TIME_TEXT_MAX];
	char line[512];
	if (as_of <= session->options.now + AHEAD_SECONDS) {
		return as_of;
	}
	icp_time_format(as_of, text);
	snprintf(line, sizeof line,
		"%s: as_of %s is over a day ahead of the clock; the age of the data counts from this "
		"load",
		feed, text);
	session->options.notice(line);
	return session->options.now;
}

int icp_session_audit(const icp_session_t *session, icp_audit_t **audit,
	const icp_store_info_t *after, icp_diag_t *diag)
{
	const icp_audit_batch_t batch = {
		.rectify_overdue = session->options.rectify_overdue,
		.now = session->options.now,
		.generation = after->generation,
		.sequence = after->sequence,
		.source = after->source,
	};
	/* A batch whose appending failed comes first, or nothing could be changed any more. */
	int ret = icp_audit_recover(&session->generations, was_committed, (void *)session,
		session->options.notice, diag);
	return ret == ICP_EOK ? icp_audit_begin(audit, &session->generations, &batch, diag) : ret;
}

int icp_session_leave_word(
	const icp_session_t *session, uint64_t in, uint64_t number, icp_diag_t *diag)
{
	icp_update_t *update;
	char *path = icp_generations_path(&session->generations, in);
	if (path == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int ret = icp_update_open(&update, path, true, diag);
	if (ret == ICP_EOK) {
		ret = icp_update_supersede(update, number, diag);
		icp_update_close(update);
	}
	free(path);
	return ret;
}

void icp_session_log(const icp_session_t *session, icp_audit_t *audit, icp_diag_t *diag)
{
	if (icp_audit_commit(audit) != ICP_EOK) {
		char line[sizeof diag->text + 64];
		snprintf(line, sizeof line, "%s; the next load will write the audit log's lines",
			diag->text);
		session->options.notice(line);
	}
}

int icp_session_publish(icp_session_t *session, uint64_t number, bool building, icp_audit_t *audit,
	icp_diag_t *diag)
{
	const icp_generations_t *generations = &session->generations;
	bool lasting;
	int ret = icp_audit_prepare(audit, ICP_AUDIT_LINK);
	if (ret == ICP_EOK && building) {
		ret = icp_generations_settle(generations, number, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_generations_point(generations, number, &lasting, diag);
	}
	if (ret != ICP_EOK) {
		icp_audit_cancel(audit);
		return ret;
	}
	if (session->current_code == ICP_EOK) {
		/* Without it readers see the new one a second later. */
		(void)icp_session_leave_word(session, session->current.generation, number, NULL);
	}
	icp_session_log(session, audit, diag);
	if (!lasting) {
		session->options.notice(
			"the disk failed: a crash may bring back the generation before");
	} else if (building) {
		icp_generations_prune(generations, session->options.keep);
	}
	return ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/rollback.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "loader/compare.h"
#include "loader/watch.h"

#define SOURCE "rollback"

typedef struct {
	icp_session_t session;
	icp_rollback_result_t *result;
	icp_watch_t watch;
} work_t;

/*! Writes the lines of what changes. A generation that is damaged, which may be why it is left, had
 * what can't be said. */
static int compare(work_t *work, icp_reader_t *target, icp_diag_t *diag)
{
	icp_reader_t current;
	icp_walk_t before;
	icp_walk_t after;
	icp_nodes_t nodes = icp_nodes_none();
	const icp_generations_t *generations = &work->session.generations;
	char *path = icp_generations_path(generations, icp_generations_linked(generations));
	if (path == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int opened = icp_reader_open(&current, path, diag);
	free(path);
	if (opened == ICP_EOK && icp_reader_verify(&current, diag) != ICP_EOK) {
		icp_reader_close(&current);
		opened = ICP_EDAMAGED;
	}
	if (opened == ICP_EOK) {
		icp_walk_begin(&before, &current);
		nodes = icp_nodes_of_walk(&before);
	} else if (opened == ICP_EDAMAGED) {
		work->session.options.notice(diag->text);
	} else {
		return opened;
	}
	icp_walk_begin(&after, target);
	diag->text[0] = '\0';
	int ret = icp_compare(nodes, icp_nodes_of_walk(&after), icp_watch_pair, &work->watch);
	if (opened == ICP_EOK) {
		icp_reader_close(&current);
	}
	return ret == ICP_EOK || diag->text[0] != '\0'
		       ? ret
		       : icp_fail(diag, ret, "comparing generations: %s", icp_strerror(ret));
}

/*! Checks the generation and begins the audit batch. */
static int examine(work_t *work, const char *path, icp_diag_t *diag)
{
	icp_reader_t target;
	icp_store_info_t *info = &work->result->info;
	int ret = icp_reader_open(&target, path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	*info = target.info;
	ret = icp_reader_verify(&target, diag);
	if (ret == ICP_EOK) {
		icp_store_info_t after = *info;
		snprintf(after.source, sizeof after.source, SOURCE);
		ret = icp_session_audit(&work->session, &work->watch.audit, &after, diag);
	}
	if (ret == ICP_EOK) {
		ret = compare(work, &target, diag);
		if (ret != ICP_EOK) {
			icp_audit_cancel(work->watch.audit);
		}
	}
	icp_reader_close(&target);
	return ret;
}

/*! Finds the generation to go back to: what was current before, or if that is damaged the newest
 * one before it that is not. */
static int find_target(work_t *work, uint64_t from, icp_diag_t *diag)
{
	icp_session_t *session = &work->session;
	/* One that can't be read does not say what it replaced. */
	uint64_t number = session->current_code == ICP_EOK ? session->current.replaced
							   : icp_session_older(session, from);
	if (number == 0) {
		return icp_fail(diag, ICP_ENOSTORE,
			"%s: no generation is kept that was current before %" PRIu64,
			session->options.store, from);
	}
	for (;;) {
		char line[sizeof diag->text + 64];
		char *path = icp_generations_path(&session->generations, number);
		if (path == NULL) {
			return icp_fail(diag, ICP_ENOMEM, "out of memory");
		}
		int ret = examine(work, path, diag);
		free(path);
		uint64_t older = icp_session_older(session, number);
		if ((ret != ICP_EDAMAGED && ret != ICP_EVERSION && ret != ICP_ENOSTORE) ||
			older == 0) {
			return ret;
		}
		snprintf(line, sizeof line, "generation %" PRIu64 ": %s; going back further",
			number, diag->text);
		session->options.notice(line);
		number = older;
	}
}

static int roll_back(work_t *work, icp_diag_t *diag)
{
	icp_session_t *session = &work->session;
	icp_rollback_result_t *result = work->result;
	if (session->current_code == ICP_ENOSTORE) {
		return icp_fail(diag, session->current_code, "%s", session->current_diag.text);
	}
	result->from = icp_generations_linked(&session->generations);
	int ret = find_target(work, result->from, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	uint64_t number = result->info.generation;
	ret = icp_session_leave_word(session, number, 0, diag);
	if (ret != ICP_EOK) {
		icp_audit_cancel(work->watch.audit);
		return ret;
	}
	/* By it, one that was rolled back from is told from one whose loader did not come to its
	 * end. A damaged one can't be written to, and need not be. */
	(void)icp_session_leave_word(session, result->from, number, NULL);
	result->gained = work->watch.gained;
	result->lost = work->watch.lost;
	result->from_sequence = session->current.sequence;
	return icp_session_publish(session, number, false, work->watch.audit, diag);
}

int icp_rollback(
	const icp_session_options_t *options, icp_rollback_result_t *result, icp_diag_t *diag)
{
	work_t work = {.result = result};
	work.watch.options = &work.session.options;
	*result = (icp_rollback_result_t){.from = 0};
	int ret = icp_session_open(&work.session, options, diag);
	if (ret == ICP_EOK) {
		ret = roll_back(&work, diag);
		icp_session_close(&work.session);
	}
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/rollback.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "loader/compare.h"
#include "loader/update.h"

#define SOURCE "rollback"

typedef struct {
	icp_session_t session;
	icp_rollback_result_t *result;
	icp_audit_t *audit;
} work_t;

static int watch_pair(const icp_row_t *before, const icp_row_t *after, void *context)
{
	work_t *work = context;
	const icp_session_options_t *options = &work->session.options;
	bool had =
		before != NULL && icp_row_permits(before, options->rectify_overdue, options->now);
	bool has = after != NULL && icp_row_permits(after, options->rectify_overdue, options->now);
	work->result->gained += has && !had;
	work->result->lost += had && !has;
	return icp_audit_add(before, after, work->audit);
}

static int no_node(void *context, icp_node_t *node)
{
	(void)context;
	(void)node;
	return 0;
}

/*! Writes the lines of what changes. A generation that is damaged, which may be why it is left, had
 * what can't be said. */
static int compare(work_t *work, icp_reader_t *target, icp_diag_t *diag)
{
	icp_reader_t current;
	icp_walk_t before;
	icp_walk_t after;
	icp_nodes_t nodes = {no_node, NULL};
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
	int ret = icp_compare(nodes, icp_nodes_of_walk(&after), watch_pair, work);
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
		ret = icp_session_audit(&work->session, &work->audit, &after, diag);
	}
	if (ret == ICP_EOK) {
		ret = compare(work, &target, diag);
		if (ret != ICP_EOK) {
			icp_audit_cancel(work->audit);
		}
	}
	icp_reader_close(&target);
	return ret;
}

/*! Leaves word in a generation; see session.c. Not only for readers: by it, one that was rolled
 * back from is told from one whose loader did not come to its end. */
static int leave_word(work_t *work, uint64_t in, uint64_t number, icp_diag_t *diag)
{
	icp_update_t *update;
	char *path = icp_generations_path(&work->session.generations, in);
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

static int roll_back(work_t *work, icp_diag_t *diag)
{
	icp_session_t *session = &work->session;
	if (session->current_code == ICP_ENOSTORE) {
		return icp_fail(diag, session->current_code, "%s", session->current_diag.text);
	}
	/* One that can't be read does not say what it replaced. */
	uint64_t from = icp_generations_linked(&session->generations);
	uint64_t number = session->current_code == ICP_EOK ? session->current.replaced
							   : icp_session_replaced(session);
	if (number == 0) {
		return icp_fail(diag, ICP_ENOSTORE,
			"%s: no generation is kept that was current before %" PRIu64,
			session->options.store, from);
	}
	char *path = icp_generations_path(&session->generations, number);
	if (path == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int ret = examine(work, path, diag);
	free(path);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = leave_word(work, number, 0, diag);
	if (ret != ICP_EOK) {
		icp_audit_cancel(work->audit);
		return ret;
	}
	/* A damaged one can't be written to, and need not be. */
	(void)leave_word(work, from, number, NULL);
	work->result->from = from;
	work->result->from_sequence = session->current.sequence;
	return icp_session_publish(session, number, false, work->audit, diag);
}

int icp_rollback(
	const icp_session_options_t *options, icp_rollback_result_t *result, icp_diag_t *diag)
{
	work_t work = {.result = result};
	*result = (icp_rollback_result_t){.from = 0};
	int ret = icp_session_open(&work.session, options, diag);
	if (ret == ICP_EOK) {
		ret = roll_back(&work, diag);
		icp_session_close(&work.session);
	}
	return ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! Loads and rollbacks, each in a child, one at a time. */
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "loader/daemon.h"
#include "loader/options.h"
#include "loader/spool_move.h"

#define PAUSE_MIN_MS 1000
#define PAUSE_MAX_MS ((int64_t)300 * 1000)
#define CRASHES_MAX 5 /* Then it is the feed, by all appearance. */
#define LINES_MAX 40  /* Of output that are logged; all that was kept is in the report. */

static const char *const kinds[] = {
	[ICP_LOAD_FULL] = "full", [ICP_LOAD_DELTA] = "delta", [ICP_LOAD_ROLLBACK] = "rollback"};

static int64_t pause_after(unsigned tries)
{
	unsigned doublings = tries > 0 && tries < 10 ? tries - 1 : 9;
	int64_t pause = (int64_t)PAUSE_MIN_MS << doublings;
	return pause < PAUSE_MAX_MS ? pause : PAUSE_MAX_MS;
}

/*! Begins a child; the arguments are those behind the options that all have. */
static int start(icp_daemon_t *daemon, enum icp_load_kind kind, const char *option,
	const char *path, icp_diag_t *diag)
{
	char keep[32];
	const char *arguments[16];
	size_t count = 0;
	snprintf(keep, sizeof keep, "%" PRIu32, daemon->config.daemon.keep);
	arguments[count++] = daemon->loader;
	/* No -c: the file may say something else by now, or nothing that can be read. */
	arguments[count++] = "--store";
	arguments[count++] = daemon->store;
	arguments[count++] = "--rectify-overdue";
	arguments[count++] = icp_verdict_name(daemon->config.policy.rectify_overdue);
	if (kind != ICP_LOAD_ROLLBACK) {
		arguments[count++] = "--keep";
		arguments[count++] = keep;
		/* What lies in the spool may be another thing than when it was looked at. */
		arguments[count++] = "--no-links";
	}
	if (option != NULL) {
		arguments[count++] = option;
	}
	arguments[count++] = kinds[kind];
	if (path != NULL) {
		arguments[count++] = "--";
		arguments[count++] = path;
	}
	arguments[count] = NULL;
	int ret = icp_child_start(
		&daemon->job.child, daemon->loop, (char *const *)arguments, NULL, NULL, diag);
	if (ret == ICP_EOK) {
		daemon->job.busy = true;
		daemon->job.kind = kind;
		daemon->job.began = icp_daemon_now();
		daemon->job.began_wall = (int64_t)time(NULL);
		daemon->state.loading = true;
	}
	return ret;
}

static void try_later(icp_spool_feed_t *feed)
{
	feed->tries++;
	feed->retry_at = icp_daemon_now() + pause_after(feed->tries);
}

void icp_daemon_load(icp_daemon_t *daemon, icp_spool_feed_t *feed)
{
	icp_diag_t diag = {""};
	icp_daemon_job_t *job = &daemon->job;
	char *path = NULL;
	int ret = asprintf(&path, "%s/%s%s", daemon->spool_path, feed->base, feed->suffix) < 0
			  ? icp_fail(&diag, ICP_ENOMEM, "out of memory")
			  : ICP_EOK;
	if (ret == ICP_EOK && feed->full) {
		ret = icp_spool_begin(&daemon->spool, feed,
			daemon->holds.there ? daemon->info.generation : 0, &diag);
	}
	if (ret == ICP_EOK) {
		snprintf(job->base, sizeof job->base, "%s", feed->base);
		job->sequence = feed->sequence;
		memcpy(job->sha256, feed->sha256, sizeof job->sha256);
		ret = start(daemon, feed->full ? ICP_LOAD_FULL : ICP_LOAD_DELTA,
			feed->full && feed->forced ? "--force" : NULL, path, &diag);
	}
	if (ret != ICP_EOK) {
		try_later(feed);
		icp_log(ICP_LOG_ERROR, "%s: not loaded: %s", feed->base, diag.text);
	}
	free(path);
}

static void answer_rollback(icp_daemon_t *daemon, bool good, const char *error, const char *report)
{
	json_t *answer = json_pack("{s:b, s:i, s:s, s:b}", "ok", good, "status",
		good ? EXIT_DONE : EXIT_FAILED, "report", report, "fleeting",
		daemon->pause_fleeting);
	if (!good) {
		json_object_set_new(answer, "error", json_string(error));
	}
	icp_control_answer(daemon->control, ICP_COMMAND_ROLLBACK, NULL, answer);
}

void icp_daemon_rollback(icp_daemon_t *daemon)
{
	icp_diag_t diag = {""};
	daemon->rollback_wanted = false;
	daemon->job.base[0] = '\0';
	daemon->job.sequence = 0;
	if (start(daemon, ICP_LOAD_ROLLBACK, NULL, NULL, &diag) != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "rollback: %s", diag.text);
		answer_rollback(daemon, false, diag.text, "");
	}
}

static enum icp_load_outcome outcome_of(const icp_child_t *child)
{
	switch (child->exit) {
	case -1:
		return ICP_LOAD_CRASHED;
	case EXIT_DONE:
		return ICP_LOAD_DONE;
	case EXIT_GUARD:
		return ICP_LOAD_GUARD;
	case EXIT_USAGE:
		return ICP_LOAD_USAGE;
	case EXIT_FEED:
		return ICP_LOAD_FEED;
	default:
		return ICP_LOAD_FAILED;
	}
}

/*! How it ended, in words. */
static void describe(const icp_child_t *child, char text[128])
{
	static const char *const words[] = {"done", "refused by a guard",
		"usage or configuration is not valid", "rejected", "failed"};
	if (child->exit == -1) {
		snprintf(text, 128, "ended by signal %d (%s)", child->killer,
			strsignal(child->killer));
	} else if (child->exit < (int)(sizeof words / sizeof *words)) {
		snprintf(text, 128, "%s", words[child->exit]);
	} else {
		snprintf(text, 128, "failed, exit status %d", child->exit);
	}
}

static void log_output(const char *what, enum icp_level level, const icp_child_t *child)
{
	const char *line = child->output;
	for (int i = 0; *line != '\0'; i++) {
		size_t length = strcspn(line, "\n");
		if (i == LINES_MAX) {
			icp_log(level, "%s: and more", what);
			return;
		}
		icp_log(level, "%s: %.*s", what, length < 1024 ? (int)length : 1024, line);
		line += length + (line[length] == '\n');
	}
}

/*! Notes that it ended, and logs how. */
static void note(icp_daemon_t *daemon, enum icp_load_outcome outcome, const char *how)
{
	const icp_daemon_job_t *job = &daemon->job;
	icp_daemon_state_t *state = &daemon->state;
	enum icp_level level = outcome == ICP_LOAD_DONE ? ICP_LOG_INFO : ICP_LOG_ERROR;
	state->loading = false;
	state->loads[job->kind][outcome]++;
	state->last = (icp_load_t){
		.kind = job->kind,
		.outcome = outcome,
		.began = job->began_wall,
		.seconds = (double)(icp_daemon_now() - job->began) / 1000,
		.sequence = job->sequence,
	};
	const char *name = job->kind == ICP_LOAD_ROLLBACK ? "rollback" : job->base;
	log_output(name, level, &job->child);
	if (job->kind == ICP_LOAD_ROLLBACK) {
		icp_log(level, "rollback: %s, in %.1f s", how, state->last.seconds);
	} else {
		icp_log(level, "%s: %s, sequence %" PRIu64 ": %s, in %.1f s", job->base,
			kinds[job->kind], job->sequence, how, state->last.seconds);
	}
}

/*! How a feed that the guard refused is loaded all the same, by the name that it will have then. */
static char *advise(const icp_daemon_t *daemon, icp_spool_feed_t *feed)
{
	char as[ICP_SPOOL_BASE_MAX + 1];
	char name[ICP_SPOOL_BASE_MAX + sizeof "rejected/"];
	char quoted[ICP_TEXT_QUOTED_MAX(sizeof name)];
	char *advice;
	feed->left_at = (int64_t)time(NULL);
	if (icp_spool_choose_base(&daemon->spool, feed->base, ICP_SPOOL_REJECTED, feed->left_at, as,
		    NULL) != ICP_EOK) {
		return NULL;
	}
	/* With its place before it, it is no option either. */
	snprintf(name, sizeof name, "%s/%s", icp_spool_place_name(ICP_SPOOL_REJECTED), as);
	icp_text_quote(quoted, name);
	return asprintf(&advice, "If that is as it should be: icpgate ctl load %s --force\n",
		       quoted) < 0
		       ? NULL
		       : advice;
}

/*! What is to be read beside the feed. */
static char *write_report(const icp_daemon_t *daemon, icp_spool_feed_t *feed,
	enum icp_load_outcome outcome, const char *how)
{
	const icp_daemon_job_t *job = &daemon->job;
	char *report;
	/* Force has no say in the order of sequences. */
	bool forceable =
		outcome == ICP_LOAD_GUARD && feed != NULL && feed->sequence >= daemon->info.base;
	char *advice = forceable ? advise(daemon, feed) : NULL;
	if (asprintf(&report, "%s%s%s%s\n%s", job->child.output,
		    job->child.cut ? "\n(and more)\n" : "",
		    job->child.length > 0 && job->child.output[job->child.length - 1] != '\n' ? "\n"
											      : "",
		    how, advice != NULL ? advice : "") < 0) {
		report = NULL;
	}
	free(advice);
	return report;
}

/*! The loader rejected it: for good, if it was then as it had been for a while. */
static void consider(icp_daemon_t *daemon, icp_spool_feed_t *feed, char *report)
{
	bool waits = !feed->full &&
		     (!daemon->holds.there || feed->sequence != daemon->holds.sequence + 1);
	if (waits) {
		/* The store is another one by now: it was not this one's turn. */
		free(report);
	} else if (feed->since + ICP_SPOOL_SETTLE_MS <= daemon->job.began) {
		icp_daemon_leave(daemon, feed, ICP_SPOOL_REJECTED, report);
	} else {
		icp_log(ICP_LOG_NOTICE, "%s: is tried again when it does not change any more",
			feed->base);
		feed->disliked = true;
		feed->retry_at = feed->since + ICP_SPOOL_SETTLE_MS;
		free(report);
	}
}

static void fail(icp_spool_feed_t *feed, const char *base)
{
	try_later(feed);
	icp_log(ICP_LOG_ERROR, "%s: is tried again in %" PRId64 " s", base,
		pause_after(feed->tries) / 1000);
}

/*! What comes of the feed. Takes the report over. */
static void conclude(
	icp_daemon_t *daemon, icp_spool_feed_t *feed, enum icp_load_outcome outcome, char *report)
{
	switch (outcome) {
	case ICP_LOAD_DONE:
		icp_daemon_leave(daemon, feed, ICP_SPOOL_DONE, report);
		return;
	case ICP_LOAD_GUARD:
		icp_daemon_leave(daemon, feed, ICP_SPOOL_REJECTED, report);
		return;
	case ICP_LOAD_FEED:
		consider(daemon, feed, report);
		return;
	case ICP_LOAD_CRASHED:
		if (feed->tries + 1 >= CRASHES_MAX) {
			icp_daemon_leave(daemon, feed, ICP_SPOOL_REJECTED, report);
			return;
		}
		break;
	case ICP_LOAD_USAGE:
	case ICP_LOAD_FAILED:
	case ICP_LOAD_OUTCOME_COUNT:
		break;
	}
	fail(feed, daemon->job.base);
	free(report);
}

static void answer_load(
	icp_daemon_t *daemon, enum icp_load_outcome outcome, const char *how, const char *report)
{
	json_t *answer = json_pack("{s:b, s:i, s:s}", "ok", outcome == ICP_LOAD_DONE, "status",
		daemon->job.child.exit == -1 ? EXIT_FAILED : daemon->job.child.exit, "report",
		report != NULL ? report : "");
	if (outcome != ICP_LOAD_DONE) {
		json_object_set_new(answer, "error", json_string(how));
	}
	icp_control_answer(daemon->control, ICP_COMMAND_LOAD, daemon->job.base, answer);
}

static void end_load(icp_daemon_t *daemon, enum icp_load_outcome outcome, const char *how)
{
	icp_diag_t diag = {""};
	/* It may have been changed, or taken away, meanwhile. */
	if (icp_spool_scan(&daemon->spool, icp_daemon_now(), &diag) != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "%s", diag.text);
	}
	icp_spool_feed_t *feed = icp_spool_find(&daemon->spool, daemon->job.base);
	if (outcome != ICP_LOAD_DONE) {
		icp_spool_forget(&daemon->spool);
	}
	/* Its times may be set after it is complete; what it is stays the same then. */
	bool other = feed == NULL ||
		     (feed->state != ICP_SPOOL_GOOD && feed->state != ICP_SPOOL_UNREAD) ||
		     memcmp(feed->sha256, daemon->job.sha256, sizeof feed->sha256) != 0;
	char *report = write_report(daemon, other ? NULL : feed, outcome, how);
	answer_load(daemon, outcome, how, report);
	bool settled = outcome == ICP_LOAD_DONE || outcome == ICP_LOAD_GUARD;
	if (feed == NULL || (settled && other)) {
		icp_log(ICP_LOG_WARNING, "%s: was changed or taken away while it was loaded",
			daemon->job.base);
		icp_spool_forget(&daemon->spool);
		free(report);
	} else if (daemon->stopping && outcome != ICP_LOAD_DONE) {
		free(report);
	} else {
		conclude(daemon, feed, outcome, report);
	}
}

void icp_daemon_load_ended(icp_daemon_t *daemon)
{
	icp_daemon_job_t *job = &daemon->job;
	if (!job->busy || !icp_child_reap(&job->child)) {
		return;
	}
	char how[128];
	enum icp_load_outcome outcome = outcome_of(&job->child);
	describe(&job->child, how);
	note(daemon, outcome, how);
	daemon->announced =
		outcome == ICP_LOAD_DONE || (daemon->announced && outcome != ICP_LOAD_CRASHED);
	icp_daemon_read_store(daemon);
	if (job->kind == ICP_LOAD_ROLLBACK) {
		answer_rollback(daemon, outcome == ICP_LOAD_DONE, how, job->child.output);
	} else {
		end_load(daemon, outcome, how);
	}
	icp_child_close(&job->child);
	job->busy = false;
	if (outcome == ICP_LOAD_DONE && job->kind == ICP_LOAD_FULL) {
		/* It may be what the child that follows failed for want of. */
		daemon->follow.failures = 0;
		icp_daemon_follow(daemon);
	}
	icp_daemon_step(daemon);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate-load: the loader. Reads the options and calls the command. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "core/fault.h"
#include "loader/follow.h"
#include "loader/options.h"
#include "loader/pg.h"
#include "loader/report.h"

static int exit_status(int code)
{
	switch (code) {
	case ICP_EOK:
		return EXIT_DONE;
	case ICP_EGUARD:
		return EXIT_GUARD;
	case ICP_EFEED:
		return EXIT_FEED;
	case ICP_ECONFIG:
		return EXIT_USAGE;
	default:
		return EXIT_FAILED;
	}
}

static int failed(int code, const icp_diag_t *diag)
{
	fprintf(stderr, "%s\n", diag->text[0] != '\0' ? diag->text : icp_strerror(code));
	return exit_status(code);
}

static void print_notice(const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static int64_t monotonic_milliseconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static int64_t wall_seconds(void)
{
	return (int64_t)time(NULL);
}

/*! Ends a command that did its work: what can't be told of it does not undo it. */
static int done(int code, const char *what)
{
	if (code != ICP_EOK || icp_options_finish(EXIT_DONE) != EXIT_DONE) {
		fprintf(stderr, "%s all the same\n", what);
		clearerr(stdout);
	}
	return EXIT_DONE;
}

static int run_full(const icp_options_t *options, int count, char **arguments)
{
	icp_progress_t progress;
	icp_full_result_t result;
	icp_bad_t bad = {.total = 0};
	icp_diag_t diag = {""};
	(void)count;
	icp_progress_init(&progress, isatty(STDERR_FILENO) ? stderr : NULL, monotonic_milliseconds);
	const char *database = options->query != NULL ? ICP_PG_QUERY : ICP_PG_FEED;
	icp_full_job_t job = {
		.feed = options->from != NULL ? database : arguments[0],
		.manifest_optional = options->no_manifest,
		.force = options->force,
		.max_lost = options->max_lost,
		.options = options->session,
		.progress = &progress,
	};
	job.options.creates = true;
	int code = options->from != NULL
			   ? icp_pg_load(options->from, options->query, &job, &result, &bad, &diag)
			   : icp_full_load(&job, &result, &bad, &diag);
	icp_bad_print(&bad, job.feed, stderr);
	if (code != ICP_EOK) {
		return failed(code, &diag);
	}
	char what[64];
	snprintf(what, sizeof what, "generation %" PRIu64 " is current", result.info.generation);
	return done(
		icp_report_full(&result, icp_progress_seconds(&progress), options->json, stdout),
		what);
}

static int run_delta(const icp_options_t *options, int count, char **arguments)
{
	icp_delta_t delta;
	icp_diag_t diag = {""};
	int code = icp_delta_open(&delta, &options->session, &diag);
	if (code != ICP_EOK) {
		return failed(code, &diag);
	}
	int status = EXIT_DONE;
	for (int i = 0; i < count && status == EXIT_DONE; i++) {
		icp_delta_result_t result;
		icp_bad_t bad = {.total = 0};
		diag.text[0] = '\0';
		code = icp_delta_load(&delta, arguments[i], &result, &bad, &diag);
		icp_bad_print(&bad, arguments[i], stderr);
		status = code == ICP_EOK ? done(icp_report_delta(&result, arguments[i],
							options->json, stdout),
						   "the delta is applied")
					 : failed(code, &diag);
	}
	icp_delta_close(&delta);
	return status;
}

static void print_applied(const icp_delta_result_t *result, const char *feed, void *context)
{
	const icp_options_t *options = context;
	(void)done(icp_report_delta(result, feed, options->json, stdout), "the delta is applied");
}

static int run_follow(const icp_options_t *options, int count, char **arguments)
{
	icp_follow_result_t result;
	icp_diag_t diag = {""};
	(void)count;
	(void)arguments;
	icp_options_t printed = *options;
	const icp_follow_job_t job = {
		.conninfo = options->from,
		.session = options->session,
		.clock = wall_seconds,
		.once = options->once,
		.stop = icp_follow_stop(),
		.applied = print_applied,
		.context = &printed,
	};
	if (job.stop < 0) {
		icp_fail(&diag, ICP_ESYS, "signalfd: %s", strerror(errno));
		return failed(ICP_ESYS, &diag);
	}
	int code = icp_follow(&job, &result, &diag);
	close(job.stop);
	icp_bad_print(&result.bad, result.feed, stderr);
	return code == ICP_EOK ? EXIT_DONE : failed(code, &diag);
}

static int run_rollback(const icp_options_t *options, int count, char **arguments)
{
	icp_rollback_result_t result;
	icp_diag_t diag = {""};
	(void)count;
	(void)arguments;
	int code = icp_rollback(&options->session, &result, &diag);
	return code == ICP_EOK ? done(icp_report_rollback(&result, options->json, stdout),
					 "the generation is current")
			       : failed(code, &diag);
}

static int run_status(const icp_options_t *options, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_status_t status;
	icp_diag_t diag = {""};
	int code = icp_status_read(&status, options->session.store, &diag);
	if (code != ICP_EOK) {
		return failed(code, &diag);
	}
	code = icp_report_status(&status, options->session.now, options->json, stdout);
	if (code == ICP_EOK && status.code != ICP_EOK) {
		code = status.code;
		diag = status.diag;
	}
	icp_status_deinit(&status);
	return code == ICP_EOK ? EXIT_DONE : failed(code, &diag);
}

typedef struct {
	const char *name;
	int (*run)(const icp_options_t *options, int count, char **arguments);
	int least; /*!< Feeds; --from is one. */
	int most;
	unsigned takes; /*!< icp_takes bits. */
} command_t;

static const command_t commands[] = {
	{"full", run_full, 1, 1,
		ICP_TAKES_MANIFEST | ICP_TAKES_GUARD | ICP_TAKES_KEEP | ICP_TAKES_WAIT |
			ICP_TAKES_FROM | ICP_TAKES_QUERY | ICP_TAKES_LINKS | ICP_TAKES_OVERDUE},
	{"delta", run_delta, 1, INT_MAX,
		ICP_TAKES_KEEP | ICP_TAKES_WAIT | ICP_TAKES_LINKS | ICP_TAKES_OVERDUE},
	{"follow", run_follow, 1, 1,
		ICP_TAKES_KEEP | ICP_TAKES_WAIT | ICP_TAKES_FROM | ICP_TAKES_ONCE |
			ICP_TAKES_OVERDUE},
	{"rollback", run_rollback, 0, 0, ICP_TAKES_WAIT | ICP_TAKES_OVERDUE},
	{"status", run_status, 0, 0, 0},
};

static const command_t *find_command(const char *name)
{
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(name, commands[i].name) == 0) {
			return &commands[i];
		}
	}
	return NULL;
}

/*! Whether the feeds are as many as a command takes, and of the kind that it takes. */
static bool check_feeds(const command_t *command, const icp_options_t *options, int count)
{
	const char *wrong = NULL;
	if (options->from != NULL ? count > 0 : count < command->least || count > command->most) {
		wrong = "wrong number of arguments";
	} else if (command->run == run_follow && options->from == NULL) {
		wrong = "--from is missing";
	} else if (options->query != NULL && options->from == NULL) {
		wrong = "--query needs --from";
	} else if (options->no_manifest && options->from != NULL) {
		wrong = "--no-manifest is for files";
	}
	if (wrong != NULL) {
		fprintf(stderr, "icpgate-load: %s: %s\n", command->name, wrong);
	}
	return wrong == NULL;
}

/*! Runs a command with the store in force. With --store, only a file named by -c is read. */
static int run(const command_t *command, icp_options_t *options, int count, char **arguments)
{
	icp_config_t config = {.path = NULL};
	icp_diag_t diag = {""};
	if (options->session.store == NULL || options->config != NULL) {
		const char *path = icp_config_path(options->config);
		int code = icp_config_load(&config, path, &diag);
		if (code != ICP_EOK) {
			failed(code, &diag);
			return code == ICP_ENOMEM ? EXIT_FAILED : EXIT_USAGE;
		}
		if ((options->given & ICP_TAKES_OVERDUE) == 0) {
			options->session.rectify_overdue = config.policy.rectify_overdue;
		}
	}
	if (options->session.store == NULL) {
		options->session.store = config.store;
	}
	/* A file that loses its pages is then found damaged, and not the end of the process. */
	icp_fault_install();
	icp_fault_enter();
	int status = command->run(options, count, arguments);
	icp_fault_leave();
	icp_fault_uninstall();
	icp_config_deinit(&config);
	return icp_options_finish(status);
}

int main(int argc, char **argv)
{
	icp_options_t options = {
		.max_lost = ICP_MAX_LOST_DEFAULT,
		.session =
			{
				.wait = true,
				.now = wall_seconds(),
				.clock = wall_seconds,
				.keep = ICP_KEEP_DEFAULT,
				.rectify_overdue = ICP_PASS,
				.notice = print_notice,
			},
	};

	/* A reader of stdout that went away is then an error of write, not the end of the process.
	 */
	signal(SIGPIPE, SIG_IGN);

	int status = icp_options_parse(&options, argc, argv);
	if (status >= 0) {
		return status;
	}
	if (optind == argc) {
		return icp_options_usage();
	}
	const command_t *command = find_command(argv[optind]);
	if (command == NULL) {
		fprintf(stderr, "icpgate-load: no such command: %s\n", argv[optind]);
		return icp_options_usage();
	}
	int count = argc - optind - 1;
	if (!icp_options_check(&options, command->name, command->takes) ||
		!check_feeds(command, &options, count)) {
		return icp_options_usage();
	}
	return run(command, &options, count, argv + optind + 1);
}

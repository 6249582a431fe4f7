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
#include "loader/pg.h"
#include "loader/report.h"

enum { EXIT_DONE = 0, EXIT_GUARD = 1, EXIT_USAGE = 2, EXIT_FEED = 3, EXIT_FAILED = 4 };

enum {
	OPTION_STORE = 256,
	OPTION_JSON,
	OPTION_NO_MANIFEST,
	OPTION_NO_WAIT,
	OPTION_MAX_LOST,
	OPTION_FORCE,
	OPTION_KEEP,
	OPTION_FROM,
	OPTION_QUERY,
	OPTION_ONCE,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"no-manifest", no_argument, NULL, OPTION_NO_MANIFEST},
	{"no-wait", no_argument, NULL, OPTION_NO_WAIT},
	{"max-lost", required_argument, NULL, OPTION_MAX_LOST},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"keep", required_argument, NULL, OPTION_KEEP},
	{"from", required_argument, NULL, OPTION_FROM},
	{"query", required_argument, NULL, OPTION_QUERY},
	{"once", no_argument, NULL, OPTION_ONCE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/*! Options that only some commands take. */
enum {
	TAKES_MANIFEST = 1, /*!< --no-manifest */
	TAKES_GUARD = 2,    /*!< --max-lost, --force */
	TAKES_KEEP = 4,     /*!< --keep */
	TAKES_WAIT = 8,     /*!< --no-wait */
	TAKES_FROM = 16,    /*!< --from */
	TAKES_QUERY = 32,   /*!< --query */
	TAKES_ONCE = 64,    /*!< --once */
};

typedef struct {
	const char *config; /*!< -c, or NULL. */
	const char *from;   /*!< Of a database, or NULL: feeds are files. */
	const char *query;  /*!< Or NULL. */
	bool once;
	bool json;
	bool no_manifest;
	bool force;
	icp_max_lost_t max_lost;
	icp_session_options_t session; /*!< Its store: --store, then what is in force. */
	unsigned given;                /*!< TAKES_... bits of the options that were given. */
} options_t;

static const char usage_text[] =
	"Usage: icpgate-load [-c FILE] [--store DIR] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"  full FEED      builds a new generation from a full feed and makes it current\n"
	"  full --from CONNINFO [--query SQL]\n"
	"                 the same with the rows of a PostgreSQL database\n"
	"  delta FEED...  applies deltas to the current generation\n"
	"  follow --from CONNINFO [--once]\n"
	"                 applies the changes of a PostgreSQL database as they are committed\n"
	"  rollback       makes the generation before the current one current again\n"
	"  status         the current generation and those kept\n"
	"\n"
	"  -c FILE        configuration file\n"
	"  --store DIR    store to use instead of the configuration's\n"
	"  --json         JSON instead of text\n"
	"  --no-manifest  full: accept a feed without a manifest\n"
	"  --max-lost P   full: refuse to lose more than P percent of the permissions (default: 1)\n"
	"  --force        full: however many permissions are lost\n"
	"  --from CONNINFO  full, follow: connection string or URI of the database\n"
	"  --query SQL    full: rows to read instead of those of the view icpgate_feed\n"
	"  --once         follow: apply what there is and end\n"
	"  --keep N       full, delta, follow: generations to keep, the current one too (default: 3)\n"
	"  --no-wait      fail when another loader holds the store\n"
	"  --help         this text\n"
	"  --version      version\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

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

/*! A write to stdout that failed becomes a message and an exit status. */
static int finish(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0) {
		return status;
	}
	fprintf(stderr, "stdout: %s\n", strerror(errno));
	return EXIT_FAILED;
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

/*! Ends a command that did its work: what can't be told of it does not undo it. */
static int done(int code, const char *what)
{
	if (code != ICP_EOK || finish(EXIT_DONE) != EXIT_DONE) {
		fprintf(stderr, "%s all the same\n", what);
		clearerr(stdout);
	}
	return EXIT_DONE;
}

static int run_full(const options_t *options, int count, char **arguments)
{
	icp_progress_t progress;
	icp_full_result_t result;
	icp_bad_t bad = {.total = 0};
	icp_diag_t diag = {""};
	(void)count;
	icp_progress_init(&progress, isatty(STDERR_FILENO) ? stderr : NULL, monotonic_milliseconds);
	const char *database = options->query != NULL ? ICP_PG_QUERY : ICP_PG_FEED;
	const icp_full_job_t job = {
		.feed = options->from != NULL ? database : arguments[0],
		.manifest_optional = options->no_manifest,
		.force = options->force,
		.max_lost = options->max_lost,
		.options = options->session,
		.progress = &progress,
	};
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

static int run_delta(const options_t *options, int count, char **arguments)
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

static int64_t wall_seconds(void)
{
	return (int64_t)time(NULL);
}

static void print_applied(const icp_delta_result_t *result, const char *feed, void *context)
{
	const options_t *options = context;
	(void)done(icp_report_delta(result, feed, options->json, stdout), "the delta is applied");
}

static int run_follow(const options_t *options, int count, char **arguments)
{
	icp_follow_result_t result;
	icp_diag_t diag = {""};
	(void)count;
	(void)arguments;
	options_t printed = *options;
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

static int run_rollback(const options_t *options, int count, char **arguments)
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

static int run_status(const options_t *options, int count, char **arguments)
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
	int (*run)(const options_t *options, int count, char **arguments);
	int least; /*!< Feeds; --from is one. */
	int most;
	unsigned takes; /*!< TAKES_... bits. */
} command_t;

static const command_t commands[] = {
	{"full", run_full, 1, 1,
		TAKES_MANIFEST | TAKES_GUARD | TAKES_KEEP | TAKES_WAIT | TAKES_FROM | TAKES_QUERY},
	{"delta", run_delta, 1, INT_MAX, TAKES_KEEP | TAKES_WAIT},
	{"follow", run_follow, 1, 1, TAKES_KEEP | TAKES_WAIT | TAKES_FROM | TAKES_ONCE},
	{"rollback", run_rollback, 0, 0, TAKES_WAIT},
	{"status", run_status, 0, 0, 0},
};

static int bad_value(const char *option, const char *allowed)
{
	fprintf(stderr, "icpgate-load: %s: not %s: %s\n", option, allowed, optarg);
	return EXIT_USAGE;
}

static int take_keep(options_t *options)
{
	char *end;
	errno = 0;
	unsigned long keep = strtoul(optarg, &end, 10);
	if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0' || errno != 0 || keep == 0 ||
		keep > ICP_KEEP_MAX) {
		return bad_value("--keep", "a number from 1 to 1000");
	}
	options->session.keep = (unsigned)keep;
	options->given |= TAKES_KEEP;
	return -1;
}

static int take_max_lost(options_t *options)
{
	if (icp_max_lost_parse(&options->max_lost, optarg) != ICP_EOK) {
		return bad_value("--max-lost", "a percentage from 0 to 100");
	}
	options->given |= TAKES_GUARD;
	return -1;
}

/*! Takes one option. Negative: go on; else the exit status. */
static int take_option(options_t *options, int option)
{
	switch (option) {
	case 'c':
		options->config = optarg;
		return -1;
	case OPTION_STORE:
		options->session.store = optarg;
		return -1;
	case OPTION_JSON:
		options->json = true;
		return -1;
	case OPTION_NO_MANIFEST:
		options->no_manifest = true;
		options->given |= TAKES_MANIFEST;
		return -1;
	case OPTION_NO_WAIT:
		options->session.wait = false;
		options->given |= TAKES_WAIT;
		return -1;
	case OPTION_FORCE:
		options->force = true;
		options->given |= TAKES_GUARD;
		return -1;
	case OPTION_MAX_LOST:
		return take_max_lost(options);
	case OPTION_KEEP:
		return take_keep(options);
	case OPTION_FROM:
		options->from = optarg;
		options->given |= TAKES_FROM;
		return -1;
	case OPTION_QUERY:
		options->query = optarg;
		options->given |= TAKES_QUERY;
		return -1;
	case OPTION_ONCE:
		options->once = true;
		options->given |= TAKES_ONCE;
		return -1;
	case OPTION_HELP:
		fputs(usage_text, stdout);
		return finish(EXIT_DONE);
	case OPTION_VERSION:
		puts("icpgate-load " ICP_VERSION);
		return finish(EXIT_DONE);
	default:
		return usage();
	}
}

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
static bool check_feeds(const command_t *command, const options_t *options, int count)
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

/*! Says which option is not for a command, if one is. */
static bool check_options(const command_t *command, const options_t *options)
{
	static const struct {
		unsigned bit;
		const char *text;
	} texts[] = {
		{TAKES_MANIFEST, "--no-manifest is for full"},
		{TAKES_GUARD, "--max-lost and --force are for full"},
		{TAKES_KEEP, "--keep is for full, delta and follow"},
		{TAKES_WAIT, "--no-wait is for full, delta, follow and rollback"},
		{TAKES_FROM, "--from is for full and follow"},
		{TAKES_QUERY, "--query is for full"},
		{TAKES_ONCE, "--once is for follow"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if ((options->given & ~command->takes & texts[i].bit) != 0) {
			fprintf(stderr, "icpgate-load: %s: %s\n", command->name, texts[i].text);
			return false;
		}
	}
	return true;
}

/*! Runs a command with the store in force. With --store, only a file named by -c is read. */
static int run(const command_t *command, options_t *options, int count, char **arguments)
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
		options->session.rectify_overdue = config.policy.rectify_overdue;
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
	return finish(status);
}

int main(int argc, char **argv)
{
	options_t options = {
		.max_lost = ICP_MAX_LOST_DEFAULT,
		.session =
			{
				.wait = true,
				.now = (int64_t)time(NULL),
				.keep = ICP_KEEP_DEFAULT,
				.rectify_overdue = ICP_PASS,
				.notice = print_notice,
			},
	};

	/* A reader of stdout that went away is then an error of write, not the end of the process.
	 */
	signal(SIGPIPE, SIG_IGN);

	for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
		int status = take_option(&options, option);
		if (status >= 0) {
			return status;
		}
	}
	if (optind == argc) {
		return usage();
	}
	const command_t *command = find_command(argv[optind]);
	if (command == NULL) {
		fprintf(stderr, "icpgate-load: no such command: %s\n", argv[optind]);
		return usage();
	}
	int count = argc - optind - 1;
	if (!check_options(command, &options) || !check_feeds(command, &options, count)) {
		return usage();
	}
	return run(command, &options, count, argv + optind + 1);
}

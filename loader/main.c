/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate-load: the loader. Reads the options and calls the command. */
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "core/config.h"
#include "loader/pg.h"
#include "loader/report.h"

enum { EXIT_DONE = 0, EXIT_GUARD = 1, EXIT_USAGE = 2, EXIT_FEED = 3, EXIT_FAILED = 4 };

enum {
	OPTION_STORE = 256,
	OPTION_JSON,
	OPTION_NO_MANIFEST,
	OPTION_NO_WAIT,
	OPTION_FROM,
	OPTION_QUERY,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"no-manifest", no_argument, NULL, OPTION_NO_MANIFEST},
	{"no-wait", no_argument, NULL, OPTION_NO_WAIT},
	{"from", required_argument, NULL, OPTION_FROM},
	{"query", required_argument, NULL, OPTION_QUERY},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

typedef struct {
	const char *config; /*!< -c, or NULL. */
	const char *store;  /*!< --store, then what is in force. */
	const char *from;   /*!< --from, or NULL: the feed is a file. */
	const char *query;  /*!< --query, or NULL. */
	bool json;
	bool no_manifest;
	bool no_wait;
} options_t;

static const char usage_text[] =
	"Usage: icpgate-load [-c FILE] [--store DIR] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"  full [--no-manifest] [--no-wait] FEED  builds a new generation and makes it current\n"
	"  full --from CONNINFO [--query SQL] [--no-wait]\n"
	"                                         the same with the rows of a PostgreSQL database\n"
	"  status                                 the current generation and those kept\n"
	"\n"
	"  -c FILE        configuration file\n"
	"  --store DIR    store to use instead of the configuration's\n"
	"  --json         JSON instead of text\n"
	"  --no-manifest  accept a feed without a manifest\n"
	"  --no-wait      fail when another loader holds the store\n"
	"  --from CONNINFO  connection string or URI of the database\n"
	"  --query SQL    rows to read there; default: those of the view icpgate_feed\n"
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

static int load_database(const options_t *options, icp_full_job_t *job, icp_full_result_t *result,
	icp_bad_t *bad, icp_diag_t *diag)
{
	icp_pg_t *pg;
	icp_full_origin_t origin;
	int code = icp_pg_open(&pg, options->from, -1, diag);
	if (code != ICP_EOK) {
		return code;
	}
	code = icp_pg_feed(pg, options->query, &origin, diag);
	if (code == ICP_EOK) {
		job->feed = options->query != NULL ? ICP_PG_QUERY : ICP_PG_FEED;
		job->origin = &origin;
		code = icp_full_load(job, result, bad, diag);
	}
	icp_pg_close(pg);
	return code;
}

static int run_full(const options_t *options, char **arguments)
{
	icp_progress_t progress;
	icp_full_result_t result;
	icp_bad_t bad = {.total = 0};
	icp_diag_t diag = {""};
	icp_progress_init(&progress, isatty(STDERR_FILENO) ? stderr : NULL, monotonic_milliseconds);
	icp_full_job_t job = {
		.feed = arguments[0],
		.store = options->store,
		.manifest_optional = options->no_manifest,
		.wait = !options->no_wait,
		.now = (int64_t)time(NULL),
		.notice = print_notice,
		.progress = &progress,
	};
	int code = options->from != NULL ? load_database(options, &job, &result, &bad, &diag)
					 : icp_full_load(&job, &result, &bad, &diag);
	icp_bad_print(&bad, job.feed, stderr);
	if (code != ICP_EOK) {
		return failed(code, &diag);
	}
	/* It is done, whether the report can be written or not. */
	if (icp_report_full(&result, icp_progress_seconds(&progress), options->json, stdout) !=
			ICP_EOK ||
		finish(EXIT_DONE) != EXIT_DONE) {
		fprintf(stderr, "generation %" PRIu64 " is current all the same\n",
			result.info.generation);
		clearerr(stdout);
	}
	return EXIT_DONE;
}

static int run_status(const options_t *options, char **arguments)
{
	(void)arguments;
	icp_status_t status;
	icp_diag_t diag = {""};
	int code = icp_status_read(&status, options->store, &diag);
	if (code == ICP_EOK) {
		code = icp_report_status(&status, (int64_t)time(NULL), options->json, stdout);
		icp_status_deinit(&status);
	}
	return code == ICP_EOK ? EXIT_DONE : failed(code, &diag);
}

typedef struct {
	const char *name;
	int (*run)(const options_t *options, char **arguments);
	int arguments;
	bool loads; /*!< Takes the options of loading. */
} command_t;

static const command_t commands[] = {
	{"full", run_full, 1, true},
	{"status", run_status, 0, false},
};

/*! Takes one option. Negative: go on; else the exit status. */
static int take_option(options_t *options, int option)
{
	switch (option) {
	case 'c':
		options->config = optarg;
		return -1;
	case OPTION_STORE:
		options->store = optarg;
		return -1;
	case OPTION_JSON:
		options->json = true;
		return -1;
	case OPTION_NO_MANIFEST:
		options->no_manifest = true;
		return -1;
	case OPTION_NO_WAIT:
		options->no_wait = true;
		return -1;
	case OPTION_FROM:
		options->from = optarg;
		return -1;
	case OPTION_QUERY:
		options->query = optarg;
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

/*! Runs a command with the store in force. With --store, only a file named by -c is read. */
static int run(const command_t *command, options_t *options, char **arguments)
{
	icp_config_t config = {.path = NULL};
	icp_diag_t diag = {""};
	if (options->store == NULL || options->config != NULL) {
		const char *path = icp_config_path(options->config);
		int code = icp_config_load(&config, path, &diag);
		if (code != ICP_EOK) {
			failed(code, &diag);
			return code == ICP_ENOMEM ? EXIT_FAILED : EXIT_USAGE;
		}
	}
	if (options->store == NULL) {
		options->store = config.store;
	}
	int status = command->run(options, arguments);
	icp_config_deinit(&config);
	return finish(status);
}

/*! Options and arguments that do not go together; NULL when they do. */
static const char *find_misuse(const options_t *options, const command_t *command, int arguments)
{
	if (arguments != (options->from != NULL ? 0 : command->arguments)) {
		return "wrong number of arguments";
	}
	if ((options->no_manifest || options->no_wait) && !command->loads) {
		return "--no-manifest and --no-wait are for full";
	}
	if (options->from != NULL && !command->loads) {
		return "--from is for full";
	}
	if (options->query != NULL && options->from == NULL) {
		return "--query needs --from";
	}
	if (options->no_manifest && options->from != NULL) {
		return "--no-manifest is for files";
	}
	return NULL;
}

int main(int argc, char **argv)
{
	options_t options = {.config = NULL};

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
	const char *wrong = find_misuse(&options, command, argc - optind - 1);
	if (wrong != NULL) {
		fprintf(stderr, "icpgate-load: %s: %s\n", command->name, wrong);
		return usage();
	}
	return run(command, &options, argv + optind + 1);
}

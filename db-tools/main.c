/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate: the operator's tool. Reads the options and calls the subcommand. */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/time.h"
#include "db-tools/tools.h"

enum {
	OPTION_STORE = 256,
	OPTION_JSON,
	OPTION_AT,
	OPTION_RESOLVE,
	OPTION_LIST,
	OPTION_NAMES,
	OPTION_DAYS,
	OPTION_SOCKET,
	OPTION_FORCE,
	OPTION_HELP,
	OPTION_VERSION,
};

static const struct option long_options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"json", no_argument, NULL, OPTION_JSON},
	{"at", required_argument, NULL, OPTION_AT},
	{"resolve", required_argument, NULL, OPTION_RESOLVE},
	{"list", no_argument, NULL, OPTION_LIST},
	{"names", required_argument, NULL, OPTION_NAMES},
	{"days", required_argument, NULL, OPTION_DAYS},
	{"socket", required_argument, NULL, OPTION_SOCKET},
	{"force", no_argument, NULL, OPTION_FORCE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

/*! Options that not all commands take, as bits. */
enum {
	TAKES_AT = 1,
	TAKES_RESOLVE = 2,
	TAKES_LIST = 4,
	TAKES_NAMES = 8,
	TAKES_DAYS = 16,
	TAKES_CONTROL = 32,
};

typedef struct {
	const char *name;
	int (*run)(const icp_tool_t *tool, int count, char **arguments);
	int least; /*!< Arguments. */
	int most;
	unsigned takes;
} command_t;

static const command_t commands[] = {
	{"lookup", icp_tool_lookup, 1, INT_MAX, TAKES_AT | TAKES_RESOLVE},
	{"dump", icp_tool_dump, 0, 1, 0},
	{"verify", icp_tool_verify, 0, 0, 0},
	{"check", icp_tool_check, 0, 0, 0},
	{"diff", icp_tool_diff, 2, 2, TAKES_AT | TAKES_LIST | TAKES_NAMES},
	{"upcoming", icp_tool_upcoming, 0, 0, TAKES_AT | TAKES_DAYS},
	{"history", icp_tool_history, 1, 1, 0},
	{"ranges", icp_tool_ranges, 2, 2, 0},
	{"bench", icp_tool_bench, 0, 0, 0},
	{"stat", icp_tool_stat, 0, 0, 0},
	{"ctl", icp_tool_ctl, 1, 2, TAKES_CONTROL},
};

static const char usage_text[] =
	"Usage: icpgate [-c FILE] [--store DIR] [--json] COMMAND [ARGUMENT...]\n"
	"\n"
	"  lookup [--at TIME] NAME [ADDRESS...]  verdict on a name, and why\n"
	"  lookup [--at TIME] -                  the same for lines of NAME ADDRESS...\n"
	"  lookup [--at TIME] --resolve SERVER NAME\n"
	"                                        the same, with the addresses that SERVER finds,\n"
	"                                        and what keeps the site from being reached\n"
	"  dump [SUFFIX]                         the rows as CSV, in the feed's form\n"
	"  verify                                checks the current generation whole\n"
	"  check                                 checks the configuration and the range database\n"
	"  diff [--list] [--names FILE] [--at TIME] A B\n"
	"                                        rows and permissions gained and lost; A, B: the\n"
	"                                        number of a generation, current, or a full feed\n"
	"  upcoming [--days N] [--at TIME]       permissions that will lapse by time alone\n"
	"  history NAME                          changes of permissions, from the audit log\n"
	"  ranges CSV OUT.mmdb                   compiles a range database\n"
	"  bench                                 decisions per second on the current store\n"
	"  stat                                  what the resolver has counted since its start\n"
	"  ctl [--socket PATH] status|rollback|pause|resume\n"
	"                                        what the daemon does, and orders to it\n"
	"  ctl [--socket PATH] load [--force] FEED\n"
	"                                        loads a feed of the spool, done or rejected\n"
	"\n"
	"  -c FILE      configuration file\n"
	"  --store DIR  store to read instead of the configuration's\n"
	"  --json       JSON instead of text\n"
	"  --at TIME    judge at this time: RFC 3339, or a date\n"
	"  --resolve SERVER\n"
	"               DNS server to ask: ADDRESS or ADDRESS@PORT\n"
	"  --list       every permission that is gained or lost\n"
	"  --names FILE which of these names would be judged otherwise; - is stdin\n"
	"  --days N     look so far ahead, 30 without it\n"
	"  --socket PATH\n"
	"               control socket of the daemon instead of the configuration's\n"
	"  --force      load however many permissions are lost\n"
	"  --help       this text\n"
	"  --version    version\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return ICP_EXIT_USAGE;
}

static int take_days(icp_tool_t *tool)
{
	char *end;
	errno = 0;
	long days = strtol(optarg, &end, 10);
	if (errno != 0 || end == optarg || *end != '\0' || days < 1 || days > ICP_DAYS_MAX) {
		fprintf(stderr, "icpgate: --days: not a number from 1 to %d: %s\n", ICP_DAYS_MAX,
			optarg);
		return ICP_EXIT_USAGE;
	}
	tool->days = (int)days;
	return -1;
}

/*! Takes one option. Negative: go on; else the exit status. */
static int take_option(icp_tool_t *tool, int option)
{
	switch (option) {
	case 'c':
		tool->config = optarg;
		return -1;
	case OPTION_STORE:
		tool->store = optarg;
		return -1;
	case OPTION_JSON:
		tool->json = true;
		return -1;
	case OPTION_AT:
		if (icp_time_parse(&tool->at, optarg, strlen(optarg), ICP_DATE_FIRST) == ICP_EOK) {
			return -1;
		}
		fprintf(stderr, "icpgate: --at: not an RFC 3339 time or a date: %s\n", optarg);
		return ICP_EXIT_USAGE;
	case OPTION_RESOLVE:
		tool->resolve = optarg;
		return -1;
	case OPTION_LIST:
		tool->list = true;
		return -1;
	case OPTION_NAMES:
		tool->names = optarg;
		return -1;
	case OPTION_DAYS:
		return take_days(tool);
	case OPTION_SOCKET:
		tool->socket = optarg;
		return -1;
	case OPTION_FORCE:
		tool->force = true;
		return -1;
	case OPTION_HELP:
		fputs(usage_text, stdout);
		return icp_tool_finish(ICP_EXIT_DONE);
	case OPTION_VERSION:
		puts("icpgate " ICP_VERSION);
		return icp_tool_finish(ICP_EXIT_DONE);
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

/*! Runs a command. A file that loses its pages meanwhile is not its end, but void what it says. */
static int run(const command_t *command, const icp_tool_t *tool, int count, char **arguments)
{
	icp_fault_install();
	icp_fault_enter();
	int status = command->run(tool, count, arguments);
	if (icp_fault_happened()) {
		fputs("icpgate: a file lost pages while it was read\n", stderr);
		status = ICP_EXIT_FAILED;
	}
	icp_fault_leave();
	icp_fault_uninstall();
	return status;
}

/*! False, with a message, when an option was given that this command does not take. */
static bool takes_all(const command_t *command, const icp_tool_t *tool)
{
	const struct {
		bool given;
		unsigned bit;
		const char *rule;
	} options[] = {
		{tool->at != ICP_TIME_NONE, TAKES_AT, "--at is for lookup, diff and upcoming"},
		{tool->resolve != NULL, TAKES_RESOLVE, "--resolve is for lookup"},
		{tool->list, TAKES_LIST, "--list is for diff"},
		{tool->names != NULL, TAKES_NAMES, "--names is for diff"},
		{tool->days != 0, TAKES_DAYS, "--days is for upcoming"},
		{tool->socket != NULL, TAKES_CONTROL, "--socket is for ctl"},
		{tool->force, TAKES_CONTROL, "--force is for ctl load"},
	};
	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		if (options[i].given && (command->takes & options[i].bit) == 0) {
			fprintf(stderr, "icpgate: %s: %s\n", command->name, options[i].rule);
			return false;
		}
	}
	return true;
}

int main(int argc, char **argv)
{
	icp_tool_t tool = {.at = ICP_TIME_NONE};

	/* A reader of stdout that went away is then an error of write, not the end of the process.
	 */
	signal(SIGPIPE, SIG_IGN);

	for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
		int status = take_option(&tool, option);
		if (status >= 0) {
			return status;
		}
	}
	if (optind == argc) {
		return usage();
	}

	const command_t *command = find_command(argv[optind]);
	if (command == NULL) {
		fprintf(stderr, "icpgate: no such command: %s\n", argv[optind]);
		return usage();
	}
	int count = argc - optind - 1;
	if (count < command->least || count > command->most) {
		fprintf(stderr, "icpgate: %s: wrong number of arguments\n", command->name);
		return usage();
	}
	if (!takes_all(command, &tool)) {
		return usage();
	}
	return icp_tool_finish(run(command, &tool, count, argv + optind + 1));
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
	OPTION_NO_LINKS,
	OPTION_RECTIFY_OVERDUE,
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
	{"no-links", no_argument, NULL, OPTION_NO_LINKS},
	{"rectify-overdue", required_argument, NULL, OPTION_RECTIFY_OVERDUE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

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
	"  --rectify-overdue pass|block\n"
	"                 full, delta, follow, rollback: instead of the configuration's\n"
	"  --json         JSON instead of text\n"
	"  --no-manifest  full: accept a feed without a manifest\n"
	"  --no-links     full, delta: a feed or manifest that is a symbolic link is rejected\n"
	"  --max-lost P   full: refuse to lose more than P percent of the permissions (default: 1)\n"
	"  --force        full: however many permissions are lost\n"
	"  --from CONNINFO  full, follow: connection string or URI of the database\n"
	"  --query SQL    full: rows to read instead of those of the view icpgate_feed\n"
	"  --once         follow: apply what there is and end\n"
	"  --keep N       full, delta, follow: generations to keep, the current one too (default: 3)\n"
	"  --no-wait      fail when another loader holds the store\n"
	"  --help         this text\n"
	"  --version      version\n";

int icp_options_usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

int icp_options_finish(int status)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0) {
		return status;
	}
	fprintf(stderr, "stdout: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static int bad_value(const char *option, const char *allowed)
{
	fprintf(stderr, "icpgate-load: %s: not %s: %s\n", option, allowed, optarg);
	return EXIT_USAGE;
}

static int take_keep(icp_options_t *options)
{
	char *end;
	errno = 0;
	unsigned long keep = strtoul(optarg, &end, 10);
	if (optarg[0] < '0' || optarg[0] > '9' || *end != '\0' || errno != 0 || keep == 0 ||
		keep > ICP_KEEP_MAX) {
		return bad_value("--keep", "a number from 1 to 1000");
	}
	options->session.keep = (unsigned)keep;
	options->given |= ICP_TAKES_KEEP;
	return -1;
}

static int take_max_lost(icp_options_t *options)
{
	if (icp_max_lost_parse(&options->max_lost, optarg) != ICP_EOK) {
		return bad_value("--max-lost", "a percentage from 0 to 100");
	}
	options->given |= ICP_TAKES_GUARD;
	return -1;
}

static int take_rectify_overdue(icp_options_t *options)
{
	bool blocks = strcmp(optarg, icp_verdict_name(ICP_BLOCK)) == 0;
	if (!blocks && strcmp(optarg, icp_verdict_name(ICP_PASS)) != 0) {
		return bad_value("--rectify-overdue", "pass or block");
	}
	options->session.rectify_overdue = blocks ? ICP_BLOCK : ICP_PASS;
	options->given |= ICP_TAKES_OVERDUE;
	return -1;
}

/*! Takes one option. Negative: go on; else the exit status. */
static int take_option(icp_options_t *options, int option)
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
		options->given |= ICP_TAKES_MANIFEST;
		return -1;
	case OPTION_NO_WAIT:
		options->session.wait = false;
		options->given |= ICP_TAKES_WAIT;
		return -1;
	case OPTION_FORCE:
		options->force = true;
		options->given |= ICP_TAKES_GUARD;
		return -1;
	case OPTION_MAX_LOST:
		return take_max_lost(options);
	case OPTION_KEEP:
		return take_keep(options);
	case OPTION_FROM:
		options->from = optarg;
		options->given |= ICP_TAKES_FROM;
		return -1;
	case OPTION_QUERY:
		options->query = optarg;
		options->given |= ICP_TAKES_QUERY;
		return -1;
	case OPTION_ONCE:
		options->once = true;
		options->given |= ICP_TAKES_ONCE;
		return -1;
	case OPTION_NO_LINKS:
		options->session.no_links = true;
		options->given |= ICP_TAKES_LINKS;
		return -1;
	case OPTION_RECTIFY_OVERDUE:
		return take_rectify_overdue(options);
	case OPTION_HELP:
		fputs(usage_text, stdout);
		return icp_options_finish(EXIT_DONE);
	case OPTION_VERSION:
		puts("icpgate-load " ICP_VERSION);
		return icp_options_finish(EXIT_DONE);
	default:
		return icp_options_usage();
	}
}

int icp_options_parse(icp_options_t *options, int argc, char **argv)
{
	for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
		int status = take_option(options, option);
		if (status >= 0) {
			return status;
		}
	}
	return -1;
}

bool icp_options_check(const icp_options_t *options, const char *command, unsigned takes)
{
	static const struct {
		unsigned bit;
		const char *text;
	} texts[] = {
		{ICP_TAKES_MANIFEST, "--no-manifest is for full"},
		{ICP_TAKES_GUARD, "--max-lost and --force are for full"},
		{ICP_TAKES_KEEP, "--keep is for full, delta and follow"},
		{ICP_TAKES_WAIT, "--no-wait is for full, delta, follow and rollback"},
		{ICP_TAKES_FROM, "--from is for full and follow"},
		{ICP_TAKES_QUERY, "--query is for full"},
		{ICP_TAKES_ONCE, "--once is for follow"},
		{ICP_TAKES_LINKS, "--no-links is for full and delta"},
		{ICP_TAKES_OVERDUE, "--rectify-overdue is for full, delta, follow and rollback"},
	};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		if ((options->given & ~takes & texts[i].bit) != 0) {
			fprintf(stderr, "icpgate-load: %s: %s\n", command, texts[i].text);
			return false;
		}
	}
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgated: the daemon. Reads the options and runs it. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/fault.h"
#include "loader/daemon.h"
#include "loader/options.h"

#define TRIES 10
#define PAUSE_US 100000

enum { OPTION_STORE = 256, OPTION_HELP, OPTION_VERSION };

static const struct option long_options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] = "Usage: icpgated [-c FILE] [--store DIR]\n"
				 "\n"
				 "Loads the feeds that arrive in the spool; see icpgated(8).\n"
				 "\n"
				 "  -c FILE      configuration file\n"
				 "  --store DIR  store to use instead of the configuration's\n"
				 "  --help       this text\n"
				 "  --version    version\n";

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

static int finish(void)
{
	if (fflush(stdout) == 0 && ferror(stdout) == 0) {
		return EXIT_DONE;
	}
	fprintf(stderr, "stdout: %s\n", strerror(errno));
	return EXIT_FAILED;
}

static int run(const char *config, const char *store)
{
	static icp_daemon_t daemon;
	icp_diag_t diag = {""};
	int ret;
	/* A daemon that was killed may leave a child that holds what it held for a moment. */
	for (int tries = TRIES;
		(ret = icp_daemon_open(&daemon, config, store, &diag)) == ICP_EBUSY && tries > 0;
		tries--) {
		usleep(PAUSE_US);
	}
	if (ret != ICP_EOK) {
		icp_log(ICP_LOG_ERROR, "%s", diag.text[0] != '\0' ? diag.text : icp_strerror(ret));
		return ret == ICP_ECONFIG ? EXIT_USAGE : EXIT_FAILED;
	}
	ret = icp_daemon_run(&daemon);
	icp_daemon_close(&daemon);
	return ret == ICP_EOK ? EXIT_DONE : EXIT_FAILED;
}

int main(int argc, char **argv)
{
	const char *config = NULL;
	const char *store = NULL;
	signal(SIGPIPE, SIG_IGN);
	for (int option; (option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1;) {
		switch (option) {
		case 'c':
			config = optarg;
			break;
		case OPTION_STORE:
			store = optarg;
			break;
		case OPTION_HELP:
			fputs(usage_text, stdout);
			return finish();
		case OPTION_VERSION:
			puts("icpgated " ICP_VERSION);
			return finish();
		default:
			return usage();
		}
	}
	if (optind != argc) {
		fputs("icpgated: takes no arguments\n", stderr);
		return usage();
	}
	icp_fault_install();
	int status = run(config, store);
	icp_fault_uninstall();
	return status;
}

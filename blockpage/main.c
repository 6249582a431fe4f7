/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate-blockpage: options, signals, and the event loop. */
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <time.h>

#include "blockpage/confine.h"
#include "blockpage/server.h"

enum { EXIT_DONE = 0, EXIT_USAGE = 2, EXIT_FAILED = 4 };
enum { OPTION_STORE = 256, OPTION_HELP, OPTION_VERSION };

#define SIGNALS 3

static const struct option long_options[] = {
	{"store", required_argument, NULL, OPTION_STORE},
	{"help", no_argument, NULL, OPTION_HELP},
	{"version", no_argument, NULL, OPTION_VERSION},
	{NULL, 0, NULL, 0},
};

static const char usage_text[] = "Usage: icpgate-blockpage [-c FILE] [--store DIR]\n"
				 "\n"
				 "  Serves the block page until it is told to end.\n"
				 "\n"
				 "  -c FILE      configuration file\n"
				 "  --store DIR  store to use instead of the configuration's\n"
				 "  --help       this text\n"
				 "  --version    version\n";

typedef struct {
	const char *config; /*!< -c, or NULL. */
	char *store;        /*!< --store, or NULL. */
	struct event_base *base;
	struct event *signals[SIGNALS];
	struct event *watchdog;
	icp_service_t *service;
	icp_server_t *server;
} program_t;

/*! Writes a line to stderr, for the journal with its level in front. */
static void say(enum icp_level level, const char *line)
{
	static const char *const words[] = {[ICP_LEVEL_INFO] = "",
		[ICP_LEVEL_WARNING] = "warning: ",
		[ICP_LEVEL_ERROR] = "error: "};
	static const char *const prefixes[] = {[ICP_LEVEL_INFO] = SD_INFO,
		[ICP_LEVEL_WARNING] = SD_WARNING,
		[ICP_LEVEL_ERROR] = SD_ERR};
	bool journal = getenv("JOURNAL_STREAM") != NULL;
	fprintf(stderr, "%s%s%s\n",
		journal ? prefixes[level] : "icpgate-blockpage: ", journal ? "" : words[level],
		line);
}

/*! What libevent has to say; it tells of no client. */
static void on_event_log(int severity, const char *line)
{
	if (severity >= EVENT_LOG_WARN) {
		say(severity == EVENT_LOG_ERR ? ICP_LEVEL_ERROR : ICP_LEVEL_WARNING, line);
	}
}

static icp_service_t *service_of(void *context)
{
	const program_t *program = context;
	return program->service;
}

static void reload(program_t *program)
{
	icp_service_t *service;
	icp_diag_t diag = {""};
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64,
		(uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
	if (icp_service_open(&service, icp_config_path(program->config), program->store, say,
		    &diag) != ICP_EOK) {
		say(ICP_LEVEL_ERROR, diag.text);
		say(ICP_LEVEL_ERROR, "not reloaded: what was read before stays in use");
	} else {
		icp_service_close(program->service);
		program->service = service;
		say(ICP_LEVEL_INFO, "reloaded");
	}
	sd_notify(0, "READY=1");
}

static void on_signal(evutil_socket_t number, short events, void *context)
{
	program_t *program = context;
	(void)events;
	if (number == SIGHUP) {
		reload(program);
	} else {
		sd_notify(0, "STOPPING=1");
		event_base_loopbreak(program->base);
	}
}

static void on_watchdog(evutil_socket_t file, short events, void *context)
{
	(void)file;
	(void)events;
	(void)context;
	sd_notify(0, "WATCHDOG=1");
}

static int no_memory(icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ENOMEM, "out of memory");
}

static int make_events(program_t *program, icp_diag_t *diag)
{
	static const int numbers[SIGNALS] = {SIGHUP, SIGINT, SIGTERM};
	uint64_t period;
	for (unsigned i = 0; i < SIGNALS; i++) {
		program->signals[i] = evsignal_new(program->base, numbers[i], on_signal, program);
		if (program->signals[i] == NULL || event_add(program->signals[i], NULL) != 0) {
			return no_memory(diag);
		}
	}
	if (sd_watchdog_enabled(0, &period) > 0) {
		struct timeval half = {.tv_sec = (time_t)(period / 2 / 1000000),
			.tv_usec = (suseconds_t)(period / 2 % 1000000)};
		program->watchdog = event_new(program->base, -1, EV_PERSIST, on_watchdog, program);
		if (program->watchdog == NULL || event_add(program->watchdog, &half) != 0) {
			return no_memory(diag);
		}
	}
	return ICP_EOK;
}

/*! Reads of a connection that come and go within one turn of the loop cost no system call. */
static struct event_base *make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;
	if (config != NULL &&
		event_config_set_flag(config,
			EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST) == 0) {
		base = event_base_new_with_config(config);
	}
	if (config != NULL) {
		event_config_free(config);
	}
	return base;
}

static int start(program_t *program, icp_diag_t *diag)
{
	int ret = icp_service_open(
		&program->service, icp_config_path(program->config), program->store, say, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	program->base = make_base();
	if (program->base == NULL) {
		return no_memory(diag);
	}
	ret = make_events(program, diag);
	if (ret == ICP_EOK) {
		ret = icp_server_open(&program->server, program->base, &program->service->config,
			service_of, program, diag);
	}
	return ret;
}

/*! What can't be done here is told, and serving goes on. */
static void confine(void)
{
	icp_diag_t diag = {""};
	char line[sizeof diag.text + 32];
	if (icp_confine(&diag) != ICP_EOK) {
		snprintf(line, sizeof line, "not confined: %s", diag.text);
		say(ICP_LEVEL_WARNING, line);
	}
}

static void stop(program_t *program)
{
	icp_server_close(program->server);
	for (unsigned i = 0; i < SIGNALS; i++) {
		if (program->signals[i] != NULL) {
			event_free(program->signals[i]);
		}
	}
	if (program->watchdog != NULL) {
		event_free(program->watchdog);
	}
	if (program->base != NULL) {
		event_base_free(program->base);
	}
	icp_service_close(program->service);
}

static int run(program_t *program)
{
	icp_diag_t diag = {""};
	int ret = start(program, &diag);
	int status = EXIT_DONE;
	if (ret != ICP_EOK) {
		say(ICP_LEVEL_ERROR, diag.text[0] != '\0' ? diag.text : icp_strerror(ret));
		status = ret == ICP_ECONFIG ? EXIT_USAGE : EXIT_FAILED;
	} else {
		confine();
		say(ICP_LEVEL_INFO, "version " ICP_VERSION ", ready");
		sd_notify(0, "READY=1");
		if (event_base_dispatch(program->base) < 0) {
			say(ICP_LEVEL_ERROR, "the event loop failed");
			status = EXIT_FAILED;
		}
	}
	stop(program);
	return status;
}

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

static int print(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout) == 0 && ferror(stdout) == 0) {
		return EXIT_DONE;
	}
	fprintf(stderr, "stdout: %s\n", strerror(errno));
	return EXIT_FAILED;
}

int main(int argc, char **argv)
{
	program_t program = {.config = NULL};
	int option;
	while ((option = getopt_long(argc, argv, "c:", long_options, NULL)) != -1) {
		switch (option) {
		case 'c':
			program.config = optarg;
			break;
		case OPTION_STORE:
			program.store = optarg;
			break;
		case OPTION_HELP:
			return print(usage_text);
		case OPTION_VERSION:
			return print("icpgate-blockpage " ICP_VERSION "\n");
		default:
			return usage();
		}
	}
	if (optind < argc) {
		fprintf(stderr, "icpgate-blockpage: takes no arguments: %s\n", argv[optind]);
		return usage();
	}
	signal(SIGPIPE, SIG_IGN);
	event_set_log_callback(on_event_log);
	return run(&program);
}

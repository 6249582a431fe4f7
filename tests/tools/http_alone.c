/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The daemon's HTTP server without the daemon: CONF. It says "listening", or why not. Each line of
 * its input is an order that changes the state, which it answers with a line when it is done:
 *
 *   KEY NUMBER                             paused, loading, depth, waiting, gap_since, follow (0 to
 * 2) load KIND OUTCOME BEGAN MILLISECONDS   one more load; KIND and OUTCOME as numbers
 *
 * It ends with its input.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/time.h"
#include "loader/http.h"

static icp_daemon_state_t state = {
	.gap_since = ICP_TIME_NONE,
	.last = {.began = ICP_TIME_NONE},
};

static int add_load(char **rest)
{
	long long numbers[4];
	for (size_t i = 0; i < 4; i++) {
		const char *word = strtok_r(NULL, " \n", rest);
		numbers[i] = word != NULL ? strtoll(word, NULL, 10) : -1;
	}
	if (numbers[0] < 0 || numbers[0] >= ICP_LOAD_KIND_COUNT || numbers[1] < 0 ||
		numbers[1] >= ICP_LOAD_OUTCOME_COUNT) {
		return -1;
	}
	state.last = (icp_load_t){
		.kind = (enum icp_load_kind)numbers[0],
		.outcome = (enum icp_load_outcome)numbers[1],
		.began = numbers[2],
		.seconds = (double)numbers[3] / 1000,
		.sequence = 7,
	};
	state.loads[numbers[0]][numbers[1]]++;
	return 0;
}

static int obey(char *line)
{
	char *rest;
	const char *key = strtok_r(line, " \n", &rest);
	if (key == NULL) {
		return -1;
	}
	if (strcmp(key, "load") == 0) {
		return add_load(&rest);
	}
	const char *word = strtok_r(NULL, " \n", &rest);
	long long number = word != NULL ? strtoll(word, NULL, 10) : 0;
	if (strcmp(key, "paused") == 0) {
		state.paused = number != 0;
	} else if (strcmp(key, "loading") == 0) {
		state.loading = number != 0;
	} else if (strcmp(key, "depth") == 0) {
		state.depth = (size_t)number;
	} else if (strcmp(key, "waiting") == 0) {
		state.waiting = (size_t)number;
	} else if (strcmp(key, "gap_since") == 0) {
		state.gap_since = number != 0 ? number : ICP_TIME_NONE;
	} else if (strcmp(key, "follow") == 0 && number >= 0 && number <= ICP_FOLLOW_WAITING) {
		state.follow = (enum icp_follow_state)number;
	} else {
		return -1;
	}
	return 0;
}

static void on_input(evutil_socket_t fd, short events, void *context)
{
	char line[256];
	(void)fd;
	(void)events;
	if (fgets(line, sizeof line, stdin) == NULL) {
		event_base_loopbreak(context);
		return;
	}
	puts(obey(line) == 0 ? "done" : "not an order");
	fflush(stdout);
}

int main(int argc, char **argv)
{
	icp_config_t config = {.path = NULL};
	icp_http_t *http = NULL;
	icp_diag_t diag = {"usage: http_alone CONF"};
	struct event_base *base = event_base_new();
	int ret = ICP_EINVAL;
	if (argc == 2) {
		ret = icp_config_load(&config, argv[1], &diag);
	}
	if (ret == ICP_EOK) {
		state.started = (int64_t)time(NULL);
		ret = icp_http_open(&http, base, config.store, &config, &state, &diag);
	}
	puts(ret == ICP_EOK ? "listening" : diag.text);
	fflush(stdout);
	if (ret == ICP_EOK) {
		struct event *input = event_new(base, 0, EV_READ | EV_PERSIST, on_input, base);
		event_add(input, NULL);
		event_base_dispatch(base);
		event_free(input);
	}
	icp_http_close(http);
	icp_config_deinit(&config);
	event_base_free(base);
	libevent_global_shutdown();
	return ret == ICP_EOK ? 0 : 1;
}

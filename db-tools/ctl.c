/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate ctl: talks to the daemon at its control socket; see loader/request.h. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "db-tools/tools.h"

#define ANSWER_MAX ((size_t)1024 * 1024)
#define SECONDS 15 /* For orders that are carried out at once. */

enum { EXIT_REFUSED = 1 };

static const struct {
	const char *name;
	int arguments;
	bool lasts; /* As long as a load or a rollback. */
} orders[] = {
	{"status", 0, false},
	{"load", 1, true},
	{"rollback", 0, true},
	{"pause", 0, false},
	{"resume", 0, false},
};

static int find_order(const icp_tool_t *tool, int count, char **arguments)
{
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(arguments[0], orders[i].name) != 0) {
			continue;
		}
		if (count - 1 != orders[i].arguments) {
			fprintf(stderr, "icpgate: ctl %s: wrong number of arguments\n",
				orders[i].name);
			return -1;
		}
		if (tool->force && orders[i].arguments == 0) {
			fputs("icpgate: --force is for ctl load\n", stderr);
			return -1;
		}
		return (int)i;
	}
	fprintf(stderr, "icpgate: ctl: not status, load, rollback, pause or resume: %s\n",
		arguments[0]);
	return -1;
}

static int failed(const char *path, icp_diag_t *diag)
{
	const char *why = errno == EAGAIN ? "the daemon does not answer" : strerror(errno);
	return icp_fail(diag, ICP_ESYS, "%s: %s", path, why);
}

static int connect_to(const char *path, bool lasts, int *file, icp_diag_t *diag)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval time = {.tv_sec = lasts ? 0 : SECONDS};
	size_t length = strlen(path);
	if (length >= sizeof address.sun_path) {
		return icp_fail(diag, ICP_ESYS, "%s: too long for a socket", path);
	}
	memcpy(address.sun_path, path, length);
	*file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (*file < 0 || setsockopt(*file, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof time) != 0 ||
		connect(*file, (const struct sockaddr *)&address, sizeof address) != 0) {
		int ret = errno == ENOENT || errno == ECONNREFUSED
				  ? icp_fail(diag, ICP_ESYS, "%s: %s; is icpgated running?", path,
					    strerror(errno))
				  : failed(path, diag);
		if (*file >= 0) {
			close(*file);
		}
		return ret;
	}
	return ICP_EOK;
}

/*! Feeds are in the daemon's spool, so their directory says nothing, but for those two in it. */
static const char *feed_of(const char *path)
{
	static const char *const places[] = {"done/", "rejected/"};
	const char *name = basename(path);
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		size_t length = strlen(places[i]);
		const char *begin = name - length;
		if ((size_t)(name - path) >= length && memcmp(begin, places[i], length) == 0 &&
			(begin == path || begin[-1] == '/')) {
			return begin;
		}
	}
	return name;
}

static char *request_of(const icp_tool_t *tool, int order, char **arguments)
{
	json_t *object = json_pack("{s:s}", "command", orders[order].name);
	if (orders[order].arguments > 0) {
		json_object_set_new(object, "feed", json_string(feed_of(arguments[1])));
		json_object_set_new(object, "force", json_boolean(tool->force));
	}
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	return text;
}

static int send_line(int file, const char *path, const char *text, icp_diag_t *diag)
{
	char *line;
	int length = asprintf(&line, "%s\n", text);
	if (length < 0) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	/* It fits in the socket's buffer. */
	ssize_t sent = send(file, line, (size_t)length, MSG_NOSIGNAL);
	free(line);
	return sent == length ? ICP_EOK : failed(path, diag);
}

static int receive(int file, const char *path, json_t **answer, icp_diag_t *diag)
{
	size_t length = 0;
	char *text = malloc(ANSWER_MAX);
	if (text == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	while (length < ANSWER_MAX && memchr(text, '\n', length) == NULL) {
		ssize_t size = recv(file, text + length, ANSWER_MAX - length, 0);
		if (size < 0 && errno == EINTR) {
			continue;
		}
		if (size <= 0) {
			int ret = size < 0 ? failed(path, diag)
					   : icp_fail(diag, ICP_ESYS, "%s: closed by the daemon",
						     path);
			free(text);
			return ret;
		}
		length += (size_t)size;
	}
	*answer = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	return json_is_object(*answer) ? ICP_EOK
				       : icp_fail(diag, ICP_ESYS, "%s: not an answer", path);
}

static int ask(const icp_tool_t *tool, const char *path, int order, char **arguments,
	json_t **answer, icp_diag_t *diag)
{
	int file = -1;
	char *text = request_of(tool, order, arguments);
	*answer = NULL;
	if (text == NULL) {
		return icp_fail(diag, ICP_EINVAL, "%s: not a name in UTF-8",
			orders[order].arguments > 0 ? arguments[1] : "");
	}
	int ret = connect_to(path, orders[order].lasts, &file, diag);
	if (ret == ICP_EOK) {
		ret = send_line(file, path, text, diag);
		if (ret == ICP_EOK) {
			ret = receive(file, path, answer, diag);
		}
		close(file);
	}
	free(text);
	return ret;
}

static const char *text_at(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text != NULL ? text : "";
}

static json_int_t number_at(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static void print_store(const json_t *store)
{
	if (!json_is_object(store)) {
		puts("store       NO CURRENT GENERATION THAT CAN BE READ");
		return;
	}
	json_int_t age = number_at(store, "age");
	printf("generation  %" JSON_INTEGER_FORMAT "\n", number_at(store, "generation"));
	printf("sequence    %" JSON_INTEGER_FORMAT ", full feed %" JSON_INTEGER_FORMAT "\n",
		number_at(store, "sequence"), number_at(store, "base"));
	printf("age         %" JSON_INTEGER_FORMAT "d %02d:%02d:%02d%s\n", age / 86400,
		(int)(age % 86400 / 3600), (int)(age % 3600 / 60), (int)(age % 60),
		json_is_true(json_object_get(store, "stale")) ? "  TOO OLD" : "");
}

static void print_spool(const json_t *spool)
{
	json_int_t depth = number_at(spool, "depth");
	json_int_t waiting = number_at(spool, "waiting");
	json_int_t refused = number_at(spool, "refused");
	printf("spool       %" JSON_INTEGER_FORMAT " feed%s in %s\n", depth, depth == 1 ? "" : "s",
		text_at(spool, "path"));
	if (waiting > 0) {
		printf("waiting     %" JSON_INTEGER_FORMAT " delta%s for %" JSON_INTEGER_FORMAT
		       ", since %s%s\n",
			waiting, waiting == 1 ? "" : "s", number_at(spool, "missing"),
			text_at(spool, "gap_since"),
			json_is_true(json_object_get(spool, "gap_late")) ? "  TOO LONG" : "");
	}
	if (refused > 0) {
		printf("refused     %" JSON_INTEGER_FORMAT " manifest%s by name\n", refused,
			refused == 1 ? "" : "s");
	}
}

static void print_status(const json_t *answer)
{
	const json_t *loading = json_object_get(answer, "loading");
	const json_t *last = json_object_get(answer, "last");
	const json_t *paused = json_object_get(answer, "paused");
	const json_t *follow = json_object_get(answer, "follow");
	print_store(json_object_get(answer, "store"));
	print_spool(json_object_get(answer, "spool"));
	if (json_is_string(paused)) {
		printf("paused      %s\n", json_string_value(paused));
	}
	if (json_is_object(loading)) {
		printf("loading     %s %s, since %s\n", text_at(loading, "kind"),
			text_at(loading, "feed"), text_at(loading, "began"));
	}
	if (json_is_object(last)) {
		printf("last load   %s, sequence %" JSON_INTEGER_FORMAT ": %s, %s, %.1f s\n",
			text_at(last, "kind"), number_at(last, "sequence"),
			text_at(last, "outcome"), text_at(last, "began"),
			json_number_value(json_object_get(last, "seconds")));
	}
	printf("follow      %s\n", text_at(follow, "state"));
	printf("started     %s, version %s\n", text_at(answer, "started"),
		text_at(answer, "version"));
}

/*! Prints an answer for people. */
static void print_text(int order, const json_t *answer, bool good)
{
	const char *report = text_at(answer, "report");
	size_t length = strlen(report);
	if (good && strcmp(orders[order].name, "status") == 0) {
		print_status(answer);
		return;
	}
	if (length > 0) {
		fprintf(good ? stdout : stderr, "%s%s", report,
			report[length - 1] == '\n' ? "" : "\n");
	}
	if (!good) {
		fprintf(stderr, "icpgate: ctl %s: %s\n", orders[order].name,
			text_at(answer, "error"));
	} else if (json_object_get(answer, "paused") != NULL) {
		puts(json_is_string(json_object_get(answer, "paused")) ? "paused" : "not paused");
	} else if (strcmp(orders[order].name, "rollback") == 0) {
		puts("The daemon is paused: \"icpgate ctl resume\" lets it go on.");
	}
	if (json_is_true(json_object_get(answer, "fleeting"))) {
		fprintf(stderr,
			"icpgate: ctl %s: the pause could not be written down and ends with the "
			"daemon: make room in the spool\n",
			orders[order].name);
	}
}

static int finish(const icp_tool_t *tool, int order, json_t *answer)
{
	bool good = json_is_true(json_object_get(answer, "ok"));
	const json_t *status = json_object_get(answer, "status");
	int exit = json_is_integer(status) ? (int)json_integer_value(status) : EXIT_REFUSED;
	if (!tool->json) {
		print_text(order, answer, good);
		json_decref(answer);
		return good ? ICP_EXIT_DONE : exit;
	}
	int printed = icp_json_print(answer);
	return printed != ICP_EXIT_DONE || good ? printed : exit;
}

int icp_tool_ctl(const icp_tool_t *tool, int count, char **arguments)
{
	icp_config_t config = {.path = NULL};
	icp_diag_t diag = {""};
	json_t *answer = NULL;
	int order = find_order(tool, count, arguments);
	if (order < 0) {
		return ICP_EXIT_USAGE;
	}
	int code = tool->socket != NULL ? ICP_EOK : icp_tool_config(tool, &config, &diag);
	if (code == ICP_EOK) {
		const char *path = tool->socket != NULL ? tool->socket : config.daemon.control;
		code = ask(tool, path, order, arguments, &answer, &diag);
	}
	icp_config_deinit(&config);
	if (code != ICP_EOK) {
		json_decref(answer);
		return icp_tool_failed(code, &diag);
	}
	return finish(tool, order, answer);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/control.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define IN_SITE(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
#define TURNS_MAX 20000

typedef struct {
	char directory[64];
	char path[80];
	struct event_base *loop;
	icp_control_t *control;
	icp_diag_t diag;
	unsigned taken;
	icp_request_t last;
	unsigned user;
} site_t;

static json_t *take(const icp_request_t *request, unsigned user, void *context)
{
	site_t *site = context;
	site->taken++;
	site->last = *request;
	site->user = user;
	return request->command == ICP_COMMAND_STATUS || request->command == ICP_COMMAND_PAUSE
		       ? json_pack("{s:b}", "ok", 1)
		       : NULL;
}

static int set_up(void **state)
{
	site_t *site = calloc(1, sizeof *site);
	assert_non_null(site);
	snprintf(site->directory, sizeof site->directory, "/tmp/icpgate-control-XXXXXX");
	assert_non_null(mkdtemp(site->directory));
	snprintf(site->path, sizeof site->path, "%s/control", site->directory);
	site->loop = event_base_new();
	assert_int_equal(
		icp_control_open(&site->control, site->loop, site->path, take, site, &site->diag),
		ICP_EOK);
	*state = site;
	return 0;
}

static int tear_down(void **state)
{
	site_t *site = *state;
	icp_control_close(site->control);
	event_base_free(site->loop);
	int rc = rmdir(site->directory); /* The socket is gone. */
	free(site);
	return rc;
}

static int connect_to(const site_t *site)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, site->path, strlen(site->path));
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_true(file >= 0);
	assert_int_equal(connect(file, (const struct sockaddr *)&address, sizeof address), 0);
	return file;
}

static void turn(const site_t *site)
{
	event_base_loop(site->loop, EVLOOP_NONBLOCK);
}

/* Runs the loop until the other side has closed; returns what it sent. */
static const char *receive(const site_t *site, int file)
{
	static char text[4096];
	size_t length = 0;
	for (int i = 0; i < TURNS_MAX; i++) {
		turn(site);
		ssize_t size = read(file, text + length, sizeof text - 1 - length);
		if (size == 0 || (size < 0 && errno == ECONNRESET)) {
			text[length] = '\0';
			close(file);
			return text;
		}
		if (size > 0) {
			length += (size_t)size;
		} else {
			usleep(1000);
		}
	}
	fail_msg("it was not closed");
	return NULL;
}

static const char *ask(const site_t *site, const void *octets, size_t length)
{
	int file = connect_to(site);
	for (size_t sent = 0; sent < length;) {
		ssize_t size = send(file, (const char *)octets + sent, length - sent, MSG_NOSIGNAL);
		if (size < 0 && errno != EAGAIN) {
			break; /* It has heard enough. */
		}
		sent += size > 0 ? (size_t)size : 0;
		turn(site);
	}
	return receive(site, file);
}

static void test_requests(void **state)
{
	(void)state;
	static const struct {
		const char *line;
		const char *want; /* NULL: taken. */
	} cases[] = {
		{"{\"command\": \"status\"}", NULL},
		{" {\"command\":\"resume\"} \r", NULL},
		{"{\"command\": \"load\", \"feed\": \"f.csv\"}", NULL},
		{"{\"force\": true, \"feed\": \"f.csv.json\", \"command\": \"load\"}", NULL},
		{"", "not a JSON object"},
		{"status", "not a JSON object"},
		{"[\"status\"]", "not a JSON object"},
		{"{\"command\": \"status\"} x", "not a JSON object"},
		{"{\"command\": \"status\", \"command\": \"pause\"}", "not a JSON object"},
		{"{}", "command: not status, load, rollback, pause or resume"},
		{"{\"command\": 1}", "command: not status, load, rollback, pause or resume"},
		{"{\"command\": \"stop\"}", "command: not status, load, rollback, pause or resume"},
		{"{\"command\": \"load\"}", "feed: key is missing"},
		{"{\"command\": \"status\", \"feed\": \"f.csv\"}", "feed: key is not known"},
		{"{\"command\": \"status\", \"a\\u0007b\": 1}", "a\\x07b: key is not known"},
		{"{\"command\": \"load\", \"feed\": \"../f.csv\"}",
			"feed: not the name of a feed or manifest, alone or behind done/ or "
			"rejected/"},
		{"{\"command\": \"load\", \"feed\": \"/f.csv\"}",
			"feed: not the name of a feed or manifest, alone or behind done/ or "
			"rejected/"},
		{"{\"command\": \"load\", \"feed\": \"done/../f.csv\"}",
			"feed: not the name of a feed or manifest, alone or behind done/ or "
			"rejected/"},
		{"{\"command\": \"load\", \"feed\": \"done/f.csv\"}", NULL},
		{"{\"command\": \"load\", \"feed\": \"f.csv\\u0000.csv\"}", "not a JSON object"},
		{"{\"command\": \"load\", \"feed\": \"f.csv\", \"force\": 1}",
			"force: not true or false"},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_request_t request;
		icp_diag_t diag = {""};
		int ret = icp_request_parse(&request, cases[i].line, strlen(cases[i].line), &diag);
		if (ret != (cases[i].want == NULL ? ICP_EOK : ICP_EINVAL) ||
			strcmp(diag.text, cases[i].want != NULL ? cases[i].want : "") != 0) {
			fail_msg("%s: %d, %s", cases[i].line, ret, diag.text);
		}
	}
}

static void test_request_place(void **state)
{
	(void)state;
	static const struct {
		const char *feed;
		enum icp_spool_place place;
	} cases[] = {{"f.csv", ICP_SPOOL_PLACES}, {"done/f.csv.json", ICP_SPOOL_DONE},
		{"rejected/f.csv", ICP_SPOOL_REJECTED}};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_request_t request;
		char line[100];
		int length = snprintf(line, sizeof line,
			"{\"command\": \"load\", \"feed\": \"%s\"}", cases[i].feed);
		assert_int_equal(icp_request_parse(&request, line, (size_t)length, NULL), ICP_EOK);
		assert_string_equal(request.base, "f.csv");
		assert_int_equal(request.place, cases[i].place);
	}
}

static void test_answer(void **state)
{
	site_t *site = *state;
	struct stat st;
	static const char line[] = "{\"command\": \"pause\"}\n";
	assert_string_equal(ask(site, line, strlen(line)), "{\"ok\":true}\n");
	assert_int_equal(site->taken, 1);
	assert_int_equal(site->user, getuid());
	assert_int_equal(stat(site->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
}

static void test_in_pieces(void **state)
{
	site_t *site = *state;
	static const char line[] = "{\"command\": \"status\"}\n";
	int file = connect_to(site);
	for (size_t i = 0; i < strlen(line); i++) {
		assert_int_equal(send(file, line + i, 1, MSG_NOSIGNAL), 1);
		turn(site);
	}
	assert_string_equal(receive(site, file), "{\"ok\":true}\n");
}

static void test_later(void **state)
{
	site_t *site = *state;
	static const char line[] =
		"{\"command\": \"load\", \"feed\": \"f.csv\", \"force\": true}\n";
	int file = connect_to(site);
	int other = connect_to(site);
	assert_true(send(file, line, strlen(line), MSG_NOSIGNAL) > 0);
	/* One that sends no more still gets its answer. */
	assert_true(send(other, line, strlen(line), MSG_NOSIGNAL) > 0);
	shutdown(other, SHUT_WR);
	for (int i = 0; i < TURNS_MAX && site->taken < 2; i++) {
		turn(site);
	}
	assert_string_equal(site->last.base, "f.csv");
	assert_true(site->last.force);
	icp_control_answer(site->control, ICP_COMMAND_LOAD, "g.csv", json_pack("{s:i}", "x", 1));
	icp_control_answer(site->control, ICP_COMMAND_ROLLBACK, NULL, json_pack("{s:i}", "x", 2));
	icp_control_answer(site->control, ICP_COMMAND_LOAD, "f.csv", json_pack("{s:i}", "x", 3));
	assert_string_equal(receive(site, file), "{\"x\":3}\n");
	assert_string_equal(receive(site, other), "{\"x\":3}\n");
}

static void test_garbage(void **state)
{
	site_t *site = *state;
	static const struct {
		const char *octets;
		size_t length;
	} cases[] = {
		{"\n", 1},
		{"\0\0\0\n", 4},
		{"GET / HTTP/1.1\r\n", 16},
		{"{\"command\": \"status\"\n", 21},
		{"\xff\xfe\xfd\n", 4},
		{"[[[[[[[[[[[[[[[[[[[[\n", 21},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_string_equal(ask(site, cases[i].octets, cases[i].length),
			"{\"ok\":false,\"error\":\"not a JSON object\"}\n");
	}
	assert_int_equal(site->taken, 0);
}

static void test_too_long(void **state)
{
	site_t *site = *state;
	static char octets[100000];
	memset(octets, ' ', sizeof octets);
	(void)ask(site, octets, sizeof octets);
	octets[ICP_REQUEST_MAX] = '\n';
	(void)ask(site, octets, ICP_REQUEST_MAX + 1);
	assert_int_equal(site->taken, 0);
}

static bool is_lost(const char *base, void *context)
{
	(void)context;
	return strcmp(base, "lost.csv") == 0;
}

static void test_review(void **state)
{
	site_t *site = *state;
	static const char lost[] = "{\"command\": \"load\", \"feed\": \"lost.csv\"}\n";
	static const char there[] = "{\"command\": \"load\", \"feed\": \"there.csv\"}\n";
	int one = connect_to(site);
	int other = connect_to(site);
	assert_true(send(one, lost, strlen(lost), MSG_NOSIGNAL) > 0);
	assert_true(send(other, there, strlen(there), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < TURNS_MAX && site->taken < 2; i++) {
		turn(site);
	}
	icp_control_review(site->control, is_lost, NULL);
	assert_string_equal(receive(site, one),
		"{\"ok\":false,\"error\":\"it was taken away, or replaced, before it was loaded\"}\n");
	icp_control_answer(
		site->control, ICP_COMMAND_LOAD, "there.csv", json_pack("{s:i}", "x", 1));
	assert_string_equal(receive(site, other), "{\"x\":1}\n");
}

/* Who waits for what takes long, and goes away, keeps no place; whether it said before that it
 * sends no more or not. */
static void test_waiter_gone(void **state)
{
	site_t *site = *state;
	static const char line[] = "{\"command\": \"rollback\"}\n";
	int files[ICP_CONTROL_CLIENTS_MAX];
	for (int half = 0; half < 2; half++) {
		for (size_t i = 0; i < COUNT(files); i++) {
			files[i] = connect_to(site);
			assert_true(send(files[i], line, strlen(line), MSG_NOSIGNAL) > 0);
			if (half) {
				shutdown(files[i], SHUT_WR);
			}
		}
		unsigned want = (unsigned)COUNT(files) * ((unsigned)half * 1 + 1) + (unsigned)half;
		for (int i = 0; i < TURNS_MAX && site->taken < want; i++) {
			turn(site);
		}
		assert_int_equal(site->taken, want);
		for (size_t i = 0; i < COUNT(files); i++) {
			close(files[i]);
		}
		if (half) {
			turn(site);
			icp_control_review(site->control, is_lost, NULL);
		}
		static const char last[] = "{\"command\": \"status\"}\n";
		assert_string_equal(ask(site, last, strlen(last)), "{\"ok\":true}\n");
	}
}

static void test_gone(void **state)
{
	site_t *site = *state;
	static const char line[] = "{\"command\": \"rollback\"}\n";
	for (int i = 0; i < 40; i++) {
		int file = connect_to(site);
		if (i % 2 == 0) {
			assert_true(
				send(file, line, strlen(line) - (size_t)(i % 4), MSG_NOSIGNAL) > 0);
		}
		turn(site);
		close(file);
		turn(site);
	}
	icp_control_answer(site->control, ICP_COMMAND_ROLLBACK, NULL, json_pack("{s:i}", "x", 1));
	static const char last[] = "{\"command\": \"status\"}\n";
	assert_string_equal(ask(site, last, strlen(last)), "{\"ok\":true}\n");
}

/* Clients that say nothing keep others waiting, but not for long. */
static void test_silent(void **state)
{
	site_t *site = *state;
	int silent[ICP_CONTROL_CLIENTS_MAX];
	static const char line[] = "{\"command\": \"status\"}\n";
	for (size_t i = 0; i < COUNT(silent); i++) {
		silent[i] = connect_to(site);
		turn(site);
	}
	int file = connect_to(site);
	assert_true(send(file, line, strlen(line), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 20; i++) {
		turn(site);
	}
	assert_int_equal(site->taken, 0);
	assert_string_equal(receive(site, file), "{\"ok\":true}\n");
	for (size_t i = 0; i < COUNT(silent); i++) {
		assert_string_equal(receive(site, silent[i]), "");
	}
}

static void test_close_tells(void **state)
{
	site_t *site = *state;
	static const char line[] = "{\"command\": \"rollback\"}\n";
	int file = connect_to(site);
	assert_true(send(file, line, strlen(line), MSG_NOSIGNAL) > 0);
	for (int i = 0; i < TURNS_MAX && site->taken == 0; i++) {
		turn(site);
	}
	icp_control_close(site->control);
	site->control = NULL;
	assert_string_equal(receive(site, file), "{\"ok\":false,\"error\":\"the daemon ends\"}\n");
}

static void test_place(void **state)
{
	site_t *site = *state;
	icp_control_t *other;
	assert_int_equal(icp_control_open(&other, site->loop, site->path, take, site, &site->diag),
		ICP_EBUSY);
	icp_control_close(site->control);
	/* One that was left behind by a daemon that was killed. */
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	memcpy(address.sun_path, site->path, strlen(site->path));
	int file = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(file, (const struct sockaddr *)&address, sizeof address), 0);
	close(file);
	assert_int_equal(
		icp_control_open(&site->control, site->loop, site->path, take, site, &site->diag),
		ICP_EOK);
	/* What is no socket is not ours to remove. */
	char path[100];
	snprintf(path, sizeof path, "%s/file", site->directory);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(
		icp_control_open(&other, site->loop, path, take, site, &site->diag), ICP_EBUSY);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(icp_control_open(&other, site->loop, "/nonexistent/control", take, site,
				 &site->diag),
		ICP_ESYS);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN); /* As the daemon does. */
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests),
		cmocka_unit_test(test_request_place),
		IN_SITE(test_review),
		IN_SITE(test_waiter_gone),
		IN_SITE(test_answer),
		IN_SITE(test_in_pieces),
		IN_SITE(test_later),
		IN_SITE(test_garbage),
		IN_SITE(test_too_long),
		IN_SITE(test_gone),
		IN_SITE(test_silent),
		IN_SITE(test_close_tells),
		IN_SITE(test_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

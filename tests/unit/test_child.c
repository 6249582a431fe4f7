/* SPDX-License-Identifier: BSD-3-Clause */
/* The daemon's children, and what it tells the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/child.h"
#include "loader/notify.h"

#define TURNS_MAX 20000

static struct event_base *loop;
static char lines[64][ICP_CHILD_LINE_MAX + 1];
static size_t line_count;

static int set_up(void **state)
{
	(void)state;
	loop = event_base_new();
	line_count = 0;
	return loop != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	event_base_free(loop);
	return 0;
}

static void keep_line(const char *line, void *context)
{
	assert_ptr_equal(context, lines);
	assert_true(line_count < sizeof lines / sizeof *lines);
	snprintf(lines[line_count++], sizeof *lines, "%s", line);
}

static icp_child_t child;

static void start(const char *script, icp_child_line_t line)
{
	icp_diag_t diag = {""};
	const char *arguments[] = {"/bin/sh", "-c", script, NULL};
	assert_int_equal(
		icp_child_start(&child, loop, (char *const *)arguments, line, lines, &diag),
		ICP_EOK);
}

static void wait_for_end(void)
{
	for (int i = 0; i < TURNS_MAX; i++) {
		event_base_loop(loop, EVLOOP_NONBLOCK);
		if (icp_child_reap(&child)) {
			return;
		}
		usleep(1000);
	}
	fail_msg("it does not end");
}

static void test_output(void **state)
{
	(void)state;
	start("echo one; echo two >&2; printf three; cat; exit 3", NULL);
	wait_for_end();
	assert_string_equal(child.output, "one\ntwo\nthree");
	assert_int_equal(child.exit, 3);
	assert_false(child.cut);
	assert_false(icp_child_reap(&child));
	icp_child_close(&child);
}

static void test_much_output(void **state)
{
	(void)state;
	start("head -c 1000000 /dev/zero; echo end", NULL);
	wait_for_end();
	assert_int_equal(child.exit, 0);
	assert_int_equal(child.length, ICP_CHILD_OUTPUT_MAX);
	assert_true(child.cut);
	assert_int_equal(strspn(child.output, "?"), ICP_CHILD_OUTPUT_MAX);
	icp_child_close(&child);
}

static void test_lines(void **state)
{
	(void)state;
	start("printf 'a\\n\\nb\\n'; printf '%2000d\\n' 7; printf 'c\\nd'", keep_line);
	wait_for_end();
	icp_child_close(&child);
	assert_int_equal(line_count, 6);
	assert_string_equal(lines[0], "a");
	assert_string_equal(lines[1], "");
	assert_string_equal(lines[2], "b");
	assert_int_equal(strlen(lines[3]), ICP_CHILD_LINE_MAX);
	assert_string_equal(lines[4], "c");
	assert_string_equal(lines[5], "d");
}

/* Neither what the daemon ignores nor what it holds back is so for its children. */
static void test_signals_are_reset(void **state)
{
	(void)state;
	sigset_t held;
	sigset_t before;
	sigemptyset(&held);
	sigaddset(&held, SIGUSR1);
	(void)signal(SIGPIPE, SIG_IGN);
	(void)signal(SIGUSR2, SIG_IGN);
	assert_int_equal(sigprocmask(SIG_BLOCK, &held, &before), 0);
	start("grep -E '^Sig(Blk|Ign)' /proc/self/status", NULL);
	sigset_t now;
	assert_int_equal(sigprocmask(SIG_SETMASK, &before, &now), 0);
	(void)signal(SIGPIPE, SIG_DFL);
	(void)signal(SIGUSR2, SIG_DFL);
	assert_true(sigismember(&now, SIGUSR1) == 1 && sigismember(&now, SIGUSR2) == 0);
	wait_for_end();
	static const char blocks[] = "SigBlk:\t0000000000000000\nSigIgn:\t";
	assert_memory_equal(child.output, blocks, sizeof blocks - 1);
	unsigned long long ignored = strtoull(child.output + sizeof blocks - 1, NULL, 16);
	/* Two are the C library's own: it can't change what it was started with. */
	assert_true((ignored & ~(UINT64_C(3) << 31)) == 0);
	icp_child_close(&child);
}

static void test_signal(void **state)
{
	(void)state;
	icp_child_signal(&(icp_child_t){.pid = 0}, SIGKILL);
	start("kill -SEGV $$", NULL);
	wait_for_end();
	assert_int_equal(child.exit, -1);
	assert_int_equal(child.killer, SIGSEGV);
	icp_child_close(&child);
	start("exec sleep 1000", NULL);
	icp_child_signal(&child, SIGTERM);
	wait_for_end();
	assert_int_equal(child.killer, SIGTERM);
	icp_child_close(&child);
}

/* Nothing that the daemon has open, ignores or blocks is the child's. */
static void test_clean(void **state)
{
	(void)state;
	int file = dup(STDERR_FILENO); /* Without O_CLOEXEC. */
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	start("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status", NULL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	wait_for_end();
	close(file);
	/* 0 to 2, and the directory itself. */
	assert_string_equal(child.output, "4\nSigBlk:\t0000000000000000\n");
	icp_child_close(&child);
}

static void test_no_program(void **state)
{
	(void)state;
	icp_diag_t diag = {""};
	const char *arguments[] = {"/nonexistent/program", NULL};
	assert_int_equal(icp_child_start(&child, loop, (char *const *)arguments, NULL, NULL, &diag),
		ICP_EOK);
	wait_for_end();
	assert_int_equal(child.exit, 127);
	assert_string_equal(child.output, "the program can't be run\n");
	icp_child_close(&child);
}

/* A socket of a service manager, and what it gets. */
static int listen_at(const char *name, size_t length)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	memcpy(address.sun_path, name, length);
	assert_int_equal(bind(file, (const struct sockaddr *)&address,
				 (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
		0);
	return file;
}

static void assert_gets(int file, const char *want)
{
	char text[1024] = "";
	assert_true(recv(file, text, sizeof text - 1, 0) > 0);
	assert_string_equal(text, want);
}

static void test_notify(void **state)
{
	(void)state;
	char name[64];
	char variable[64];
	icp_notify_t notify;
	snprintf(name, sizeof name, "%cicpgate-notify-%d", '\0', (int)getpid());
	size_t length = 1 + strlen(name + 1);
	int file = listen_at(name, length);
	snprintf(variable, sizeof variable, "@%s", name + 1);
	setenv("NOTIFY_SOCKET", variable, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "42", 1);
	icp_notify_open(&notify, 42);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_int_equal(notify.watchdog_us, 3000000);
	icp_notify(&notify, "READY=1\n");
	assert_gets(file, "READY=1\n");
	icp_notify(&notify, "STATUS=%s %d\n", "x", 7);
	assert_gets(file, "STATUS=x 7\n");
	icp_notify_close(&notify);
	setenv("NOTIFY_SOCKET", variable, 1);
	setenv("WATCHDOG_USEC", "3000000", 1);
	setenv("WATCHDOG_PID", "41", 1);
	icp_notify_open(&notify, 42);
	assert_int_equal(notify.watchdog_us, 0);
	icp_notify_close(&notify);
	close(file);
}

static void test_nobody_to_notify(void **state)
{
	(void)state;
	char longest[200] = "/";
	memset(longest + 1, 'a', sizeof longest - 2);
	const char *const names[] = {"", "x", "/nonexistent", "@", longest};
	icp_notify_t notify;
	unsetenv("NOTIFY_SOCKET");
	icp_notify_open(&notify, 42);
	assert_int_equal(notify.socket, -1);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "1", 1);
		icp_notify_open(&notify, 42);
		assert_int_equal(notify.socket, -1);
		assert_int_equal(notify.watchdog_us, 0);
		icp_notify(&notify, "READY=1\n");
		icp_notify_close(&notify);
	}
}

#define IN_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_LOOP(test_output),
		IN_LOOP(test_much_output),
		IN_LOOP(test_lines),
		IN_LOOP(test_signal),
		IN_LOOP(test_signals_are_reset),
		IN_LOOP(test_clean),
		IN_LOOP(test_no_program),
		cmocka_unit_test(test_notify),
		cmocka_unit_test(test_nobody_to_notify),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

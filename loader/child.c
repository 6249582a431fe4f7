/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOT_STARTED 127

static void hand_on_lines(icp_child_t *child)
{
	char *begin = child->output;
	for (char *end; (end = strchr(begin, '\n')) != NULL; begin = end + 1) {
		*end = '\0';
		if (!child->cut) {
			child->line(begin, child->context);
		}
		child->cut = false;
	}
	child->length = strlen(begin);
	memmove(child->output, begin, child->length + 1);
	if (child->length == ICP_CHILD_LINE_MAX) {
		child->line(child->output, child->context);
		child->length = 0;
		child->cut = true; /* What is left of this line. */
	}
}

static void take(icp_child_t *child, const char *octets, size_t length)
{
	size_t most = child->line != NULL ? ICP_CHILD_LINE_MAX : ICP_CHILD_OUTPUT_MAX;
	for (size_t i = 0; i < length; i++) {
		if (child->length == most) {
			child->cut = true;
			return;
		}
		child->output[child->length++] = octets[i] != '\0' ? octets[i] : '?';
		child->output[child->length] = '\0';
		if (child->line != NULL && (octets[i] == '\n' || child->length == most)) {
			hand_on_lines(child);
		}
	}
}

/*! Reads what there is. False when there is no more to come. */
static bool drain(icp_child_t *child)
{
	char octets[4096];
	for (;;) {
		ssize_t size = read(child->pipe, octets, sizeof octets);
		if (size > 0) {
			take(child, octets, (size_t)size);
		} else if (size == 0 || errno != EINTR) {
			return size != 0 && errno == EAGAIN;
		}
	}
}

static void readable(evutil_socket_t pipe, short what, void *context)
{
	icp_child_t *child = context;
	(void)pipe;
	(void)what;
	if (!drain(child)) {
		event_del(child->readable);
	}
}

/*! In the child, where nothing may be done but what a signal handler may do. */
static _Noreturn void become(char *const arguments[], int output, pid_t parent)
{
	sigset_t none;
	/* An ignored signal would stay ignored, and our handlers have no business here. */
	for (int number = 1; number < NSIG; number++) {
		(void)signal(number, SIG_DFL);
	}
	int nothing = open("/dev/null", O_RDONLY);
	sigemptyset(&none);
	/* The daemon may have ended before it was asked to be told of that. */
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
		dup2(output, STDERR_FILENO) < 0 || prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 ||
		getppid() != parent) {
		_exit(NOT_STARTED);
	}
	close_range(STDERR_FILENO + 1, ~0U, 0);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execv(arguments[0], arguments);
	static const char failed[] = "the program can't be run\n";
	(void)!write(STDERR_FILENO, failed, sizeof failed - 1);
	_exit(NOT_STARTED);
}

static int start(
	icp_child_t *child, struct event_base *base, char *const arguments[], icp_diag_t *diag)
{
	int ends[2];
	pid_t parent = getpid();
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return icp_fail(diag, ICP_ESYS, "pipe: %s", strerror(errno));
	}
	child->pipe = ends[0];
	fcntl(child->pipe, F_SETFL, O_NONBLOCK);
	child->readable = event_new(base, child->pipe, EV_READ | EV_PERSIST, readable, child);
	if (child->readable == NULL || event_add(child->readable, NULL) != 0) {
		close(ends[1]);
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	/* Until the child has none of our handlers any more: they would write to our event loop. */
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	child->pid = fork();
	if (child->pid == 0) {
		become(arguments, ends[1], parent);
	}
	int error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (child->pid < 0) {
		child->pid = 0;
		return icp_fail(diag, ICP_ESYS, "fork: %s", strerror(error));
	}
	return ICP_EOK;
}

int icp_child_start(icp_child_t *child, struct event_base *base, char *const arguments[],
	icp_child_line_t line, void *context, icp_diag_t *diag)
{
	size_t most = line != NULL ? ICP_CHILD_LINE_MAX : ICP_CHILD_OUTPUT_MAX;
	*child = (icp_child_t){.pipe = -1, .line = line, .context = context};
	child->output = calloc(1, most + 1);
	if (child->output == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	int ret = start(child, base, arguments, diag);
	if (ret != ICP_EOK) {
		icp_child_close(child);
	}
	return ret;
}

bool icp_child_reap(icp_child_t *child)
{
	int status;
	if (child->pid == 0 || child->ended ||
		waitpid(child->pid, &status, WNOHANG) != child->pid) {
		return false;
	}
	drain(child);
	if (child->line != NULL && child->length > 0 && !child->cut) {
		child->line(child->output, child->context);
	}
	child->ended = true;
	child->exit = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
	child->killer = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	return true;
}

void icp_child_signal(const icp_child_t *child, int number)
{
	if (child->pid != 0 && !child->ended) {
		kill(child->pid, number);
	}
}

void icp_child_close(icp_child_t *child)
{
	if (child->readable != NULL) {
		event_free(child->readable);
	}
	if (child->pipe >= 0) {
		close(child->pipe);
	}
	free(child->output);
	*child = (icp_child_t){.pipe = -1};
}

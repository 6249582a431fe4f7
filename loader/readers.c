/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/readers.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 2000

/*! What the child says. */
typedef struct {
	int code;
	icp_readers_t readers;
	icp_diag_t diag;
} answer_t;

/*! In the child, of a process with one thread. Its end by a signal is nobody's concern. */
static _Noreturn void count(const char *store, int output, pid_t parent)
{
	const struct rlimit none = {.rlim_cur = 0};
	answer_t answer = {.diag = {""}};
	icp_store_t *opened;
	sigset_t signals;
	for (int number = 1; number < NSIG; number++) {
		(void)signal(number, SIG_DFL);
	}
	sigemptyset(&signals);
	sigprocmask(SIG_SETMASK, &signals, NULL);
	(void)setrlimit(RLIMIT_CORE, &none);
	/* What is open belongs to the parent, whose end would not give its locks back. */
	if (dup2(output, STDIN_FILENO) < 0 || close_range(STDERR_FILENO + 1, ~0U, 0) != 0 ||
		prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) {
		_exit(1);
	}
	answer.code = icp_store_open(&opened, store, &answer.diag);
	if (answer.code == ICP_EOK) {
		answer.code = icp_store_readers(opened, &answer.readers);
	}
	/* Less than what a pipe takes at once. */
	_exit(write(STDIN_FILENO, &answer, sizeof answer) == (ssize_t)sizeof answer ? 0 : 1);
}

static pid_t start(const char *store, int output)
{
	sigset_t all;
	sigset_t before;
	pid_t parent = getpid();
	/* Until the child has none of our handlers any more. */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	pid_t pid = fork();
	if (pid == 0) {
		count(store, output, parent);
	}
	int error = errno;
	sigprocmask(SIG_SETMASK, &before, NULL);
	errno = error;
	return pid;
}

/*! Reads the answer, if there is one in time. */
static bool take(int input, answer_t *answer)
{
	struct pollfd wait = {.fd = input, .events = POLLIN};
	int rc;
	while ((rc = poll(&wait, 1, PATIENCE_MS)) < 0 && errno == EINTR) {
	}
	return rc == 1 && read(input, answer, sizeof *answer) == (ssize_t)sizeof *answer;
}

int icp_readers_count(const char *store, icp_readers_t *readers, icp_diag_t *diag)
{
	answer_t answer;
	int ends[2];
	int ret;
	*readers = (icp_readers_t){.slots = 0};
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return icp_fail(diag, ICP_ESYS, "pipe: %s", strerror(errno));
	}
	pid_t pid = start(store, ends[1]);
	int error = errno;
	close(ends[1]);
	if (pid < 0) {
		ret = icp_fail(diag, ICP_ESYS, "fork: %s", strerror(error));
	} else if (!take(ends[0], &answer)) {
		kill(pid, SIGKILL);
		ret = icp_fail(diag, ICP_EDAMAGED, "%s: the readers can't be counted", store);
	} else {
		*readers = answer.readers;
		answer.diag.text[sizeof answer.diag.text - 1] = '\0';
		ret = answer.code == ICP_EOK ? ICP_EOK
					     : icp_fail(diag, answer.code, "%s", answer.diag.text);
	}
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR) {
	}
	return ret;
}

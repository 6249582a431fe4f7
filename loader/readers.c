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
#include <time.h>
#include <unistd.h>

#define PATIENCE_MS 2000
#define BELIEVED_MS 1000
#define PART 8 /* No more than such a part of the time is spent on counting. */

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
	if (dup2(output, STDIN_FILENO) < 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 ||
		getppid() != parent) {
		_exit(1);
	}
	/* What is open belongs to the parent, whose end would not give its locks back. Where the
	 * kernel does not know the call, this process ends soon enough. */
	close_range(STDERR_FILENO + 1, ~0U, 0);
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

static int64_t now_ms(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (int64_t)time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

/*! Reads the answer. \retval ICP_EOK \retval ICP_EBUSY  none in time \retval ICP_ESYS  none */
static int take(int input, answer_t *answer)
{
	struct pollfd wait = {.fd = input, .events = POLLIN};
	int rc;
	while ((rc = poll(&wait, 1, PATIENCE_MS)) < 0 && errno == EINTR) {
	}
	if (rc == 0) {
		return ICP_EBUSY;
	}
	return rc == 1 && read(input, answer, sizeof *answer) == (ssize_t)sizeof *answer ? ICP_EOK
											 : ICP_ESYS;
}

/*! Ends a child. One that the kernel holds can't be waited for. \return 0, or what killed it */
static int end(icp_readers_memory_t *memory, pid_t pid, bool kills)
{
	int status = 0;
	if (kills) {
		kill(pid, SIGKILL);
	}
	pid_t ended;
	while ((ended = waitpid(pid, &status, kills ? WNOHANG : 0)) < 0 && errno == EINTR) {
	}
	memory->left = ended == 0 ? pid : 0;
	return ended == pid && WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static int cannot(const char *store, int code, icp_diag_t *diag)
{
	return icp_fail(diag, code, "%s: the readers can't be counted", store);
}

static int ask(icp_readers_memory_t *memory, const char *store, const int ends[2], icp_diag_t *diag)
{
	answer_t answer;
	pid_t pid = start(store, ends[1]);
	int error = errno;
	close(ends[1]);
	if (pid < 0) {
		return icp_fail(diag, ICP_ESYS, "fork: %s", strerror(error));
	}
	int ret = take(ends[0], &answer);
	int killer = end(memory, pid, ret == ICP_EBUSY);
	if (ret != ICP_EOK) {
		/* As what stands in the file may end it; nobody else does so by these. */
		bool by_file = killer == SIGBUS || killer == SIGSEGV || killer == SIGABRT;
		return cannot(store, by_file ? ICP_EDAMAGED : ret, diag);
	}
	memory->readers = answer.readers;
	answer.diag.text[sizeof answer.diag.text - 1] = '\0';
	return answer.code == ICP_EOK ? ICP_EOK
				      : icp_fail(diag, answer.code, "%s", answer.diag.text);
}

static int count_anew(icp_readers_memory_t *memory, const char *store, icp_diag_t *diag)
{
	int ends[2];
	memory->readers = (icp_readers_t){.slots = 0};
	memory->diag.text[0] = '\0';
	if (memory->left != 0 && waitpid(memory->left, NULL, WNOHANG) == 0) {
		return cannot(store, ICP_EBUSY, diag);
	}
	memory->left = 0;
	if (pipe2(ends, O_CLOEXEC) != 0) {
		return icp_fail(diag, ICP_ESYS, "pipe: %s", strerror(errno));
	}
	int ret = ask(memory, store, ends, diag);
	close(ends[0]);
	return ret;
}

int icp_readers_count(icp_readers_memory_t *memory, const char *store, uint64_t generation,
	icp_readers_t *readers, icp_diag_t *diag)
{
	int64_t began = now_ms();
	if (began >= memory->until || memory->generation != generation) {
		memory->code = count_anew(memory, store, &memory->diag);
		memory->generation = generation;
		int64_t now = now_ms();
		int64_t wait = (now - began) * PART;
		memory->until = now + (wait > BELIEVED_MS ? wait : BELIEVED_MS);
	}
	*readers = memory->readers;
	return memory->code == ICP_EOK ? ICP_EOK
				       : icp_fail(diag, memory->code, "%s", memory->diag.text);
}

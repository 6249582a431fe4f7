/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/fault.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"

/*! One thread's; of a kind that a signal handler may touch: nothing is allocated at first use. */
typedef struct {
	volatile sig_atomic_t depth;
	volatile sig_atomic_t happened;
	bool unblocked;
} section_t;

static __thread section_t section __attribute__((tls_model("initial-exec")));

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /*!< Guards what follows. */
static unsigned installed;
static struct sigaction previous;
static uintptr_t page_mask;

static void pass_on(int signal, siginfo_t *info, void *context)
{
	if ((previous.sa_flags & SA_SIGINFO) != 0) {
		previous.sa_sigaction(signal, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signal);
	} else {
		/* The same instruction faults again, and then without us. */
		struct sigaction default_action = {.sa_handler = SIG_DFL};
		sigaction(SIGBUS, &default_action, NULL);
	}
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	int kept = errno;
	void *page = (void *)((uintptr_t)info->si_addr & page_mask);
	/* A signal that a process sent has a code of 0 or less, and leads to no page. */
	if (section.depth == 0 || info->si_code <= 0 ||
		mmap(page, ~page_mask + 1, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		pass_on(signal, info, context);
	} else {
		section.happened = 1;
	}
	errno = kept;
}

int icp_fault_install(void)
{
	int ret = ICP_EOK;
	pthread_mutex_lock(&lock);
	if (installed == 0) {
		struct sigaction action = {.sa_flags = SA_SIGINFO};
		action.sa_sigaction = on_fault;
		page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
		ret = sigaction(SIGBUS, &action, &previous) == 0 ? ICP_EOK : ICP_ESYS;
	}
	if (ret == ICP_EOK) {
		installed++;
	}
	pthread_mutex_unlock(&lock);
	return ret;
}

void icp_fault_uninstall(void)
{
	pthread_mutex_lock(&lock);
	if (installed > 0 && --installed == 0) {
		struct sigaction now;
		/* Somebody who came later may pass on to us; he must not be cut off. */
		if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
			now.sa_sigaction == on_fault) {
			sigaction(SIGBUS, &previous, NULL);
		}
	}
	pthread_mutex_unlock(&lock);
}

void icp_fault_enter(void)
{
	if (!section.unblocked) {
		sigset_t set;
		sigemptyset(&set);
		sigaddset(&set, SIGBUS);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		section.unblocked = true;
	}
	section.depth++;
}

void icp_fault_leave(void)
{
	section.depth--;
}

bool icp_fault_happened(void)
{
	bool happened = section.happened != 0;
	section.happened = 0;
	return happened;
}

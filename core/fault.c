/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/fault.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/error.h"

#define SECTIONS_MAX 30

/*! One thread's. icp_fault_enter touches it, so that it is there when the signal handler does. Not
 * in the static block: there is little room in it, and what a library that is loaded again and
 * again takes of it may not be given back. */
typedef struct {
	volatile sig_atomic_t depth;
	volatile sig_atomic_t happened; /*!< A bit for each section. */
	bool unblocked;
} section_t;

static __thread section_t section;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /*!< Guards what follows. */
static unsigned installed;
static bool in_place; /*!< The handler is, or is called by the one that is. */
static struct sigaction previous;
static uintptr_t page_mask;

/*! The bit of the innermost section. */
static sig_atomic_t own_bit(void)
{
	return 1 << (section.depth - 1);
}

static void pass_on(int signal, siginfo_t *info, void *context)
{
	/* The kernel does not let a fault be ignored. */
	bool is_fault = info->si_code > 0;
	if ((previous.sa_flags & SA_SIGINFO) != 0) {
		previous.sa_sigaction(signal, info, context);
	} else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
		previous.sa_handler(signal);
	} else if (is_fault || previous.sa_handler == SIG_DFL) {
		struct sigaction default_action = {.sa_handler = SIG_DFL};
		sigaction(SIGBUS, &default_action, NULL);
		/* The instruction of a fault comes again; what was sent does not. It waits until
		 * the handler is left. */
		if (!is_fault) {
			raise(signal);
		}
	}
}

static void on_fault(int signal, siginfo_t *info, void *context)
{
	int kept = errno;
	uint8_t *at = info->si_addr;
	void *page = at - ((uintptr_t)at & ~page_mask);
	/* Of all kinds this one alone says that a map has nothing there: memory that failed may be
	 * the heap's, which zeros would ruin, and a signal that was sent leads to no page. */
	if (section.depth == 0 || info->si_code != BUS_ADRERR ||
		mmap(page, ~page_mask + 1, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
		pass_on(signal, info, context);
	} else {
		section.happened |= own_bit();
	}
	errno = kept;
}

int icp_fault_install(void)
{
	int ret = ICP_EOK;
	pthread_mutex_lock(&lock);
	if (!in_place) {
		struct sigaction action = {.sa_flags = SA_SIGINFO};
		action.sa_sigaction = on_fault;
		page_mask = ~((uintptr_t)sysconf(_SC_PAGESIZE) - 1);
		in_place = sigaction(SIGBUS, &action, &previous) == 0;
		ret = in_place ? ICP_EOK : ICP_ESYS;
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
		/* To go in again behind somebody who passes on to us would be a circle. */
		if (sigaction(SIGBUS, NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
			now.sa_sigaction == on_fault && sigaction(SIGBUS, &previous, NULL) == 0) {
			in_place = false;
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
	assert(section.depth < SECTIONS_MAX);
	section.depth++;
	section.happened &= ~own_bit();
}

void icp_fault_leave(void)
{
	bool unasked = icp_fault_happened();
	section.depth--;
	if (unasked && section.depth > 0) {
		section.happened |= own_bit();
	}
}

bool icp_fault_happened(void)
{
	bool happened = (section.happened & own_bit()) != 0;
	section.happened &= ~own_bit();
	return happened;
}

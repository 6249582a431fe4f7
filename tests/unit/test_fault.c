/* SPDX-License-Identifier: BSD-3-Clause */
/* Maps that lose their pages: zeros inside a section, and outside what would happen without us. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/error.h"
#include "core/fault.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PAGES 4

enum { EXIT_SURVIVED = 20, EXIT_HANDLER, EXIT_INFO_HANDLER, EXIT_WRONG };

static size_t page_size;
static int file;
static volatile uint8_t *map;
static uint8_t *octets; /*!< The same. */

/*! A mapped file of a few pages. */
static int set_up(void **state)
{
	(void)state;
	page_size = (size_t)sysconf(_SC_PAGESIZE);
	file = memfd_create("map", MFD_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(ftruncate(file, (off_t)(PAGES * page_size)), 0);
	octets = mmap(NULL, PAGES * page_size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	assert_true(octets != MAP_FAILED);
	memset(octets, 'x', PAGES * page_size);
	map = octets;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	return munmap(octets, PAGES * page_size) | close(file);
}

static void lose_pages(size_t left)
{
	assert_int_equal(ftruncate(file, (off_t)(left * page_size)), 0);
}

static void lost_pages_read_as_zeros(void **state)
{
	(void)state;
	assert_int_equal(icp_fault_install(), ICP_EOK);
	icp_fault_enter();
	lose_pages(2);
	assert_int_equal(map[2 * page_size - 1], 'x');
	assert_false(icp_fault_happened());
	assert_int_equal(map[2 * page_size + 5], 0);
	assert_true(icp_fault_happened());
	assert_false(icp_fault_happened());
	/* They stay so, and may be written to, as LMDB does with its lock file. */
	lose_pages(PAGES);
	map[2 * page_size] = 'y';
	assert_int_equal(map[2 * page_size], 'y');
	assert_int_equal(map[2 * page_size + 5], 0);
	assert_false(icp_fault_happened());
	lose_pages(2);
	map[3 * page_size] = 'y';
	assert_true(icp_fault_happened());
	icp_fault_leave();
	icp_fault_uninstall();
}

static void a_fault_belongs_to_the_innermost_section(void **state)
{
	(void)state;
	assert_int_equal(icp_fault_install(), ICP_EOK);
	lose_pages(0);
	icp_fault_enter();
	icp_fault_enter();
	assert_int_equal(map[0], 0);
	assert_true(icp_fault_happened());
	icp_fault_leave();
	assert_false(icp_fault_happened());

	assert_int_equal(map[page_size], 0);
	icp_fault_enter();
	assert_false(icp_fault_happened());
	icp_fault_leave();
	assert_true(icp_fault_happened());

	/* Of two sections, the inner of which was not asked. */
	icp_fault_enter();
	icp_fault_enter();
	assert_int_equal(map[2 * page_size], 0);
	icp_fault_leave();
	icp_fault_leave();
	assert_true(icp_fault_happened());
	icp_fault_leave();

	icp_fault_enter();
	assert_int_equal(map[3 * page_size], 0);
	icp_fault_leave();
	icp_fault_enter();
	assert_false(icp_fault_happened());
	icp_fault_leave();
	icp_fault_uninstall();
}

static void handler(int signal)
{
	(void)signal;
	_exit(EXIT_HANDLER);
}

static void info_handler(int signal, siginfo_t *info, void *context)
{
	(void)context;
	bool is_right = signal == SIGBUS && (info->si_code <= 0 || info->si_addr == (void *)octets);
	_exit(is_right ? EXIT_INFO_HANDLER : EXIT_WRONG);
}

/*! What has SIGBUS before we come. */
typedef struct {
	void (*plain)(int);
	void (*with_info)(int, siginfo_t *, void *);
} owner_t;

static void own(const owner_t *owner)
{
	struct sigaction action = {.sa_handler = owner->plain};
	if (owner->with_info != NULL) {
		action.sa_flags = SA_SIGINFO;
		action.sa_sigaction = owner->with_info;
	}
	sigaction(SIGBUS, &action, NULL);
}

/*! Runs something in a process of its own. Gives its status of waitpid. */
static int in_child(void (*run)(void), const owner_t *owner)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		own(owner);
		if (icp_fault_install() != ICP_EOK || ftruncate(file, 0) != 0) {
			_exit(EXIT_WRONG);
		}
		run();
		_exit(EXIT_SURVIVED);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void read_outside(void)
{
	(void)map[0];
}

static void read_behind_a_section(void)
{
	icp_fault_enter();
	icp_fault_leave();
	(void)map[0];
}

static void be_sent_one(void)
{
	icp_fault_enter();
	kill(getpid(), SIGBUS);
	icp_fault_leave();
}

/* A signal that was sent and is ignored does not take our handler away. */
static void be_sent_one_and_read(void)
{
	icp_fault_enter();
	kill(getpid(), SIGBUS);
	if (map[0] != 0 || !icp_fault_happened()) {
		_exit(EXIT_WRONG);
	}
	icp_fault_leave();
}

static void other_signals_are_passed_on(void **state)
{
	(void)state;
	const owner_t nobody = {.plain = SIG_DFL};
	const owner_t ignored = {.plain = SIG_IGN};
	const owner_t plain = {.plain = handler};
	const owner_t with_info = {.with_info = info_handler};
	void (*const runs[])(void) = {read_outside, read_behind_a_section, be_sent_one};
	for (size_t i = 0; i < COUNT(runs); i++) {
		int status = in_child(runs[i], &nobody);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), SIGBUS);
		status = in_child(runs[i], &plain);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EXIT_HANDLER);
		status = in_child(runs[i], &with_info);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), EXIT_INFO_HANDLER);
	}
	/* The kernel lets nobody ignore a fault. */
	int status = in_child(read_outside, &ignored);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
	status = in_child(be_sent_one_and_read, &ignored);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_SURVIVED);
}

static void *read_with_sigbus_blocked(void *context)
{
	bool *right = context;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGBUS);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	icp_fault_enter();
	*right = map[0] == 0 && icp_fault_happened();
	icp_fault_leave();
	return NULL;
}

static void a_thread_that_blocks_the_signal_gets_zeros(void **state)
{
	(void)state;
	pthread_t thread;
	bool right = false;
	assert_int_equal(icp_fault_install(), ICP_EOK);
	lose_pages(0);
	icp_fault_enter();
	assert_int_equal(pthread_create(&thread, NULL, read_with_sigbus_blocked, &right), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(right);
	assert_false(icp_fault_happened());
	icp_fault_leave();
	icp_fault_uninstall();
}

static bool is_owned_by(const owner_t *owner)
{
	struct sigaction now;
	sigaction(SIGBUS, NULL, &now);
	return (now.sa_flags & SA_SIGINFO) != 0 ? now.sa_sigaction == owner->with_info
						: now.sa_handler == owner->plain;
}

static void the_last_one_gives_the_signal_back(void **state)
{
	(void)state;
	struct sigaction before;
	const owner_t owner = {.with_info = info_handler};
	sigaction(SIGBUS, NULL, &before);
	own(&owner);
	assert_int_equal(icp_fault_install(), ICP_EOK);
	assert_int_equal(icp_fault_install(), ICP_EOK);
	assert_false(is_owned_by(&owner));
	icp_fault_uninstall();
	assert_false(is_owned_by(&owner));
	icp_fault_uninstall();
	assert_true(is_owned_by(&owner));
	icp_fault_uninstall();
	assert_int_equal(icp_fault_install(), ICP_EOK);
	assert_false(is_owned_by(&owner));
	icp_fault_uninstall();
	assert_true(is_owned_by(&owner));
	sigaction(SIGBUS, &before, NULL);
}

static struct sigaction ours;

static void hand_to_us(int signal, siginfo_t *info, void *context)
{
	ours.sa_sigaction(signal, info, context);
}

/* Somebody passes on to us. To go in behind him would have us call each other for ever. */
static void be_taken_over(void)
{
	const owner_t later = {.with_info = hand_to_us};
	sigaction(SIGBUS, NULL, &ours);
	own(&later);
	icp_fault_uninstall();
	if (!is_owned_by(&later) || icp_fault_install() != ICP_EOK || !is_owned_by(&later)) {
		_exit(EXIT_WRONG);
	}
	icp_fault_enter();
	if (map[page_size] != 0 || !icp_fault_happened()) {
		_exit(EXIT_WRONG);
	}
	icp_fault_leave();
	(void)map[0];
}

static void who_takes_the_signal_over_keeps_it(void **state)
{
	(void)state;
	const owner_t with_info = {.with_info = info_handler};
	int status = in_child(be_taken_over, &with_info);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_INFO_HANDLER);
}

#define ON_MAP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_MAP(lost_pages_read_as_zeros),
		ON_MAP(a_fault_belongs_to_the_innermost_section),
		ON_MAP(other_signals_are_passed_on),
		ON_MAP(a_thread_that_blocks_the_signal_gets_zeros),
		ON_MAP(the_last_one_gives_the_signal_back),
		ON_MAP(who_takes_the_signal_over_keeps_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

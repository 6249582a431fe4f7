/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/dir_help.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "core/owner.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SOMEBODY 65534

/* Each makes "it" in the directory that the process is in. */
static void make_file(void)
{
	int file = open("it", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	close(file);
}

static void make_linked_file(void)
{
	make_file();
	assert_int_equal(link("it", "another"), 0);
}

static void make_directory(void)
{
	assert_int_equal(mkdir("it", 0700), 0);
}

static void make_full_directory(void)
{
	make_directory();
	assert_int_equal(symlink("nowhere", "it/link"), 0);
}

static void make_strange_file(void)
{
	make_file();
	assert_int_equal(chown("it", SOMEBODY, SOMEBODY), 0);
}

static void make_strange_directory(void)
{
	make_directory();
	assert_int_equal(chown("it", SOMEBODY, SOMEBODY), 0);
}

static const struct {
	const char *shows;
	void (*make)(void);
	bool ours;
	bool needs_root;
} cases[] = {
	{"a file", make_file, true, false},
	{"a file with another name", make_linked_file, false, false},
	{"an empty directory", make_directory, true, false},
	{"a directory with something in it", make_full_directory, false, false},
	{"somebody else's file", make_strange_file, false, true},
	{"somebody else's directory", make_strange_directory, false, true},
};

/*! What is ours is given away by root, and nothing else. */
static void check(size_t i)
{
	struct stat before;
	struct stat after;
	int file = open("it", O_RDONLY | O_CLOEXEC);
	assert_true(file >= 0);
	assert_int_equal(fstat(file, &before), 0);
	if (icp_owner_is_ours(file) != cases[i].ours) {
		fail_msg("%s", cases[i].shows);
	}
	icp_owner_give(file, (icp_owner_t){SOMEBODY - 1, (gid_t)-1});
	assert_int_equal(fstat(file, &after), 0);
	bool given = geteuid() == 0 && cases[i].ours;
	if (after.st_uid != (given ? SOMEBODY - 1 : before.st_uid)) {
		fail_msg("%s: is user %u's", cases[i].shows, after.st_uid);
	}
	close(file);
}

static void test_owner(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char dir[DIR_MAX];
		if (cases[i].needs_root && geteuid() != 0) {
			continue;
		}
		make_dir(dir, "owner");
		assert_int_equal(chdir(dir), 0);
		cases[i].make();
		check(i);
		assert_int_equal(chdir("/"), 0);
		assert_int_equal(remove_dir(dir), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Files that lose their pages under a gate, or under a reader: verdicts as the rules say for what
 * can't be read, a line for the operator, and all is well again with the next file.
 */
#include "tests/unit/gate_help.h"

#include <sys/stat.h>

#include "core/fault.h"

#define PAGE 4096
#define GENERATION_1 ICP_STORE_GENERATIONS "/0000000001.mdb"

static void store_path(const site_t *site, const char *name, char path[512])
{
	snprintf(path, 512, "%s/%s", site->store, name);
}

static off_t size_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

/*! Runs in a process of its own, so that its end is seen as a failure of the test. */
static void survive(site_t *site, void (*run)(site_t *site, off_t left), off_t left)
{
	int status;
	pid_t child = fork();
	if (child == 0) {
		run(site, left);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (status != 0) {
		fail_msg("with %d octets left: status %x", (int)left, (unsigned)status);
	}
}

/*! With a generation that loses all but its first pages, each number of them in turn. */
static void survive_truncations(site_t *site, void (*run)(site_t *site, off_t left))
{
	char path[512];
	off_t size = PAGE;
	for (off_t left = 0; left < size; left += PAGE) {
		publish(site, ROW("filed.example"));
		store_path(site, GENERATION_1, path);
		size = size_of(path);
		survive(site, run, left);
		assert_int_equal(remove_dir(site->store), 0);
	}
	assert_true(size > 4 * (off_t)PAGE);
}

static void demand(bool holds, const char *what)
{
	if (!holds) {
		fprintf(stderr, "does not hold: %s; last line: %s\n", what, last_line);
		_exit(1);
	}
}

static void lose_generation(site_t *site, off_t left)
{
	char path[512];
	world_t world = open_world(site);
	create_gate(&world, 2);
	demand(judge(world.gate, 0, "filed.example", GATED, 1) == ICP_REASON_FILED, "filed");
	store_path(site, GENERATION_1, path);
	demand(truncate(path, left) == 0, "truncate");
	for (unsigned i = 0; i < 4; i++) {
		enum icp_reason reason = judge(world.gate, i % 2, "filed.example", GATED, 1);
		/* What is left may be all that is needed. */
		demand(reason == ICP_REASON_NO_INDEX || (reason == ICP_REASON_FILED && left > 0),
			"no index");
	}
	demand(judge(world.gate, 0, "filed.example", ABROAD, 1) == ICP_REASON_NOT_GATED,
		"the range database is fine");
	demand(line_count <= 1 && (line_count == 1 || left > 0), "one line");
	publish(site, ROW("new.example"));
	demand(judge(world.gate, 0, "new.example", GATED, 2) == ICP_REASON_FILED, "healed");
	demand(judge(world.gate, 1, "new.example", GATED, 2) == ICP_REASON_FILED, "healed");
	demand(line_count <= 1, "still one line");
	close_world(&world);
}

static void a_generation_that_is_truncated_is_no_index(void **state)
{
	survive_truncations(*state, lose_generation);
}

static void lose_lock_file(site_t *site, off_t left)
{
	char path[512];
	world_t world = open_world(site);
	create_gate(&world, 2);
	demand(judge(world.gate, 0, "filed.example", GATED, 1) == ICP_REASON_FILED, "filed");
	store_path(site, GENERATION_1 "-lock", path);
	demand(truncate(path, left) == 0, "truncate");
	for (unsigned i = 0; i < 4; i++) {
		enum icp_reason reason = judge(world.gate, i % 2, "filed.example", GATED, 1);
		demand(reason == ICP_REASON_NO_INDEX || reason == ICP_REASON_FILED, "a verdict");
	}
	publish(site, ROW("new.example"));
	demand(judge(world.gate, 0, "new.example", GATED, 2) == ICP_REASON_FILED, "healed");
	demand(judge(world.gate, 1, "new.example", GATED, 2) == ICP_REASON_FILED, "healed");
	close_world(&world);
}

/* LMDB writes to it when it closes, too. */
static void lose_lock_file_and_close(site_t *site, off_t left)
{
	char path[512];
	world_t world = open_world(site);
	create_gate(&world, 2);
	demand(judge(world.gate, 0, "filed.example", GATED, 1) == ICP_REASON_FILED, "filed");
	store_path(site, GENERATION_1 "-lock", path);
	demand(truncate(path, left) == 0, "truncate");
	close_world(&world);
}

/* The new generation is not to blame for the end of the one before. */
static void lose_lock_file_and_follow(site_t *site, off_t left)
{
	char path[512];
	world_t world = open_world(site);
	create_gate(&world, 1);
	demand(judge(world.gate, 0, "filed.example", GATED, 1) == ICP_REASON_FILED, "filed");
	publish(site, ROW("new.example"));
	store_path(site, GENERATION_1 "-lock", path);
	demand(truncate(path, left) == 0, "truncate");
	demand(judge(world.gate, 0, "new.example", GATED, 2) == ICP_REASON_FILED, "followed");
	demand(judge(world.gate, 0, "new.example", GATED, 2) == ICP_REASON_FILED, "and stays");
	demand(line_count == 0, "nothing to say");
	close_world(&world);
}

static void a_lock_file_that_is_truncated_ends_nothing(void **state)
{
	static void (*const runs[])(site_t *, off_t) = {
		lose_lock_file, lose_lock_file_and_close, lose_lock_file_and_follow};
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(runs); i++) {
		for (off_t left = 0; left <= PAGE; left += PAGE) {
			publish(site, ROW("filed.example"));
			survive(site, runs[i], left);
			assert_int_equal(remove_dir(site->store), 0);
		}
	}
}

static void lose_ranges(site_t *site, off_t left)
{
	world_t world = open_world(site);
	create_gate(&world, 2);
	demand(judge(world.gate, 0, "a.example", GATED, 1) == ICP_REASON_UNFILED, "unfiled");
	demand(truncate(in_dir(site, "r.mmdb"), left) == 0, "truncate");
	for (int64_t now = 1; now < 5; now++) {
		demand(judge(world.gate, 0, "a.example", GATED, now) == ICP_REASON_UNFILED,
			"what was read is kept");
		demand(judge(world.gate, 1, "filed.example", GATED, now) == ICP_REASON_FILED,
			"for each seat");
	}
	/* What is left of it is refused, once. */
	demand(line_count == 1, "one line");
	demand(strstr(last_line, "; the range database in use stays") != NULL, "said");
	compile_ranges(site, ranges_text);
	demand(judge(world.gate, 0, "a.example", GATED, 5) == ICP_REASON_UNFILED, "healed");
	demand(line_count == 1, "still one line");
	close_world(&world);
}

static void a_range_database_that_is_truncated_stays_in_use(void **state)
{
	publish(*state, ROW("filed.example"));
	survive(*state, lose_ranges, 0);
}

/*! What readers do without a gate. */
static void lose_pages_of_a_reader(site_t *site, off_t left)
{
	char path[512];
	icp_name_t name;
	icp_node_t node;
	icp_walk_t walk;
	icp_diag_t diag;
	icp_reader_t reader = open_current(site);
	(void)icp_name_parse(&name, "filed.example", strlen("filed.example"), NULL);
	demand(icp_fault_install() == ICP_EOK, "install");
	icp_fault_enter();
	store_path(site, GENERATION_1, path);
	demand(truncate(path, left) == 0, "truncate");
	(void)icp_reader_find(&reader, &name);
	icp_walk_begin(&walk, &reader);
	while (icp_walk_next(&walk, &node) == 1) {
		/* It ends. */
	}
	(void)icp_reader_verify(&reader, &diag);
	bool happened = icp_fault_happened();
	icp_reader_end(&reader);
	if (icp_reader_begin(&reader) == ICP_EOK) {
		int ret = icp_reader_verify(&reader, &diag);
		demand(ret == ICP_EOK ? !happened : ret == ICP_EDAMAGED, "zeros are damage");
		icp_reader_end(&reader);
	}
	icp_reader_deinit(&reader);
	icp_fault_leave();
	icp_fault_uninstall();
}

static void readers_get_damage(void **state)
{
	survive_truncations(*state, lose_pages_of_a_reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(a_generation_that_is_truncated_is_no_index),
		IN_SITE(a_lock_file_that_is_truncated_ends_nothing),
		IN_SITE(a_range_database_that_is_truncated_stays_in_use),
		IN_SITE(readers_get_damage),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

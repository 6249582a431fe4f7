/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/gate_help.h"

#include "loader/update.h"

#include <dirent.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#define GENERATIONS 100
#define THREADS 4

static void names_are_judged(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "filed.example", GATED, 1), ICP_REASON_FILED);
	assert_int_equal(judge(world.gate, 0, "a.b.filed.example", GATED, 1), ICP_REASON_FILED);
	assert_int_equal(judge(world.gate, 0, "notfiled.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 0, "example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 0, "filed.example", ABROAD, 1), ICP_REASON_NOT_GATED);
	close_world(&world);
}

static void a_store_that_appears_is_used(void **state)
{
	world_t world = open_world(*state);
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "filed.example", GATED, 1), ICP_REASON_NO_INDEX);
	assert_non_null(strstr(last_line, "no current generation"));
	publish(*state, ROW("filed.example"));
	assert_int_equal(judge(world.gate, 0, "filed.example", GATED, 2), ICP_REASON_FILED);
	close_world(&world);
}

static void a_new_generation_is_followed_at_once(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("old.example"));
	create_gate(&world, 2);
	assert_int_equal(judge(world.gate, 0, "old.example", GATED, 1), ICP_REASON_FILED);
	assert_int_equal(judge(world.gate, 1, "old.example", GATED, 1), ICP_REASON_FILED);
	publish(*state, ROW("new.example"));
	/* No second has gone by: the loader leaves word in the generation that they hold. */
	assert_int_equal(judge(world.gate, 0, "old.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 1, "new.example", GATED, 1), ICP_REASON_FILED);
	close_world(&world);
}

static void a_generation_that_a_seat_still_holds_comes_back(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("old.example"));
	create_gate(&world, 2);
	assert_int_equal(judge(world.gate, 1, "old.example", GATED, 1), ICP_REASON_FILED);
	publish(*state, ROW("new.example"));
	assert_int_equal(judge(world.gate, 0, "new.example", GATED, 2), ICP_REASON_FILED);
	link_to(*state, ICP_STORE_GENERATIONS "/0000000001.mdb");
	assert_int_equal(judge(world.gate, 0, "new.example", GATED, 3), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 1, "old.example", GATED, 3), ICP_REASON_FILED);
	close_world(&world);
}

/*! Leaves word in a generation, in a process of its own. */
static void leave_word(const site_t *site, const char *name, uint64_t successor)
{
	pid_t child = fork();
	if (child == 0) {
		icp_update_t *update;
		char path[512];
		snprintf(path, sizeof path, "%s/%s", site->store, name);
		bool done = icp_update_open(&update, path, true, NULL) == ICP_EOK &&
			    icp_update_supersede(update, successor, NULL) == ICP_EOK;
		_exit(done ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/*! A rollback leaves word before the link is moved, and again when it is. */
static void a_rollback_is_followed_at_once(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("old.example"));
	publish(*state, ROW("new.example"));
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "new.example", GATED, 1), ICP_REASON_FILED);
	leave_word(*state, ICP_STORE_GENERATIONS "/0000000001.mdb", 0);
	leave_word(*state, ICP_STORE_GENERATIONS "/0000000002.mdb", 1);
	assert_int_equal(judge(world.gate, 0, "new.example", GATED, 1), ICP_REASON_FILED);
	link_to(*state, ICP_STORE_GENERATIONS "/0000000001.mdb");
	leave_word(*state, ICP_STORE_GENERATIONS "/0000000002.mdb", 1);
	assert_int_equal(judge(world.gate, 0, "new.example", GATED, 1), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 0, "old.example", GATED, 1), ICP_REASON_FILED);
	close_world(&world);
}

/*! The new generation is not usable: the old one stays, and that is said once. */
static void expect_old_stays(site_t *site, const char *says)
{
	world_t world = open_world(site);
	link_to(site, ICP_STORE_GENERATIONS "/0000000001.mdb");
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "old.example", GATED, 1), ICP_REASON_FILED);
	link_to(site, ICP_STORE_GENERATIONS "/0000000002.mdb");
	for (int64_t now = 2; now < 6; now++) {
		assert_int_equal(judge(world.gate, 0, "old.example", GATED, now), ICP_REASON_FILED);
	}
	assert_non_null(strstr(last_line, says));
	assert_non_null(strstr(last_line, "the generation in use stays"));
	assert_int_equal(line_count, 1);
	close_world(&world);
}

static void generation_path(const site_t *site, char path[512])
{
	snprintf(path, 512, "%s/store/" ICP_STORE_GENERATIONS "/0000000002.mdb", site->dir);
}

static void a_truncated_generation_is_refused(void **state)
{
	char path[512];
	publish(*state, ROW("old.example"));
	publish(*state, ROW("new.example"));
	generation_path(*state, path);
	assert_int_equal(truncate(path, (off_t)3 * 4096), 0);
	expect_old_stays(*state, "file is truncated");
}

static void a_file_of_something_else_is_refused(void **state)
{
	char path[512];
	publish(*state, ROW("old.example"));
	publish(*state, ROW("new.example"));
	generation_path(*state, path);
	char garbage[16384];
	memset(garbage, 'x', sizeof garbage);
	write_octets(path, garbage, sizeof garbage);
	expect_old_stays(*state, "0000000002.mdb: ");
}

static void put_format(const char *path, const char *format)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	MDB_val key = {.mv_size = 6, .mv_data = "format"};
	MDB_val value = {.mv_size = strlen(format), .mv_data = (void *)format};
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 2), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, ICP_STORE_META, 0, &meta), 0);
	assert_int_equal(mdb_put(txn, meta, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void another_format_version_is_refused(void **state)
{
	char path[512];
	publish(*state, ROW("old.example"));
	publish(*state, ROW("new.example"));
	generation_path(*state, path);
	put_format(path, "99");
	expect_old_stays(*state, "format of another version");
}

static void a_new_range_database_is_followed(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "a.example", ABROAD, 1), ICP_REASON_NOT_GATED);
	compile_ranges(*state, "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n");
	assert_int_equal(judge(world.gate, 0, "a.example", ABROAD, 2), ICP_REASON_UNFILED);
	assert_int_equal(judge(world.gate, 0, "a.example", GATED, 2), ICP_REASON_NOT_GATED);
	close_world(&world);
}

static void a_broken_range_database_is_refused_once(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("filed.example"));
	create_gate(&world, 1);
	write_text(in_dir(*state, "broken"), "no MMDB");
	assert_int_equal(rename(in_dir(*state, "broken"), in_dir(*state, "r.mmdb")), 0);
	for (int64_t now = 1; now < 5; now++) {
		assert_int_equal(judge(world.gate, 0, "a.example", GATED, now), ICP_REASON_UNFILED);
	}
	assert_non_null(strstr(last_line, "the range database in use stays"));
	assert_int_equal(line_count, 1);
	compile_ranges(*state, "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n");
	assert_int_equal(judge(world.gate, 0, "a.example", GATED, 6), ICP_REASON_NOT_GATED);
	close_world(&world);
}

static unsigned open_files(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	assert_non_null(directory);
	while (readdir(directory) != NULL) {
		count++;
	}
	closedir(directory);
	return count;
}

static void a_hundred_generations_leave_nothing_open(void **state)
{
	world_t world = open_world(*state);
	publish(*state, ROW("a.example"));
	create_gate(&world, 1);
	assert_int_equal(judge(world.gate, 0, "a.example", GATED, 0), ICP_REASON_FILED);
	unsigned before = open_files();
	for (int64_t now = 1; now <= GENERATIONS; now++) {
		bool odd = now % 2 == 1;
		publish(*state, odd ? ROW("b.example") : ROW("a.example"));
		assert_int_equal(judge(world.gate, 0, "a.example", GATED, now),
			odd ? ICP_REASON_UNFILED : ICP_REASON_FILED);
	}
	assert_int_equal(open_files(), before);
	close_world(&world);
}

/*! A process that loads feeds on demand: one that has threads must not fork. */
typedef struct {
	pid_t process;
	int orders[2];
	int results[2];
} publisher_t;

static void start_publisher(publisher_t *publisher, site_t *site)
{
	assert_int_equal(pipe(publisher->orders), 0);
	assert_int_equal(pipe(publisher->results), 0);
	publisher->process = fork();
	if (publisher->process != 0) {
		close(publisher->orders[0]);
		return;
	}
	close(publisher->orders[1]);
	char name;
	while (read(publisher->orders[0], &name, 1) == 1) {
		char text[1024];
		snprintf(
			text, sizeof text, HEADER "%c.example,qcloud,filed," NUMBER ",,,,\n", name);
		char result = load_text(site, text) == ICP_EOK ? 'y' : 'n';
		if (write(publisher->results[1], &result, 1) != 1) {
			break;
		}
	}
	_exit(0);
}

/*! Makes a generation current that permits "NAME.example" alone. */
static void order(publisher_t *publisher, char name)
{
	char result = 'n';
	assert_int_equal(write(publisher->orders[1], &name, 1), 1);
	assert_int_equal(read(publisher->results[0], &result, 1), 1);
	assert_int_equal(result, 'y');
}

static void stop_publisher(publisher_t *publisher)
{
	int status;
	close(publisher->orders[1]);
	close(publisher->results[0]);
	close(publisher->results[1]);
	assert_int_equal(waitpid(publisher->process, &status, 0), publisher->process);
	assert_int_equal(status, 0);
}

/*! What the threads share. Generation N permits a.example when N is odd. */
typedef struct {
	icp_gate_t *gate;
	atomic_uint seats;
	atomic_int now;     /*!< Seconds; the number of the generation published last. */
	atomic_int started; /*!< Generation that may be in use. */
	atomic_int settled; /*!< Generation that a judgement was seen to use. */
	atomic_uint wrong;
	atomic_uint exact; /*!< Judgements that only one generation allows. */
} race_t;

static void *judge_all_the_time(void *context)
{
	race_t *race = context;
	unsigned seat = atomic_fetch_add(&race->seats, 1);
	int least;
	do {
		least = atomic_load(&race->settled);
		enum icp_reason reason =
			judge(race->gate, seat, "a.example", GATED, atomic_load(&race->now));
		int most = atomic_load(&race->started);
		if (least == most) {
			bool permitted = reason == ICP_REASON_FILED;
			atomic_fetch_add(&race->wrong, permitted != (least % 2 == 1));
			atomic_fetch_add(&race->exact, 1);
		}
	} while (least < GENERATIONS);
	return NULL;
}

/*! Waits for a seat to use a generation: the look for it may be another thread's. */
static void settle(race_t *race, unsigned seat, int number)
{
	enum icp_reason wanted = number % 2 == 1 ? ICP_REASON_FILED : ICP_REASON_UNFILED;
	unsigned tries = 0;
	atomic_store(&race->now, number);
	while (judge(race->gate, seat, "a.example", GATED, number) != wanted) {
		assert_true(++tries < 10000000);
	}
	atomic_store(&race->settled, number);
}

static void threads_follow_every_generation(void **state)
{
	world_t world = open_world(*state);
	publisher_t publisher;
	start_publisher(&publisher, *state);
	order(&publisher, 'a');
	create_gate(&world, THREADS + 1);
	race_t race = {.gate = world.gate, .started = 1, .now = 1, .settled = 1};
	pthread_t threads[THREADS];
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, judge_all_the_time, &race), 0);
	}
	for (int number = 2; number <= GENERATIONS; number++) {
		atomic_store(&race.started, number);
		order(&publisher, number % 2 == 1 ? 'a' : 'b');
		settle(&race, THREADS, number);
	}
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	}
	assert_int_equal(race.wrong, 0);
	assert_true(race.exact > 0);
	stop_publisher(&publisher);
	close_world(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(names_are_judged),
		IN_SITE(a_store_that_appears_is_used),
		IN_SITE(a_new_generation_is_followed_at_once),
		IN_SITE(a_generation_that_a_seat_still_holds_comes_back),
		IN_SITE(a_rollback_is_followed_at_once),
		IN_SITE(a_truncated_generation_is_refused),
		IN_SITE(a_file_of_something_else_is_refused),
		IN_SITE(another_format_version_is_refused),
		IN_SITE(a_new_range_database_is_followed),
		IN_SITE(a_broken_range_database_is_refused_once),
		IN_SITE(a_hundred_generations_leave_nothing_open),
		IN_SITE(threads_follow_every_generation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! Statistics: what is counted, by threads and by resolvers that come and go. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/unit/stats_help.h"

#include <signal.h>
#include <sys/wait.h>
#include <time.h>

#define THREADS 2
#define READS 60
#define ROUNDS_AT_LEAST 10000
#define DEADLINE 120 /*!< Seconds. */
#define DOMAINS 2000

static void counters_add_up_over_the_seats(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 3);
	for (unsigned seat = 0; seat < 3; seat++) {
		for (enum icp_reason reason = 0; reason < ICP_REASON_COUNT; reason++) {
			for (unsigned i = 0; i <= (unsigned)reason; i++) {
				judge(stats, seat, ICP_PASS, reason, 1);
			}
			judge(stats, seat, ICP_BLOCK, reason, 1);
		}
		for (enum icp_stat stat = 0; stat < ICP_STAT_COUNT; stat++) {
			icp_stats_count(stats, seat, stat, 100 * (uint64_t)stat + seat);
		}
	}
	icp_stats_snapshot_t snapshot = read_stats(*state);
	for (enum icp_reason reason = 0; reason < ICP_REASON_COUNT; reason++) {
		assert_int_equal(snapshot.judged[ICP_PASS][reason], 3 * (reason + 1));
		assert_int_equal(snapshot.judged[ICP_BLOCK][reason], 3);
	}
	for (enum icp_stat stat = 0; stat < ICP_STAT_COUNT; stat++) {
		assert_int_equal(snapshot.counts[stat], 300 * (unsigned)stat + 3);
	}
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void the_head_says_who_counts(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats;
	assert_int_equal(icp_stats_open(&stats, place->dir, ICP_MODE_MONITOR, 5, NOW, &place->diag),
		ICP_EOK);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_true(snapshot.counting);
	assert_int_equal(snapshot.mode, ICP_MODE_MONITOR);
	assert_int_equal(snapshot.seats, 5);
	assert_true(snapshot.started == NOW);
	assert_int_equal(snapshot.generation, 0);
	assert_true(snapshot.since == ICP_TIME_NONE);
	assert_int_equal(snapshot.top.count, 0);
	assert_int_equal(snapshot.left_out, 0);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);

	snapshot = read_stats(place);
	assert_false(snapshot.counting);
	assert_int_equal(snapshot.seats, 5);
	icp_stats_snapshot_deinit(&snapshot);
}

static void each_counter_has_names_of_its_own(void **state)
{
	(void)state;
	for (enum icp_stat one = 0; one < ICP_STAT_COUNT; one++) {
		for (enum icp_stat other = 0; other < one; other++) {
			assert_string_not_equal(icp_stat_key(one), icp_stat_key(other));
			assert_string_not_equal(icp_stat_title(one), icp_stat_title(other));
		}
	}
	assert_string_equal(icp_stat_key(ICP_STAT_SERVED), "served");
	assert_string_equal(icp_stat_key(ICP_STAT_LICENCE), "licence_warnings");
}

static void domains_are_cut_to_what_can_be_registered(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	/* Each name twice on a seat: once looked up, once remembered. */
	for (unsigned i = 0; i < 4; i++) {
		block(stats, i % 2, "www.example.com", 1);
		block(stats, i % 2, "example.com", 1);
		block(stats, i % 2, "a.b.shop.example.com.cn", 1);
		block(stats, i % 2, "somebody.github.io", 1);
		block(stats, i % 2, "com.cn", 1);
	}
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.top.count, 4);
	assert_domain(&snapshot, "example.com", 8);
	assert_domain(&snapshot, "example.com.cn", 4);
	assert_domain(&snapshot, "github.io", 4);
	assert_domain(&snapshot, "com.cn", 4);
	assert_int_equal(snapshot.top.items[0].count, 8);
	assert_int_equal(snapshot.top.bound, 0);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void a_new_generation_begins_a_new_list(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	block(stats, 0, "first.example", 41);
	block(stats, 1, "second.example", 41);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 41);
	assert_true(snapshot.since == NOW + 41);
	assert_int_equal(snapshot.top.count, 2);
	icp_stats_snapshot_deinit(&snapshot);

	/* One seat has seen it; what the other counted is of the past at once. */
	judge(stats, 0, ICP_PASS, ICP_REASON_FILED, 42);
	snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 42);
	assert_true(snapshot.since == NOW + 42);
	assert_int_equal(snapshot.top.count, 0);
	assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 2);
	icp_stats_snapshot_deinit(&snapshot);

	block(stats, 1, "second.example", 42);
	snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 42);
	assert_true(snapshot.since == NOW + 42);
	assert_domain(&snapshot, "second.example", 1);
	assert_int_equal(snapshot.top.count, 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void a_rollback_is_a_new_generation_too(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	block(stats, 0, "first.example", 41);
	block(stats, 0, "second.example", 42);
	block(stats, 0, "third.example", 41);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 41);
	assert_int_equal(snapshot.top.count, 1);
	assert_domain(&snapshot, "third.example", 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

/*! A seat may judge once more by the generation before, after another one has left it. */
static void a_seat_that_lags_behind_does_not_bring_the_past_back(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	judge(stats, 0, ICP_PASS, ICP_REASON_FILED, 42);
	block(stats, 1, "late.example", 41);
	block(stats, 0, "next.example", 42);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 42);
	assert_int_equal(snapshot.top.count, 1);
	assert_domain(&snapshot, "next.example", 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void without_an_index_the_generation_stays(void **state)
{
	icp_stats_t *stats = open_file_stats(*state, 2);
	block(stats, 0, "before.example", 0);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 0);
	assert_domain(&snapshot, "before.example", 1);
	icp_stats_snapshot_deinit(&snapshot);

	block(stats, 0, "first.example", 41);
	block(stats, 0, "first.example", 0);
	block(stats, 1, "first.example", 0);
	snapshot = read_stats(*state);
	assert_int_equal(snapshot.generation, 41);
	assert_int_equal(snapshot.top.count, 1);
	assert_domain(&snapshot, "first.example", 3);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

static void a_restart_begins_at_zero(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = open_file_stats(place, 4);
	for (unsigned seat = 0; seat < 4; seat++) {
		block(stats, seat, "first.example", 41);
	}
	icp_stats_close(stats);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_int_equal(snapshot.judged[ICP_BLOCK][ICP_REASON_UNFILED], 4);
	assert_domain(&snapshot, "first.example", 4);
	icp_stats_snapshot_deinit(&snapshot);

	struct stat before;
	struct stat after;
	assert_int_equal(stat(place->file, &before), 0);
	/* With other threads than before, and then as many again. */
	for (unsigned seats = 2; seats <= 4; seats += 2) {
		assert_int_equal(icp_stats_open(&stats, place->dir, ICP_MODE_ENFORCE, seats,
					 NOW + 100, &place->diag),
			ICP_EOK);
		assert_string_equal(place->diag.text, "");
		snapshot = read_stats(place);
		assert_true(snapshot.started == NOW + 100);
		assert_int_equal(snapshot.seats, seats);
		assert_int_equal(snapshot.generation, 0);
		assert_int_equal(snapshot.judged[ICP_BLOCK][ICP_REASON_UNFILED], 0);
		assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 0);
		assert_int_equal(snapshot.top.count, 0);
		icp_stats_snapshot_deinit(&snapshot);
		icp_stats_close(stats);
		/* Others may have it mapped. */
		assert_int_equal(stat(place->file, &after), 0);
		assert_int_equal(before.st_ino, after.st_ino);
		assert_int_equal(before.st_size, after.st_size);
	}
}

static void a_second_resolver_counts_in_memory(void **state)
{
	place_t *place = *state;
	char expected[512];
	icp_stats_t *first = open_file_stats(place, 1);
	icp_stats_t *second = open_stats(place, 2);
	snprintf(expected, sizeof expected,
		"%s: another resolver counts there; counting in memory only", place->file);
	assert_string_equal(place->diag.text, expected);
	block(first, 0, "first.example", 41);
	block(second, 1, "second.example", 42);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_int_equal(snapshot.seats, 1);
	assert_int_equal(snapshot.generation, 41);
	assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 1);
	assert_int_equal(snapshot.top.count, 1);
	icp_stats_snapshot_deinit(&snapshot);

	/* Its end is nothing to the first one. */
	icp_stats_close(second);
	snapshot = read_stats(place);
	assert_true(snapshot.counting);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(first);
	icp_stats_close(open_file_stats(place, 1));
}

static void a_killed_resolver_leaves_its_counts(void **state)
{
	place_t *place = *state;
	pid_t process = fork();
	if (process == 0) {
		icp_stats_t *stats = NULL;
		icp_name_t name = {.length = 8, .labels = 1, .wire = "\7example"};
		const icp_judgement_t judgement = {
			ICP_BLOCK, ICP_REASON_UNFILED, 0, INT64_MAX, false};
		icp_stats_open(&stats, place->dir, ICP_MODE_ENFORCE, 1, NOW, &place->diag);
		icp_stats_judged(stats, 0, &judgement, 41, NOW);
		icp_stats_blocked(stats, 0, &name);
		raise(SIGKILL);
	}
	int status;
	assert_int_equal(waitpid(process, &status, 0), process);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_false(snapshot.counting);
	assert_int_equal(snapshot.judged[ICP_BLOCK][ICP_REASON_UNFILED], 1);
	assert_domain(&snapshot, "example", 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(open_file_stats(place, 1));
}

/*! Threads that count until they are told to stop, and what they have counted. */
typedef struct {
	icp_stats_t *stats;
	icp_name_t names[DOMAINS];
	atomic_uint seats;
	atomic_uint generation; /*!< 0: stop. */
	uint64_t exact[THREADS][DOMAINS];
	atomic_uint total[THREADS];
} race_t;

/*! The domain of a round: the first ones come often, the others throw each other out. */
static size_t domain_of(unsigned round)
{
	unsigned mixed = round * 2654435761u >> 8;
	return mixed % 4 == 0 ? mixed / 4 % 10 : mixed / 4 % DOMAINS;
}

static void *count_all_the_time(void *context)
{
	race_t *race = context;
	unsigned seat = atomic_fetch_add(&race->seats, 1);
	const icp_judgement_t judgement = {.verdict = ICP_BLOCK, .reason = ICP_REASON_UNFILED};
	unsigned generation;
	for (unsigned round = 0; (generation = atomic_load(&race->generation)) != 0; round++) {
		size_t domain = domain_of(round);
		icp_stats_judged(race->stats, seat, &judgement, generation, NOW);
		icp_stats_count(race->stats, seat, ICP_STAT_BLOCKED, 1);
		icp_stats_blocked(race->stats, seat, &race->names[domain]);
		race->exact[seat][domain]++;
		atomic_fetch_add(&race->total[seat], 1);
	}
	return NULL;
}

static void assert_goes_on(const icp_stats_snapshot_t *before, const icp_stats_snapshot_t *after)
{
	assert_true(after->judged[ICP_BLOCK][ICP_REASON_UNFILED] >=
		    before->judged[ICP_BLOCK][ICP_REASON_UNFILED]);
	assert_true(after->counts[ICP_STAT_BLOCKED] >= before->counts[ICP_STAT_BLOCKED]);
	assert_int_equal(after->left_out, 0);
	assert_true(after->counting);
}

static bool all_counted(race_t *race)
{
	for (unsigned i = 0; i < THREADS; i++) {
		if (atomic_load(&race->total[i]) < ROUNDS_AT_LEAST) {
			return false;
		}
	}
	return true;
}

/*! Reads while two threads count; each so many reads the generation changes. */
static race_t *race(place_t *place, unsigned reads_of_a_generation)
{
	race_t *race = calloc(1, sizeof *race);
	pthread_t threads[THREADS];
	icp_stats_snapshot_t before = {.counting = false};
	assert_non_null(race);
	race->stats = open_file_stats(place, THREADS);
	for (unsigned i = 0; i < DOMAINS; i++) {
		char text[64];
		snprintf(text, sizeof text, "a-long-name-of-a-domain-%u.example", i);
		race->names[i] = name_of(text);
	}
	atomic_init(&race->generation, 1);
	for (unsigned i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_create(&threads[i], NULL, count_all_the_time, race), 0);
	}
	time_t deadline = time(NULL) + DEADLINE;
	bool one_generation = reads_of_a_generation == UINT32_MAX;
	for (unsigned reads = 0;
		reads < READS || !all_counted(race) || (before.generation < 2 && !one_generation);
		reads++) {
		icp_stats_snapshot_t snapshot = read_stats(place);
		assert_goes_on(&before, &snapshot);
		icp_stats_snapshot_deinit(&before);
		before = snapshot;
		atomic_store(&race->generation, 1 + reads / reads_of_a_generation);
		assert_true(time(NULL) < deadline);
	}
	atomic_store(&race->generation, 0);
	for (unsigned i = 0; i < THREADS; i++) {
		pthread_join(threads[i], NULL);
	}
	icp_stats_snapshot_deinit(&before);
	return race;
}

static void assert_totals(race_t *race, const icp_stats_snapshot_t *snapshot)
{
	uint64_t total = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		total += atomic_load(&race->total[i]);
	}
	assert_true(snapshot->judged[ICP_BLOCK][ICP_REASON_UNFILED] == total);
	assert_true(snapshot->counts[ICP_STAT_BLOCKED] == total);
}

static void threads_count_while_somebody_reads(void **state)
{
	race_t *ended = race(*state, UINT32_MAX);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_totals(ended, &snapshot);
	for (size_t domain = 0; domain < DOMAINS; domain++) {
		const icp_name_t *name = &ended->names[domain];
		uint64_t exact = 0;
		for (unsigned i = 0; i < THREADS; i++) {
			exact += ended->exact[i][domain];
		}
		const icp_top_entry_t *entry = find_name(&snapshot, name);
		assert_true(exact <= (entry != NULL ? entry->count : snapshot.top.bound));
		assert_true(entry == NULL || exact >= entry->count - entry->error);
		assert_true(entry != NULL || domain >= 10);
	}
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(ended->stats);
	free(ended);
}

static void generations_change_while_somebody_reads(void **state)
{
	race_t *ended = race(*state, 3);
	icp_stats_snapshot_t snapshot = read_stats(*state);
	assert_totals(ended, &snapshot);
	assert_true(snapshot.generation > 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(ended->stats);
	free(ended);
}

static void so_many_threads_are_refused(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = NULL;
	assert_int_equal(icp_stats_open(&stats, place->dir, ICP_MODE_ENFORCE,
				 ICP_STATS_SEATS_MAX + 1, NOW, &place->diag),
		ICP_EINVAL);
	assert_string_equal(place->diag.text, "1025 threads can't be counted; 1 to 1024 can");
	assert_int_equal(icp_stats_open(&stats, place->dir, ICP_MODE_ENFORCE, 0, NOW, &place->diag),
		ICP_EINVAL);
	assert_null(stats);
	assert_int_not_equal(access(place->file, F_OK), 0);
	icp_stats_close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(counters_add_up_over_the_seats),
		IN_PLACE(the_head_says_who_counts),
		cmocka_unit_test(each_counter_has_names_of_its_own),
		IN_PLACE(domains_are_cut_to_what_can_be_registered),
		IN_PLACE(a_new_generation_begins_a_new_list),
		IN_PLACE(a_rollback_is_a_new_generation_too),
		IN_PLACE(a_seat_that_lags_behind_does_not_bring_the_past_back),
		IN_PLACE(without_an_index_the_generation_stays),
		IN_PLACE(a_restart_begins_at_zero),
		IN_PLACE(a_second_resolver_counts_in_memory),
		IN_PLACE(a_killed_resolver_leaves_its_counts),
		IN_PLACE(threads_count_while_somebody_reads),
		IN_PLACE(generations_change_while_somebody_reads),
		IN_PLACE(so_many_threads_are_refused),
	};
	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}

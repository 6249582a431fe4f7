/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_help.h"

#include <signal.h>
#include <sys/resource.h>

/*! What the callback of a recovery was asked, and answers. */
typedef struct {
	int answer;
	unsigned asked;
	uint64_t generation;
	uint64_t commit;
} commits_t;

static int was_committed(uint64_t generation, uint64_t commit, void *context)
{
	commits_t *commits = context;
	commits->asked++;
	commits->generation = generation;
	commits->commit = commit;
	return commits->answer;
}

/*! The states that an interrupted load can leave: with a day's file before it, and without. */
typedef struct {
	file_t before;  /*!< The day's file. */
	file_t after;   /*!< Likewise, with the batch. */
	file_t pending; /*!< Prepared. */
	icp_generations_t generations;
} states_t;

static void make_states(site_t *site, states_t *states, bool first)
{
	states->generations = open_store(site);
	if (!first) {
		log_at(site, &states->generations, NOW, "a.cn p filed 1\n");
	}
	keep(site, DAY, &states->before);
	icp_audit_t *audit = begin_at(site, &states->generations, NOW, "b.cn p filed 1\n");
	assert_int_equal(icp_audit_prepare(audit, 3), ICP_EOK);
	keep(site, PENDING, &states->pending);
	assert_int_equal(icp_audit_commit(audit), ICP_EOK);
	keep(site, DAY, &states->after);
	assert_true(states->pending.length > 80 && states->after.length > 80);
}

static void put_file(const site_t *site, const char *name, const uint8_t *octets, size_t length)
{
	if (length == SIZE_MAX) {
		unlink(in_dir(site, name));
	} else {
		write_octets(in_dir(site, name), octets, length);
	}
}

/*! Recovers from a pending file, and a day's file of this much. Returns what the recovery does. */
static int recover_from(site_t *site, const states_t *states, const file_t *pending,
	size_t day_length, commits_t *commits)
{
	put_file(site, PENDING, pending->octets, pending->length);
	put_file(site, DAY, states->after.octets, day_length);
	last_notice[0] = '\0';
	commits->asked = 0;
	return icp_audit_recover(
		&states->generations, was_committed, commits, keep_notice, &site->diag);
}

static void recovery_ends_what_was_begun(site_t *site, bool first)
{
	states_t states;
	make_states(site, &states, first);
	size_t least = first ? 0 : states.before.length;

	/* Appended not at all, in part, and whole, but pending is still there. */
	for (size_t length = least; length <= states.after.length; length++) {
		commits_t commits = {.answer = 1};
		assert_int_equal(
			recover_from(site, &states, &states.pending, length, &commits), ICP_EOK);
		assert_int_equal(commits.asked, 1);
		assert_int_equal(commits.generation, 7);
		assert_int_equal(commits.commit, 3);
		assert_same(site, DAY, &states.after);
		assert_false(is_there(site, PENDING));
		assert_string_equal(last_notice, "");
	}
	/* More than the batch stands there. */
	states_t longer = states;
	memset(longer.after.octets + longer.after.length, 'x', 10);
	commits_t yes = {.answer = 1};
	assert_int_equal(
		recover_from(site, &longer, &states.pending, states.after.length + 10, &yes),
		ICP_EOK);
	assert_same(site, DAY, &states.after);
	/* The day's file was not made yet, or its entry was lost with the power. */
	commits_t commits = {.answer = 1};
	if (first) {
		assert_int_equal(
			recover_from(site, &states, &states.pending, SIZE_MAX, &commits), ICP_EOK);
		assert_same(site, DAY, &states.after);
	}
	/* Not committed. */
	commits.answer = 0;
	assert_int_equal(recover_from(site, &states, &states.pending, least, &commits), ICP_EOK);
	assert_same(site, DAY, &states.before);
	assert_false(is_there(site, PENDING));
	/* Nothing to recover. */
	assert_int_equal(icp_audit_recover(&states.generations, was_committed, &commits,
				 keep_notice, &site->diag),
		ICP_EOK);
	assert_int_equal(commits.asked, 1);
	icp_generations_close(&states.generations);
}

static void recovery_of_the_first_batch_of_a_day(void **state)
{
	recovery_ends_what_was_begun(*state, true);
}

static void recovery_of_another_batch(void **state)
{
	recovery_ends_what_was_begun(*state, false);
}

/*! Cut short or changed in any octet, it was not prepared: unless the store says otherwise. */
static void recovery_from_a_damaged_batch(void **state)
{
	site_t *site = *state;
	states_t states;
	make_states(site, &states, false);
	for (size_t at = 0; at < 2 * states.pending.length; at++) {
		file_t damaged = states.pending;
		if (at < damaged.length) {
			damaged.length = at;
		} else {
			damaged.octets[at - damaged.length] ^= 1;
		}
		bool head = at % states.pending.length < 80;
		commits_t commits = {.answer = 0};
		assert_int_equal(
			recover_from(site, &states, &damaged, states.before.length, &commits),
			ICP_EOK);
		assert_int_equal(commits.asked, head ? 0 : 1);
		assert_same(site, DAY, &states.before);
		assert_false(is_there(site, PENDING));
		assert_string_equal(last_notice, "");

		commits.answer = 1;
		assert_int_equal(
			recover_from(site, &states, &damaged, states.before.length, &commits),
			ICP_EOK);
		assert_same(site, DAY, &states.before);
		assert_false(is_there(site, PENDING));
		assert_int_equal(last_notice[0] != '\0', !head);
		assert_int_equal(is_there(site, PENDING ".damaged.1"), !head);
		unlink(in_dir(site, PENDING ".damaged.1"));
	}
	icp_generations_close(&states.generations);
}

static void recovery_waits_for_an_answer(void **state)
{
	site_t *site = *state;
	states_t states;
	make_states(site, &states, false);
	commits_t commits = {.answer = ICP_EDAMAGED};
	assert_int_equal(
		recover_from(site, &states, &states.pending, states.before.length, &commits),
		ICP_EDAMAGED);
	assert_same(site, DAY, &states.before);
	assert_same(site, PENDING, &states.pending);
	/* And nothing is written over it. */
	icp_audit_t *audit = begin_at(site, &states.generations, NOW, "");
	sample_row_t sample;
	sample_row(&sample, "c.cn p filed 1");
	assert_int_equal(icp_audit_add(NULL, &sample.row, audit), ICP_ESYS);
	assert_says(site, PENDING, ": File exists");
	icp_audit_cancel(audit);
	assert_same(site, PENDING, &states.pending);
	icp_generations_close(&states.generations);
}

static void a_day_s_file_that_was_taken_away(void **state)
{
	site_t *site = *state;
	states_t states;
	make_states(site, &states, false);
	commits_t commits = {.answer = 1};
	assert_int_equal(recover_from(site, &states, &states.pending, SIZE_MAX, &commits), ICP_EOK);
	assert_string_equal(text_of(site, DAY), T ",b.cn,p,none,filed,7,42,f.csv\n");
	icp_generations_close(&states.generations);
}

/*! A limit on the size of files fails as a full disk does: with the octets that still fit. */
static void a_full_disk_changes_nothing(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	file_t before;
	log_at(site, &generations, NOW, "a.cn p filed 1\n");
	keep(site, DAY, &before);

	struct rlimit usual;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	icp_audit_t *audit = begin_at(site, &generations, NOW, "b.cn p filed 1\n");
	const struct rlimit little = {100, usual.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	int ret = icp_audit_prepare(audit, 3);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
	signal(SIGXFSZ, handler);

	assert_int_equal(ret, ICP_ESYS);
	assert_says(site, PENDING, ": File too large");
	icp_audit_cancel(audit);
	assert_false(is_there(site, PENDING));
	assert_same(site, DAY, &before);
	icp_generations_close(&generations);
}

/*! What could not be appended stays, and the next load appends it. */
static void appending_that_fails_is_made_up_for(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	icp_audit_t *audit = begin_at(site, &generations, NOW, "b.cn p filed 1\n");
	assert_int_equal(icp_audit_prepare(audit, 3), ICP_EOK);
	struct rlimit usual;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &usual), 0);
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	const struct rlimit little = {20, usual.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	int ret = icp_audit_commit(audit);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &usual), 0);
	signal(SIGXFSZ, handler);

	assert_int_equal(ret, ICP_ESYS);
	assert_says(site, DAY, ": File too large");
	assert_true(is_there(site, PENDING));
	struct stat st;
	assert_int_equal(stat(in_dir(site, DAY), &st), 0);
	assert_int_equal(st.st_size, 0);
	commits_t commits = {.answer = 1};
	assert_int_equal(
		icp_audit_recover(&generations, was_committed, &commits, keep_notice, &site->diag),
		ICP_EOK);
	assert_string_equal(
		text_of(site, DAY), ICP_AUDIT_HEADER T ",b.cn,p,none,filed,7,42,f.csv\n");
	icp_generations_close(&generations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(recovery_of_the_first_batch_of_a_day),
		IN_SITE(recovery_of_another_batch),
		IN_SITE(recovery_from_a_damaged_batch),
		IN_SITE(recovery_waits_for_an_answer),
		IN_SITE(a_day_s_file_that_was_taken_away),
		IN_SITE(a_full_disk_changes_nothing),
		IN_SITE(appending_that_fails_is_made_up_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

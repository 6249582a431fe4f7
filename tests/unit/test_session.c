/* SPDX-License-Identifier: BSD-3-Clause */
/* What a loader finds that another one left behind, and what it makes of it. */
#include "delta_help.h"

#include <sys/stat.h>

#define ONE "one.cn p filed 1\n"
#define TWO "two.cn p filed 2\n"
#define THREE "three.cn p filed 3\n"

static void point_at(const site_t *site, unsigned number)
{
	char target[64];
	char link[512];
	snprintf(link, sizeof link, "%s/current", site->store);
	assert_int_equal(unlink(link), 0);
	snprintf(target, sizeof target, "generations/%010u.mdb", number);
	assert_int_equal(symlink(target, link), 0);
}

/*! Takes back the word in a generation: as if its loader had not come that far. */
static void take_word_back(const site_t *site, unsigned number)
{
	icp_update_t *update;
	const char *path = generation_path(site, number);
	assert_int_equal(icp_update_open(&update, path, true, NULL), ICP_EOK);
	assert_int_equal(icp_update_supersede(update, 0, NULL), ICP_EOK);
	icp_update_close(update);
}

static icp_session_t open_session(site_t *site)
{
	icp_session_t session;
	const icp_session_options_t options = site_options(site);
	int ret = icp_session_open(&session, &options, &site->diag);
	assert_string_equal(site->diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	return session;
}

/*! Opens a session and ends it. */
static void visit(site_t *site)
{
	icp_session_t session = open_session(site);
	icp_session_close(&session);
}

/*! Loads rows; the number of the generation that the new one replaced. */
static uint64_t replaced_by(site_t *site, const char *rows)
{
	load_rows(site, rows);
	return assert_holds(site, rows).replaced;
}

/*! Its loader ended after the renames, before the link. */
static void test_half_promoted(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, TWO);
	point_at(site, 1);
	visit(site);
	assert_false(has_generation(site, 2));
	assert_holds(site, ONE);
	load_rows(site, THREE);
	icp_rollback_result_t result;
	assert_int_equal(roll_back(site, &result), ICP_EOK);
	assert_holds(site, ONE);
}

static void test_half_promoted_beside_damage(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, TWO);
	load_rows(site, THREE);
	take_word_back(site, 2);
	point_at(site, 2);
	assert_int_equal(truncate(generation_path(site, 2), 0), 0);
	visit(site);
	assert_false(has_generation(site, 3));
	assert_int_equal(replaced_by(site, THREE), 1);
}

/*! There was nothing before it that it could be told from. */
static void test_first_one_half_promoted(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	assert_int_equal(unlink(in_dir(site, "store/current")), 0);
	assert_int_equal(replaced_by(site, TWO), 0);
	assert_false(has_generation(site, 1));
	icp_rollback_result_t result;
	assert_int_equal(roll_back(site, &result), ICP_ENOSTORE);
}

static void test_rolled_back_from(void **state)
{
	site_t *site = *state;
	icp_rollback_result_t result;
	load_rows(site, ONE);
	load_rows(site, TWO);
	assert_int_equal(roll_back(site, &result), ICP_EOK);
	visit(site);
	assert_true(has_generation(site, 2));
	/* Nor is its number used again. */
	load_rows(site, THREE);
	assert_int_equal(assert_holds(site, THREE).generation, 3);
}

static void test_replaced(void **state)
{
	site_t *site = *state;
	assert_int_equal(replaced_by(site, ONE), 0);
	assert_int_equal(replaced_by(site, TWO), 1);
	/* What is damaged is no base, and nobody is led back to it. */
	assert_int_equal(truncate(generation_path(site, 2), 100), 0);
	assert_int_equal(replaced_by(site, THREE), 1);
	assert_non_null(strstr(last_notice, "the feed is not compared with it"));
	assert_int_equal(truncate(generation_path(site, 3), 100), 0);
	assert_int_equal(truncate(generation_path(site, 1), 100), 0);
	assert_int_equal(replaced_by(site, ONE), 0);
}

/*! Prepares a batch for a change and ends there. */
static void leave_batch(site_t *site, uint64_t generation, uint64_t commit)
{
	icp_audit_t *audit;
	sample_row_t sample;
	icp_session_t session = open_session(site);
	const icp_store_info_t after = {.generation = generation, .sequence = 5, .source = "x"};
	assert_int_equal(icp_session_audit(&session, &audit, &after, &site->diag), ICP_EOK);
	sample_row(&sample, "b.cn p filed 1");
	assert_int_equal(icp_audit_add(NULL, &sample.row, audit), ICP_EOK);
	assert_int_equal(icp_audit_prepare(audit, commit), ICP_EOK);
	/* What cancel would remove is put back: the next session finds it. */
	const char *pending = in_dir(site, "store/audit/pending");
	const char *kept = in_dir(site, "kept");
	unlink(kept);
	assert_int_equal(link(pending, kept), 0);
	icp_audit_cancel(audit);
	assert_int_equal(link(kept, pending), 0);
	icp_session_close(&session);
}

static off_t log_size(const site_t *site)
{
	struct stat st;
	assert_int_equal(stat(in_dir(site, "store/audit/2026-11-24.csv.zst"), &st), 0);
	return st.st_size;
}

static void test_batches(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	apply_text(site, "+ " TWO);
	uint64_t commit = assert_holds(site, NULL).commit;
	const struct {
		uint64_t generation;
		uint64_t commit;
		bool committed;
	} batches[] = {
		{1, commit, true},
		{1, commit - 1, true},
		{1, commit + 1, false},
		{2, commit, false},
		{1, ICP_AUDIT_LINK, true},
		{2, ICP_AUDIT_LINK, false},
	};
	for (size_t i = 0; i < COUNT(batches); i++) {
		off_t before = log_size(site);
		leave_batch(site, batches[i].generation, batches[i].commit);
		visit(site);
		assert_int_equal(log_size(site) > before, batches[i].committed);
		assert_int_not_equal(access(in_dir(site, "store/audit/pending"), F_OK), 0);
	}
}

/*! In one session, too: the next change waits for the batch of the one before. */
static void test_batch_before(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	uint64_t commit = assert_holds(site, NULL).commit;
	off_t before = log_size(site);
	leave_batch(site, 1, commit);
	icp_audit_t *audit;
	icp_session_t session = open_session(site);
	off_t after = log_size(site);
	assert_true(after > before);
	assert_int_equal(link(in_dir(site, "kept"), in_dir(site, "store/audit/pending")), 0);
	const icp_store_info_t info = {.generation = 1, .sequence = 5, .source = "x"};
	assert_int_equal(icp_session_audit(&session, &audit, &info, &site->diag), ICP_EOK);
	icp_audit_cancel(audit);
	icp_session_close(&session);
	/* Its head said where, so it is there once. */
	assert_int_equal(log_size(site), after);
	assert_int_not_equal(access(in_dir(site, "store/audit/pending"), F_OK), 0);
}

/*! That it is damaged now does not mean that it never became current. */
static void test_batch_of_a_damaged_generation(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	off_t before = log_size(site);
	leave_batch(site, 1, ICP_AUDIT_LINK);
	assert_int_equal(truncate(generation_path(site, 1), 100), 0);
	visit(site);
	assert_true(log_size(site) > before);
}

/*! What lies ahead of the clock would not age until then. */
static void test_time_of_the_data(void **state)
{
	static const struct {
		int64_t as_of;
		int64_t taken;
		bool told;
	} cases[] = {
		{ICP_TIME_NONE, ICP_TIME_NONE, false},
		{NOW - 1, NOW - 1, false},
		{NOW, NOW, false},
		{NOW + 1, NOW + 1, false},
		{NOW + INT64_C(86400), NOW + INT64_C(86400), false},
		{NOW + INT64_C(86401), NOW, true},
	};
	icp_session_t session = open_session(*state);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		last_notice[0] = '\0';
		int64_t taken = icp_session_as_of(&session, cases[i].as_of, "f.csv");
		assert_true(taken == cases[i].taken);
		assert_string_equal(
			last_notice, cases[i].told ? "f.csv: as_of 2026-11-25T00:00:01+08:00"
						     " is over a day ahead of the clock;"
						     " the age of the data counts from this load"
						   : "");
	}
	icp_session_close(&session);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_half_promoted),
		IN_SITE(test_half_promoted_beside_damage),
		IN_SITE(test_first_one_half_promoted),
		IN_SITE(test_rolled_back_from),
		IN_SITE(test_replaced),
		IN_SITE(test_batches),
		IN_SITE(test_batch_before),
		IN_SITE(test_batch_of_a_damaged_generation),
		IN_SITE(test_time_of_the_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

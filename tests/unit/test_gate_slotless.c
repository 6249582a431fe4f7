/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Gates that judge names alone, and read the store without a slot: while others commit, where
 * nothing can be written, and when the file loses its pages.
 */
#include "tests/unit/gate_help.h"

#include <signal.h>
#include <sys/stat.h>

#include "tests/unit/delta_help.h"

#define PAGE 4096
#define COMMITS 400

static void create_slotless(world_t *world)
{
	icp_diag_t diag = {""};
	icp_gate_create_for_names(&world->gate, &world->config, 1, keep_line, &diag);
	assert_string_equal(diag.text, "");
}

static enum icp_reason judge_name(world_t *world, const char *text, int64_t now)
{
	icp_name_t name;
	icp_decision_t decision;
	icp_place_t place = icp_policy_place(&world->config.policy);
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	assert_int_equal(
		icp_gate_judge_places(world->gate, 0, &name, &place, 1, now, &decision), ICP_EOK);
	enum icp_reason reason = decision.judgement.reason;
	assert_true((decision.info != NULL) == (reason != ICP_REASON_NO_INDEX));
	icp_gate_release(world->gate, 0);
	return reason;
}

static void a_commit_voids_what_was_read(void **state)
{
	icp_store_t *store;
	icp_reader_t reader;
	publish(*state, ROW("filed.example") ROW("turn.example"));
	assert_int_equal(icp_store_open_slotless(&store, ((site_t *)*state)->store, NULL), ICP_EOK);
	assert_int_equal(icp_reader_init(&reader, store, NULL), ICP_EOK);
	icp_store_unref(store);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	assert_int_equal(find_rows(&reader, "turn.example")->count, 1);
	assert_true(icp_reader_holds(&reader));
	wait_for(begin_commits(*state, 1));
	assert_false(icp_reader_holds(&reader));
	icp_reader_end(&reader);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	assert_int_equal(find_rows(&reader, "turn.example")->count, 0);
	assert_true(icp_reader_holds(&reader));
	close_current(&reader);
}

static void with_a_slot_all_holds(void **state)
{
	publish(*state, ROW("turn.example"));
	icp_reader_t reader = open_current(*state);
	wait_for(begin_commits(*state, 3));
	assert_int_equal(find_rows(&reader, "turn.example")->count, 1);
	assert_true(icp_reader_holds(&reader));
	close_current(&reader);
}

static void names_are_judged_while_others_commit(void **state)
{
	load_fillers(*state);
	world_t world = open_world(*state);
	create_slotless(&world);
	unsigned turns[2] = {0, 0};
	int status = 0;
	pid_t writer = begin_commits(*state, COMMITS);
	do {
		assert_int_equal(judge_name(&world, "www.filed.example", 1), ICP_REASON_FILED);
		enum icp_reason reason = judge_name(&world, "turn.example", 1);
		assert_true(reason == ICP_REASON_FILED || reason == ICP_REASON_UNFILED);
		turns[reason == ICP_REASON_FILED]++;
	} while (waitpid(writer, &status, WNOHANG) == 0);
	assert_int_equal(status, 0);
	assert_int_equal(line_count, 0);
	assert_true(turns[0] > 0 && turns[1] > 0);
	assert_int_equal(judge_name(&world, "turn.example", 1), ICP_REASON_FILED);
	close_world(&world);
}

static void rows_are_copied_and_then_asked_about(void **state)
{
	icp_name_t name;
	icp_decision_t decision;
	publish(*state, ROW("turn.example"));
	world_t world = open_world(*state);
	create_slotless(&world);
	icp_place_t place = icp_policy_place(&world.config.policy);
	assert_int_equal(icp_name_parse(&name, "turn.example", 12, NULL), ICP_EOK);
	icp_gate_judge_places(world.gate, 0, &name, &place, 1, 1, &decision);
	assert_int_equal(decision.row_count, 1);
	assert_int_equal(decision.info->generation, 1);
	assert_true(icp_gate_holds(world.gate, 0));
	wait_for(begin_commits(*state, 1));
	assert_false(icp_gate_holds(world.gate, 0));
	icp_gate_judge_places(world.gate, 0, &name, &place, 1, 1, &decision);
	assert_int_equal(decision.row_count, 0);
	assert_true(icp_gate_holds(world.gate, 0));
	icp_gate_release(world.gate, 0);
	close_world(&world);
}

/*! Neither the range database nor a lock file is there, and none is made. */
static void nothing_but_the_generation_is_needed(void **state)
{
	char lock[512];
	struct stat st;
	site_t *site = *state;
	publish(site, ROW("filed.example"));
	world_t world = open_world(site);
	snprintf(lock, sizeof lock, "%s/" GENERATION_1 "-lock", site->store);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(unlink(in_dir(site, "r.mmdb")), 0);
	create_slotless(&world);
	assert_int_equal(judge_name(&world, "filed.example", 1), ICP_REASON_FILED);
	assert_int_equal(judge_name(&world, "other.example", 1), ICP_REASON_UNFILED);
	/* No address has a place. */
	assert_int_equal(judge(world.gate, 0, "other.example", GATED, 1), ICP_REASON_NOT_GATED);
	assert_int_equal(stat(lock, &st), -1);
	close_world(&world);
}

static void other_generations_are_followed(void **state)
{
	world_t world = open_world(*state);
	create_slotless(&world);
	assert_int_equal(judge_name(&world, "old.example", 1), ICP_REASON_NO_INDEX);
	publish(*state, ROW("old.example"));
	assert_int_equal(judge_name(&world, "old.example", 2), ICP_REASON_FILED);
	publish(*state, ROW("new.example"));
	/* Word of it is in the old one. */
	assert_int_equal(judge_name(&world, "new.example", 2), ICP_REASON_FILED);
	link_to(*state, GENERATION_1);
	assert_int_equal(judge_name(&world, "old.example", 3), ICP_REASON_FILED);
	assert_int_equal(judge_name(&world, "new.example", 3), ICP_REASON_UNFILED);
	close_world(&world);
}

static void lose_pages(site_t *site, off_t left)
{
	char path[512];
	world_t world = open_world(site);
	create_slotless(&world);
	assert_int_equal(judge_name(&world, "filed.example", 1), ICP_REASON_FILED);
	snprintf(path, sizeof path, "%s/" GENERATION_1, site->store);
	assert_int_equal(truncate(path, left), 0);
	for (unsigned i = 0; i < 3; i++) {
		enum icp_reason reason = judge_name(&world, "filed.example", 1);
		assert_true(
			reason == ICP_REASON_NO_INDEX || (reason == ICP_REASON_FILED && left > 0));
	}
	assert_true(line_count <= 1 && (line_count == 1 || left > 0));
	publish(site, ROW("new.example"));
	assert_int_equal(judge_name(&world, "new.example", 2), ICP_REASON_FILED);
	close_world(&world);
}

static void pages_that_are_lost_are_no_index(void **state)
{
	site_t *site = *state;
	for (off_t left = 0; left <= 4 * (off_t)PAGE; left += PAGE) {
		publish(site, ROW("filed.example"));
		lose_pages(site, left);
		assert_int_equal(nftw(site->store, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(a_commit_voids_what_was_read),
		IN_SITE(with_a_slot_all_holds),
		IN_SITE(names_are_judged_while_others_commit),
		IN_SITE(rows_are_copied_and_then_asked_about),
		IN_SITE(nothing_but_the_generation_is_needed),
		IN_SITE(other_generations_are_followed),
		IN_SITE(pages_that_are_lost_are_no_index),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

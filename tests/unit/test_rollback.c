/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta_help.h"

#define ONE "one.cn p filed 1\n"
#define TWO "two.cn p filed 2\n"
#define THREE "three.cn p filed 3\n"
#define FOUR "four.cn p filed 4\n"

static icp_rollback_result_t assert_back(site_t *site, unsigned number, const char *rows)
{
	icp_rollback_result_t result;
	int ret = roll_back(site, &result);
	assert_string_equal(site->diag.text, "");
	assert_int_equal(ret, ICP_EOK);
	assert_int_equal(result.info.generation, number);
	assert_int_equal(assert_holds(site, rows).generation, number);
	return result;
}

static void assert_no_way_back(site_t *site, int code, const char *why)
{
	icp_rollback_result_t result;
	icp_reader_t reader = open_current(site);
	icp_store_info_t before = reader.info;
	close_current(&reader);
	assert_int_equal(roll_back(site, &result), code);
	assert_non_null(strstr(site->diag.text, why));
	icp_store_info_t after = assert_holds(site, NULL);
	assert_int_equal(after.generation, before.generation);
	assert_int_equal(after.commit, before.commit);
}

static void test_back_to_the_one_before(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, ONE TWO THREE);
	icp_rollback_result_t result = assert_back(site, 1, ONE);
	assert_int_equal(result.from, 2);
	assert_int_equal(result.gained, 0);
	assert_int_equal(result.lost, 2);
	assert_no_way_back(site, ICP_ENOSTORE, "no generation is kept that was current before 1");
}

static void test_deltas_stay_where_they_are(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	apply_text(site, "+ " TWO);
	load_rows(site, ONE);
	apply_text(site, "+ " THREE "- one.cn p\n");
	icp_rollback_result_t result = assert_back(site, 1, ONE TWO);
	assert_int_equal(result.from_sequence, 2);
	assert_int_equal(result.info.sequence, 1);
	assert_int_equal(result.gained, 2);
	assert_int_equal(result.lost, 1);
	/* The next delta is the one after its own. */
	apply_text(site, "+ " FOUR);
	assert_int_equal(assert_holds(site, FOUR ONE TWO).sequence, 2);
}

static void test_back_and_forth(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, TWO);
	load_rows(site, THREE);
	assert_back(site, 2, TWO);
	assert_true(has_generation(site, 3));
	/* The new one takes the place of 2; nobody comes back to 3. */
	load_rows(site, FOUR);
	assert_false(has_generation(site, 3));
	assert_back(site, 2, TWO);
	assert_back(site, 1, ONE);
	assert_no_way_back(site, ICP_ENOSTORE, "no generation is kept that was current before 1");
}

/*! Readers that hold one of them see where to look. */
static void test_word_is_left(void **state)
{
	site_t *site = *state;
	static const uint64_t wanted[][2] = {{2, 0}, {0, 1}};
	load_rows(site, ONE);
	load_rows(site, TWO);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned number = 1; number <= 2; number++) {
			icp_reader_t reader;
			assert_int_equal(
				icp_reader_open(&reader, generation_path(site, number), NULL),
				ICP_EOK);
			assert_int_equal(reader.info.superseded, wanted[round][number - 1]);
			icp_reader_close(&reader);
		}
		if (round == 0) {
			assert_back(site, 1, ONE);
		}
	}
}

static void test_what_was_removed(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, TWO);
	assert_int_equal(unlink(generation_path(site, 1)), 0);
	assert_no_way_back(site, ICP_ENOSTORE, "0000000001.mdb");
}

static void test_a_damaged_target(void **state)
{
	site_t *site = *state;
	load_rows(site, "one.cn victim filed 1\n");
	load_rows(site, TWO);
	damage(site, 1, "victim");
	assert_no_way_back(site, ICP_EDAMAGED, "is damaged");
}

static void test_away_from_damage(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, "one.cn victim filed 1\n" ONE);
	damage(site, 2, "victim");
	icp_rollback_result_t result = assert_back(site, 1, ONE);
	assert_non_null(strstr(last_notice, "is damaged"));
	assert_int_equal(result.from, 2);
}

/*! It can't say what it replaced. */
static void test_away_from_what_cant_be_read(void **state)
{
	site_t *site = *state;
	load_rows(site, ONE);
	load_rows(site, ONE TWO);
	load_rows(site, THREE);
	assert_int_equal(truncate(generation_path(site, 3), 4096), 0);
	icp_rollback_result_t result = assert_back(site, 2, ONE TWO);
	assert_int_equal(result.from, 3);
}

static void test_an_empty_store(void **state)
{
	site_t *site = *state;
	icp_rollback_result_t result;
	assert_int_equal(roll_back(site, &result), ICP_ENOSTORE);
	assert_says(site, "store", ": no current generation");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_back_to_the_one_before),
		IN_SITE(test_deltas_stay_where_they_are),
		IN_SITE(test_back_and_forth),
		IN_SITE(test_word_is_left),
		IN_SITE(test_what_was_removed),
		IN_SITE(test_a_damaged_target),
		IN_SITE(test_away_from_damage),
		IN_SITE(test_away_from_what_cant_be_read),
		IN_SITE(test_an_empty_store),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

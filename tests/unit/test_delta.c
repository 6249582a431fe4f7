/* SPDX-License-Identifier: BSD-3-Clause */
#include "delta_help.h"

/*! What a delta makes of a store. */
typedef struct {
	const char *name;
	const char *before;
	const char *changes;
	const char *after; /*!< Sorted as text. */
	uint64_t pairs;    /*!< That differ. */
	bool unlike_fresh; /*!< Nodes stay, or their marks, that a full feed would not make. */
} case_t;

#define A "a.cn p filed " E "-1\n"
#define B "b.cn p filed " E "-2\n"
#define DEEP "x.y.a.cn p filed " E "-3\n"

static const case_t cases[] = {
	{"nothing", A, "", A, 0, false},
	{"upsert, new domain", A, "+ " B, A B, 1, false},
	{"upsert into an empty store", "", "+ " A, A, 1, false},
	{"upsert, new provider", A, "+ a.cn o filed 1\n", "a.cn o filed 1\n" A, 1, false},
	{"upsert, changed", A, "+ a.cn p pending\n", "a.cn p pending\n", 1, false},
	{"upsert, longer", A B, "+ a.cn p filed 12345678901234567890123456789012345678901234567\n",
		"a.cn p filed 12345678901234567890123456789012345678901234567\n" B, 1, false},
	{"upsert, the same", A B, "+ " A, A B, 0, false},
	{"upsert twice, the last one holds", A, "+ a.cn p pending\n+ a.cn p changing 7\n",
		"a.cn p changing 7\n", 1, false},
	{"upsert there and back", A, "+ a.cn p pending\n+ " A, A, 0, false},
	{"upsert under names that are not there", B, "+ " DEEP, B DEEP, 1, false},
	{"upsert under a name that is", A, "+ " DEEP, A DEEP, 1, false},
	{"upsert between a name and what is below it", DEEP, "+ y.a.cn p pending\n+ " A,
		A DEEP "y.a.cn p pending\n", 2, false},
	{"delete", A B, "- a.cn p\n", B, 1, false},
	{"delete the last row of all", A, "- a.cn p\n", "", 1, false},
	{"delete, no such provider", A B, "- a.cn q\n", A B, 0, false},
	{"delete, no such domain", A B, "- c.cn p\n- x.a.cn p\n", A B, 0, false},
	{"delete one of two providers", A "a.cn q pending\n", "- a.cn p\n", "a.cn q pending\n", 1,
		false},
	{"delete, names below stay", A DEEP, "- a.cn p\n", DEEP, 1, false},
	{"delete, names above stay", A DEEP, "- x.y.a.cn p\n", A, 1, true},
	{"delete, names above hold nothing", B DEEP, "- x.y.a.cn p\n", B, 1, true},
	{"delete, then upsert", A, "- a.cn p\n+ " A, A, 0, false},
	{"delete, then upsert another", A, "- a.cn p\n+ a.cn p pending\n", "a.cn p pending\n", 1,
		false},
	{"upsert, then delete", A, "+ " B "- b.cn p\n", A, 0, false},
	{"upsert below, then delete", A, "+ " DEEP "- x.y.a.cn p\n", A, 0, true},
	{"delete all, then upsert below", A DEEP, "- a.cn p\n- x.y.a.cn p\n+ z.a.cn p pending\n",
		"z.a.cn p pending\n", 3, true},
	{"deregister, the number alone and with a site's",
		"a.cn p filed " E "\nb.cn p changing " E "-1\nc.cn p filed " E "-123\n",
		"! " E "\n",
		"a.cn p deregistered " E "\nb.cn p deregistered " E "-1\nc.cn p deregistered " E
		"-123\n",
		3, false},
	{"deregister, no such number",
		"a.cn p filed " E "-1x\nb.cn p filed " E "1\nc.cn p filed " E "-\n"
		"d.cn p filed x" E "\ne.cn p filed " E "-1-1\nf.cn p filed " OTHER_ENTITY "-1\n",
		"! " E "\n",
		"a.cn p filed " E "-1x\nb.cn p filed " E "1\nc.cn p filed " E "-\n"
		"d.cn p filed x" E "\ne.cn p filed " E "-1-1\nf.cn p filed " OTHER_ENTITY "-1\n",
		0, false},
	{"deregister, one of a domain's rows", "a.cn o filed " OTHER_ENTITY "-1\n" A, "! " E "\n",
		"a.cn o filed " OTHER_ENTITY "-1\na.cn p deregistered " E "-1\n", 1, false},
	{"deregister what was upserted before", A, "+ " B "! " E "\n",
		"a.cn p deregistered " E "-1\nb.cn p deregistered " E "-2\n", 2, false},
	{"deregister what had another number", "a.cn p filed 7\n", "+ " A "! " E "\n",
		"a.cn p deregistered " E "-1\n", 1, false},
	{"deregister, then upsert", A B, "! " E "\n+ " A, A "b.cn p deregistered " E "-2\n", 1,
		false},
	{"deregister what was deleted before", A B, "- a.cn p\n! " E "\n",
		"b.cn p deregistered " E "-2\n", 2, false},
	{"deregister what has got another number", A, "+ a.cn p filed 7\n! " E "\n",
		"a.cn p filed 7\n", 1, false},
	{"deregister twice", A, "! " E "\n! " E "\n", "a.cn p deregistered " E "-1\n", 1, false},
	{"deregister two", A "b.cn p filed " OTHER_ENTITY "\n", "! " E "\n! " OTHER_ENTITY "\n",
		"a.cn p deregistered " E "-1\nb.cn p deregistered " OTHER_ENTITY "\n", 2, false},
	{"deregister what is already", "a.cn p deregistered " E "\n", "! " E "\n",
		"a.cn p deregistered " E "\n", 0, false},
};

/*! What a full feed of the same rows builds. */
static icp_store_info_t fresh_build(const site_t *site, const char *rows)
{
	site_t fresh = *site;
	snprintf(fresh.store, sizeof fresh.store, "%s/fresh", site->dir);
	load_rows(&fresh, rows);
	return assert_holds(&fresh, rows);
}

static void check_case(site_t *site, const case_t *one)
{
	load_rows(site, one->before);
	icp_store_info_t before = assert_holds(site, NULL);
	icp_delta_result_t result = apply_text(site, one->changes);
	assert_int_equal(result.pairs, one->pairs);
	icp_store_info_t info = assert_holds(site, one->after);
	assert_int_equal(info.generation, before.generation);
	assert_int_equal(info.sequence, before.sequence + 1);
	assert_int_equal(info.base, before.base);
	assert_string_equal(info.source, "d.csv");
	icp_store_info_t fresh = fresh_build(site, one->after);
	assert_int_equal(info.rows, fresh.rows);
	if (!one->unlike_fresh) {
		assert_int_equal(info.nodes, fresh.nodes);
		assert_int_equal(info.digest, fresh.digest);
	}
}

static void test_changes_of_a_store(void **state)
{
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("%s\n", cases[i].name);
		check_case(*state, &cases[i]);
	}
}

/*! Each case is replayed onto a full feed that does not hold it yet. */
static void test_deltas_are_kept(void **state)
{
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("%s\n", cases[i].name);
		load_rows(site, cases[i].before);
		apply_text(site, cases[i].changes);
		const uint8_t *stored;
		size_t length;
		icp_changes_t *changes;
		icp_reader_t reader = open_current(site);
		assert_int_equal(
			icp_reader_delta(&reader, reader.info.sequence, &stored, &length), 1);
		assert_int_equal(icp_changes_from_stored(&changes, stored, length), ICP_EOK);
		close_current(&reader);
		load_rows(site, cases[i].before);
		icp_delta_result_t result;
		assert_int_equal(apply_changes(site, changes, &result), ICP_EOK);
		icp_changes_destroy(changes);
		assert_holds(site, cases[i].after);
	}
}

static void test_permissions_are_counted(void **state)
{
	load_rows(*state, A B "c.cn p pending\n");
	icp_delta_result_t result =
		apply_text(*state, "- a.cn p\n+ b.cn p changing 1\n+ c.cn p filed 1\n"
				   "+ d.cn p filed 1\n+ e.cn p pending\n");
	assert_int_equal(result.changes, 5);
	assert_int_equal(result.pairs, 5);
	assert_int_equal(result.gained, 2);
	assert_int_equal(result.lost, 1);
	assert_false(result.skipped);
}

static void test_a_domain_with_too_many_rows(void **state)
{
	site_t *site = *state;
	icp_changes_t *changes = icp_changes_create();
	sample_row_t sample;
	icp_delta_result_t result;
	load_rows(site, A);
	for (unsigned i = 0; i <= ICP_NODE_ROWS_MAX; i++) {
		char line[64];
		snprintf(line, sizeof line, "many.cn p%u pending", i);
		sample_row(&sample, line);
		const icp_change_t change = {
			.op = ICP_OP_UPSERT, .name = sample.name, .row = sample.row};
		assert_int_equal(icp_changes_add(changes, &change), ICP_EOK);
	}
	assert_int_equal(apply_changes(site, changes, &result), ICP_EFEED);
	assert_string_equal(
		site->diag.text, "d.csv: domain would have over 32767 rows: many.cn p32767");
	icp_changes_destroy(changes);
	assert_int_equal(assert_holds(site, A).sequence, 0);
}

static void test_a_store_without_a_generation(void **state)
{
	site_t *site = *state;
	icp_delta_t delta;
	const icp_session_options_t options = site_options(site);
	assert_int_equal(icp_delta_open(&delta, &options, &site->diag), ICP_ENOSTORE);
	assert_non_null(strstr(site->diag.text, "load a full feed first"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_changes_of_a_store),
		IN_SITE(test_deltas_are_kept),
		IN_SITE(test_permissions_are_counted),
		IN_SITE(test_a_domain_with_too_many_rows),
		IN_SITE(test_a_store_without_a_generation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

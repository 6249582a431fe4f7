/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "rows_help.h"

#include "loader/guard.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOW 1000

/*! A row permits by its status and the time; times as in rows_help.h. */
static void permission_is_status_and_time(void **state)
{
	(void)state;
	static const struct {
		const char *status;
		int64_t now;
		enum icp_verdict overdue;
		bool permits;
	} cases[] = {
		{"filed", NOW, ICP_BLOCK, true},
		{"changing", NOW, ICP_BLOCK, true},
		{"pending", NOW, ICP_PASS, false},
		{"transfer-cancelled", NOW, ICP_PASS, false},
		{"deregistered", NOW, ICP_PASS, false},
		{"rectifying", 999, ICP_BLOCK, true},
		{"rectifying", 1000, ICP_BLOCK, false},
		{"rectifying", 1000, ICP_PASS, true},
		{"transfer-preapproved", 899, ICP_PASS, false},
		{"transfer-preapproved", 900, ICP_PASS, true},
		{"transfer-preapproved", 1099, ICP_PASS, true},
		{"transfer-preapproved", 1100, ICP_PASS, false},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char line[64];
		sample_row_t sample;
		print_message("%s at %d\n", cases[i].status, (int)cases[i].now);
		snprintf(line, sizeof line, "a.cn p %s 1", cases[i].status);
		sample_row(&sample, line);
		assert_int_equal(icp_row_permits(&sample.row, cases[i].overdue, cases[i].now),
			cases[i].permits);
	}
}

static void percentages(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t millionths; /*!< -1: not valid. */
	} cases[] = {
		{"0", 0},
		{"0%", 0},
		{"1", 1000000},
		{"1%", 1000000},
		{"0.5", 500000},
		{"0.000001", 1},
		{"2.50%", 2500000},
		{"99.999999", 99999999},
		{"100", 100000000},
		{"100.000000%", 100000000},
		{"007", 7000000},
		{"", -1},
		{"%", -1},
		{".5", -1},
		{"5.", -1},
		{"1%%", -1},
		{"1 %", -1},
		{" 1", -1},
		{"-1", -1},
		{"+1", -1},
		{"101", -1},
		{"100.000001", -1},
		{"0.0000001", -1},
		{"1e1", -1},
		{"1000", -1},
		{"0001", -1},
		{"1,5", -1},
		{"nan", -1},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_max_lost_t max_lost = 12345;
		print_message("\"%s\"\n", cases[i].text);
		int ret = icp_max_lost_parse(&max_lost, cases[i].text);
		assert_int_equal(ret, cases[i].millionths < 0 ? ICP_EINVAL : ICP_EOK);
		assert_int_equal(max_lost, cases[i].millionths < 0 ? 12345 : cases[i].millionths);
	}
}

typedef struct {
	const char *shows;
	uint64_t have;
	uint64_t lost;
	const char *max_lost;
	const char *says; /*!< NULL: it may be lost. */
} edge_t;

static const edge_t edges[] = {
	{"nothing is lost", 1000, 0, "0", NULL},
	{"a hundred may always be lost", 100, 100, "0", NULL},
	{"one more may not", 101, 101, "0",
		"101 of 101 permissions would be lost (100.00%, allowed 0%)"},
	{"exactly the share", 20000, 200, "1", NULL},
	{"one above the share", 20000, 201, "1",
		"201 of 20,000 permissions would be lost (1.01%, allowed 1%)"},
	{"one short of the share", 20100, 200, "1%", NULL},
	{"a share of less than a hundred", 5000, 100, "1", NULL},
	{"over a hundred, and over the share", 5000, 101, "1",
		"101 of 5,000 permissions would be lost (2.02%, allowed 1%)"},
	{"all of it is allowed", 5000, 5000, "100", NULL},
	{"exactly a fraction", 200000, 1010, "0.505", NULL},
	{"a little above a fraction", 200000, 1011, "0.505",
		"1,011 of 200,000 permissions would be lost (0.51%, allowed 0.505%)"},
	{"too much does not look as if allowed", 10000000, 100001, "1",
		"100,001 of 10,000,000 permissions would be lost (1.01%, allowed 1%)"},
	{"the smallest share", UINT64_C(10000000000), 101, "0.000001",
		"101 of 10,000,000,000 permissions would be lost (0.01%, allowed 0.000001%)"},
	{"the smallest share, kept", UINT64_C(10100000000), 101, "0.000001", NULL},
	{"the products fit", UINT64_C(100000000000), UINT64_C(99999999999), "99.999999",
		"99,999,999,999 of 100,000,000,000 permissions would be lost "
		"(100.00%, allowed 99.999999%)"},
};

static void edges_of_the_decision(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(edges); i++) {
		icp_guard_t guard;
		icp_max_lost_t max_lost;
		icp_diag_t diag = {""};
		print_message("%s\n", edges[i].shows);
		icp_guard_init(&guard, ICP_PASS, NOW);
		guard.have = edges[i].have;
		guard.lost = edges[i].lost;
		assert_int_equal(icp_max_lost_parse(&max_lost, edges[i].max_lost), ICP_EOK);
		int ret = icp_guard_decide(&guard, max_lost, "f.csv", &diag);
		assert_int_equal(ret, edges[i].says != NULL ? ICP_EGUARD : ICP_EOK);
		if (edges[i].says != NULL) {
			char text[256];
			snprintf(text, sizeof text, "f.csv: %s: by provider ; by status ",
				edges[i].says);
			assert_string_equal(diag.text, text);
		} else {
			assert_string_equal(diag.text, "");
		}
		icp_guard_deinit(&guard);
	}
}

/*! Runs two states through the comparison. */
static void compare(icp_guard_t *guard, const char *before, const char *after)
{
	icp_index_t *one = sample_index(before);
	icp_index_t *other = sample_index(after);
	int ret = icp_compare(icp_guard_watch(guard, icp_nodes_of_index(one)),
		icp_nodes_of_index(other), icp_guard_add, guard);
	assert_int_equal(ret, ICP_EOK);
	icp_index_destroy(one);
	icp_index_destroy(other);
}

static void assert_groups(const icp_groups_t *groups, const char *expected)
{
	char text[ICP_GROUPS_TEXT_MAX];
	icp_groups_format(groups, text);
	assert_string_equal(text, expected);
}

static void permissions_are_counted(void **state)
{
	(void)state;
	icp_guard_t guard;
	icp_guard_init(&guard, ICP_BLOCK, NOW);
	compare(&guard,
		"same.cn p filed 1\nsame.cn q pending\n"
		"gone.cn p filed 1\ngone.cn q changing 1\ngone.cn r deregistered 1\n"
		"dereg.cn p filed 1\nnumber.cn p filed 1\nstatus.cn p filed 1\n"
		"late.cn p filed 1\nwas-late.cn p rectifying 1\npre.cn q transfer-preapproved 1\n",
		"same.cn p filed 1\nsame.cn q pending\n"
		"dereg.cn p deregistered 1\nnumber.cn p filed 2\nstatus.cn p changing 1\n"
		"late.cn p rectifying 1\nwas-late.cn p filed 1\npre.cn q transfer-cancelled 1\n"
		"new.cn s filed 1\nnew.cn p pending\n");
	/* Of the eleven before, not: same q, gone r, was-late. */
	assert_int_equal(guard.have, 8);
	assert_int_equal(guard.lost, 5);
	assert_int_equal(guard.gained, 2);
	assert_groups(&guard.lost_by_provider, "p 3, q 2");
	assert_groups(&guard.lost_by_status,
		"none 2, deregistered 1, rectifying 1, transfer-cancelled 1");
	assert_groups(&guard.gained_by_provider, "p 1, s 1");
	assert_groups(&guard.gained_by_status, "filed 2");
	icp_guard_deinit(&guard);
}

static void the_message_names_the_largest_groups(void **state)
{
	(void)state;
	icp_guard_t guard;
	icp_diag_t diag = {""};
	sample_row_t filed;
	sample_row_t gone;
	icp_guard_init(&guard, ICP_PASS, NOW);
	for (unsigned i = 0; i < 12000; i++) {
		char line[64];
		const char *provider = i < 11000 ? "qcloud" : "acloud";
		snprintf(line, sizeof line, "n%u.cn %s filed 1", i, provider);
		sample_row(&filed, line);
		snprintf(line, sizeof line, "n%u.cn %s deregistered 1", i, provider);
		sample_row(&gone, line);
		assert_int_equal(
			icp_guard_add(&filed.row, i % 4 == 0 ? &gone.row : NULL, &guard), ICP_EOK);
	}
	guard.have = 1000000;
	assert_int_equal(
		icp_guard_decide(&guard, ICP_MAX_LOST_DEFAULT, "f.csv", &diag), ICP_EGUARD);
	assert_string_equal(diag.text,
		"f.csv: 12,000 of 1,000,000 permissions would be lost (1.20%, allowed 1%): by "
		"provider qcloud 11,000, acloud 1,000; by status none 9,000, deregistered 3,000");
	icp_guard_deinit(&guard);
}

static void many_groups_are_summed_up(void **state)
{
	(void)state;
	icp_groups_t groups = {.places = NULL};
	icp_group_t largest[1000];
	for (unsigned i = 0; i < 500; i++) {
		char name[8];
		size_t length = (size_t)snprintf(name, sizeof name, "g%03u", i);
		for (unsigned j = 0; j <= i / 2; j++) {
			assert_int_equal(icp_groups_count(&groups, name, length), ICP_EOK);
		}
	}
	assert_groups(
		&groups, "g498 250, g499 250, g496 249, g497 249, g494 248, 495 others 61,504");
	assert_int_equal(icp_groups_largest(&groups, largest, 0), 0);
	assert_int_equal(icp_groups_largest(&groups, largest, COUNT(largest)), 500);
	for (unsigned i = 1; i < 500; i++) {
		assert_true(largest[i].count < largest[i - 1].count ||
			    (largest[i].count == largest[i - 1].count &&
				    strcmp(largest[i].name, largest[i - 1].name) > 0));
	}
	icp_groups_deinit(&groups);
}

static void damage_is_told(void **state)
{
	(void)state;
	icp_guard_t guard;
	icp_index_t *one = sample_index("a.cn p filed 1\n");
	icp_node_t node;
	icp_guard_init(&guard, ICP_PASS, NOW);
	assert_int_equal(icp_index_next(one, &node), 1);
	assert_int_equal(icp_index_next(one, &node), 0);
	icp_nodes_t nodes = icp_guard_watch(&guard, icp_nodes_of_index(one));
	assert_int_equal(nodes.next(nodes.context, &node), 1);
	assert_int_equal(guard.have, 1);
	((uint8_t *)node.rows)[0] = 0x0f; /* No status has this number. */
	assert_int_equal(nodes.next(nodes.context, &node), 0);
	assert_int_equal(nodes.next(nodes.context, &node), ICP_EDAMAGED);
	icp_guard_deinit(&guard);
	icp_index_destroy(one);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(permission_is_status_and_time),
		cmocka_unit_test(percentages),
		cmocka_unit_test(edges_of_the_decision),
		cmocka_unit_test(permissions_are_counted),
		cmocka_unit_test(the_message_names_the_largest_groups),
		cmocka_unit_test(many_groups_are_summed_up),
		cmocka_unit_test(damage_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader_help.h"
#include "rows_help.h"

#include "loader/compare.h"

#define MANY 4000

/*! What a comparison told: a line "DOMAIN PROVIDER BEFORE AFTER" for each pair, sorted. */
typedef struct {
	char lines[MANY][80];
	size_t count;
	size_t stop_at; /*!< The visit that ends the comparison; 0: none does. */
} told_t;

static told_t told;

static const char *status_of(const icp_row_t *row)
{
	return row != NULL ? icp_status_name(row->status) : "none";
}

static int tell(const icp_row_t *before, const icp_row_t *after, void *context)
{
	told_t *into = context;
	const icp_row_t *row = before != NULL ? before : after;
	icp_name_t name;
	char domain[ICP_NAME_TEXT_MAX];
	assert_int_equal(icp_name_from_stored(&name, row->domain, row->domain_length), ICP_EOK);
	assert_int_equal(row->labels, name.labels);
	icp_name_format(&name, domain);
	if (before != NULL && after != NULL) {
		assert_int_equal(before->domain_length, after->domain_length);
		assert_memory_equal(before->domain, after->domain, after->domain_length);
		assert_int_equal(before->labels, after->labels);
	}
	assert_true(into->count < MANY);
	snprintf(into->lines[into->count++], sizeof *into->lines, "%.40s %.*s %s %s", domain,
		(int)row->provider_length, row->provider, status_of(before), status_of(after));
	return into->count == into->stop_at ? ICP_EBUSY : ICP_EOK;
}

static int by_text(const void *one, const void *other)
{
	return strcmp(one, other);
}

static int compare(icp_nodes_t before, icp_nodes_t after)
{
	told.count = 0;
	int ret = icp_compare(before, after, tell, &told);
	qsort(told.lines, told.count, sizeof *told.lines, by_text);
	return ret;
}

static int compare_texts(const char *before, const char *after)
{
	icp_index_t *one = sample_index(before);
	icp_index_t *other = sample_index(after);
	int ret = compare(icp_nodes_of_index(one), icp_nodes_of_index(other));
	icp_index_destroy(one);
	icp_index_destroy(other);
	return ret;
}

typedef struct {
	const char *title;
	const char *before;
	const char *after;
	const char *expected[6]; /*!< Sorted; NULL at the end. */
} case_t;

static const case_t cases[] = {
	{"nothing and nothing", "", "", {NULL}},
	{"the same", "a.cn p filed 1\nb.cn p filed 2\n", "b.cn p filed 2\na.cn p filed 1\n",
		{NULL}},
	{"from nothing", "", "a.cn p filed 1\nb.cn q pending\n",
		{"a.cn p none filed", "b.cn q none pending", NULL}},
	{"to nothing", "a.cn p filed 1\nb.cn q pending\n", "",
		{"a.cn p filed none", "b.cn q pending none", NULL}},
	{"another status", "a.cn p filed 1\nb.cn p filed 2\n",
		"a.cn p changing 1\nb.cn p filed 2\n", {"a.cn p filed changing", NULL}},
	{"another number of the same length", "a.cn p filed 1\n", "a.cn p filed 2\n",
		{"a.cn p filed filed", NULL}},
	{"another provider", "a.cn p filed 1\n", "a.cn q filed 1\n",
		{"a.cn p filed none", "a.cn q none filed", NULL}},
	{"a provider that begins like another", "a.cn p filed 1\n",
		"a.cn p filed 1\na.cn pp filed 1\n", {"a.cn pp none filed", NULL}},
	{"one provider of three gone", "a.cn p filed 1\na.cn q filed 1\na.cn r filed 1\n",
		"a.cn r filed 1\na.cn p filed 1\n", {"a.cn q filed none", NULL}},
	{"first of three new, last changed", "a.cn q filed 1\na.cn r filed 1\n",
		"a.cn r pending\na.cn q filed 1\na.cn p filed 1\n",
		{"a.cn p none filed", "a.cn r filed pending", NULL}},
	{"empty non-terminals are no rows", "x.a.b.cn p filed 1\n", "b.cn p filed 1\n",
		{"b.cn p none filed", "x.a.b.cn p filed none", NULL}},
	{"something below is no difference", "b.cn p filed 1\n",
		"b.cn p filed 1\na.b.cn q filed 1\n", {"a.b.cn q none filed", NULL}},
	{"last of the rows of a name with names below",
		"b.cn p filed 1\nb.cn q filed 1\na.b.cn p filed 1\n",
		"b.cn p filed 1\nb.cn q pending\na.b.cn p filed 1\n",
		{"b.cn q filed pending", NULL}},
	{"a node's rows gone, what is below stays", "b.cn p filed 1\na.b.cn q filed 1\n",
		"a.b.cn q filed 1\n", {"b.cn p filed none", NULL}},
};

static void differences_are_told(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("%s\n", cases[i].title);
		assert_int_equal(compare_texts(cases[i].before, cases[i].after), ICP_EOK);
		size_t count = 0;
		for (; cases[i].expected[count] != NULL; count++) {
			assert_true(count < told.count);
			assert_string_equal(told.lines[count], cases[i].expected[count]);
		}
		assert_int_equal(told.count, count);
	}
}

/*! Names that lie all over the order; each third is only before, each third only after. */
static void many_names_are_joined(void **state)
{
	(void)state;
	static char before[MANY * 32];
	static char after[MANY * 32];
	size_t a = 0;
	size_t b = 0;
	for (size_t i = 0; i < MANY; i++) {
		if (i % 3 != 0) {
			a += (size_t)snprintf(before + a, 32, "n%zu.cn p filed 1\n", i);
		}
		if (i % 3 != 1) {
			b += (size_t)snprintf(after + b, 32, "n%zu.cn p filed 1\n", i);
		}
	}
	assert_int_equal(compare_texts(before, after), ICP_EOK);
	size_t gone = 0;
	for (size_t i = 0; i < told.count; i++) {
		unsigned long number = strtoul(told.lines[i] + 1, NULL, 10);
		bool is_gone = strstr(told.lines[i], "p filed none") != NULL;
		assert_int_equal(number % 3, is_gone ? 1 : 0);
		gone += is_gone;
	}
	assert_int_equal(gone, MANY / 3);
	assert_int_equal(told.count - gone, (MANY + 2) / 3);
}

static void an_index_can_be_walked_again(void **state)
{
	(void)state;
	icp_index_t *index = sample_index("x.a.cn p filed 1\nx.a.cn q filed 1\nb.cn p pending\n");
	for (unsigned turn = 0; turn < 2; turn++) {
		icp_node_t node;
		uint64_t previous = 0;
		size_t nodes = 0;
		size_t rows = 0;
		for (; icp_index_next(index, &node) == 1; nodes++) {
			uint64_t hash = icp_name_hash(node.name, node.name_length);
			assert_true(hash > previous);
			previous = hash;
			rows += node.row_count;
			assert_int_equal(node.row_count == 0, node.below);
		}
		assert_int_equal(nodes, 3);
		assert_int_equal(rows, 3);
	}
	icp_index_destroy(index);
}

static void a_generation_compares_with_a_feed(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER ROW("a.cn") ROW("b.a.cn") ROW("c.cn")), ICP_EOK);
	icp_index_t *index =
		sample_index("a.cn qcloud filed " NUMBER "\nb.a.cn qcloud pending " NUMBER
			     "\nd.cn qcloud filed " NUMBER "\n");
	icp_reader_t reader = open_current(site);
	icp_walk_t walk;
	icp_walk_begin(&walk, &reader);
	assert_int_equal(compare(icp_nodes_of_walk(&walk), icp_nodes_of_index(index)), ICP_EOK);
	assert_int_equal(told.count, 3);
	assert_string_equal(told.lines[0], "b.a.cn qcloud filed pending");
	assert_string_equal(told.lines[1], "c.cn qcloud filed none");
	assert_string_equal(told.lines[2], "d.cn qcloud none filed");
	close_current(&reader);
	icp_index_destroy(index);
}

static void a_visit_ends_the_comparison(void **state)
{
	(void)state;
	told.stop_at = 2;
	int ret = compare_texts("", "a.cn p filed 1\nb.cn p filed 1\nc.cn p filed 1\n");
	told.stop_at = 0;
	assert_int_equal(ret, ICP_EBUSY);
	assert_int_equal(told.count, 2);
}

/*! A source that gives one node as it is, and then its last word. */
typedef struct {
	icp_node_t node;
	bool given;
	int last;
} one_t;

static int give_one(void *context, icp_node_t *node)
{
	one_t *one = context;
	if (one->given) {
		return one->last;
	}
	one->given = true;
	*node = one->node;
	return 1;
}

/*! Compares one node with no node. */
static int compare_one(icp_node_t node, int last)
{
	one_t one = {.node = node, .last = last};
	one_t none = {.given = true};
	one_t one_too = one;
	one_t none_too = none;
	int ret = compare((icp_nodes_t){give_one, &one}, (icp_nodes_t){give_one, &none});
	/* Either side does the same. */
	assert_int_equal(
		compare((icp_nodes_t){give_one, &none_too}, (icp_nodes_t){give_one, &one_too}),
		ret);
	return ret;
}

static void damage_and_failures_are_told(void **state)
{
	(void)state;
	static const uint8_t name[] = "\1a\2cn";
	uint8_t rows[2 * ICP_ROW_MAX];
	sample_row_t p;
	sample_row_t q;
	sample_row(&p, "a.cn p filed 1");
	sample_row(&q, "a.cn q filed 1");
	size_t first = icp_row_encode(&q.row, rows);
	size_t both = first + icp_row_encode(&p.row, rows + first);
	icp_node_t good = {
		.name = name, .name_length = 5, .rows = rows, .rows_length = first, .row_count = 1};
	assert_int_equal(compare_one(good, 0), ICP_EOK);
	assert_int_equal(compare_one(good, ICP_EDAMAGED), ICP_EDAMAGED);
	assert_int_equal(compare_one(good, ICP_ENOMEM), ICP_ENOMEM);

	icp_node_t bad = good;
	bad.name_length = 4;
	assert_int_equal(compare_one(bad, 0), ICP_EDAMAGED);
	bad = good;
	bad.rows_length = first - 1;
	assert_int_equal(compare_one(bad, 0), ICP_EDAMAGED);
	bad = good;
	bad.rows_length = both; /* Octets that no row owns. */
	assert_int_equal(compare_one(bad, 0), ICP_EDAMAGED);
	bad.row_count = 2; /* Out of order. */
	assert_int_equal(compare_one(bad, 0), ICP_EDAMAGED);
	bad.row_count = 3;
	assert_int_equal(compare_one(bad, 0), ICP_EDAMAGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(differences_are_told),
		cmocka_unit_test(many_names_are_joined),
		cmocka_unit_test(an_index_can_be_walked_again),
		IN_SITE(a_generation_compares_with_a_feed),
		cmocka_unit_test(a_visit_ends_the_comparison),
		cmocka_unit_test(damage_and_failures_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

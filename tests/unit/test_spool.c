/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/spool_help.h"

#include "core/time.h"

#define A100                                                                                           \
	"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" \
	"aaaaaaaa"
#define A216 A100 A100 "aaaaaaaaaaaaaaaa"

static void test_names(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		enum icp_spool_name want;
		size_t base;
	} cases[] = {
		{"f.csv.json", ICP_SPOOL_MANIFEST, 5},
		{"f.x.csv.json", ICP_SPOOL_MANIFEST, 7},
		{"例.csv.json", ICP_SPOOL_MANIFEST, 7},
		{"a b.csv.json", ICP_SPOOL_MANIFEST, 7},
		{"-f.csv.json", ICP_SPOOL_MANIFEST, 6},
		{A216 ".csv.json", ICP_SPOOL_MANIFEST, 220},
		{A216 "a.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f\n.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f\x1b[1m.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f\x7f.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f\xc2\x85.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f\xff.csv.json", ICP_SPOOL_REFUSED, 0},
		{"f.csv", ICP_SPOOL_OTHER, 0},
		{"f.csv.zst", ICP_SPOOL_OTHER, 0},
		{"f.csv.zst.json", ICP_SPOOL_OTHER, 0},
		{"f.json", ICP_SPOOL_OTHER, 0},
		{".f.csv.json", ICP_SPOOL_OTHER, 0},
		{".csv.json", ICP_SPOOL_OTHER, 0},
		{"csv.json", ICP_SPOOL_OTHER, 0},
		{"f.csv.json~", ICP_SPOOL_OTHER, 0},
		{"done", ICP_SPOOL_OTHER, 0},
		{"", ICP_SPOOL_OTHER, 0},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		size_t base = 0;
		enum icp_spool_name got = icp_spool_name(cases[i].name, &base);
		if (got != cases[i].want || (got == ICP_SPOOL_MANIFEST && base != cases[i].base)) {
			fail_msg("%s: %d, %zu", cases[i].name, (int)got, base);
		}
	}
}

static void test_bases(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		const char *base; /* NULL: none. */
	} cases[] = {
		{"f.csv", "f.csv"},
		{"f.csv.json", "f.csv"},
		{"f.csv.gz", "f.csv"},
		{"f.csv.xz", "f.csv"},
		{"f.csv.zst", "f.csv"},
		{"f~20261124T000000.csv.zst", "f~20261124T000000.csv"},
		{"f.csv.bz2", NULL},
		{"f.csv.gz.gz", NULL},
		{"f.csv.report", NULL},
		{"../f.csv", NULL},
		{"/f.csv", NULL},
		{".f.csv", NULL},
		{".csv", NULL},
		{"", NULL},
		{".", NULL},
		{"f\n.csv", NULL},
		{A216 "a.csv", NULL},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		char base[ICP_SPOOL_BASE_MAX + 1] = "";
		bool got = icp_spool_base(cases[i].name, base);
		if (got != (cases[i].base != NULL) || (got && strcmp(base, cases[i].base) != 0)) {
			fail_msg("%s: %d, %s", cases[i].name, got, base);
		}
	}
}

static void test_open(void **state)
{
	site_t *site = *state;
	icp_spool_t other;
	assert_true(is_there(site, "done") && is_there(site, "rejected"));
	assert_int_equal(icp_spool_open(&other, site->path, &site->diag), ICP_EBUSY);
	assert_non_null(strstr(site->diag.text, "another icpgated has it"));
	icp_spool_close(&site->spool);
	assert_int_equal(icp_spool_open(&site->spool, site->path, &site->diag), ICP_EOK);
}

/* A link in the place of a directory of ours would lead out of the spool. */
static void test_open_link(void **state)
{
	site_t *site = *state;
	icp_spool_close(&site->spool);
	assert_int_equal(rmdir(path_of(site, "done")), 0);
	assert_int_equal(symlink("/tmp", path_of(site, "done")), 0);
	assert_int_equal(icp_spool_open(&site->spool, site->path, &site->diag), ICP_ESYS);
	assert_int_equal(icp_spool_open(&site->spool, "/nonexistent/x", &site->diag), ICP_ESYS);
}

static void test_refresh(void **state)
{
	site_t *site = *state;
	char other[300];
	bool replaced;
	put(site, "f.csv", "full", 1);
	scan(site, 0);
	assert_int_equal(icp_spool_refresh(&site->spool, &replaced, &site->diag), ICP_EOK);
	assert_false(replaced);
	assert_int_equal(rmdir(path_of(site, "done")), 0);
	assert_int_equal(icp_spool_refresh(&site->spool, &replaced, &site->diag), ICP_EOK);
	assert_false(replaced);
	assert_true(is_there(site, "done"));
	assert_int_equal(site->spool.count, 1);
	snprintf(other, sizeof other, "%s-moved", site->path);
	assert_int_equal(rename(site->path, other), 0);
	assert_int_equal(icp_spool_refresh(&site->spool, &replaced, &site->diag), ICP_EOK);
	assert_true(replaced);
	assert_true(is_there(site, "rejected"));
	assert_int_equal(site->spool.count, 0);
	assert_int_equal(remove_dir(other), 0);
}

static void test_scan(void **state)
{
	site_t *site = *state;
	put(site, "b.csv", "delta", 8);
	put(site, "a.csv", "full", 7);
	write_file(site, "a.csv.gz.part", "");
	write_file(site, "alone.csv", "");
	write_file(site, ".hidden.csv.json", "{}");
	write_file(site, "x\n.csv.json", "{}");
	scan(site, 100);
	assert_int_equal(site->spool.count, 2);
	assert_int_equal(site->spool.refused, 1);
	assert_string_equal(site->spool.refused_name, "x\\x0a.csv.json");
	const icp_spool_feed_t *a = find(site, "a.csv");
	const icp_spool_feed_t *b = find(site, "b.csv");
	assert_int_equal(a->state, ICP_SPOOL_GOOD);
	assert_true(a->full);
	assert_int_equal(a->sequence, 7);
	assert_false(b->full);
	assert_int_equal(b->since, 100);
	assert_null(icp_spool_find(&site->spool, "alone.csv"));
}

static void test_suffixes(void **state)
{
	site_t *site = *state;
	for (size_t i = 0; i < ICP_SPOOL_SUFFIXES; i++) {
		char name[32];
		snprintf(name, sizeof name, "f.csv%s", icp_spool_suffixes[i]);
		write_file(site, name, "");
		write_manifest(site, "f.csv.json", "full", 1);
		scan(site, 0);
		const icp_spool_feed_t *feed = find(site, "f.csv");
		assert_int_equal(feed->state, ICP_SPOOL_GOOD);
		assert_string_equal(feed->suffix, icp_spool_suffixes[i]);
		assert_int_equal(unlink(path_of(site, name)), 0);
	}
}

typedef struct {
	const char *shows;
	const char *want;
	void (*make)(const site_t *site);
} wrong_t;

static void make_half(const site_t *site)
{
	write_file(site, "f.csv", "");
	write_file(site, "f.csv.json", "{\"kind\": \"full\", \"sequ");
}

static void make_empty(const site_t *site)
{
	write_file(site, "f.csv", "");
	write_file(site, "f.csv.json", "");
}

static void make_link(const site_t *site)
{
	write_manifest(site, "real", "full", 1);
	write_file(site, "f.csv", "");
	assert_int_equal(symlink("real", path_of(site, "f.csv.json")), 0);
}

static void make_feed_link(const site_t *site)
{
	write_file(site, "real", "");
	write_manifest(site, "f.csv.json", "full", 1);
	assert_int_equal(symlink("real", path_of(site, "f.csv")), 0);
}

static void make_fifo(const site_t *site)
{
	write_file(site, "f.csv", "");
	assert_int_equal(mkfifo(path_of(site, "f.csv.json"), 0600), 0);
}

static void make_feed_directory(const site_t *site)
{
	write_manifest(site, "f.csv.json", "full", 1);
	assert_int_equal(mkdir(path_of(site, "f.csv"), 0700), 0);
}

static void make_two(const site_t *site)
{
	put(site, "f.csv", "full", 1);
	write_file(site, "f.csv.zst", "");
}

static void make_large(const site_t *site)
{
	put(site, "f.csv", "full", 1);
	assert_int_equal(truncate(path_of(site, "f.csv.json"), ICP_SPOOL_MANIFEST_MAX + 1), 0);
}

static const wrong_t wrongs[] = {
	{"half a manifest", "f.csv.json:1: premature end of input near '\"sequ'", make_half},
	{"an empty manifest", "f.csv.json:1: '[' or '{' expected near end of file", make_empty},
	{"a link as manifest", "f.csv.json: not a regular file", make_link},
	{"a link as feed", "f.csv: not a regular file", make_feed_link},
	{"a pipe", "f.csv.json: not a regular file", make_fifo},
	{"a directory as feed", "f.csv: not a regular file", make_feed_directory},
	{"two feeds", "f.csv.json: more than one feed beside it", make_two},
	{"a large manifest", "f.csv.json: larger than 65536 octets", make_large},
};

static void remove_wrong(const site_t *site)
{
	static const char *const names[] = {"f.csv", "f.csv.json", "f.csv.zst", "real"};
	for (size_t i = 0; i < COUNT(names); i++) {
		(void)remove(path_of(site, names[i]));
	}
}

static void test_wrong(void **state)
{
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(wrongs); i++) {
		icp_diag_t diag = {""};
		wrongs[i].make(site);
		scan(site, 0);
		const icp_spool_feed_t *feed = find(site, "f.csv");
		assert_int_equal(feed->state, ICP_SPOOL_WRONG);
		icp_spool_explain(&site->spool, feed, &diag);
		if (strncmp(diag.text, wrongs[i].want, 20) != 0) {
			fail_msg("%s: %s", wrongs[i].shows, diag.text);
		}
		remove_wrong(site);
		scan(site, 0);
		assert_int_equal(site->spool.count, 0);
	}
}

/* What is known of a feed holds as long as its files stay as they are. */
static void test_changes(void **state)
{
	site_t *site = *state;
	make_half(site);
	scan(site, 1000);
	scan(site, 2000);
	icp_spool_feed_t *feed = find(site, "f.csv");
	assert_int_equal(feed->since, 1000);
	write_manifest(site, "f.csv.json", "full", 1);
	scan(site, 3000);
	feed = find(site, "f.csv");
	assert_int_equal(feed->state, ICP_SPOOL_GOOD);
	assert_int_equal(feed->since, 3000);
	feed->tries = 3;
	feed->retry_at = 9000;
	feed->wanted = true;
	scan(site, 4000);
	feed = find(site, "f.csv");
	assert_int_equal(feed->tries, 3);
	assert_int_equal(feed->retry_at, 9000);
	write_file(site, "f.csv", "more");
	scan(site, 5000);
	feed = find(site, "f.csv");
	assert_int_equal(feed->since, 5000);
	assert_int_equal(feed->tries, 0);
	assert_int_equal(feed->retry_at, 0);
	assert_true(feed->wanted);
}

/* What an operator said of a feed is not said of another one of its name. */
static void test_orders_replaced(void **state)
{
	site_t *site = *state;
	put(site, "f.csv", "full", 1);
	scan(site, 0);
	find(site, "f.csv")->wanted = true;
	find(site, "f.csv")->forced = true;
	/* It is the same one, though its manifest was written anew. */
	write_manifest(site, "f.csv.json", "full", 12);
	scan(site, 10);
	assert_int_equal(find(site, "f.csv")->sequence, 12);
	assert_true(find(site, "f.csv")->wanted && find(site, "f.csv")->forced);
	write_manifest_of(site, "f.csv.json", "full", 123, OTHER_SHA);
	scan(site, 20);
	assert_int_equal(find(site, "f.csv")->sequence, 123);
	assert_false(find(site, "f.csv")->wanted || find(site, "f.csv")->forced);
}

/* That one leaves is not decided of another one of its name. */
static void test_leaves(void **state)
{
	site_t *site = *state;
	put(site, "f.csv", "full", 1);
	put(site, "g.csv", "full", 1);
	scan(site, 0);
	find(site, "f.csv")->leaves = true;
	find(site, "g.csv")->leaves = true;
	assert_int_equal(chmod(path_of(site, "f.csv"), 0600), 0);
	scan(site, 10);
	assert_true(find(site, "f.csv")->leaves);
	/* Written over: */
	write_manifest_of(site, "f.csv.json", "full", 12, OTHER_SHA);
	/* and in its place: */
	write_file(site, "other", "abc");
	assert_int_equal(rename(path_of(site, "other"), path_of(site, "g.csv")), 0);
	scan(site, 20);
	assert_false(find(site, "f.csv")->leaves);
	assert_int_equal(find(site, "f.csv")->sequence, 12);
	assert_int_equal(find(site, "f.csv")->since, 20);
	assert_false(find(site, "g.csv")->leaves);
}

/* What could not be read is read again, though nothing changed. */
static void test_unread(void **state)
{
	site_t *site = *state;
	put(site, "f.csv", "delta", 6);
	scan(site, 10);
	find(site, "f.csv")->state = ICP_SPOOL_UNREAD;
	find(site, "f.csv")->wanted = true;
	scan(site, 20);
	assert_int_equal(find(site, "f.csv")->state, ICP_SPOOL_GOOD);
	assert_int_equal(find(site, "f.csv")->since, 10);
	assert_true(find(site, "f.csv")->wanted);
}

/* A feed that is long on its way is not read whole again with each look at it. */
static void test_disliked(void **state)
{
	site_t *site = *state;
	put(site, "f.csv", "full", 1);
	scan(site, 1000);
	find(site, "f.csv")->disliked = true;
	write_file(site, "f.csv", "abcd");
	scan(site, 2000);
	assert_int_equal(find(site, "f.csv")->retry_at, 2000 + ICP_SPOOL_SETTLE_MS);
}

static void test_alone(void **state)
{
	site_t *site = *state;
	write_manifest(site, "f.csv.json", "full", 1);
	scan(site, 0);
	assert_int_equal(find(site, "f.csv")->state, ICP_SPOOL_ALONE);
	write_file(site, "f.csv.xz", "");
	scan(site, 10);
	assert_int_equal(find(site, "f.csv")->state, ICP_SPOOL_GOOD);
	assert_int_equal(unlink(path_of(site, "f.csv.json")), 0);
	scan(site, 20);
	assert_int_equal(site->spool.count, 0);
}

static void test_drop(void **state)
{
	site_t *site = *state;
	put(site, "a.csv", "full", 1);
	put(site, "b.csv", "full", 2);
	put(site, "c.csv", "full", 3);
	scan(site, 0);
	icp_spool_drop(&site->spool, find(site, "b.csv"));
	assert_int_equal(site->spool.count, 2);
	assert_int_equal(find(site, "c.csv")->sequence, 3);
	icp_spool_drop(&site->spool, find(site, "c.csv"));
	icp_spool_drop(&site->spool, find(site, "a.csv"));
	assert_null(icp_spool_find(&site->spool, "a.csv"));
}

static void test_paused(void **state)
{
	site_t *site = *state;
	char why[32];
	assert_false(icp_spool_is_paused(&site->spool, why));
	assert_int_equal(icp_spool_pause(&site->spool, "rollback", &site->diag), ICP_EOK);
	icp_spool_close(&site->spool);
	assert_int_equal(icp_spool_open(&site->spool, site->path, &site->diag), ICP_EOK);
	assert_true(icp_spool_is_paused(&site->spool, why));
	assert_string_equal(why, "rollback");
	assert_int_equal(icp_spool_resume(&site->spool, &site->diag), ICP_EOK);
	assert_int_equal(icp_spool_resume(&site->spool, &site->diag), ICP_EOK);
	assert_false(icp_spool_is_paused(&site->spool, why));
	write_file(site, ICP_SPOOL_PAUSED, "a\x1b[1m\nsomething that is longer than it may be");
	assert_true(icp_spool_is_paused(&site->spool, why));
	assert_string_equal(why, "a???m?something?that?is?longer?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_bases),
		IN_SPOOL(test_open),
		IN_SPOOL(test_open_link),
		IN_SPOOL(test_refresh),
		IN_SPOOL(test_scan),
		IN_SPOOL(test_suffixes),
		IN_SPOOL(test_wrong),
		IN_SPOOL(test_changes),
		IN_SPOOL(test_orders_replaced),
		IN_SPOOL(test_leaves),
		IN_SPOOL(test_unread),
		IN_SPOOL(test_disliked),
		IN_SPOOL(test_alone),
		IN_SPOOL(test_drop),
		IN_SPOOL(test_paused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

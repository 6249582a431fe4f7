/* SPDX-License-Identifier: BSD-3-Clause */
/* Buckets under deltas: they split, become empty, and answer for the same hashes as before. */
#include "delta_help.h"

#define MANY 2000
#define LARGE 20000

/*! A list of changes or rows that grows. */
typedef struct {
	char *text;
	size_t length;
	FILE *stream;
} script_t;

static void script_begin(script_t *script)
{
	script->stream = open_memstream(&script->text, &script->length);
	assert_non_null(script->stream);
}

static const char *script_end(script_t *script)
{
	assert_int_equal(fclose(script->stream), 0);
	return script->text;
}

static void load_many(site_t *site, unsigned count)
{
	script_t script;
	script_begin(&script);
	for (unsigned i = 0; i < count; i++) {
		fprintf(script.stream, "d%u.cn p filed %u\n", i, i);
	}
	load_rows(site, script_end(&script));
	free(script.text);
}

static void apply_script(site_t *site, script_t *script)
{
	apply_text(site, script_end(script));
	free(script->text);
}

/*! Counts the rows of "d0.cn" to "d(COUNT-1).cn", each looked up. */
static unsigned find_all(const site_t *site, unsigned count)
{
	icp_reader_t reader = open_current(site);
	unsigned found = 0;
	for (unsigned i = 0; i < count; i++) {
		char name[32];
		snprintf(name, sizeof name, "d%u.cn", i);
		found += (unsigned)find_rows(&reader, name)->count;
	}
	close_current(&reader);
	return found;
}

/*! Which bucket of a store; what a walk over them looks for. */
typedef struct {
	unsigned wanted;
	unsigned at;
	FILE *deletes;
	unsigned nodes;
} pick_t;

static int pick_bucket(uint64_t key, const uint8_t *bucket, size_t length, void *context)
{
	pick_t *pick = context;
	size_t count;
	(void)key;
	assert_int_equal(icp_bucket_open(bucket, length, &count), ICP_EOK);
	for (size_t i = 0; pick->at == pick->wanted && i < count; i++) {
		icp_node_t node;
		icp_name_t name;
		char text[ICP_NAME_TEXT_MAX];
		assert_int_equal(icp_bucket_node(bucket, length, i, &node), ICP_EOK);
		assert_int_equal(icp_name_from_stored(&name, node.name, node.name_length), ICP_EOK);
		icp_name_format(&name, text);
		fprintf(pick->deletes, "- %s p\n", text);
		pick->nodes++;
	}
	pick->at++;
	return ICP_EOK;
}

/*! Deletes all that one bucket holds. Returns how many nodes that were. */
static unsigned empty_bucket(site_t *site, unsigned number)
{
	script_t script;
	script_begin(&script);
	pick_t pick = {.wanted = number, .deletes = script.stream};
	icp_reader_t reader = open_current(site);
	assert_int_equal(icp_reader_each_bucket(&reader, pick_bucket, &pick), ICP_EOK);
	close_current(&reader);
	apply_script(site, &script);
	return pick.nodes;
}

static void test_a_bucket_becomes_empty(void **state)
{
	site_t *site = *state;
	load_many(site, MANY);
	unsigned buckets = (unsigned)assert_holds(site, NULL).buckets;
	unsigned left = MANY;
	assert_true(buckets > 10);
	const unsigned picked[] = {0, 1, buckets / 2, buckets - 1};
	for (size_t i = 0; i < COUNT(picked); i++) {
		unsigned nodes = empty_bucket(site, picked[i]);
		assert_true(nodes > 0);
		left -= nodes;
		icp_store_info_t info = assert_holds(site, NULL);
		/* It stays, as it answers for its hashes. */
		assert_int_equal(info.buckets, buckets);
		assert_int_equal(info.nodes, left);
		assert_int_equal(find_all(site, MANY), left);
	}
	/* And can be filled again. */
	script_t script;
	script_begin(&script);
	for (unsigned i = 0; i < MANY; i++) {
		fprintf(script.stream, "+ d%u.cn p filed %u\n", i, i);
	}
	apply_script(site, &script);
	assert_int_equal(assert_holds(site, NULL).rows, MANY);
	assert_int_equal(find_all(site, MANY), MANY);
}

static void test_every_bucket_becomes_empty(void **state)
{
	script_t script;
	load_many(*state, MANY);
	script_begin(&script);
	for (unsigned i = 0; i < MANY; i++) {
		fprintf(script.stream, "- d%u.cn p\n", i);
	}
	apply_script(*state, &script);
	icp_store_info_t info = assert_holds(*state, "");
	assert_int_equal(info.rows, 0);
	assert_int_equal(info.nodes, 0);
	assert_int_equal(info.digest, 0);
}

static void test_buckets_split(void **state)
{
	site_t *site = *state;
	load_many(site, MANY);
	uint64_t before = assert_holds(site, NULL).buckets;
	script_t script;
	script_begin(&script);
	/* Four rows more for each domain: nodes grow, and so do the buckets. */
	for (unsigned i = 0; i < MANY; i++) {
		for (unsigned p = 0; p < 4; p++) {
			fprintf(script.stream, "+ d%u.cn provider-%u filed %u\n", i, p, i);
		}
	}
	apply_script(site, &script);
	icp_store_info_t info = assert_holds(site, NULL);
	assert_true(info.buckets > 2 * before);
	assert_int_equal(find_all(site, MANY), 5 * MANY);
}

/*! One node that fills more than a page has a bucket to itself. */
static void test_a_node_of_many_pages(void **state)
{
	site_t *site = *state;
	load_many(site, MANY);
	for (unsigned round = 0; round < 3; round++) {
		script_t script;
		script_begin(&script);
		for (unsigned p = 0; p < 1000; p++) {
			fprintf(script.stream, "+ large.cn provider-%u filed %u\n", p, round);
		}
		apply_script(site, &script);
		icp_reader_t reader = open_current(site);
		assert_int_equal(find_rows(&reader, "large.cn")->count, 1000);
		close_current(&reader);
		assert_int_equal(assert_holds(site, NULL).rows, MANY + 1000);
		script_begin(&script);
		for (unsigned p = 0; p < 1000; p++) {
			fprintf(script.stream, "- large.cn provider-%u\n", p);
		}
		apply_script(site, &script);
		assert_int_equal(assert_holds(site, NULL).rows, MANY);
		assert_int_equal(find_all(site, MANY), MANY);
	}
}

static void test_a_large_delta(void **state)
{
	site_t *site = *state;
	script_t script;
	load_many(site, LARGE / 2);
	script_begin(&script);
	/* Half of them new, a quarter changed, a quarter gone. */
	for (unsigned i = 0; i < LARGE; i++) {
		if (i < LARGE / 4) {
			fprintf(script.stream, "- d%u.cn p\n", i);
		} else {
			fprintf(script.stream, "+ d%u.cn p changing %u\n", i, i);
		}
	}
	apply_script(site, &script);
	script_begin(&script);
	for (unsigned i = LARGE / 4; i < LARGE; i++) {
		fprintf(script.stream, "d%u.cn p changing %u\n", i, i);
	}
	icp_store_info_t info = assert_holds(site, NULL);
	site_t fresh = *site;
	snprintf(fresh.store, sizeof fresh.store, "%s/fresh", site->dir);
	load_rows(&fresh, script_end(&script));
	free(script.text);
	icp_store_info_t want = assert_holds(&fresh, NULL);
	assert_int_equal(info.rows, want.rows);
	assert_int_equal(info.nodes, want.nodes);
	assert_int_equal(info.digest, want.digest);
	assert_int_equal(find_all(site, LARGE), LARGE - LARGE / 4);
}

static void test_many_small_deltas(void **state)
{
	site_t *site = *state;
	load_many(site, MANY);
	for (unsigned i = 0; i < 300; i++) {
		char change[64];
		if (i % 3 == 0) {
			snprintf(change, sizeof change, "- d%u.cn p\n", i);
		} else {
			snprintf(change, sizeof change, "+ d%u.cn p changing %u\n", MANY - 150 + i,
				i);
		}
		apply_text(site, change);
		if (i % 50 == 49) {
			assert_holds(site, NULL);
		}
	}
	icp_store_info_t info = assert_holds(site, NULL);
	assert_int_equal(info.sequence, 300);
	assert_int_equal(info.generation, 1);
	/* 100 are gone; of the 200 upserted, those from 150 on are new. */
	assert_int_equal(info.rows, MANY - 100 + 100);
	assert_int_equal(find_all(site, MANY + 300), info.rows);
	/* Free pages are used anew. */
	icp_reader_t reader = open_current(site);
	uint64_t used = icp_tree_pages(&reader.buckets) + icp_tree_pages(&reader.deltas);
	assert_true(reader.pages.last < used + 100);
	close_current(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_a_bucket_becomes_empty),
		IN_SITE(test_every_bucket_becomes_empty),
		IN_SITE(test_buckets_split),
		IN_SITE(test_a_node_of_many_pages),
		IN_SITE(test_a_large_delta),
		IN_SITE(test_many_small_deltas),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* A reader that never gives back its snapshot: the store's size has a bound all the same. */
#include "delta_help.h"

#include <sys/stat.h>
#include <sys/wait.h>

#define NODES 4000
#define ENTITIES 12
#define PREFIXES 200
#define MIB ((uint64_t)1 << 20)
#define SPARE (64 * MIB) /*!< That a generation may have beside twice what is in use. */

/*! Another process with a snapshot: in this one, LMDB would take the slot for its own. */
typedef struct {
	pid_t pid;
	int to;
	int from;
} holder_t;

static void hold(const site_t *site, int from, int to)
{
	icp_reader_t reader;
	icp_diag_t diag;
	char octet = 'r';
	icp_store_t *store;
	if (icp_store_open(&store, site->store, &diag) != ICP_EOK ||
		icp_reader_init(&reader, store, &diag) != ICP_EOK ||
		icp_reader_begin(&reader) != ICP_EOK || write(to, &octet, 1) != 1 ||
		read(from, &octet, 1) != 1) {
		_exit(2);
	}
	/* All this time nobody has touched what it sees. */
	_exit(icp_reader_verify(&reader, &diag) == ICP_EOK ? 0 : 1);
}

static holder_t start_holder(const site_t *site)
{
	int to[2];
	int from[2];
	char octet;
	assert_int_equal(pipe(to), 0);
	assert_int_equal(pipe(from), 0);
	holder_t holder = {.pid = fork(), .to = to[1], .from = from[0]};
	assert_true(holder.pid >= 0);
	if (holder.pid == 0) {
		close(to[1]);
		close(from[0]);
		hold(site, to[0], from[1]);
	}
	close(to[0]);
	close(from[1]);
	assert_int_equal(read(holder.from, &octet, 1), 1);
	return holder;
}

static void stop_holder(const holder_t *holder)
{
	int status;
	assert_int_equal(write(holder->to, "e", 1), 1);
	assert_int_equal(waitpid(holder->pid, &status, 0), holder->pid);
	close(holder->to);
	close(holder->from);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

/*! A feed whose nodes fill a page each, with a row of every entity. */
static void load_large(site_t *site)
{
	FILE *file = fopen(site->feed, "wb");
	assert_non_null(file);
	fputs(HEADER, file);
	for (unsigned i = 0; i < NODES; i++) {
		for (unsigned e = 0; e < ENTITIES; e++) {
			fprintf(file, "d%u.cn,p%u,filed,entity%02u号-%u,,,,", i, e, e, i);
			for (unsigned n = 0; e == 0 && n < PREFIXES; n++) {
				fprintf(file, "%s10.%u.%u.%u", n > 0 ? " " : "\"", n, i / 256,
					i % 256);
			}
			fputs(e == 0 ? "\"\n" : "\n", file);
		}
	}
	assert_int_equal(fclose(file), 0);
	assert_int_equal(load_file(site, site->feed, true), ICP_EOK);
}

/*! A few octets that change every node. */
static icp_delta_result_t deregister(site_t *site, unsigned entity)
{
	char change[64];
	snprintf(change, sizeof change, "! entity%02u号\n", entity);
	return apply_text(site, change);
}

static uint64_t size_of(const site_t *site, unsigned number)
{
	struct stat st;
	return stat(generation_path(site, number), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static uint64_t used_octets(const site_t *site)
{
	icp_reader_t reader = open_current(site);
	uint64_t pages = icp_tree_pages(&reader.buckets) + icp_tree_pages(&reader.deltas);
	uint64_t octets = pages * reader.pages.page_size;
	close_current(&reader);
	return octets;
}

static void test_a_reader_that_stays(void **state)
{
	site_t *site = *state;
	load_large(site);
	holder_t holder = start_holder(site);
	uint64_t last = 1;
	for (unsigned entity = 0; entity < ENTITIES; entity++) {
		icp_delta_result_t result = deregister(site, entity);
		assert_int_equal(result.lost, NODES);
		uint64_t used = used_octets(site);
		/* It may grow by one delta over the bound, which it is held to before each. */
		assert_true(
			size_of(site, (unsigned)result.info.generation) < 3 * used + SPARE + MIB);
		assert_true(result.info.generation == last || result.info.generation == last + 1);
		last = result.info.generation;
	}
	/* It was copied, once, as nobody holds the copy. */
	assert_int_equal(last, 2);
	stop_holder(&holder);
	icp_store_info_t info = assert_holds(site, NULL);
	assert_int_equal(info.sequence, ENTITIES);
	assert_int_equal(info.base, 0);
	/* The copy took the place of what it was made of: a rollback leads to another feed. */
	assert_int_equal(info.replaced, 0);
	assert_int_equal(info.rows, (uint64_t)NODES * ENTITIES);
	icp_rollback_result_t result;
	assert_int_equal(roll_back(site, &result), ICP_ENOSTORE);
}

/*! Without such a reader free pages are used anew, and no copy is made. */
static void test_no_reader(void **state)
{
	site_t *site = *state;
	load_large(site);
	uint64_t size = size_of(site, 1);
	for (unsigned entity = 0; entity < ENTITIES; entity++) {
		assert_int_equal(deregister(site, entity).info.generation, 1);
	}
	/* What was before, what is, and what will be. */
	assert_true(size_of(site, 1) < 3 * size + MIB);
	assert_holds(site, NULL);
}

/*! A change whose row is as long as can be. */
static void add_large_row(icp_changes_t *changes, unsigned n, unsigned round)
{
	static icp_prefix_t prefixes[ICP_LICENSED_MAX];
	sample_row_t sample;
	char line[64];
	snprintf(line, sizeof line, "l%u.cn p filed %u", n, round);
	sample_row(&sample, line);
	for (unsigned i = 0; i < ICP_LICENSED_MAX; i++) {
		prefixes[i] = (icp_prefix_t){.address = {.family = 6}, .length = 128};
		memcpy(prefixes[i].address.bytes, &n, sizeof n);
		prefixes[i].address.bytes[15] = (uint8_t)i;
	}
	sample.row.licensed = prefixes;
	sample.row.licensed_count = ICP_LICENSED_MAX;
	const icp_change_t change = {.op = ICP_OP_UPSERT, .name = sample.name, .row = sample.row};
	assert_int_equal(icp_changes_add(changes, &change), ICP_EOK);
}

/*! What is in use grows as fast as what is held: the end of the map is reached first. */
static void test_the_map_is_full(void **state)
{
	site_t *site = *state;
	load_rows(site, "a.cn p filed 1\n");
	holder_t holder = start_holder(site);
	uint64_t generation = 1;
	for (unsigned round = 1; generation == 1; round++) {
		icp_delta_result_t result;
		icp_changes_t *changes = icp_changes_create();
		for (unsigned n = 0; n < 6000; n++) {
			add_large_row(changes, n, round);
		}
		int ret = apply_changes(site, changes, &result);
		assert_string_equal(site->diag.text, "");
		assert_int_equal(ret, ICP_EOK);
		icp_changes_destroy(changes);
		generation = result.info.generation;
		assert_int_equal(result.info.sequence, round);
		assert_int_equal(result.gained, round == 1 ? 6000 : 0);
		assert_true(round < 12);
	}
	stop_holder(&holder);
	icp_store_info_t info = assert_holds(site, NULL);
	assert_int_equal(info.rows, 6001);
	/* Nor is the copy full at once. */
	assert_int_equal(apply_text(site, "- a.cn p\n").info.generation, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_a_reader_that_stays),
		IN_SITE(test_no_reader),
		IN_SITE(test_the_map_is_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

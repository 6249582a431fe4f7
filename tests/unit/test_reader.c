/* SPDX-License-Identifier: BSD-3-Clause */
/* Readers that find buckets in the tree, and by a directory once there is one. */
#include "tests/unit/delta_help.h"

#include <fcntl.h>

#include "core/store_private.h"

static void assert_filed(icp_reader_t *reader, const char *text, bool filed)
{
	assert_int_equal(find_rows(reader, text)->count, filed);
}

/*! Asks for all domains. */
static void ask_all(icp_reader_t *reader, bool turn)
{
	assert_filed(reader, "filed.example", true);
	assert_filed(reader, "www.turn.example", turn);
	assert_filed(reader, "unfiled.example", false);
	for (unsigned i = 0; i < FILLERS; i++) {
		char text[64];
		snprintf(text, sizeof text, "filler%u.example", i);
		assert_filed(reader, text, true);
	}
}

static icp_reader_t another(icp_reader_t *reader)
{
	icp_reader_t other;
	assert_int_equal(icp_reader_init(&other, reader->store, NULL), ICP_EOK);
	assert_int_equal(icp_reader_begin(&other), ICP_EOK);
	return other;
}

static void one_directory_is_made_for_all(void **state)
{
	load_fillers(*state);
	icp_reader_t one = open_current(*state);
	icp_reader_t other = another(&one);
	assert_true(one.buckets.entries > 4);
	assert_null(one.directory);
	ask_all(&one, true);
	assert_non_null(one.directory);
	assert_null(other.directory);
	ask_all(&other, true);
	assert_ptr_equal(other.directory, one.directory);
	close_current(&other);
	ask_all(&one, true);
	close_current(&one);
}

/*! A tree that leads nowhere shows who searches it: with a directory, for a bucket's highest node.
 */
static void the_directory_is_used(void **state)
{
	load_fillers(*state);
	icp_reader_t reader = open_current(*state);
	ask_all(&reader, true);
	reader.buckets.root = 1;
	unsigned found = 0;
	for (unsigned i = 0; i < FILLERS; i++) {
		char text[64];
		icp_name_t name;
		snprintf(text, sizeof text, "filler%u.example", i);
		assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
		found += icp_reader_find(&reader, &name) == ICP_EOK;
	}
	assert_in_range(found, FILLERS - 2 * reader.buckets.entries, FILLERS);
	close_current(&reader);
}

static void a_directory_is_made_when_it_pays(void **state)
{
	load_fillers(*state);
	icp_reader_t reader = open_current(*state);
	/* Of which there is none in the end, as the tree has not so many. */
	reader.buckets.entries = 160;
	for (unsigned i = 1; i <= 10; i++) {
		assert_filed(&reader, "filed.example", true);
		assert_int_equal(reader.searches, i);
	}
	assert_filed(&reader, "filed.example", true);
	assert_int_equal(reader.searches, 0);
	assert_null(reader.directory);
	close_current(&reader);
}

static void a_directory_is_of_one_commit(void **state)
{
	load_fillers(*state);
	icp_reader_t one = open_current(*state);
	icp_reader_t kept = another(&one);
	icp_reader_t late = another(&one);
	ask_all(&one, true);
	ask_all(&kept, true);
	uint64_t before = icp_directory_txn(one.directory);
	wait_for(begin_commits(*state, 1));
	ask_all(&one, true);
	assert_int_equal(icp_directory_txn(one.directory), before);

	icp_reader_end(&one);
	assert_int_equal(icp_reader_begin(&one), ICP_EOK);
	assert_null(one.directory);
	ask_all(&one, false);
	assert_int_equal(icp_directory_txn(one.directory), before + 1);

	/* Those of the commit before go on with theirs, or without. */
	ask_all(&kept, true);
	assert_int_equal(icp_directory_txn(kept.directory), before);
	ask_all(&late, true);
	assert_null(late.directory);
	assert_int_equal(icp_directory_txn(one.store->directory), before + 1);
	close_current(&late);
	close_current(&kept);
	close_current(&one);
}

static void without_slots_there_is_none(void **state)
{
	icp_store_t *store;
	icp_reader_t reader;
	load_fillers(*state);
	assert_int_equal(icp_store_open_slotless(&store, ((site_t *)*state)->store, NULL), ICP_EOK);
	assert_int_equal(icp_reader_init(&reader, store, NULL), ICP_EOK);
	icp_store_unref(store);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	ask_all(&reader, true);
	assert_null(reader.directory);
	close_current(&reader);
}

/*! What the kernel says of the maps of a generation. */
static bool a_map_has_flag(const char *flag)
{
	char line[512];
	bool in_map = false;
	bool found = false;
	FILE *file = fopen("/proc/self/smaps", "r");
	assert_non_null(file);
	while (fgets(line, sizeof line, file) != NULL) {
		const char *colon = strchr(line, ':');
		const char *space = strchr(line, ' ');
		if (colon == NULL || (space != NULL && space < colon)) {
			in_map = strstr(line, ".mdb\n") != NULL;
		} else if (in_map && strncmp(line, "VmFlags:", 8) == 0) {
			found |= strstr(line, flag) != NULL;
		}
	}
	fclose(file);
	return found;
}

/*! By who reads all of it alone: some kernels give a file in huge pages up when it is written to.
 */
static void huge_pages_are_asked_for_a_while(void **state)
{
	if (access("/sys/kernel/mm/transparent_hugepage", F_OK) != 0) {
		skip();
	}
	load_fillers(*state);
	icp_reader_t reader = open_current(*state);
	assert_false(a_map_has_flag(" hg "));
	icp_store_read_large(reader.store, true);
	assert_true(a_map_has_flag(" hg "));
	icp_store_read_large(reader.store, false);
	assert_false(a_map_has_flag(" hg "));
	close_current(&reader);
}

/*! Octets that were fetched from disks for this process. */
static uint64_t read_so_far(void)
{
	static const char key[] = "read_bytes:";
	char line[128];
	uint64_t octets = 0;
	FILE *file = fopen("/proc/self/io", "r");
	while (file != NULL && fgets(line, sizeof line, file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0) {
			octets = strtoull(line + strlen(key), NULL, 10);
		}
	}
	if (file != NULL) {
		fclose(file);
	}
	return octets;
}

/*! Whether what was written to a file of the site can be given up, and is then read from a disk. */
static bool is_on_a_disk(const site_t *site)
{
	static char octets[65536];
	int fd = open(in_dir(site, "probe"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, octets, sizeof octets), sizeof octets);
	assert_int_equal(fsync(fd), 0);
	(void)posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	uint64_t before = read_so_far();
	assert_int_equal(pread(fd, octets, sizeof octets, 0), sizeof octets);
	close(fd);
	return read_so_far() - before >= sizeof octets;
}

static void a_new_generation_is_read_from_the_disk(void **state)
{
	const site_t *site = *state;
	if (!is_on_a_disk(site)) {
		skip();
	}
	uint64_t before = read_so_far();
	load_fillers(*state);
	uint64_t read = read_so_far() - before;
	icp_reader_t reader = open_current(*state);
	assert_true(read >= icp_store_size(reader.store));
	close_current(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			huge_pages_are_asked_for_a_while, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_new_generation_is_read_from_the_disk, set_up, tear_down),
		cmocka_unit_test_setup_teardown(one_directory_is_made_for_all, set_up, tear_down),
		cmocka_unit_test_setup_teardown(the_directory_is_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_directory_is_made_when_it_pays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_directory_is_of_one_commit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(without_slots_there_is_none, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* What a generation says of itself, and meta pages that say another thing. */
#include "tests/unit/loader_help.h"

#include <lmdb.h>
#include <sys/stat.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/time.h"
#include "loader/writer.h"

#define PAGE 4096
#define MAP_OCTETS ((size_t)1 << 20)
#define AT_TXN 144

static const icp_store_info_t sample = {
	.generation = 7,
	.sequence = 12,
	.base = 10,
	.rows = 123,
	.nodes = 150,
	.buckets = 3,
	.as_of = 1795449600,
	.created_at = 1795449601,
	.digest = UINT64_C(0xfedcba9876543210),
	.map_size = MAP_OCTETS,
	.replaced = 6,
	.superseded = 8,
	.source = "full-2026-11-20.csv",
};

/*! The octets of an environment, and its last commit. */
typedef struct {
	uint8_t *octets;
	size_t size;
	icp_pages_t pages;
} image_t;

static void read_octets(const char *path, image_t *image)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	image->size = (size_t)ftell(file);
	rewind(file);
	image->octets = malloc(image->size);
	assert_non_null(image->octets);
	assert_int_equal(fread(image->octets, 1, image->size, file), image->size);
	fclose(file);
}

/*! Writes an environment that holds these entries alone, or without any those of an info. */
static image_t write_meta(
	const site_t *site, const icp_info_entry_t *entries, size_t count, icp_store_info_t *info)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	image_t image;
	const char *path = in_dir(site, "m.mdb");
	(void)unlink(path);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 1), 0);
	assert_int_equal(mdb_env_set_mapsize(env, MAP_OCTETS), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOSYNC, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, ICP_STORE_META, MDB_CREATE, &meta), 0);
	for (size_t i = 0; i < count; i++) {
		MDB_val key = {strlen(entries[i].key), (void *)entries[i].key};
		MDB_val value = {strlen(entries[i].value), (void *)entries[i].value};
		assert_int_equal(mdb_put(txn, meta, &key, &value, 0), 0);
	}
	if (count == 0) {
		assert_int_equal(icp_writer_put_info(txn, meta, info), 0);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
	read_octets(path, &image);
	/* The first commit goes to the second meta page. */
	assert_int_equal(icp_pages_meta(&image.pages, image.octets + PAGE, 1, image.size), ICP_EOK);
	image.pages.map = image.octets;
	return image;
}

static bool same_info(const icp_store_info_t *a, const icp_store_info_t *b)
{
	return memcmp(a, b, offsetof(icp_store_info_t, source)) == 0 &&
	       strcmp(a->source, b->source) == 0;
}

static void what_is_written_is_read(void **state)
{
	icp_store_info_t read;
	icp_store_info_t info = sample;
	image_t image = write_meta(*state, NULL, 0, &info);
	assert_int_equal(info.commit, 1);
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EOK);
	assert_true(same_info(&read, &info));
	free(image.octets);

	print_message("  without what is optional\n");
	info = (icp_store_info_t){.as_of = INT64_MIN, .created_at = -1, .map_size = MAP_OCTETS};
	image = write_meta(*state, NULL, 0, &info);
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EOK);
	assert_true(same_info(&read, &info));
	free(image.octets);

	print_message("  with the longest name\n");
	memset(info.source, 's', sizeof info.source - 1);
	image = write_meta(*state, NULL, 0, &info);
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EOK);
	assert_true(same_info(&read, &info));
	free(image.octets);
}

/*! A change is refused, or does not change what is said. */
static void every_octet_counts(void **state)
{
	icp_store_info_t info = sample;
	image_t image = write_meta(*state, NULL, 0, &info);
	icp_tree_t tree;
	unsigned refused = 0;
	assert_int_equal(icp_pages_tree(&image.pages, ICP_STORE_META, &tree), 1);
	uint8_t *leaf = image.octets + tree.root * PAGE;
	for (size_t i = 0; i < PAGE; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			icp_store_info_t read;
			leaf[i] ^= (uint8_t)(1U << bit);
			int ret = icp_info_read(&read, &image.pages);
			assert_true(ret != ICP_EOK || same_info(&read, &info));
			refused += ret != ICP_EOK;
			leaf[i] ^= (uint8_t)(1U << bit);
		}
	}
	/* All but the page's padding and what is free on it. */
	assert_true(refused > 8 * 300);
	free(image.octets);
}

static void entries_of_another_commit_are_refused(void **state)
{
	icp_store_info_t read;
	icp_store_info_t info = sample;
	image_t image = write_meta(*state, NULL, 0, &info);
	image.pages.txn++;
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EDAMAGED);
	image.pages.txn--;
	image.pages.map_size += PAGE;
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EDAMAGED);
	image.pages.map_size -= PAGE;
	assert_int_equal(icp_info_read(&read, &image.pages), ICP_EOK);
	free(image.octets);
}

static int by_key(const void *a, const void *b)
{
	return strcmp(((const icp_info_entry_t *)a)->key, ((const icp_info_entry_t *)b)->key);
}

/*! Seals entries, the last of which is the seal. */
static void seal(icp_info_entry_t *entries, size_t count)
{
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	qsort(entries, count - 1, sizeof *entries, by_key);
	for (size_t i = 0; i < count - 1; i++) {
		XXH3_64bits_update(&state, entries[i].key, strlen(entries[i].key) + 1);
		XXH3_64bits_update(&state, entries[i].value, strlen(entries[i].value) + 1);
	}
	snprintf(entries[count - 1].value, ICP_SOURCE_MAX, "%016llx",
		(unsigned long long)XXH3_64bits_digest(&state));
}

/*! Writes sealed entries of which one has another value, or is left out for NULL. */
static int read_with(const site_t *site, const char *key, const char *value)
{
	icp_info_entry_t entries[ICP_INFO_ENTRIES];
	icp_store_info_t read;
	icp_store_info_t info = sample;
	info.commit = 1;
	size_t count = icp_info_entries(&info, entries);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(entries[i].key, key) != 0) {
			continue;
		}
		if (value != NULL) {
			snprintf(entries[i].value, ICP_SOURCE_MAX, "%s", value);
		} else {
			memmove(&entries[i], &entries[i + 1], (count - i - 1) * sizeof *entries);
			count--;
		}
		break;
	}
	if (strcmp(key, "seal") != 0) {
		seal(entries, count);
	}
	image_t image = write_meta(site, entries, count, NULL);
	int ret = icp_info_read(&read, &image.pages);
	free(image.octets);
	return ret;
}

static void what_is_sealed_must_make_sense(void **state)
{
	static const struct {
		const char *key;
		const char *value;
		int ret;
	} cases[] = {
		{"rows", "123", ICP_EOK},
		{"format", "1", ICP_EVERSION},
		{"format", "3", ICP_EVERSION},
		{"format", "0", ICP_EDAMAGED},
		{"format", "-2", ICP_EDAMAGED},
		{"format", "two", ICP_EDAMAGED},
		{"format", NULL, ICP_EDAMAGED},
		{"seal", NULL, ICP_EDAMAGED},
		{"seal", "0000000000000000", ICP_EDAMAGED},
		{"seal", "00000000000000000000000000000000", ICP_EDAMAGED},
		{"rows", "", ICP_EDAMAGED},
		{"rows", "1x", ICP_EDAMAGED},
		{"rows", "99999999999999999999", ICP_EDAMAGED},
		{"rows", "0000000000000000000000001", ICP_EDAMAGED},
		{"commit", "2", ICP_EDAMAGED},
		{"map_size", "4096", ICP_EDAMAGED},
		{"as_of", NULL, ICP_EOK},
		{"replaced", NULL, ICP_EOK},
		{"superseded", NULL, ICP_EOK},
		{"base", NULL, ICP_EDAMAGED},
		{"buckets", NULL, ICP_EDAMAGED},
		{"commit", NULL, ICP_EDAMAGED},
		{"created_at", NULL, ICP_EDAMAGED},
		{"digest", NULL, ICP_EDAMAGED},
		{"generation", NULL, ICP_EDAMAGED},
		{"map_size", NULL, ICP_EDAMAGED},
		{"nodes", NULL, ICP_EDAMAGED},
		{"rows", NULL, ICP_EDAMAGED},
		{"sequence", NULL, ICP_EDAMAGED},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("  %s: %s\n", cases[i].key,
			cases[i].value != NULL ? cases[i].value : "none");
		assert_int_equal(read_with(*state, cases[i].key, cases[i].value), cases[i].ret);
	}
}

/*! A commit as the loader makes one. */
static void commit_again(const char *path, const icp_store_info_t *info)
{
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi meta;
	icp_store_info_t next = *info;
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 1), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0644), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, ICP_STORE_META, 0, &meta), 0);
	assert_int_equal(icp_writer_put_info(txn, meta, &next), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

/*! Writes a file anew and opens it as a generation. */
static int open_image(const char *path, const image_t *image, icp_store_info_t *info)
{
	char lock[600];
	icp_store_t *store;
	icp_reader_t reader;
	icp_diag_t diag = {""};
	snprintf(lock, sizeof lock, "%s-lock", path);
	(void)unlink(lock);
	write_octets(path, image->octets, image->size);
	int ret = icp_store_open_file(&store, path, &diag);
	if (ret != ICP_EOK) {
		assert_int_equal(strncmp(diag.text, path, strlen(path)), 0);
		return ret;
	}
	assert_int_equal(icp_reader_init(&reader, store, NULL), ICP_EOK);
	icp_store_unref(store);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	*info = reader.info;
	close_current(&reader);
	return ICP_EOK;
}

/*
 * LMDB believes the meta page with the larger number, whatever it is: with one bit wrong, the
 * commit before would be served.
 */
static void meta_pages_that_lie(void **state)
{
	site_t *site = *state;
	char path[512];
	image_t image = {.octets = NULL};
	icp_store_info_t info;
	icp_store_info_t read = sample;
	assert_int_equal(load_text(site, HEADER ROW("a.example")), ICP_EOK);
	icp_reader_t reader = open_current(site);
	info = reader.info;
	close_current(&reader);
	snprintf(path, sizeof path, "%s/" ICP_STORE_GENERATIONS "/0000000001.mdb", site->store);
	for (unsigned round = 0; round < 4; round++) {
		info.sequence++;
		commit_again(path, &info);
		read_octets(path, &image);
		assert_int_equal(open_image(path, &image, &read), ICP_EOK);
		assert_int_equal(read.sequence, info.sequence);
		for (unsigned bit = 0; bit < 2 * 64; bit++) {
			uint8_t *octet =
				image.octets + bit / 64 * (size_t)PAGE + AT_TXN + bit % 64 / 8;
			*octet ^= (uint8_t)(1U << bit % 8);
			assert_int_equal(open_image(path, &image, &read), ICP_EDAMAGED);
			*octet ^= (uint8_t)(1U << bit % 8);
		}
		write_octets(path, image.octets, image.size);
		free(image.octets);
	}
}

/* Whatever else is wrong in them: the generation is as it was, or is refused. */
static void every_octet_of_a_meta_page(void **state)
{
	site_t *site = *state;
	char path[512];
	image_t image;
	icp_store_info_t info;
	assert_int_equal(load_text(site, HEADER ROW("a.example")), ICP_EOK);
	icp_reader_t reader = open_current(site);
	info = reader.info;
	close_current(&reader);
	snprintf(path, sizeof path, "%s/" ICP_STORE_GENERATIONS "/0000000001.mdb", site->store);
	read_octets(path, &image);
	for (size_t i = 0; i < (size_t)2 * ICP_PAGES_META_SIZE; i++) {
		uint8_t *octet =
			image.octets + i / ICP_PAGES_META_SIZE * PAGE + i % ICP_PAGES_META_SIZE;
		for (unsigned bit = 0; bit < 8; bit++) {
			icp_store_info_t read;
			*octet ^= (uint8_t)(1U << bit);
			int ret = open_image(path, &image, &read);
			assert_true(ret == ICP_EOK ? same_info(&read, &info)
						   : ret == ICP_EDAMAGED || ret == ICP_EVERSION);
			*octet ^= (uint8_t)(1U << bit);
		}
	}
	free(image.octets);
}

static void age_is_never_negative(void **state)
{
	icp_store_info_t info = {.as_of = 1000, .created_at = 3000};
	(void)state;
	assert_int_equal(icp_info_age(&info, 4000), 3000);
	assert_int_equal(icp_info_age(&info, 1000), 0);
	assert_int_equal(icp_info_age(&info, 999), 0);
	info.as_of = ICP_TIME_NONE;
	assert_int_equal(icp_info_age(&info, 4000), 1000);
	assert_int_equal(icp_info_age(&info, 2000), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(what_is_written_is_read),
		IN_SITE(every_octet_counts),
		IN_SITE(entries_of_another_commit_are_refused),
		IN_SITE(what_is_sealed_must_make_sense),
		IN_SITE(meta_pages_that_lie),
		IN_SITE(every_octet_of_a_meta_page),
		cmocka_unit_test(age_is_never_negative),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

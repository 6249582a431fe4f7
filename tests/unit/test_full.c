/* SPDX-License-Identifier: BSD-3-Clause */
/* Loading of full feeds: the manifest, the new generation, and the store on failure. */
#include "tests/unit/loader_help.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/time.h"
#include "loader/status.h"
#include "loader/writer.h"

#define SEQUENCE "\"sequence\":7,"
#define AS_OF "\"as_of\":\"2026-11-20T12:00:00+08:00\","
#define ROWS "\"rows\":1,"
#define SHA "\"sha256\":\"%s\""

/*! Writes the manifest of a feed; "%s" in it becomes the feed's SHA-256. */
#define MANY 8000

static void write_manifest(const site_t *site, const char *feed, const char *format)
{
	static char octets[1 << 20];
	uint8_t digest[32];
	char hex[65];
	char text[1024];
	FILE *file = fopen(feed, "rb");
	assert_non_null(file);
	size_t length = fread(octets, 1, sizeof octets, file);
	fclose(file);
	assert_int_equal(EVP_Digest(octets, length, digest, NULL, EVP_sha256(), NULL), 1);
	for (size_t i = 0; i < sizeof digest; i++) {
		snprintf(hex + 2 * i, 3, "%02X", digest[i]);
	}
	const char *place = strstr(format, "%s");
	snprintf(text, sizeof text, "%.*s%s%s",
		place != NULL ? (int)(place - format) : (int)strlen(format), format,
		place != NULL ? hex : "", place != NULL ? place + 2 : "");
	write_text(in_dir(site, "f.csv.json"), text);
}

/*! A manifest that fits, with this sequence. */
static void write_good_manifest(const site_t *site, unsigned sequence, unsigned rows)
{
	char format[300];
	snprintf(format, sizeof format,
		"{\"kind\":\"full\",\"sequence\":%u," AS_OF "\"rows\":%u,%s", sequence, rows,
		SHA "}");
	write_manifest(site, site->feed, format);
}

static void test_manifest_refused(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *diag;
	} cases[] = {
		{"empty", "", ":1: '[' or '{' expected near end of file"},
		{"list", "[]", ": not a JSON object"},
		{"key twice", "{\"kind\":\"full\",\"kind\":\"full\"}",
			":1: duplicate object key near '\"kind\"'"},
		{"key not known", "{\"kind\":\"full\"," SEQUENCE AS_OF ROWS SHA ",\"row\":1}",
			": row: key is not known"},
		{"no kind", "{" SEQUENCE AS_OF ROWS SHA "}", ": kind: key is missing"},
		{"no sequence", "{\"kind\":\"full\"," AS_OF ROWS SHA "}",
			": sequence: key is missing"},
		{"no as_of", "{\"kind\":\"full\"," SEQUENCE ROWS SHA "}",
			": as_of: key is missing"},
		{"no rows", "{\"kind\":\"full\"," SEQUENCE AS_OF SHA "}", ": rows: key is missing"},
		{"no sha256", "{\"kind\":\"full\"," SEQUENCE AS_OF "\"rows\":1}",
			": sha256: key is missing"},
		{"other kind", "{\"kind\":\"Full\"," SEQUENCE AS_OF ROWS SHA "}",
			": kind: not \"full\" or \"delta\""},
		{"kind of another type", "{\"kind\":1," SEQUENCE AS_OF ROWS SHA "}",
			": kind: not \"full\" or \"delta\""},
		{"delta", "{\"kind\":\"delta\"," SEQUENCE AS_OF ROWS SHA "}",
			": kind: delta, not a full feed"},
		{"negative", "{\"kind\":\"full\",\"sequence\":-1," AS_OF ROWS SHA "}",
			": sequence: not an integer from 0 on"},
		{"text", "{\"kind\":\"full\",\"sequence\":\"7\"," AS_OF ROWS SHA "}",
			": sequence: not an integer from 0 on"},
		{"fraction", "{\"kind\":\"full\"," SEQUENCE AS_OF "\"rows\":1.0," SHA "}",
			": rows: not an integer from 0 on"},
		{"too large",
			"{\"kind\":\"full\",\"sequence\":9223372036854775808," AS_OF ROWS SHA "}",
			":1: too big integer near '9223372036854775808'"},
		{"no time", "{\"kind\":\"full\"," SEQUENCE "\"as_of\":\"today\"," ROWS SHA "}",
			": as_of: not an RFC 3339 time or a date"},
		{"time as a number", "{\"kind\":\"full\"," SEQUENCE "\"as_of\":1," ROWS SHA "}",
			": as_of: not an RFC 3339 time or a date"},
		{"short digest", "{\"kind\":\"full\"," SEQUENCE AS_OF ROWS "\"sha256\":\"00\"}",
			": sha256: not 64 hexadecimal digits"},
		{"digest not hexadecimal",
			"{\"kind\":\"full\"," SEQUENCE AS_OF ROWS
			"\"sha256\":\"g0000000000000000000000000000000"
			"00000000000000000000000000000000\"}",
			": sha256: not 64 hexadecimal digits"},
		{"other digest",
			"{\"kind\":\"full\"," SEQUENCE AS_OF ROWS
			"\"sha256\":\"00000000000000000000000000000000"
			"00000000000000000000000000000000\"}",
			": sha256: the feed has "
			"052785277936f99ebc987f01244a620e3e9979fb1ada0ef41ce254f8fa2e4376"},
		{"other rows", "{\"kind\":\"full\"," SEQUENCE AS_OF "\"rows\":2," SHA "}",
			": rows: 2 given, the feed has 1"},
	};
	site_t *site = *state;
	write_text(site->feed, HEADER ROW("a.com"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("  %s\n", cases[i].name);
		write_manifest(site, site->feed, cases[i].text);
		/* A manifest that is there counts, even where it is not asked for. */
		assert_int_equal(load_file(site, site->feed, true), ICP_EFEED);
		assert_says(site, "f.csv.json", cases[i].diag);
	}
	assert_int_equal(unlink(in_dir(site, "f.csv.json")), 0);
	assert_int_equal(load_file(site, site->feed, false), ICP_EFEED);
	assert_says(site, "f.csv.json", ": No such file or directory");
}

static void test_manifest_taken(void **state)
{
	site_t *site = *state;
	write_text(site->feed, HEADER ROW("a.com"));
	write_good_manifest(site, 7, 1);
	assert_int_equal(load_file(site, site->feed, false), ICP_EOK);
	assert_int_equal(site->result.info.sequence, 7);
	assert_int_equal(site->result.info.as_of, 1795147200);

	/* The same again is fine; an older one is not; none leaves the sequence as it is. */
	assert_int_equal(load_file(site, site->feed, false), ICP_EOK);
	assert_int_equal(site->result.info.generation, 2);
	write_good_manifest(site, 6, 1);
	assert_int_equal(load_file(site, site->feed, false), ICP_EGUARD);
	assert_says(site, "f.csv",
		": sequence 6 is older than 7, that of the current generation's full feed");
	assert_int_equal(unlink(in_dir(site, "f.csv.json")), 0);
	assert_int_equal(load_file(site, site->feed, true), ICP_EOK);

	icp_store_info_t info;
	uint64_t size;
	assert_int_equal(icp_generations_info(site->store, 0, &info, &size, NULL), ICP_EOK);
	assert_int_equal(info.generation, 3);
	assert_int_equal(info.sequence, 7);
	assert_int_equal(info.created_at, NOW);
	assert_true(info.as_of == ICP_TIME_NONE);
}

/*! The manifest is that of the name without its suffix, and its digest that of the stored file. */
static void test_manifest_of_compressed(void **state)
{
	static uint8_t octets[65536];
	site_t *site = *state;
	size_t length =
		compress_text(ARCHIVE_FILTER_ZSTD, HEADER ROW("a.com"), octets, sizeof octets);
	snprintf(site->feed, sizeof site->feed, "%s/f.csv.zst", site->dir);
	write_octets(site->feed, octets, length);
	write_good_manifest(site, 3, 1);
	assert_int_equal(load_file(site, site->feed, false), ICP_EOK);
	assert_int_equal(site->result.info.sequence, 3);
}

/*! Parents are there, marked, and counted; rows of a name lie by provider. */
static void test_nodes(void **state)
{
	site_t *site = *state;
	assert_int_equal(
		load_text(site,
			HEADER ROW("a.b.c.example.com") ROW("x.b.c.example.com")
				ROW("c.example.com") "c.example.com,acloud,pending,,,,,\n" ROW(
					"other.com")),
		ICP_EOK);
	assert_int_equal(site->result.info.rows, 5);
	assert_int_equal(site->result.domains, 4);
	assert_int_equal(site->result.info.nodes, 6);

	static const struct {
		const char *name;
		int found;
		unsigned rows;
		bool below;
	} cases[] = {
		{"\007example\003com", 1, 0, true},
		{"\001c\007example\003com", 1, 2, true},
		{"\001b\001c\007example\003com", 1, 0, true},
		{"\001a\001b\001c\007example\003com", 1, 1, false},
		{"\005other\003com", 1, 1, false},
		{"\003com", 0, 0, false},
		{"\001d\007example\003com", 0, 0, false},
	};
	icp_reader_t reader = open_current(site);
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_node_t node;
		const uint8_t *name = (const uint8_t *)cases[i].name;
		assert_int_equal(icp_reader_find_node(&reader, name, strlen(cases[i].name), &node),
			cases[i].found);
		if (cases[i].found == 1) {
			assert_int_equal(node.row_count, cases[i].rows);
			assert_int_equal(node.below, cases[i].below);
		}
	}
	const icp_rows_t *rows = find_rows(&reader, "www.a.b.c.example.com");
	assert_int_equal(rows->count, 3);
	assert_memory_equal(rows->items[0].provider, "acloud", 6);
	assert_memory_equal(rows->items[1].provider, "qcloud", 6);
	assert_int_equal(icp_reader_verify(&reader, NULL), ICP_EOK);
	close_current(&reader);
}

/*! Enough rows for many buckets, transactions' ends aside; the names lie under one another too. */
static void test_many_rows(void **state)
{
	site_t *site = *state;
	FILE *file = fopen(site->feed, "w");
	assert_non_null(file);
	fputs("domain,provider,status,number\n", file);
	for (unsigned i = 0; i < 20000; i++) {
		fprintf(file, "n%u.g%u.com.cn,p%u,filed,%u\n", i / 2, i / 4, i % 2, i);
	}
	fclose(file);
	assert_int_equal(load_file(site, site->feed, true), ICP_EOK);
	assert_int_equal(site->result.domains, 10000);
	assert_int_equal(site->result.info.nodes, 10000 + 5000 + 1);
	assert_true(site->result.info.buckets > 50);

	icp_reader_t reader = open_current(site);
	for (unsigned i = 0; i < 20000; i += 2) {
		char name[64];
		char number[16];
		snprintf(name, sizeof name, "n%u.g%u.com.cn", i / 2, i / 4);
		const icp_rows_t *rows = find_rows(&reader, name);
		assert_int_equal(rows->count, 2);
		for (unsigned at = 0; at < 2; at++) {
			int length = snprintf(number, sizeof number, "%u", i + at);
			assert_int_equal(rows->items[at].number_length, length);
			assert_memory_equal(rows->items[at].number, number, (size_t)length);
		}
	}
	close_current(&reader);
}

static int check_bucket(uint64_t key, const uint8_t *bucket, size_t length, void *context)
{
	uint64_t *seen = context;
	size_t count;
	assert_int_equal(icp_bucket_open(bucket, length, &count), ICP_EOK);
	/* Three nodes share hash 1, and a lookup searches one bucket. */
	assert_int_equal(count, *seen == 1 ? 3 : 1);
	assert_true(key == *seen || key == UINT64_MAX);
	(*seen)++;
	return ICP_EOK;
}

/*! Large nodes, more than a transaction takes; some of one hash, as only chance makes them. */
static void test_writer(void **state)
{
	static const uint8_t node[3000] = {1, 'a'};
	const site_t *site = *state;
	const uint64_t last = 8200;
	icp_writer_t *writer;
	icp_store_t *store;
	icp_reader_t reader;
	icp_diag_t diag = {""};
	icp_store_info_t info = {.as_of = ICP_TIME_NONE};
	assert_int_equal(icp_writer_open(&writer, site->feed, last * sizeof node, &diag), ICP_EOK);
	for (uint64_t hash = 0; hash <= last; hash++) {
		for (unsigned i = 0; i < (hash == 1 ? 3 : 1); i++) {
			assert_int_equal(icp_writer_add(hash, node, sizeof node, writer), ICP_EOK);
		}
	}
	assert_int_equal(icp_writer_finish(writer, &info), ICP_EOK);
	icp_writer_close(writer);
	assert_int_equal(info.buckets, last + 1);

	uint64_t seen = 0;
	assert_int_equal(icp_store_open_file(&store, site->feed, NULL), ICP_EOK);
	assert_int_equal(icp_reader_init(&reader, store, NULL), ICP_EOK);
	icp_store_unref(store);
	assert_int_equal(icp_reader_begin(&reader), ICP_EOK);
	assert_int_equal(icp_reader_each_bucket(&reader, check_bucket, &seen), ICP_EOK);
	assert_int_equal(seen, last + 1);
	close_current(&reader);
}

/*! No rows is a feed too: what it does not hold is gone. */
static void test_no_rows(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER), ICP_EOK);
	assert_int_equal(site->result.info.nodes, 0);
	icp_reader_t reader = open_current(site);
	assert_int_equal(find_rows(&reader, "example.com")->count, 0);
	close_current(&reader);
}

static mode_t mode_of(const site_t *site, const char *name)
{
	struct stat st;
	assert_int_equal(stat(in_dir(site, name), &st), 0);
	return st.st_mode & 07777;
}

/*! Counts what is in the store's directory of generations. */
static unsigned count_files(const site_t *site)
{
	unsigned count = 0;
	DIR *directory = opendir(in_dir(site, "store/generations"));
	assert_non_null(directory);
	for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		count += entry->d_name[0] != '.';
	}
	closedir(directory);
	return count;
}

static void test_generations(void **state)
{
	site_t *site = *state;
	mode_t mask = umask(077);
	for (unsigned i = 1; i <= 5; i++) {
		assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
		assert_int_equal(site->result.info.generation, i);
		assert_int_equal(count_files(site), 2 * (i < 3 ? i : 3));
	}
	umask(mask);
	char target[64] = "";
	assert_true(readlink(in_dir(site, "store/current"), target, sizeof target - 1) > 0);
	assert_string_equal(target, "generations/0000000005.mdb");
	assert_int_equal(mode_of(site, "store"), 0755);
	assert_int_equal(mode_of(site, "store/generations"), 0755);
	assert_int_equal(mode_of(site, "store/generations/0000000005.mdb"), 0644);
	assert_int_equal(mode_of(site, "store/generations/0000000005.mdb-lock"), 0664);

	icp_status_t status;
	assert_int_equal(icp_status_read(&status, site->store, NULL), ICP_EOK);
	assert_int_equal(status.kept_count, 3);
	assert_int_equal(status.kept[0].number, 5);
	assert_int_equal(status.kept[2].number, 3);
	assert_true(status.kept[0].current && !status.kept[1].current);
	assert_int_equal(status.kept[0].size, site->result.size);
	assert_int_equal(icp_info_age(&status.info, NOW + 60), 60);
	icp_status_deinit(&status);
}

/*! What an interrupted run left is removed; what is not the loader's stays. */
static void test_leftovers(void **state)
{
	static const char *const gone[] = {
		"store/generations/0000000009.mdb.building",
		"store/generations/0000000009.mdb.building-lock",
		"store/generations/0000000008.mdb-lock",
		"store/current.tmp",
	};
	static const char *const kept[] = {
		"store/generations/note.txt",
		"store/generations/9.mdb.building",
	};
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	for (size_t i = 0; i < COUNT(gone); i++) {
		write_text(in_dir(site, gone[i]), "half");
	}
	for (size_t i = 0; i < COUNT(kept); i++) {
		write_text(in_dir(site, kept[i]), "mine");
	}
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	assert_int_equal(site->result.info.generation, 2);
	for (size_t i = 0; i < COUNT(gone); i++) {
		assert_int_not_equal(access(in_dir(site, gone[i]), F_OK), 0);
	}
	for (size_t i = 0; i < COUNT(kept); i++) {
		assert_int_equal(access(in_dir(site, kept[i]), F_OK), 0);
	}
}

/*! A failure at the last step but one takes the finished generation back. */
static void test_failure_changes_nothing(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	assert_int_equal(rename(in_dir(site, "store/current"), in_dir(site, "link")), 0);
	assert_int_equal(mkdir(in_dir(site, "store/current"), 0755), 0);
	write_text(in_dir(site, "store/current/x"), "");
	assert_int_not_equal(load_text(site, HEADER ROW("b.com")), ICP_EOK);
	assert_int_equal(count_files(site), 2);
	assert_int_not_equal(access(in_dir(site, "store/current.tmp"), F_OK), 0);

	write_text(in_dir(site, "other"), "");
	snprintf(site->store, sizeof site->store, "%s/other", site->dir);
	assert_int_equal(load_text(site, HEADER ROW("b.com")), ICP_ESYS);
	assert_says(site, "other", ": Not a directory");
	snprintf(site->store, sizeof site->store, "%s/no/parent", site->dir);
	assert_int_equal(load_text(site, HEADER ROW("b.com")), ICP_ESYS);
	assert_says(site, "no/parent", ": No such file or directory");
}

/*! A file that can't grow stands for a disk that is full: LMDB sees short writes either way. */
static void test_no_space(void **state)
{
	site_t *site = *state;
	struct rlimit limit;
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	char *text = malloc(sizeof HEADER + (size_t)MANY * 80);
	size_t length = (size_t)sprintf(text, "%s", HEADER);
	for (unsigned i = 0; i < MANY; i++) {
		length += (size_t)sprintf(text + length, "n%u.com,qcloud,filed,1,,,,\n", i);
	}
	write_text(site->feed, text);
	free(text);
	/* Enough for the lock file, not for so many rows. */
	struct rlimit less = {.rlim_cur = 200000, .rlim_max = limit.rlim_max};
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &less), 0);
	int ret = load_file(site, site->feed, true);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(ret, ICP_ESYS);
	assert_says(site, "store/generations/0000000002.mdb.building", ": File too large");
	assert_int_equal(count_files(site), 2);
	icp_reader_t reader = open_current(site);
	assert_int_equal(find_rows(&reader, "a.com")->count, 1);
	close_current(&reader);
}

static void test_damaged_current(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	assert_int_equal(truncate(in_dir(site, "store/generations/0000000001.mdb"), 4096), 0);
	assert_int_equal(load_text(site, HEADER ROW("b.com")), ICP_EOK);
	assert_non_null(strstr(last_notice, "; the feed is not compared with it"));
	assert_int_equal(site->result.info.generation, 2);
}

static void test_lock(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	int lock = open(in_dir(site, "store/lock"), O_RDWR);
	assert_int_equal(flock(lock, LOCK_EX), 0);
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EBUSY);
	assert_says(site, "store/lock", ": another loader holds the store");
	assert_int_equal(flock(lock, LOCK_UN), 0);
	assert_int_equal(load_text(site, HEADER ROW("a.com")), ICP_EOK);
	close(lock);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_manifest_refused),
		IN_SITE(test_manifest_taken),
		IN_SITE(test_manifest_of_compressed),
		IN_SITE(test_nodes),
		IN_SITE(test_many_rows),
		IN_SITE(test_writer),
		IN_SITE(test_no_rows),
		IN_SITE(test_generations),
		IN_SITE(test_leftovers),
		IN_SITE(test_failure_changes_nothing),
		IN_SITE(test_no_space),
		IN_SITE(test_damaged_current),
		IN_SITE(test_lock),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

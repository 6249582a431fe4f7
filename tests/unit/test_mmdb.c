/* SPDX-License-Identifier: BSD-3-Clause */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "db-tools/ranges_csv.h"
#include "tests/unit/mmdb_help.h"

#define EPOCH 1700000000
#define HEADER "prefix,country,provider\n"

static int compile(const files_t *files, const char *text, icp_diag_t *diag)
{
	icp_ranges_stats_t stats;
	write_octets(files->csv, text, strlen(text));
	return icp_ranges_compile(files->csv, files->out, EPOCH, &stats, diag);
}

static icp_mmdb_t *new_writer(void)
{
	icp_mmdb_t *mmdb;
	assert_int_equal(icp_mmdb_create(&mmdb, "in.csv"), ICP_EOK);
	return mmdb;
}

/*! Writes a database with one prefix and looks at both its ends and at the addresses beside it. */
static void check_prefix(const files_t *files, const icp_prefix_t *prefix)
{
	icp_mmdb_stats_t stats;
	icp_mmdb_t *mmdb = new_writer();
	assert_int_equal(icp_mmdb_add(mmdb, prefix, 2, "CN", "qcloud", NULL), ICP_EOK);
	assert_int_equal(icp_mmdb_write(mmdb, files->out, EPOCH, 0, &stats, NULL), ICP_EOK);
	icp_mmdb_destroy(mmdb);

	MMDB_s db;
	char text[64];
	icp_address_t first = prefix->address;
	icp_address_t last = last_of(prefix);
	icp_address_t ipv4_end = address_of("::ffff:ffff");
	assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
	if (first.family == 6 && icp_prefix_holds(prefix, &ipv4_end)) {
		/* The addresses below ::1:0:0 are IPv4, of which the prefix says nothing. */
		icp_address_t ipv4[] = {
			first, ipv4_end, address_of("0.0.0.0"), address_of("255.255.255.255")};
		for (size_t i = 0; i < COUNT(ipv4); i++) {
			assert_string_equal(look(&db, &ipv4[i], text), "-");
		}
		first = address_of("::1:0:0");
	}
	assert_string_equal(look(&db, &first, text), "CN qcloud");
	assert_string_equal(look(&db, &last, text), "CN qcloud");
	if (step(&first, false)) {
		assert_string_equal(look(&db, &first, text), "-");
	}
	if (step(&last, true)) {
		assert_string_equal(look(&db, &last, text), "-");
	}
	MMDB_close(&db);
}

static void test_every_length(void **state)
{
	static const struct {
		const char *base;
		unsigned longest;
	} families[] = {
		{"90.90.90.90", 32},
		{"0.0.0.0", 32},
		{"255.255.255.255", 32},
		{"5a5a:5a5a:5a5a:5a5a:5a5a:5a5a:5a5a:5a5a", 128},
		{"ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", 128},
		{"::", 95},
	};
	for (size_t i = 0; i < COUNT(families); i++) {
		for (unsigned length = 0; length <= families[i].longest; length++) {
			icp_prefix_t prefix = cut(address_of(families[i].base), length);
			check_prefix(*state, &prefix);
		}
	}
}

static uint32_t next_random(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	*seed ^= *seed << 5;
	return *seed;
}

/*! A random prefix; those of one family crowd together, so that many overlap. */
static icp_prefix_t random_prefix(uint32_t *seed)
{
	icp_address_t address = {.family = next_random(seed) % 2 == 0 ? 4 : 6};
	unsigned bits = address.family == 4 ? 32 : 128;
	for (unsigned i = 0; i < bits / 8; i++) {
		address.bytes[i] = next_random(seed) % 4 == 0 ? (uint8_t)next_random(seed) : 0x40;
	}
	return cut(address, next_random(seed) % (bits + 1));
}

/*! What the longest of the prefixes that hold an address says. */
static const char *expect(const icp_prefix_t *prefixes, const char *const *countries, size_t count,
	const icp_address_t *address)
{
	size_t best = count;
	for (size_t i = 0; i < count; i++) {
		if (icp_prefix_holds(&prefixes[i], address) &&
			(best == count || prefixes[i].length > prefixes[best].length)) {
			best = i;
		}
	}
	return best == count ? "-" : countries[best];
}

static void test_against_plain_search(void **state)
{
	static const char *const names[] = {"CN", "HK", "US"};
	const files_t *files = *state;
	icp_prefix_t prefixes[600];
	const char *countries[600];
	size_t count = 0;
	uint32_t seed = 20261123;
	icp_mmdb_t *mmdb = new_writer();
	while (count < COUNT(prefixes)) {
		prefixes[count] = random_prefix(&seed);
		countries[count] = names[next_random(&seed) % 3];
		size_t same = 0;
		while (memcmp(&prefixes[same], &prefixes[count], sizeof *prefixes) != 0) {
			same++;
		}
		if (same == count) {
			assert_int_equal(icp_mmdb_add(mmdb, &prefixes[count], (uint32_t)count,
						 countries[count], "", NULL),
				ICP_EOK);
			count++;
		}
	}
	icp_mmdb_stats_t stats;
	assert_int_equal(icp_mmdb_write(mmdb, files->out, EPOCH, 0, &stats, NULL), ICP_EOK);
	icp_mmdb_destroy(mmdb);
	assert_int_equal(stats.prefixes, count);
	assert_int_equal(stats.records, 3);

	MMDB_s db;
	char text[64];
	assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
	assert_int_equal(stats.nodes, db.metadata.node_count);
	assert_int_equal(stats.octets, db.file_size);
	icp_prefix_t ipv4_space = prefix_of("::/96");
	for (size_t i = 0; i < count; i++) {
		icp_address_t at[4] = {prefixes[i].address, prefixes[i].address,
			last_of(&prefixes[i]), last_of(&prefixes[i])};
		step(&at[1], false);
		step(&at[3], true);
		for (size_t j = 0; j < COUNT(at); j++) {
			/* IPv6 addresses in ::/96 are places of IPv4. */
			if (!icp_prefix_holds(&ipv4_space, &at[j])) {
				assert_string_equal(look(&db, &at[j], text),
					expect(prefixes, countries, count, &at[j]));
			}
		}
	}
	MMDB_close(&db);
}

static void test_overlap_in_both_orders(void **state)
{
	static const char *const orders[] = {
		"prefix,country,provider\n10.0.0.0/8,US,\n10.1.0.0/16,CN,qcloud\n10.1.2.0/24,HK,\n"
		"2001:db8::/32,US,\n2001:db8:1::/48,CN,qcloud\n",
		"prefix,country,provider\n2001:db8:1::/48,CN,qcloud\n2001:db8::/32,US,\n"
		"10.1.2.0/24,HK,\n10.1.0.0/16,CN,qcloud\n10.0.0.0/8,US,\n",
	};
	static const char *const wanted[][2] = {{"10.0.255.255", "US"}, {"10.1.1.255", "CN qcloud"},
		{"10.1.2.0", "HK"}, {"10.1.3.0", "CN qcloud"}, {"10.2.0.0", "US"},
		{"11.0.0.0", "-"}, {"2001:db8:0:ffff::", "US"}, {"2001:db8:1::1", "CN qcloud"},
		{"2001:db8:2::", "US"}, {"2001:db9::", "-"}};
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(orders); i++) {
		MMDB_s db;
		char text[64];
		assert_int_equal(compile(files, orders[i], NULL), ICP_EOK);
		assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
		for (size_t j = 0; j < COUNT(wanted); j++) {
			icp_address_t address = address_of(wanted[j][0]);
			assert_string_equal(look(&db, &address, text), wanted[j][1]);
		}
		MMDB_close(&db);
	}
}

static void test_record_sizes(void **state)
{
	static const unsigned sizes[][2] = {{0, 24}, {24, 24}, {28, 28}, {32, 32}};
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		icp_mmdb_stats_t stats;
		icp_mmdb_t *mmdb = new_writer();
		icp_prefix_t prefixes[100];
		for (uint32_t j = 0; j < COUNT(prefixes); j++) {
			bool is_ipv4 = j < COUNT(prefixes) / 2;
			prefixes[j] = prefix_of(is_ipv4 ? "192.0.2.0" : "2001:db8::");
			prefixes[j].address.bytes[is_ipv4 ? 3 : 9] = (uint8_t)(2 * j);
			assert_int_equal(icp_mmdb_add(mmdb, &prefixes[j], j, "CN",
						 j % 2 == 0 ? "" : "qcloud", NULL),
				ICP_EOK);
		}
		int rc = icp_mmdb_write(mmdb, files->out, EPOCH, sizes[i][0], &stats, NULL);
		icp_mmdb_destroy(mmdb);
		assert_int_equal(rc, ICP_EOK);

		MMDB_s db;
		char text[64];
		assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
		assert_int_equal(db.metadata.record_size, sizes[i][1]);
		assert_int_equal(db.metadata.build_epoch, EPOCH);
		assert_int_equal(db.metadata.ip_version, 6);
		for (uint32_t j = 0; j < COUNT(prefixes); j++) {
			assert_string_equal(look(&db, &prefixes[j].address, text),
				j % 2 == 0 ? "CN" : "CN qcloud");
		}
		MMDB_close(&db);
	}
}

/*! So much data that its end needs more than 24 bits, on both sides of a node. */
static void test_record_size_grows(void **state)
{
	const files_t *files = *state;
	const uint32_t count = 270000;
	icp_mmdb_stats_t stats;
	icp_mmdb_t *mmdb = new_writer();
	icp_prefix_t prefix = prefix_of("10.0.0.0");
	char provider[40];
	for (uint32_t i = 0; i < count; i++) {
		snprintf(provider, sizeof provider, "provider-of-some-length-%08" PRIu32, i);
		assert_int_equal(icp_mmdb_add(mmdb, &prefix, i, "CN", provider, NULL), ICP_EOK);
		step(&prefix.address, true);
	}
	int rc = icp_mmdb_write(mmdb, files->out, EPOCH, 0, &stats, NULL);
	icp_mmdb_destroy(mmdb);
	assert_int_equal(rc, ICP_EOK);
	assert_int_equal(stats.records, count);

	MMDB_s db;
	char text[64];
	char wanted[64];
	assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
	assert_int_equal(db.metadata.record_size, 28);
	for (uint32_t i = count; i-- > count - 1000;) {
		step(&prefix.address, false);
		snprintf(wanted, sizeof wanted, "CN provider-of-some-length-%08" PRIu32, i);
		assert_string_equal(look(&db, &prefix.address, text), wanted);
	}
	MMDB_close(&db);
}

static void test_equal_neighbours_are_merged(void **state)
{
	const files_t *files = *state;
	assert_int_equal(compile(files, "prefix,country,provider\n1.0.0.0/8,CN,\n::/1,CN,\n", NULL),
		ICP_EOK);
	assert_int_equal(rename(files->out, files->other), 0);
	assert_int_equal(compile(files,
				 "prefix,country,provider\n1.0.0.0/9,CN,\n1.128.0.0/10,CN,\n"
				 "1.192.0.0/10,CN,\n1.2.3.4,CN,\n::/2,CN,\n4000::/2,CN,\n",
				 NULL),
		ICP_EOK);
	assert_same_files(files->out, files->other);
}

/*! Readers look for IPv4 at depth 96, so the way there stays even when all is the same. */
static void test_ipv4_keeps_its_depth(void **state)
{
	const files_t *files = *state;
	MMDB_s db;
	char text[64];
	icp_address_t address = address_of("192.0.2.1");
	assert_int_equal(compile(files, HEADER "0.0.0.0/0,CN,\n::/0,CN,\n", NULL), ICP_EOK);
	assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
	assert_int_equal(db.metadata.node_count, 96);
	assert_int_equal(db.ipv4_start_node.netmask, 96);
	assert_string_equal(look(&db, &address, text), "CN");
	MMDB_close(&db);
}

/*! Lines that are taken, and how. */
static const struct {
	const char *shows;
	const char *csv;
} accepted[] = {
	{"plain", "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n"},
	{"columns in another order", "provider,prefix,country\nqcloud,192.0.2.0/24,CN\n"},
	{"byte order mark", "\xef\xbb\xbfprefix,country,provider\n192.0.2.0/24,CN,qcloud\n"},
	{"CRLF", "prefix,country,provider\r\n192.0.2.0/24,CN,qcloud\r\n"},
	{"no end of the last line", "prefix,country,provider\n192.0.2.0/24,CN,qcloud"},
	{"empty lines", "\nprefix,country,provider\n\r\n\n192.0.2.0/24,CN,qcloud\n\n"},
	{"quotes", "\"prefix\",country,provider\n\"192.0.2.0/24\",\"CN\",\"qcloud\"\n"},
	{"mapped", "prefix,country,provider\n::ffff:192.0.2.0/120,CN,qcloud\n"},
};

static void test_csv_accepted(void **state)
{
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(accepted); i++) {
		icp_diag_t diag = {""};
		print_message("%s\n", accepted[i].shows);
		assert_int_equal(compile(files, accepted[i].csv, &diag), ICP_EOK);
		if (i == 0) {
			assert_int_equal(rename(files->out, files->other), 0);
		} else {
			assert_same_files(files->out, files->other);
		}
	}
}

/*! Files that are refused, and what is said after the name of the file. */
static const struct {
	const char *csv;
	const char *said;
} refused[] = {
	{"", ": empty"},
	{"\n\n", ": empty"},
	{"\xef\xbb\xbf", ": empty"},
	{HEADER, ": no prefix in it"},
	{"prefix,country\n", ":1: missing column: provider"},
	{"prefix,country,provider,asn\n", ":1: unknown column: asn"},
	{"prefix,country,Provider\n", ":1: unknown column: Provider"},
	{" prefix,country,provider\n", ":1: unknown column:  prefix"},
	{"prefix,country,provider,prefix\n", ":1: column given twice: prefix"},
	{HEADER "192.0.2.0/24,CN\n", ":2: not 3 fields: 2"},
	{HEADER "192.0.2.0/24,CN,,\n", ":2: not 3 fields: 4"},
	{HEADER "\n1.0.0.0/8,CN,\n192.0.2.1/24,CN,\n",
		":4: not a prefix, or bits are set beyond its length: 192.0.2.1/24"},
	{HEADER "192.0.2.0/33,CN,\n",
		":2: not a prefix, or bits are set beyond its length: 192.0.2.0/33"},
	{HEADER "192.0.2.0/24 ,CN,\n",
		":2: not a prefix, or bits are set beyond its length: 192.0.2.0/24 "},
	{HEADER ",CN,\n", ":2: not a prefix, or bits are set beyond its length: "},
	{HEADER "192.0.2.0/24,cn,\n", ":2: country is not two letters A-Z: cn"},
	{HEADER "192.0.2.0/24,CHN,\n", ":2: country is not two letters A-Z: CHN"},
	{HEADER "192.0.2.0/24,,\n", ":2: country is not two letters A-Z: "},
	{HEADER "192.0.2.0/24,CN,QCloud\n",
		":2: provider is not a slug of a-z, 0-9 and -, at most 32: QCloud"},
	{HEADER "192.0.2.0/24,CN,p23456789012345678901234567890123\n",
		":2: provider is not a slug of a-z, 0-9 and -, at most 32: "
		"p23456789012345678901234567890123"},
	{HEADER "192.0.2.0/24,CN,\"a\n\"\n", ":2: quotes do not match: 192.0.2.0/24,CN,\"a"},
	{HEADER "192.0.2.0/24,CN,a\"b\"\n", ":2: quotes do not match: 192.0.2.0/24,CN,a\"b\""},
	{HEADER "192.0.2.0/24,CN,a\rb\n",
		":2: provider is not a slug of a-z, 0-9 and -, at most 32: a\rb"},
	{HEADER "10.0.0.0/8,CN,\n192.0.2.0/24,CN,\n10.0.0.0/8,US,\n192.0.2.0/24,CN,\n",
		":4: prefix is on line 2 already: 10.0.0.0/8"},
	{HEADER "192.0.2.0/24,CN,\n::ffff:192.0.2.0/120,US,\n",
		":3: prefix is on line 2 already: 192.0.2.0/24"},
	{HEADER "2001:db8::/32,CN,\n1.1.1.1,CN,\n2001:db8::/32,CN,\n",
		":4: prefix is on line 2 already: 2001:db8::/32"},
	{HEADER "::/96,CN,\n", ":2: inside ::/96, which stands for IPv4: ::/96"},
	{HEADER "::1,CN,\n", ":2: inside ::/96, which stands for IPv4: ::1"},
};

static void test_csv_refused(void **state)
{
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		icp_diag_t diag = {""};
		char wanted[1024];
		snprintf(wanted, sizeof wanted, "%s%s", files->csv, refused[i].said);
		assert_int_equal(compile(files, refused[i].csv, &diag), ICP_EINVAL);
		assert_string_equal(diag.text, wanted);
		assert_int_equal(count_files(files), 1);
	}
}

static void test_csv_of_odd_octets(void **state)
{
	const files_t *files = *state;
	icp_ranges_stats_t stats;
	icp_diag_t diag;
	static const char with_nul[] = HEADER "192.0.2.0/24\0,CN,\n";
	write_octets(files->csv, with_nul, sizeof with_nul - 1);
	assert_int_equal(
		icp_ranges_compile(files->csv, files->out, EPOCH, &stats, &diag), ICP_EINVAL);
	assert_non_null(strstr(diag.text, ":2: NUL octet: 192.0.2.0/24"));

	char longest[1200];
	for (size_t length = 1021; length < 1026; length++) {
		size_t header = sizeof HEADER - 1;
		memset(longest, 'a', sizeof longest);
		memcpy(longest, HEADER, header);
		write_octets(files->csv, longest, header + length);
		assert_int_equal(icp_ranges_compile(files->csv, files->out, EPOCH, &stats, &diag),
			ICP_EINVAL);
		assert_non_null(strstr(
			diag.text, length > 1023 ? ":2: line longer" : ":2: not 3 fields: 1"));
	}
}

static void test_no_input(void **state)
{
	const files_t *files = *state;
	icp_ranges_stats_t stats;
	icp_diag_t diag;
	assert_int_equal(
		icp_ranges_compile(files->csv, files->out, EPOCH, &stats, &diag), ICP_ESYS);
	assert_non_null(strstr(diag.text, "in.csv: can't be opened: No such file"));
	assert_int_equal(
		icp_ranges_compile(files->dir, files->out, EPOCH, &stats, &diag), ICP_ESYS);
	assert_non_null(strstr(diag.text, ": can't be read: Is a directory"));
	assert_int_equal(count_files(files), 0);
}

static void test_output_not_writable(void **state)
{
	static const char csv[] = HEADER "2001:db8::/32,CN,\n";
	const files_t *files = *state;
	icp_ranges_stats_t stats;
	icp_diag_t diag;
	struct rlimit unlimited;
	write_octets(files->out, "old", 3);
	write_octets(files->other, "old", 3);
	write_octets(files->csv, csv, sizeof csv - 1);

	/* A full disk. The limit is lifted before anything else is written. */
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &unlimited), 0);
	struct rlimit limit = {.rlim_cur = 100, .rlim_max = unlimited.rlim_max};
	void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	int rc = icp_ranges_compile(files->csv, files->out, EPOCH, &stats, &diag);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &unlimited), 0);
	signal(SIGXFSZ, handler);
	assert_int_equal(rc, ICP_ESYS);
	assert_non_null(strstr(diag.text, "out.mmdb: can't be written: File too large"));
	assert_same_files(files->out, files->other);
	assert_int_equal(count_files(files), 3);

	/* A directory, and one that is not there. */
	char path[300];
	assert_int_equal(
		icp_ranges_compile(files->csv, files->dir, EPOCH, &stats, &diag), ICP_ESYS);
	assert_non_null(strstr(diag.text, ": not a regular file"));
	snprintf(path, sizeof path, "%s/none/out.mmdb", files->dir);
	assert_int_equal(icp_ranges_compile(files->csv, path, EPOCH, &stats, &diag), ICP_ESYS);
	assert_non_null(strstr(diag.text, "out.mmdb: can't be written: No such file"));
	assert_int_equal(icp_ranges_compile(files->csv, files->out, 0, &stats, &diag), ICP_EINVAL);
	assert_int_equal(count_files(files), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FILES(test_every_length),
		IN_FILES(test_against_plain_search),
		IN_FILES(test_overlap_in_both_orders),
		IN_FILES(test_record_sizes),
		IN_FILES(test_record_size_grows),
		IN_FILES(test_equal_neighbours_are_merged),
		IN_FILES(test_ipv4_keeps_its_depth),
		IN_FILES(test_csv_accepted),
		IN_FILES(test_csv_refused),
		IN_FILES(test_csv_of_odd_octets),
		IN_FILES(test_no_input),
		IN_FILES(test_output_not_writable),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/ranges_help.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "db-tools/ranges_csv.h"

#define EPOCH 1700000000
#define CSV                                                                                        \
	"prefix,country,provider\n192.0.2.0/24,CN,qcloud\n198.51.100.0/24,US,acloud\n"             \
	"203.0.113.0/24,CN,\n2001:db8::/32,CN,qcloud\n::/3,US,\n"
extern char **environ;

static const uint8_t marker[14] = "\xab\xcd\xefMaxMind.com";

static void write_database(const files_t *files, const char *csv)
{
	icp_ranges_stats_t stats;
	write_octets(files->csv, csv, strlen(csv));
	assert_int_equal(icp_ranges_compile(files->csv, files->out, EPOCH, &stats, NULL), ICP_EOK);
}

static void test_places(void **state)
{
	static const struct {
		const char *address;
		const char *unmapped;
		bool mainland;
		const char *provider;
	} cases[] = {
		{"192.0.2.0", "192.0.2.0", true, "qcloud"},
		{"192.0.2.255", "192.0.2.255", true, "qcloud"},
		{"192.0.3.0", "192.0.3.0", false, ""},
		{"198.51.100.1", "198.51.100.1", false, "acloud"},
		{"203.0.113.9", "203.0.113.9", true, ""},
		{"2001:db8::1", "2001:db8::1", true, "qcloud"},
		{"2001:db9::1", "2001:db9::1", false, ""},
		{"::ffff:192.0.2.1", "192.0.2.1", true, "qcloud"},
		{"::ffff:10.0.0.1", "10.0.0.1", false, ""},
		{"64:ff9b::192.0.2.1", "192.0.2.1", true, "qcloud"},
		{"64:ff9c::192.0.2.1", "64:ff9c::192.0.2.1", false, ""},
		{"2001:db8:1c0:2:21::", "192.0.2.33", true, "qcloud"},
	};
	const files_t *files = *state;
	const icp_prefix_t nat64[] = {prefix_of("64:ff9b::/96"), prefix_of("2001:db8:100::/40")};
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	config.policy.nat64 = nat64;
	config.policy.nat64_count = 2;
	write_database(files, CSV);
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_place_t place;
		icp_address_t address = address_of(cases[i].address);
		icp_address_t unmapped = address_of(cases[i].unmapped);
		icp_ranges_find(ranges, &address, &place);
		assert_memory_equal(&place.address, &unmapped, sizeof unmapped);
		assert_place(ranges, cases[i].address, cases[i].mainland, cases[i].provider);
	}
	icp_ranges_unref(ranges);
}

/*! More records than any table begins with. */
static void test_many_records(void **state)
{
	const size_t count = 3000;
	const files_t *files = *state;
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	char *csv = malloc(count * 40);
	assert_non_null(csv);
	size_t length = (size_t)sprintf(csv, "prefix,country,provider\n");
	for (unsigned i = 0; i < count; i++) {
		length += (size_t)sprintf(
			csv + length, "10.%u.%u.0/24,CN,p%u\n", i / 256, i % 256, i);
	}
	write_database(files, csv);
	free(csv);
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	for (unsigned i = 0; i < count; i++) {
		char address[20];
		char provider[20];
		snprintf(address, sizeof address, "10.%u.%u.1", i / 256, i % 256);
		snprintf(provider, sizeof provider, "p%u", i);
		assert_place(ranges, address, true, provider);
	}
	icp_ranges_unref(ranges);
}

/*! Two providers whose records have one hash in the table of places. */
static void test_providers_that_share_a_hash(void **state)
{
	const files_t *files = *state;
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	write_database(files, "prefix,country,provider\n10.0.0.0/24,CN,p118357\n"
			      "10.0.1.0/24,CN,p127974\n10.0.2.0/24,CN,p118357\n");
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	assert_place(ranges, "10.0.0.1", true, "p118357");
	assert_place(ranges, "10.0.1.1", true, "p127974");
	assert_place(ranges, "10.0.2.1", true, "p118357");
	icp_ranges_unref(ranges);
}

static void test_other_paths(void **state)
{
	const files_t *files = *state;
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	write_database(files, CSV);

	config.ranges.provider_path[0] = NULL;
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	assert_place(ranges, "192.0.2.1", true, "");
	icp_ranges_unref(ranges);

	config.ranges.mainland_path[0] = "provider";
	config.ranges.mainland_path[1] = NULL;
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	assert_place(ranges, "192.0.2.1", false, "");
	icp_ranges_unref(ranges);

	/* The path leads to a map, or beyond a string, or nowhere. */
	static const char *const paths[][3] = {
		{"country"}, {"provider", "name"}, {"country", "name"}, {"0"}};
	for (size_t i = 0; i < COUNT(paths); i++) {
		char wanted[400];
		memcpy(config.ranges.mainland_path, paths[i], sizeof paths[i]);
		snprintf(wanted, sizeof wanted,
			"out.mmdb: no record has a string at ranges.mainland.path: [%s%s%s]",
			paths[i][0], paths[i][1] != NULL ? ", " : "",
			paths[i][1] != NULL ? paths[i][1] : "");
		assert_refused(&config, wanted);
	}
}

static void test_odd_records(void **state)
{
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(records); i++) {
		uint8_t data[200] = GOOD;
		size_t size = sizeof GOOD - 1 + records[i].size;
		memcpy(data + sizeof GOOD - 1, records[i].data, records[i].size);
		craft_t craft = {.ip_version = 4,
			.nodes = {{data_at(1, sizeof GOOD - 1), data_at(1, 0)}},
			.node_count = 1,
			.data = data,
			.data_size = size};
		craft_write(&craft, files->out);

		icp_ranges_t *ranges;
		icp_config_t config = config_of((char *)files->out);
		print_message("%s\n", records[i].shows);
		if (records[i].is_damaged) {
			assert_refused(&config, "out.mmdb: tree node 0: a record is damaged");
			continue;
		}
		assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
		assert_place(ranges, "10.0.0.1", records[i].mainland, records[i].provider);
		assert_place(ranges, "192.0.2.1", true, "qcloud");
		assert_place(ranges, "2001:db8::1", false, "");
		assert_place(ranges, "::ffff:192.0.2.1", true, "qcloud");
		icp_ranges_unref(ranges);
	}
}

/*! Opens a database with one record of this data, which must be refused, and soon. */
static void refuse_data(const files_t *files, const uint8_t *data, size_t size)
{
	icp_config_t config = config_of((char *)files->out);
	craft_t craft = {.ip_version = 4,
		.nodes = {{data_at(1, 0), 1}},
		.node_count = 1,
		.data = data,
		.data_size = size};
	craft_write(&craft, files->out);
	assert_refused(&config, "out.mmdb: tree node 0: a record is damaged");
}

static void test_hostile_records(void **state)
{
	/* Millions of arrays in one another would use up the stack. */
	size_t size = 8000000;
	uint8_t *deep = malloc(size);
	assert_non_null(deep);
	for (size_t i = 0; i < size; i += 2) {
		deep[i] = 1;
		deep[i + 1] = 4;
	}
	refuse_data(*state, deep, size);
	free(deep);

	/* Each level has two pointers to the next one: 2^28 values in 168 octets. */
	uint8_t wide[28 * 6 + 1];
	for (uint8_t i = 0; i < 28; i++) {
		uint8_t next = (uint8_t)(6 * (i + 1));
		memcpy(wide + (size_t)6 * i, (uint8_t[]){2, 4, 0x20, next, 0x20, next}, 6);
	}
	wide[sizeof wide - 1] = 0xe0;
	refuse_data(*state, wide, sizeof wide);

	/* An array that holds itself. */
	refuse_data(*state, (const uint8_t[]){1, 4, 0x20, 0}, 4);
}

static void test_hostile_metadata(void **state)
{
	const files_t *files = *state;
	icp_config_t config = config_of((char *)files->out);
	craft_t craft = {.ip_version = 4,
		.nodes = {{data_at(1, 0), 1}},
		.node_count = 1,
		.has_circle = true,
		.data = GOOD,
		.data_size = sizeof GOOD - 1};
	craft_write(&craft, files->out);
	assert_refused(&config, "out.mmdb: metadata is damaged");
}

/*! Opens a file that no reader can use. */
static void refuse_file(const files_t *files, const uint8_t *octets, size_t size)
{
	icp_config_t config = config_of((char *)files->other);
	write_octets(files->other, octets, size);
	assert_refused(&config, "/other: ");
}

static void test_truncated(void **state)
{
	const files_t *files = *state;
	size_t size;
	write_database(files, CSV);
	uint8_t *octets = read_file(files->out, &size);
	for (size_t i = 0; i < size; i++) {
		refuse_file(files, octets, i);
	}
	/* A part missing at the front: the tree is not where it was. */
	for (size_t i = 1; i < 900; i++) {
		refuse_file(files, octets + i, size - i);
	}
	free(octets);
}

/*! Whatever stands in tree and data, opening ends well or badly, and finding ends. */
static void test_any_octet_changed(void **state)
{
	const files_t *files = *state;
	size_t size;
	unsigned opened = 0;
	unsigned refused = 0;
	write_database(files, CSV);
	uint8_t *octets = read_file(files->out, &size);
	const uint8_t *end = memmem(octets, size, marker, sizeof marker);
	assert_non_null(end);
	for (size_t i = 0; octets + i < end; i++) {
		icp_ranges_t *ranges;
		icp_config_t config = config_of((char *)files->other);
		uint8_t kept = octets[i];
		octets[i] ^= (uint8_t)(i % 2 == 0 ? 0xff : 1 << i % 8);
		write_octets(files->other, octets, size);
		octets[i] = kept;
		int rc = icp_ranges_open(&ranges, &config, NULL);
		if (rc != ICP_EOK) {
			assert_int_equal(rc, ICP_ERANGES);
			refused++;
			continue;
		}
		opened++;
		for (unsigned j = 0; j < 512; j++) {
			icp_place_t place;
			icp_address_t address = {.family = j % 2 == 0 ? 4 : 6,
				.bytes = {(uint8_t)(j / 2), (uint8_t)j}};
			icp_ranges_find(ranges, &address, &place);
			assert_true(place.provider_length <= ICP_PROVIDER_MAX);
		}
		icp_ranges_unref(ranges);
	}
	free(octets);
	assert_true(opened > 0 && refused > 0);
}

static void test_not_a_database(void **state)
{
	const files_t *files = *state;
	uint8_t garbage[5000];
	uint32_t random = 1;
	for (size_t i = 0; i < sizeof garbage; i++) {
		random = random * 1664525 + 1013904223;
		garbage[i] = (uint8_t)(random >> 24);
	}
	for (size_t size = 0; size <= sizeof garbage; size += 500) {
		refuse_file(files, garbage, size);
	}
	/* The marker at the very end, where a page of memory may end too. */
	uint8_t page[4096];
	for (size_t behind = 0; behind < 4; behind++) {
		memset(page, 0xff, sizeof page);
		memcpy(page + sizeof page - sizeof marker - behind, marker, sizeof marker);
		refuse_file(files, page, sizeof page);
	}

	icp_config_t config = config_of((char *)files->out);
	assert_refused(&config, "out.mmdb: No such file or directory");
	assert_int_equal(mkfifo(files->out, 0600), 0);
	assert_refused(&config, "out.mmdb: not a regular file");
	config.ranges.database = (char *)files->dir;
	assert_refused(&config, ": not a regular file");
}

static void test_replaced(void **state)
{
	const files_t *files = *state;
	icp_ranges_t *old;
	icp_ranges_t *new;
	icp_config_t config = config_of((char *)files->out);
	write_database(files, CSV);
	assert_int_equal(icp_ranges_open(&old, &config, NULL), ICP_EOK);
	assert_true(icp_ranges_is_current(old));

	/* A file of the same size and time, under the same name. */
	struct stat then;
	assert_int_equal(stat(files->out, &then), 0);
	write_database(files,
		"prefix,country,provider\n192.0.2.0/24,CN,acloud\n"
		"198.51.100.0/24,US,qcloud\n203.0.113.0/24,CN,\n2001:db8::/32,CN,acloud\n::/3,US,\n");
	struct stat now;
	struct timespec times[2] = {then.st_mtim, then.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, files->out, times, 0), 0);
	assert_int_equal(stat(files->out, &now), 0);
	assert_int_equal(now.st_size, then.st_size);
	assert_false(icp_ranges_is_current(old));

	assert_int_equal(icp_ranges_open(&new, &config, NULL), ICP_EOK);
	assert_true(icp_ranges_is_current(new));
	assert_place(old, "192.0.2.1", true, "qcloud");
	assert_place(new, "192.0.2.1", true, "acloud");

	/* The last reference closes. */
	assert_ptr_equal(icp_ranges_ref(old), old);
	icp_ranges_unref(old);
	assert_place(old, "192.0.2.1", true, "qcloud");
	icp_ranges_unref(old);
	icp_ranges_unref(NULL);

	/* Written in place, against the rule: seen by size or time. */
	times[0].tv_sec = times[1].tv_sec = 1;
	assert_int_equal(utimensat(AT_FDCWD, files->out, times, 0), 0);
	assert_false(icp_ranges_is_current(new));
	assert_int_equal(unlink(files->out), 0);
	assert_false(icp_ranges_is_current(new));
	assert_place(new, "192.0.2.1", true, "acloud");
	icp_ranges_unref(new);
}

/*! The first and the last address of every IPv4 network of a database. */
static void assert_every_network(const icp_ranges_t *ranges, MMDB_s *db)
{
	unsigned networks = 0;
	for (uint64_t first = 0; first <= UINT32_MAX; networks++) {
		int error;
		MMDB_entry_data_s data;
		struct sockaddr_in ipv4 = {
			.sin_family = AF_INET, .sin_addr.s_addr = htonl((uint32_t)first)};
		MMDB_lookup_result_s found =
			MMDB_lookup_sockaddr(db, (const struct sockaddr *)&ipv4, &error);
		bool wanted =
			found.found_entry &&
			MMDB_get_value(&found.entry, &data, "country_code", NULL) == MMDB_SUCCESS &&
			data.data_size == 2 && memcmp(data.utf8_string, "CN", 2) == 0;
		/* In a database of IPv6 the netmask counts from its root. */
		unsigned bits = db->metadata.ip_version == 6 ? 128 : 32;
		uint64_t size = UINT64_C(1)
				<< (bits - found.netmask > 32 ? 32 : bits - found.netmask);
		uint64_t last = (first / size + 1) * size - 1;
		uint32_t ends[] = {htonl((uint32_t)first), htonl((uint32_t)last)};
		for (size_t i = 0; i < COUNT(ends); i++) {
			icp_place_t place;
			icp_address_t address = {.family = 4};
			memcpy(address.bytes, &ends[i], sizeof ends[i]);
			icp_ranges_find(ranges, &address, &place);
			assert_int_equal(place.mainland, wanted);
		}
		first = last + 1;
	}
	assert_true(networks > 100000);
}

/*! Compares all that is found in a real database with what libmaxminddb says by itself. */
static void test_real_database(void **state)
{
	const files_t *files = *state;
	const char *shared = getenv("ICP_SHARED_DATA");
	char packed[1024];
	snprintf(packed, sizeof packed, "%s/country.mmdb.zst", shared != NULL ? shared : "");
	if (shared == NULL || access(packed, R_OK) != 0) {
		print_message("ICP_SHARED_DATA names no directory with country.mmdb.zst\n");
		skip();
	}
	pid_t pid;
	int status;
	char *arguments[] = {"zstd", "-dqf", packed, "-o", (char *)files->out, NULL};
	assert_int_equal(posix_spawnp(&pid, "zstd", NULL, NULL, arguments, environ), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);

	icp_ranges_t *ranges;
	MMDB_s db;
	icp_config_t config = {.ranges = {.database = (char *)files->out,
				       .mainland_path = {"country_code"},
				       .mainland_equals = (char *)"CN"}};
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	assert_int_equal(MMDB_open(files->out, 0, &db), MMDB_SUCCESS);
	unsigned mainland = 0;
	uint32_t random = 1;
	for (unsigned i = 0; i < 200000; i++) {
		icp_address_t address = {.family = i % 2 == 0 ? 4 : 6};
		for (unsigned j = 0; j < (i % 2 == 0 ? 4 : 8); j++) {
			random = random * 1664525 + 1013904223;
			address.bytes[j] = (uint8_t)(random >> 24);
		}
		if (address.family == 6) {
			address.bytes[0] = 0x24;
			address.bytes[1] &= 0x0f;
		}
		icp_place_t place;
		char text[64];
		int error;
		int no_address;
		MMDB_entry_data_s data;
		icp_ranges_find(ranges, &address, &place);
		icp_address_format(&address, text);
		MMDB_lookup_result_s found = MMDB_lookup_string(&db, text, &no_address, &error);
		bool wanted =
			found.found_entry &&
			MMDB_get_value(&found.entry, &data, "country_code", NULL) == MMDB_SUCCESS &&
			data.data_size == 2 && memcmp(data.utf8_string, "CN", 2) == 0;
		assert_int_equal(place.mainland, wanted);
		mainland += wanted;
	}
	assert_true(mainland > 1000);
	assert_every_network(ranges, &db);
	assert_place(ranges, "114.114.114.114", true, "");
	assert_place(ranges, "2400:3200::1", true, "");
	assert_place(ranges, "8.8.8.8", false, "");
	MMDB_close(&db);
	icp_ranges_unref(ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FILES(test_places),
		IN_FILES(test_many_records),
		IN_FILES(test_providers_that_share_a_hash),
		IN_FILES(test_other_paths),
		IN_FILES(test_odd_records),
		IN_FILES(test_hostile_records),
		IN_FILES(test_hostile_metadata),
		IN_FILES(test_truncated),
		IN_FILES(test_any_octet_changed),
		IN_FILES(test_not_a_database),
		IN_FILES(test_replaced),
		IN_FILES(test_real_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

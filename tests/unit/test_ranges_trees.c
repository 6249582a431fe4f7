/* SPDX-License-Identifier: BSD-3-Clause */
/*! Trees of range databases: odd ones, hostile ones, and what libmaxminddb finds in the same. */
#include "tests/unit/ranges_help.h"

static void test_odd_trees(void **state)
{
	static const struct {
		const char *shows;
		uint32_t nodes[2][2];
		uint32_t claimed;
		const char *said; /* NULL: it is taken. */
	} cases[] = {
		{"as it should be", {{1, 2}, {18, 2}}, 0, NULL},
		{"a circle", {{1, 1}, {1, 18}}, 0, NULL},
		{"back to the root", {{1, 2}, {0, 18}}, 0, "tree node 1: a record is damaged"},
		{"into the separator", {{1, 2}, {17, 18}}, 0, "tree node 1: a record is damaged"},
		{"beyond the file", {{1, 0xfffff}, {18, 2}}, 0, "tree node 0: a record is damaged"},
		{"more nodes than the file", {{1, 2}, {18, 2}}, 5000, "out.mmdb: "},
		{"nodes beyond 4 GiB", {{1, 2}, {18, 2}}, 0x2aaaaaab,
			"tree is larger than the file"},
	};
	const files_t *files = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_ranges_t *ranges;
		icp_config_t config = config_of((char *)files->out);
		craft_t craft = {.ip_version = 4,
			.node_count = 2,
			.claimed_nodes = cases[i].claimed,
			.data = GOOD,
			.data_size = sizeof GOOD - 1};
		memcpy(craft.nodes, cases[i].nodes, sizeof cases[i].nodes);
		craft_write(&craft, files->out);
		print_message("%s\n", cases[i].shows);
		if (cases[i].said != NULL) {
			assert_refused(&config, cases[i].said);
			continue;
		}
		assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
		assert_place(ranges, i == 0 ? "10.0.0.1" : "127.255.255.255", true, "qcloud");
		assert_place(ranges, i == 0 ? "192.0.2.1" : "0.0.0.0", false, "");
		icp_ranges_unref(ranges);
	}
}

/*! Trees that lead to their parts in so many ways that no lists could be made of them. */
static void test_tangles(void **state)
{
	const files_t *files = *state;
	icp_config_t config = config_of((char *)files->out);
	for (uint32_t version = 4; version <= 6; version += 2) {
		craft_t craft = {.ip_version = version,
			.nodes = {{1, 1}, {1, 1}},
			.node_count = 2,
			.data = GOOD,
			.data_size = sizeof GOOD - 1};
		craft_write(&craft, files->out);
		assert_refused(&config, "tree leads to its parts in too many ways");
	}
}

/*! All of IPv4 in a range that is wider than it. */
static void test_ipv4_in_one_range(void **state)
{
	const files_t *files = *state;
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	craft_t craft = {.ip_version = 6,
		.nodes = {{data_at(1, 0), 1}},
		.node_count = 1,
		.data = GOOD,
		.data_size = sizeof GOOD - 1};
	craft_write(&craft, files->out);
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	assert_place(ranges, "0.0.0.0", true, "qcloud");
	assert_place(ranges, "255.255.255.255", true, "qcloud");
	assert_place(ranges, "4000::1", true, "qcloud");
	assert_place(ranges, "8000::1", false, "");
	assert_place(ranges, "::1", false, "");
	icp_ranges_unref(ranges);
}

/*! Compares with what libmaxminddb finds in a file: qcloud's mainland, or nothing. */
static void assert_as_maxminddb(const icp_ranges_t *ranges, const char *path, const char *text)
{
	MMDB_s db;
	int error;
	int no_address;
	assert_int_equal(MMDB_open(path, 0, &db), MMDB_SUCCESS);
	bool found = MMDB_lookup_string(&db, text, &no_address, &error).found_entry;
	MMDB_close(&db);
	assert_place(ranges, text, found, found ? "qcloud" : "");
}

/*! The tree of IPv4, whose lower half is qcloud's, also hangs under 2002::/16, as that of 6to4. */
static void test_ipv4_in_other_places(void **state)
{
	enum { IPV4_ROOT = 96, FIRST_ALIAS = 97, PREFIX = 0x2002, PREFIX_BITS = 16, FORK = 2 };
	const files_t *files = *state;
	static const char *const addresses[] = {"10.0.0.1", "127.255.255.255", "128.0.0.0",
		"2002::", "2002:a00:1::1", "2002:7fff:ffff:ffff::", "2002:8000::",
		"2002:ffff:ffff::", "2001:ffff::", "2003::", "ffff::"};
	icp_ranges_t *ranges;
	icp_config_t config = config_of((char *)files->out);
	craft_t craft = {.ip_version = 6,
		.node_count = FIRST_ALIAS + PREFIX_BITS - 1 - FORK,
		.data = GOOD,
		.data_size = sizeof GOOD - 1};
	const uint32_t none = craft.node_count;
	for (uint32_t depth = 0; depth < IPV4_ROOT; depth++) {
		craft.nodes[depth][0] = depth + 1;
		craft.nodes[depth][1] = none;
	}
	craft.nodes[IPV4_ROOT][0] = data_at(craft.node_count, 0);
	craft.nodes[IPV4_ROOT][1] = none;
	uint32_t *from = craft.nodes[FORK];
	uint32_t next = FIRST_ALIAS;
	for (unsigned depth = FORK; depth < PREFIX_BITS; depth++) {
		unsigned side = PREFIX >> (PREFIX_BITS - 1 - depth) & 1;
		bool last = depth + 1 == PREFIX_BITS;
		if (depth > FORK) {
			from[1 - side] = none;
		}
		from[side] = last ? IPV4_ROOT : next;
		from = craft.nodes[next++];
	}
	craft_write(&craft, files->out);
	assert_int_equal(icp_ranges_open(&ranges, &config, NULL), ICP_EOK);
	for (size_t i = 0; i < COUNT(addresses); i++) {
		print_message("%s\n", addresses[i]);
		assert_as_maxminddb(ranges, files->out, addresses[i]);
	}
	assert_place(ranges, "2002:a00:1::1", true, "qcloud");
	assert_place(ranges, "2002:8000::", false, "");
	icp_ranges_unref(ranges);
}

static uint32_t draw(uint32_t *random)
{
	*random = *random * 1664525 + 1013904223;
	return *random >> 8;
}

/* Records of the trees by lot beside the good one. */
#define OTHER                                                                                      \
	"\xe2" COUNTRY_CN "\x48"                                                                   \
	"provider\x46"                                                                             \
	"acloud"
#define ABROAD                                                                                     \
	"\xe2\x47"                                                                                 \
	"country\xe1\x48"                                                                          \
	"iso_code\x42"                                                                             \
	"US\x48"                                                                                   \
	"provider\x46"                                                                             \
	"qcloud"

static const char lot_data[] = GOOD OTHER ABROAD;
static const struct {
	uint32_t offset;
	bool mainland;
	const char *provider;
} lot_records[] = {
	{0, true, "qcloud"},
	{sizeof GOOD - 1, true, "acloud"},
	{sizeof GOOD + sizeof OTHER - 2, false, "qcloud"},
};

/*! Nodes lead to later ones, to a record, or to nothing; in a tree of IPv6 more often by zeros,
 * so that one of IPv4 hangs there. */
static void draw_tree(craft_t *craft, uint32_t *random)
{
	for (uint32_t i = 0; i < craft->node_count; i++) {
		for (unsigned side = 0; side < 2; side++) {
			uint32_t next = i + 1 + draw(random) % 3;
			unsigned kind = draw(random) % 8;
			uint32_t record = lot_records[draw(random) % COUNT(lot_records)].offset;
			bool on = next < craft->node_count &&
				  (kind > 3 || (craft->ip_version == 6 && side == 0));
			craft->nodes[i][side] = on ? next
						: kind % 2 == 0
							? craft->node_count
							: data_at(craft->node_count, record);
		}
	}
}

static icp_address_t draw_address(uint8_t family, uint32_t *random)
{
	icp_address_t address = {.family = family};
	for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++) {
		address.bytes[i] = draw(random) % 3 == 0 ? (uint8_t)draw(random) : 0;
	}
	address.bytes[family == 4 ? 0 : 11] |= 1;
	return address;
}

/*! Looks addresses by lot up in both. Counts what was found for each record, then for none. */
static void compare_by_lot(
	const icp_ranges_t *ranges, const char *path, uint32_t *random, unsigned *hits)
{
	MMDB_s db;
	assert_int_equal(MMDB_open(path, 0, &db), MMDB_SUCCESS);
	for (unsigned i = 0; i < 500; i++) {
		icp_address_t address = draw_address(i % 2 == 0 ? 4 : 6, random);
		char text[64];
		int error;
		int no_address;
		icp_address_format(&address, text);
		MMDB_lookup_result_s found = MMDB_lookup_string(&db, text, &no_address, &error);
		unsigned at = 0;
		while (found.found_entry && lot_records[at].offset != found.entry.offset) {
			at++;
			assert_in_range(at, 0, COUNT(lot_records) - 1);
		}
		assert_place(ranges, text, found.found_entry && lot_records[at].mainland,
			found.found_entry ? lot_records[at].provider : "");
		hits[found.found_entry ? at : COUNT(lot_records)]++;
	}
	MMDB_close(&db);
}

/*! Trees by lot, of which libmaxminddb finds the same. */
static void test_trees_by_lot(void **state)
{
	const files_t *files = *state;
	icp_config_t config = config_of((char *)files->out);
	uint32_t random = 7;
	unsigned hits[COUNT(lot_records) + 1] = {0};
	for (unsigned tree = 0; tree < 300; tree++) {
		icp_ranges_t *ranges;
		craft_t craft = {.ip_version = tree % 2 == 0 ? 4 : 6,
			.node_count =
				tree % 2 == 0 ? 1 + draw(&random) % 40 : 100 + draw(&random) % 28,
			.data = lot_data,
			.data_size = sizeof lot_data - 1};
		draw_tree(&craft, &random);
		craft_write(&craft, files->out);
		int rc = icp_ranges_open(&ranges, &config, NULL);
		if (rc != ICP_EOK) {
			/* No record at all is reached. */
			assert_int_equal(rc, ICP_ERANGES);
			continue;
		}
		compare_by_lot(ranges, files->out, &random, hits);
		icp_ranges_unref(ranges);
	}
	for (size_t i = 0; i < COUNT(hits); i++) {
		assert_true(hits[i] > 5000);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_FILES(test_odd_trees),
		IN_FILES(test_tangles),
		IN_FILES(test_trees_by_lot),
		IN_FILES(test_ipv4_in_one_range),
		IN_FILES(test_ipv4_in_other_places),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/config_cases.h"
#include "tests/unit/config_help.h"

static void assert_address(const icp_address_t *address, const char *text)
{
	icp_address_t want = {0};
	assert_int_equal(icp_address_parse(&want, text, strlen(text)), ICP_EOK);
	assert_memory_equal(address, &want, sizeof want);
}

static void assert_endpoint(const icp_endpoint_t *endpoint, const char *text)
{
	char have[ICP_ENDPOINT_TEXT_MAX];
	icp_endpoint_format(endpoint, have);
	assert_string_equal(have, text);
}

static void assert_name(const icp_name_t *name, const char *text)
{
	char have[ICP_NAME_TEXT_MAX];
	icp_name_format(name, have);
	assert_string_equal(have, text);
}

static void assert_prefix(const icp_prefix_t *prefix, const char *text)
{
	char have[ICP_PREFIX_TEXT_MAX];
	icp_prefix_format(prefix, have);
	assert_string_equal(have, text);
}

static void test_minimal(void **state)
{
	(void)state;
	icp_config_t config = load_good(MINIMAL);
	assert_string_equal(config.path, file);
	assert_string_equal(config.store, "/var/lib/icpgate");
	assert_int_equal(config.mode, ICP_MODE_ENFORCE);
	assert_int_equal(config.lease, 30);
	assert_int_equal(config.policy.scope, ICP_SCOPE_PROVIDER);
	assert_int_equal(config.policy.mixed, ICP_MIXED_BLOCK);
	assert_int_equal(config.policy.licence_addresses, ICP_LICENCE_REPORT);
	assert_int_equal(config.policy.rectify_overdue, ICP_PASS);
	assert_int_equal(config.policy.on_no_index, ICP_PASS);
	assert_int_equal(config.policy.provider_count, 1);
	assert_string_equal(config.policy.providers[0], "qcloud");
	assert_int_equal(config.policy.exempt_count, 0);
	assert_int_equal(config.policy.nat64_count, 1);
	assert_prefix(&config.policy.nat64[0], "64:ff9b::/96");
	assert_string_equal(config.ranges.database, "r.mmdb");
	assert_string_equal(config.ranges.mainland_path[0], "country");
	assert_string_equal(config.ranges.mainland_path[1], "iso_code");
	assert_null(config.ranges.mainland_path[2]);
	assert_string_equal(config.ranges.mainland_equals, "CN");
	assert_string_equal(config.ranges.provider_path[0], "provider");
	assert_null(config.ranges.provider_path[1]);
	assert_address(&config.block.ipv4, "203.0.113.80");
	assert_int_equal(config.block.ipv6.family, 0);
	assert_int_equal(config.block.ttl, 30);
	assert_int_equal(config.block.ede, 16);
	assert_string_equal(config.block.text, "");
	assert_string_equal(config.daemon.spool, "/var/lib/icpgate/spool");
	assert_string_equal(config.daemon.control, "/run/icpgate/control");
	assert_endpoint(&config.daemon.http, "127.0.0.1:9553");
	assert_int_equal(config.daemon.stale_after, 36 * 3600);
	assert_int_equal(config.daemon.gap_after, 15 * 60);
	assert_int_equal(config.daemon.keep, 3);
	assert_int_equal(config.daemon.keep_audit, 400 * 86400);
	assert_int_equal(config.daemon.keep_spool, 14 * 86400);
	assert_null(config.daemon.follow);
	assert_int_equal(config.blockpage.listen_count, 0);
	assert_null(config.blockpage.templates);
	assert_null(config.blockpage.provider_name.zh);
	assert_null(config.blockpage.provider_name.en);
	assert_null(config.blockpage.file_url);
	assert_null(config.blockpage.transfer_url);
	assert_null(config.blockpage.contact_url);
	assert_null(config.blockpage.blocked_by);
	assert_int_equal(config.blockpage.api, ICP_API_NONE);
	assert_int_equal(config.blockpage.api_rate, 50);
	assert_int_equal(config.blockpage.connections, 4096);
	assert_int_equal(config.blockpage.timeout, 10);
	icp_config_deinit(&config);
}

static const char full[] = "store: /srv/store\n"
			   "mode: monitor\n"
			   "scope: mainland\n"
			   "providers: [qcloud, 'a-1', 007]\n"
			   "ranges:\n"
			   "  database: /srv/r.mmdb\n"
			   "  mainland: {path: [a, b, c, d, e, f, g, h], equals: 中国}\n"
			   "  provider: {path: [own, '0']}\n"
			   "block:\n"
			   "  ipv4: 192.0.2.1\n"
			   "  ipv6: 2001:db8::80\n"
			   "  ttl: 86400\n"
			   "  ede: none\n"
			   "  text: \"见 https://beian.example.cn\"\n"
			   "mixed: strip\n"
			   "lease: 2\n"
			   "rectify_overdue: block\n"
			   "licence_addresses: enforce\n"
			   "on_no_index: block\n"
			   "exempt:\n"
			   "  - Internal\n"
			   "  - 例子.中国\n"
			   "nat64_prefixes: ['2001:db8:64::/48', '64:ff9b::/96']\n"
			   "daemon:\n"
			   "  spool: /srv/spool\n"
			   "  control: /srv/control\n"
			   "  http: \"[::1]:65535\"\n"
			   "  stale_after: 60s\n"
			   "  gap_after: '90m'\n"
			   "  keep: 1000\n"
			   "  keep_audit: 3650d\n"
			   "  keep_spool: 24h\n"
			   "  follow: service=filing\n"
			   "blockpage:\n"
			   "  listen: ['192.0.2.1:8080', '[2001:db8::1]:80']\n"
			   "  templates: /srv/pages\n"
			   "  provider_name: {zh: 示例云, en: Example Cloud}\n"
			   "  file_url: https://a.example/?x=1&y=2\n"
			   "  transfer_url: HTTP://b.example/\n"
			   "  contact_url: tel:+8610123456\n"
			   "  blocked_by: https://c.example\n"
			   "  api: any\n"
			   "  api_rate: 100000\n"
			   "  connections: 65536\n"
			   "  timeout: 5m\n";

static void test_full(void **state)
{
	(void)state;
	icp_config_t config = load_good(full);
	assert_string_equal(config.store, "/srv/store");
	assert_int_equal(config.mode, ICP_MODE_MONITOR);
	assert_int_equal(config.lease, 2);
	assert_int_equal(config.policy.scope, ICP_SCOPE_MAINLAND);
	assert_int_equal(config.policy.mixed, ICP_MIXED_STRIP);
	assert_int_equal(config.policy.licence_addresses, ICP_LICENCE_ENFORCE);
	assert_int_equal(config.policy.rectify_overdue, ICP_BLOCK);
	assert_int_equal(config.policy.on_no_index, ICP_BLOCK);
	assert_int_equal(config.policy.provider_count, 3);
	assert_string_equal(config.policy.providers[1], "a-1");
	assert_string_equal(config.policy.providers[2], "007");
	assert_int_equal(config.policy.exempt_count, 2);
	assert_name(&config.policy.exempt[0], "internal");
	assert_name(&config.policy.exempt[1], "xn--fsqu00a.xn--fiqs8s");
	assert_int_equal(config.policy.nat64_count, 2);
	assert_prefix(&config.policy.nat64[0], "2001:db8:64::/48");
	assert_prefix(&config.policy.nat64[1], "64:ff9b::/96");
	assert_string_equal(config.ranges.database, "/srv/r.mmdb");
	for (size_t i = 0; i < ICP_PATH_DEPTH_MAX; i++) {
		char want[] = {(char)('a' + i), '\0'};
		assert_string_equal(config.ranges.mainland_path[i], want);
	}
	assert_null(config.ranges.mainland_path[ICP_PATH_DEPTH_MAX]);
	assert_string_equal(config.ranges.mainland_equals, "中国");
	assert_string_equal(config.ranges.provider_path[0], "own");
	assert_string_equal(config.ranges.provider_path[1], "0");
	assert_null(config.ranges.provider_path[2]);
	assert_address(&config.block.ipv4, "192.0.2.1");
	assert_address(&config.block.ipv6, "2001:db8::80");
	assert_int_equal(config.block.ttl, 86400);
	assert_int_equal(config.block.ede, -1);
	assert_string_equal(config.block.text, "见 https://beian.example.cn");
	assert_string_equal(config.daemon.spool, "/srv/spool");
	assert_string_equal(config.daemon.control, "/srv/control");
	assert_endpoint(&config.daemon.http, "[::1]:65535");
	assert_int_equal(config.daemon.stale_after, 60);
	assert_int_equal(config.daemon.gap_after, 5400);
	assert_int_equal(config.daemon.keep, 1000);
	assert_int_equal(config.daemon.keep_audit, 315360000);
	assert_int_equal(config.daemon.keep_spool, 86400);
	assert_string_equal(config.daemon.follow, "service=filing");
	assert_int_equal(config.blockpage.listen_count, 2);
	assert_endpoint(&config.blockpage.listen[0], "192.0.2.1:8080");
	assert_endpoint(&config.blockpage.listen[1], "[2001:db8::1]:80");
	assert_string_equal(config.blockpage.templates, "/srv/pages");
	assert_string_equal(config.blockpage.provider_name.zh, "示例云");
	assert_string_equal(config.blockpage.provider_name.en, "Example Cloud");
	assert_string_equal(config.blockpage.file_url, "https://a.example/?x=1&y=2");
	assert_string_equal(config.blockpage.transfer_url, "HTTP://b.example/");
	assert_string_equal(config.blockpage.contact_url, "tel:+8610123456");
	assert_string_equal(config.blockpage.blocked_by, "https://c.example");
	assert_int_equal(config.blockpage.api, ICP_API_ANY);
	assert_int_equal(config.blockpage.api_rate, 100000);
	assert_int_equal(config.blockpage.connections, 65536);
	assert_int_equal(config.blockpage.timeout, 300);
	icp_config_deinit(&config);
}

/* The numbers are those of the registry that RFC 8914 began. */
static void test_ede(void **state)
{
	(void)state;
	static const struct {
		const char *content;
		int code;
	} cases[] = {
		{PROVIDERS RANGES "block: {ipv4: 192.0.2.1, ede: none}", -1},
		{PROVIDERS RANGES "block: {ipv4: 192.0.2.1, ede: blocked}", 15},
		{PROVIDERS RANGES "block: {ipv4: 192.0.2.1, ede: censored}", 16},
		{PROVIDERS RANGES "block: {ipv4: 192.0.2.1, ede: filtered}", 17},
		{PROVIDERS RANGES "block: {ipv4: 192.0.2.1, ede: prohibited}", 18},
	};
	for (size_t i = 0; i < COUNT(cases); i++) {
		icp_config_t config = load_good(cases[i].content);
		assert_int_equal(config.block.ede, cases[i].code);
		icp_config_deinit(&config);
	}
}

static const struct {
	const char *shows;
	const char *content;
} accepted[] = {
	{"mainland alone needs neither providers nor their path",
		"scope: mainland\nranges: {database: r.mmdb}\n" BLOCK},
	{"mainland with an empty list of providers",
		"scope: mainland\nproviders: []\nranges: {database: r.mmdb}\n" BLOCK},
	{"empty lists", MINIMAL "exempt: []\nnat64_prefixes: []\n"},
	{"JSON", "{\"providers\": [\"qcloud\"], \"ranges\": {\"database\": \"r.mmdb\","
		 " \"provider\": {\"path\": [\"provider\"]}}, \"block\": {\"ipv4\": \"192.0.2.1\","
		 " \"ipv6\": \"::1\"}}"},
	{"quoted words", MINIMAL "\"mode\": \"monitor\"\n"},
	{"aliases", "providers: &p [provider]\n"
		    "ranges: {database: r.mmdb, provider: {path: *p}}\n" BLOCK},
	{"a byte order mark, CR LF and a document's marks",
		"\xef\xbb\xbf---\r\nproviders: [qcloud]\r\n" RANGES BLOCK "...\r\n"},
	{"lengths of RFC 6052", MINIMAL "nat64_prefixes: ['2001:db8::/32', '2001:db8::/40',"
					" '2001:db8::/56', '2001:db8::/64']\n"},
	{"no HTTP", IN_DAEMON("http: none\n")},
	{"one second", IN_DAEMON("gap_after: 1s\n")},
	{"a path of a socket, in full", IN_DAEMON("control: /" D50 D50 "012345\n")},
	{"a text of 200 octets", PROVIDERS RANGES "block: {ipv4: 192.0.2.1, text: " D200 "}\n"},
};

static void test_accepted(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(accepted); i++) {
		icp_config_t config;
		icp_diag_t diag;
		write_file(accepted[i].content, strlen(accepted[i].content));
		if (load(&config, file, &diag) != ICP_EOK) {
			fail_msg("%s: %s", accepted[i].shows, diag.text);
		}
		icp_config_deinit(&config);
	}
}

static void test_unreadable(void **state)
{
	(void)state;
	icp_config_t config;
	icp_diag_t diag;
	char want[sizeof diag.text];
	unlink(file);
	assert_int_equal(load(&config, file, &diag), ICP_ESYS);
	snprintf(want, sizeof want, "%s: No such file or directory", file);
	assert_string_equal(diag.text, want);
	assert_int_equal(load(&config, directory, &diag), ICP_ESYS);
	snprintf(want, sizeof want, "%s: Is a directory", directory);
	assert_string_equal(diag.text, want);
}

static void test_no_diag(void **state)
{
	(void)state;
	icp_config_t config;
	write_file("mode: on\n", 9);
	assert_int_equal(icp_config_load(&config, file, NULL), ICP_ECONFIG);
	write_file("[", 1);
	assert_int_equal(icp_config_load(&config, file, NULL), ICP_ECONFIG);
}

static void test_deinit(void **state)
{
	(void)state;
	icp_config_t config = load_good(full);
	icp_config_t zero = {0};
	icp_config_deinit(&config);
	assert_memory_equal(&config, &zero, sizeof zero);
	icp_config_deinit(&config);
}

static void test_path(void **state)
{
	(void)state;
	assert_int_equal(setenv("ICPGATE_CONF", "/env.conf", 1), 0);
	assert_string_equal(icp_config_path("/option.conf"), "/option.conf");
	assert_string_equal(icp_config_path(NULL), "/env.conf");
	assert_int_equal(setenv("ICPGATE_CONF", "", 1), 0);
	assert_string_equal(icp_config_path(NULL), ICP_CONF_PATH);
	assert_int_equal(unsetenv("ICPGATE_CONF"), 0);
	assert_string_equal(icp_config_path(NULL), ICP_CONF_PATH);
}

/* The example of the distribution; the build says where the sources are. */
static char *read_example(size_t *length)
{
	const char *srcdir = getenv("srcdir");
	char path[4096];
	snprintf(path, sizeof path, "%s/conf/icpgate.conf.example", srcdir != NULL ? srcdir : ".");
	FILE *in = fopen(path, "rb");
	if (in == NULL) {
		fail_msg("%s: not readable", path);
	}
	char *text = calloc(1, SIZE_LIMIT);
	assert_non_null(text);
	*length = fread(text, 1, SIZE_LIMIT - 1, in);
	fclose(in);
	return text;
}

static void test_example(void **state)
{
	(void)state;
	size_t length = 0;
	char *text = read_example(&length);
	icp_config_t config = load_good(text);
	assert_string_equal(config.policy.providers[0], "qcloud");
	/* A new installation blocks nothing before its operator has seen what it would block. */
	assert_int_equal(config.mode, ICP_MODE_MONITOR);
	icp_config_deinit(&config);
	free(text);
}

/* Returns whether it was accepted; anything else must be refused with a line for the operator. */
static bool survives(const char *content, size_t length)
{
	icp_config_t config;
	icp_diag_t diag;
	write_file(content, length);
	int rc = load(&config, file, &diag);
	if (rc == ICP_EOK) {
		icp_config_deinit(&config);
		return true;
	}
	assert_int_equal(rc, ICP_ECONFIG);
	assert_memory_equal(diag.text, file, strlen(file));
	return false;
}

static void test_truncated(void **state)
{
	(void)state;
	size_t length = 0;
	size_t good = 0;
	char *text = read_example(&length);
	for (size_t cut = 0; cut <= length; cut++) {
		good += survives(text, cut);
	}
	assert_in_range(good, 1, length - 1);
	for (size_t cut = 0; cut < sizeof full; cut++) {
		survives(full, cut);
	}
	free(text);
}

/* Octets that mean something to YAML, or nothing anywhere, at every place of a file. */
static void test_garbled(void **state)
{
	(void)state;
	static const char octets[] = "\0\t\n:-[{&\"#\xff";
	char text[sizeof full];
	for (size_t at = 0; at < sizeof full - 1; at++) {
		for (size_t i = 0; i < sizeof octets - 1; i++) {
			memcpy(text, full, sizeof full);
			text[at] = octets[i];
			survives(text, sizeof full - 1);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_minimal),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_ede),
		cmocka_unit_test(test_accepted),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_no_diag),
		cmocka_unit_test(test_deinit),
		cmocka_unit_test(test_path),
		cmocka_unit_test(test_example),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_garbled),
	};
	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}

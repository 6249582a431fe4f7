/* SPDX-License-Identifier: BSD-3-Clause */
/* Feeds as files: every rule of a row and of the header row broken once, lines and their numbers,
 * compression, and what a good row becomes. */
#include "tests/unit/loader_help.h"

#include <sys/stat.h>

#include "core/time.h"

#define GOOD "good.example.com,qcloud,filed," NUMBER ",,,,\n"
#define TEN "0123456789"
#define FIFTY TEN TEN TEN TEN TEN
#define LABEL60 FIFTY TEN

typedef struct {
	const char *name;
	const char *row;  /*!< Stands on line 2. */
	const char *text; /*!< "what is wrong: VALUE" */
} bad_case_t;

static const bad_case_t bad_domains[] = {
	{"empty", ",qcloud,filed," NUMBER ",,,,", "domain is missing: (empty)"},
	{"empty label", "a..example.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a valid name, empty label: a..example.com"},
	{"a root", ".,qcloud,filed," NUMBER ",,,,", "domain is not a valid name, empty label: ."},
	{"long label", LABEL60 "0123.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a valid name, label over 63 characters: " LABEL60 "0123.com"},
	{"long name",
		LABEL60 "." LABEL60 "." LABEL60 "." LABEL60 ".example.com,qcloud,filed," NUMBER
			",,,,",
		"domain is not a valid name, name over 253 characters: " LABEL60
		".0123456789012345678..."},
	{"character", "exa mple.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a valid name, character not allowed in a name: exa mple.com"},
	{"blank before", " example.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a valid name, character not allowed in a name:  example.com"},
	{"hyphen", "-a.example.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a valid name, hyphen at the start or end of a label: "
		"-a.example.com"},
	{"underscore", "_dmarc.example.com,qcloud,filed," NUMBER ",,,,",
		"domain is not a host name: _dmarc.example.com"},
	{"not UTF-8",
		"ex\xff"
		"ample.com,qcloud,filed," NUMBER ",,,,",
		"domain is not UTF-8: ex\\xffample.com"},
	{"IPv4", "192.0.2.1,qcloud,filed," NUMBER ",,,,", "domain is an address: 192.0.2.1"},
	{"IPv4 as a name", "192.0.2.1.,qcloud,filed," NUMBER ",,,,",
		"domain is an address: 192.0.2.1."},
	{"IPv6", "2001:db8::1,qcloud,filed," NUMBER ",,,,", "domain is an address: 2001:db8::1"},
	{"single label", "localhost,qcloud,filed," NUMBER ",,,,",
		"domain is a single label: localhost"},
	{"top level", "cn,qcloud,filed," NUMBER ",,,,", "domain is a single label: cn"},
	{"public suffix", "COM.CN.,qcloud,filed," NUMBER ",,,,",
		"domain is a public suffix: COM.CN."},
	{"public suffix of two labels more", "pvt.k12.ma.us,qcloud,filed," NUMBER ",,,,",
		"domain is a public suffix: pvt.k12.ma.us"},
	{"public suffix by wildcard", "any.ck,qcloud,filed," NUMBER ",,,,",
		"domain is a public suffix: any.ck"},
	{"public suffix as U-label", "公司.cn,qcloud,filed," NUMBER ",,,,",
		"domain is a public suffix: 公司.cn"},
};

static const bad_case_t bad_words[] = {
	{"no provider", "example.com,,filed," NUMBER ",,,,", "provider is missing: example.com"},
	{"provider in capitals", "example.com,QCloud,filed," NUMBER ",,,,",
		"provider is not 1 to 32 of a-z, 0-9 and hyphen: QCloud"},
	{"provider of 33", "example.com," TEN TEN TEN "012,filed," NUMBER ",,,,",
		"provider is not 1 to 32 of a-z, 0-9 and hyphen: " TEN TEN TEN "012"},
	{"no status", "example.com,qcloud,," NUMBER ",,,,", "status is missing: example.com"},
	{"status", "example.com,qcloud,Filed," NUMBER ",,,,", "status is not known: Filed"},
	{"no number", "example.com,qcloud,deregistered,,,,,",
		"number is missing for deregistered: example.com"},
	{"number of 129", "example.com,qcloud,filed," FIFTY FIFTY TEN TEN "012345678,,,,",
		"number is over 128 octets: " FIFTY TEN TEN TEN "..."},
	{"number not UTF-8", "example.com,qcloud,filed,\xbe\xa9ICP,,,,",
		"number is not UTF-8: \\xbe\\xa9ICP"},
	{"number overlong", "example.com,qcloud,filed,\xe0\x80\xaf,,,,",
		"number is not UTF-8: \\xe0\\x80\\xaf"},
	{"number with a surrogate", "example.com,qcloud,filed,\xed\xa0\x80,,,,",
		"number is not UTF-8: \\xed\\xa0\\x80"},
	{"number cut", "example.com,qcloud,filed,\xe4\xba,,,,", "number is not UTF-8: \\xe4\\xba"},
	{"number with a tab", "example.com,qcloud,filed,a\tb,,,,",
		"number holds a control character: a\\x09b"},
	{"number with C1", "example.com,qcloud,filed,a\xc2\x85,,,,",
		"number holds a control character: a\\xc2\\x85"},
	{"value cut between characters",
		"example.com,qcloud,filed,\x01" FIFTY TEN TEN "01234567京,,,,",
		"number holds a control character: \\x01" FIFTY TEN TEN "01234567..."},
	{"approved_at", "example.com,qcloud,filed," NUMBER ",2026-02-30,,,",
		"approved_at is not a time or a date: 2026-02-30"},
	{"no approved_at", "example.com,qcloud,transfer-preapproved," NUMBER ",,,,",
		"approved_at is missing for transfer-preapproved: example.com"},
	{"expires_at", "example.com,qcloud,transfer-preapproved," NUMBER ",2026-01-01,soon,,",
		"expires_at is not a time or a date: soon"},
	{"expires_at of others", "example.com,qcloud,filed," NUMBER ",2026-01-01,2026-02-01,,",
		"expires_at is only for transfer-preapproved: 2026-02-01"},
	{"no rectify_by", "example.com,qcloud,rectifying," NUMBER ",,,,",
		"rectify_by is missing for rectifying: example.com"},
	{"rectify_by", "example.com,qcloud,rectifying," NUMBER ",,,2026-1-1,",
		"rectify_by is not a time or a date: 2026-1-1"},
	{"rectify_by of others", "example.com,qcloud,pending,,,,2026-01-01,",
		"rectify_by is only for rectifying: 2026-01-01"},
	{"licensed", "example.com,qcloud,filed," NUMBER ",,,,192.0.2.1 192.0.2.300",
		"licensed_addresses: not an address or a prefix: 192.0.2.300"},
	{"licensed host bits", "example.com,qcloud,filed," NUMBER ",,,,192.0.2.1/24",
		"licensed_addresses: not an address or a prefix: 192.0.2.1/24"},
};

static const bad_case_t bad_records[] = {
	{"few fields", "example.com,qcloud,filed",
		"row has 3 fields, the header has 8: example.com"},
	{"one field", "example.com", "row has 1 field, the header has 8: example.com"},
	{"many fields", "example.com,qcloud,filed," NUMBER ",,,,,",
		"row has 9 fields, the header has 8: example.com"},
	{"very many fields",
		"example.com"
		",,,,,,,,,,"
		",,,,,,,,,,"
		",,,,,,,,,,",
		"row has 31 fields, the header has 8: example.com"},
	{"empty line", "", "row has 1 field, the header has 8: (empty)"},
	{"quote inside", "exam\"ple.com,qcloud,filed," NUMBER ",,,,",
		"quotes are not as CSV has them: exam\"ple.com,qcloud,filed," NUMBER ",,,,"},
	{"text after quote", "\"example\".com,qcloud,filed," NUMBER ",,,,",
		"quotes are not as CSV has them: \"example\".com,qcloud,filed," NUMBER ",,,,"},
	{"blank after quote", "\"example.com\" ,qcloud,filed," NUMBER ",,,,",
		"quotes are not as CSV has them: \"example.com\" ,qcloud,filed," NUMBER ",,,,"},
	{"blank before a field, after quotes", "\"example.com\", qcloud,filed," NUMBER ",,,,",
		"provider is not 1 to 32 of a-z, 0-9 and hyphen:  qcloud"},
	{"carriage return after quotes", "\"example.com\",qcl\roud,filed," NUMBER ",,,,",
		"provider is not 1 to 32 of a-z, 0-9 and hyphen: qcl\\x0doud"},
	{"carriage return inside", "example.com,qcl\roud,filed," NUMBER ",,,,",
		"provider is not 1 to 32 of a-z, 0-9 and hyphen: qcl\\x0doud"},
};

static void append(char *text, size_t room, const char *more)
{
	size_t length = strlen(text);
	assert_true(length + strlen(more) < room);
	snprintf(text + length, room - length, "%s", more);
}

static void check_bad(site_t *site, const bad_case_t *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		char text[4096];
		print_message("  %s\n", cases[i].name);
		snprintf(text, sizeof text, HEADER "%s\n" GOOD, cases[i].row);
		assert_int_equal(load_text(site, text), ICP_EFEED);
		assert_string_equal(site->bad.rows[0].text, cases[i].text);
		assert_int_equal(site->bad.total, 1);
		assert_int_equal(site->bad.rows[0].line, 2);
		assert_says(site, "f.csv", ": rejected for its bad rows, the store is unchanged");
	}
	assert_int_not_equal(access(in_dir(site, "store/current"), F_OK), 0);
}

static void test_bad_domains(void **state)
{
	check_bad(*state, bad_domains, COUNT(bad_domains));
}

static void test_bad_words(void **state)
{
	check_bad(*state, bad_words, COUNT(bad_words));
}

static void test_bad_records(void **state)
{
	check_bad(*state, bad_records, COUNT(bad_records));
}

/*! 257 addresses, of which 256 are allowed. */
static void test_licensed_count(void **state)
{
	site_t *site = *state;
	for (unsigned count = 256; count <= 257; count++) {
		char text[8192] = HEADER "example.com,qcloud,filed," NUMBER ",,,,";
		for (unsigned i = 0; i < count; i++) {
			char address[20];
			snprintf(address, sizeof address, " 10.0.%u.%u", i / 256, i % 256);
			append(text, sizeof text, address);
		}
		assert_int_equal(load_text(site, text), count == 256 ? ICP_EOK : ICP_EFEED);
	}
	assert_string_equal(site->bad.rows[0].text, "licensed_addresses are over 256: 10.0.1.0");
	icp_reader_t reader = open_current(site);
	assert_int_equal(find_rows(&reader, "example.com")->items[0].licensed_count, 256);
	close_current(&reader);
}

/*! 22 bad rows: a duplicate early on, found last, must still be the first one told. */
static void test_first_twenty(void **state)
{
	site_t *site = *state;
	char text[4096] = HEADER GOOD GOOD;
	for (unsigned i = 0; i < 20; i++) {
		append(text, sizeof text, "example.com,qcloud,filed\n");
	}
	append(text, sizeof text,
		"EXAMPLE.com,qcloud,filed," NUMBER ",,,,\n"
		"example.net,qcloud,filed," NUMBER ",,,,\n"
		"example.com.,qcloud,pending,,,,,\n");
	assert_int_equal(load_text(site, text), ICP_EFEED);
	assert_int_equal(site->bad.total, 22);
	assert_int_equal(site->bad.kept, ICP_BAD_KEPT);
	assert_int_equal(site->bad.rows[0].line, 3);
	assert_string_equal(site->bad.rows[0].text,
		"pair given twice, first at line 2: good.example.com qcloud");
	for (size_t i = 1; i < ICP_BAD_KEPT; i++) {
		assert_int_equal(site->bad.rows[i].line, 3 + i);
	}

	FILE *out = tmpfile();
	char line[600];
	char expected[600];
	assert_non_null(out);
	icp_bad_print(&site->bad, "F", out);
	rewind(out);
	snprintf(expected, sizeof expected, "F:3: %s\n", site->bad.rows[0].text);
	assert_string_equal(fgets(line, sizeof line, out), expected);
	for (size_t i = 1; i <= ICP_BAD_KEPT; i++) {
		assert_non_null(fgets(line, sizeof line, out));
	}
	assert_string_equal(line, "F: 22 bad rows\n");
	fclose(out);
}

static void test_pair_given_twice(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER "b.com,qcloud,filed," NUMBER ",,,,\n"
						"a.com,zcloud,filed," NUMBER ",,,,\n"
						"a.com,qcloud,filed," NUMBER ",,,,\n"
						"a.com,acloud,filed," NUMBER ",,,,\n"
						"A.com.,qcloud,pending,,,,,\n"
						"www.a.com,qcloud,filed," NUMBER ",,,,\n"
						"a.com,qcloud,filed," NUMBER ",,,,\n"),
		ICP_EFEED);
	assert_int_equal(site->bad.total, 2);
	assert_int_equal(site->bad.rows[0].line, 6);
	assert_string_equal(
		site->bad.rows[0].text, "pair given twice, first at line 4: a.com qcloud");
	assert_int_equal(site->bad.rows[1].line, 8);
	assert_string_equal(
		site->bad.rows[1].text, "pair given twice, first at line 4: a.com qcloud");
}

/*! A quote that is not closed on its line spoils that row alone. */
static void test_lines(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_text(site, HEADER
				 "\"a.com\",\"q\ncloud\",filed,x,,,,\n" /* 2, and its rest 3 */
				 "b.com,qcloud,filed,x,,,,\r\n"         /* 4 */
				 "c.com,\"qcloud\",fi\"led,x,,,,\n"     /* 5 */
				 "d.com,qcloud,filed,x,,,,\n"           /* 6 */
				 "e.com,qcloud,fild,x,,,,\n"            /* 7 */
				 "f.com,\"qcloud,filed\n"               /* 8 */
				 "com.cn,qcloud,filed,x,,,,\n"),        /* 9 */
		ICP_EFEED);
	const uint64_t lines[] = {2, 3, 5, 7, 8, 9};
	assert_int_equal(site->bad.total, COUNT(lines));
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_int_equal(site->bad.rows[i].line, lines[i]);
	}
	assert_string_equal(
		site->bad.rows[0].text, "quoted field does not end on its line: \"a.com\",\"q");
	assert_string_equal(site->bad.rows[4].text,
		"quoted field does not end on its line: f.com,\"qcloud,filed");
	assert_string_equal(site->bad.rows[5].text, "domain is a public suffix: com.cn");
}

static void test_long_lines(void **state)
{
	site_t *site = *state;
	static char text[400000];
	size_t start = strlen(HEADER);
	memset(text, 'x', sizeof text - 1);
	for (size_t i = 0; i < start; i++) {
		text[i] = HEADER[i];
	}
	assert_int_equal(load_text(site, text), ICP_EFEED);
	assert_says(site, "f.csv", ":2: line is over 65536 octets");

	text[start + 65537] = '\n';
	assert_int_equal(load_text(site, text), ICP_EFEED);
	assert_says(site, "f.csv", ":2: line is over 65536 octets");

	/* The longest line is a row like others; so the next one is the trouble. */
	text[start + 65537] = 'x';
	text[start + 65536] = '\n';
	assert_int_equal(load_text(site, text), ICP_EFEED);
	assert_says(site, "f.csv", ":3: line is over 65536 octets");
}

static void test_header(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *diag;
	} cases[] = {
		{"empty file", "", ": no header row, the feed is empty"},
		{"not known", "domain,provider,status,op\n", ":1: column is not known: op"},
		{"capitals", "Domain,provider,status\n", ":1: column is not known: Domain"},
		{"blank", "domain, provider,status\n", ":1: column is not known:  provider"},
		{"no name", "domain,,provider,status\n", ":1: column is not known: (empty)"},
		{"twice", "domain,provider,domain,status\n", ":1: column is given twice: domain"},
		{"all known and one more",
			"domain,provider,status,number,approved_at,expires_at,rectify_by,"
			"licensed_addresses,domain\n",
			":1: column is given twice: domain"},
		{"no domain", "provider,status\n", ":1: required column is missing: domain"},
		{"no provider", "domain,status\n", ":1: required column is missing: provider"},
		{"no status", "domain,provider\n", ":1: required column is missing: status"},
		{"quotes", "\"domain\",\"provider\",\"sta\"tus\n",
			":1: quotes are not as CSV has them: \"domain\",\"provider\",\"sta\"tus"},
	};
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		print_message("  %s\n", cases[i].name);
		assert_int_equal(load_text(site, cases[i].text), ICP_EFEED);
		assert_says(site, "f.csv", cases[i].diag);
	}
}

static void test_files(void **state)
{
	site_t *site = *state;
	assert_int_equal(load_file(site, in_dir(site, "none.csv"), true), ICP_EFEED);
	assert_says(site, "none.csv", ": No such file or directory");
	assert_int_equal(mkdir(site->feed, 0755), 0);
	assert_int_equal(load_file(site, site->feed, true), ICP_EFEED);
	assert_says(site, "f.csv", ": not a regular file");
	assert_int_equal(rmdir(site->feed), 0);
	/* Nobody ever writes into it. */
	assert_int_equal(mkfifo(site->feed, 0600), 0);
	assert_int_equal(load_file(site, site->feed, true), ICP_EFEED);
	assert_says(site, "f.csv", ": not a regular file");
	assert_int_not_equal(access(site->store, F_OK), 0);
}

static int load_octets(site_t *site, const char *name, const void *octets, size_t length)
{
	write_octets(in_dir(site, name), octets, length);
	return load_file(site, in_dir(site, name), true);
}

/*! Compressed data that is whole, in two parts, cut at any place, changed, or followed by more. */
static void test_compression(void **state)
{
	static const struct {
		const char *name;
		int filter;
		bool checked; /*!< The format has a check sum; libarchive gives zstd none. */
	} cases[] = {
		{"f.csv.gz", ARCHIVE_FILTER_GZIP, true},
		{"f.csv.xz", ARCHIVE_FILTER_XZ, true},
		{"f.csv.zst", ARCHIVE_FILTER_ZSTD, false},
		{"f.csv", ARCHIVE_FILTER_GZIP, true},
	};
	static uint8_t octets[65536];
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *name = cases[i].name;
		size_t half = compress_text(
			cases[i].filter, HEADER ROW("a.com") "b.c", octets, sizeof octets / 2);
		size_t whole = half + compress_text(cases[i].filter, "om,qcloud,filed,x,,,,\n",
					      octets + half, sizeof octets / 2);
		print_message("  %s\n", name);
		assert_int_equal(load_octets(site, name, octets, whole), ICP_EOK);
		assert_int_equal(site->result.info.rows, 2);
		uint64_t generation = site->result.info.generation;

		for (size_t length = 3; length < whole; length++) {
			if (length != half) {
				assert_int_equal(
					load_octets(site, name, octets, length), ICP_EFEED);
			}
		}
		/* A header's first half may hold what says nothing of the data. */
		for (size_t at = half / 2; cases[i].checked && at < half; at++) {
			octets[at] ^= 0x04;
			assert_int_equal(load_octets(site, name, octets, whole), ICP_EFEED);
			octets[at] ^= 0x04;
		}
		memset(octets + whole, 'x', 4);
		assert_int_equal(load_octets(site, name, octets, whole + 4), ICP_EFEED);

		assert_int_equal(load_octets(site, name, octets, whole), ICP_EOK);
		assert_int_equal(site->result.info.generation, generation + 1);
	}
}

/*! Rows in every form that is allowed, and what they become. */
static void test_good_rows(void **state)
{
	site_t *site = *state;
	/* A byte order mark, other order, quotes, CR LF, and no end of the last line. */
	assert_int_equal(
		load_text(site,
			"\xef\xbb\xbf"
			"number,status,\"provider\",approved_at,expires_at,domain,"
			"rectify_by,licensed_addresses\r\n"
			"\"" NUMBER "\",filed,q-1,2026-01-02,,WWW.Example.COM.,,\r\n"
			"\"a,\"\"b\"\"\",changing,q2,2026-01-02T03:04:05Z,,\"例子.中国\",,\n"
			"x,rectifying,q,,,b.com,2026-03-04,\n"
			"x,transfer-preapproved,q,2026-01-02,,c.com,,\n"
			"x,transfer-preapproved,q,2026-01-02,2026-01-03,d.com,,\n"
			",pending,q,,,e.com,,\n"
			"x,filed,q,,,f.com,,192.0.2.1  2001:db8::/32 \n"
			"x,filed,q,,,github.io,,"),
		ICP_EOK);
	assert_int_equal(site->result.info.rows, 8);
	assert_int_equal(site->result.domains, 8);
	assert_int_equal(site->result.info.nodes, 9);

	icp_reader_t reader = open_current(site);
	const icp_row_t *row = find_rows(&reader, "www.example.com")->items;
	assert_int_equal(reader.rows.count, 1);
	assert_int_equal(row->status, ICP_FILED);
	assert_memory_equal(row->number, NUMBER, row->number_length);
	assert_int_equal(row->number_length, strlen(NUMBER));
	assert_memory_equal(row->provider, "q-1", row->provider_length);
	assert_int_equal(row->approved_at, 1767283200); /* 2026-01-01T16:00:00Z */
	assert_true(row->expires_at == ICP_TIME_NONE && row->rectify_by == ICP_TIME_NONE);

	row = find_rows(&reader, "xn--fsqu00a.xn--fiqs8s")->items;
	assert_int_equal(reader.rows.count, 1);
	assert_memory_equal(row->number, "a,\"b\"", row->number_length);
	assert_int_equal(row->approved_at, 1767323045);

	row = find_rows(&reader, "b.com")->items;
	assert_int_equal(row->rectify_by, 1772640000); /* 2026-03-04T16:00:00Z */
	row = find_rows(&reader, "c.com")->items;
	assert_int_equal(row->expires_at, row->approved_at + INT64_C(45) * 86400);
	row = find_rows(&reader, "d.com")->items;
	assert_int_equal(row->expires_at, row->approved_at + INT64_C(2) * 86400);
	row = find_rows(&reader, "e.com")->items;
	assert_int_equal(row->status, ICP_PENDING);
	assert_int_equal(row->number_length, 0);
	row = find_rows(&reader, "f.com")->items;
	assert_int_equal(row->licensed_count, 2);
	assert_int_equal(row->licensed[0].length, 32);
	assert_int_equal(row->licensed[1].address.family, 6);
	/* A suffix of the private section is a name that its owner may file. */
	assert_int_equal(find_rows(&reader, "github.io")->count, 1);
	close_current(&reader);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_bad_domains),
		IN_SITE(test_bad_words),
		IN_SITE(test_bad_records),
		IN_SITE(test_licensed_count),
		IN_SITE(test_first_twenty),
		IN_SITE(test_pair_given_twice),
		IN_SITE(test_lines),
		IN_SITE(test_long_lines),
		IN_SITE(test_header),
		IN_SITE(test_files),
		IN_SITE(test_compression),
		IN_SITE(test_good_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/* Delta feeds: the header row, what each op needs and what it does not look at, and what a good row
 * becomes. The rules of an upsert's row are those of test_feed.c. */
#include "tests/unit/loader_help.h"

#include "core/time.h"
#include "loader/feed.h"

#define DELTA_HEADER                                                                               \
	"op,domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses\n"
#define GOOD "upsert,good.example.com,qcloud,filed," NUMBER ",,,,\n"
#define ENTITY "京ICP备11018762号"
#define TEN "0123456789"
#define TEN8 TEN TEN TEN TEN TEN TEN TEN TEN

/*! A delta feed that is being read. */
typedef struct {
	icp_stream_t *stream;
	icp_feed_t *feed;
	icp_change_t change;
	uint64_t line;
} delta_t;

static int open_delta(site_t *site, const char *text, delta_t *delta)
{
	*delta = (delta_t){.stream = NULL};
	site->bad = (icp_bad_t){.total = 0};
	site->diag.text[0] = '\0';
	write_text(site->feed, text);
	assert_int_equal(icp_stream_open(&delta->stream, site->feed, false, &site->diag), ICP_EOK);
	return icp_feed_open(&delta->feed, delta->stream, ICP_FEED_DELTA, &site->bad, &site->diag);
}

static int next_change(site_t *site, delta_t *delta)
{
	memset(&delta->change, 0xff, sizeof delta->change);
	return icp_feed_next_change(delta->feed, &delta->change, &delta->line, &site->diag);
}

static void close_delta(delta_t *delta)
{
	icp_feed_close(delta->feed);
	icp_stream_close(delta->stream);
}

static void test_header(void **state)
{
	static const struct {
		const char *name;
		const char *text;
		const char *diag;
	} cases[] = {
		{"empty file", "", ": no header row, the feed is empty"},
		{"a full feed", HEADER, ":1: required column is missing: op"},
		{"no domain", "op,provider,status\n", ":1: required column is missing: domain"},
		{"no provider", "op,domain,status\n", ":1: required column is missing: provider"},
		{"no status", "op,domain,provider\n", ":1: required column is missing: status"},
		{"op twice", "op,domain,op\n", ":1: column is given twice: op"},
		{"in capitals", "Op,domain,provider,status\n", ":1: column is not known: Op"},
		{"not known", "op,ops\n", ":1: column is not known: ops"},
	};
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		delta_t delta;
		print_message("  %s\n", cases[i].name);
		assert_int_equal(open_delta(site, cases[i].text, &delta), ICP_EFEED);
		assert_says(site, "f.csv", cases[i].diag);
		close_delta(&delta);
	}
}

static void test_bad_rows(void **state)
{
	static const struct {
		const char *name;
		const char *row;  /*!< Stands on line 2. */
		const char *text; /*!< "what is wrong: VALUE" */
	} cases[] = {
		{"no op", ",example.com,qcloud,filed," NUMBER ",,,,", "op is missing: example.com"},
		{"op", "insert,example.com,qcloud,filed," NUMBER ",,,,", "op is not known: insert"},
		{"op in capitals", "Delete,example.com,qcloud,,,,,,", "op is not known: Delete"},
		{"op cut", "deregister,,,," ENTITY ",,,,", "op is not known: deregister"},
		{"op first", "x,,,,,,,,", "op is not known: x"},
		{"few fields", "delete,example.com,qcloud",
			"row has 3 fields, the header has 9: delete"},
		{"quotes", "delete,\"example\".com,qcloud,,,,,,",
			"quotes are not as CSV has them: delete,\"example\".com,qcloud,,,,,,"},

		{"upsert without a domain", "upsert,,qcloud,filed," NUMBER ",,,,",
			"domain is missing: (empty)"},
		{"upsert without a status", "upsert,example.com,qcloud,," NUMBER ",,,,",
			"status is missing: example.com"},
		{"upsert without a number", "upsert,example.com,qcloud,filed,,,,,",
			"number is missing for filed: example.com"},
		{"upsert's times", "upsert,example.com,qcloud,filed," NUMBER ",soon,,,",
			"approved_at is not a time or a date: soon"},
		{"upsert's addresses", "upsert,example.com,qcloud,filed," NUMBER ",,,,x",
			"licensed_addresses: not an address or a prefix: x"},

		{"delete without a domain", "delete,,qcloud,,,,,,", "domain is missing: (empty)"},
		{"delete of a suffix", "delete,com.cn,qcloud,,,,,,",
			"domain is a public suffix: com.cn"},
		{"delete of an address", "delete,192.0.2.1,qcloud,,,,,,",
			"domain is an address: 192.0.2.1"},
		{"delete of a label", "delete,cn,qcloud,,,,,,", "domain is a single label: cn"},
		{"delete without a provider", "delete,example.com,,,,,,,",
			"provider is missing: example.com"},
		{"delete of a provider in capitals", "delete,example.com,QCloud,,,,,,",
			"provider is not 1 to 32 of a-z, 0-9 and hyphen: QCloud"},

		{"deregister with a domain", "deregister-entity,example.com,,," ENTITY ",,,,",
			"domain must be empty for deregister-entity: example.com"},
		{"deregister with a provider", "deregister-entity,,qcloud,," ENTITY ",,,,",
			"provider must be empty for deregister-entity: qcloud"},
		{"deregister with a status", "deregister-entity,,,deregistered," ENTITY ",,,,",
			"status must be empty for deregister-entity: deregistered"},
		{"deregister without a number", "deregister-entity,,,,,,,,",
			"number is missing for deregister-entity: (empty)"},
		{"deregister a site's number", "deregister-entity,,,," NUMBER ",,,,",
			"number is not an entity's, which ends in 号: " NUMBER},
		{"deregister a number cut short", "deregister-entity,,,,x,,,,",
			"number is not an entity's, which ends in 号: x"},
		{"deregister 129 octets",
			"deregister-entity,,,," TEN8 TEN TEN TEN TEN "012345号,,,,",
			"number is over 128 octets: " TEN8 "..."},
		{"deregister not UTF-8", "deregister-entity,,,,\xff号,,,,",
			"number is not UTF-8: \\xff号"},
		{"deregister with a tab", "deregister-entity,,,,\t号,,,,",
			"number holds a control character: \\x09号"},
	};
	site_t *site = *state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		char text[1024];
		delta_t delta;
		print_message("  %s\n", cases[i].name);
		snprintf(text, sizeof text, DELTA_HEADER "%s\n" GOOD, cases[i].row);
		assert_int_equal(open_delta(site, text, &delta), ICP_EOK);
		assert_int_equal(next_change(site, &delta), 1);
		assert_int_equal(delta.line, 3);
		assert_int_equal(next_change(site, &delta), 0);
		assert_int_equal(icp_feed_count(delta.feed), 2);
		assert_int_equal(site->bad.total, 1);
		assert_int_equal(site->bad.rows[0].line, 2);
		assert_string_equal(site->bad.rows[0].text, cases[i].text);
		close_delta(&delta);
	}
}

static void assert_text(const char *text, size_t length, const char *expected)
{
	assert_int_equal(length, strlen(expected));
	if (length > 0) {
		assert_memory_equal(text, expected, length);
	}
}

static void assert_domain(const icp_change_t *change, const char *expected)
{
	char text[ICP_NAME_TEXT_MAX];
	icp_name_format(&change->name, text);
	assert_string_equal(text, expected);
	assert_ptr_equal(change->row.domain, change->name.wire);
	assert_int_equal(change->row.domain_length, change->name.length);
	assert_int_equal(change->row.labels, change->name.labels);
}

/*! What an op has no use for must be as if it were not there. */
static void assert_nothing_else(const icp_row_t *row)
{
	assert_true(row->approved_at == ICP_TIME_NONE && row->expires_at == ICP_TIME_NONE &&
		    row->rectify_by == ICP_TIME_NONE);
	assert_null(row->licensed);
	assert_int_equal(row->licensed_count, 0);
	assert_int_equal(row->status, 0);
}

static void test_good_rows(void **state)
{
	site_t *site = *state;
	delta_t delta;
	const icp_change_t *change = &delta.change;
	const icp_row_t *row = &change->row;
	assert_int_equal(
		open_delta(site,
			"\xef\xbb\xbf"
			"number,domain,status,provider,op,approved_at,licensed_addresses\r\n" NUMBER
			",WWW.Example.COM.,changing,q-1,upsert,2026-01-02,192.0.2.1\r\n"
			"\"" ENTITY "\",,,,deregister-entity,x,y\n"
			/* Nothing but the pair is looked at. */
			"\xff,例子.中国,x,q2,delete,x,y\n"
			"号,,,,deregister-entity,,\n"
			/* The same pair again. */
			NUMBER ",www.example.com,deregistered,q-1,\"upsert\",,",
			&delta),
		ICP_EOK);

	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(delta.line, 2);
	assert_int_equal(change->op, ICP_OP_UPSERT);
	assert_domain(change, "www.example.com");
	assert_text(row->provider, row->provider_length, "q-1");
	assert_text(row->number, row->number_length, NUMBER);
	assert_int_equal(row->status, ICP_CHANGING);
	assert_int_equal(row->approved_at, 1767283200); /* 2026-01-01T16:00:00Z */
	assert_int_equal(row->licensed_count, 1);

	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(delta.line, 3);
	assert_int_equal(change->op, ICP_OP_DEREGISTER_ENTITY);
	assert_int_equal(change->name.length, 0);
	assert_int_equal(row->domain_length, 0);
	assert_int_equal(row->provider_length, 0);
	assert_text(row->number, row->number_length, ENTITY);
	assert_nothing_else(row);

	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(change->op, ICP_OP_DELETE);
	assert_domain(change, "xn--fsqu00a.xn--fiqs8s");
	assert_text(row->provider, row->provider_length, "q2");
	assert_int_equal(row->number_length, 0);
	assert_nothing_else(row);

	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(change->op, ICP_OP_DEREGISTER_ENTITY);
	assert_text(row->number, row->number_length, "号");

	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(delta.line, 6);
	assert_int_equal(change->op, ICP_OP_UPSERT);
	assert_int_equal(row->status, ICP_DEREGISTERED);
	assert_true(row->approved_at == ICP_TIME_NONE);

	assert_int_equal(next_change(site, &delta), 0);
	assert_int_equal(icp_feed_count(delta.feed), 5);
	assert_int_equal(site->bad.total, 0);
	close_delta(&delta);
}

/*! Without a column number there may still be rows that need none. */
static void test_no_number(void **state)
{
	site_t *site = *state;
	delta_t delta;
	assert_int_equal(open_delta(site,
				 "op,domain,provider,status\n"
				 "delete,a.com,q,\n"
				 "upsert,b.com,q,pending\n"
				 "upsert,c.com,q,filed\n"
				 "deregister-entity,,,\n",
				 &delta),
		ICP_EOK);
	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(delta.change.op, ICP_OP_DELETE);
	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(delta.change.row.status, ICP_PENDING);
	assert_int_equal(delta.change.row.number_length, 0);
	assert_int_equal(next_change(site, &delta), 0);
	assert_int_equal(site->bad.total, 2);
	assert_string_equal(site->bad.rows[0].text, "number is missing for filed: c.com");
	assert_string_equal(
		site->bad.rows[1].text, "number is missing for deregister-entity: (empty)");
	close_delta(&delta);
}

/*! What can't be read ends the feed. */
static void test_long_line(void **state)
{
	static char text[ICP_LINE_MAX + 200] = DELTA_HEADER GOOD;
	site_t *site = *state;
	delta_t delta;
	size_t start = strlen(text);
	memset(text + start, 'x', sizeof text - 1 - start);
	assert_int_equal(open_delta(site, text, &delta), ICP_EOK);
	assert_int_equal(next_change(site, &delta), 1);
	assert_int_equal(next_change(site, &delta), ICP_EFEED);
	assert_says(site, "f.csv", ":3: line is over 65536 octets");
	close_delta(&delta);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(test_header),
		IN_SITE(test_bad_rows),
		IN_SITE(test_good_rows),
		IN_SITE(test_no_number),
		IN_SITE(test_long_line),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

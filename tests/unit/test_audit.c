/* SPDX-License-Identifier: BSD-3-Clause */
#include "audit_help.h"

static void a_line_for_each_change_of_a_permission(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	icp_audit_t *audit = begin_at(site, &generations, NOW, "");
	static const char *const changes[][2] = {
		{NULL, "new.cn p filed 1"},
		{"gone.cn p changing 1", NULL},
		{"example.中国 q filed 1", "example.中国 q deregistered 1"},
		{"back.cn p transfer-cancelled 1", "back.cn p filed 1"},
		/* Of these no permission changes; at NOW the pre-approval is over. */
		{"same.cn p filed 1", "same.cn p changing 1"},
		{"never.cn p pending", NULL},
		{NULL, "over.cn p transfer-preapproved 1"},
		{"late.cn p rectifying 1", "late.cn p filed 1"},
	};
	for (size_t i = 0; i < COUNT(changes); i++) {
		sample_row_t rows[2];
		const icp_row_t *given[2] = {NULL, NULL};
		for (size_t j = 0; j < 2; j++) {
			if (changes[i][j] != NULL) {
				sample_row(&rows[j], changes[i][j]);
				given[j] = &rows[j].row;
			}
		}
		assert_int_equal(icp_audit_add(given[0], given[1], audit), ICP_EOK);
	}
	assert_int_equal(icp_audit_prepare(audit, ICP_AUDIT_LINK), ICP_EOK);
	assert_int_equal(icp_audit_commit(audit), ICP_EOK);
	assert_string_equal(text_of(site, DAY), ICP_AUDIT_HEADER T
		",new.cn,p,none,filed,7,42,f.csv\n" T ",gone.cn,p,changing,none,7,42,f.csv\n" T
		",example.xn--fiqs8s,q,filed,deregistered,7,42,f.csv\n" T
		",back.cn,p,transfer-cancelled,filed,7,42,f.csv\n");
	assert_false(is_there(site, PENDING));
	struct stat st;
	assert_int_equal(stat(in_dir(site, DAY), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	icp_generations_close(&generations);
}

static void overdue_rows_permit_as_configured(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	icp_audit_batch_t batch = {
		.rectify_overdue = ICP_BLOCK, .now = NOW, .generation = 1, .source = "f.csv"};
	icp_audit_t *audit;
	sample_row_t late;
	sample_row_t filed;
	sample_row(&late, "late.cn p rectifying 1");
	sample_row(&filed, "late.cn p filed 1");
	assert_int_equal(icp_audit_begin(&audit, &generations, &batch, NULL), ICP_EOK);
	assert_int_equal(icp_audit_add(&late.row, &filed.row, audit), ICP_EOK);
	assert_int_equal(icp_audit_prepare(audit, 1), ICP_EOK);
	assert_int_equal(icp_audit_commit(audit), ICP_EOK);
	assert_string_equal(
		text_of(site, DAY), ICP_AUDIT_HEADER T ",late.cn,p,rectifying,filed,1,0,f.csv\n");
	icp_generations_close(&generations);
}

static void batches_of_a_day_share_a_file(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	log_at(site, &generations, NOW - 1, "a.cn p filed 1\n");
	log_at(site, &generations, NOW, "b.cn p filed 1\n");
	log_at(site, &generations, NOW + 86399, "c.cn p filed 1\n");
	log_at(site, &generations, NOW + 86400, "d.cn p filed 1\n");
	assert_string_equal(text_of(site, "store/audit/2026-11-23.csv.zst"),
		ICP_AUDIT_HEADER "2026-11-23T23:59:59+08:00,a.cn,p,none,filed,7,42,f.csv\n");
	assert_string_equal(text_of(site, DAY),
		ICP_AUDIT_HEADER T ",b.cn,p,none,filed,7,42,f.csv\n"
				   "2026-11-24T23:59:59+08:00,c.cn,p,none,filed,7,42,f.csv\n");
	assert_string_equal(text_of(site, "store/audit/2026-11-25.csv.zst"),
		ICP_AUDIT_HEADER "2026-11-25T00:00:00+08:00,d.cn,p,none,filed,7,42,f.csv\n");
	icp_generations_close(&generations);
}

static void a_batch_without_a_line_leaves_no_trace(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	log_at(site, &generations, NOW, "a.cn p pending\n");
	icp_audit_cancel(begin_at(site, &generations, NOW, ""));
	icp_audit_cancel(NULL);
	assert_false(is_there(site, "store/audit"));
	icp_generations_close(&generations);
}

static void a_batch_of_many_lines(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	icp_audit_t *audit = begin_at(site, &generations, NOW, "");
	for (unsigned i = 0; i < 20000; i++) {
		char line[64];
		sample_row_t sample;
		snprintf(line, sizeof line, "n%u.cn p%u filed 1", i * 2654435761u, i % 7);
		sample_row(&sample, line);
		assert_int_equal(icp_audit_add(NULL, &sample.row, audit), ICP_EOK);
	}
	assert_int_equal(icp_audit_prepare(audit, 1), ICP_EOK);
	assert_int_equal(icp_audit_commit(audit), ICP_EOK);
	const char *at = text_of(site, DAY) + sizeof ICP_AUDIT_HEADER - 1;
	for (unsigned i = 0; i < 20000; i++) {
		char line[128];
		int length = snprintf(line, sizeof line, T ",n%u.cn,p%u,none,filed,7,42,f.csv\n",
			i * 2654435761u, i % 7);
		assert_memory_equal(at, line, (size_t)length);
		at += length;
	}
	assert_string_equal(at, "");
	icp_generations_close(&generations);
}

static void sources_are_quoted(void **state)
{
	static const char *const sources[][2] = {
		{"a b-1.csv.zst", "a b-1.csv.zst"},
		{"a,b.csv", "\"a,b.csv\""},
		{"say \"a\".csv", "\"say \"\"a\"\".csv\""},
		{" a.csv", "\" a.csv\""},
		{"a\n\r\t.csv", "a???.csv"},
		{"备案.csv", "备案.csv"},
		{"", ""},
	};
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	char expected[4096] = ICP_AUDIT_HEADER;
	for (size_t i = 0; i < COUNT(sources); i++) {
		icp_audit_batch_t batch = {.now = NOW,
			.generation = UINT64_MAX,
			.sequence = UINT64_MAX,
			.source = sources[i][0]};
		icp_audit_t *audit;
		sample_row_t sample;
		sample_row(&sample, "a.cn p filed 1");
		assert_int_equal(icp_audit_begin(&audit, &generations, &batch, NULL), ICP_EOK);
		assert_int_equal(icp_audit_add(&sample.row, NULL, audit), ICP_EOK);
		assert_int_equal(icp_audit_prepare(audit, 1), ICP_EOK);
		assert_int_equal(icp_audit_commit(audit), ICP_EOK);
		size_t at = strlen(expected);
		snprintf(expected + at, sizeof expected - at,
			T ",a.cn,p,filed,none,18446744073709551615,18446744073709551615,%s\n",
			sources[i][1]);
	}
	assert_string_equal(text_of(site, DAY), expected);
	icp_generations_close(&generations);
}

static void a_batch_is_dropped(void **state)
{
	site_t *site = *state;
	icp_generations_t generations = open_store(site);
	icp_audit_t *audit = begin_at(site, &generations, NOW, "a.cn p filed 1\n");
	assert_true(is_there(site, PENDING));
	icp_audit_cancel(audit);
	assert_false(is_there(site, PENDING));
	audit = begin_at(site, &generations, NOW, "a.cn p filed 1\n");
	assert_int_equal(icp_audit_prepare(audit, 3), ICP_EOK);
	icp_audit_cancel(audit);
	assert_false(is_there(site, PENDING));
	assert_false(is_there(site, DAY));
	file_t before;
	log_at(site, &generations, NOW, "a.cn p filed 1\n");
	keep(site, DAY, &before);
	audit = begin_at(site, &generations, NOW, "b.cn p filed 1\n");
	assert_int_equal(icp_audit_prepare(audit, 3), ICP_EOK);
	icp_audit_cancel(audit);
	assert_same(site, DAY, &before);
	icp_generations_close(&generations);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SITE(a_line_for_each_change_of_a_permission),
		IN_SITE(overdue_rows_permit_as_configured),
		IN_SITE(batches_of_a_day_share_a_file),
		IN_SITE(a_batch_without_a_line_leaves_no_trace),
		IN_SITE(a_batch_of_many_lines),
		IN_SITE(sources_are_quoted),
		IN_SITE(a_batch_is_dropped),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

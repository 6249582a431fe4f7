/* SPDX-License-Identifier: BSD-3-Clause */
/*! What HTTP's answers are made of, from what is observed: metrics, health, JSON. */
#include "tests/unit/stats_help.h"

#include <jansson.h>

#include "loader/health.h"
#include "loader/metrics.h"
#include "loader/report.h"
#include "loader/state_json.h"

#define HOUR 3600

static icp_config_t config = {.daemon = {.stale_after = 36 * HOUR, .gap_after = 900}};
static icp_kept_t kept[3];
static icp_daemon_state_t daemon_state;

/*! A store, a resolver and a daemon in order. */
static icp_observed_t all_is_well(void)
{
	daemon_state = (icp_daemon_state_t){
		.started = NOW - 500,
		.depth = 3,
		.waiting = 2,
		.refused = 7,
		.gap_since = ICP_TIME_NONE,
		.loads = {[ICP_LOAD_FULL] = {[ICP_LOAD_DONE] = 4},
			[ICP_LOAD_DELTA] = {[ICP_LOAD_FEED] = 1}},
		.last = {ICP_LOAD_FULL, ICP_LOAD_DONE, NOW - 60, 12.3456, 1007},
		.follow = ICP_FOLLOW_RUNNING,
		.follow_starts = 5,
	};
	kept[0] = (icp_kept_t){42, true, ICP_EOK, {.created_at = NOW - HOUR}, 4096, {""}};
	kept[1] = (icp_kept_t){.number = 41, .size = 8192};
	kept[2] = (icp_kept_t){.number = 40, .code = ICP_EDAMAGED};
	icp_observed_t observed = {
		.now = NOW,
		.config = &config,
		.daemon = &daemon_state,
		.status = {.info = {.generation = 42,
				   .sequence = 1007,
				   .base = 1000,
				   .rows = 5000000,
				   .nodes = 4900000,
				   .as_of = NOW - 2 * HOUR,
				   .created_at = NOW - HOUR,
				   .source = "filings.csv"},
			.size = 4096,
			.readers = {.slots = 5, .held = 1, .stale = 1},
			.kept = kept,
			.kept_count = 3},
		.stats = {.counting = true,
			.seats = 3,
			.started = NOW - 1000,
			.generation = 42,
			.since = NOW - 30,
			.no_index_since = ICP_TIME_NONE,
			.latency_sum = 123456789},
	};
	observed.stats.judged[ICP_BLOCK][ICP_REASON_FILED_ELSEWHERE] = 17;
	observed.stats.counts[ICP_STAT_MONITORED] = 6;
	observed.stats.counts[ICP_STAT_RENEWED] = UINT64_C(1) << 52;
	observed.stats.latency[0] = 3;
	observed.stats.latency[3] = 10;
	observed.stats.latency[ICP_LATENCY_CLASSES - 1] = 2;
	return observed;
}

/*! What a printer writes; freed by the caller. */
static char *text_of(
	void (*print)(const icp_observed_t *observed, FILE *out), const icp_observed_t *observed)
{
	char *text = NULL;
	size_t length;
	FILE *out = open_memstream(&text, &length);
	assert_non_null(out);
	print(observed, out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	char whole[300];
	snprintf(whole, sizeof whole, "\n%s\n", line);
	if (strstr(text, whole) == NULL) {
		fail_msg("no line \"%s\" in:\n%s", line, text);
	}
}

static void assert_none(const char *text, const char *what)
{
	if (strstr(text, what) != NULL) {
		fail_msg("\"%s\" in:\n%s", what, text);
	}
}

static void metrics_say_what_is_observed(void **state)
{
	static const char *const lines[] = {
		"icpgate_daemon_start_time_seconds 1795449100",
		"icpgate_daemon_paused 0",
		"icpgate_spool_feeds 3",
		"icpgate_spool_feeds_waiting 2",
		"icpgate_spool_names_refused 7",
		"icpgate_spool_gap_seconds 0",
		"icpgate_spool_gap_after_seconds 900",
		"icpgate_loads_total{kind=\"full\",outcome=\"done\"} 4",
		"icpgate_loads_total{kind=\"delta\",outcome=\"feed\"} 1",
		"icpgate_loads_total{kind=\"rollback\",outcome=\"crashed\"} 0",
		"icpgate_last_load_info{kind=\"full\",outcome=\"done\"} 1",
		"icpgate_last_load_start_time_seconds 1795449540",
		"icpgate_last_load_duration_seconds 12.346",
		"icpgate_last_load_sequence 1007",
		"icpgate_follow_state{state=\"running\"} 1",
		"icpgate_follow_state{state=\"waiting\"} 0",
		"icpgate_follow_starts_total 5",
		"icpgate_store_readable 1",
		"icpgate_store_generation 42",
		"icpgate_store_sequence 1007",
		"icpgate_store_full_sequence 1000",
		"icpgate_store_age_seconds 7200",
		"icpgate_store_stale_after_seconds 129600",
		"icpgate_store_rows 5000000",
		"icpgate_store_size_bytes 4096",
		"icpgate_store_generations 3",
		"icpgate_store_generations_unreadable 1",
		"icpgate_store_generations_size_bytes 12288",
		"icpgate_store_readers 5",
		"icpgate_store_stale_readers 1",
		"icpgate_resolver_counting 1",
		"icpgate_resolver_info{mode=\"enforce\"} 1",
		"icpgate_resolver_generation 42",
		"icpgate_resolver_no_index 0",
		"icpgate_resolver_no_index_start_time_seconds 0",
		"icpgate_judgements_total{verdict=\"block\",reason=\"filed-elsewhere\"} 17",
		"icpgate_judgements_total{verdict=\"pass\",reason=\"filed-elsewhere\"} 0",
		"icpgate_answers_total{result=\"monitored\"} 6",
		"icpgate_lease_renewals_total 4503599627370496",
		"icpgate_problem{problem=\"stale\"} 0",
	};
	(void)state;
	icp_observed_t observed = all_is_well();
	char *text = text_of(icp_metrics_print, &observed);
	for (size_t i = 0; i < COUNT(lines); i++) {
		assert_line(text, lines[i]);
	}
	free(text);
}

static void a_histogram_counts_all_up_to_each_bound(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	char *text = text_of(icp_metrics_print, &observed);
#define BUCKET(bound, count) "icpgate_judgement_duration_seconds_bucket{le=\"" bound "\"} " count
	assert_line(text, BUCKET("1e-07", "3"));
	assert_line(text, BUCKET("2.5e-07", "3"));
	assert_line(text, BUCKET("1e-06", "13"));
	assert_line(text, BUCKET("0.01", "13"));
	assert_line(text, BUCKET("+Inf", "15"));
	assert_line(text, "icpgate_judgement_duration_seconds_sum 0.123456789");
	assert_line(text, "icpgate_judgement_duration_seconds_count 15");
	free(text);
}

/*! Each sample stands behind its family's HELP and TYPE, each family once. */
static void each_metric_has_its_help_and_type(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	char *text = text_of(icp_metrics_print, &observed);
	char family[100] = "";
	char seen[4096] = " ";
	char *rest = text;
	unsigned families = 0;
	for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
		char name[100];
		char type[20];
		if (sscanf(line, "# HELP %99s ", family) == 1) {
			char once[102];
			snprintf(once, sizeof once, " %s ", family);
			assert_null(strstr(seen, once));
			strncat(seen, once + 1, sizeof seen - strlen(seen) - 1);
			assert_true(strlen(line) > strlen("# HELP ") + strlen(family) + 10);
			families++;
		} else if (sscanf(line, "# TYPE %99s %19s", name, type) == 2) {
			assert_string_equal(name, family);
			size_t length = strlen(name);
			bool total = length > 6 && strcmp(name + length - 6, "_total") == 0;
			assert_int_equal(strcmp(type, "counter") == 0, total);
		} else {
			assert_int_equal(strncmp(line, family, strlen(family)), 0);
		}
	}
	assert_true(families > 40);
	free(text);
}

static void what_is_not_known_is_left_out(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	observed.store_code = ICP_EDAMAGED;
	observed.stats_code = ICP_EVERSION;
	daemon_state.last.began = ICP_TIME_NONE;
	char *text = text_of(icp_metrics_print, &observed);
	assert_line(text, "icpgate_store_readable 0");
	assert_none(text, "icpgate_store_generation ");
	assert_none(text, "icpgate_store_age_seconds");
	assert_line(text, "icpgate_store_generations 3");
	assert_line(text, "icpgate_resolver_stats_unreadable 1");
	assert_line(text, "icpgate_resolver_counting 0");
	assert_none(text, "icpgate_judgement");
	assert_none(text, "icpgate_last_load_info{");
	assert_line(text, "icpgate_last_load_start_time_seconds 0");
	assert_line(text, "icpgate_last_load_duration_seconds 0.000");
	assert_line(text, "icpgate_problem{problem=\"store-unreadable\"} 1");
	free(text);

	observed.stats_code = ICP_ENOSTORE;
	text = text_of(icp_metrics_print, &observed);
	assert_line(text, "icpgate_resolver_stats_unreadable 0");
	free(text);
}

static void no_domain_is_in_the_metrics(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	icp_top_entry_t entry = {.domain = name_of("blocked.example"), .count = 9};
	observed.stats.top = (icp_top_list_t){.items = &entry, .count = 1, .capacity = 1};
	char *text = text_of(icp_metrics_print, &observed);
	assert_none(text, "blocked.example");
	assert_none(text, "filings.csv");
	free(text);
}

/*! What makes it unhealthy, and the line that says why. */
typedef struct {
	const char *name;
	void (*happen)(icp_observed_t *observed);
	unsigned problems;
	const char *line;
} trouble_t;

static void store_unreadable(icp_observed_t *observed)
{
	observed->store_code = icp_fail(&observed->store_diag, ICP_EDAMAGED, "/s: damaged");
}

static void one_second_before_stale(icp_observed_t *observed)
{
	observed->status.info.as_of = NOW - 36 * HOUR;
}

static void stale(icp_observed_t *observed)
{
	observed->status.info.as_of = NOW - 36 * HOUR - 1;
}

static void stale_by_its_build(icp_observed_t *observed)
{
	observed->status.info.as_of = ICP_TIME_NONE;
	observed->status.info.created_at = NOW - 40 * HOUR;
}

static void unreadable_is_not_stale_too(icp_observed_t *observed)
{
	store_unreadable(observed);
	observed->status.info = (icp_store_info_t){.generation = 0};
}

static void no_index(icp_observed_t *observed)
{
	observed->stats.no_index_since = NOW - 10;
}

static void no_index_in_a_resolver_that_ended(icp_observed_t *observed)
{
	no_index(observed);
	observed->stats.counting = false;
}

static void short_gap(icp_observed_t *observed)
{
	(void)observed;
	daemon_state.gap_since = NOW - 899;
}

static void long_gap(icp_observed_t *observed)
{
	(void)observed;
	daemon_state.gap_since = NOW - 900;
}

static void paused(icp_observed_t *observed)
{
	(void)observed;
	daemon_state.paused = true;
}

static void last_load_refused(icp_observed_t *observed)
{
	(void)observed;
	daemon_state.last.outcome = ICP_LOAD_GUARD;
}

static void follow_waits(icp_observed_t *observed)
{
	(void)observed;
	daemon_state.follow = ICP_FOLLOW_WAITING;
}

static void stats_unreadable(icp_observed_t *observed)
{
	observed->stats_code = icp_fail(&observed->stats_diag, ICP_EVERSION, "/s/stats: old");
}

#define BIT(problem) (1U << ICP_PROBLEM_##problem)

static const trouble_t troubles[] = {
	{"unreadable", store_unreadable, BIT(STORE),
		"store-unreadable: the store can't be read: /s: damaged\n"},
	{"before stale", one_second_before_stale, 0, ""},
	{"stale", stale, BIT(STALE),
		"stale: the data is 129601 s old, which is more than stale_after, 129600 s\n"},
	{"stale by its build", stale_by_its_build, BIT(STALE), "stale: the data is 144000 s old"},
	{"unreadable, not stale", unreadable_is_not_stale_too, BIT(STORE), ""},
	{"no index", no_index, BIT(NO_INDEX),
		"no-index: the resolver can't read the index since 2026-11-23T23:59:50+08:00; "
		"on_no_index applies\n"},
	{"no index, ended", no_index_in_a_resolver_that_ended, 0,
		"note: no resolver counts in this store now\n"},
	{"short gap", short_gap, 0, ""},
	{"gap", long_gap, BIT(GAP),
		"gap: a delta has waited for the one before it for 900 s; gap_after is 900 s\n"},
	{"paused", paused, 0, "note: loading is paused\n"},
	{"refused", last_load_refused, 0, "note: the last load (full) was not done: guard\n"},
	{"follow", follow_waits, 0, "note: the database can't be followed at the moment\n"},
	{"stats", stats_unreadable, 0,
		"note: what the resolver counts is not known: /s/stats: old\n"},
};

static void health_says_what_is_wrong(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	char *text = text_of(icp_health_print, &observed);
	assert_string_equal(text, "healthy\n");
	free(text);
	for (size_t i = 0; i < COUNT(troubles); i++) {
		const trouble_t *trouble = &troubles[i];
		observed = all_is_well();
		trouble->happen(&observed);
		text = text_of(icp_health_print, &observed);
		const char *first = trouble->problems == 0 ? "healthy\n" : "unhealthy\n";
		if (icp_health_problems(&observed) != trouble->problems ||
			strncmp(text, first, strlen(first)) != 0 ||
			strstr(text, trouble->line) == NULL) {
			fail_msg("%s: %x\n%s", trouble->name, icp_health_problems(&observed), text);
		}
		free(text);
	}
}

static void problems_add_up(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	stale(&observed);
	no_index(&observed);
	long_gap(&observed);
	assert_int_equal(icp_health_problems(&observed), BIT(STALE) | BIT(NO_INDEX) | BIT(GAP));
	json_t *json = icp_observed_json(&observed);
	char *text = json_dumps(json_object_get(json, "problems"), JSON_COMPACT);
	assert_string_equal(text, "[\"stale\",\"no-index\",\"gap\"]");
	assert_true(json_is_false(json_object_get(json, "healthy")));
	free(text);
	json_decref(json);
}

static json_int_t number_at(json_t *json, const char *one, const char *two)
{
	json_t *value = json_object_get(json_object_get(json, one), two);
	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

static void json_says_the_same(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	json_t *json = icp_observed_json(&observed);
	assert_true(json_is_true(json_object_get(json, "healthy")));
	assert_int_equal(number_at(json, "store", "generation"), 42);
	assert_int_equal(number_at(json, "store", "age"), 7200);
	assert_int_equal(number_at(json, "resolver", "threads"), 3);
	json_t *told = json_object_get(json, "daemon");
	assert_int_equal(number_at(told, "spool", "depth"), 3);
	assert_int_equal(number_at(told, "follow", "starts"), 5);
	assert_true(json_is_null(json_object_get(json_object_get(told, "spool"), "gap_since")));
	json_t *last = json_object_get(told, "last");
	assert_string_equal(json_string_value(json_object_get(last, "outcome")), "done");
	json_decref(json);
}

static void print_status(const icp_observed_t *observed, FILE *out)
{
	assert_int_equal(icp_report_status(&observed->status, NOW, false, out), ICP_EOK);
}

/*! What a store holds is shown so that JSON and terminals bear it, and as it is if they do. */
static void a_source_is_fit_to_be_shown(void **state)
{
	static char longest[ICP_SOURCE_MAX];
	static const char *const sources[][2] = {
		{"a\n\x1b[31m\xff.csv", "a\\x0a\\x1b[31m\\xff.csv"},
		{"cut \xe4\xbe", "cut \\xe4\\xbe"},
		{"备案.csv", "备案.csv"},
		{longest, longest},
	};
	(void)state;
	memset(longest, 'l', sizeof longest - 1);
	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		icp_observed_t observed = all_is_well();
		char line[2 * ICP_SOURCE_MAX];
		snprintf(observed.status.info.source, ICP_SOURCE_MAX, "%s", sources[i][0]);
		json_t *json = icp_observed_json(&observed);
		const json_t *source = json_object_get(json_object_get(json, "store"), "source");
		assert_string_equal(json_string_value(source), sources[i][1]);
		json_decref(json);
		snprintf(line, sizeof line, "source      %s", sources[i][1]);
		char *text = text_of(print_status, &observed);
		assert_line(text, line);
		free(text);
	}
}

static void json_of_what_is_not_known(void **state)
{
	(void)state;
	icp_observed_t observed = all_is_well();
	store_unreadable(&observed);
	observed.status.code = ICP_EDAMAGED;
	observed.status.diag = observed.store_diag;
	observed.stats_code = ICP_ENOSTORE;
	daemon_state.last.began = ICP_TIME_NONE;
	json_t *json = icp_observed_json(&observed);
	json_t *store = json_object_get(json, "store");
	assert_string_equal(json_string_value(json_object_get(store, "error")), "/s: damaged");
	assert_int_equal(json_array_size(json_object_get(store, "generations")), 3);
	assert_true(json_is_null(json_object_get(json, "resolver")));
	assert_true(json_is_null(json_object_get(json_object_get(json, "daemon"), "last")));
	json_decref(json);

	observed.status.kept = NULL;
	stats_unreadable(&observed);
	icp_fail(&observed.store_diag, ICP_ENOSTORE, "/s\xff: gone");
	json = icp_observed_json(&observed);
	store = json_object_get(json, "store");
	assert_string_equal(
		json_string_value(json_object_get(store, "error")), "the message is not UTF-8");
	store = json_object_get(json, "resolver");
	assert_string_equal(json_string_value(json_object_get(store, "error")), "/s/stats: old");
	json_decref(json);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metrics_say_what_is_observed),
		cmocka_unit_test(a_histogram_counts_all_up_to_each_bound),
		cmocka_unit_test(each_metric_has_its_help_and_type),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(no_domain_is_in_the_metrics),
		cmocka_unit_test(health_says_what_is_wrong),
		cmocka_unit_test(problems_add_up),
		cmocka_unit_test(json_says_the_same),
		cmocka_unit_test(a_source_is_fit_to_be_shown),
		cmocka_unit_test(json_of_what_is_not_known),
	};
	return cmocka_run_group_tests_name("metrics", tests, NULL, NULL);
}

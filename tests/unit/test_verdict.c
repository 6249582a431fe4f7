/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The contract's section 4 in cases. A case is written as text:
 *
 *   options  words of the configuration, "now=" and "name=" (else now=1000000, name=www.a.cn)
 *   rows     "DOMAIN PROVIDER STATUS [approved= expires= rectify= licensed=]; ...", or NULL when
 *            the store can't be read
 *   places   words of the table places
 *   want     "VERDICT REASON | REASON of each address", with "!" if it bears a warning; without
 *            the second part, the reason of the one address is the verdict's; then, where they
 *            are the matter, "; covering N" and "; until SECOND"
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/error.h"
#include "core/time.h"
#include "core/verdict.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define PLACES_MAX 4
#define ROWS_MAX 4
#define LICENSED_MAX 3

typedef struct {
	const char *shows;
	const char *options;
	const char *rows;
	const char *places;
	const char *want;
} case_t;

/*! Everything that a judgement needs. */
typedef struct {
	char options[128];
	char rows_text[512]; /*!< Rows lead into it. */
	char places_text[64];
	icp_policy_t policy;
	icp_name_t name;
	icp_name_t domains[ROWS_MAX];
	icp_prefix_t licensed[ROWS_MAX][LICENSED_MAX];
	icp_row_t rows[ROWS_MAX];
	icp_place_t places[PLACES_MAX];
	size_t place_at[PLACES_MAX]; /*!< Positions in the table. */
	icp_ruling_t rulings[PLACES_MAX];
	icp_judgement_t judgement;
	int64_t now;
	size_t row_count;
	size_t place_count;
} scene_t;

/* The providers have no NUL behind them, and begin alike. */
static const struct {
	const char *word;
	const char *address;
	const char *provider;
	uint8_t provider_length;
	bool mainland;
	bool is_ours; /*!< Mainland, and of a provider of the policy. */
} places[] = {
	{"us", "1.0.0.1", "qcqc", 2, true, true},
	{"us2", "1.0.0.2", "qcqc", 2, true, true},
	{"us6", "2400::1", "qcqc", 2, true, true},
	{"us-too", "1.0.3.1", "tc-", 2, true, true},
	{"them", "1.0.1.1", "ac-", 2, true, false},
	{"shorter", "1.0.4.1", "qcqc", 1, true, false},
	{"longer", "1.0.5.1", "qcqc", 3, true, false},
	{"anon", "1.0.2.1", NULL, 0, true, false},
	{"abroad", "8.8.8.8", NULL, 0, false, false},
	{"abroad-us", "8.8.4.4", "qcqc", 2, false, false},
};

static const char *const reasons[ICP_REASON_COUNT] = {"filed", "changing", "rectifying",
	"transfer-preapproved", "pending", "transfer-expired", "transfer-cancelled", "deregistered",
	"rectify-overdue", "licence-address-mismatch", "filed-elsewhere", "unfiled", "not-gated",
	"exempt", "no-index"};

static icp_name_t name_of(const char *text)
{
	icp_name_t name;
	assert_int_equal(icp_name_parse(&name, text, strlen(text), NULL), ICP_EOK);
	return name;
}

static void set_option(scene_t *scene, char *word)
{
	icp_policy_t *policy = &scene->policy;

	if (strncmp(word, "now=", 4) == 0) {
		scene->now = strtoll(word + 4, NULL, 10);
	} else if (strncmp(word, "name=", 5) == 0) {
		scene->name = name_of(word + 5);
	} else if (strcmp(word, "mainland") == 0) {
		policy->scope = ICP_SCOPE_MAINLAND;
	} else if (strcmp(word, "strip") == 0) {
		policy->mixed = ICP_MIXED_STRIP;
	} else if (strcmp(word, "ignore") == 0) {
		policy->licence_addresses = ICP_LICENCE_IGNORE;
	} else if (strcmp(word, "enforce") == 0) {
		policy->licence_addresses = ICP_LICENCE_ENFORCE;
	} else if (strcmp(word, "overdue-blocks") == 0) {
		policy->rectify_overdue = ICP_BLOCK;
	} else {
		assert_string_equal(word, "no-index-blocks");
		policy->on_no_index = ICP_BLOCK;
	}
}

static void each_part(
	scene_t *scene, char *text, const char *separator, void (*take)(scene_t *, char *))
{
	char *rest = NULL;
	char *part = strtok_r(text, separator, &rest);

	for (; part != NULL; part = strtok_r(NULL, separator, &rest)) {
		take(scene, part);
	}
}

static void add_licensed(scene_t *scene, char *prefix)
{
	icp_row_t *row = &scene->rows[scene->row_count];
	icp_prefix_t *prefixes = scene->licensed[scene->row_count];

	assert_true(row->licensed_count < LICENSED_MAX);
	row->licensed = prefixes;
	prefixes += row->licensed_count++;
	assert_int_equal(icp_prefix_parse(prefixes, prefix, strlen(prefix)), ICP_EOK);
}

static void add_row(scene_t *scene, char *line)
{
	char *rest = NULL;
	icp_name_t *domain = &scene->domains[scene->row_count];
	icp_row_t *row = &scene->rows[scene->row_count];
	enum icp_status status = ICP_STATUS_COUNT;

	assert_true(scene->row_count < ROWS_MAX);
	*domain = name_of(strtok_r(line, " ", &rest));
	char *provider = strtok_r(NULL, " ", &rest);
	char *word = strtok_r(NULL, " ", &rest);
	assert_int_equal(icp_status_parse(&status, word, strlen(word)), ICP_EOK);
	*row = (icp_row_t){
		.domain = domain->wire,
		.domain_length = domain->length,
		.labels = domain->labels,
		.provider = provider,
		.provider_length = (uint8_t)strlen(provider),
		.number = "",
		.status = (uint8_t)status,
		.approved_at = ICP_TIME_NONE,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE,
	};
	provider[row->provider_length] = 'q'; /* A stored provider has no NUL behind it. */
	while ((word = strtok_r(NULL, "=", &rest)) != NULL) {
		char *value = strtok_r(NULL, " ", &rest);
		if (strcmp(word, "licensed") == 0) {
			each_part(scene, value, ",", add_licensed);
		} else if (strcmp(word, "approved") == 0) {
			row->approved_at = strtoll(value, NULL, 10);
		} else if (strcmp(word, "expires") == 0) {
			row->expires_at = strtoll(value, NULL, 10);
		} else {
			assert_string_equal(word, "rectify");
			row->rectify_by = strtoll(value, NULL, 10);
		}
	}
	scene->row_count++;
}

static void add_place(scene_t *scene, char *word)
{
	size_t at = 0;
	assert_true(scene->place_count < PLACES_MAX);
	while (strcmp(places[at].word, word) != 0) {
		at++;
		assert_true(at < COUNT(places));
	}
	icp_place_t *place = &scene->places[scene->place_count];
	place->mainland = places[at].mainland;
	place->provider = places[at].provider;
	place->provider_length = places[at].provider_length;
	assert_int_equal(
		icp_address_parse(&place->address, places[at].address, strlen(places[at].address)),
		ICP_EOK);
	scene->rulings[scene->place_count].reason = ICP_REASON_COUNT;
	scene->place_at[scene->place_count++] = at;
}

/*! Sets the scene of a case and judges it, with its rows in their order or backwards. */
static void judge(scene_t *scene, const case_t *given, bool backwards)
{
	static const char *providers[] = {"qc", "tc"};
	static icp_name_t exempt[2];

	exempt[0] = name_of("office.cn");
	exempt[1] = name_of("b.cn");
	*scene = (scene_t){.now = 1000000, .name = name_of("www.a.cn")};
	scene->policy.licence_addresses = ICP_LICENCE_REPORT;
	scene->policy.providers = providers;
	scene->policy.provider_count = COUNT(providers);
	scene->policy.exempt = exempt;
	scene->policy.exempt_count = COUNT(exempt);

	snprintf(scene->options, sizeof scene->options, "%s", given->options);
	snprintf(scene->rows_text, sizeof scene->rows_text, "%s", given->rows ? given->rows : "");
	snprintf(scene->places_text, sizeof scene->places_text, "%s", given->places);
	each_part(scene, scene->options, " ", set_option);
	each_part(scene, scene->rows_text, ";", add_row);
	each_part(scene, scene->places_text, " ", add_place);
	for (size_t i = 0; backwards && i < scene->row_count / 2; i++) {
		icp_row_t row = scene->rows[i];
		scene->rows[i] = scene->rows[scene->row_count - 1 - i];
		scene->rows[scene->row_count - 1 - i] = row;
	}
	scene->judgement = icp_verdict_judge(&scene->policy, &scene->name, scene->places,
		scene->place_count, given->rows != NULL ? scene->rows : NULL, scene->row_count,
		scene->now, scene->rulings);
}

/*! Writes down what came out, in the manner of want. */
static void describe(const scene_t *scene, const char *want, char *text, size_t size)
{
	const icp_judgement_t *judgement = &scene->judgement;
	FILE *out = fmemopen(text, size, "w");

	assert_non_null(out);
	assert_in_range(judgement->reason, 0, ICP_REASON_COUNT - 1);
	fprintf(out, "%s %s", judgement->verdict == ICP_PASS ? "pass" : "block",
		reasons[judgement->reason]);
	for (size_t i = 0; i < scene->place_count; i++) {
		const icp_ruling_t *ruling = &scene->rulings[i];
		bool warned = ruling->warnings == ICP_WARN_LICENCE_ADDRESS_MISMATCH;
		assert_in_range(ruling->reason, 0, ICP_REASON_COUNT - 1);
		if (strchr(want, '|') != NULL || ruling->reason != judgement->reason || warned) {
			fprintf(out, "%s %s%s", i == 0 ? " |" : "", reasons[ruling->reason],
				warned ? "!" : "");
		}
	}
	if (strstr(want, "; covering") != NULL) {
		fprintf(out, "; covering %u", judgement->covering);
	}
	if (strstr(want, "; until") != NULL && judgement->until == INT64_MAX) {
		fprintf(out, "; until ever");
	} else if (strstr(want, "; until") != NULL) {
		fprintf(out, "; until %lld", (long long)judgement->until);
	}
	fclose(out);
}

/*! The parts of a ruling that follow from its reason, its place and the policy. */
static void check_ruling(const scene_t *scene, size_t i)
{
	const icp_ruling_t *ruling = &scene->rulings[i];
	size_t at = scene->place_at[i];
	bool blocks = ruling->reason >= ICP_REASON_PENDING && ruling->reason <= ICP_REASON_UNFILED;
	bool gated = scene->policy.scope == ICP_SCOPE_MAINLAND ? places[at].mainland
							       : places[at].is_ours;

	if (ruling->reason == ICP_REASON_NO_INDEX) {
		blocks = scene->policy.on_no_index == ICP_BLOCK;
	}
	assert_int_equal(ruling->verdict, blocks ? ICP_BLOCK : ICP_PASS);
	assert_int_equal(ruling->gated, gated);
	assert_int_equal(icp_policy_exempts(&scene->policy, &scene->name),
		ruling->reason == ICP_REASON_EXEMPT);
	assert_int_equal(icp_policy_gates(&scene->policy, &scene->places[i]), gated);
}

static void check_case(void **state)
{
	const case_t *given = *state;
	scene_t scene;
	char got[256];

	for (int backwards = 0; backwards <= 1; backwards++) {
		judge(&scene, given, backwards);
		describe(&scene, given->want, got, sizeof got);
		assert_string_equal(got, given->want);
		for (size_t i = 0; i < scene.place_count; i++) {
			check_ruling(&scene, i);
		}
	}
}

/* Transfers live 45 days: here from 1 to 3888001. */
#define TRANSFER "transfer-preapproved approved=1 expires=3888001"
#define LATER "transfer-preapproved approved=2000000 expires=5888000"
#define EXPIRED "transfer-preapproved approved=1 expires=2"
#define FIVE_TIMES                                                                                 \
	"www.a.cn qc transfer-preapproved approved=100 expires=500; "                              \
	"a.cn qc rectifying rectify=400; "                                                         \
	"cn ac transfer-preapproved approved=300 expires=600"

static const case_t cases[] = {
	/* Every status. */
	{"filed", "", "a.cn qc filed approved=5", "us", "pass filed; until ever"},
	{"changing", "", "a.cn qc changing", "us", "pass changing"},
	{"rectifying", "", "a.cn qc rectifying rectify=1000001", "us", "pass rectifying"},
	{"transfer preapproved", "", "a.cn qc " TRANSFER, "us", "pass transfer-preapproved"},
	{"pending", "", "a.cn qc pending", "us", "block pending"},
	{"transfer cancelled", "", "a.cn qc transfer-cancelled", "us", "block transfer-cancelled"},
	{"deregistered", "", "a.cn qc deregistered", "us", "block deregistered"},
	{"no row", "", "", "us", "block unfiled; covering 0; until ever"},

	/* The edges of the 45 days and of the deadline. */
	{"before approved_at", "now=0", "a.cn qc " TRANSFER, "us", "block pending; until 1"},
	{"at approved_at", "now=1", "a.cn qc " TRANSFER, "us",
		"pass transfer-preapproved; until 3888001"},
	{"before expires_at", "now=3888000", "a.cn qc " TRANSFER, "us",
		"pass transfer-preapproved; until 3888001"},
	{"at expires_at", "now=3888001", "a.cn qc " TRANSFER, "us",
		"block transfer-expired; until ever"},
	{"before the deadline", "now=8", "a.cn qc rectifying rectify=9", "us",
		"pass rectifying; until ever"},
	{"at the deadline", "now=9", "a.cn qc rectifying rectify=9", "us",
		"pass rectifying; until ever"},
	{"before it blocks", "now=8 overdue-blocks", "a.cn qc rectifying rectify=9", "us",
		"pass rectifying; until 9"},
	{"when it blocks", "now=9 overdue-blocks", "a.cn qc rectifying rectify=9", "us",
		"block rectify-overdue; until ever"},

	/* Scope. */
	{"provider: none of ours", "", "", "them anon shorter longer",
		"pass not-gated | not-gated not-gated not-gated not-gated"},
	{"provider: ours abroad", "", "", "abroad-us", "pass not-gated"},
	{"provider: IPv6", "", "a.cn qc filed", "us6", "pass filed"},
	{"provider: the second of ours", "", "a.cn tc filed", "us-too", "pass filed"},
	{"mainland: not ours", "mainland", "a.cn ac filed", "them", "pass filed"},
	{"mainland: abroad", "mainland", "", "abroad abroad-us",
		"pass not-gated | not-gated not-gated"},
	{"unknown provider, any row permits", "mainland", "a.cn ac filed", "anon", "pass filed"},
	{"unknown provider, none permits", "mainland", "a.cn ac pending", "anon", "block pending"},
	{"unknown provider, no row", "mainland", "", "anon", "block unfiled"},
	{"no address", "", "a.cn qc filed", "", "pass not-gated"},

	/* Coverage. */
	{"the name itself", "", "www.a.cn qc filed", "us", "pass filed; covering 3"},
	{"a parent far up", "name=w.x.y.z.a.cn", "a.cn qc filed", "us", "pass filed; covering 2"},
	{"the nearest covers", "name=w.x.a.cn", "a.cn qc filed; x.a.cn ac pending", "us",
		"pass filed; covering 3"},
	{"a parent permits", "", "www.a.cn qc deregistered; a.cn qc filed", "us", "pass filed"},
	{"the nearest permits first", "", "www.a.cn qc " TRANSFER "; a.cn qc filed", "us",
		"pass transfer-preapproved"},
	{"the nearest blocks first", "", "www.a.cn qc deregistered; a.cn qc pending", "us",
		"block deregistered"},
	{"the nearest of its own provider", "", "www.a.cn ac filed; a.cn qc deregistered", "us",
		"block deregistered"},
	{"the nearest of any provider", "mainland", "www.a.cn ac deregistered; a.cn qc pending",
		"anon", "block deregistered"},

	/* The order within a domain. */
	{"filed, changing", "mainland", "a.cn q changing; a.cn r filed", "anon", "pass filed"},
	{"changing, rectifying", "mainland", "a.cn q rectifying rectify=9; a.cn r changing", "anon",
		"pass changing"},
	{"rectifying, transfer", "mainland", "a.cn q " TRANSFER "; a.cn r rectifying rectify=9",
		"anon", "pass rectifying"},
	{"transfer, blocking ones", "mainland", "a.cn q " TRANSFER "; a.cn r pending", "anon",
		"pass transfer-preapproved"},
	{"pending, expired", "mainland", "a.cn q " EXPIRED "; a.cn r pending", "anon",
		"block pending"},
	{"not yet approved, expired", "mainland", "a.cn q " EXPIRED "; a.cn r " LATER, "anon",
		"block pending"},
	{"expired, cancelled", "mainland", "a.cn q transfer-cancelled; a.cn r " EXPIRED, "anon",
		"block transfer-expired"},
	{"cancelled, deregistered", "mainland", "a.cn q deregistered; a.cn r transfer-cancelled",
		"anon", "block transfer-cancelled"},
	{"deregistered, overdue", "mainland overdue-blocks",
		"a.cn q rectifying rectify=9; a.cn r deregistered", "anon", "block deregistered"},
	{"overdue, mismatch", "mainland overdue-blocks enforce",
		"a.cn q filed licensed=9::; a.cn r rectifying rectify=9", "anon",
		"block rectify-overdue"},

	/* Filed elsewhere. */
	{"filed with another", "", "a.cn ac filed", "us", "block filed-elsewhere"},
	{"filed with another of ours", "", "a.cn tc filed", "us us-too",
		"block filed-elsewhere | filed-elsewhere filed"},
	{"filed with ours, at theirs", "mainland", "a.cn qc filed", "them",
		"block filed-elsewhere"},
	{"providers alike", "mainland", "a.cn qc filed", "shorter longer",
		"block filed-elsewhere | filed-elsewhere filed-elsewhere"},
	{"pending with another", "", "a.cn ac pending", "us", "block unfiled"},
	{"transfer to another is on", "now=3888000", "a.cn ac " TRANSFER, "us",
		"block filed-elsewhere; until 3888001"},
	{"transfer to another is over", "now=3888001", "a.cn ac " TRANSFER, "us",
		"block unfiled; until ever"},
	{"overdue with another", "", "a.cn ac rectifying rectify=9", "us", "block filed-elsewhere"},
	{"overdue with another blocks", "overdue-blocks", "a.cn ac rectifying rectify=9", "us",
		"block unfiled"},
	{"cancelled with ours", "", "a.cn ac filed; a.cn qc transfer-cancelled", "us",
		"block transfer-cancelled"},
	{"licensed there, matches", "enforce", "a.cn ac filed licensed=1.0.0.1", "us",
		"block filed-elsewhere"},
	{"licensed there, mismatch", "enforce", "a.cn ac filed licensed=9::", "us",
		"block unfiled"},

	/* Licensed addresses. */
	{"mismatch, ignored", "ignore", "a.cn qc filed licensed=9::", "us", "pass filed"},
	{"mismatch, reported", "", "a.cn qc filed licensed=9::", "us", "pass filed | filed!"},
	{"mismatch, enforced", "enforce", "a.cn qc filed licensed=9::", "us",
		"block licence-address-mismatch"},
	{"match, reported", "", "a.cn qc filed licensed=1.0.0.1", "us", "pass filed"},
	{"match, enforced", "enforce", "a.cn qc filed licensed=1.0.0.1", "us", "pass filed"},
	{"match by the last prefix", "enforce", "a.cn qc filed licensed=9::,2400::/16,1.0.0.0/31",
		"us us2 us6",
		"block licence-address-mismatch | filed licence-address-mismatch filed"},
	{"one reported", "", "a.cn qc changing licensed=1.0.0.2", "us us2",
		"pass changing | changing! changing"},
	{"none licensed, enforced", "enforce", "a.cn qc filed", "us", "pass filed"},
	{"mismatch, the parent permits", "enforce",
		"www.a.cn qc filed licensed=9::; a.cn qc changing", "us", "pass changing"},
	{"mismatch, the parent blocks", "enforce",
		"www.a.cn qc filed licensed=9::; a.cn qc pending", "us",
		"block licence-address-mismatch"},
	{"mismatch and pending", "enforce", "a.cn qc pending licensed=9::", "us", "block pending"},
	{"mismatch and overdue", "enforce overdue-blocks",
		"a.cn qc rectifying rectify=9 licensed=9::", "us", "block rectify-overdue"},

	/* Several addresses. */
	{"block: one of them", "", "", "abroad us", "block unfiled | not-gated unfiled"},
	{"block: none of them", "mainland", "a.cn qc changing; a.cn ac filed", "abroad us them",
		"pass changing | not-gated changing filed"},
	{"block: the first one's reason", "mainland", "a.cn tc filed; a.cn ac pending",
		"us-too them us", "block pending | filed pending filed-elsewhere"},
	{"block: another order", "mainland", "a.cn tc filed; a.cn ac pending", "us-too us them",
		"block filed-elsewhere | filed filed-elsewhere pending"},
	{"strip: one, another is abroad", "strip", "", "abroad us",
		"pass unfiled | not-gated unfiled"},
	{"strip: one, another is filed", "strip", "a.cn tc filed", "us-too us",
		"pass filed-elsewhere | filed filed-elsewhere"},
	{"strip: all of them", "strip mainland", "a.cn ac pending", "us them",
		"block unfiled | unfiled pending"},
	{"strip: the only one", "strip", "", "us", "block unfiled"},
	{"strip: none of them", "strip", "a.cn qc filed", "us abroad",
		"pass filed | filed not-gated"},

	/* Exempt names. */
	{"exempt: the suffix itself", "name=b.cn", "", "us", "pass exempt"},
	{"exempt: the other suffix", "name=w.office.cn", "", "us", "pass exempt"},
	{"exempt: far below it", "name=x.y.b.cn", "b.cn qc pending", "us", "pass exempt"},
	{"exempt: no label boundary", "name=ab.cn", "", "us", "block unfiled"},
	{"exempt: above it", "name=cn", "", "us", "block unfiled"},
	{"exempt: none in scope", "name=b.cn", "", "abroad", "pass not-gated | exempt"},
	{"exempt: some in scope", "name=b.cn mainland", "", "abroad them",
		"pass exempt | exempt exempt"},
	{"exempt: no address", "name=b.cn", "", "", "pass not-gated"},
	{"exempt: no index", "name=b.cn no-index-blocks", NULL, "us", "pass exempt"},

	/* A store that can't be read. */
	{"no index, passes", "", NULL, "us", "pass no-index; covering 0; until ever"},
	{"no index, blocks", "no-index-blocks", NULL, "abroad us",
		"block no-index | not-gated no-index; covering 0; until ever"},
	{"no index, not gated", "no-index-blocks", NULL, "abroad them",
		"pass not-gated | not-gated not-gated"},
	{"no index, no address", "no-index-blocks", NULL, "", "pass not-gated"},
	{"no index, strips", "no-index-blocks strip", NULL, "us abroad",
		"pass no-index | no-index not-gated"},
	{"no index, strips all", "no-index-blocks strip", NULL, "us", "block no-index"},

	/* Until when. */
	{"the nearest time to come", "now=200 overdue-blocks", FIVE_TIMES, "us",
		"pass transfer-preapproved; until 300"},
	{"a deadline that counts", "now=300 overdue-blocks", FIVE_TIMES, "us",
		"pass transfer-preapproved; until 400"},
	{"a deadline that does not count", "now=300", FIVE_TIMES, "us",
		"pass transfer-preapproved; until 500"},
};

static void test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < ICP_REASON_COUNT; i++) {
		assert_string_equal(icp_reason_name((enum icp_reason)i), reasons[i]);
	}
	assert_string_equal(icp_verdict_name(ICP_PASS), "pass");
	assert_string_equal(icp_verdict_name(ICP_BLOCK), "block");
	assert_int_equal(ICP_TRANSFER_SECONDS, 3888001 - 1);
}

int main(void)
{
	static struct CMUnitTest tests[1 + COUNT(cases)] = {cmocka_unit_test(test_words)};

	for (size_t i = 0; i < COUNT(cases); i++) {
		tests[1 + i] = (struct CMUnitTest){.name = cases[i].shows,
			.test_func = check_case,
			.initial_state = (void *)&cases[i]};
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}

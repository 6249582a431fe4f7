/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate bench: how long a judgement takes on the current store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/gate.h"
#include "db-tools/bench_names.h"
#include "db-tools/tools.h"

#define ROUNDS 9
#define ROUND_NS INT64_C(100000000)
/*! Judgements between two looks at the clock. They are drawn outside the time that is measured, and
 * few enough to stay in the caches. */
#define BATCH 256
#define ADDRESSES 4096
#define ADDRESS_LOTS (1 << 22) /*!< Looked up at most, to find as many that are gated. */
#define UNFILED_OCTETS 16      /*!< Of the made-up label: no two alike, and none filed. */

/*! Which names are judged. */
enum draw { DRAW_UNIFORM, DRAW_ZIPF, DRAW_UNFILED };

/*! With which address. */
enum target {
	TARGET_GATED, /*!< One that is gated, looked up in the range database. */
	TARGET_ANY,   /*!< One by lot, looked up likewise. */
	TARGET_PLACE, /*!< A place in scope: no look-up. */
};

typedef struct {
	const char *key;
	const char *title;
	enum draw draw;
	enum target target;
} kind_t;

static const kind_t kinds[] = {
	{"filed", "filed names, all as likely", DRAW_UNIFORM, TARGET_GATED},
	{"zipf", "filed names, by Zipf's law", DRAW_ZIPF, TARGET_GATED},
	{"unfiled", "names that are not filed", DRAW_UNFILED, TARGET_GATED},
	{"any_address", "filed names, any address", DRAW_UNIFORM, TARGET_ANY},
	{"index", "filed names, no range lookup", DRAW_UNIFORM, TARGET_PLACE},
};

#define KINDS (sizeof kinds / sizeof *kinds)

typedef struct {
	uint64_t decisions;
	int64_t ns;                 /*!< Of all rounds. */
	double per_decision;        /*!< ns: the median of the rounds. */
	double per_decision_lowest; /*!< The fastest round. */
} result_t;

typedef struct {
	icp_gate_t *gate;
	icp_bench_names_t names;
	icp_store_info_t info;
	icp_place_t place;
	icp_address_t gated[ADDRESSES];
	size_t gated_count; /*!< 0: none was found; the place is judged instead. */
	icp_name_t batch_names[BATCH];
	icp_address_t batch_addresses[BATCH];
	result_t results[KINDS];
} bench_t;

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static icp_address_t draw_address(bench_t *bench)
{
	icp_address_t address = {.family = 4};
	uint32_t bits = (uint32_t)icp_bench_draw(&bench->names);
	memcpy(address.bytes, &bits, sizeof bits);
	return address;
}

/*! Finds gated addresses by lot: the share of each network is that of its size. */
static int find_gated(bench_t *bench, const icp_config_t *config, icp_diag_t *diag)
{
	icp_ranges_t *ranges;
	int ret = icp_ranges_open(&ranges, config, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	for (size_t lots = 0; lots < ADDRESS_LOTS && bench->gated_count < ADDRESSES; lots++) {
		icp_address_t address = draw_address(bench);
		icp_place_t place;
		icp_ranges_find(ranges, &address, &place);
		if (icp_policy_gates(&config->policy, &place)) {
			bench->gated[bench->gated_count++] = address;
		}
	}
	icp_ranges_unref(ranges);
	return ICP_EOK;
}

/*! A name that is not filed, under the top-level domain of this one. */
static void make_unfiled(bench_t *bench, icp_name_t *name)
{
	size_t at = icp_name_suffix(name, 1);
	size_t length = name->length - at;
	memmove(name->wire + 1 + UNFILED_OCTETS, name->wire + at, length);
	name->wire[0] = UNFILED_OCTETS;
	for (size_t octet = 1; octet <= UNFILED_OCTETS; octet++) {
		name->wire[octet] = (uint8_t)('a' + icp_bench_draw(&bench->names) % 26);
	}
	name->length = (uint8_t)(1 + UNFILED_OCTETS + length);
	name->labels = 2;
}

static int draw_batch(bench_t *bench, const kind_t *kind)
{
	for (size_t i = 0; i < BATCH; i++) {
		icp_name_t *name = &bench->batch_names[i];
		size_t number = kind->draw == DRAW_ZIPF ? icp_bench_zipf(&bench->names)
							: icp_bench_uniform(&bench->names);
		int ret = icp_bench_name(&bench->names, number, name);
		if (ret != ICP_EOK) {
			return ret;
		}
		if (kind->draw == DRAW_UNFILED) {
			make_unfiled(bench, name);
		}
		/* A name always has the same address. */
		bench->batch_addresses[i] = kind->target == TARGET_ANY
						    ? draw_address(bench)
						    : bench->gated[number % ADDRESSES];
	}
	return ICP_EOK;
}

static int judge_batch(bench_t *bench, bool by_place, int64_t now)
{
	icp_decision_t decision;
	for (size_t i = 0; i < BATCH; i++) {
		int ret = by_place ? icp_gate_judge_places(bench->gate, 0, &bench->batch_names[i],
					     &bench->place, 1, now, &decision)
				   : icp_gate_decide(bench->gate, 0, &bench->batch_names[i],
					     &bench->batch_addresses[i], 1, now, &decision);
		if (ret != ICP_EOK) {
			return ret;
		}
		bool unreadable = decision.judgement.reason == ICP_REASON_NO_INDEX;
		icp_gate_release(bench->gate, 0);
		if (unreadable) {
			return ICP_EDAMAGED;
		}
	}
	return ICP_EOK;
}

/*! One round; ns per decision. */
static int run_round(bench_t *bench, const kind_t *kind, result_t *result, double *per_decision)
{
	bool by_place = kind->target == TARGET_PLACE ||
			(kind->target == TARGET_GATED && bench->gated_count == 0);
	uint64_t decisions = 0;
	int64_t ns = 0;
	while (ns < ROUND_NS) {
		int ret = draw_batch(bench, kind);
		int64_t now = (int64_t)time(NULL);
		int64_t begin = clock_ns();
		if (ret == ICP_EOK) {
			ret = judge_batch(bench, by_place, now);
		}
		if (ret != ICP_EOK) {
			return ret;
		}
		ns += clock_ns() - begin;
		decisions += BATCH;
	}
	*per_decision = (double)ns / (double)decisions;
	result->decisions += decisions;
	result->ns += ns;
	return ICP_EOK;
}

static int compare_doubles(const void *a, const void *b)
{
	double left = *(const double *)a;
	double right = *(const double *)b;
	return (left > right) - (left < right);
}

/*! All kinds take turns, so that a slow spell of the machine meets all of them. */
static int measure(bench_t *bench)
{
	double rounds[KINDS][ROUNDS];
	for (size_t round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < KINDS; i++) {
			int ret =
				run_round(bench, &kinds[i], &bench->results[i], &rounds[i][round]);
			if (ret != ICP_EOK) {
				return ret;
			}
		}
	}
	for (size_t i = 0; i < KINDS; i++) {
		qsort(rounds[i], ROUNDS, sizeof rounds[i][0], compare_doubles);
		bench->results[i].per_decision = rounds[i][ROUNDS / 2];
		bench->results[i].per_decision_lowest = rounds[i][0];
	}
	return ICP_EOK;
}

static int print_json(const bench_t *bench)
{
	json_t *value = json_pack("{s:I, s:I, s:I, s:I, s:i}", "generation",
		(json_int_t)bench->info.generation, "rows", (json_int_t)bench->info.rows, "names",
		(json_int_t)bench->names.count, "addresses", (json_int_t)bench->gated_count,
		"rounds", ROUNDS);
	for (size_t i = 0; i < KINDS; i++) {
		const result_t *result = &bench->results[i];
		json_object_set_new(value, kinds[i].key,
			json_pack("{s:I, s:f, s:f, s:I}", "decisions",
				(json_int_t)result->decisions, "ns_per_decision",
				result->per_decision, "ns_lowest", result->per_decision_lowest,
				"decisions_per_second", (json_int_t)(1e9 / result->per_decision)));
	}
	return icp_json_print(value);
}

static int print_text(const bench_t *bench)
{
	char text[ICP_COUNT_TEXT_MAX];
	icp_count_format(bench->info.rows, text);
	printf("generation %" PRIu64 ": %s rows; %zu names, %zu gated addresses, one thread\n",
		bench->info.generation, text, bench->names.count, bench->gated_count);
	for (size_t i = 0; i < KINDS; i++) {
		double ns = bench->results[i].per_decision;
		icp_count_format((uint64_t)(1e9 / ns), text);
		printf("%-32s %8.0f ns per decision %14s decisions/s\n", kinds[i].title, ns, text);
	}
	return ICP_EXIT_DONE;
}

/*! Reads the names from the store. */
static int read_names(bench_t *bench, icp_diag_t *diag)
{
	icp_reader_t *reader;
	int ret = icp_gate_reader(bench->gate, 0, (int64_t)time(NULL), &reader, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	bench->info = reader->info;
	ret = icp_bench_names_read(&bench->names, reader);
	icp_gate_release(bench->gate, 0);
	if (ret == ICP_EOK && bench->names.count == 0) {
		return icp_fail(diag, ICP_ENOSTORE,
			"generation %" PRIu64 " holds no rows: nothing to measure",
			bench->info.generation);
	}
	return ret;
}

static int run(bench_t *bench, const icp_config_t *config, icp_diag_t *diag)
{
	int code = icp_gate_create(&bench->gate, config, 1, NULL, diag);
	if (code == ICP_EOK) {
		code = read_names(bench, diag);
	}
	if (code == ICP_EOK) {
		code = find_gated(bench, config, diag);
	}
	/* Less than the whole would be uneven: go through those found again and again. */
	for (size_t i = bench->gated_count; i < ADDRESSES && bench->gated_count > 0; i++) {
		bench->gated[i] = bench->gated[i - bench->gated_count];
	}
	bench->place = icp_policy_place(&config->policy);
	return code == ICP_EOK ? measure(bench) : code;
}

int icp_tool_bench(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_config_t config;
	icp_diag_t diag = {""};

	int code = icp_tool_config(tool, &config, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	int status = ICP_EXIT_FAILED;
	bench_t *bench = calloc(1, sizeof *bench);
	code = bench != NULL ? run(bench, &config, &diag) : ICP_ENOMEM;
	if (code == ICP_EOK) {
		status = tool->json ? print_json(bench) : print_text(bench);
	}
	if (bench != NULL) {
		icp_gate_destroy(bench->gate);
		icp_bench_names_deinit(&bench->names);
		free(bench);
	}
	icp_config_deinit(&config);
	return code == ICP_EOK ? status : icp_tool_failed(code, &diag);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate bench: decisions per second on the current store. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/gate.h"
#include "db-tools/tools.h"

#define SAMPLE_MAX ((size_t)100000)
#define RUN_NS INT64_C(1000000000)
#define CLOCK_EVERY 64 /*!< Decisions between two looks at the clock. */
#define SEED UINT64_C(0x1c9a7e00b5e55ed5)
#define UNFILED_OCTETS 16 /*!< Of the made-up label: no two alike, and none filed. */

/*! Names to judge. */
typedef struct {
	icp_name_t *names;
	size_t count;
	uint64_t seen; /*!< Names that were offered. */
	uint64_t state;
} sample_t;

typedef struct {
	const char *key;
	const char *title;
	uint64_t decisions;
	int64_t ns;
} result_t;

/*! splitmix64: short, and the same names in every run. */
static uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/*! Reservoir sampling: every name has the same chance, in one pass. */
static int offer(const icp_node_t *node, void *context)
{
	sample_t *sample = context;
	if (node->row_count == 0) {
		return ICP_EOK;
	}
	size_t at = sample->count;
	sample->seen++;
	if (at == SAMPLE_MAX) {
		uint64_t place = draw(&sample->state) % sample->seen;
		if (place >= SAMPLE_MAX) {
			return ICP_EOK;
		}
		at = (size_t)place;
	} else {
		sample->count++;
	}
	return icp_name_from_stored(&sample->names[at], node->name, node->name_length) == ICP_EOK
		       ? ICP_EOK
		       : ICP_EDAMAGED;
}

/*! The store gives names in the order of its pages, which would keep the caches warm. */
static void shuffle(sample_t *sample)
{
	for (size_t i = sample->count; i > 1; i--) {
		size_t other = (size_t)(draw(&sample->state) % i);
		icp_name_t name = sample->names[i - 1];
		sample->names[i - 1] = sample->names[other];
		sample->names[other] = name;
	}
}

/*! As many names that are not filed, each under the top-level domain of a filed one. */
static void make_unfiled(sample_t *filed, icp_name_t *names)
{
	for (size_t i = 0; i < filed->count; i++) {
		const icp_name_t *model = &filed->names[i];
		size_t at = icp_name_suffix(model, 1);
		icp_name_t *name = &names[i];
		name->wire[0] = UNFILED_OCTETS;
		for (size_t octet = 1; octet <= UNFILED_OCTETS; octet++) {
			name->wire[octet] = (uint8_t)('a' + draw(&filed->state) % 26);
		}
		memcpy(name->wire + 1 + UNFILED_OCTETS, model->wire + at, model->length - at);
		name->length = (uint8_t)(1 + UNFILED_OCTETS + model->length - at);
		name->labels = 2;
	}
}

static int64_t clock_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/*! What each decision of a run is about. */
typedef struct {
	icp_gate_t *gate;
	const icp_name_t *names;
	size_t count;
	const icp_place_t *place; /*!< NULL: an address by lot. */
	uint64_t state;
} run_t;

static int decide(run_t *run, uint64_t number, int64_t now)
{
	icp_decision_t decision;
	const icp_name_t *name = &run->names[number % run->count];
	int code;
	if (run->place != NULL) {
		code = icp_gate_judge_places(run->gate, 0, name, run->place, 1, now, &decision);
	} else {
		icp_address_t address = {.family = 4};
		uint32_t bits = (uint32_t)draw(&run->state);
		memcpy(address.bytes, &bits, sizeof bits);
		code = icp_gate_judge(run->gate, 0, name, &address, 1, now, &decision);
	}
	if (code != ICP_EOK) {
		return code;
	}
	bool unreadable = decision.judgement.reason == ICP_REASON_NO_INDEX;
	icp_gate_release(run->gate, 0);
	return unreadable ? ICP_EDAMAGED : ICP_EOK;
}

static int measure(run_t *run, result_t *result)
{
	int64_t now = (int64_t)time(NULL);
	int64_t begin = clock_ns();
	result->decisions = 0;
	do {
		for (int i = 0; i < CLOCK_EVERY; i++) {
			int code = decide(run, result->decisions++, now);
			if (code != ICP_EOK) {
				return code;
			}
		}
		result->ns = clock_ns() - begin;
		now = (int64_t)time(NULL);
	} while (result->ns < RUN_NS);
	return ICP_EOK;
}

static double per_decision(const result_t *result)
{
	return (double)result->ns / (double)result->decisions;
}

static double per_second(const result_t *result)
{
	return (double)result->decisions * 1e9 / (double)result->ns;
}

static int print_results(const result_t *results, size_t count, const icp_store_info_t *info,
	size_t names, bool json)
{
	if (json) {
		json_t *value =
			json_pack("{s:I, s:I, s:I}", "generation", (json_int_t)info->generation,
				"rows", (json_int_t)info->rows, "nodes", (json_int_t)names);
		for (size_t i = 0; i < count; i++) {
			json_object_set_new(value, results[i].key,
				json_pack("{s:I, s:f, s:I}", "decisions",
					(json_int_t)results[i].decisions, "ns_per_decision",
					per_decision(&results[i]), "decisions_per_second",
					(json_int_t)per_second(&results[i])));
		}
		return icp_json_print(value);
	}
	char text[ICP_COUNT_TEXT_MAX];
	icp_count_format(info->rows, text);
	printf("generation %" PRIu64 ": %s rows; %zu names, one thread\n", info->generation, text,
		names);
	for (size_t i = 0; i < count; i++) {
		icp_count_format((uint64_t)per_second(&results[i]), text);
		printf("%-32s %8.0f ns per decision %14s decisions/s\n", results[i].title,
			per_decision(&results[i]), text);
	}
	return ICP_EXIT_DONE;
}

/*! Reads the names from the store. */
static int take_sample(icp_gate_t *gate, sample_t *sample, icp_store_info_t *info, icp_diag_t *diag)
{
	icp_reader_t *reader = icp_gate_reader(gate, 0, (int64_t)time(NULL), diag);
	if (reader == NULL) {
		return ICP_ENOSTORE;
	}
	icp_walk_t walk;
	icp_node_t node;
	int ret;
	*info = reader->info;
	icp_walk_begin(&walk, reader);
	while ((ret = icp_walk_next(&walk, &node)) == 1) {
		ret = offer(&node, sample);
		if (ret != ICP_EOK) {
			break;
		}
	}
	icp_gate_release(gate, 0);
	return ret;
}

static int bench(const icp_config_t *config, icp_gate_t *gate, icp_name_t *names, bool json,
	icp_diag_t *diag, int *status)
{
	sample_t sample = {.names = names, .state = SEED};
	icp_name_t *unfiled = names + SAMPLE_MAX;
	icp_store_info_t info;
	result_t results[] = {
		{.key = "filed", .title = "filed names, random order"},
		{.key = "unfiled", .title = "names that are not filed"},
		{.key = "with_ranges", .title = "filed names, range lookup"},
	};
	icp_place_t place = icp_tool_place(&config->policy);

	int code = take_sample(gate, &sample, &info, diag);
	if (code != ICP_EOK) {
		return code;
	}
	size_t sampled = sample.count;
	if (sampled == 0) {
		return icp_fail(diag, ICP_ENOSTORE,
			"generation %" PRIu64 " holds no rows: nothing to measure",
			info.generation);
	}
	shuffle(&sample);
	make_unfiled(&sample, unfiled);
	run_t runs[] = {
		{gate, names, sampled, &place, 0},
		{gate, unfiled, sampled, &place, 0},
		{gate, names, sampled, NULL, SEED},
	};
	size_t count = sizeof runs / sizeof *runs;
	for (size_t i = 0; i < count && code == ICP_EOK; i++) {
		code = measure(&runs[i], &results[i]);
	}
	if (code == ICP_EOK) {
		*status = print_results(results, count, &info, sampled, json);
	}
	return code;
}

int icp_tool_bench(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_config_t config;
	icp_gate_t *gate = NULL;
	icp_diag_t diag = {""};
	int status = ICP_EXIT_DONE;

	int code = icp_tool_config(tool, &config, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	icp_name_t *names = malloc(2 * SAMPLE_MAX * sizeof *names);
	code = names != NULL ? icp_gate_create(&gate, &config, 1, NULL, &diag) : ICP_ENOMEM;
	if (code == ICP_EOK) {
		code = bench(&config, gate, names, tool->json, &diag, &status);
	}
	icp_gate_destroy(gate);
	free(names);
	icp_config_deinit(&config);
	return code == ICP_EOK ? status : icp_tool_failed(code, &diag);
}

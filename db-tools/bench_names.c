/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/bench_names.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define SEED UINT64_C(0x1c9a7e00b5e55ed5)
#define FIRST_NAMES ((size_t)4096)
#define FIRST_OCTETS ((size_t)1 << 17)

/* splitmix64: short, and the same names in every run. */
uint64_t icp_bench_draw(icp_bench_names_t *names)
{
	uint64_t z = names->state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static int make_room(icp_bench_names_t *names, size_t octets)
{
	if (names->count == names->capacity) {
		size_t capacity = names->capacity > 0 ? 2 * names->capacity : FIRST_NAMES;
		uint64_t *places = realloc(names->places, capacity * sizeof *places);
		if (places == NULL) {
			return ICP_ENOMEM;
		}
		names->places = places;
		names->capacity = capacity;
	}
	if (names->room - names->used < octets) {
		size_t room = names->room > 0 ? 2 * names->room : FIRST_OCTETS;
		uint8_t *grown = realloc(names->octets, room);
		if (grown == NULL) {
			return ICP_ENOMEM;
		}
		names->octets = grown;
		names->room = room;
	}
	return ICP_EOK;
}

static int add(icp_bench_names_t *names, const icp_node_t *node)
{
	int ret = make_room(names, (size_t)1 + node->name_length);
	if (ret == ICP_EOK) {
		names->places[names->count++] = names->used;
		names->octets[names->used++] = node->name_length;
		memcpy(names->octets + names->used, node->name, node->name_length);
		names->used += node->name_length;
	}
	return ret;
}

static void shuffle(icp_bench_names_t *names)
{
	for (size_t i = names->count; i > 1; i--) {
		size_t other = (size_t)(icp_bench_draw(names) % i);
		uint64_t place = names->places[i - 1];
		names->places[i - 1] = names->places[other];
		names->places[other] = place;
	}
}

int icp_bench_names_read(icp_bench_names_t *names, icp_reader_t *reader)
{
	icp_walk_t walk;
	icp_node_t node;
	int ret;
	names->state = SEED;
	icp_walk_begin(&walk, reader);
	while ((ret = icp_walk_next(&walk, &node)) == 1) {
		if (node.row_count > 0 && (ret = add(names, &node)) != ICP_EOK) {
			return ret;
		}
	}
	shuffle(names);
	return ret;
}

void icp_bench_names_deinit(icp_bench_names_t *names)
{
	free(names->octets);
	free(names->places);
	*names = (icp_bench_names_t){.count = 0};
}

size_t icp_bench_uniform(icp_bench_names_t *names)
{
	return (size_t)(icp_bench_draw(names) % names->count);
}

/*! At least 0, below 1. */
static double fraction(icp_bench_names_t *names)
{
	return (double)(icp_bench_draw(names) >> 11) * 0x1p-53;
}

/*
 * floor(exp(u ln(n + 1))) is r with the chance ln(1 + 1/r) / ln(n + 1), which is nearly Zipf's 1/r;
 * rejecting some makes it exact. 1/r over ln(1 + 1/r) is largest at r = 1: 1 / ln 2.
 */
size_t icp_bench_zipf(icp_bench_names_t *names)
{
	double span = log1p((double)names->count);
	for (;;) {
		double rank = floor(exp(fraction(names) * span));
		if (fraction(names) * rank * log1p(1 / rank) <= M_LN2 &&
			rank <= (double)names->count) {
			return (size_t)rank - 1;
		}
	}
}

int icp_bench_name(const icp_bench_names_t *names, size_t number, icp_name_t *name)
{
	const uint8_t *stored = names->octets + names->places[number];
	return icp_name_from_stored(name, stored + 1, stored[0]) == ICP_EOK ? ICP_EOK
									    : ICP_EDAMAGED;
}

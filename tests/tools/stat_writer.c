/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Stands for a resolver that counts: STORE SEATS MODE TIME. Each line of its input is an order:
 *
 *   judged SEAT pass|block REASON GENERATION NUMBER
 *   count SEAT KEY NUMBER
 *   blocked SEAT NAME NUMBER
 *   took SEAT NANOSECONDS NUMBER
 *
 * It answers each with a line when it is done, and ends with its input.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/stats.h"

/*! An order that is being read. */
typedef struct {
	icp_stats_t *stats;
	int64_t now;
	unsigned seat;
	char *rest;
} order_t;

/*! The next word; empty at the end. */
static const char *next_word(order_t *order)
{
	const char *word = strtok_r(NULL, " \n", &order->rest);
	return word != NULL ? word : "";
}

static uint64_t next_number(order_t *order)
{
	return strtoull(next_word(order), NULL, 10);
}

static int judged(order_t *order)
{
	icp_judgement_t judgement = {.reason = 0};
	judgement.verdict = strcmp(next_word(order), icp_verdict_name(ICP_BLOCK)) == 0;
	const char *reason = next_word(order);
	uint64_t generation = next_number(order);
	while (strcmp(reason, icp_reason_name(judgement.reason)) != 0) {
		if (++judgement.reason == ICP_REASON_COUNT) {
			return -1;
		}
	}
	for (uint64_t number = next_number(order); number > 0; number--) {
		icp_stats_judged(order->stats, order->seat, &judgement, generation, order->now);
	}
	return 0;
}

static int count(order_t *order)
{
	const char *key = next_word(order);
	enum icp_stat stat = 0;
	while (strcmp(key, icp_stat_key(stat)) != 0) {
		if (++stat == ICP_STAT_COUNT) {
			return -1;
		}
	}
	icp_stats_count(order->stats, order->seat, stat, next_number(order));
	return 0;
}

static int blocked(order_t *order)
{
	icp_name_t name;
	const char *text = next_word(order);
	if (icp_name_parse(&name, text, strlen(text), NULL) != ICP_EOK) {
		return -1;
	}
	for (uint64_t number = next_number(order); number > 0; number--) {
		icp_stats_blocked(order->stats, order->seat, &name);
	}
	return 0;
}

static int took(order_t *order)
{
	uint64_t nanoseconds = next_number(order);
	for (uint64_t number = next_number(order); number > 0; number--) {
		icp_stats_took(order->stats, order->seat, nanoseconds);
	}
	return 0;
}

static int obey(order_t *order, char *line)
{
	static const struct {
		const char *word;
		int (*run)(order_t *order);
	} orders[] = {{"judged", judged}, {"count", count}, {"blocked", blocked}, {"took", took}};
	const char *word = strtok_r(line, " \n", &order->rest);
	order->seat = (unsigned)next_number(order);
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (word != NULL && strcmp(word, orders[i].word) == 0) {
			return orders[i].run(order);
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	order_t order = {.stats = NULL};
	icp_diag_t diag = {""};
	char line[1024];
	if (argc != 5) {
		fputs("usage: stat_writer STORE SEATS MODE TIME\n", stderr);
		return 2;
	}
	enum icp_mode mode = strcmp(argv[3], "monitor") == 0 ? ICP_MODE_MONITOR : ICP_MODE_ENFORCE;
	order.now = strtoll(argv[4], NULL, 10);
	int ret = icp_stats_open(&order.stats, argv[1], mode, (unsigned)strtoul(argv[2], NULL, 10),
		order.now, &diag);
	puts(ret == ICP_EOK && diag.text[0] == '\0' ? "counting" : diag.text);
	fflush(stdout);
	while (ret == ICP_EOK && fgets(line, sizeof line, stdin) != NULL) {
		puts(obey(&order, line) == 0 ? "done" : "not an order");
		fflush(stdout);
	}
	icp_stats_close(order.stats);
	return ret == ICP_EOK ? 0 : 1;
}

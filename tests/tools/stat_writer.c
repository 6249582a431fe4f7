/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Stands for a resolver that counts: STORE SEATS MODE TIME. Each line of its input is an order:
 *
 *   judged SEAT pass|block REASON GENERATION NUMBER
 *   count SEAT KEY NUMBER
 *   blocked SEAT NAME NUMBER
 *
 * It answers each with a line when it is done, and ends with its input.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/stats.h"

static int64_t now;

static int judged(icp_stats_t *stats, unsigned seat, const char *line)
{
	char verdict[8];
	char reason[64];
	uint64_t generation;
	uint64_t number;
	icp_judgement_t judgement = {.reason = 0};
	if (sscanf(line, "%7s %63s %" SCNu64 " %" SCNu64, verdict, reason, &generation, &number) !=
		4) {
		return -1;
	}
	judgement.verdict = strcmp(verdict, icp_verdict_name(ICP_BLOCK)) == 0;
	while (strcmp(reason, icp_reason_name(judgement.reason)) != 0) {
		if (++judgement.reason == ICP_REASON_COUNT) {
			return -1;
		}
	}
	for (; number > 0; number--) {
		icp_stats_judged(stats, seat, &judgement, generation, now);
	}
	return 0;
}

static int count(icp_stats_t *stats, unsigned seat, const char *line)
{
	char key[64];
	uint64_t number;
	enum icp_stat stat = 0;
	if (sscanf(line, "%63s %" SCNu64, key, &number) != 2) {
		return -1;
	}
	while (strcmp(key, icp_stat_key(stat)) != 0) {
		if (++stat == ICP_STAT_COUNT) {
			return -1;
		}
	}
	icp_stats_count(stats, seat, stat, number);
	return 0;
}

static int blocked(icp_stats_t *stats, unsigned seat, const char *line)
{
	char text[256];
	uint64_t number;
	icp_name_t name;
	if (sscanf(line, "%255s %" SCNu64, text, &number) != 2 ||
		icp_name_parse(&name, text, strlen(text), NULL) != ICP_EOK) {
		return -1;
	}
	for (; number > 0; number--) {
		icp_stats_blocked(stats, seat, &name);
	}
	return 0;
}

static int obey(icp_stats_t *stats, const char *line)
{
	static const struct {
		const char *word;
		int (*run)(icp_stats_t *stats, unsigned seat, const char *line);
	} orders[] = {{"judged", judged}, {"count", count}, {"blocked", blocked}};
	char word[16];
	unsigned seat;
	int used = 0;
	if (sscanf(line, "%15s %u %n", word, &seat, &used) != 2) {
		return -1;
	}
	for (size_t i = 0; i < sizeof orders / sizeof *orders; i++) {
		if (strcmp(word, orders[i].word) == 0) {
			return orders[i].run(stats, seat, line + used);
		}
	}
	return -1;
}

int main(int argc, char **argv)
{
	icp_stats_t *stats = NULL;
	icp_diag_t diag = {""};
	char line[1024];
	if (argc != 5) {
		fputs("usage: stat_writer STORE SEATS MODE TIME\n", stderr);
		return 2;
	}
	enum icp_mode mode = strcmp(argv[3], "monitor") == 0 ? ICP_MODE_MONITOR : ICP_MODE_ENFORCE;
	now = strtoll(argv[4], NULL, 10);
	int ret = icp_stats_open(
		&stats, argv[1], mode, (unsigned)strtoul(argv[2], NULL, 10), now, &diag);
	puts(ret == ICP_EOK && diag.text[0] == '\0' ? "counting" : diag.text);
	fflush(stdout);
	while (ret == ICP_EOK && fgets(line, sizeof line, stdin) != NULL) {
		puts(obey(stats, line) == 0 ? "done" : "not an order");
		fflush(stdout);
	}
	icp_stats_close(stats);
	return ret == ICP_EOK ? 0 : 1;
}

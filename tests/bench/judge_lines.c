/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * judge_lines CONF COUNT: reads lines of NAME ADDRESS from standard input and judges them, COUNT
 * judgements in all, always as of the same moment: from the second turn on they are remembered. The
 * instructions of one judgement are the difference between two runs. Prints how many names were
 * blocked.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/gate.h"

#define LINES_MAX 16384
#define NOW INT64_C(1795000000)

typedef struct {
	icp_name_t name;
	icp_address_t address;
} line_t;

static size_t read_lines(line_t *lines)
{
	char name[256];
	char address[64];
	const char *why;
	size_t count = 0;
	while (count < LINES_MAX && scanf("%255s %63s", name, address) == 2) {
		line_t *line = &lines[count++];
		if (icp_name_parse(&line->name, name, strlen(name), &why) != ICP_EOK ||
			icp_address_parse(&line->address, address, strlen(address)) != ICP_EOK) {
			return 0;
		}
	}
	return count;
}

static long judge(icp_gate_t *gate, const line_t *lines, size_t line_count, long count)
{
	long blocked = 0;
	for (long i = 0; i < count; i++) {
		const line_t *line = &lines[(size_t)i % line_count];
		icp_decision_t decision;
		if (icp_gate_decide(gate, 0, &line->name, &line->address, 1, NOW, &decision) !=
			ICP_EOK) {
			return -1;
		}
		blocked += decision.judgement.verdict == ICP_BLOCK;
		icp_gate_release(gate, 0);
	}
	return blocked;
}

int main(int argc, char **argv)
{
	static line_t lines[LINES_MAX];
	icp_config_t config;
	icp_gate_t *gate;
	icp_diag_t diag = {""};
	size_t line_count = argc == 3 ? read_lines(lines) : 0;
	if (line_count == 0) {
		fputs("usage: judge_lines CONF COUNT <LINES\n", stderr);
		return 2;
	}
	if (icp_config_load(&config, argv[1], &diag) != ICP_EOK) {
		fprintf(stderr, "%s\n", diag.text);
		return 1;
	}
	if (icp_gate_create(&gate, &config, 1, NULL, &diag) != ICP_EOK) {
		fprintf(stderr, "%s\n", diag.text);
		icp_config_deinit(&config);
		return 1;
	}
	printf("%ld\n", judge(gate, lines, line_count, strtol(argv[2], NULL, 10)));
	icp_gate_destroy(gate);
	icp_config_deinit(&config);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate ranges: compiles address ranges from CSV to a range database. */
#include "db-tools/ranges_csv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "db-tools/tools.h"

/*! The time of the build: of the environment, so that a build can be repeated, or now. */
static int build_time(int64_t *seconds, icp_diag_t *diag)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	if (text == NULL) {
		*seconds = (int64_t)time(NULL);
		return ICP_EOK;
	}
	char *end;
	errno = 0;
	intmax_t value = strtoimax(text, &end, 10);
	/* strtoimax also takes white space and a sign. */
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value == 0) {
		return icp_fail(diag, ICP_EINVAL,
			"SOURCE_DATE_EPOCH: not a number of seconds above zero: %s", text);
	}
	*seconds = value;
	return ICP_EOK;
}

static int print_text(const char *path, const icp_ranges_stats_t *stats)
{
	char prefixes[ICP_COUNT_TEXT_MAX];
	char records[ICP_COUNT_TEXT_MAX];
	char nodes[ICP_COUNT_TEXT_MAX];
	char octets[ICP_COUNT_TEXT_MAX];
	icp_count_format(stats->prefixes, prefixes);
	icp_count_format(stats->records, records);
	icp_count_format(stats->nodes, nodes);
	icp_count_format(stats->octets, octets);
	printf("%s: %s prefixes, %s distinct records, %s tree nodes, %s octets\n", path, prefixes,
		records, nodes, octets);
	return ICP_EXIT_DONE;
}

int icp_tool_ranges(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	int64_t seconds = 0;
	icp_ranges_stats_t stats;
	icp_diag_t diag = {""};

	int code = build_time(&seconds, &diag);
	if (code == ICP_EOK) {
		code = icp_ranges_compile(arguments[0], arguments[1], seconds, &stats, &diag);
	}
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	if (!tool->json) {
		return print_text(arguments[1], &stats);
	}
	return icp_json_print(json_pack("{s:o, s:I, s:I, s:I, s:I, s:I}", "database",
		icp_json_text(arguments[1], strlen(arguments[1])), "prefixes",
		(json_int_t)stats.prefixes, "records", (json_int_t)stats.records, "nodes",
		(json_int_t)stats.nodes, "octets", (json_int_t)stats.octets, "build_epoch",
		(json_int_t)seconds));
}

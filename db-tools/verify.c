/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate verify: checks the current generation whole. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "db-tools/tools.h"

static int print_text(const icp_store_info_t *info, uint64_t size)
{
	char rows[ICP_COUNT_TEXT_MAX];
	char nodes[ICP_COUNT_TEXT_MAX];
	char octets[ICP_COUNT_TEXT_MAX];
	icp_count_format(info->rows, rows);
	icp_count_format(info->nodes, nodes);
	icp_count_format(size, octets);
	printf("generation %" PRIu64 ": %s rows, %s nodes, %s octets, sequence %" PRIu64 ": ok\n",
		info->generation, rows, nodes, octets, info->sequence);
	return ICP_EXIT_DONE;
}

static int print_json(const icp_store_info_t *info, uint64_t size)
{
	return icp_json_print(json_pack("{s:b, s:I, s:I, s:I, s:I, s:I, s:o, s:o}", "ok", true,
		"generation", (json_int_t)info->generation, "sequence", (json_int_t)info->sequence,
		"rows", (json_int_t)info->rows, "nodes", (json_int_t)info->nodes, "octets",
		(json_int_t)size, "as_of", icp_json_time(info->as_of), "created_at",
		icp_json_time(info->created_at)));
}

/*! The message, and with --json an object that says the same. */
static int failed(const icp_tool_t *tool, int code, icp_diag_t *diag)
{
	int status = icp_tool_failed(code, diag);
	if (tool->json && status == ICP_EXIT_FAILED) {
		const char *text = diag->text[0] != '\0' ? diag->text : icp_strerror(code);
		icp_json_print(json_pack(
			"{s:b, s:o}", "ok", false, "error", icp_json_text(text, strlen(text))));
	}
	return status;
}

int icp_tool_verify(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_reader_t reader;
	icp_store_info_t info;
	icp_diag_t diag = {""};

	int code = icp_tool_open(tool, &reader, &diag);
	if (code != ICP_EOK) {
		return failed(tool, code, &diag);
	}
	code = icp_reader_verify(&reader, &diag);
	info = reader.info;
	uint64_t size = icp_store_size(reader.store);
	icp_tool_close(&reader);
	if (code != ICP_EOK) {
		return failed(tool, code, &diag);
	}
	return tool->json ? print_json(&info, size) : print_text(&info, size);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate history: the changes of permissions that matter for a name, from the audit log. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "db-tools/audit_log.h"
#include "db-tools/tools.h"

typedef struct {
	char name[ICP_NAME_TEXT_MAX];
	size_t length;
	json_t *changes; /*!< NULL: lines of text are written. */
} history_t;

/*! True for the name itself and for its parents. */
static bool covers(const history_t *history, icp_audit_text_t domain)
{
	if (domain.length == 0 || domain.length > history->length) {
		return false;
	}
	size_t at = history->length - domain.length;
	return memcmp(history->name + at, domain.text, domain.length) == 0 &&
	       (at == 0 || history->name[at - 1] == '.');
}

static void print_line(const icp_audit_record_t *record)
{
	const struct {
		icp_audit_text_t text;
		const char *after;
	} parts[] = {
		{record->time, "  "},
		{record->domain, "  "},
		{record->provider, "  "},
		{record->from, " -> "},
		{record->to, "  "},
	};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		fwrite(parts[i].text.text, 1, parts[i].text.length, stdout);
		fputs(parts[i].after, stdout);
	}
	printf("generation %" PRIu64 "  sequence %" PRIu64 "  %.*s\n", record->generation,
		record->sequence, (int)record->source.length, record->source.text);
}

static json_t *json_of(icp_audit_text_t text)
{
	return icp_json_text(text.text, text.length);
}

static int add_json(const history_t *history, const icp_audit_record_t *record)
{
	json_t *change = json_pack("{s:o, s:o, s:o, s:o, s:o, s:I, s:I, s:o}", "time",
		json_of(record->time), "domain", json_of(record->domain), "provider",
		json_of(record->provider), "from", json_of(record->from), "to", json_of(record->to),
		"generation", (json_int_t)record->generation, "sequence",
		(json_int_t)record->sequence, "source", json_of(record->source));
	return json_array_append_new(history->changes, change) == 0 ? ICP_EOK : ICP_ENOMEM;
}

static int visit(const icp_audit_record_t *record, void *context)
{
	const history_t *history = context;
	if (!covers(history, record->domain)) {
		return ICP_EOK;
	}
	if (history->changes != NULL) {
		return add_json(history, record);
	}
	print_line(record);
	return ICP_EOK;
}

static int read_history(
	const icp_tool_t *tool, history_t *history, size_t *damaged, icp_diag_t *diag)
{
	icp_config_t config;
	const char *store;
	int code = icp_tool_store(tool, &config, &store, diag);
	if (code == ICP_EOK) {
		code = icp_audit_log_read(store, visit, history, damaged, diag);
		icp_config_deinit(&config);
	}
	return code;
}

int icp_tool_history(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	icp_name_t name;
	history_t history = {.changes = NULL};
	icp_diag_t diag = {""};
	size_t damaged = 0;
	int code = icp_tool_name(&name, arguments[0], strlen(arguments[0]), &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	icp_name_format(&name, history.name);
	history.length = strlen(history.name);
	history.changes = tool->json ? json_array() : NULL;
	code = tool->json && history.changes == NULL
		       ? ICP_ENOMEM
		       : read_history(tool, &history, &damaged, &diag);
	if (code != ICP_EOK) {
		json_decref(history.changes);
		return icp_tool_failed(code, &diag);
	}
	int status = ICP_EXIT_DONE;
	if (tool->json) {
		status = icp_json_print(json_pack("{s:s, s:o, s:b}", "name", history.name,
			"changes", history.changes, "complete", damaged == 0));
	}
	return damaged > 0 ? ICP_EXIT_FAILED : status;
}

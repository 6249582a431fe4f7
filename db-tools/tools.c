/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/tools.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "core/text.h"
#include "core/time.h"

int icp_tool_failed(int code, const icp_diag_t *diag)
{
	char shown[2 * sizeof diag->text];
	icp_text_escape(shown, sizeof shown, diag->text, strlen(diag->text));
	fprintf(stderr, "%s\n", shown[0] != '\0' ? shown : icp_strerror(code));
	switch (code) {
	case ICP_EINVAL:
	case ICP_ECONFIG:
	case ICP_EFEED:
	case ICP_ERANGES:
		return ICP_EXIT_USAGE;
	default:
		return ICP_EXIT_FAILED;
	}
}

int icp_tool_config(const icp_tool_t *tool, icp_config_t *config, icp_diag_t *diag)
{
	int code = icp_config_load(config, icp_config_path(tool->config), diag);
	if (code != ICP_EOK) {
		/* A file that can't be read is no configuration. */
		return code == ICP_ESYS ? ICP_ECONFIG : code;
	}
	if (tool->store != NULL) {
		config->store = tool->store;
	}
	return ICP_EOK;
}

int icp_tool_store(
	const icp_tool_t *tool, icp_config_t *config, const char **store, icp_diag_t *diag)
{
	*config = (icp_config_t){.path = NULL};
	if (tool->store == NULL || tool->config != NULL) {
		int code = icp_tool_config(tool, config, diag);
		if (code != ICP_EOK) {
			return code;
		}
	}
	*store = tool->store != NULL ? tool->store : config->store;
	return ICP_EOK;
}

int icp_tool_open(const icp_tool_t *tool, icp_reader_t *reader, icp_diag_t *diag)
{
	icp_config_t config;
	const char *store;
	int code = icp_tool_store(tool, &config, &store, diag);
	if (code == ICP_EOK) {
		code = icp_reader_open_current(reader, store, diag);
		icp_config_deinit(&config);
	}
	return code;
}

void icp_tool_close(icp_reader_t *reader)
{
	icp_reader_end(reader);
	icp_reader_deinit(reader);
}

int icp_tool_name(icp_name_t *name, const char *text, size_t length, icp_diag_t *diag)
{
	const char *why = "";
	char shown[ICP_SHOWN_TEXT_MAX];
	int code = icp_name_parse(name, text, length, &why);
	if (code != ICP_EINVAL) {
		return code;
	}
	icp_text_show(shown, text, length);
	return icp_fail(diag, code, "not a name (%s): %s", why, shown);
}

char *icp_tool_word(char **at, char *end, size_t *length)
{
	char *word = *at;
	while (word < end && isspace((unsigned char)*word)) {
		word++;
	}
	char *stop = word;
	while (stop < end && !isspace((unsigned char)*stop)) {
		stop++;
	}
	*length = (size_t)(stop - word);
	*at = stop < end ? stop + 1 : stop;
	*stop = '\0';
	return *length > 0 ? word : NULL;
}

int icp_tool_finish(int status)
{
	/* Commands stop at the first write that fails, and then only free: this is its errno. */
	int error = errno;
	if (!ferror(stdout)) {
		if (fflush(stdout) == 0) {
			return status;
		}
		error = errno;
	}
	fprintf(stderr, "stdout: %s\n", strerror(error));
	return ICP_EXIT_FAILED;
}

int64_t icp_tool_now(const icp_tool_t *tool)
{
	return tool->at != ICP_TIME_NONE ? tool->at : (int64_t)time(NULL);
}

void icp_stored_format(const uint8_t *wire, size_t length, char text[ICP_NAME_TEXT_MAX])
{
	icp_name_t name;
	if (icp_name_from_stored(&name, wire, length) == ICP_EOK) {
		icp_name_format(&name, text);
	} else {
		memcpy(text, "?", sizeof "?");
	}
}

void icp_licensed_print(const icp_row_t *row)
{
	for (size_t i = 0; i < row->licensed_count; i++) {
		char text[ICP_PREFIX_TEXT_MAX];
		icp_prefix_format(&row->licensed[i], text);
		printf("%s%s", i > 0 ? " " : "", text);
	}
}

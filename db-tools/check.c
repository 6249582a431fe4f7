/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate check: would a resolver start, or reload, with the configuration as it is? */
#include <stdio.h>
#include <string.h>

#include "core/gate.h"
#include "db-tools/tools.h"

static const char *mode_text(const icp_config_t *config)
{
	return config->mode == ICP_MODE_MONITOR ? "monitor" : "enforce";
}

/*! The message, and with --json an object that says the same. */
static int failed(const icp_tool_t *tool, int code, icp_diag_t *diag)
{
	int status = icp_tool_failed(code, diag);
	if (tool->json) {
		const char *text = diag->text[0] != '\0' ? diag->text : icp_strerror(code);
		icp_json_print(json_pack(
			"{s:b, s:o}", "ok", false, "error", icp_json_text(text, strlen(text))));
	}
	return status;
}

int icp_tool_check(const icp_tool_t *tool, int count, char **arguments)
{
	(void)count;
	(void)arguments;
	icp_config_t config;
	icp_gate_t *gate = NULL;
	icp_diag_t diag = {""};

	int code = icp_tool_config(tool, &config, &diag);
	if (code != ICP_EOK) {
		return failed(tool, code, &diag);
	}
	/* As the resolver does; it starts without a store, too. */
	code = icp_gate_create(&gate, &config, 1, NULL, &diag);
	int status = ICP_EXIT_DONE;
	if (code != ICP_EOK) {
		status = failed(tool, code, &diag);
	} else if (tool->json) {
		status = icp_json_print(json_pack("{s:b, s:o, s:s}", "ok", true, "configuration",
			icp_json_text(config.path, strlen(config.path)), "mode",
			mode_text(&config)));
	} else {
		printf("%s: mode %s: ok\n", config.path, mode_text(&config));
	}
	icp_gate_destroy(gate);
	icp_config_deinit(&config);
	return status;
}

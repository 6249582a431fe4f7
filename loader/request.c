/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/request.h"

#include <jansson.h>
#include <string.h>

#include "core/text.h"

static const char *const commands[] = {
	[ICP_COMMAND_STATUS] = "status",
	[ICP_COMMAND_LOAD] = "load",
	[ICP_COMMAND_ROLLBACK] = "rollback",
	[ICP_COMMAND_PAUSE] = "pause",
	[ICP_COMMAND_RESUME] = "resume",
};

static int take_command(icp_request_t *request, const json_t *value, icp_diag_t *diag)
{
	const char *text = json_string_value(value);
	for (size_t i = 0; text != NULL && i < sizeof commands / sizeof *commands; i++) {
		if (strcmp(text, commands[i]) == 0) {
			request->command = (enum icp_command)i;
			return ICP_EOK;
		}
	}
	return icp_fail(diag, ICP_EINVAL, "command: not status, load, rollback, pause or resume");
}

static int take_feed(icp_request_t *request, const json_t *value, icp_diag_t *diag)
{
	const char *text = json_string_value(value);
	if (text == NULL || !icp_spool_base_in(text, &request->place, request->base)) {
		return icp_fail(diag, ICP_EINVAL,
			"feed: not the name of a feed or manifest, alone or behind done/ or rejected/");
	}
	return ICP_EOK;
}

static int take_force(icp_request_t *request, const json_t *value, icp_diag_t *diag)
{
	if (!json_is_boolean(value)) {
		return icp_fail(diag, ICP_EINVAL, "force: not true or false");
	}
	request->force = json_is_true(value);
	return ICP_EOK;
}

static int take_object(icp_request_t *request, json_t *object, icp_diag_t *diag)
{
	const char *key;
	json_t *value;
	int ret = take_command(request, json_object_get(object, "command"), diag);
	json_object_foreach(object, key, value)
	{
		bool load = request->command == ICP_COMMAND_LOAD;
		if (ret != ICP_EOK) {
			return ret;
		}
		if (load && strcmp(key, "feed") == 0) {
			ret = take_feed(request, value, diag);
		} else if (load && strcmp(key, "force") == 0) {
			ret = take_force(request, value, diag);
		} else if (strcmp(key, "command") != 0) {
			char shown[ICP_SHOWN_TEXT_MAX];
			icp_text_show(shown, key, strlen(key));
			ret = icp_fail(diag, ICP_EINVAL, "%s: key is not known", shown);
		}
	}
	if (ret == ICP_EOK && request->command == ICP_COMMAND_LOAD && request->base[0] == '\0') {
		return icp_fail(diag, ICP_EINVAL, "feed: key is missing");
	}
	return ret;
}

int icp_request_parse(icp_request_t *request, const char *line, size_t length, icp_diag_t *diag)
{
	*request = (icp_request_t){.command = ICP_COMMAND_STATUS, .place = ICP_SPOOL_PLACES};
	json_t *object = json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL);
	if (!json_is_object(object)) {
		json_decref(object);
		return icp_fail(diag, ICP_EINVAL, "not a JSON object");
	}
	int ret = take_object(request, object, diag);
	json_decref(object);
	return ret;
}

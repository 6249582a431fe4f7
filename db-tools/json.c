/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "core/time.h"
#include "db-tools/tools.h"

json_t *icp_json_text(const char *text, size_t length)
{
	json_t *value = json_stringn(text, length);
	if (value != NULL) {
		return value;
	}
	char *copy = malloc(length + 1);
	if (copy == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < length; i++) {
		copy[i] = (text[i] & 0x80) != 0 ? '?' : text[i];
	}
	value = json_stringn(copy, length);
	free(copy);
	return value;
}

json_t *icp_json_time(int64_t time)
{
	char text[ICP_TIME_TEXT_MAX];
	icp_time_format(time, text);
	return time == ICP_TIME_NONE ? json_null() : json_string(text);
}

static int set_time(json_t *object, const char *key, int64_t time)
{
	return time == ICP_TIME_NONE ? 0 : json_object_set_new(object, key, icp_json_time(time));
}

static int set_licensed(json_t *object, const icp_row_t *row)
{
	if (row->licensed_count == 0) {
		return 0;
	}
	json_t *list = json_array();
	for (size_t i = 0; i < row->licensed_count; i++) {
		char text[ICP_PREFIX_TEXT_MAX];
		icp_prefix_format(&row->licensed[i], text);
		if (json_array_append_new(list, json_string(text)) != 0) {
			json_decref(list);
			return -1;
		}
	}
	return json_object_set_new(object, "licensed_addresses", list);
}

json_t *icp_json_row(const icp_row_t *row)
{
	char domain[ICP_NAME_TEXT_MAX];
	icp_stored_format(row->domain, row->domain_length, domain);
	json_t *object = json_pack("{s:s, s:o, s:s, s:o}", "domain", domain, "provider",
		icp_json_text(row->provider, row->provider_length), "status",
		icp_status_name(row->status), "number",
		icp_json_text(row->number, row->number_length));
	if (object == NULL) {
		return NULL;
	}
	if (set_time(object, "approved_at", row->approved_at) != 0 ||
		set_time(object, "expires_at", row->expires_at) != 0 ||
		set_time(object, "rectify_by", row->rectify_by) != 0 ||
		set_licensed(object, row) != 0) {
		json_decref(object);
		return NULL;
	}
	return object;
}

int icp_json_print(json_t *value)
{
	if (value == NULL) {
		return icp_tool_failed(ICP_ENOMEM, &(icp_diag_t){""});
	}
	/* A failed write is told once, by icp_tool_finish. */
	json_dumpf(value, stdout, JSON_REAL_PRECISION(6));
	fputc('\n', stdout);
	json_decref(value);
	return ferror(stdout) ? ICP_EXIT_FAILED : ICP_EXIT_DONE;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/error.h"

#include <stdarg.h>
#include <stdio.h>

static const struct {
	int code;
	const char *text;
} messages[] = {
	{ICP_EOK, "OK"},
	{ICP_ENOMEM, "out of memory"},
	{ICP_EINVAL, "not a valid value"},
	{ICP_ESYS, "system error"},
	{ICP_ECONFIG, "configuration not valid"},
	{ICP_EFEED, "feed not valid"},
	{ICP_EGUARD, "refused by a guard"},
	{ICP_ENOSTORE, "no current generation in the store"},
	{ICP_EVERSION, "store has another format version"},
	{ICP_EDAMAGED, "store is damaged"},
	{ICP_ERANGES, "range database not usable"},
	{ICP_EBUSY, "another loader holds the store"},
	{ICP_EFULL, "the generation's file has no room left"},
};

const char *icp_strerror(int code)
{
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		if (messages[i].code == code) {
			return messages[i].text;
		}
	}
	return "unknown error";
}

int icp_fail(icp_diag_t *diag, int code, const char *format, ...)
{
	if (diag != NULL) {
		va_list args;
		va_start(args, format);
		vsnprintf(diag->text, sizeof diag->text, format, args);
		va_end(args);
	}
	return code;
}

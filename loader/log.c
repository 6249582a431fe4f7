/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define LINE_MAX_OCTETS 2048

static const char *word_of(enum icp_level level)
{
	switch (level) {
	case ICP_LOG_ERROR:
		return "error: ";
	case ICP_LOG_WARNING:
		return "warning: ";
	case ICP_LOG_NOTICE:
	case ICP_LOG_INFO:
		break;
	}
	return "";
}

void icp_log(enum icp_level level, const char *format, ...)
{
	char line[LINE_MAX_OCTETS];
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(line, sizeof line, format, arguments);
	va_end(arguments);
	for (char *at = line; *at != '\0'; at++) {
		if ((unsigned char)*at < ' ' || *at == '\x7f') {
			*at = '?';
		}
	}
	if (getenv("JOURNAL_STREAM") != NULL) {
		fprintf(stderr, "<%d>%s\n", (int)level, line);
	} else {
		fprintf(stderr, "icpgated: %s%s\n", word_of(level), line);
	}
}

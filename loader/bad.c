/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/bad.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/name.h"
#include "core/text.h"

void icp_bad_add(icp_bad_t *bad, uint64_t line, const char *what, const char *value, size_t length)
{
	bad->total++;
	if (bad->kept == ICP_BAD_KEPT && line >= bad->rows[ICP_BAD_KEPT - 1].line) {
		return;
	}
	/* The place after the last row that does not come later; a full list loses its last row. */
	size_t place = bad->kept;
	while (place > 0 && bad->rows[place - 1].line > line) {
		place--;
	}
	if (bad->kept < ICP_BAD_KEPT) {
		bad->kept++;
	}
	memmove(&bad->rows[place + 1], &bad->rows[place],
		(bad->kept - place - 1) * sizeof bad->rows[0]);

	char shown[ICP_SHOWN_TEXT_MAX];
	icp_text_show(shown, value, length);
	bad->rows[place].line = line;
	snprintf(bad->rows[place].text, sizeof bad->rows[place].text, "%s: %s", what, shown);
}

void icp_bad_add_pair(icp_bad_t *bad, uint64_t line, const char *what, const icp_row_t *row)
{
	icp_name_t name;
	char text[ICP_NAME_TEXT_MAX];
	char pair[ICP_NAME_TEXT_MAX + ICP_PROVIDER_MAX + 1];

	icp_name_from_stored(&name, row->domain, row->domain_length);
	icp_name_format(&name, text);
	int length = snprintf(
		pair, sizeof pair, "%s %.*s", text, (int)row->provider_length, row->provider);
	icp_bad_add(bad, line, what, pair, (size_t)length);
}

void icp_bad_print(const icp_bad_t *bad, const char *path, FILE *out)
{
	char shown[PATH_MAX];
	icp_text_escape(shown, sizeof shown, path, strlen(path));
	for (size_t i = 0; i < bad->kept; i++) {
		fprintf(out, "%s:%" PRIu64 ": %s\n", shown, bad->rows[i].line, bad->rows[i].text);
	}
	if (bad->total > 0) {
		fprintf(out, "%s: %" PRIu64 " bad row%s\n", shown, bad->total,
			bad->total == 1 ? "" : "s");
	}
}

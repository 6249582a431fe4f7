/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/count.h"

#include <inttypes.h>
#include <stdio.h>

void icp_count_format(uint64_t count, char text[ICP_COUNT_TEXT_MAX])
{
	char digits[ICP_COUNT_TEXT_MAX];
	int length = snprintf(digits, sizeof digits, "%" PRIu64, count);
	char *out = text;
	for (int i = 0; i < length; i++) {
		if (i > 0 && (length - i) % 3 == 0) {
			*out++ = ',';
		}
		*out++ = digits[i];
	}
	*out = '\0';
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! Times and dates. Input: the text. */
#include "core/error.h"
#include "core/time.h"
#include "tests/fuzz/fuzz.h"

static void check(const char *text, size_t length, enum icp_date date)
{
	int64_t seconds;
	int64_t again;
	char *written = exact(ICP_TIME_TEXT_MAX);
	int code = icp_time_parse(&seconds, text, length, date);
	must(code == ICP_EOK || code == ICP_EINVAL, "nothing else goes wrong");
	if (code == ICP_EOK) {
		icp_time_format(seconds, written);
		must(strlen(written) == ICP_TIME_TEXT_MAX - 1, "a time is written in full");
		must(icp_time_parse(&again, written, strlen(written), date) == ICP_EOK &&
				again == seconds,
			"a time that was written is read as the same");
	}
	free(written);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = exact_copy(data, size);
	check(text, size, ICP_DATE_FIRST);
	check(text, size, ICP_DATE_THROUGH);
	free(text);
	return 0;
}

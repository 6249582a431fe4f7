/* SPDX-License-Identifier: BSD-3-Clause */
/*! Names as people write them. Input: the text. */
#include "core/error.h"
#include "core/name.h"
#include "tests/fuzz/fuzz.h"

static void check_parsed(const icp_name_t *name)
{
	char text[ICP_NAME_TEXT_MAX + 1];
	icp_name_t again;
	must(icp_name_from_stored(&again, name->wire, name->length) == ICP_EOK &&
			again.labels == name->labels && name->labels > 0,
		"a name that was read can be stored");
	icp_name_format(name, text);
	size_t length = strlen(text);
	must(strchr(text, '\\') == NULL, "a name that was read has no unusual octets");
	for (unsigned dot = 0; dot < 2; dot++) {
		char *copy = exact_copy(text, length);
		must(icp_name_parse(&again, copy, length, NULL) == ICP_EOK &&
				again.length == name->length && again.labels == name->labels &&
				memcmp(again.wire, name->wire, name->length) == 0,
			"a name that was written is read as the same, with a trailing dot too");
		free(copy);
		text[length++] = '.';
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_name_t name;
	const char *why = NULL;
	char *text = exact_copy(data, size);
	int code = icp_name_parse(&name, text, size, &why);
	must((code == ICP_EINVAL) == (why != NULL), "what is refused is refused for a reason");
	must(code == ICP_EOK || code == ICP_EINVAL, "nothing else goes wrong");
	if (code == ICP_EOK) {
		check_parsed(&name);
	}
	free(text);
	return 0;
}

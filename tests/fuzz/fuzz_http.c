/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the block page reads of a request. Input: a line each for the host, the languages and the
 * query; a NUL ends a line early.
 */
#include "blockpage/request.h"
#include "core/error.h"
#include "tests/fuzz/fuzz.h"

#define VALUE_MAX 64

/*! Cuts a line off the input, into memory that ends with its NUL. */
static char *next_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size > 0 ? memchr(*data, '\n', *size) : NULL;
	size_t length = end != NULL ? (size_t)(end - *data) : *size;
	char *line = exact(length + 1);
	if (length > 0) {
		memcpy(line, *data, length);
	}
	size_t used = length + (end != NULL);
	*data += used;
	*size -= used;
	return line;
}

static void check_host(const char *text)
{
	icp_name_t name;
	icp_name_t again;
	char written[ICP_NAME_TEXT_MAX];
	enum icp_host host = icp_request_host(&name, text);
	if (host != ICP_HOST_NAME) {
		must(host == ICP_HOST_ADDRESS || host == ICP_HOST_NONE || host == ICP_HOST_BAD,
			"a host is of a kind");
		return;
	}
	icp_name_format(&name, written);
	for (const char *at = written; *at != '\0'; at++) {
		must((*at >= 'a' && *at <= 'z') || (*at >= '0' && *at <= '9') || *at == '-' ||
				*at == '_' || *at == '.',
			"a name has no character that means something to HTML");
	}
	must(icp_request_host(&again, written) == ICP_HOST_NAME && again.length == name.length &&
			memcmp(again.wire, name.wire, name.length) == 0,
		"a name that was written is read as the same");
}

static void check_query(const char *query)
{
	enum icp_language language = ICP_LANGUAGE_COUNT;
	char *value = exact(VALUE_MAX);
	if (icp_request_query(query, "name", value, VALUE_MAX)) {
		must(strlen(value) < VALUE_MAX, "a value fits");
		must(strstr(query, "name=") != NULL, "what is found is there");
	}
	must(icp_request_switch(query, &language) == (language != ICP_LANGUAGE_COUNT),
		"a switch is to a language");
	free(value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *host = next_line(&data, &size);
	char *accept = next_line(&data, &size);
	char *query = next_line(&data, &size);
	check_host(host);
	enum icp_language language = icp_request_language(accept);
	must(language == ICP_ZH || language == ICP_EN, "there is always a language");
	check_query(query);
	free(host);
	free(accept);
	free(query);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! A template. Input: an octet for the values that are settled, one for those that are set, its
 * text. */
#include "blockpage/template.h"
#include "tests/fuzz/fuzz.h"

#define VALUES 4
/* A template has no NUL. Behind each of a value's stands what must be escaped. */
#define HOSTILE "\0<\0>\0\"\0'\0&"
#define HOSTILE_LENGTH (sizeof HOSTILE - 1)
#define PLAIN "hello"

static const char *const cases[] = {"first", "second"};
static const icp_value_word_t names[VALUES] = {
	{"text", ICP_VALUE_TEXT},
	{"url", ICP_VALUE_URL},
	{"style", ICP_VALUE_STYLE},
	{"other", ICP_VALUE_TEXT},
};
static const icp_template_words_t words = {cases, 2, names, VALUES};

static char *render(const icp_template_t *parsed, unsigned page_case, const icp_value_t *values,
	uint32_t fixed, size_t *length)
{
	icp_template_t *settled;
	must(icp_template_settle(&settled, parsed, page_case, values, fixed) == ICP_EOK,
		"a template can be settled");
	size_t room = icp_template_room(settled, values);
	char *page = exact(room);
	*length = icp_template_render(settled, values, page);
	must(*length <= room, "a page fits");
	size_t at = 0;
	size_t inside;
	while (icp_template_style(settled, &at, &inside) != NULL) {
		must(inside <= room, "a style is of the template");
	}
	icp_template_free(settled);
	return page;
}

static bool is_escaped(const char *page, size_t length)
{
	for (size_t i = 0; i + 1 < length; i++) {
		if (page[i] == '\0' && page[i + 1] != '&') {
			return false;
		}
	}
	return length == 0 || page[length - 1] != '\0';
}

/*! What is settled before makes no difference, and a value looks the same wherever it stands. */
static void check(const icp_template_t *parsed, uint32_t fixed, uint32_t set)
{
	icp_value_t hostile[VALUES];
	for (unsigned i = 0; i < VALUES; i++) {
		bool style = names[i].kind == ICP_VALUE_STYLE;
		const char *text = style ? PLAIN : HOSTILE;
		hostile[i] = (icp_value_t){
			.text = (set >> i & 1) != 0 ? text : NULL, .length = strlen(text)};
	}
	for (unsigned page_case = 0; page_case < 2; page_case++) {
		size_t length;
		size_t other_length;
		char *page = render(parsed, page_case, hostile, fixed, &length);
		char *other = render(parsed, page_case, hostile, 0, &other_length);
		must(length == other_length && memcmp(page, other, length) == 0,
			"the page is the same whatever is settled before");
		free(page);
		free(other);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_template_t *parsed;
	icp_diag_t diag = {""};
	if (size < 2) {
		return 0;
	}
	char *text = exact_copy(data + 2, size - 2);
	int ret = icp_template_parse(&parsed, text, size - 2, "t", &words, &diag);
	must(ret == ICP_EOK || ret == ICP_ECONFIG, "nothing else goes wrong");
	must(ret == ICP_EOK || strncmp(diag.text, "t:", 2) == 0, "an error names the file");
	free(text);
	if (ret == ICP_EOK) {
		size_t length;
		const icp_value_t hostile = {HOSTILE, HOSTILE_LENGTH};
		icp_value_t values[VALUES] = {hostile, hostile, {PLAIN, strlen(PLAIN)}, hostile};
		char *page = render(parsed, 0, values, data[0], &length);
		must(is_escaped(page, length), "a value is escaped");
		free(page);
		check(parsed, data[0] & ((1U << VALUES) - 1), data[1]);
		icp_template_free(parsed);
	}
	return 0;
}

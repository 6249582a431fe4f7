/* SPDX-License-Identifier: BSD-3-Clause */
/* Templates: what is refused, with the message; what pages are made of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "blockpage/template.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MARKUP "<&>\"'"

enum { TEXT, URL, STYLE, OTHER, VALUES };

static const char *const cases[] = {"first", "second"};
static const icp_value_word_t names[VALUES] = {
	{"text", ICP_VALUE_TEXT},
	{"url", ICP_VALUE_URL},
	{"style", ICP_VALUE_STYLE},
	{"other", ICP_VALUE_TEXT},
};
static const icp_template_words_t words = {cases, COUNT(cases), names, VALUES};

static icp_value_t value(const char *text)
{
	return (icp_value_t){.text = text, .length = text != NULL ? strlen(text) : 0};
}

static void refusals_name_the_line(void **state)
{
	static const struct {
		const char *text;
		const char *want;
	} refused[] = {
		{"\n{{what}}", "t:2: unknown value: \"what\"; allowed: text, url, style, other"},
		{"{{#what}}{{/}}", "t:1: unknown name in a section: \"what\"; allowed: first, "
				   "second, text, url, style, other"},
		{"{{first}}", "t:1: unknown value: \"first\"; allowed: text, url, style, other"},
		{"{{text", "t:1: a mark without an end: \"{{text\""},
		{"{{ }}", "t:1: an empty mark: \"{{}}\""},
		{"{{#}}{{/}}", "t:1: a section without a name: \"\""},
		{"a\n{{#first}}\nb", "t:2: a section without an end: \"\""},
		{"{{/}}", "t:1: no section to end: \"{{/}}\""},
		{"{{#first}}{{/first}}", "t:1: a section ends with {{/}}: \"/first\""},
		{"{{#first}}{{#first}}{{#first}}{{#first}}{{#first}}{{#first}}{{#first}}{{#first}}"
		 "{{#first}}",
			"t:1: more than 8 sections in each other: \"\""},
		{"<p {{text}}>", "t:1: a value in a tag, outside an attribute in quotes: \"text\""},
		{"<{{text}}>", NULL},
		{"<p a={{text}}>",
			"t:1: a value in a tag, outside an attribute in quotes: \"text\""},
		{"<p a=b{{text}}>", "t:1: a value in an attribute without quotes: \"text\""},
		{"<!-- {{text}} -->", "t:1: a value in a comment: \"text\""},
		{"<style>{{text}}</style>", "t:1: a style element can't hold this: \"text\""},
		{"{{style}}", "t:1: only a style element can hold this: \"style\""},
		{"<a href=\"{{text}}\">", "t:1: an attribute for a URL can't hold this: \"text\""},
		{"<a href=\"{{other}}{{url}}\">",
			"t:1: an attribute for a URL can't hold this: \"other\""},
		{"<A HREF='{{text}}'>", "t:1: an attribute for a URL can't hold this: \"text\""},
		{"<a href =\"{{url}}\">", "t:1: not allowed: \"= with no name before it\""},
		{"<script>", "t:1: not allowed: \"a script, which the page's policy forbid...\""},
		{"<ScRiPt src=x>",
			"t:1: not allowed: \"a script, which the page's policy forbid...\""},
		{"<p style=\"x\">",
			"t:1: not allowed: \"a style attribute, which the page's poli...\""},
		{"<p onclick=\"x\">",
			"t:1: not allowed: \"a handler, which the page's policy forbi...\""},
		{"<noscript>", "t:1: not allowed: \"an element that pages can't have\""},
		{"<p <b>", "t:1: not allowed: \"< inside a tag\""},
		{"<p a=\"{{#first}}\"{{/}}>", "t:1: the section of line 1 begins and ends in "
					      "different places of the HTML"},
		{"<p", "t:1: ends inside a tag, a comment or a style element: \"\""},
		{"<!-- x", "t:1: ends inside a tag, a comment or a style element: \"\""},
	};
	(void)state;
	for (size_t i = 0; i < COUNT(refused); i++) {
		icp_template_t *parsed = NULL;
		icp_diag_t diag = {""};
		int ret = icp_template_parse(
			&parsed, refused[i].text, strlen(refused[i].text), "t", &words, &diag);
		if (refused[i].want == NULL) {
			/* To HTML this is text. */
			assert_int_equal(ret, ICP_EOK);
			icp_template_free(parsed);
			continue;
		}
		if (ret != ICP_ECONFIG || strcmp(diag.text, refused[i].want) != 0) {
			fail_msg("%s:\n got %s\nwant %s", refused[i].text, diag.text,
				refused[i].want);
		}
	}
}

static void sizes_and_nul_are_refused(void **state)
{
	icp_template_t *parsed;
	icp_diag_t diag = {""};
	(void)state;
	char *large = calloc(1, ICP_TEMPLATE_SIZE_MAX + 1);
	assert_non_null(large);
	memset(large, 'a', ICP_TEMPLATE_SIZE_MAX + 1);
	assert_int_equal(
		icp_template_parse(&parsed, large, ICP_TEMPLATE_SIZE_MAX + 1, "t", &words, &diag),
		ICP_ECONFIG);
	free(large);
	assert_int_equal(icp_template_parse(&parsed, "a\0b", 3, "t", &words, &diag), ICP_ECONFIG);
}

/*! Renders, with the values of a mask settled before. */
static void expect_page(const char *text, unsigned page_case, const icp_value_t *values,
	uint32_t fixed, const char *want)
{
	icp_template_t *parsed;
	icp_template_t *settled;
	icp_diag_t diag = {""};
	icp_template_parse(&parsed, text, strlen(text), "t", &words, &diag);
	assert_string_equal(diag.text, "");
	assert_int_equal(icp_template_settle(&settled, parsed, page_case, values, fixed), ICP_EOK);
	icp_template_free(parsed);
	size_t room = icp_template_room(settled, values);
	char *page = malloc(room + 1);
	assert_non_null(page);
	size_t length = icp_template_render(settled, values, page);
	assert_true(length <= room);
	page[length] = '\0';
	if (strcmp(page, want) != 0) {
		fail_msg("%s, fixed %x:\n got %s\nwant %s", text, fixed, page, want);
	}
	free(page);
	icp_template_free(settled);
}

static void pages_are_the_same_whatever_is_settled(void **state)
{
	static const struct {
		const char *text;
		unsigned page_case;
		const char *want;
	} pages[] = {
		{"", 0, ""},
		{"no marks", 0, "no marks"},
		{"a{{text}}b", 0, "a&lt;&amp;&gt;&quot;&#39;b"},
		{"<p title=\"{{text}}\">", 0, "<p title=\"&lt;&amp;&gt;&quot;&#39;\">"},
		{"<a href=\"{{url}}\">", 0, "<a href=\"https://a/?b&amp;c\">"},
		{"<a href='{{url}}'>", 0, "<a href='https://a/?b&amp;c'>"},
		{"<style>{{style}}</style>", 0, "<style>a > b {}</style>"},
		{"{{other}}|", 0, "|"},
		{"{{#first}}1{{/}}{{#second}}2{{/}}{{^first}}not 1{{/}}", 0, "1"},
		{"{{#first}}1{{/}}{{#second}}2{{/}}{{^first}}not 1{{/}}", 1, "2not 1"},
		{"{{#first second}}both{{/}}", 1, "both"},
		{"{{^first second}}none{{/}}", 1, ""},
		{"{{#other}}a{{/}}{{^other}}b{{/}}{{#url}}c{{/}}", 0, "bc"},
		{"{{#other url}}a{{/}}{{^other text}}b{{/}}", 0, "a"},
		{"{{#first other}}a{{/}}{{#second other}}b{{/}}", 0, "a"},
		{"{{#text}}a{{/}}{{other}}b{{^text}}c{{/}}{{other}}d", 0, "abd"},
		{"x{{#text}}a{{#url}}b{{#other}}c{{/}}d{{/}}e{{/}}f", 0, "xabdef"},
		{"{{#second}}{{#text}}a{{/}}{{/}}{{#text}}{{^second}}b{{/}}{{/}}c", 0, "bc"},
		{"{{! {{nothing }}{{#  first }}{{ url }}{{ / }}", 0, "https://a/?b&amp;c"},
		{"<!-- {{#first}}--><p>{{/}}", 1, NULL},
		{"a } }} { b", 0, "a } }} { b"},
		{"<textarea>{{url}}</textarea>", 0, "<textarea>https://a/?b&amp;c</textarea>"},
	};
	const icp_value_t values[VALUES] = {
		value(MARKUP), value("https://a/?b&c"), value("a > b {}"), value(NULL)};
	(void)state;
	for (size_t i = 0; i < COUNT(pages); i++) {
		for (uint32_t fixed = 0; fixed < 1U << VALUES && pages[i].want != NULL; fixed++) {
			expect_page(
				pages[i].text, pages[i].page_case, values, fixed, pages[i].want);
		}
	}
}

static void styles_are_found(void **state)
{
	static const char text[] = "<style>{{style}}</style>{{text}}<STYLE>x</STYLE>"
				   "{{#first}}<style media=\"print\">y</style>{{/}}";
	const icp_value_t values[VALUES] = {[STYLE] = {"a > b {}", 8}};
	icp_template_t *parsed;
	icp_template_t *settled;
	size_t at = 0;
	size_t length;
	(void)state;
	assert_int_equal(icp_template_parse(&parsed, text, strlen(text), "t", &words, NULL), 0);
	assert_int_equal(icp_template_settle(&settled, parsed, 0, values, 1U << STYLE), 0);
	const char *style = icp_template_style(settled, &at, &length);
	assert_int_equal(length, 8);
	assert_memory_equal(style, "a > b {}", 8);
	style = icp_template_style(settled, &at, &length);
	assert_int_equal(length, 1);
	assert_memory_equal(style, "x", 1);
	style = icp_template_style(settled, &at, &length);
	assert_int_equal(length, 1);
	assert_memory_equal(style, "y", 1);
	assert_null(icp_template_style(settled, &at, &length));
	icp_template_free(settled);
	icp_template_free(parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals_name_the_line),
		cmocka_unit_test(sizes_and_nul_are_refused),
		cmocka_unit_test(pages_are_the_same_whatever_is_settled),
		cmocka_unit_test(styles_are_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

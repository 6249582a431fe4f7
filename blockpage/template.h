/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Templates of pages: HTML with a few marks in it.
 *
 *   {{name}}          a value, escaped for text and for attributes in quotes
 *   {{#a b}} ... {{/}}  only if one of them holds: the page's case has that name, or that value is
 * set
 *   {{^a b}} ... {{/}}  only if none of them holds
 *   {{! comment }}
 *
 * A template is checked when it is parsed: a value may stand where its kind can do no harm, which
 * is told by following the HTML around it, and a section begins and ends in the same place of it.
 * What the page's Content-Security-Policy would not let work is refused: scripts, handlers, and
 * styles in attributes.
 *
 * A parsed template is immutable. Knows nothing of HTTP or of what the values mean.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/error.h"

#define ICP_TEMPLATE_WORDS_MAX 32                  /*!< Cases, and values. */
#define ICP_TEMPLATE_SIZE_MAX ((size_t)256 * 1024) /*!< Octets. */

/*! Where a value may stand. */
enum icp_value_kind {
	ICP_VALUE_TEXT,  /*!< Text, and attributes but those that hold a URL. */
	ICP_VALUE_URL,   /*!< All that, and attributes that hold a URL. */
	ICP_VALUE_STYLE, /*!< The inside of a style element alone, where it is not escaped. */
};

typedef struct {
	const char *name;
	enum icp_value_kind kind;
} icp_value_word_t;

/*! The names that a template may use. */
typedef struct {
	const char *const *cases;
	size_t case_count;
	const icp_value_word_t *values;
	size_t value_count;
} icp_template_words_t;

/*! A value; its text NULL: not set. */
typedef struct {
	const char *text;
	size_t length;
} icp_value_t;

typedef struct icp_template icp_template_t;

/*!
 * \brief Parses and checks a template.
 * \param text   copied
 * \param path   of the file, for messages
 * \param words  must outlive the template
 * \param diag   on ICP_ECONFIG: "FILE:LINE: what is wrong: WHAT; allowed: ..."
 * \retval ICP_EOK, ICP_ECONFIG, ICP_ENOMEM
 */
int icp_template_parse(icp_template_t **parsed, const char *text, size_t length, const char *path,
	const icp_template_words_t *words, icp_diag_t *diag);

void icp_template_free(icp_template_t *parsed);

/*!
 * \brief What is left of a template when its case and some of the values are settled.
 * \param values  one for each of the words' values
 * \param fixed   a bit for each value that is settled
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_template_settle(icp_template_t **settled, const icp_template_t *parsed, unsigned page_case,
	const icp_value_t *values, uint32_t fixed);

/*! \brief Octets that rendering takes at most. */
size_t icp_template_room(const icp_template_t *settled, const icp_value_t *values);

/*!
 * \brief Writes the page of a settled template.
 * \param out  room for icp_template_room octets
 * \return octets written
 */
size_t icp_template_render(const icp_template_t *settled, const icp_value_t *values, char *out);

/*!
 * \brief Finds the next style element of a settled template that is all text.
 * \param at      where to begin; moved behind what is found
 * \param length  of what is inside
 * \return the inside, or NULL: there is none
 */
const char *icp_template_style(const icp_template_t *settled, size_t *at, size_t *length);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Follows HTML, as far as is needed to know where in it one is. It is the author's page, not an
 * attacker's: what a browser would read in another way than he meant is refused where it matters,
 * and else his to see.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ICP_SCAN_NAME_MAX 16 /*!< Octets of an element's or attribute's name that are kept. */

enum icp_place {
	ICP_PLACE_TEXT,
	ICP_PLACE_TAG,      /*!< Inside a tag, but in no attribute's value. */
	ICP_PLACE_QUOTED,   /*!< In a value in quotes. */
	ICP_PLACE_UNQUOTED, /*!< In a value without. */
	ICP_PLACE_COMMENT,  /*!< Or in <!...>. */
	ICP_PLACE_STYLE,    /*!< In a style element. */
};

typedef struct {
	enum icp_place place;
	char quote;                      /*!< In ICP_PLACE_QUOTED. */
	bool names_element;              /*!< In ICP_PLACE_TAG: still in the element's name. */
	bool value_next;                 /*!< In ICP_PLACE_TAG: behind "=". */
	bool comment;                    /*!< In ICP_PLACE_COMMENT: ends with "-->". */
	char element[ICP_SCAN_NAME_MAX]; /*!< In lower case, with "/" before it if it is closed. */
	char attribute[ICP_SCAN_NAME_MAX];
} icp_scan_t;

/*!
 * \brief Goes on by one character.
 * \param rest  the text from that character on, that is not looked at beyond a mark
 * \return NULL, or what a page can't have here
 */
const char *icp_scan_step(icp_scan_t *scan, const char *rest, size_t length);

/*! \brief True in the value of an attribute that holds a URL. */
bool icp_scan_in_url(const icp_scan_t *scan);

/*! \brief True when both are at the same place of a page. */
bool icp_scan_same(const icp_scan_t *a, const icp_scan_t *b);

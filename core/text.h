/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Text that others wrote, checked and made fit to be shown. Every function is pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define ICP_SHOWN_MAX 80                           /*!< Octets of a value that messages show. */
#define ICP_SHOWN_TEXT_MAX (4 * ICP_SHOWN_MAX + 4) /*!< All escaped, "..." and NUL. */

#define ICP_TEXT_QUOTED_MAX(octets) (4 * (octets) + 3)

/*! \return true when all of it is UTF-8 (RFC 3629) */
bool icp_text_is_utf8(const char *text, size_t length);

/*! \return true when it holds a control character (C0, DEL or C1); for UTF-8 */
bool icp_text_has_control(const char *text, size_t length);

/*!
 * \brief Text as a terminal or JSON may have it: octets that are not UTF-8 and control characters
 * as \xHH. \param shown  as much as has room, with its NUL \return octets written, without the NUL
 */
size_t icp_text_escape(char *shown, size_t room, const char *text, size_t length);

/*! \brief A value as messages show it: escaped, cut to ICP_SHOWN_MAX octets, nothing as "(empty)".
 */
void icp_text_show(char shown[ICP_SHOWN_TEXT_MAX], const char *text, size_t length);

/*!
 * \brief A word that a shell takes as it is: in single quotes, if it needs any.
 * \param quoted  with room for ICP_TEXT_QUOTED_MAX of the word's octets
 * \param word    not empty, without control characters
 */
void icp_text_quote(char *quoted, const char *word);

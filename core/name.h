/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Domain names in the form that everything else works with: wire format (RFC 1035, 3.1), lower
 * case, A-labels, without the root's empty label. A parent of a name is a suffix of its bytes.
 * Values without pointers; every function is pure and safe in any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICP_NAME_MAX 254        /*!< Longest wire form without the root label. */
#define ICP_NAME_LABELS_MAX 127 /*!< Most labels without the root. */
#define ICP_NAME_TEXT_MAX 1016  /*!< Longest text form, all octets escaped, with its NUL. */

typedef struct {
	uint8_t length; /*!< Octets of wire in use; 0 is the root. */
	uint8_t labels; /*!< Labels without the root. */
	uint8_t wire[ICP_NAME_MAX];
} icp_name_t;

/*!
 * \brief Reads a name as people write it: any case, an optional trailing dot, U-labels.
 *
 * A label that is ASCII is taken as it is, in lower case, "xn--" labels too; letters, digits,
 * hyphens and underscores are allowed in it, no hyphen at either end. A label with other
 * characters is converted by IDNA2008 with UTS #46 mapping, non-transitional. The full stops of
 * UTS #46 (U+3002, U+FF0E, U+FF61) separate labels as the dot does.
 *
 * \param text, length  UTF-8, need not end with NUL
 * \param why  set to a constant phrase that says what is wrong, on ICP_EINVAL; may be NULL
 * \retval ICP_EOK
 * \retval ICP_EINVAL  empty, an empty label, a label over 63 or a name over 253 characters,
 *                      a character that can't stand in a name
 * \retval ICP_ENOMEM
 */
int icp_name_parse(icp_name_t *name, const char *text, size_t length, const char **why);

/*!
 * \brief Reads an uncompressed wire name and maps it to lower case; any octet may stand in it.
 * \param wire, length  length is an upper bound; reading stops at the root label, which must come
 * \retval ICP_EOK
 * \retval ICP_EINVAL  no root label within length, a compression pointer, too long
 */
int icp_name_from_wire(icp_name_t *name, const uint8_t *wire, size_t length);

/*!
 * \brief Takes a suffix of stored bytes (no root label) as a name.
 * \retval ICP_EOK, ICP_EINVAL  (bytes are not whole labels, or not lower case)
 */
int icp_name_from_stored(icp_name_t *name, const uint8_t *wire, size_t length);

/*! \brief Text without a trailing dot ("." for the root); unusual octets as \DDD (RFC 1035, 5.1).
 */
void icp_name_format(const icp_name_t *name, char text[ICP_NAME_TEXT_MAX]);

/*! \brief True when every label consists of letters, digits and inner hyphens (a host name). */
bool icp_name_is_ldh(const icp_name_t *name);

/*! \brief True when name is suffix or lies under it. */
bool icp_name_is_under(const icp_name_t *name, const icp_name_t *suffix);

/*!
 * \brief The parent (or the name itself) that has this many labels.
 * \param labels  0 to name->labels
 * \return offset into name->wire at which it begins
 */
size_t icp_name_suffix(const icp_name_t *name, unsigned labels);

/*! \brief Makes a name of the last labels of another, which has as many. */
void icp_name_tail(icp_name_t *tail, const icp_name_t *name, unsigned labels);

/*! \brief The offsets of all labels at once: offsets[i] is where the parent with i labels begins.
 */
void icp_name_suffixes(const icp_name_t *name, uint8_t offsets[ICP_NAME_LABELS_MAX + 1]);

/*!
 * \brief Canonical order of DNS names (RFC 4034, 6.1), for stored bytes.
 * \return less than, equal to or greater than zero
 */
int icp_name_compare(const uint8_t *a, size_t a_length, const uint8_t *b, size_t b_length);

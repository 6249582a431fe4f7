/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is read of a request: whose page is asked for, in what language, and the query. All of it is
 * what anybody on the net may send. Every function is pure.
 */
#pragma once

#include "core/name.h"

enum icp_language { ICP_ZH, ICP_EN, ICP_LANGUAGE_COUNT };

/*! What the client asked for, by the header Host or a URI. */
enum icp_host {
	ICP_HOST_NAME,
	ICP_HOST_ADDRESS, /*!< An IP address, in whatever form browsers take for one. */
	ICP_HOST_NONE,    /*!< Nothing. */
	ICP_HOST_BAD,     /*!< No valid name. */
};

/*!
 * \brief Reads a host with or without a port.
 * \param text  NULL: nothing
 * \param name  set with ICP_HOST_NAME alone
 */
enum icp_host icp_request_host(icp_name_t *name, const char *text);

/*!
 * \brief Chooses a language by an Accept-Language header (RFC 9110, 12.5.4): the one with the
 * higher weight, of two with the same the one that stands first, and where none is asked for,
 *        Chinese, unless that is refused.
 * \param accept  NULL: no header
 */
enum icp_language icp_request_language(const char *accept);

/*!
 * \brief Finds the first value of a key in a query ("a=b&c=d"), and decodes it.
 * \param query  NULL: none
 * \param out    ends with NUL
 * \return false when it is not there, does not fit, or holds a NUL or a "%" that is no code
 */
bool icp_request_query(const char *query, const char *key, char *out, size_t room);

/*! \brief True when the query asks for a language, by lang=zh or lang=en. */
bool icp_request_switch(const char *query, enum icp_language *language);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a DNS server says of a name: the addresses that a client would find for it. The only place
 * of the commands that knows DNS messages (libldns). One thread.
 */
#pragma once

#include "core/error.h"
#include "core/name.h"
#include "core/rdata.h"

#define ICP_SERVER_TEXT_MAX (ICP_ADDRESS_TEXT_MAX + 6) /*!< "ADDRESS@PORT" with its NUL. */
#define ICP_SERVER_PORT 53
#define ICP_TARGETS_MAX 8 /*!< Other names that HTTPS records lead to; more are left out. */
#define ICP_ANSWERS_MAX (3 + 2 * ICP_TARGETS_MAX)
#define ICP_ALIASES_MAX 32 /*!< CNAMEs of one answer that are followed. */
#define ICP_EDE_TEXT_MAX 512
#define ICP_RCODE_TEXT_MAX 16

/*! RCODEs of an answer from which something can be told; see icp_resolve. */
enum icp_rcode { ICP_RCODE_NOERROR = 0, ICP_RCODE_SERVFAIL = 2, ICP_RCODE_NXDOMAIN = 3 };

typedef struct {
	icp_address_t address;
	uint16_t port;
	char text[ICP_SERVER_TEXT_MAX]; /*!< "ADDRESS@PORT". */
} icp_server_t;

/*! An address that was found. */
typedef struct {
	icp_address_t address;
	char text[ICP_ADDRESS_TEXT_MAX];
} icp_found_t;

/*! The answer to one question. */
typedef struct {
	icp_name_t name;
	enum icp_rrtype type;
	int rcode;        /*!< With the bits of EDNS. */
	icp_name_t alias; /*!< Where the CNAMEs lead; the root when there are none. */
	int ede;          /*!< INFO-CODE of the first extended error (RFC 8914); -1: none. */
	char ede_text[ICP_EDE_TEXT_MAX]; /*!< EXTRA-TEXT: UTF-8, no control characters. */
	size_t first;                    /*!< Its addresses, in icp_resolved_t.found. */
	size_t count;
} icp_answer_t;

typedef struct {
	icp_server_t server;
	bool recursive; /*!< The server resolves for others (RA of the first answer). */
	icp_answer_t answers[ICP_ANSWERS_MAX];
	size_t answer_count; /*!< A, AAAA, HTTPS of the name; then A and AAAA of each target. */
	icp_found_t *found;  /*!< In the order of the answers; an address may stand twice. */
	size_t found_count;
	size_t found_capacity;
} icp_resolved_t;

#define ICP_OWN_ANSWERS 3 /*!< The answers of the name itself, which come first. */

/*!
 * \brief Reads "ADDRESS" or "ADDRESS@PORT".
 * \retval ICP_EOK
 * \retval ICP_EINVAL  diag: what is wrong and what is allowed
 */
int icp_server_parse(icp_server_t *server, const char *text, icp_diag_t *diag);

/*!
 * \brief Asks a server for all addresses of a name: A, AAAA, the hints of HTTPS, and the A and
 *        AAAA of the targets of HTTPS. Nothing but this server is contacted. Truncated answers
 *        are asked for again over TCP. A server that is silent is given up after six seconds.
 * \param resolved  freed with icp_resolved_deinit, whatever is returned
 * \retval ICP_EOK   the A and AAAA answers of the name have an RCODE of enum icp_rcode; the others
 *                   may have any
 * \retval ICP_ESYS  no answer, one that can't be read, or a refusal; diag says which
 * \retval ICP_ENOMEM
 */
int icp_resolve(icp_resolved_t *resolved, const icp_server_t *server, const icp_name_t *name,
	icp_diag_t *diag);

/*! \brief Frees what was found; a zeroed one is fine. */
void icp_resolved_deinit(icp_resolved_t *resolved);

/*! \brief "A", "AAAA", "HTTPS" or "SVCB". */
const char *icp_rrtype_name(enum icp_rrtype type);

/*! \brief "NXDOMAIN"; "RCODE23" for one without a name. */
void icp_rcode_format(int rcode, char text[ICP_RCODE_TEXT_MAX]);

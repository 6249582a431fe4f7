/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What answers are made of, and the answers. One thread, the event loop's.
 */
#pragma once

#include "blockpage/site.h"

struct evhttp_request;

#define ICP_API_PATH "/api/v1/verdict"

/*! So many answers a second for all clients together, of which none is remembered. */
typedef struct {
	uint32_t rate;
	int64_t credit; /*!< Thousandths of an answer. */
	int64_t at;     /*!< Milliseconds, of the last look. */
} icp_rate_t;

typedef struct {
	icp_config_t config;
	icp_gate_t *gate;
	icp_places_t places;
	icp_site_t *site;
	icp_rate_t rate;
} icp_service_t;

/*!
 * \brief Reads configuration and templates, and opens the gate; the store need not be there.
 * \param path   of the configuration
 * \param store  to use instead of the configuration's, or NULL
 * \param log    called for what happens to the store
 * \retval ICP_EOK, ICP_ECONFIG, ICP_ESYS, ICP_ENOMEM
 */
int icp_service_open(
	icp_service_t **service, const char *path, char *store, icp_log_t log, icp_diag_t *diag);

/*! \brief Frees it; NULL is fine. */
void icp_service_close(icp_service_t *service);

/*! \brief Takes one answer off, or says that there is none left. now: milliseconds, of a clock that
 *         only goes forward */
bool icp_rate_take(icp_rate_t *rate, int64_t now);

/*! \brief Answers a request, whatever it is. */
void icp_service_answer(icp_service_t *service, struct evhttp_request *request);

/*!
 * \brief The verdict on a name, as `icpgate lookup --json` has it, and why, as the page has it;
 *        its addresses are the places of the providers.
 * \return to be freed; NULL: out of memory
 */
char *icp_api_verdict(const icp_service_t *service, const icp_name_t *name, int64_t now);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The pages of a configuration: a template for each language, settled for each case, with the
 * headers that depend on nothing else. Immutable once it is open; one that was made anew takes its
 * place.
 */
#pragma once

#include "blockpage/case.h"
#include "blockpage/template.h"

/*! The values of a template. */
enum icp_page_value {
	ICP_PAGE_HOST,
	ICP_PAGE_UNICODE,
	ICP_PAGE_DOMAIN,
	ICP_PAGE_REASON,
	/* From here on they are settled when a site is opened. */
	ICP_PAGE_PROVIDER,
	ICP_PAGE_FILE_URL,
	ICP_PAGE_TRANSFER_URL,
	ICP_PAGE_CONTACT_URL,
	ICP_PAGE_TTL,
	ICP_PAGE_STYLE,
	ICP_PAGE_VALUE_COUNT,
};

#define ICP_POLICY_MAX 512

typedef struct {
	icp_template_t *settled;
	char policy[ICP_POLICY_MAX]; /*!< The header Content-Security-Policy. */
} icp_page_t;

typedef struct {
	icp_page_t pages[ICP_LANGUAGE_COUNT][ICP_CASE_COUNT];
	icp_value_t values[ICP_LANGUAGE_COUNT][ICP_PAGE_VALUE_COUNT];
	char *link;     /*!< The header Link. */
	char ttl[12];   /*!< Seconds. */
	char cache[32]; /*!< The header Cache-Control. */
	char *style;
} icp_site_t;

/*! \brief What templates may use. */
extern const icp_template_words_t icp_page_words;

/*!
 * \brief Reads the templates that are built in, or those of blockpage.templates: "zh.html",
 * "en.html" and "style.css". \param config  must outlive the site \param diag    names file and
 * line \retval ICP_EOK, ICP_ECONFIG, ICP_ESYS, ICP_ENOMEM
 */
int icp_site_open(icp_site_t **site, const icp_config_t *config, icp_diag_t *diag);

/*! \brief Frees a site; NULL is fine. */
void icp_site_close(icp_site_t *site);

/*!
 * \brief The page of a finding.
 * \param values  filled: for rendering
 */
const icp_page_t *icp_site_page(const icp_site_t *site, enum icp_language language,
	const icp_finding_t *finding, icp_value_t values[ICP_PAGE_VALUE_COUNT]);

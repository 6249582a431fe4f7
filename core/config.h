/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The configuration file (YAML), read once and then immutable. See icpgate.conf(5). Every program
 * checks all of it, also the sections that are for another one.
 */
#pragma once

#include "core/error.h"
#include "core/verdict.h"

#define ICP_PATH_DEPTH_MAX 8 /*!< Keys of a path into a range record. */

enum icp_mode { ICP_MODE_ENFORCE, ICP_MODE_MONITOR };
enum icp_api { ICP_API_NONE, ICP_API_LOCAL, ICP_API_ANY };

typedef struct {
	char *path; /*!< The file it came from. */
	char *store;
	enum icp_mode mode;
	uint32_t lease; /*!< Seconds. */
	icp_policy_t policy;
	struct {
		char *database;
		const char *mainland_path[ICP_PATH_DEPTH_MAX + 1]; /*!< NULL at the end. */
		char *mainland_equals;
		const char
			*provider_path[ICP_PATH_DEPTH_MAX + 1]; /*!< Its first entry NULL: none. */
	} ranges;
	struct {
		icp_address_t ipv4;
		icp_address_t ipv6; /*!< Its family 0: none. */
		uint32_t ttl;       /*!< Seconds. */
		int ede;            /*!< INFO-CODE of RFC 8914; -1: none. */
		char *text;         /*!< Never NULL. */
	} block;
	struct {
		char *spool;
		char *control;
		icp_endpoint_t http;  /*!< Its address's family 0: none. */
		uint32_t stale_after; /*!< Seconds, these four. */
		uint32_t gap_after;
		uint32_t keep_audit;
		uint32_t keep_spool;
		uint32_t keep; /*!< Generations. */
		char *follow;  /*!< A connection string; NULL: none. */
	} daemon;
	struct {
		icp_endpoint_t *listen; /*!< None: port 80 of the block addresses. */
		size_t listen_count;
		char *templates; /*!< A directory; NULL: those that are built in. */
		struct {
			char *zh;
			char *en;
		} provider_name; /*!< NULL: none. */
		char *file_url;  /*!< NULL: none, as those below. */
		char *transfer_url;
		char *contact_url;
		char *blocked_by;
		enum icp_api api;  /*!< Who may ask it. */
		uint32_t api_rate; /*!< Answers a second. */
		uint32_t connections;
		uint32_t timeout; /*!< Seconds. */
	} blockpage;
	void *arena; /*!< Owns all of the above. */
} icp_config_t;

/*!
 * \brief Reads a configuration file and checks it whole.
 * \param config  filled on success, untouched otherwise; freed with icp_config_deinit
 * \param diag    on ICP_ECONFIG: "FILE:LINE: what is wrong: VALUE; what is allowed"
 * \retval ICP_EOK, ICP_ECONFIG, ICP_ESYS (can't be read), ICP_ENOMEM
 */
int icp_config_load(icp_config_t *config, const char *path, icp_diag_t *diag);

/*! \brief Frees what the configuration owns; a zeroed one is fine. */
void icp_config_deinit(icp_config_t *config);

/*! \brief The file to read: option if not NULL, else $ICPGATE_CONF, else SYSCONFDIR's. */
const char *icp_config_path(const char *option);

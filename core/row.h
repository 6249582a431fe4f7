/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Rows of the filing database: one (domain, provider) pair with its status.
 *
 * A row is a view: its pointers lead into memory of somebody else (a feed's line, a page of the
 * store) and live as long as that does; each maker says how long.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/address.h"

#define ICP_PROVIDER_MAX 32  /*!< Octets of a provider's slug. */
#define ICP_NUMBER_MAX 128   /*!< Octets of a filing or licence number. */
#define ICP_LICENSED_MAX 256 /*!< Licensed prefixes of one row. */
#define ICP_ROW_MAX (16 + ICP_PROVIDER_MAX + ICP_NUMBER_MAX + 3 * 10 + 18 * ICP_LICENSED_MAX)

/*! Statuses; the numbers are part of the store's format. The first four can permit. */
enum icp_status {
	ICP_FILED,
	ICP_CHANGING,
	ICP_RECTIFYING,
	ICP_TRANSFER_PREAPPROVED,
	ICP_PENDING,
	ICP_TRANSFER_CANCELLED,
	ICP_DEREGISTERED,
	ICP_STATUS_COUNT,
};

typedef struct {
	const uint8_t *domain; /*!< Stored name (see name.h). */
	const char *provider;
	const char *number; /*!< UTF-8. */
	const icp_prefix_t *licensed;
	int64_t approved_at; /*!< Or ICP_TIME_NONE. */
	int64_t expires_at;  /*!< First second that is over; set for ICP_TRANSFER_PREAPPROVED only.
			      */
	int64_t rectify_by;  /*!< First second that is overdue; set for ICP_RECTIFYING only. */
	uint16_t licensed_count;
	uint8_t domain_length;
	uint8_t labels; /*!< Labels of the domain. */
	uint8_t provider_length;
	uint8_t number_length;
	uint8_t status;
} icp_row_t;

/*! \brief The feed's word for a status ("filed", ...). */
const char *icp_status_name(enum icp_status status);

/*! \retval ICP_EOK, ICP_EINVAL */
int icp_status_parse(enum icp_status *status, const char *text, size_t length);

/*! \brief True for slugs [a-z0-9-]{1,32}. */
bool icp_provider_valid(const char *text, size_t length);

/*! \brief Order of two rows by the octets of their providers. */
int icp_provider_compare(const icp_row_t *a, const icp_row_t *b);

/*!
 * \brief Writes the stored form of a row, all but its domain.
 * \param out  room for ICP_ROW_MAX octets
 * \return octets written
 */
size_t icp_row_encode(const icp_row_t *row, uint8_t *out);

/*!
 * \brief Reads one stored row; domain, domain_length and labels are left alone.
 * \param row  its pointers lead into the octets read
 * \return octets read; 0 when they are not a row
 */
size_t icp_row_decode(icp_row_t *row, const uint8_t *in, size_t length);

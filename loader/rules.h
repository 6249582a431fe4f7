/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The rules that a row of a feed has to keep, field by field (icpgate-feed(5)). Knows nothing of
 * files. One thread.
 */
#pragma once

#include "core/name.h"
#include "core/row.h"
#include "loader/changes.h"
#include "loader/record.h"

enum icp_column {
	ICP_COLUMN_DOMAIN,
	ICP_COLUMN_PROVIDER,
	ICP_COLUMN_STATUS,
	ICP_COLUMN_OP, /*!< Of delta feeds only. */
	ICP_COLUMN_NUMBER,
	ICP_COLUMN_APPROVED_AT,
	ICP_COLUMN_EXPIRES_AT,
	ICP_COLUMN_RECTIFY_BY,
	ICP_COLUMN_LICENSED_ADDRESSES,
	ICP_COLUMN_COUNT,
};

/*! What is wrong with a row. */
typedef struct {
	char what[128];
	const char *value; /*!< Leads into the fields. */
	size_t length;
} icp_fault_t;

typedef struct icp_rules icp_rules_t;

/*! \brief The name of a column. */
const char *icp_column_name(enum icp_column column);

/*! \brief Makes a checker with the newest public suffix list at hand; NULL when out of memory. */
icp_rules_t *icp_rules_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_rules_destroy(icp_rules_t *rules);

/*!
 * \brief Checks a row and reads it.
 * \param fields  one for each column; an absent column is an empty field; op is not looked at
 * \param name    the domain
 * \param row     leads into the fields, the name and the rules, until the next call
 * \param fault   what is wrong first, in the order of the columns
 * \retval ICP_EOK
 * \retval ICP_EINVAL  the row is bad
 * \retval ICP_ENOMEM
 */
int icp_rules_check(icp_rules_t *rules, const icp_field_t fields[ICP_COLUMN_COUNT],
	icp_name_t *name, icp_row_t *row, icp_fault_t *fault);

/*!
 * \brief Checks a row of a delta feed and reads it. Only what its op needs is looked at.
 * \param change  its row leads into the fields, the change itself and the rules, until the next
 *                call
 * \param fault   what is wrong first: the op, else in the order of the columns
 * \retval ICP_EOK
 * \retval ICP_EINVAL  the row is bad
 * \retval ICP_ENOMEM
 */
int icp_rules_check_change(icp_rules_t *rules, const icp_field_t fields[ICP_COLUMN_COUNT],
	icp_change_t *change, icp_fault_t *fault);

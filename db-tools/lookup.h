/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * One lookup: what was asked, what was decided, and on which rows.
 */
#pragma once

#include "core/gate.h"
#include "db-tools/tools.h"

/*! An address that was asked for. */
typedef struct {
	const char *text;         /*!< As it was given. */
	char provider[UINT8_MAX]; /*!< Of the place; the place points at it. */
} icp_target_t;

typedef struct {
	const icp_config_t *config;
	icp_gate_t *gate;
	icp_name_t name;

	/*! The addresses given: an entry of each list for each. */
	size_t given;
	size_t capacity; /*!< At least 1. */
	icp_target_t *targets;
	icp_address_t *addresses;

	/*! What was judged: the addresses given, or one place that stands for none. */
	size_t place_count;
	icp_place_t *places;
	icp_ruling_t *rulings;

	/*! The decision and what it was based on. */
	icp_judgement_t judgement;
	icp_row_t *rows; /*!< Nearest domain first, then by provider; NULL: not readable. */
	size_t row_count;
	icp_store_info_t info; /*!< Set when rows are. */
	icp_diag_t trouble;    /*!< Why rows are not readable. */
	int64_t at;
} icp_lookup_t;

/*! \brief Writes the lookup to stdout for an operator: the verdict, why, what would unblock it. */
void icp_lookup_explain(const icp_lookup_t *lookup);

/*! \brief Text of the nearest domain with a row. False: there is none. */
bool icp_lookup_covering(const icp_lookup_t *lookup, char text[ICP_NAME_TEXT_MAX]);

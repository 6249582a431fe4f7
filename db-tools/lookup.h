/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * One lookup: what was asked, what was decided, and on which rows.
 */
#pragma once

#include "core/gate.h"
#include "db-tools/resolve.h"
#include "db-tools/tools.h"

/*! Which of the usual causes keeps a site from being reached. */
enum icp_cause {
	ICP_CAUSE_NONE,            /*!< None of these. */
	ICP_CAUSE_GATE,            /*!< The gate blocks the name. */
	ICP_CAUSE_NO_ADDRESS,      /*!< The name has no address. */
	ICP_CAUSE_OUT_OF_SCOPE,    /*!< No address is gated. */
	ICP_CAUSE_LICENCE_ADDRESS, /*!< The name resolves elsewhere than its licence says. */
	ICP_CAUSE_UNKNOWN,         /*!< The store can't be read. */
};

/*! An address that was asked for, or found. */
typedef struct {
	const char *text;         /*!< As it was given. */
	char provider[UINT8_MAX]; /*!< Of the place; the place points at it. */
} icp_target_t;

typedef struct {
	const icp_config_t *config;
	icp_gate_t *gate;
	icp_name_t name;

	/*! With --resolve: what the server answered; else NULL. */
	const icp_resolved_t *resolved;
	bool behind_gate;     /*!< The answers for the name are the gate's, not real ones. */
	enum icp_reason told; /*!< By the gate; ICP_REASON_COUNT: none. */

	/*! The addresses given, or found: an entry of each list for each. */
	size_t given;
	size_t capacity; /*!< At least 1. */
	icp_target_t *targets;
	icp_address_t *addresses;

	/*! What was judged: those addresses, or one place that stands for any. */
	size_t place_count;
	icp_place_t *places;
	icp_ruling_t *rulings;

	/*! The decision and what it was based on. */
	icp_judgement_t judgement;
	icp_row_t *rows; /*!< Nearest domain first, then by provider; NULL: not readable. */
	size_t row_count;
	icp_store_info_t info; /*!< Set when rows are. */
	icp_diag_t trouble;    /*!< Why rows are not readable. */
	int trouble_code;
	int64_t at;
} icp_lookup_t;

/*! \brief Writes the lookup to stdout for an operator: the verdict, why, what would unblock it. */
void icp_lookup_explain(const icp_lookup_t *lookup);

/*! \brief What the rules say of one row alone, at an address of the row's own provider. */
icp_ruling_t icp_lookup_rule_row(
	const icp_lookup_t *lookup, const icp_row_t *row, const icp_address_t *address);

/*!
 * \brief True when an answer is the gate's: it holds the block page, or the gate's extended error.
 * \param reason  that of the extended error; ICP_REASON_COUNT when there is none
 */
bool icp_lookup_is_gated(
	const icp_lookup_t *lookup, const icp_answer_t *answer, enum icp_reason *reason);

/*! \brief Writes to stdout, after --resolve, which usual cause was found. */
void icp_lookup_print_cause(const icp_lookup_t *lookup);

/*! \brief Writes to stdout, after --resolve, what the server answered. */
void icp_lookup_print_answers(const icp_lookup_t *lookup);

/*!
 * \brief Sets the members "cause" and "resolved".
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_lookup_set_cause(const icp_lookup_t *lookup, json_t *object);

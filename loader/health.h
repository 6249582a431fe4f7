/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Whether the gate is in order. Unhealthy is what makes resolvers decide by nothing, or by what is
 * no longer true: those who are asked then had better be others. A feed that was refused, a pause,
 * or a database out of reach is not: the data is as good as it was, and when it has become too old,
 * that is told. Such things are notes here, and the matter of alerts.
 */
#pragma once

#include <stdio.h>

#include "loader/observed.h"

enum icp_problem {
	ICP_PROBLEM_STORE,    /*!< The current generation can't be read. */
	ICP_PROBLEM_STALE,    /*!< Its data is older than stale_after. */
	ICP_PROBLEM_NO_INDEX, /*!< A resolver that counts could not read it. */
	ICP_PROBLEM_GAP,      /*!< A delta has waited for longer than gap_after. */
	ICP_PROBLEM_COUNT,
};

/*! \brief A problem's name for programs ("store-unreadable"). */
const char *icp_problem_name(enum icp_problem problem);

/*! \brief The problems there are: bit 1 << problem of each. */
unsigned icp_health_problems(const icp_observed_t *observed);

/*! \brief Says in words what is wrong, a line each; the first line: "healthy" or "unhealthy". */
void icp_health_print(const icp_observed_t *observed, FILE *out);

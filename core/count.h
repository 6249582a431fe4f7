/* SPDX-License-Identifier: BSD-3-Clause */
/*! Counts as people read them. */
#pragma once

#include <stdint.h>

#define ICP_COUNT_TEXT_MAX 28 /*!< The highest count with its commas and NUL. */

/*! \brief Decimal with a comma before every three digits. */
void icp_count_format(uint64_t count, char text[ICP_COUNT_TEXT_MAX]);

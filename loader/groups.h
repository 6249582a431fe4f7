/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Counts by a short word, of which there may be many: how often was which provider? One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ICP_GROUP_NAME_MAX 32   /*!< Octets of a word. */
#define ICP_GROUPS_SHOWN 5      /*!< Of them icp_groups_format names. */
#define ICP_GROUPS_TEXT_MAX 400 /*!< Longest text of icp_groups_format, with its NUL. */

typedef struct {
	uint64_t count; /*!< 0: a free place. */
	char name[ICP_GROUP_NAME_MAX + 1];
	uint8_t length;
} icp_group_t;

/*! Begins zeroed. */
typedef struct {
	icp_group_t *places; /*!< Hash table with open addressing. */
	size_t capacity;     /*!< A power of two, or 0. */
	size_t used;
} icp_groups_t;

/*! \brief Frees it. */
void icp_groups_deinit(icp_groups_t *groups);

/*!
 * \brief Counts a word once more.
 * \param length  1 to ICP_GROUP_NAME_MAX
 * \retval ICP_EOK, ICP_ENOMEM
 */
int icp_groups_count(icp_groups_t *groups, const char *name, size_t length);

/*!
 * \brief Gives the groups with the highest counts, these first; of the same count, by name.
 * \param room  of largest
 * \return how many there are in it
 */
size_t icp_groups_largest(const icp_groups_t *groups, icp_group_t *largest, size_t room);

/*! \brief Writes the largest groups: "qcloud 11,000, acloud 1,000, 3 others 12". */
void icp_groups_format(const icp_groups_t *groups, char text[ICP_GROUPS_TEXT_MAX]);

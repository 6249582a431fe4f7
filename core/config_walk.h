/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The way from the mappings of a configuration file, which nest, to a flat table of keys.
 */
#pragma once

#include "core/config_yaml.h"

#define ICP_KEY_MAX 64 /*!< Longest path of a key with its NUL. */

/*! A key that may stand in the file, and what it has there. */
typedef struct {
	const char *key; /*!< Path with dots ("block.ttl"), shorter than ICP_KEY_MAX. */
	icp_yaml_value_t value;
} icp_entry_t;

/*!
 * \brief Finds the values of all keys. An empty file holds none.
 * \param entries  keys set by the caller, those of one mapping side by side; each value is set to
 *                 what the file has, and left alone where it has nothing
 * \retval ICP_EOK
 * \retval ICP_ECONFIG  a key that is not among the entries, one that is given twice, or no mapping
 *                      where the keys ask for one
 */
int icp_config_walk(icp_yaml_t *yaml, icp_entry_t *entries, size_t count, icp_diag_t *diag);

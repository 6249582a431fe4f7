/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A YAML file as the configuration sees it: one document of scalars, lists and mappings, each with
 * its line. The only place that knows libyaml.
 *
 * An open file belongs to one thread. What values point at lives until it is closed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/error.h"

#define ICP_YAML_SIZE_MAX 1048576 /*!< Octets of a file. */

typedef struct icp_yaml icp_yaml_t;

enum icp_yaml_kind {
	ICP_YAML_ABSENT,
	ICP_YAML_NULL,
	ICP_YAML_SCALAR,
	ICP_YAML_LIST,
	ICP_YAML_MAPPING,
	ICP_YAML_TAGGED, /*!< Bears a tag of its own ("!!int", "!x"), whatever it is. */
};

typedef struct {
	enum icp_yaml_kind kind;
	bool plain;       /*!< A scalar without quotes. */
	size_t line;      /*!< Counted from 1. */
	size_t length;    /*!< Octets of a scalar, entries of a list, pairs of a mapping. */
	const char *text; /*!< Of a scalar: valid UTF-8, any characters, NUL too. */
	const void *node; /*!< Private. */
} icp_yaml_value_t;

/*!
 * \brief Reads and parses a file.
 * \param yaml  closed with icp_yaml_close
 * \param path  must outlive the file
 * \retval ICP_EOK
 * \retval ICP_ESYS     can't be read
 * \retval ICP_ECONFIG  not YAML, more than one document, or larger, deeper or with more anchors
 *                      than any configuration needs
 * \retval ICP_ENOMEM
 */
int icp_yaml_open(icp_yaml_t **yaml, const char *path, icp_diag_t *diag);

/*! \brief Frees the file; NULL is fine. */
void icp_yaml_close(icp_yaml_t *yaml);

/*! \brief The document itself; null when the file is empty. */
icp_yaml_value_t icp_yaml_root(icp_yaml_t *yaml);

/*! \brief An entry of a list; index is below its length. */
icp_yaml_value_t icp_yaml_item(icp_yaml_t *yaml, const icp_yaml_value_t *list, size_t index);

/*! \brief A key and its value; index is below the mapping's length. */
void icp_yaml_pair(icp_yaml_t *yaml, const icp_yaml_value_t *mapping, size_t index,
	icp_yaml_value_t *key, icp_yaml_value_t *value);

/*! \brief True when a control character (Unicode's Cc) begins at text. */
bool icp_yaml_is_control(const char *text, size_t left);

/*!
 * \brief Writes "FILE:LINE: WHAT: VALUE (WHY); allowed: ALLOWED".
 * \param why  may be NULL
 * \return ICP_ECONFIG
 */
int icp_yaml_refuse(const icp_yaml_t *yaml, const char *what, const icp_yaml_value_t *value,
	const char *why, const char *allowed, icp_diag_t *diag);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Public suffixes: the names under which a registry lets anybody register a domain ("com",
 * "com.cn"). The rules are the ICANN section of the newest public suffix list at hand, which is a
 * file of the system or the one inside libpsl. Suffixes of the private section ("github.io") are
 * domains like any other: their owner may file them.
 *
 * Threads: a set of rules never changes, and may be used by any number of threads.
 */
#pragma once

#include "core/name.h"

typedef struct icp_suffix icp_suffix_t;

/*! \brief Reads the rules; NULL when out of memory. */
icp_suffix_t *icp_suffix_create(void);

/*! \brief Frees them; NULL is fine. */
void icp_suffix_destroy(icp_suffix_t *suffix);

/*! \brief True for a public suffix; every single label is one. */
bool icp_suffix_is_public(const icp_suffix_t *suffix, const icp_name_t *name);

/*!
 * \brief Finds the registrable domain of a name: the longest public suffix that it lies under, and
 *        one label more.
 * \param name  any octets may stand in its labels
 * \return labels of the domain, which may be all of the name's; 0 when the name is itself a public
 *         suffix, or the root
 */
unsigned icp_suffix_registrable(const icp_suffix_t *suffix, const icp_name_t *name);

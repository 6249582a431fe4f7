/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The range database: an MMDB file (MaxMind DB format 2.0) that says of an address whether it is
 * mainland, and whose it is.
 *
 * It is read whole into lists of ranges when it is opened, and the file is closed again. An open
 * database is immutable, may be used by any number of threads, and is shared by counting. Replace
 * the file by rename, never in place: one that changes while it is opened may be refused, or end
 * the process (see fault.h).
 */
#pragma once

#include "core/config.h"

typedef struct icp_ranges icp_ranges_t;

/*!
 * \brief Opens config->ranges.database and checks it whole: that every record that its tree leads
 *        to can be read, and that config->ranges.mainland_path is found in at least one of them.
 * \param config  must outlive the database
 * \retval ICP_EOK, ICP_ERANGES, ICP_ENOMEM
 */
int icp_ranges_open(icp_ranges_t **ranges, const icp_config_t *config, icp_diag_t *diag);

icp_ranges_t *icp_ranges_ref(icp_ranges_t *ranges);

/*! \brief Gives a reference back; NULL is fine. */
void icp_ranges_unref(icp_ranges_t *ranges);

/*! \brief True when the file at the configured path is still the one that is open. */
bool icp_ranges_is_current(const icp_ranges_t *ranges);

/*!
 * \brief Finds the place of an address. An address that is in no range, or whose record has
 *        another shape, is not mainland; nor is an IPv6 address in ::/96, where an MMDB holds IPv4.
 * \param address  as it stands in the answer; unmapped here
 * \param place    place->provider leads into the database and lives as long as it does
 */
void icp_ranges_find(const icp_ranges_t *ranges, const icp_address_t *address, icp_place_t *place);

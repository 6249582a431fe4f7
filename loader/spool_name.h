/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Names in the spool. A feed F.csv, or F.csv with a suffix of compression, and its manifest
 * F.csv.json belong together by their base, "F.csv". Every function is pure.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*! Octets of a base, without NUL, also in done/ and rejected/: what is added must fit into a name.
 */
#define ICP_SPOOL_BASE_MAX 220
#define ICP_SPOOL_SUFFIXES 4

/*! "" and those of compression; each shorter than 5 octets. */
extern const char *const icp_spool_suffixes[ICP_SPOOL_SUFFIXES];

/*! Where a feed may go. */
enum icp_spool_place { ICP_SPOOL_DONE, ICP_SPOOL_REJECTED, ICP_SPOOL_PLACES };

/*! \brief The word of a place: its directory's name. */
const char *icp_spool_place_name(enum icp_spool_place place);

enum icp_spool_name {
	ICP_SPOOL_OTHER,    /*!< Not of a manifest; or hidden, as what is on its way may be. */
	ICP_SPOOL_MANIFEST, /*!< Of a manifest. */
	ICP_SPOOL_REFUSED, /*!< Of a manifest, but too long, not UTF-8, or with a control character.
			    */
};

/*!
 * \brief What an entry of the spool is, by its name.
 * \param base  with ICP_SPOOL_MANIFEST: octets of its base
 */
enum icp_spool_name icp_spool_name(const char *name, size_t *base);

/*!
 * \brief The base of a feed or manifest that an operator names.
 * \return false when it is none: a path, hidden, or not of such a form
 */
bool icp_spool_base(const char *name, char base[ICP_SPOOL_BASE_MAX + 1]);

/*!
 * \brief Likewise, where the name may say in which place it lies: "done/F.csv", "rejected/F.csv".
 * \param place  ICP_SPOOL_PLACES: it says none
 */
bool icp_spool_base_in(
	const char *name, enum icp_spool_place *place, char base[ICP_SPOOL_BASE_MAX + 1]);

/*!
 * \brief Another base for one that is taken: with a mark put before ".csv", and cut before that
 *        where it would be too long for a base.
 * \param base  as icp_spool_base gives it
 * \param mark  at most 24 octets
 */
void icp_spool_rename(const char *base, const char *mark, char other[ICP_SPOOL_BASE_MAX + 1]);

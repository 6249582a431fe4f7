/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The end of old days of the audit log.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*!
 * \brief Removes the day files of a store's audit log that are older than that. None is touched
 * while a batch waits to be appended, as that may belong to an old day; the next load sees to it.
 *        Needs no lock: a loader writes into the file of its own day, which is never an old one.
 * \param now      seconds
 * \param seconds  at least a day
 * \return how many were removed
 */
size_t icp_prune_audit(const char *store, int64_t now, int64_t seconds);

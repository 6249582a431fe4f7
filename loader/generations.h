/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The generations of a store as files (see core/store.h): which there are, and how a new one
 * becomes current. Under construction a generation lies under another name,
 *
 *   STORE/generations/NNNNNNNNNN.mdb.building, and its -lock file beside it
 *
 * so that a half-built one is never taken for a whole one. One thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/owner.h"
#include "core/store.h"

#define ICP_LOCK_AWAITED "another loader holds the store, waiting for it"

/*! Takes one line for the operator about what is no failure. */
typedef void (*icp_notice_t)(const char *line);

/*! A store that is locked for writing. */
typedef struct {
	const char *store;
	int directory;     /*!< STORE */
	int generations;   /*!< STORE/generations */
	int lock;          /*!< STORE/lock */
	icp_owner_t owner; /*!< Of STORE; whose what is made in it becomes, see owner.h. */
} icp_generations_t;

/*!
 * \brief Makes the store where there is none (but not its parents), locks it, and removes what an
 *        interrupted run left behind.
 * \param store   must outlive the structure
 * \param wait    for another loader to finish
 * \param notice  told before waiting
 * \retval ICP_EOK
 * \retval ICP_EBUSY  another loader holds it, and wait is false
 * \retval ICP_ESYS
 */
int icp_generations_open(icp_generations_t *generations, const char *store, bool wait,
	icp_notice_t notice, icp_diag_t *diag);

/*! \brief Gives the lock back. */
void icp_generations_close(icp_generations_t *generations);

/*!
 * \brief Lists the generations of a store, newest first. Needs no lock.
 * \param numbers  freed by the caller
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_generations_list(const char *store, uint64_t **numbers, size_t *count, icp_diag_t *diag);

/*! \brief The number of the generation that the link leads to, be it there or not; 0: no link. */
uint64_t icp_generations_linked(const icp_generations_t *generations);

/*!
 * \brief Reads what a generation says of itself. Needs no lock.
 * \param number  0: the current one
 * \param size    octets of its file
 * \retval those of icp_store_open
 */
int icp_generations_info(const char *store, uint64_t number, icp_store_info_t *info, uint64_t *size,
	icp_diag_t *diag);

/*!
 * \brief The same without LMDB's lock file, for a process that must outlive whatever becomes of
 *        that.
 * \retval those of icp_generations_info
 * \retval ICP_EBUSY  commits come too fast to be read
 */
int icp_generations_look(const char *store, uint64_t number, icp_store_info_t *info, uint64_t *size,
	icp_diag_t *diag);

/*!
 * \brief The path of a generation under construction, with its lock file made in full size, so that
 *        no reader finds the disk full; freed by the caller.
 * \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM
 */
int icp_generations_building(
	const icp_generations_t *generations, uint64_t number, char **path, icp_diag_t *diag);

/*! \brief The path of a generation; freed by the caller, NULL: no memory. */
char *icp_generations_path(const icp_generations_t *generations, uint64_t number);

/*!
 * \brief Gives a finished generation its own name and access.
 * \retval ICP_EOK
 * \retval ICP_ESYS  icp_generations_discard removes what is left
 */
int icp_generations_settle(const icp_generations_t *generations, uint64_t number, icp_diag_t *diag);

/*!
 * \brief Makes a generation current, in one step.
 * \param lasting  false: it is, but a crash may bring back the one before, which must be kept
 * \retval ICP_EOK
 * \retval ICP_ESYS  nothing changed
 */
int icp_generations_point(
	const icp_generations_t *generations, uint64_t number, bool *lasting, icp_diag_t *diag);

/*! \brief Removes a generation that did not become current, finished or not. */
void icp_generations_discard(const icp_generations_t *generations, uint64_t number);

/*!
 * \brief Removes all generations but the current one and those that it replaced, one after the
 * other, up to a number. What can't be removed stays.
 */
void icp_generations_prune(const icp_generations_t *generations, unsigned keep);

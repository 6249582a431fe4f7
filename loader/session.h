/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A loader at work on a store: it holds the lock, what an interrupted one left behind is in order,
 * and it knows the current generation. One thread.
 */
#pragma once

#include "core/verdict.h"
#include "loader/audit.h"
#include "loader/generations.h"

#define ICP_KEEP_DEFAULT 3 /*!< Generations: the current one and two before it. */
#define ICP_KEEP_MAX 1000

/*! What is the same for all commands that write. */
typedef struct {
	const char *store;
	bool wait;              /*!< For another loader to finish. */
	bool no_links;          /*!< A feed or manifest that is a symbolic link is not opened. */
	bool creates;           /*!< Makes the store where there is none. */
	int64_t now;            /*!< Seconds. */
	int64_t (*clock)(void); /*!< Says what is now, once the store is locked; or NULL. */
	unsigned keep;          /*!< Generations; 1 to ICP_KEEP_MAX. */
	enum icp_verdict rectify_overdue; /*!< Of the configuration; ICP_PASS without one. */
	icp_notice_t notice;
} icp_session_options_t;

typedef struct {
	icp_session_options_t options;
	icp_generations_t generations;
	/*! ICP_EOK; ICP_ENOSTORE: there is none; ICP_EDAMAGED, ICP_EVERSION: it can't be read. */
	int current_code;
	icp_store_info_t current; /*!< With ICP_EOK; else zero but for as_of, ICP_TIME_NONE. */
	icp_diag_t current_diag;  /*!< Without ICP_EOK: why. */
} icp_session_t;

/*!
 * \brief Begins. What options point at must outlive the session.
 * \retval ICP_EOK
 * \retval ICP_ENOSTORE  there is no store, and none is to be made
 * \retval ICP_EBUSY, ICP_ESYS, ICP_ENOMEM
 */
int icp_session_open(
	icp_session_t *session, const icp_session_options_t *options, icp_diag_t *diag);

/*! \brief Gives the lock back. */
void icp_session_close(icp_session_t *session);

/*! \brief Reads anew what the current generation is. \retval as icp_session_open */
int icp_session_refresh(icp_session_t *session, icp_diag_t *diag);

/*! \brief The newest generation that is older than a number, readable or not; 0: none. */
uint64_t icp_session_older(const icp_session_t *session, uint64_t number);

/*! \brief A number that no generation has. \retval ICP_EOK, ICP_ESYS, ICP_ENOMEM */
int icp_session_number(const icp_session_t *session, uint64_t *number, icp_diag_t *diag);

/*!
 * \brief The time that data is of: what was said, or now if that lies over a day ahead, which is
 *        told.
 * \param feed  whose it is, for the notice
 */
int64_t icp_session_as_of(const icp_session_t *session, int64_t as_of, const char *feed);

/*!
 * \brief Begins the audit batch of a change.
 * \retval ICP_EOK, ICP_ENOMEM
 * \retval ICP_ESYS  the batch of the change before can't be appended yet
 */
int icp_session_audit(const icp_session_t *session, icp_audit_t **audit,
	const icp_store_info_t *after, icp_diag_t *diag);

/*!
 * \brief Says in a generation which one is current in its place, or (0) that it is. Readers that
 *        hold it see this with their next snapshot, and look for the other one.
 * \retval ICP_EOK, ICP_ENOMEM; those of icp_update_open and icp_update_supersede
 */
int icp_session_leave_word(
	const icp_session_t *session, uint64_t in, uint64_t number, icp_diag_t *diag);

/*!
 * \brief Ends the audit batch of a change that was committed, and frees it. What can't be written
 *        now is told of; it stays prepared for the next load.
 */
void icp_session_log(const icp_session_t *session, icp_audit_t *audit, icp_diag_t *diag);

/*!
 * \brief Makes a generation current in one step, and leaves word of it in the one before. A new one
 *        takes the place of those that are not to be kept.
 * \param number    of a generation that lies finished under its building name, or under its own
 * \param building  which of them
 * \param audit     with all lines of the change; taken over
 * \retval ICP_EOK
 * \retval ICP_ESYS  nothing changed
 */
int icp_session_publish(icp_session_t *session, uint64_t number, bool building, icp_audit_t *audit,
	icp_diag_t *diag);

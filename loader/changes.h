/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The changes of one delta, in the order of its file: in memory, and as the store keeps them, so
 * that they can be applied again to a full feed that does not hold them yet.
 *
 *   stored = seal:u64 change[]
 *   change = 0:u8 name row      upsert; row as icp_row_encode writes it
 *          | 1:u8 name text     delete; the text is the provider
 *          | 2:u8 text          deregister an entity; the text is its number
 *   name   = length:u8 octets   (see name.h; two labels or more)
 *   text   = length:u8 octets
 *
 * The seal is XXH3-64, little-endian, over what follows it. In memory they have this form too. What
 * passes its seal is still read through a bounded cursor, and every op, name, row and text in it is
 * checked. Lines of the feed are known in memory only. One thread at a time.
 */
#pragma once

#include "core/name.h"
#include "core/row.h"

/*! Operations; the numbers are part of the stored form. */
enum icp_op {
	ICP_OP_UPSERT,
	ICP_OP_DELETE,
	ICP_OP_DEREGISTER_ENTITY,
};

typedef struct {
	enum icp_op op;
	icp_name_t name; /*!< Empty for ICP_OP_DEREGISTER_ENTITY. */
	icp_row_t row;   /*!< ICP_OP_UPSERT: whole. ICP_OP_DELETE: domain and provider.
			    ICP_OP_DEREGISTER_ENTITY: number. What an op has no use for is zero,
			    and times are ICP_TIME_NONE. */
	uint64_t line;   /*!< Of the feed, for icp_changes_add; 0: not known. */
} icp_change_t;

typedef struct icp_changes icp_changes_t;

/*! \brief Makes an empty list; NULL when out of memory. */
icp_changes_t *icp_changes_create(void);

/*! \brief Frees it; NULL is fine. */
void icp_changes_destroy(icp_changes_t *changes);

/*!
 * \brief Copies a change to the end. What it leads to must not lie in these changes.
 * \param change  valid as a feed's row is: the row's domain is not looked at, its name is
 * \retval ICP_EOK
 * \retval ICP_ENOMEM  nothing was added
 */
int icp_changes_add(icp_changes_t *changes, const icp_change_t *change);

size_t icp_changes_count(const icp_changes_t *changes);

/*!
 * \brief Walks over the changes.
 * \param at      0 at first; moved on
 * \param change  without its line, see icp_changes_line; its row leads into the changes, until
 *                something is added to them
 * \retval 1             a change
 * \retval 0             the end
 * \retval ICP_EDAMAGED  not a change; at stays there
 */
int icp_changes_next(const icp_changes_t *changes, size_t *at, icp_change_t *change);

/*! \brief The line of the change that was added after so many; 0: not known. */
uint64_t icp_changes_line(const icp_changes_t *changes, size_t position);

/*!
 * \brief The stored form of all changes.
 * \param length  at least the seal's
 * \return lives until something is added
 */
const uint8_t *icp_changes_stored(icp_changes_t *changes, size_t *length);

/*!
 * \brief Makes changes of a stored form, which is copied.
 * \retval ICP_EOK
 * \retval ICP_EDAMAGED  the seal does not fit, or what it seals is not all changes
 * \retval ICP_ENOMEM
 */
int icp_changes_from_stored(icp_changes_t **changes, const uint8_t *stored, size_t length);

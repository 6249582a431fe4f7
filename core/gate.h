/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The gate: the configuration, the range database and the store's current generation put together,
 * so that a name with addresses can be judged. The one entry of the resolver module and of the
 * commands.
 *
 * Threads: a gate is shared; each thread judges through a seat of its own (a number below the
 * count given at creation), which holds its snapshot, so that judging takes no lock. Once a second
 * the first seat that judges looks whether the range database or the generation was replaced; the
 * other seats follow at their next judgement; a new generation is seen at once when its loader left
 * word in the one that it replaced. A replacement that can't be opened is reported once and leaves
 * the old one in use.
 *
 * A gate survives what happens to the files: what is damaged gives no-index, and a file that loses
 * its pages while it is mapped does not end the process (see fault.h). The range database is not
 * read again after it was opened.
 */
#pragma once

#include "core/config.h"
#include "core/memory.h"
#include "core/ranges.h"
#include "core/store.h"

typedef struct icp_gate icp_gate_t;

enum icp_level { ICP_LEVEL_INFO, ICP_LEVEL_WARNING, ICP_LEVEL_ERROR };

/*! Takes one line for the operator; may be called from any seat's thread. */
typedef void (*icp_log_t)(enum icp_level level, const char *line);

/*! A judgement and what it was based on. */
typedef struct {
	icp_judgement_t judgement;
	const icp_place_t
		*places; /*!< In the order of the addresses given; NULL when remembered. */
	const icp_ruling_t *rulings; /*!< Likewise. */
	const icp_row_t *rows;       /*!< NULL when the store can't be read, or was not asked. */
	size_t row_count;
	icp_stamp_t stamp; /*!< Its generation: that the rows are from; 0 without rows. */
	const icp_store_info_t *info; /*!< Of that generation; NULL without rows. */
} icp_decision_t;

/*!
 * \brief Makes a gate. The range database must be readable; the store need not.
 * \param config  must outlive the gate
 * \param seats   at least 1
 * \param log     called for what happens later; may be NULL
 * \retval ICP_EOK, ICP_ERANGES, ICP_ENOMEM
 * \retval ICP_ESYS  SIGBUS can't be handled
 */
int icp_gate_create(icp_gate_t **gate, const icp_config_t *config, unsigned seats, icp_log_t log,
	icp_diag_t *diag);

/*!
 * \brief Makes a gate for a process that judges names alone and may not write. It opens no range
 *        database, so that no address is gated: the caller names places, icp_gate_judge_places. It
 *        reads the store without slots, and a decision's rows have to be copied, see
 * icp_gate_holds. \retval as icp_gate_create, without ICP_ERANGES
 */
int icp_gate_create_for_names(icp_gate_t **gate, const icp_config_t *config, unsigned seats,
	icp_log_t log, icp_diag_t *diag);

/*! \brief Frees a gate; NULL is fine. No seat may be in use. */
void icp_gate_destroy(icp_gate_t *gate);

/*!
 * \brief Judges a name with the addresses it points at.
 *
 * The store is asked only if an address is gated. The decision's pointers live until
 * icp_gate_release of the same seat, which must follow.
 *
 * \param now  seconds; also drives the look for replacements
 * \retval ICP_EOK     also when the store can't be read: the rules then say no-index
 * \retval ICP_ENOMEM  no decision; release is not needed
 */
int icp_gate_judge(icp_gate_t *gate, unsigned seat, const icp_name_t *name,
	const icp_address_t *addresses, size_t address_count, int64_t now,
	icp_decision_t *decision);

/*!
 * \brief As icp_gate_judge, but what was judged a short while ago and still holds is remembered;
 * then there are no places and no rows.
 */
int icp_gate_decide(icp_gate_t *gate, unsigned seat, const icp_name_t *name,
	const icp_address_t *addresses, size_t address_count, int64_t now,
	icp_decision_t *decision);

/*!
 * \brief As icp_gate_judge, for places that the caller names itself.
 * \param places  copied
 */
int icp_gate_judge_places(icp_gate_t *gate, unsigned seat, const icp_name_t *name,
	const icp_place_t *places, size_t place_count, int64_t now, icp_decision_t *decision);

/*!
 * \brief True when the rows of this seat's decision, read until now, are those that it was made of.
 *        Else what was copied of them is void, and the name is to be judged again. The judgement
 *        itself always holds. With slots, and pages that stay, this is always true.
 */
bool icp_gate_holds(icp_gate_t *gate, unsigned seat);

/*!
 * \brief What a judgement of this seat would rest on now. It holds no snapshot afterwards.
 * \return the stamp; its generation is 0 when the store can't be read
 */
icp_stamp_t icp_gate_stamp(icp_gate_t *gate, unsigned seat, int64_t now);

/*! \brief What this seat remembers, for judgements of the caller's own kind. */
icp_memory_t *icp_gate_memory(icp_gate_t *gate, unsigned seat);

/*! \brief Ends the decision of this seat. */
void icp_gate_release(icp_gate_t *gate, unsigned seat);

/*!
 * \brief The seat's reader with a snapshot taken, for commands. icp_gate_release must follow, or
 * else another call with this seat. \retval ICP_EOK \retval those of icp_store_open,
 * icp_reader_init and icp_reader_begin
 */
int icp_gate_reader(
	icp_gate_t *gate, unsigned seat, int64_t now, icp_reader_t **reader, icp_diag_t *diag);

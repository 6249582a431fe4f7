/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What gate.c, which keeps files and seats in step, and gate_judge.c, which judges, share.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/gate.h"

#define ICP_CACHE_LINE 64

/*! One thread's part; on lines of its own, so that threads do not slow each other. */
typedef struct {
	_Alignas(ICP_CACHE_LINE) unsigned version; /*!< Of the gate, when last in step with it. */
	icp_ranges_t *ranges;                      /*!< Counted; NULL: none. */
	icp_reader_t reader;                       /*!< Its store NULL: no index. */
	uint64_t looked_at; /*!< Commit that said so when the link was last looked at for it. */
	icp_place_t *places;
	icp_ruling_t *rulings;
	icp_memory_t *memory;
	size_t capacity;
	bool active;  /*!< The reader holds a snapshot. */
	bool guarded; /*!< In a section of fault.h. */
} icp_seat_t;

struct icp_gate {
	const icp_config_t *config;
	icp_log_t log;
	icp_seat_t *seats;
	unsigned seat_count;
	bool handles_faults;
	bool for_names;              /*!< No range database, and a store without slots. */
	atomic_uint version;         /*!< Grows when ranges or store are replaced. */
	atomic_int_least64_t looked; /*!< The second of the last look for replacements. */
	atomic_bool damage_logged;   /*!< For the current store. */
	pthread_mutex_t lock;        /*!< Guards what follows, and each seat's choice of store. */
	icp_ranges_t *ranges;        /*!< NULL: none. */
	icp_store_t *store;          /*!< NULL: none could be opened so far. */
	struct stat ranges_refused;  /*!< Could not be opened; not tried again. */
	icp_diag_t ranges_trouble;   /*!< Last reported; empty: none. */
	icp_diag_t store_trouble;
	int store_code; /*!< Of that trouble. */
	icp_diag_t reader_trouble;
	int reader_code;
};

/*! \brief Writes a line for the operator. */
void icp_gate_say(const icp_gate_t *gate, enum icp_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/*! \brief Tells once that the store can't be read. */
void icp_gate_tell_damage(icp_gate_t *gate, int code);

/*! \brief Begins a decision, which icp_gate_release ends; brings the seat in step with the gate. */
icp_seat_t *icp_seat_take(icp_gate_t *gate, unsigned number, int64_t now);

/*! \brief Takes a snapshot of the generation that is current. \retval as icp_reader_begin */
int icp_seat_begin(icp_gate_t *gate, icp_seat_t *seat);

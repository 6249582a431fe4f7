/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What a resolver has done since its start, in numbers, for whoever wants to know: counters of
 * verdicts and answers, how long judgements took, and the blocked registrable domains that were
 * asked for most since the generation in use came into use (see top.h). Nothing here takes a
 * client's address, nor any name but that of a blocked domain, cut to what can be registered.
 *
 *   STORE/stats   a head, then for each thread of the resolver an area of whole pages
 *
 * The resolver maps the file and counts by plain stores to its threads' own cache lines; other
 * processes read it. It is locked while a resolver counts in it, so a second resolver on the same
 * store counts in memory only. So does one that can't write the file: it is made where the store's
 * directory may be written to, else an existing one that may be written to is used. Counters start
 * at zero at each start.
 *
 * The file is written whole before it is mapped, so a disk that gets full later can do no harm, and
 * it is never made smaller. If another process truncates it all the same, the resolver goes on to
 * count where nobody sees it (see fault.h, whose handler has to be in place). Removing the file is
 * harmless.
 *
 * Threads: each thread counts with a seat of its own, as with a gate. Reading goes through the
 * file, in any process.
 */
#pragma once

#include "core/config.h"
#include "core/top.h"

#define ICP_STATS_FILE "stats"
#define ICP_STATS_SEATS_MAX 1024 /*!< More threads than a resolver can have. */

/*! All counters but those of judgements: constant, key, meaning. A change is a new format. */
#define ICP_STAT_TABLE(ENTRY)                                                                      \
	ENTRY(SERVED, "served", "answers served as they were")                                     \
	ENTRY(STRIPPED, "stripped", "answers served without some of their addresses")              \
	ENTRY(BLOCKED, "blocked", "answers blocked")                                               \
	ENTRY(MONITORED, "monitored", "answers served that enforce mode would not serve so")       \
	ENTRY(FAILED, "failed", "answers that could not be judged")                                \
	ENTRY(ADDITIONAL, "additional_removed", "records taken out of additional sections")        \
	ENTRY(RENEWED, "leases_renewed", "leases renewed")                                         \
	ENTRY(STALE, "stale_judged", "expired answers judged")                                     \
	ENTRY(LICENCE, "licence_warnings", "passed at addresses that the licence does not hold")

#define ICP_STAT_CONSTANT(constant, key, meaning) ICP_STAT_##constant,
enum icp_stat { ICP_STAT_TABLE(ICP_STAT_CONSTANT) ICP_STAT_COUNT };
#undef ICP_STAT_CONSTANT

/*! Upper bounds of the classes of a judgement's time, in nanoseconds; one more class is for what
 * took longer. A change is a new format. */
#define ICP_LATENCY_BOUNDS                                                                         \
	{                                                                                          \
		100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000,      \
			1000000, 2500000, 5000000, 10000000                                        \
	}
#define ICP_LATENCY_CLASSES 17

/*! One judgement of so many is timed: reading the clock twice takes about 50 ns, which would be
 * dear for one that is remembered. A prime, so that all of what comes again and again in the same
 * order has its turn. */
#define ICP_LATENCY_EVERY 61

/*! \brief The longest time of a class, in nanoseconds; 0: of the last one, which has no bound. */
uint64_t icp_latency_bound(unsigned number);

/*! \brief A counter's name for programs ("leases_renewed"). */
const char *icp_stat_key(enum icp_stat stat);

/*! \brief A counter's name for people ("leases renewed"). */
const char *icp_stat_title(enum icp_stat stat);

typedef struct icp_stats icp_stats_t;

/*!
 * \brief Begins to count from zero, in the store's file if possible, else in memory.
 * \param store  the store's directory
 * \param seats  1 to ICP_STATS_SEATS_MAX
 * \param now    seconds
 * \param diag   says why other processes will not see the counts; empty when they will
 * \retval ICP_EOK
 * \retval ICP_EINVAL  too many seats
 * \retval ICP_ENOMEM
 */
int icp_stats_open(icp_stats_t **stats, const char *store, enum icp_mode mode, unsigned seats,
	int64_t now, icp_diag_t *diag);

/*! \brief Ends counting; the file stays, to be read. NULL is fine. No seat may be in use. */
void icp_stats_close(icp_stats_t *stats);

/*!
 * \brief Counts a judgement, and takes note of the generation that it was based on: the list of
 *        blocked domains begins anew with each change of it.
 * \param generation  0: the index can't be read, or was not asked; that of the last time stays.
 * With the reason ICP_REASON_NO_INDEX the file says so until one can be read again. \param now
 * seconds
 */
void icp_stats_judged(icp_stats_t *stats, unsigned seat, const icp_judgement_t *judgement,
	uint64_t generation, int64_t now);

/*! \brief True when the seat's next judgement is to be timed. */
bool icp_stats_wants_time(const icp_stats_t *stats, unsigned seat);

/*!
 * \brief Counts the time of a judgement before which icp_stats_wants_time was true. To be called
 *        before icp_stats_judged.
 */
void icp_stats_took(icp_stats_t *stats, unsigned seat, uint64_t nanoseconds);

/*! \brief Adds to a counter. */
void icp_stats_count(icp_stats_t *stats, unsigned seat, enum icp_stat stat, uint64_t number);

/*!
 * \brief Counts one query for a name that is blocked (in mode monitor: would be) on the list of its
 *        registrable domain; a name that is itself a public suffix counts for itself. To be called
 *        after icp_stats_judged, whose generation it is counted for.
 */
void icp_stats_blocked(icp_stats_t *stats, unsigned seat, const icp_name_t *name);

/*! What a file says. */
typedef struct {
	bool counting; /*!< A resolver counts in it now. */
	enum icp_mode mode;
	unsigned seats;
	int64_t started;
	uint64_t judged[ICP_BLOCK + 1][ICP_REASON_COUNT]; /*!< By verdict and reason. */
	uint64_t counts[ICP_STAT_COUNT];
	uint64_t latency[ICP_LATENCY_CLASSES]; /*!< Judgements that were timed, by class. */
	uint64_t latency_sum;                  /*!< Nanoseconds that these took together. */
	uint64_t generation; /*!< In use when last a judgement was based on one; 0: none so far. */
	int64_t since;       /*!< It is in use; ICP_TIME_NONE without one. */
	/*! The index could not be read for a judgement, the last that needed it; else
	 * ICP_TIME_NONE. */
	int64_t no_index_since;
	icp_top_list_t top; /*!< Blocked domains since then, sorted. */
	unsigned left_out;  /*!< Sets of seats that are missing in top, and whose names `bound` does
			       not hold for: the resolver ended, or was stopped, while it wrote. */
} icp_stats_snapshot_t;

/*!
 * \brief Reads the file of a store: the sum of all seats.
 * \param snapshot  freed with icp_stats_snapshot_deinit; zeroed on failure
 * \retval ICP_EOK
 * \retval ICP_ENOSTORE  no resolver has counted here
 * \retval ICP_ESYS      can't be read
 * \retval ICP_EVERSION  another format, of another version of the resolver's module
 * \retval ICP_EDAMAGED  truncated, never finished, or its content contradicts itself
 * \retval ICP_EBUSY     a resolver is starting, again and again or for long
 * \retval ICP_ENOMEM
 */
int icp_stats_read(icp_stats_snapshot_t *snapshot, const char *store, icp_diag_t *diag);

/*!
 * \brief The same for those who must not be kept waiting: waits for a resolver that starts, or is
 * in the midst of a change, some hundredths of a second at most. \param domains  false: top is left
 * empty
 */
int icp_stats_read_quickly(
	icp_stats_snapshot_t *snapshot, const char *store, bool domains, icp_diag_t *diag);

/*! \brief Frees what the snapshot owns; a zeroed one is fine. */
void icp_stats_snapshot_deinit(icp_stats_snapshot_t *snapshot);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The layout of the file of statistics, for its writer and its reader. Numbers are in the order of
 * the machine's octets.
 */
#pragma once

#include "core/stats.h"

#define ICP_STATS_MAGIC "icpstats"
#define ICP_STATS_FORMAT 3
#define ICP_STATS_PAGE 4096

/*! Written once, and last; a file without it is not finished. */
typedef struct {
	char magic[8];
	uint32_t format;
	uint32_t seats;
	uint32_t counters; /*!< In each area. */
	uint32_t mode;
	uint64_t area_size;
	int64_t started;
} icp_stats_head_t;

/*! Which turn of the top lists is the current one. Changes seldom. */
typedef struct {
	/*! The turn; odd while the others change, 0 when there was no generation so far. */
	_Alignas(64) _Atomic uint64_t sequence;
	_Atomic uint64_t generation;
	_Atomic int64_t since;
	/*! Since when judgements find no index; 0: the last one found it. */
	_Atomic int64_t no_index_since;
} icp_stats_turn_t;

enum {
	ICP_STATS_JUDGED = (ICP_BLOCK + 1) * ICP_REASON_COUNT,
	ICP_STATS_LATENCY = ICP_STATS_JUDGED + ICP_STAT_COUNT, /*!< Where the classes begin. */
	ICP_STATS_LATENCY_SUM = ICP_STATS_LATENCY + ICP_LATENCY_CLASSES,
	ICP_STATS_COUNTERS,
};

/*! Of one seat. */
typedef struct {
	/*! By verdict and reason, then those of ICP_STAT_TABLE, then those of times. */
	_Alignas(ICP_STATS_PAGE) _Atomic uint64_t counters[ICP_STATS_COUNTERS];
	icp_top_t top;
} icp_stats_area_t;

typedef struct {
	icp_stats_head_t head;
	icp_stats_turn_t turn;
	icp_stats_area_t areas[];
} icp_stats_file_t;

_Static_assert(offsetof(icp_stats_file_t, areas) == ICP_STATS_PAGE, "format of the file");
_Static_assert(sizeof(icp_stats_area_t) % ICP_STATS_PAGE == 0, "seats share no page");

/*! \brief Octets of a file for so many seats. */
static inline size_t icp_stats_size(size_t seats)
{
	return sizeof(icp_stats_file_t) + seats * sizeof(icp_stats_area_t);
}

/*! \brief Where a verdict with a reason is counted. */
static inline size_t icp_stats_place(enum icp_verdict verdict, enum icp_reason reason)
{
	return (size_t)verdict * ICP_REASON_COUNT + reason;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * All names of a store with rows, copied out of it, for icpgate bench to draw from.
 *
 * They are a copy because reading a name from the store would bring the very page into the
 * processor's caches that the judgement to be measured needs. Their order is by lot, so that rank
 * says nothing about the place in the store. Every run draws the same.
 */
#pragma once

#include "core/store.h"

typedef struct {
	uint8_t *octets; /*!< length:u8 name, one after the other. */
	size_t used;
	size_t room;
	uint64_t *places; /*!< Where each begins, in random order. */
	size_t count;
	size_t capacity;
	uint64_t state; /*!< Of the lots. */
} icp_bench_names_t;

/*!
 * \brief Copies the names.
 * \param names   zeroed
 * \param reader  holds a snapshot
 * \retval ICP_EOK, ICP_EDAMAGED, ICP_ENOMEM
 */
int icp_bench_names_read(icp_bench_names_t *names, icp_reader_t *reader);

/*! \brief Frees what was read; zeroed ones are fine. */
void icp_bench_names_deinit(icp_bench_names_t *names);

/*! \brief A random number of 64 bits. */
uint64_t icp_bench_draw(icp_bench_names_t *names);

/*! \brief A number below the count: each with the same chance. There must be a name. */
size_t icp_bench_uniform(icp_bench_names_t *names);

/*! \brief A number below the count: the chance of i is as 1 / (i + 1), Zipf's law with s = 1. */
size_t icp_bench_zipf(icp_bench_names_t *names);

/*! \brief The name of a number. \retval ICP_EOK, ICP_EDAMAGED */
int icp_bench_name(const icp_bench_names_t *names, size_t number, icp_name_t *name);

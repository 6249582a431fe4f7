/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Memory that only grows and is freed all at once. Octets without alignment. One thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

typedef struct icp_slab_block icp_slab_block_t;

/*! Begins zeroed. */
typedef struct {
	icp_slab_block_t *blocks;
	uint8_t *at;
	size_t left;
} icp_slab_t;

/*! \return size octets, which live until icp_slab_deinit; NULL when out of memory */
uint8_t *icp_slab_take(icp_slab_t *slab, size_t size);

void icp_slab_deinit(icp_slab_t *slab);

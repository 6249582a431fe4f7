/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/slab.h"

#include <stdlib.h>
#include <sys/mman.h>

/* Huge pages halve the time it takes to go through the octets in another order than they came. */
#define HUGE_PAGE ((size_t)2 * 1024 * 1024)
/* So large that it is mapped: untouched pages cost nothing, and freed ones go back at once. */
#define BLOCK_SIZE (16 * HUGE_PAGE)

struct icp_slab_block {
	icp_slab_block_t *next;
	uint8_t octets[];
};

static icp_slab_block_t *add_block(icp_slab_t *slab, size_t size)
{
	size = (sizeof(icp_slab_block_t) + size + BLOCK_SIZE - 1) / BLOCK_SIZE * BLOCK_SIZE;
	icp_slab_block_t *block = aligned_alloc(HUGE_PAGE, size);
	if (block != NULL) {
		madvise(block, size, MADV_HUGEPAGE);
		block->next = slab->blocks;
		slab->blocks = block;
		slab->at = block->octets;
		slab->left = size - sizeof *block;
	}
	return block;
}

uint8_t *icp_slab_take(icp_slab_t *slab, size_t size)
{
	if (size > slab->left && add_block(slab, size) == NULL) {
		return NULL;
	}
	uint8_t *taken = slab->at;
	slab->at += size;
	slab->left -= size;
	return taken;
}

void icp_slab_deinit(icp_slab_t *slab)
{
	while (slab->blocks != NULL) {
		icp_slab_block_t *next = slab->blocks->next;
		free(slab->blocks);
		slab->blocks = next;
	}
	*slab = (icp_slab_t){.blocks = NULL};
}

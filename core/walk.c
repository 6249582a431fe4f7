/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/walk.h"

#include <lmdb.h>
#include <string.h>

void icp_walk_begin(icp_walk_t *walk, icp_reader_t *reader)
{
	*walk = (icp_walk_t){.reader = reader};
}

int icp_walk_next(icp_walk_t *walk, icp_node_t *node)
{
	while (walk->position == walk->count) {
		if (walk->begun && walk->key == UINT64_MAX) {
			return 0;
		}
		uint64_t from = walk->begun ? walk->key + 1 : 0;
		MDB_val key = {.mv_size = sizeof from, .mv_data = &from};
		MDB_val bucket;
		int rc = mdb_cursor_get(walk->reader->cursor, &key, &bucket, MDB_SET_RANGE);
		if (rc == MDB_NOTFOUND) {
			return 0;
		}
		if (rc != MDB_SUCCESS || key.mv_size != sizeof walk->key) {
			return ICP_EDAMAGED;
		}
		memcpy(&walk->key, key.mv_data, sizeof walk->key);
		walk->begun = true;
		walk->bucket = bucket.mv_data;
		walk->length = bucket.mv_size;
		walk->position = 0;
		walk->count = icp_bucket_count(walk->bucket, walk->length);
		if (walk->count == 0) {
			return ICP_EDAMAGED;
		}
	}
	int ret = icp_bucket_node(walk->bucket, walk->length, walk->position++, node);
	return ret == ICP_EOK ? 1 : ret;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/renew.h"

#include <stdlib.h>

#include "loader/reread.h"
#include "loader/writer.h"

static int copy_nodes(icp_reader_t *reader, icp_writer_t *writer)
{
	icp_walk_t walk;
	icp_node_t node;
	int ret;
	icp_walk_begin(&walk, reader);
	while ((ret = icp_walk_next(&walk, &node)) == 1) {
		size_t length;
		const uint8_t *octets = icp_node_octets(&node, &length);
		ret = icp_writer_add(
			icp_name_hash(node.name, node.name_length), octets, length, writer);
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	return ret;
}

static int copy_deltas(icp_reader_t *reader, icp_writer_t *writer)
{
	for (uint64_t next = reader->info.base + 1; next <= reader->info.sequence; next++) {
		const uint8_t *stored;
		size_t length;
		int ret = icp_reader_delta(reader, next, &stored, &length) == 1
				  ? icp_writer_delta(writer, next, stored, length)
				  : ICP_EDAMAGED;
		if (ret != ICP_EOK) {
			return ret;
		}
	}
	return ICP_EOK;
}

/*!
 * Copies all that is there. The copy takes the place of its original in the chain of generations,
 * so that a rollback leads to the feed before.
 *
 * \param room  octets that will be added
 */
static int copy(icp_reader_t *reader, const icp_session_t *session, uint64_t number,
	const char *path, uint64_t room, icp_diag_t *diag)
{
	icp_writer_t *writer;
	icp_store_info_t info = reader->info;
	uint64_t octets = (icp_tree_pages(&reader->buckets) + icp_tree_pages(&reader->deltas)) *
			  reader->pages.page_size;
	int ret = icp_writer_open(&writer, path, octets + room, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	info.generation = number;
	info.superseded = 0;
	info.created_at = session->options.now;
	diag->text[0] = '\0';
	ret = copy_nodes(reader, writer);
	if (ret == ICP_EOK) {
		ret = copy_deltas(reader, writer);
	}
	if (ret == ICP_EOK) {
		ret = icp_writer_finish(writer, &info);
	}
	icp_writer_close(writer);
	return ret == ICP_EOK || diag->text[0] != '\0'
		       ? ret
		       : icp_fail(diag, ret, "current generation: %s", icp_strerror(ret));
}

static int copy_current(const icp_session_t *session, uint64_t number, const char *path,
	uint64_t room, icp_diag_t *diag)
{
	icp_reader_t reader;
	char *current = icp_generations_path(&session->generations, session->current.generation);
	if (current == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	int ret = icp_reader_open(&reader, current, diag);
	free(current);
	if (ret == ICP_EOK) {
		ret = copy(&reader, session, number, path, room, diag);
		icp_reader_close(&reader);
	}
	return ret;
}

static int apply(const char *path, icp_changes_t *changes, const icp_update_delta_t *delta,
	icp_compare_visit_t visit, void *context, icp_diag_t *diag)
{
	icp_update_t *update;
	int ret = icp_update_open(&update, path, false, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_update_apply(update, changes, delta, visit, context, diag);
	if (ret == ICP_EOK) {
		ret = icp_update_commit(update, diag);
	}
	if (ret == ICP_EOK) {
		ret = icp_update_sync(update, diag);
	}
	icp_update_close(update);
	return ret;
}

static int verify(const char *path, icp_diag_t *diag)
{
	icp_reader_t reader;
	int ret = icp_reread(&reader, path, diag);
	if (ret == ICP_EOK) {
		icp_reader_close(&reader);
	}
	return ret;
}

int icp_renew(const icp_session_t *session, uint64_t number, icp_changes_t *changes,
	const icp_update_delta_t *delta, icp_compare_visit_t visit, void *context, icp_diag_t *diag)
{
	char *path;
	size_t length;
	(void)icp_changes_stored(changes, &length);
	int ret = icp_generations_building(&session->generations, number, &path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	/* The changes, and what they make of the nodes. */
	ret = copy_current(session, number, path, 2 * (uint64_t)length, diag);
	if (ret == ICP_EOK) {
		ret = apply(path, changes, delta, visit, context, diag);
	}
	if (ret == ICP_EOK) {
		ret = verify(path, diag);
	}
	free(path);
	return ret;
}

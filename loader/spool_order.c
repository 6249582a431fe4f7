/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_order.h"

#include <stdlib.h>
#include <string.h>

static bool is_next(const icp_spool_feed_t *feed, const icp_spool_store_t *store)
{
	return feed->full || (store->there && feed->sequence == store->sequence + 1);
}

static bool is_applied(const icp_spool_feed_t *feed, const icp_spool_store_t *store)
{
	return !feed->full && store->there && feed->sequence <= store->sequence;
}

/*! What is to be done with one feed, or when there may be something. */
static enum icp_spool_step step_of(const icp_spool_feed_t *feed, const icp_spool_store_t *store,
	bool paused, int64_t now, int64_t *wake)
{
	if (feed->retry_at > now) {
		*wake = feed->retry_at;
		return ICP_SPOOL_NOTHING;
	}
	if (feed->leaves) {
		return ICP_SPOOL_LEAVE;
	}
	if (paused && !feed->wanted) {
		return ICP_SPOOL_NOTHING;
	}
	if (feed->state == ICP_SPOOL_WRONG) {
		*wake = feed->since + ICP_SPOOL_SETTLE_MS;
		return *wake <= now ? ICP_SPOOL_REJECT : ICP_SPOOL_NOTHING;
	}
	if (feed->state == ICP_SPOOL_UNREAD) {
		*wake = now + ICP_SPOOL_SETTLE_MS;
		return ICP_SPOOL_NOTHING;
	}
	if (feed->state != ICP_SPOOL_GOOD) {
		return ICP_SPOOL_NOTHING;
	}
	if (is_applied(feed, store)) {
		return ICP_SPOOL_APPLIED;
	}
	return is_next(feed, store) ? ICP_SPOOL_LOAD : ICP_SPOOL_NOTHING;
}

/*! Whether one comes before another of the same step. */
static bool comes_before(const icp_spool_feed_t *a, const icp_spool_feed_t *b)
{
	if (a->wanted != b->wanted) {
		return a->wanted;
	}
	if (a->sequence != b->sequence) {
		return a->sequence < b->sequence;
	}
	if (a->full != b->full) {
		return b->full;
	}
	return strcmp(a->base, b->base) < 0;
}

icp_spool_next_t icp_spool_next(
	const icp_spool_t *spool, const icp_spool_store_t *store, bool paused, int64_t now)
{
	icp_spool_next_t next = {.step = ICP_SPOOL_NOTHING, .wake = INT64_MAX};
	for (size_t i = 0; i < spool->count; i++) {
		icp_spool_feed_t *feed = &spool->feeds[i];
		int64_t wake = INT64_MAX;
		enum icp_spool_step step = step_of(feed, store, paused, now, &wake);
		if (step == ICP_SPOOL_NOTHING) {
			next.wake = wake < next.wake ? wake : next.wake;
			continue;
		}
		/* What needs no load is done first. */
		if (next.step == ICP_SPOOL_NOTHING || step < next.step ||
			(step == next.step && comes_before(feed, next.feed))) {
			next.step = step;
			next.feed = feed;
		}
	}
	return next;
}

static int compare_sequences(const void *a, const void *b)
{
	const uint64_t *one = a;
	const uint64_t *other = b;
	return (*one > *other) - (*one < *other);
}

int icp_spool_gap(const icp_spool_t *spool, const icp_spool_store_t *store, icp_spool_gap_t *gap)
{
	size_t count = 0;
	*gap = (icp_spool_gap_t){.waiting = 0};
	uint64_t *sequences = malloc((spool->count + 1) * sizeof *sequences);
	if (sequences == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < spool->count; i++) {
		const icp_spool_feed_t *feed = &spool->feeds[i];
		if (feed->state == ICP_SPOOL_GOOD && !feed->full && !feed->leaves &&
			!is_applied(feed, store)) {
			sequences[count++] = feed->sequence;
		}
	}
	qsort(sequences, count, sizeof *sequences, compare_sequences);
	size_t in_order = 0;
	uint64_t last = store->sequence;
	while (store->there && in_order < count && sequences[in_order] - last <= 1) {
		last = sequences[in_order++];
	}
	if (in_order < count) {
		gap->waiting = count - in_order;
		gap->missing = store->there ? last + 1 : 0;
		gap->first = sequences[in_order];
	}
	free(sequences);
	return ICP_EOK;
}

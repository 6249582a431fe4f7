/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/guard.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/count.h"

#define FRACTION_DIGITS 6
#define WHOLE ((uint64_t)100 * ICP_MAX_LOST_PERCENT)
#define PERCENT_TEXT_MAX 32

void icp_guard_init(icp_guard_t *guard, enum icp_verdict rectify_overdue, int64_t now)
{
	*guard = (icp_guard_t){.rectify_overdue = rectify_overdue, .now = now};
}

void icp_guard_deinit(icp_guard_t *guard)
{
	icp_groups_deinit(&guard->lost_by_provider);
	icp_groups_deinit(&guard->lost_by_status);
	icp_groups_deinit(&guard->gained_by_provider);
	icp_groups_deinit(&guard->gained_by_status);
}

static bool permits(const icp_guard_t *guard, const icp_row_t *row)
{
	return row != NULL && icp_row_permits(row, guard->rectify_overdue, guard->now);
}

/*! Counts the permissions of a node on its way. */
static int watch(void *context, icp_node_t *node)
{
	icp_guard_t *guard = context;
	int ret = guard->before.next(guard->before.context, node);
	if (ret != 1) {
		return ret;
	}
	size_t at = 0;
	for (size_t i = 0; i < node->row_count; i++) {
		icp_row_t row;
		size_t octets = icp_row_decode(&row, node->rows + at, node->rows_length - at);
		if (octets == 0) {
			return ICP_EDAMAGED;
		}
		guard->have += permits(guard, &row);
		at += octets;
	}
	return 1;
}

icp_nodes_t icp_guard_watch(icp_guard_t *guard, icp_nodes_t before)
{
	guard->before = before;
	return (icp_nodes_t){watch, guard};
}

const char *icp_guard_status(const icp_row_t *row)
{
	return row != NULL ? icp_status_name(row->status) : ICP_STATUS_NONE;
}

int icp_guard_add(const icp_row_t *before, const icp_row_t *after, void *context)
{
	icp_guard_t *guard = context;
	const icp_row_t *row = before != NULL ? before : after;
	const char *status = icp_guard_status(after);
	bool had = permits(guard, before);
	if (had == permits(guard, after)) {
		return ICP_EOK;
	}
	*(had ? &guard->lost : &guard->gained) += 1;
	int ret = icp_groups_count(had ? &guard->lost_by_provider : &guard->gained_by_provider,
		row->provider, row->provider_length);
	if (ret == ICP_EOK) {
		ret = icp_groups_count(had ? &guard->lost_by_status : &guard->gained_by_status,
			status, strlen(status));
	}
	return ret;
}

int icp_max_lost_parse(icp_max_lost_t *max_lost, const char *text)
{
	const char *at = text;
	uint64_t value = 0;
	int fraction = 0;
	for (; *at >= '0' && *at <= '9' && at - text < 3; at++) {
		value = value * 10 + (uint64_t)(*at - '0');
	}
	if (at == text) {
		return ICP_EINVAL;
	}
	if (*at == '.') {
		for (at++; *at >= '0' && *at <= '9' && fraction < FRACTION_DIGITS; at++) {
			value = value * 10 + (uint64_t)(*at - '0');
			fraction++;
		}
		if (fraction == 0) {
			return ICP_EINVAL;
		}
	}
	for (; fraction < FRACTION_DIGITS; fraction++) {
		value *= 10;
	}
	at += *at == '%';
	if (*at != '\0' || value > WHOLE) {
		return ICP_EINVAL;
	}
	*max_lost = (icp_max_lost_t)value;
	return ICP_EOK;
}

/*! Without the zeros at its end. */
static void format_allowed(icp_max_lost_t max_lost, char text[PERCENT_TEXT_MAX])
{
	int length = snprintf(text, PERCENT_TEXT_MAX, "%u.%06u", max_lost / ICP_MAX_LOST_PERCENT,
		max_lost % ICP_MAX_LOST_PERCENT);
	while (text[length - 1] == '0') {
		length--;
	}
	if (text[length - 1] == '.') {
		length--;
	}
	text[length] = '\0';
}

/*! With two digits after the point, rounded up: what is too much must not look as if allowed. */
static void format_share(uint64_t lost, uint64_t have, char text[PERCENT_TEXT_MAX])
{
	uint64_t hundredths = (lost * 10000 + have - 1) / have;
	snprintf(text, PERCENT_TEXT_MAX, "%" PRIu64 ".%02u", hundredths / 100,
		(unsigned)(hundredths % 100));
}

int icp_guard_decide(
	const icp_guard_t *guard, icp_max_lost_t max_lost, const char *feed, icp_diag_t *diag)
{
	/* Products of rows, of which there are far less than 2^37, and at most 10^8. */
	if (guard->lost <= ICP_GUARD_LOST || guard->lost * WHOLE <= guard->have * max_lost) {
		return ICP_EOK;
	}
	char lost[ICP_COUNT_TEXT_MAX];
	char have[ICP_COUNT_TEXT_MAX];
	char share[PERCENT_TEXT_MAX];
	char allowed[PERCENT_TEXT_MAX];
	char providers[ICP_GROUPS_TEXT_MAX];
	char statuses[ICP_GROUPS_TEXT_MAX];
	icp_count_format(guard->lost, lost);
	icp_count_format(guard->have, have);
	format_share(guard->lost, guard->have, share);
	format_allowed(max_lost, allowed);
	icp_groups_format(&guard->lost_by_provider, providers);
	icp_groups_format(&guard->lost_by_status, statuses);
	return icp_fail(diag, ICP_EGUARD,
		"%s: %s of %s permissions would be lost (%s%%, allowed %s%%): by provider %s; "
		"by status %s",
		feed, lost, have, share, allowed, providers, statuses);
}

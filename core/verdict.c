/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/verdict.h"

#include <string.h>

#include "core/time.h"

static const char *const reason_names[ICP_REASON_COUNT] = {
	[ICP_REASON_FILED] = "filed",
	[ICP_REASON_CHANGING] = "changing",
	[ICP_REASON_RECTIFYING] = "rectifying",
	[ICP_REASON_TRANSFER_PREAPPROVED] = "transfer-preapproved",
	[ICP_REASON_PENDING] = "pending",
	[ICP_REASON_TRANSFER_EXPIRED] = "transfer-expired",
	[ICP_REASON_TRANSFER_CANCELLED] = "transfer-cancelled",
	[ICP_REASON_DEREGISTERED] = "deregistered",
	[ICP_REASON_RECTIFY_OVERDUE] = "rectify-overdue",
	[ICP_REASON_LICENCE_ADDRESS_MISMATCH] = "licence-address-mismatch",
	[ICP_REASON_FILED_ELSEWHERE] = "filed-elsewhere",
	[ICP_REASON_UNFILED] = "unfiled",
	[ICP_REASON_NOT_GATED] = "not-gated",
	[ICP_REASON_EXEMPT] = "exempt",
	[ICP_REASON_NO_INDEX] = "no-index",
};

const char *icp_reason_name(enum icp_reason reason)
{
	return (unsigned)reason < ICP_REASON_COUNT ? reason_names[reason] : "unknown";
}

const char *icp_verdict_name(enum icp_verdict verdict)
{
	return verdict == ICP_BLOCK ? "block" : "pass";
}

bool icp_policy_exempts(const icp_policy_t *policy, const icp_name_t *name)
{
	for (size_t i = 0; i < policy->exempt_count; i++) {
		if (icp_name_is_under(name, &policy->exempt[i])) {
			return true;
		}
	}
	return false;
}

static bool same_provider(const icp_place_t *place, const char *provider, size_t length)
{
	return place->provider_length == length && memcmp(place->provider, provider, length) == 0;
}

bool icp_policy_gates(const icp_policy_t *policy, const icp_place_t *place)
{
	if (!place->mainland) {
		return false;
	}
	if (policy->scope == ICP_SCOPE_MAINLAND) {
		return true;
	}
	for (size_t i = 0; i < policy->provider_count; i++) {
		if (same_provider(place, policy->providers[i], strlen(policy->providers[i]))) {
			return true;
		}
	}
	return false;
}

/*! What a row says at this time, before any address is looked at; permitting reasons permit. */
static enum icp_reason row_reason(
	const icp_row_t *row, enum icp_verdict rectify_overdue, int64_t now)
{
	switch (row->status) {
	case ICP_FILED:
		return ICP_REASON_FILED;
	case ICP_CHANGING:
		return ICP_REASON_CHANGING;
	case ICP_RECTIFYING:
		return now < row->rectify_by || rectify_overdue == ICP_PASS
			       ? ICP_REASON_RECTIFYING
			       : ICP_REASON_RECTIFY_OVERDUE;
	case ICP_TRANSFER_PREAPPROVED:
		if (now < row->approved_at) {
			return ICP_REASON_PENDING;
		}
		return now < row->expires_at ? ICP_REASON_TRANSFER_PREAPPROVED
					     : ICP_REASON_TRANSFER_EXPIRED;
	case ICP_PENDING:
		return ICP_REASON_PENDING;
	case ICP_TRANSFER_CANCELLED:
		return ICP_REASON_TRANSFER_CANCELLED;
	default:
		return ICP_REASON_DEREGISTERED;
	}
}

static bool permits(enum icp_reason reason)
{
	return reason <= ICP_REASON_TRANSFER_PREAPPROVED;
}

icp_place_t icp_policy_place(const icp_policy_t *policy)
{
	icp_place_t place = {.mainland = true};
	if (policy->provider_count > 0) {
		place.provider = policy->providers[0];
		place.provider_length = (uint8_t)strlen(place.provider);
	}
	return place;
}

bool icp_row_permits(const icp_row_t *row, enum icp_verdict rectify_overdue, int64_t now)
{
	return permits(row_reason(row, rectify_overdue, now));
}

/*! False when the row is bound to addresses and this is none of them. */
static bool licence_holds(const icp_row_t *row, const icp_address_t *address)
{
	for (size_t i = 0; i < row->licensed_count; i++) {
		if (icp_prefix_holds(&row->licensed[i], address)) {
			return true;
		}
	}
	return row->licensed_count == 0;
}

/*! The best of the rows looked at so far, of one kind. */
typedef struct {
	enum icp_reason reason;
	uint8_t labels; /*!< 0: none so far. */
	bool mismatch;
} best_t;

/*! The nearer domain wins, then the earlier reason, then the row without a mismatch. */
static void best_offer(best_t *best, const icp_row_t *row, enum icp_reason reason, bool mismatch)
{
	if (row->labels < best->labels) {
		return;
	}
	if (row->labels == best->labels &&
		(reason > best->reason ||
			(reason == best->reason && (mismatch || !best->mismatch)))) {
		return;
	}
	*best = (best_t){.reason = reason, .labels = row->labels, .mismatch = mismatch};
}

static icp_ruling_t judge_gated(const icp_policy_t *policy, const icp_place_t *place,
	const icp_row_t *rows, size_t row_count, int64_t now)
{
	best_t permitting = {.labels = 0};
	best_t refusing = {.labels = 0};
	bool permitted_elsewhere = false;

	for (size_t i = 0; i < row_count; i++) {
		const icp_row_t *row = &rows[i];
		enum icp_reason reason = row_reason(row, policy->rectify_overdue, now);
		bool mismatch = policy->licence_addresses != ICP_LICENCE_IGNORE &&
				permits(reason) && !licence_holds(row, &place->address);
		if (mismatch && policy->licence_addresses == ICP_LICENCE_ENFORCE) {
			reason = ICP_REASON_LICENCE_ADDRESS_MISMATCH;
		}
		if (place->provider_length != 0 &&
			!same_provider(place, row->provider, row->provider_length)) {
			permitted_elsewhere |= permits(reason);
			continue;
		}
		best_offer(permits(reason) ? &permitting : &refusing, row, reason, mismatch);
	}

	icp_ruling_t ruling = {.gated = true, .verdict = ICP_BLOCK};
	if (permitting.labels != 0) {
		ruling.verdict = ICP_PASS;
		ruling.reason = permitting.reason;
		ruling.warnings = permitting.mismatch ? ICP_WARN_LICENCE_ADDRESS_MISMATCH : 0;
	} else if (refusing.labels != 0) {
		ruling.reason = refusing.reason;
	} else {
		ruling.reason =
			permitted_elsewhere ? ICP_REASON_FILED_ELSEWHERE : ICP_REASON_UNFILED;
	}
	return ruling;
}

static icp_ruling_t judge_place(const icp_policy_t *policy, bool exempt, const icp_place_t *place,
	const icp_row_t *rows, size_t row_count, int64_t now)
{
	bool gated = icp_policy_gates(policy, place);
	if (exempt) {
		return (icp_ruling_t){
			.gated = gated, .verdict = ICP_PASS, .reason = ICP_REASON_EXEMPT};
	}
	if (!gated) {
		return (icp_ruling_t){.verdict = ICP_PASS, .reason = ICP_REASON_NOT_GATED};
	}
	if (rows == NULL) {
		return (icp_ruling_t){.gated = true,
			.verdict = policy->on_no_index,
			.reason = ICP_REASON_NO_INDEX};
	}
	return judge_gated(policy, place, rows, row_count, now);
}

static void until_offer(int64_t *until, int64_t time, int64_t now)
{
	if (time > now && time < *until) {
		*until = time;
	}
}

/*! Finds the first second at which a row says something else than now. */
static void look_at_times(const icp_policy_t *policy, const icp_row_t *rows, size_t row_count,
	int64_t now, icp_judgement_t *judgement)
{
	judgement->until = INT64_MAX;
	for (size_t i = 0; i < row_count; i++) {
		if (rows[i].status == ICP_TRANSFER_PREAPPROVED) {
			until_offer(&judgement->until, rows[i].approved_at, now);
			until_offer(&judgement->until, rows[i].expires_at, now);
			judgement->timed = true;
		} else if (rows[i].status == ICP_RECTIFYING &&
			   policy->rectify_overdue == ICP_BLOCK) {
			until_offer(&judgement->until, rows[i].rectify_by, now);
			judgement->timed = true;
		}
	}
}

void icp_verdict_summarise(const icp_policy_t *policy, const icp_ruling_t *rulings, size_t count,
	icp_judgement_t *judgement)
{
	size_t blocked = 0;
	bool gated = false;
	judgement->reason = ICP_REASON_NOT_GATED;
	for (size_t i = 0; i < count; i++) {
		if (rulings[i].verdict == ICP_BLOCK) {
			if (blocked++ == 0) {
				judgement->reason = rulings[i].reason;
			}
		} else if (rulings[i].gated && !gated && blocked == 0) {
			judgement->reason = rulings[i].reason;
			gated = true;
		}
	}
	bool block = policy->mixed == ICP_MIXED_STRIP ? blocked == count : true;
	judgement->verdict = blocked > 0 && block ? ICP_BLOCK : ICP_PASS;
}

icp_judgement_t icp_verdict_judge(const icp_policy_t *policy, const icp_name_t *name,
	const icp_place_t *places, size_t place_count, const icp_row_t *rows, size_t row_count,
	int64_t now, icp_ruling_t *rulings)
{
	icp_judgement_t judgement = {.covering = 0};
	look_at_times(policy, rows, row_count, now, &judgement);
	bool exempt = icp_policy_exempts(policy, name);

	for (size_t i = 0; i < row_count; i++) {
		if (rows[i].labels > judgement.covering) {
			judgement.covering = rows[i].labels;
		}
	}
	for (size_t i = 0; i < place_count; i++) {
		rulings[i] = judge_place(policy, exempt, &places[i], rows, row_count, now);
	}
	icp_verdict_summarise(policy, rulings, place_count, &judgement);
	return judgement;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/case.h"

#include <idn2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const icp_case_names[ICP_CASE_COUNT] = {
	[ICP_CASE_UNFILED] = "unfiled",
	[ICP_CASE_FILED_ELSEWHERE] = "filed-elsewhere",
	[ICP_CASE_TRANSFER_EXPIRED] = "transfer-expired",
	[ICP_CASE_PENDING] = "pending",
	[ICP_CASE_TRANSFER_CANCELLED] = "transfer-cancelled",
	[ICP_CASE_DEREGISTERED] = "deregistered",
	[ICP_CASE_RECTIFY_OVERDUE] = "rectify-overdue",
	[ICP_CASE_LICENCE_ADDRESS_MISMATCH] = "licence-address-mismatch",
	[ICP_CASE_PERMITTED] = "permitted",
	[ICP_CASE_UNREADABLE] = "unreadable",
	[ICP_CASE_ADDRESS] = "address",
	[ICP_CASE_NO_NAME] = "no-name",
	[ICP_CASE_BAD_NAME] = "bad-name",
};

static enum icp_case case_of(enum icp_reason reason)
{
	switch (reason) {
	case ICP_REASON_UNFILED:
		return ICP_CASE_UNFILED;
	case ICP_REASON_FILED_ELSEWHERE:
		return ICP_CASE_FILED_ELSEWHERE;
	case ICP_REASON_TRANSFER_EXPIRED:
		return ICP_CASE_TRANSFER_EXPIRED;
	case ICP_REASON_PENDING:
		return ICP_CASE_PENDING;
	case ICP_REASON_TRANSFER_CANCELLED:
		return ICP_CASE_TRANSFER_CANCELLED;
	case ICP_REASON_DEREGISTERED:
		return ICP_CASE_DEREGISTERED;
	case ICP_REASON_RECTIFY_OVERDUE:
		return ICP_CASE_RECTIFY_OVERDUE;
	case ICP_REASON_LICENCE_ADDRESS_MISMATCH:
		return ICP_CASE_LICENCE_ADDRESS_MISMATCH;
	case ICP_REASON_NO_INDEX:
		return ICP_CASE_UNREADABLE;
	default:
		return ICP_CASE_PERMITTED;
	}
}

/*! Sets the text with U-labels, if these lead back to the very name. */
static void set_unicode(icp_finding_t *finding, const icp_name_t *name)
{
	char *text;
	icp_name_t again;
	if (strstr(finding->host, "xn--") == NULL ||
		idn2_to_unicode_8z8z(finding->host, &text, 0) != IDN2_OK) {
		return;
	}
	if (strlen(text) < sizeof finding->unicode && strcmp(text, finding->host) != 0 &&
		icp_name_parse(&again, text, strlen(text), NULL) == ICP_EOK &&
		again.length == name->length && memcmp(again.wire, name->wire, name->length) == 0) {
		memcpy(finding->unicode, text, strlen(text) + 1);
	}
	idn2_free(text);
}

static void set_domain(icp_finding_t *finding, const icp_name_t *name, unsigned labels)
{
	icp_name_t domain;
	size_t at = icp_name_suffix(name, labels);
	if (labels > 0 &&
		icp_name_from_stored(&domain, name->wire + at, name->length - at) == ICP_EOK) {
		icp_name_format(&domain, finding->domain);
	}
}

int icp_places_init(icp_places_t *places, const icp_config_t *config)
{
	const icp_policy_t *policy = &config->policy;
	size_t known = config->ranges.provider_path[0] != NULL ? policy->provider_count : 0;
	places->count = known > 0 ? known : 1;
	places->items = calloc(places->count, sizeof *places->items);
	if (places->items == NULL) {
		return ICP_ENOMEM;
	}
	for (size_t i = 0; i < places->count; i++) {
		places->items[i].mainland = true;
		if (i < known) {
			places->items[i].provider = policy->providers[i];
			places->items[i].provider_length = (uint8_t)strlen(policy->providers[i]);
		}
	}
	return ICP_EOK;
}

void icp_places_deinit(icp_places_t *places)
{
	free(places->items);
}

_Static_assert(ICP_REASON_LICENCE_ADDRESS_MISMATCH < ICP_REASON_FILED_ELSEWHERE &&
		       ICP_REASON_FILED_ELSEWHERE < ICP_REASON_UNFILED,
	"the earlier reason tells more");

const icp_ruling_t *icp_case_ruling(const icp_ruling_t *rulings, size_t count)
{
	const icp_ruling_t *best = &rulings[0];
	for (size_t i = 1; i < count; i++) {
		if (rulings[i].verdict == ICP_BLOCK &&
			(best->verdict != ICP_BLOCK || rulings[i].reason < best->reason)) {
			best = &rulings[i];
		}
	}
	return best;
}

static void judge(icp_finding_t *finding, const icp_name_t *name, icp_gate_t *gate,
	const icp_places_t *places, int64_t now)
{
	icp_decision_t decision;
	enum icp_reason reason = ICP_REASON_NO_INDEX;
	if (icp_gate_judge_places(gate, 0, name, places->items, places->count, now, &decision) ==
		ICP_EOK) {
		reason = icp_case_ruling(decision.rulings, places->count)->reason;
		set_domain(finding, name, decision.judgement.covering);
		icp_gate_release(gate, 0);
	}
	finding->kind = case_of(reason);
	finding->reason = icp_reason_name(reason);
}

void icp_case_find(icp_finding_t *finding, enum icp_host host, const icp_name_t *name,
	icp_gate_t *gate, const icp_places_t *places, int64_t now)
{
	finding->host[0] = '\0';
	finding->unicode[0] = '\0';
	finding->domain[0] = '\0';
	switch (host) {
	case ICP_HOST_NAME:
		icp_name_format(name, finding->host);
		set_unicode(finding, name);
		judge(finding, name, gate, places, now);
		return;
	case ICP_HOST_ADDRESS:
		finding->kind = ICP_CASE_ADDRESS;
		break;
	case ICP_HOST_NONE:
		finding->kind = ICP_CASE_NO_NAME;
		break;
	case ICP_HOST_BAD:
		finding->kind = ICP_CASE_BAD_NAME;
		break;
	}
	finding->reason = icp_case_names[finding->kind];
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate lookup, its text: a verdict in plain words. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"
#include "db-tools/lookup.h"

/*! The texts that explanations are put together from. */
typedef struct {
	char domain[ICP_NAME_TEXT_MAX];
	char filer[UINT8_MAX + 1];           /*!< Provider of the row. */
	char number[4 * ICP_NUMBER_MAX + 4]; /*!< " (NUMBER)", or empty. */
	char approved[ICP_TIME_TEXT_MAX];
	char expires[ICP_TIME_TEXT_MAX];
	char rectify[ICP_TIME_TEXT_MAX];
	bool starts_later; /*!< A transfer whose approval lies ahead. */
	bool is_overdue;   /*!< A rectification past its deadline. */
} facts_t;

static void row_facts(const icp_row_t *row, int64_t now, facts_t *facts)
{
	icp_stored_format(row->domain, row->domain_length, facts->domain);
	snprintf(facts->filer, sizeof facts->filer, "%.*s", row->provider_length, row->provider);
	facts->number[0] = '\0';
	if (row->number_length > 0) {
		char shown[4 * ICP_NUMBER_MAX + 1];
		icp_text_escape(shown, sizeof shown, row->number, row->number_length);
		snprintf(facts->number, sizeof facts->number, " (%s)", shown);
	}
	icp_time_format(row->approved_at, facts->approved);
	icp_time_format(row->expires_at, facts->expires);
	icp_time_format(row->rectify_by, facts->rectify);
	facts->starts_later = row->status == ICP_TRANSFER_PREAPPROVED && now < row->approved_at;
	facts->is_overdue = row->status == ICP_RECTIFYING && now >= row->rectify_by;
}

icp_ruling_t icp_lookup_rule_row(
	const icp_lookup_t *lookup, const icp_row_t *row, const icp_address_t *address)
{
	icp_policy_t policy = lookup->config->policy;
	icp_ruling_t ruling;
	icp_place_t place = {.address = *address,
		.mainland = true,
		.provider = row->provider,
		.provider_length = row->provider_length};
	policy.scope = ICP_SCOPE_MAINLAND;
	policy.exempt_count = 0;
	icp_verdict_judge(&policy, &lookup->name, &place, 1, row, 1, lookup->at, &ruling);
	return ruling;
}

/*! The row that decided an address: the nearest that alone gives the same. NULL: there is none. */
static const icp_row_t *deciding_row(const icp_lookup_t *lookup, size_t i)
{
	const icp_place_t *place = &lookup->places[i];
	const icp_ruling_t *wanted = &lookup->rulings[i];
	bool elsewhere = wanted->reason == ICP_REASON_FILED_ELSEWHERE;

	for (size_t r = 0; r < lookup->row_count; r++) {
		const icp_row_t *row = &lookup->rows[r];
		bool same =
			place->provider_length == 0 ||
			(place->provider_length == row->provider_length &&
				memcmp(place->provider, row->provider, row->provider_length) == 0);
		icp_ruling_t ruling = icp_lookup_rule_row(lookup, row, &place->address);
		if (elsewhere ? !same && ruling.verdict == ICP_PASS
			      : same && ruling.reason == wanted->reason &&
					ruling.warnings == wanted->warnings) {
			return row;
		}
	}
	return NULL;
}

static void print_licence(const icp_row_t *row, const facts_t *facts, const char *address)
{
	printf("The licence of %s%s is bound to ", facts->domain, facts->number);
	icp_licensed_print(row);
	if (address != NULL) {
		printf("; %s is none of these.\n", address);
	} else {
		puts("; no address was given to compare.");
	}
}

/*! Why a row permits an address. */
static void explain_permit(enum icp_reason reason, const facts_t *facts)
{
	if (reason == ICP_REASON_TRANSFER_PREAPPROVED) {
		printf("  The transfer of %s to %s%s passed the preliminary review. It must be "
		       "finished before %s.\n",
			facts->domain, facts->filer, facts->number, facts->expires);
		return;
	}
	printf("  %s is filed with %s%s", facts->domain, facts->filer, facts->number);
	if (reason == ICP_REASON_CHANGING) {
		printf("; an information change is under review");
	} else if (reason == ICP_REASON_RECTIFYING && facts->is_overdue) {
		printf("; it was to be rectified before %s, which is overdue but tolerated "
		       "(rectify_overdue: pass)",
			facts->rectify);
	} else if (reason == ICP_REASON_RECTIFYING) {
		printf("; it is under special inspection, to be rectified before %s",
			facts->rectify);
	}
	puts(".");
}

/*! Why a row does not permit an address, and what would. */
static void explain_refusal(enum icp_reason reason, const facts_t *facts, const char *wanted)
{
	const char *domain = facts->domain;
	const char *filer = facts->filer;
	const char *number = facts->number;

	switch (reason) {
	case ICP_REASON_PENDING:
		if (facts->starts_later) {
			printf("  The transfer of %s to %s%s counts from %s on.\n"
			       "  To unblock: wait until then.\n",
				domain, filer, number, facts->approved);
		} else {
			printf("  The filing of %s with %s%s is still under review.\n"
			       "  To unblock: the review must end with an approval.\n",
				domain, filer, number);
		}
		break;
	case ICP_REASON_TRANSFER_EXPIRED:
		printf("  The preliminary approval of the transfer of %s to %s%s ended at %s.\n"
		       "  To unblock: the transfer to %s must be finished or approved anew.\n",
			domain, filer, number, facts->expires, filer);
		break;
	case ICP_REASON_TRANSFER_CANCELLED:
		printf("  The filing of %s%s is no longer linked to %s.\n"
		       "  To unblock: a transfer to %s is needed again.\n",
			domain, number, filer, filer);
		break;
	case ICP_REASON_DEREGISTERED:
		printf("  The filing of %s with %s%s was deleted.\n"
		       "  To unblock: %s must be filed anew with %s.\n",
			domain, filer, number, domain, filer);
		break;
	case ICP_REASON_RECTIFY_OVERDUE:
		printf("  The filing of %s with %s%s was to be rectified before %s; that is "
		       "overdue.\n"
		       "  To unblock: the inspection must be passed, or its deadline moved.\n",
			domain, filer, number, facts->rectify);
		break;
	default:
		printf("  %s is filed with %s%s, not with %s.\n"
		       "  To unblock: a transfer to %s is needed.\n",
			domain, filer, number, wanted, wanted);
		break;
	}
}

static void explain_unfiled(const icp_lookup_t *lookup, const char *name, const char *wanted)
{
	if (lookup->row_count == 0) {
		printf("  Neither %s nor a parent of it has a filing.\n", name);
	} else {
		printf("  Neither %s nor a parent of it has a filing that permits it, with any "
		       "provider.\n",
			name);
	}
	printf("  To unblock: the domain must be filed with %s.\n", wanted);
}

static void explain_scope(const icp_lookup_t *lookup, const icp_place_t *place)
{
	const icp_policy_t *policy = &lookup->config->policy;
	if (!place->mainland) {
		puts("  The address is not in the mainland: out of scope.");
		return;
	}
	printf("  The address is not of a provider that is gated here:");
	for (size_t i = 0; i < policy->provider_count; i++) {
		printf(" %s", policy->providers[i]);
	}
	puts(".");
}

static void explain_exempt(const icp_lookup_t *lookup, const char *name)
{
	const icp_policy_t *policy = &lookup->config->policy;
	for (size_t i = 0; i < policy->exempt_count; i++) {
		if (icp_name_is_under(&lookup->name, &policy->exempt[i])) {
			char suffix[ICP_NAME_TEXT_MAX];
			icp_name_format(&policy->exempt[i], suffix);
			printf("  The configuration exempts %s.\n",
				strcmp(name, suffix) == 0 ? "this name" : suffix);
			return;
		}
	}
}

static void explain_by_row(const icp_lookup_t *lookup, size_t i, const char *wanted)
{
	const icp_ruling_t *ruling = &lookup->rulings[i];
	const icp_row_t *row = deciding_row(lookup, i);
	const char *address = lookup->given > 0 ? lookup->targets[i].text : NULL;
	facts_t facts;
	if (row == NULL) {
		return;
	}
	row_facts(row, lookup->at, &facts);
	if (ruling->reason == ICP_REASON_LICENCE_ADDRESS_MISMATCH) {
		printf("  ");
		print_licence(row, &facts, address);
		puts("  To unblock: the name must point at a licensed address, or the licence must "
		     "be extended.");
	} else if (ruling->verdict == ICP_PASS) {
		explain_permit(ruling->reason, &facts);
	} else {
		explain_refusal(ruling->reason, &facts, wanted);
	}
	if (ruling->warnings & ICP_WARN_LICENCE_ADDRESS_MISMATCH) {
		printf("  Warning: licence-address-mismatch. ");
		print_licence(row, &facts, address);
	}
}

static void explain_no_index(const icp_lookup_t *lookup)
{
	int code = lookup->trouble_code;
	bool feed_helps = code == ICP_ENOSTORE || code == ICP_EDAMAGED || code == ICP_EVERSION;
	printf("  The store can't be read, so on_no_index decides: %s.\n"
	       "  To repair: %s.\n",
		icp_verdict_name(lookup->config->policy.on_no_index),
		feed_helps ? "load a full feed with icpgate-load"
			   : "see to the cause, which is told below");
}

static void explain_address(const icp_lookup_t *lookup, const char *name, size_t i)
{
	const icp_place_t *place = &lookup->places[i];
	char provider[UINT8_MAX + 1] = "a provider";
	if (place->provider_length > 0) {
		snprintf(
			provider, sizeof provider, "%.*s", place->provider_length, place->provider);
	}
	switch (lookup->rulings[i].reason) {
	case ICP_REASON_NOT_GATED:
		explain_scope(lookup, place);
		break;
	case ICP_REASON_EXEMPT:
		explain_exempt(lookup, name);
		break;
	case ICP_REASON_UNFILED:
		explain_unfiled(lookup, name, provider);
		break;
	case ICP_REASON_NO_INDEX:
		explain_no_index(lookup);
		break;
	default:
		explain_by_row(lookup, i, provider);
	}
}

/*! True when an earlier address of the same kind was explained already. */
static bool is_repeated(const icp_lookup_t *lookup, size_t i)
{
	const icp_ruling_t *ruling = &lookup->rulings[i];
	const icp_place_t *place = &lookup->places[i];
	if (ruling->reason == ICP_REASON_LICENCE_ADDRESS_MISMATCH || ruling->warnings != 0) {
		return false;
	}
	for (size_t e = 0; e < i; e++) {
		const icp_place_t *earlier = &lookup->places[e];
		if (lookup->rulings[e].reason == ruling->reason &&
			earlier->mainland == place->mainland &&
			earlier->provider_length == place->provider_length &&
			memcmp(earlier->provider, place->provider, place->provider_length) == 0) {
			return true;
		}
	}
	return false;
}

static void print_address(const icp_lookup_t *lookup, const char *name, size_t i)
{
	const icp_place_t *place = &lookup->places[i];
	const icp_ruling_t *ruling = &lookup->rulings[i];
	const char *any =
		lookup->resolved != NULL ? "no address seen, so any" : "no address given, so any";
	printf("\n%s: %s (%s); %s", lookup->given > 0 ? lookup->targets[i].text : any,
		icp_verdict_name(ruling->verdict), icp_reason_name(ruling->reason),
		place->mainland ? "mainland" : "not mainland");
	if (place->provider_length > 0) {
		printf(", %.*s", place->provider_length, place->provider);
	}
	puts(ruling->gated ? ", gated" : ", not gated");
	if (!is_repeated(lookup, i)) {
		explain_address(lookup, name, i);
	}
}

static void print_time(const char *key, const char *text)
{
	if (text[0] != '\0') {
		printf(", %s %s", key, text);
	}
}

static void print_rows(const icp_lookup_t *lookup)
{
	if (lookup->rows == NULL) {
		printf("\nRows: not known. %s\n", lookup->trouble.text);
		return;
	}
	puts(lookup->row_count > 0 ? "\nRows of the name and its parents:"
				   : "\nRows of the name and its parents: none");
	for (size_t i = 0; i < lookup->row_count; i++) {
		const icp_row_t *row = &lookup->rows[i];
		facts_t facts;
		row_facts(row, lookup->at, &facts);
		printf("  %s, %s: %s%s", facts.domain, facts.filer, icp_status_name(row->status),
			facts.number);
		print_time("approved_at", facts.approved);
		print_time("expires_at", facts.expires);
		print_time("rectify_by", facts.rectify);
		if (row->licensed_count > 0) {
			printf(", licensed_addresses ");
			icp_licensed_print(row);
		}
		putchar('\n');
	}
}

/*! What the configuration makes of the addresses' verdicts. */
static void print_notes(const icp_lookup_t *lookup)
{
	size_t blocked = 0;
	for (size_t i = 0; i < lookup->place_count; i++) {
		blocked += lookup->rulings[i].verdict == ICP_BLOCK;
	}
	if (blocked > 0 && blocked < lookup->place_count) {
		puts(lookup->config->policy.mixed == ICP_MIXED_STRIP
				? "mixed: strip: only the blocked addresses are taken out."
				: "mixed: block: one blocked address blocks the name.");
	}
	if (blocked > 0 && lookup->config->mode == ICP_MODE_MONITOR) {
		puts("mode: monitor: the resolver counts and logs this, and changes no answer.");
	}
}

void icp_lookup_explain(const icp_lookup_t *lookup)
{
	char name[ICP_NAME_TEXT_MAX];
	char time[ICP_TIME_TEXT_MAX];
	icp_name_format(&lookup->name, name);
	printf("%s: %s (%s)\n", name, icp_verdict_name(lookup->judgement.verdict),
		icp_reason_name(lookup->judgement.reason));
	if (lookup->resolved != NULL) {
		icp_lookup_print_cause(lookup);
	}
	print_notes(lookup);
	if (lookup->resolved != NULL) {
		icp_lookup_print_answers(lookup);
	}
	for (size_t i = 0; i < lookup->place_count; i++) {
		print_address(lookup, name, i);
	}
	print_rows(lookup);

	icp_time_format(lookup->at, time);
	if (lookup->rows != NULL) {
		printf("\nGeneration %" PRIu64 ", sequence %" PRIu64 ", at %s\n",
			lookup->info.generation, lookup->info.sequence, time);
	} else {
		printf("\nAt %s\n", time);
	}
	if (lookup->judgement.until != INT64_MAX) {
		icp_time_format(lookup->judgement.until, time);
		printf("By time alone, a row changes next at %s\n", time);
	}
}

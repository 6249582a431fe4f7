/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate lookup --resolve: what was found in the DNS, and which usual cause it shows. */
#include <stdio.h>
#include <string.h>

#include "db-tools/lookup.h"

static const char *const cause_names[] = {
	[ICP_CAUSE_NONE] = "none",
	[ICP_CAUSE_GATE] = "gate",
	[ICP_CAUSE_NO_ADDRESS] = "no-address",
	[ICP_CAUSE_OUT_OF_SCOPE] = "out-of-scope",
	[ICP_CAUSE_LICENCE_ADDRESS] = "licence-address",
	[ICP_CAUSE_UNKNOWN] = NULL,
};

static bool is_address(const icp_address_t *a, const icp_address_t *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

static bool has_block_page(const icp_lookup_t *lookup, const icp_answer_t *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const icp_address_t *address = &lookup->resolved->found[answer->first + i].address;
		if (is_address(address, &lookup->config->block.ipv4) ||
			is_address(address, &lookup->config->block.ipv6)) {
			return true;
		}
	}
	return false;
}

/*! Reads the gate's "REASON DOMAIN; text", where the domain is the name or a parent of it. */
static bool read_reason(const icp_answer_t *answer, enum icp_reason *reason)
{
	const char *space = strchr(answer->ede_text, ' ');
	if (answer->ede < 0 || space == NULL) {
		return false;
	}
	size_t length = (size_t)(space - answer->ede_text);
	for (int each = 0; each < ICP_REASON_COUNT; each++) {
		const char *word = icp_reason_name((enum icp_reason)each);
		icp_name_t domain;
		if (strlen(word) == length && memcmp(word, answer->ede_text, length) == 0 &&
			icp_name_parse(&domain, space + 1, strcspn(space + 1, ";"), NULL) ==
				ICP_EOK &&
			icp_name_is_under(&answer->name, &domain)) {
			*reason = (enum icp_reason)each;
			return true;
		}
	}
	return false;
}

bool icp_lookup_is_gated(
	const icp_lookup_t *lookup, const icp_answer_t *answer, enum icp_reason *reason)
{
	*reason = ICP_REASON_COUNT;
	return read_reason(answer, reason) || has_block_page(lookup, answer);
}

/*! True when a row is bound to other addresses, and no row without that flaw permits. */
static bool is_stray(const icp_lookup_t *lookup, const icp_address_t *address)
{
	bool stray = false;
	for (size_t i = 0; i < lookup->row_count; i++) {
		icp_ruling_t ruling = icp_lookup_rule_row(lookup, &lookup->rows[i], address);
		if (ruling.reason == ICP_REASON_LICENCE_ADDRESS_MISMATCH || ruling.warnings != 0) {
			stray = true;
		} else if (ruling.verdict == ICP_PASS) {
			return false;
		}
	}
	return stray;
}

/*! The cause where no address is gated. */
static enum icp_cause cause_elsewhere(const icp_lookup_t *lookup)
{
	for (size_t i = 0; i < lookup->place_count; i++) {
		if (!is_stray(lookup, &lookup->places[i].address)) {
			return ICP_CAUSE_OUT_OF_SCOPE;
		}
	}
	return ICP_CAUSE_LICENCE_ADDRESS;
}

/*! The cause where the gate lets the name pass. */
static enum icp_cause cause_of_pass(const icp_lookup_t *lookup)
{
	bool gated = false;
	bool warned = false;
	for (size_t i = 0; i < lookup->place_count; i++) {
		const icp_ruling_t *ruling = &lookup->rulings[i];
		if (ruling->reason == ICP_REASON_NO_INDEX) {
			return ICP_CAUSE_UNKNOWN;
		}
		gated |= ruling->gated;
		warned |= ruling->warnings != 0;
	}
	if (!gated) {
		return cause_elsewhere(lookup);
	}
	return warned ? ICP_CAUSE_LICENCE_ADDRESS : ICP_CAUSE_NONE;
}

static enum icp_cause find_cause(const icp_lookup_t *lookup)
{
	if (lookup->behind_gate) {
		return ICP_CAUSE_GATE;
	}
	if (lookup->place_count == 0) {
		return ICP_CAUSE_NO_ADDRESS;
	}
	if (lookup->judgement.verdict == ICP_PASS) {
		return cause_of_pass(lookup);
	}
	if (lookup->config->mode == ICP_MODE_MONITOR) {
		return ICP_CAUSE_NONE;
	}
	return lookup->judgement.reason == ICP_REASON_LICENCE_ADDRESS_MISMATCH
		       ? ICP_CAUSE_LICENCE_ADDRESS
		       : ICP_CAUSE_GATE;
}

static json_t *answer_json(const icp_resolved_t *resolved, const icp_answer_t *answer)
{
	char name[ICP_NAME_TEXT_MAX];
	char alias[ICP_NAME_TEXT_MAX];
	char rcode[ICP_RCODE_TEXT_MAX];
	json_t *addresses = json_array();
	for (size_t i = 0; i < answer->count; i++) {
		const char *text = resolved->found[answer->first + i].text;
		if (json_array_append_new(addresses, json_string(text)) != 0) {
			json_decref(addresses);
			return NULL;
		}
	}
	json_t *ede = json_null();
	if (answer->ede >= 0) {
		ede = json_pack("{s:i, s:o}", "code", answer->ede, "text",
			icp_json_text(answer->ede_text, strlen(answer->ede_text)));
	}
	icp_name_format(&answer->name, name);
	icp_name_format(&answer->alias, alias);
	icp_rcode_format(answer->rcode, rcode);
	return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o}", "name", name, "type",
		icp_rrtype_name(answer->type), "rcode", rcode, "alias",
		answer->alias.length > 0 ? alias : NULL, "addresses", addresses, "ede", ede);
}

static json_t *resolved_json(const icp_lookup_t *lookup)
{
	const icp_resolved_t *resolved = lookup->resolved;
	json_t *answers = json_array();
	for (size_t i = 0; i < resolved->answer_count; i++) {
		json_t *answer = answer_json(resolved, &resolved->answers[i]);
		if (json_array_append_new(answers, answer) != 0) {
			json_decref(answers);
			return NULL;
		}
	}
	const char *reason = lookup->told < ICP_REASON_COUNT ? icp_reason_name(lookup->told) : NULL;
	return json_pack("{s:s, s:b, s:b, s:s?, s:o}", "server", resolved->server.text, "recursive",
		resolved->recursive, "behind_gate", lookup->behind_gate, "gate_reason",
		lookup->behind_gate ? reason : NULL, "answers", answers);
}

int icp_lookup_set_cause(const icp_lookup_t *lookup, json_t *object)
{
	const char *cause = cause_names[find_cause(lookup)];
	json_t *value = cause != NULL ? json_string(cause) : json_null();
	return json_object_set_new(object, "cause", value) == 0 &&
			       json_object_set_new(object, "resolved", resolved_json(lookup)) == 0
		       ? ICP_EOK
		       : ICP_ENOMEM;
}

static void print_gate(const icp_lookup_t *lookup)
{
	if (!lookup->behind_gate) {
		printf("the gate blocks it (%s).\n", icp_reason_name(lookup->judgement.reason));
		return;
	}
	printf("the gate blocks it. %s is behind the gate and answered the block page",
		lookup->resolved->server.text);
	if (lookup->told < ICP_REASON_COUNT) {
		printf(" (%s)", icp_reason_name(lookup->told));
	}
	puts("; the real addresses can't be seen through it.");
	if (lookup->judgement.verdict == ICP_PASS) {
		puts("By the store and the configuration read here it passes: those of the "
		     "server differ, or the name points at another provider's address.");
	}
}

static void print_no_address(const icp_resolved_t *resolved)
{
	bool failed = false;
	bool unknown = false;
	char alias[ICP_NAME_TEXT_MAX];
	icp_name_format(&resolved->answers[0].alias, alias);
	const char *subject = resolved->answers[0].alias.length > 0 ? alias : "the name";
	/* A and AAAA of the name; what its HTTPS records lead to is another matter. */
	for (size_t i = 0; i < resolved->answer_count && i < 2; i++) {
		failed |= resolved->answers[i].rcode == ICP_RCODE_SERVFAIL;
		unknown |= resolved->answers[i].rcode == ICP_RCODE_NXDOMAIN;
	}
	if (failed) {
		puts("no address. SERVFAIL: the delegation is broken (its name servers do not "
		     "answer), or DNSSEC does not validate.");
	} else if (unknown) {
		printf("no address. NXDOMAIN: %s does not exist: it is not registered or not "
		       "delegated, or the registry has put it on hold.\n",
			subject);
	} else {
		printf("no address. NOERROR: %s exists, but without addresses.\n", subject);
	}
	if (!resolved->recursive) {
		printf("%s does not resolve for others (RA is clear): it knows its own zones "
		       "only.\n",
			resolved->server.text);
	}
}

static void print_licence_cause(const icp_lookup_t *lookup)
{
	const char *outcome = "and at no address that is gated here";
	if (lookup->judgement.verdict == ICP_BLOCK) {
		outcome = "and the gate blocks it for that";
	} else if (lookup->judgement.reason != ICP_REASON_NOT_GATED) {
		outcome = "which the gate lets pass with a warning";
	}
	printf("it resolves elsewhere than its licence says, %s.\n", outcome);
}

void icp_lookup_print_cause(const icp_lookup_t *lookup)
{
	printf("Cause: ");
	switch (find_cause(lookup)) {
	case ICP_CAUSE_GATE:
		print_gate(lookup);
		break;
	case ICP_CAUSE_NO_ADDRESS:
		print_no_address(lookup->resolved);
		break;
	case ICP_CAUSE_OUT_OF_SCOPE:
		puts("out of scope. No address is gated here: it is not the gate that keeps the "
		     "site from being reached.");
		break;
	case ICP_CAUSE_LICENCE_ADDRESS:
		print_licence_cause(lookup);
		break;
	case ICP_CAUSE_UNKNOWN:
		puts("not known, as the store can't be read.");
		break;
	default:
		puts(lookup->judgement.verdict == ICP_BLOCK
				? "none found. The gate would block it, but mode is monitor."
				: "none found. The name has addresses and passes the gate: look "
				  "at the server itself.");
	}
}

static void print_answer(const icp_lookup_t *lookup, size_t number)
{
	const icp_resolved_t *resolved = lookup->resolved;
	const icp_answer_t *answer = &resolved->answers[number];
	char text[ICP_NAME_TEXT_MAX];
	char rcode[ICP_RCODE_TEXT_MAX];
	enum icp_reason reason;
	icp_name_format(&answer->name, text);
	icp_rcode_format(answer->rcode, rcode);
	printf("  %s %s: ", text, icp_rrtype_name(answer->type));
	for (size_t i = 0; i < answer->count; i++) {
		printf("%s%s", i > 0 ? " " : "", resolved->found[answer->first + i].text);
	}
	if (answer->count == 0) {
		fputs(answer->rcode == ICP_RCODE_NOERROR ? "no address" : rcode, stdout);
	}
	if (icp_lookup_is_gated(lookup, answer, &reason)) {
		printf(", the block page");
	}
	if (answer->alias.length > 0) {
		icp_name_format(&answer->alias, text);
		printf(", as an alias of %s", text);
	}
	if (answer->ede >= 0) {
		printf(" (extended error %d%s%s)", answer->ede,
			answer->ede_text[0] != '\0' ? ": " : "", answer->ede_text);
	}
	putchar('\n');
}

void icp_lookup_print_answers(const icp_lookup_t *lookup)
{
	printf("\nAnswers of %s:\n", lookup->resolved->server.text);
	for (size_t i = 0; i < lookup->resolved->answer_count; i++) {
		print_answer(lookup, i);
	}
}

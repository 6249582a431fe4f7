/* SPDX-License-Identifier: BSD-3-Clause */
/*! icpgate lookup: the verdict on a name, or on every line of stdin. */
#include "db-tools/lookup.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"

static void log_trouble(enum icp_level level, const char *line)
{
	if (level != ICP_LEVEL_INFO) {
		fprintf(stderr, "%s\n", line);
	}
}

static void lookup_deinit(icp_lookup_t *lookup)
{
	free(lookup->targets);
	free(lookup->addresses);
	free(lookup->places);
	free(lookup->rulings);
}

static bool grow(void **list, size_t capacity, size_t size)
{
	void *larger = realloc(*list, capacity * size);
	if (larger == NULL) {
		return false;
	}
	*list = larger;
	return true;
}

static int reserve(icp_lookup_t *lookup, size_t count)
{
	if (count <= lookup->capacity) {
		return ICP_EOK;
	}
	size_t capacity = 2 * count;
	if (!grow((void **)&lookup->targets, capacity, sizeof *lookup->targets) ||
		!grow((void **)&lookup->addresses, capacity, sizeof *lookup->addresses) ||
		!grow((void **)&lookup->places, capacity, sizeof *lookup->places) ||
		!grow((void **)&lookup->rulings, capacity, sizeof *lookup->rulings)) {
		return ICP_ENOMEM;
	}
	lookup->capacity = capacity;
	return ICP_EOK;
}

static int add_address(icp_lookup_t *lookup, const char *text, size_t length, icp_diag_t *diag)
{
	int code = reserve(lookup, lookup->given + 1);
	if (code != ICP_EOK) {
		return code;
	}
	if (icp_address_parse(&lookup->addresses[lookup->given], text, length) != ICP_EOK) {
		char shown[ICP_SHOWN_TEXT_MAX];
		icp_text_show(shown, text, length);
		return icp_fail(diag, ICP_EINVAL, "not an address: %s", shown);
	}
	lookup->targets[lookup->given++].text = text;
	return ICP_EOK;
}

static bool has_address(const icp_lookup_t *lookup, const icp_address_t *address)
{
	for (size_t i = 0; i < lookup->given; i++) {
		if (memcmp(&lookup->addresses[i], address, sizeof *address) == 0) {
			return true;
		}
	}
	return false;
}

static int take_answer(
	icp_lookup_t *lookup, const icp_resolved_t *resolved, const icp_answer_t *answer)
{
	int code = ICP_EOK;
	for (size_t i = 0; i < answer->count && code == ICP_EOK; i++) {
		const icp_found_t *found = &resolved->found[answer->first + i];
		if (!has_address(lookup, &found->address)) {
			code = add_address(lookup, found->text, strlen(found->text), NULL);
		}
	}
	return code;
}

/*! The addresses of the answers, each once; none where the gate hides those of the name. */
static int take_resolved(icp_lookup_t *lookup, const icp_resolved_t *resolved)
{
	int code = ICP_EOK;
	lookup->resolved = resolved;
	lookup->told = ICP_REASON_COUNT;
	for (size_t i = 0; i < resolved->answer_count && code == ICP_EOK; i++) {
		const icp_answer_t *answer = &resolved->answers[i];
		enum icp_reason reason;
		if (!icp_lookup_is_gated(lookup, answer, &reason)) {
			code = take_answer(lookup, resolved, answer);
		} else if (i < ICP_OWN_ANSWERS) {
			lookup->behind_gate = true;
			lookup->told = lookup->told == ICP_REASON_COUNT ? reason : lookup->told;
		}
	}
	if (lookup->behind_gate) {
		lookup->given = 0;
	}
	return code;
}

/*! Copies the places out of a decision, which must end before a snapshot is taken. */
static void copy_places(icp_lookup_t *lookup, const icp_place_t *places)
{
	for (size_t i = 0; i < lookup->place_count; i++) {
		icp_place_t *place = &lookup->places[i];
		*place = places[i];
		if (place->provider_length > 0) {
			memcpy(lookup->targets[i].provider, place->provider,
				place->provider_length);
		}
		place->provider = lookup->targets[i].provider;
	}
}

static int compare_rows(const void *left, const void *right)
{
	const icp_row_t *a = left;
	const icp_row_t *b = right;
	return a->labels != b->labels ? b->labels - a->labels : icp_provider_compare(a, b);
}

static void read_rows(icp_lookup_t *lookup)
{
	lookup->rows = NULL;
	lookup->row_count = 0;
	lookup->trouble.text[0] = '\0';

	icp_reader_t *reader;
	int code = icp_gate_reader(lookup->gate, 0, lookup->at, &reader, &lookup->trouble);
	if (code == ICP_EOK) {
		code = icp_reader_find(reader, &lookup->name);
	}
	lookup->trouble_code = code;
	if (code != ICP_EOK) {
		if (lookup->trouble.text[0] == '\0') {
			icp_fail(&lookup->trouble, code, "store %s: %s", lookup->config->store,
				icp_strerror(code));
		}
		return;
	}
	qsort(reader->rows.items, reader->rows.count, sizeof *reader->rows.items, compare_rows);
	lookup->info = reader->info;
	lookup->rows = reader->rows.items;
	lookup->row_count = reader->rows.count;
}

/*!
 * Judges. The gate finds the places; the rules are then asked about the very rows that will be
 * shown, as a commit may come between two snapshots. icp_gate_release must follow.
 */
static int decide(icp_lookup_t *lookup)
{
	const icp_policy_t *policy = &lookup->config->policy;
	icp_decision_t decision;
	int code;

	if (lookup->given > 0 || (lookup->resolved != NULL && !lookup->behind_gate)) {
		lookup->place_count = lookup->given;
		code = icp_gate_judge(lookup->gate, 0, &lookup->name, lookup->addresses,
			lookup->given, lookup->at, &decision);
	} else {
		icp_place_t place = icp_policy_place(policy);
		lookup->place_count = 1;
		code = icp_gate_judge_places(
			lookup->gate, 0, &lookup->name, &place, 1, lookup->at, &decision);
	}
	if (code != ICP_EOK) {
		return code;
	}
	copy_places(lookup, decision.places);
	icp_gate_release(lookup->gate, 0);
	read_rows(lookup);
	lookup->judgement = icp_verdict_judge(policy, &lookup->name, lookup->places,
		lookup->place_count, lookup->rows, lookup->row_count, lookup->at, lookup->rulings);
	return ICP_EOK;
}

/*! What the verdict means for the exit status. */
static int lookup_status(const icp_lookup_t *lookup)
{
	for (size_t i = 0; i < lookup->place_count; i++) {
		if (lookup->rulings[i].reason == ICP_REASON_NO_INDEX) {
			return ICP_EXIT_FAILED;
		}
	}
	return lookup->judgement.verdict == ICP_BLOCK ? ICP_EXIT_BLOCK : ICP_EXIT_DONE;
}

/*! Text of the nearest domain with a row. False: there is none. */
static bool format_covering(const icp_lookup_t *lookup, char text[ICP_NAME_TEXT_MAX])
{
	if (lookup->judgement.covering == 0) {
		return false;
	}
	size_t at = icp_name_suffix(&lookup->name, lookup->judgement.covering);
	icp_stored_format(lookup->name.wire + at, lookup->name.length - at, text);
	return true;
}

static json_t *address_json(const icp_lookup_t *lookup, size_t i)
{
	const icp_place_t *place = &lookup->places[i];
	const icp_ruling_t *ruling = &lookup->rulings[i];
	json_t *warnings = json_array();
	if (ruling->warnings & ICP_WARN_LICENCE_ADDRESS_MISMATCH) {
		json_array_append_new(warnings,
			json_string(icp_reason_name(ICP_REASON_LICENCE_ADDRESS_MISMATCH)));
	}
	return json_pack("{s:s?, s:b, s:o, s:b, s:s, s:s, s:o}", "address",
		lookup->given > 0 ? lookup->targets[i].text : NULL, "mainland", place->mainland,
		"provider",
		place->provider_length > 0 ? icp_json_text(place->provider, place->provider_length)
					   : json_null(),
		"gated", ruling->gated, "verdict", icp_verdict_name(ruling->verdict), "reason",
		icp_reason_name(ruling->reason), "warnings", warnings);
}

static json_t *lookup_json(const icp_lookup_t *lookup)
{
	char name[ICP_NAME_TEXT_MAX];
	char covering[ICP_NAME_TEXT_MAX];
	json_t *addresses = json_array();
	json_t *rows = json_array();
	bool whole = true;

	for (size_t i = 0; i < lookup->place_count; i++) {
		whole &= json_array_append_new(addresses, address_json(lookup, i)) == 0;
	}
	for (size_t i = 0; i < lookup->row_count; i++) {
		whole &= json_array_append_new(rows, icp_json_row(&lookup->rows[i])) == 0;
	}
	if (!whole) {
		json_decref(addresses);
		json_decref(rows);
		return NULL;
	}
	icp_name_format(&lookup->name, name);
	bool readable = lookup->rows != NULL;
	json_t *object = json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:o}", "name", name,
		"verdict", icp_verdict_name(lookup->judgement.verdict), "reason",
		icp_reason_name(lookup->judgement.reason), "covering",
		format_covering(lookup, covering) ? covering : NULL, "addresses", addresses, "rows",
		rows, "generation",
		readable ? json_integer((json_int_t)lookup->info.generation) : json_null(),
		"sequence",
		readable ? json_integer((json_int_t)lookup->info.sequence) : json_null(), "at",
		icp_json_time(lookup->at));
	if (object != NULL && lookup->resolved != NULL &&
		icp_lookup_set_cause(lookup, object) != ICP_EOK) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static void print_line(const icp_lookup_t *lookup)
{
	char name[ICP_NAME_TEXT_MAX];
	char covering[ICP_NAME_TEXT_MAX];
	icp_name_format(&lookup->name, name);
	printf("%s %s %s %s\n", name, icp_verdict_name(lookup->judgement.verdict),
		icp_reason_name(lookup->judgement.reason),
		format_covering(lookup, covering) ? covering : "-");
}

static int resolve(
	icp_lookup_t *lookup, const char *server_text, icp_resolved_t *resolved, icp_diag_t *diag)
{
	icp_server_t server;
	int code = icp_server_parse(&server, server_text, diag);
	if (code == ICP_EOK) {
		code = icp_resolve(resolved, &server, &lookup->name, diag);
	}
	return code == ICP_EOK ? take_resolved(lookup, resolved) : code;
}

/*! Judges the name and writes the result. */
static int answer_arguments(icp_lookup_t *lookup, bool json)
{
	int code = decide(lookup);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &(icp_diag_t){""});
	}
	int status = lookup_status(lookup);
	if (!json) {
		icp_lookup_explain(lookup);
	} else if (icp_json_print(lookup_json(lookup)) != ICP_EXIT_DONE) {
		status = ICP_EXIT_FAILED;
	}
	icp_gate_release(lookup->gate, 0);
	return status;
}

static int lookup_arguments(
	icp_lookup_t *lookup, const icp_tool_t *tool, int count, char **arguments)
{
	icp_diag_t diag = {""};
	icp_resolved_t resolved = {.found = NULL};
	int code = icp_tool_name(&lookup->name, arguments[0], strlen(arguments[0]), &diag);
	for (int i = 1; i < count && code == ICP_EOK; i++) {
		code = add_address(lookup, arguments[i], strlen(arguments[i]), &diag);
	}
	if (code == ICP_EOK && tool->resolve != NULL) {
		code = resolve(lookup, tool->resolve, &resolved, &diag);
	}
	int status = code == ICP_EOK ? answer_arguments(lookup, tool->json)
				     : icp_tool_failed(code, &diag);
	icp_resolved_deinit(&resolved);
	return status;
}

/*! Reads the words of a line. False: it is blank. */
static bool set_line(icp_lookup_t *lookup, char *line, size_t size, int *code, icp_diag_t *diag)
{
	char *end = line + size;
	size_t length;
	char *word = icp_tool_word(&line, end, &length);
	if (word == NULL) {
		return false;
	}
	lookup->given = 0;
	*code = icp_tool_name(&lookup->name, word, length, diag);
	while (*code == ICP_EOK && (word = icp_tool_word(&line, end, &length)) != NULL) {
		*code = add_address(lookup, word, length, diag);
	}
	return true;
}

static void report_line(uint64_t number, const icp_diag_t *diag, bool json)
{
	icp_diag_t text;
	icp_fail(&text, ICP_EINVAL, "stdin:%" PRIu64 ": %s", number, diag->text);
	fprintf(stderr, "%s\n", text.text);
	if (json) {
		icp_json_print(
			json_pack("{s:o}", "error", icp_json_text(text.text, strlen(text.text))));
	}
}

/*! Judges and prints one line's lookup. */
static int answer_line(icp_lookup_t *lookup, bool json, int *status)
{
	int code = decide(lookup);
	if (code != ICP_EOK) {
		return code;
	}
	int own = lookup_status(lookup);
	*status = own > *status ? own : *status;
	if (json) {
		json_t *value = lookup_json(lookup);
		code = value != NULL ? ICP_EOK : ICP_ENOMEM;
		if (value != NULL) {
			icp_json_print(value);
		}
	} else {
		print_line(lookup);
	}
	icp_gate_release(lookup->gate, 0);
	return code;
}

static int lookup_lines(icp_lookup_t *lookup, const icp_tool_t *tool)
{
	char *line = NULL;
	size_t room = 0;
	ssize_t size;
	uint64_t number = 0;
	bool invalid = false;
	int status = ICP_EXIT_DONE;
	int code = ICP_EOK;
	icp_diag_t diag = {""};

	while (code == ICP_EOK && !ferror(stdout) && (size = getline(&line, &room, stdin)) >= 0) {
		number++;
		if (!set_line(lookup, line, (size_t)size, &code, &diag)) {
			continue;
		}
		if (code == ICP_EINVAL) {
			report_line(number, &diag, tool->json);
			invalid = true;
			code = ICP_EOK;
		} else if (code == ICP_EOK) {
			lookup->at = icp_tool_now(tool);
			code = answer_line(lookup, tool->json, &status);
		}
	}
	if (code == ICP_EOK && !ferror(stdout) && !feof(stdin)) {
		code = icp_fail(&diag, ICP_ESYS, "stdin: %s", strerror(errno));
	} else {
		diag.text[0] = '\0';
	}
	free(line);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	return invalid ? ICP_EXIT_USAGE : status;
}

int icp_tool_lookup(const icp_tool_t *tool, int count, char **arguments)
{
	bool lines = strcmp(arguments[0], "-") == 0;
	icp_config_t config;
	icp_diag_t diag = {""};
	if (lines && count > 1) {
		fputs("icpgate: lookup: \"-\" takes no addresses\n", stderr);
		return ICP_EXIT_USAGE;
	}
	if (tool->resolve != NULL && (lines || count > 1)) {
		fputs("icpgate: lookup: --resolve takes one NAME and finds its addresses itself\n",
			stderr);
		return ICP_EXIT_USAGE;
	}
	int code = icp_tool_config(tool, &config, &diag);
	if (code != ICP_EOK) {
		return icp_tool_failed(code, &diag);
	}
	icp_lookup_t lookup = {.config = &config, .at = icp_tool_now(tool)};
	code = icp_gate_create(&lookup.gate, &config, 1, log_trouble, &diag);
	if (code == ICP_EOK) {
		code = reserve(&lookup, 1);
	}
	int status;
	if (code != ICP_EOK) {
		status = icp_tool_failed(code, &diag);
	} else if (lines) {
		status = lookup_lines(&lookup, tool);
	} else {
		status = lookup_arguments(&lookup, tool, count, arguments);
	}
	lookup_deinit(&lookup);
	icp_gate_destroy(lookup.gate);
	icp_config_deinit(&config);
	return status;
}

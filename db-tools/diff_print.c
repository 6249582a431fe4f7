/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "db-tools/diff.h"

#define GROUPS_IN_JSON 20

/*! The groups under their titles. */
typedef struct {
	const icp_groups_t *groups;
	const char *title; /*!< Of the text. */
	const char *key;   /*!< Of the JSON. */
	const char *word;  /*!< What the groups are by. */
} grouping_t;

#define GROUPINGS 4

static void list_groupings(const icp_guard_t *guard, grouping_t groupings[GROUPINGS])
{
	groupings[0] = (grouping_t){
		&guard->lost_by_provider, "lost by provider", "lost_by_provider", "provider"};
	groupings[1] =
		(grouping_t){&guard->lost_by_status, "lost by status", "lost_by_status", "status"};
	groupings[2] = (grouping_t){
		&guard->gained_by_provider, "gained by provider", "gained_by_provider", "provider"};
	groupings[3] = (grouping_t){
		&guard->gained_by_status, "gained by status", "gained_by_status", "status"};
}

static bool flips(const icp_rehearsed_t *rehearsed)
{
	return rehearsed->judgement[ICP_SIDE_A].verdict != rehearsed->judgement[ICP_SIDE_B].verdict;
}

static void print_state(const char *side, const icp_state_t *state)
{
	char rows[ICP_COUNT_TEXT_MAX];
	icp_count_format(state->info.rows, rows);
	if (state->is_feed) {
		printf("%s  feed %s, ", side, state->text);
	} else {
		printf("%s  generation %" PRIu64 ", ", side, state->info.generation);
	}
	if (state->has_sequence) {
		printf("sequence %" PRIu64 ", ", state->info.sequence);
	} else {
		printf("no manifest, ");
	}
	printf("%s rows\n", rows);
}

static void print_replayed(const icp_difference_t *difference)
{
	if (difference->replay != NULL) {
		char count[ICP_COUNT_TEXT_MAX];
		icp_count_format(difference->replayed, count);
		printf("   with %s newer delta%s of A applied, as by a full load\n", count,
			difference->replayed == 1 ? "" : "s");
	}
}

static void print_rows(const icp_difference_t *difference)
{
	char added[ICP_COUNT_TEXT_MAX];
	char removed[ICP_COUNT_TEXT_MAX];
	char changed[ICP_COUNT_TEXT_MAX];
	icp_count_format(difference->added, added);
	icp_count_format(difference->removed, removed);
	icp_count_format(difference->changed, changed);
	printf("rows         %s added, %s removed, %s changed\n", added, removed, changed);
}

static void print_permissions(const icp_guard_t *guard)
{
	char have[ICP_COUNT_TEXT_MAX];
	char lost[ICP_COUNT_TEXT_MAX];
	char gained[ICP_COUNT_TEXT_MAX];
	grouping_t groupings[GROUPINGS];
	icp_count_format(guard->have, have);
	icp_count_format(guard->lost, lost);
	icp_count_format(guard->gained, gained);
	printf("permissions  %s held, %s lost", have, lost);
	if (guard->lost > 0) {
		printf(" (%.2f%%)", 100.0 * (double)guard->lost / (double)guard->have);
	}
	printf(", %s gained\n", gained);
	list_groupings(guard, groupings);
	for (size_t i = 0; i < GROUPINGS; i++) {
		char text[ICP_GROUPS_TEXT_MAX];
		icp_groups_format(groupings[i].groups, text);
		if (text[0] != '\0') {
			printf("  %-18s  %s\n", groupings[i].title, text);
		}
	}
}

static void print_judgement(const icp_judgement_t *judgement)
{
	printf("%s %s", icp_verdict_name(judgement->verdict), icp_reason_name(judgement->reason));
}

static int print_names(icp_difference_t *difference)
{
	const icp_place_t *place = &difference->judge.place;
	size_t count = icp_rehearsal_count(difference->rehearsal);
	char text[ICP_COUNT_TEXT_MAX];
	size_t flipped = 0;
	icp_count_format(count, text);
	if (place->provider_length > 0) {
		printf("names        %s asked for, with provider %.*s\n", text,
			(int)place->provider_length, place->provider);
	} else {
		printf("names        %s asked for, with any provider\n", text);
	}
	for (size_t i = 0; i < count; i++) {
		icp_rehearsed_t rehearsed;
		int code = icp_rehearsal_judge(
			difference->rehearsal, i, &difference->judge, &rehearsed);
		if (code != ICP_EOK) {
			return code;
		}
		if (flips(&rehearsed)) {
			char name[ICP_NAME_TEXT_MAX];
			icp_name_format(&rehearsed.name, name);
			printf("  %s  ", name);
			print_judgement(&rehearsed.judgement[ICP_SIDE_A]);
			printf(" -> ");
			print_judgement(&rehearsed.judgement[ICP_SIDE_B]);
			putchar('\n');
			flipped++;
		}
	}
	icp_count_format(flipped, text);
	printf("  %s would flip\n", text);
	return ICP_EOK;
}

static void print_list(const icp_difference_t *difference)
{
	puts("pairs");
	for (size_t i = 0; i < difference->flip_count && !ferror(stdout); i++) {
		const icp_flip_t *flip = &difference->flips[i];
		char domain[ICP_NAME_TEXT_MAX];
		icp_stored_format(flip->domain, flip->domain_length, domain);
		printf("  %-6s  %s %.*s  %s -> %s\n", flip->gained ? "gained" : "lost", domain,
			(int)flip->provider_length, flip->provider, flip->from, flip->to);
	}
}

int icp_difference_print(icp_difference_t *difference)
{
	print_state("A", &difference->a);
	print_state("B", &difference->b);
	print_replayed(difference);
	print_rows(difference);
	print_permissions(&difference->guard);
	int code = difference->rehearsal != NULL ? print_names(difference) : ICP_EOK;
	if (code == ICP_EOK && difference->listed) {
		print_list(difference);
	}
	return code;
}

static json_t *json_state(const icp_state_t *state)
{
	json_t *generation =
		state->is_feed ? json_null() : json_integer((json_int_t)state->info.generation);
	json_t *feed =
		state->is_feed ? icp_json_text(state->text, strlen(state->text)) : json_null();
	json_t *sequence =
		state->has_sequence ? json_integer((json_int_t)state->info.sequence) : json_null();
	return json_pack("{s:o, s:o, s:o, s:o, s:I}", "generation", generation, "feed", feed,
		"sequence", sequence, "as_of", icp_json_time(state->info.as_of), "rows",
		(json_int_t)state->info.rows);
}

static json_t *json_permissions(const icp_guard_t *guard)
{
	grouping_t groupings[GROUPINGS];
	json_t *object = json_pack("{s:I, s:I, s:I}", "held", (json_int_t)guard->have, "lost",
		(json_int_t)guard->lost, "gained", (json_int_t)guard->gained);
	list_groupings(guard, groupings);
	for (size_t i = 0; i < GROUPINGS; i++) {
		icp_group_t largest[GROUPS_IN_JSON];
		size_t count = icp_groups_largest(groupings[i].groups, largest, GROUPS_IN_JSON);
		json_t *list = json_array();
		for (size_t j = 0; j < count; j++) {
			json_array_append_new(
				list, json_pack("{s:s, s:I}", groupings[i].word, largest[j].name,
					      "count", (json_int_t)largest[j].count));
		}
		json_object_set_new(object, groupings[i].key, list);
	}
	return object;
}

static json_t *json_judgement(const icp_judgement_t *judgement)
{
	return json_pack("{s:s, s:s}", "verdict", icp_verdict_name(judgement->verdict), "reason",
		icp_reason_name(judgement->reason));
}

static int json_names(icp_difference_t *difference, json_t **names)
{
	const icp_place_t *place = &difference->judge.place;
	size_t count = icp_rehearsal_count(difference->rehearsal);
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		icp_rehearsed_t rehearsed;
		int code = icp_rehearsal_judge(
			difference->rehearsal, i, &difference->judge, &rehearsed);
		if (code != ICP_EOK) {
			json_decref(list);
			return code;
		}
		if (flips(&rehearsed)) {
			char name[ICP_NAME_TEXT_MAX];
			icp_name_format(&rehearsed.name, name);
			json_array_append_new(list,
				json_pack("{s:s, s:o, s:o}", "name", name, "from",
					json_judgement(&rehearsed.judgement[ICP_SIDE_A]), "to",
					json_judgement(&rehearsed.judgement[ICP_SIDE_B])));
		}
	}
	*names = json_pack("{s:I, s:o, s:o}", "asked", (json_int_t)count, "provider",
		place->provider_length > 0 ? icp_json_text(place->provider, place->provider_length)
					   : json_null(),
		"flips", list);
	return ICP_EOK;
}

static json_t *json_flip(const icp_flip_t *flip)
{
	char domain[ICP_NAME_TEXT_MAX];
	icp_stored_format(flip->domain, flip->domain_length, domain);
	return json_pack("{s:s, s:o, s:s, s:s, s:s}", "domain", domain, "provider",
		icp_json_text(flip->provider, flip->provider_length), "from", flip->from, "to",
		flip->to, "permission", flip->gained ? "gained" : "lost");
}

/*! Writes the pairs one by one into the object whose text is open: there may be millions. */
static int write_list(const icp_difference_t *difference)
{
	fputs(", \"list\": [", stdout);
	for (size_t i = 0; i < difference->flip_count && !ferror(stdout); i++) {
		json_t *value = json_flip(&difference->flips[i]);
		if (value == NULL) {
			return ICP_ENOMEM;
		}
		fputs(i > 0 ? ", " : "", stdout);
		json_dumpf(value, stdout, 0);
		json_decref(value);
	}
	fputc(']', stdout);
	return ICP_EOK;
}

int icp_difference_print_json(icp_difference_t *difference)
{
	json_t *object = json_pack("{s:o, s:o, s:I, s:o, s:{s:I, s:I, s:I}, s:o}", "a",
		json_state(&difference->a), "b", json_state(&difference->b), "replayed",
		(json_int_t)difference->replayed, "at", icp_json_time(difference->at), "rows",
		"added", (json_int_t)difference->added, "removed", (json_int_t)difference->removed,
		"changed", (json_int_t)difference->changed, "permissions",
		json_permissions(&difference->guard));
	json_t *names = NULL;
	int code = object != NULL ? ICP_EOK : ICP_ENOMEM;
	if (code == ICP_EOK && difference->rehearsal != NULL) {
		code = json_names(difference, &names);
		if (code == ICP_EOK && json_object_set_new(object, "names", names) != 0) {
			code = ICP_ENOMEM;
		}
	}
	char *text = code == ICP_EOK ? json_dumps(object, 0) : NULL;
	json_decref(object);
	if (text == NULL) {
		return code == ICP_EOK ? ICP_ENOMEM : code;
	}
	/* All but the brace at its end. */
	fwrite(text, 1, strlen(text) - 1, stdout);
	free(text);
	if (difference->listed) {
		code = write_list(difference);
	}
	fputs("}\n", stdout);
	return code;
}

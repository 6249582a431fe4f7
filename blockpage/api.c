/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The verdict on a name for programs: the object of `icpgate lookup --json NAME`, with a place of
 * each provider.
 */
#include <stdlib.h>
#include <string.h>

#include "blockpage/service.h"
#include "db-tools/tools.h"

#define TRIES 16 /*!< Another commit has to come in between each time. */

static int compare_rows(const void *left, const void *right)
{
	const icp_row_t *a = left;
	const icp_row_t *b = right;
	return a->labels != b->labels ? b->labels - a->labels : icp_provider_compare(a, b);
}

/*! Rows, nearest domain first, then by provider. NULL: out of memory. */
static json_t *rows_json(const icp_row_t *rows, size_t count)
{
	json_t *list = json_array();
	icp_row_t *sorted = calloc(count + 1, sizeof *sorted);
	bool whole = list != NULL && sorted != NULL;
	if (whole && count > 0) {
		memcpy(sorted, rows, count * sizeof *sorted);
		qsort(sorted, count, sizeof *sorted, compare_rows);
	}
	for (size_t i = 0; i < count && whole; i++) {
		/* The bytes of the map may change until they are copied. */
		uint8_t domain[ICP_NAME_MAX + 1];
		memcpy(domain, sorted[i].domain, sorted[i].domain_length);
		sorted[i].domain = domain;
		whole = json_array_append_new(list, icp_json_row(&sorted[i])) == 0;
	}
	free(sorted);
	if (!whole) {
		json_decref(list);
		return NULL;
	}
	return list;
}

static json_t *place_json(const icp_place_t *place, const icp_ruling_t *ruling)
{
	json_t *warnings = json_array();
	if (ruling->warnings & ICP_WARN_LICENCE_ADDRESS_MISMATCH) {
		json_array_append_new(warnings,
			json_string(icp_reason_name(ICP_REASON_LICENCE_ADDRESS_MISMATCH)));
	}
	return json_pack("{s:n, s:b, s:o, s:b, s:s, s:s, s:o}", "address", "mainland",
		place->mainland, "provider",
		place->provider_length > 0 ? icp_json_text(place->provider, place->provider_length)
					   : json_null(),
		"gated", ruling->gated, "verdict", icp_verdict_name(ruling->verdict), "reason",
		icp_reason_name(ruling->reason), "warnings", warnings);
}

/*! NULL: out of memory. */
static json_t *places_json(const icp_decision_t *decision, size_t count)
{
	json_t *list = json_array();
	for (size_t i = 0; i < count; i++) {
		if (json_array_append_new(
			    list, place_json(&decision->places[i], &decision->rulings[i])) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

static json_t *verdict_json(const icp_decision_t *decision, size_t place_count,
	const icp_name_t *name, json_t *rows, int64_t now)
{
	char text[ICP_NAME_TEXT_MAX];
	char covering[ICP_NAME_TEXT_MAX];
	const icp_judgement_t *judgement = &decision->judgement;
	const icp_ruling_t *ruling = icp_case_ruling(decision->rulings, place_count);
	const icp_store_info_t *info = decision->info;
	size_t at = icp_name_suffix(name, judgement->covering);
	icp_name_format(name, text);
	icp_stored_format(name->wire + at, name->length - at, covering);
	return json_pack("{s:s, s:s, s:s, s:s?, s:o, s:o, s:o, s:o, s:o}", "name", text, "verdict",
		icp_verdict_name(ruling->verdict), "reason", icp_reason_name(ruling->reason),
		"covering", judgement->covering > 0 ? covering : NULL, "addresses",
		places_json(decision, place_count), "rows", rows, "generation",
		info != NULL ? json_integer((json_int_t)info->generation) : json_null(), "sequence",
		info != NULL ? json_integer((json_int_t)info->sequence) : json_null(), "at",
		icp_json_time(now));
}

char *icp_api_verdict(const icp_service_t *service, const icp_name_t *name, int64_t now)
{
	icp_decision_t decision;
	const icp_places_t *places = &service->places;
	json_t *rows = NULL;
	bool holds = false;
	for (unsigned i = 0; i < TRIES && !holds; i++) {
		json_decref(rows);
		if (icp_gate_judge_places(service->gate, 0, name, places->items, places->count, now,
			    &decision) != ICP_EOK) {
			return NULL;
		}
		rows = rows_json(decision.rows, decision.row_count);
		holds = icp_gate_holds(service->gate, 0);
	}
	json_t *object = rows != NULL && holds
				 ? verdict_json(&decision, places->count, name, rows, now)
				 : NULL;
	if (object == NULL && !(rows != NULL && holds)) {
		json_decref(rows);
	}
	icp_gate_release(service->gate, 0);
	char *text = object != NULL ? json_dumps(object, JSON_REAL_PRECISION(6)) : NULL;
	json_decref(object);
	return text;
}

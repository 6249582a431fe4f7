/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/report.h"

#include <inttypes.h>
#include <limits.h>
#include <string.h>

#include "core/text.h"
#include "core/time.h"

#define SIZE_TEXT_MAX 32

static void size_format(uint64_t octets, char text[SIZE_TEXT_MAX])
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double size = (double)octets / 1024;
	size_t unit = 0;
	while (size >= 1024 && unit + 1 < sizeof units / sizeof *units) {
		size /= 1024;
		unit++;
	}
	snprintf(text, SIZE_TEXT_MAX, "%.1f %s", size, units[unit]);
}

static void age_format(int64_t seconds, char text[SIZE_TEXT_MAX])
{
	snprintf(text, SIZE_TEXT_MAX, "%" PRId64 "d %02d:%02d:%02d", seconds / 86400,
		(int)(seconds % 86400 / 3600), (int)(seconds % 3600 / 60), (int)(seconds % 60));
}

json_t *icp_report_time(int64_t seconds)
{
	char text[ICP_TIME_TEXT_MAX];
	icp_time_format(seconds, text);
	return seconds == ICP_TIME_NONE ? json_null() : json_string(text);
}

/*! Takes the object; NULL: it could not be made. */
static int print_json(json_t *object, FILE *out)
{
	if (object == NULL) {
		return ICP_ENOMEM;
	}
	json_dumpf(object, out, JSON_COMPACT | JSON_REAL_PRECISION(6));
	fputc('\n', out);
	json_decref(object);
	return ICP_EOK;
}

int icp_report_full(const icp_full_result_t *result, double seconds, bool json, FILE *out)
{
	const icp_store_info_t *info = &result->info;
	if (json) {
		return print_json(
			json_pack("{s:I, s:I, s:o, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f}",
				"generation", (json_int_t)info->generation, "sequence",
				(json_int_t)info->sequence, "as_of", icp_report_time(info->as_of),
				"rows", (json_int_t)info->rows, "domains",
				(json_int_t)result->domains, "nodes", (json_int_t)info->nodes,
				"gained", (json_int_t)result->gained, "lost",
				(json_int_t)result->lost, "replayed", (json_int_t)result->replayed,
				"size", (json_int_t)result->size, "seconds", seconds),
			out);
	}
	char size[SIZE_TEXT_MAX];
	size_format(result->size, size);
	fprintf(out,
		"generation %" PRIu64 ": sequence %" PRIu64 ", %" PRIu64 " rows, %" PRIu64
		" domains, %" PRIu64 " permissions gained, %" PRIu64 " lost, ",
		info->generation, info->sequence, info->rows, result->domains, result->gained,
		result->lost);
	if (result->replayed > 0) {
		fprintf(out, "%" PRIu64 " newer delta%s applied, ", result->replayed,
			result->replayed == 1 ? "" : "s");
	}
	fprintf(out, "%s, %.1f s\n", size, seconds);
	return ICP_EOK;
}

int icp_report_delta(const icp_delta_result_t *result, const char *feed, bool json, FILE *out)
{
	const icp_store_info_t *info = &result->info;
	char shown[PATH_MAX];
	icp_text_escape(shown, sizeof shown, feed, strlen(feed));
	if (json) {
		return print_json(
			json_pack("{s:s, s:b, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "feed", shown,
				"skipped", result->skipped, "generation",
				(json_int_t)info->generation, "sequence",
				(json_int_t)info->sequence, "rows", (json_int_t)info->rows,
				"changes", (json_int_t)result->changes, "pairs",
				(json_int_t)result->pairs, "gained", (json_int_t)result->gained,
				"lost", (json_int_t)result->lost),
			out);
	}
	if (result->skipped) {
		fprintf(out, "%s: applied before, the sequence is %" PRIu64 "\n", shown,
			info->sequence);
		return ICP_EOK;
	}
	fprintf(out,
		"%s: sequence %" PRIu64 ", %" PRIu64 " changes, %" PRIu64 " pairs differ, %" PRIu64
		" permissions gained, %" PRIu64 " lost\n",
		shown, info->sequence, result->changes, result->pairs, result->gained,
		result->lost);
	return ICP_EOK;
}

int icp_report_rollback(const icp_rollback_result_t *result, bool json, FILE *out)
{
	const icp_store_info_t *info = &result->info;
	if (json) {
		return print_json(
			json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "from",
				(json_int_t)result->from, "generation",
				(json_int_t)info->generation, "sequence",
				(json_int_t)info->sequence, "rows", (json_int_t)info->rows,
				"gained", (json_int_t)result->gained, "lost",
				(json_int_t)result->lost),
			out);
	}
	fprintf(out,
		"generation %" PRIu64 " is current again in place of %" PRIu64 ": sequence %" PRIu64
		", %" PRIu64 " rows, %" PRIu64 " permissions gained, %" PRIu64 " lost\n",
		info->generation, result->from, info->sequence, info->rows, result->gained,
		result->lost);
	if (info->sequence + 1 == result->from_sequence) {
		fprintf(out,
			"delta %" PRIu64
			" was applied to the other one only: give it again if it is good\n",
			result->from_sequence);
	} else if (info->sequence < result->from_sequence) {
		fprintf(out,
			"deltas %" PRIu64 " to %" PRIu64
			" were applied to the other one only: give them again if they are good\n",
			info->sequence + 1, result->from_sequence);
	}
	return ICP_EOK;
}

#define CAUSE_MAX (2 * sizeof((icp_diag_t *)NULL)->text)

/*! Paths in it are whatever they are. \return shown */
static const char *cause(char shown[CAUSE_MAX], int code, const icp_diag_t *diag)
{
	const char *text = diag->text[0] != '\0' ? diag->text : icp_strerror(code);
	icp_text_escape(shown, CAUSE_MAX, text, strlen(text));
	return shown;
}

static json_t *kept_json(const icp_status_t *status)
{
	json_t *list = json_array();
	for (size_t i = 0; i < status->kept_count; i++) {
		const icp_kept_t *kept = &status->kept[i];
		json_t *entry = json_pack("{s:I, s:b}", "generation", (json_int_t)kept->number,
			"current", kept->current);
		if (kept->code == ICP_EOK) {
			json_object_set_new(entry, "size", json_integer((json_int_t)kept->size));
			json_object_set_new(
				entry, "created_at", icp_report_time(kept->info.created_at));
		} else {
			char why[CAUSE_MAX];
			json_object_set_new(
				entry, "error", json_string(cause(why, kept->code, &kept->diag)));
		}
		json_array_append_new(list, entry);
	}
	return list;
}

static void print_kept(const icp_kept_t *kept, FILE *out)
{
	fprintf(out, "kept        %" PRIu64, kept->number);
	if (kept->code != ICP_EOK) {
		char why[CAUSE_MAX];
		fprintf(out, "  %s\n", cause(why, kept->code, &kept->diag));
		return;
	}
	char size[SIZE_TEXT_MAX];
	char created[ICP_TIME_TEXT_MAX];
	size_format(kept->size, size);
	icp_time_format(kept->info.created_at, created);
	fprintf(out, "  %s  %s%s\n", size, created, kept->current ? "  current" : "");
}

static json_t *readers_json(const icp_status_t *status)
{
	const icp_readers_t *readers = &status->readers;
	return status->readers_code == ICP_EOK
		       ? json_pack("{s:I, s:I, s:I}", "slots", (json_int_t)readers->slots, "held",
				 (json_int_t)readers->held, "stale", (json_int_t)readers->stale)
		       : json_null();
}

/*! The members that tell of the current generation, into an object. */
static json_t *current_json(const icp_status_t *status, int64_t now)
{
	const icp_store_info_t *info = &status->info;
	char source[ICP_SOURCE_MAX];
	if (status->code != ICP_EOK) {
		char why[CAUSE_MAX];
		return json_pack("{s:s}", "error", cause(why, status->code, &status->diag));
	}
	/* A loader of before may have written it as it was given. */
	icp_text_escape(source, sizeof source, info->source, strlen(info->source));
	return json_pack("{s:I, s:I, s:I, s:o, s:o, s:s, s:I, s:I, s:I, s:I, s:o}", "generation",
		(json_int_t)info->generation, "sequence", (json_int_t)info->sequence, "base",
		(json_int_t)info->base, "as_of", icp_report_time(info->as_of), "created_at",
		icp_report_time(info->created_at), "source", source, "rows", (json_int_t)info->rows,
		"nodes", (json_int_t)info->nodes, "age", (json_int_t)icp_info_age(info, now),
		"size", (json_int_t)status->size, "readers", readers_json(status));
}

static void print_current(const icp_status_t *status, int64_t now, FILE *out)
{
	const icp_store_info_t *info = &status->info;
	char size[SIZE_TEXT_MAX];
	char age_text[SIZE_TEXT_MAX];
	char as_of[ICP_TIME_TEXT_MAX];
	char created[ICP_TIME_TEXT_MAX];
	char source[ICP_SOURCE_MAX];
	icp_text_escape(source, sizeof source, info->source, strlen(info->source));
	size_format(status->size, size);
	age_format(icp_info_age(info, now), age_text);
	icp_time_format(info->as_of, as_of);
	icp_time_format(info->created_at, created);
	fprintf(out,
		"generation  %" PRIu64 "\n"
		"sequence    %" PRIu64 ", full feed %" PRIu64 "\n"
		"source      %s\n"
		"as of       %s\n"
		"created     %s\n"
		"age         %s\n"
		"rows        %" PRIu64 "\n"
		"nodes       %" PRIu64 "\n"
		"size        %s\n"
		"readers     %u, %u of them with an old snapshot\n",
		info->generation, info->sequence, info->base, source,
		as_of[0] != '\0' ? as_of : "not known", created, age_text, info->rows, info->nodes,
		size, status->readers.slots, status->readers.stale);
}

json_t *icp_report_status_json(const icp_status_t *status, int64_t now)
{
	json_t *object = current_json(status, now);
	json_object_set_new(object, "audit_pending", json_boolean(status->audit_pending));
	json_object_set_new(object, "generations", kept_json(status));
	return object;
}

int icp_report_status(const icp_status_t *status, int64_t now, bool json, FILE *out)
{
	if (json) {
		return print_json(icp_report_status_json(status, now), out);
	}
	if (status->code == ICP_EOK) {
		print_current(status, now, out);
	} else {
		char why[CAUSE_MAX];
		fprintf(out, "CURRENT GENERATION CAN'T BE READ: %s\n",
			cause(why, status->code, &status->diag));
	}
	if (status->audit_pending) {
		fputs("audit log   lines wait for the next load\n", out);
	}
	for (size_t i = 0; i < status->kept_count; i++) {
		print_kept(&status->kept[i], out);
	}
	return ICP_EOK;
}

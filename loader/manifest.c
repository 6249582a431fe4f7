/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/manifest.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/time.h"
#include "core/text.h"

char *icp_manifest_path(const char *feed)
{
	static const char *const suffixes[] = {".gz", ".xz", ".zst"};
	size_t length = strlen(feed);
	for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
		size_t size = strlen(suffixes[i]);
		if (length > size && memcmp(feed + length - size, suffixes[i], size) == 0) {
			length -= size;
			break;
		}
	}
	char *path;
	return asprintf(&path, "%.*s.json", (int)length, feed) < 0 ? NULL : path;
}

/*! NULL when the value is good, else what is wrong with it. */
typedef const char *(*take_t)(icp_manifest_t *manifest, const json_t *value);

static const char *take_kind(icp_manifest_t *manifest, const json_t *value)
{
	static const char *const kinds[] = {"full", "delta"};
	for (size_t i = 0; json_is_string(value) && i < sizeof kinds / sizeof *kinds; i++) {
		if (strcmp(json_string_value(value), kinds[i]) == 0) {
			manifest->kind = kinds[i];
			return NULL;
		}
	}
	return "not \"full\" or \"delta\"";
}

static const char *take_count(uint64_t *count, const json_t *value)
{
	if (!json_is_integer(value) || json_integer_value(value) < 0) {
		return "not an integer from 0 on";
	}
	*count = (uint64_t)json_integer_value(value);
	return NULL;
}

static const char *take_sequence(icp_manifest_t *manifest, const json_t *value)
{
	return take_count(&manifest->sequence, value);
}

static const char *take_rows(icp_manifest_t *manifest, const json_t *value)
{
	return take_count(&manifest->rows, value);
}

static const char *take_as_of(icp_manifest_t *manifest, const json_t *value)
{
	if (!json_is_string(value) ||
		icp_time_parse(&manifest->as_of, json_string_value(value),
			json_string_length(value), ICP_DATE_FIRST) != ICP_EOK) {
		return "not an RFC 3339 time or a date";
	}
	return NULL;
}

static int hex_digit(char character)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *found = character != '\0' ? strchr(digits, character) : NULL;
	return found != NULL ? (int)(found - digits) % 16 : -1;
}

static const char *take_sha256(icp_manifest_t *manifest, const json_t *value)
{
	static const char wrong[] = "not 64 hexadecimal digits";
	if (!json_is_string(value) || json_string_length(value) != 2 * sizeof manifest->sha256) {
		return wrong;
	}
	const char *text = json_string_value(value);
	for (size_t i = 0; i < sizeof manifest->sha256; i++) {
		int high = hex_digit(text[2 * i]);
		int low = hex_digit(text[2 * i + 1]);
		if (high < 0 || low < 0) {
			return wrong;
		}
		manifest->sha256[i] = (uint8_t)(high << 4 | low);
	}
	return NULL;
}

static const struct {
	const char *key;
	take_t take;
} entries[] = {
	{"kind", take_kind},
	{"sequence", take_sequence},
	{"as_of", take_as_of},
	{"rows", take_rows},
	{"sha256", take_sha256},
};

static bool is_known(const char *key)
{
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		if (strcmp(key, entries[i].key) == 0) {
			return true;
		}
	}
	return false;
}

static int take_object(icp_manifest_t *manifest, json_t *object, const char *path, icp_diag_t *diag)
{
	const char *key;
	json_t *value;
	if (!json_is_object(object)) {
		return icp_fail(diag, ICP_EFEED, "%s: not a JSON object", path);
	}
	json_object_foreach(object, key, value)
	{
		if (!is_known(key)) {
			char shown[ICP_SHOWN_TEXT_MAX];
			icp_text_show(shown, key, strlen(key));
			return icp_fail(diag, ICP_EFEED, "%s: %s: key is not known", path, shown);
		}
	}
	for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
		value = json_object_get(object, entries[i].key);
		const char *wrong =
			value != NULL ? entries[i].take(manifest, value) : "key is missing";
		if (wrong != NULL) {
			return icp_fail(diag, ICP_EFEED, "%s: %s: %s", path, entries[i].key, wrong);
		}
	}
	return ICP_EOK;
}

/*! The library's words quote the file. */
static int not_json(const json_error_t *error, const char *path, icp_diag_t *diag)
{
	char shown[ICP_SHOWN_TEXT_MAX];
	if (json_error_code(error) == json_error_out_of_memory) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
	}
	icp_text_show(shown, error->text, strlen(error->text));
	return icp_fail(diag, ICP_EFEED, "%s:%d: %s", path, error->line, shown);
}

int icp_manifest_read(
	icp_manifest_t *manifest, const char *path, bool no_links, bool *found, icp_diag_t *diag)
{
	/* Without O_NONBLOCK a FIFO would hold us until somebody writes. */
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (no_links ? O_NOFOLLOW : 0));
	*found = file >= 0 || errno != ENOENT;
	if (file < 0) {
		return icp_fail(diag, ICP_EFEED, "%s: %s", path, strerror(errno));
	}
	int ret = icp_manifest_read_file(manifest, file, path, diag);
	close(file);
	return ret;
}

int icp_manifest_read_file(icp_manifest_t *manifest, int file, const char *path, icp_diag_t *diag)
{
	json_error_t error;
	json_t *object = json_loadfd(file, JSON_REJECT_DUPLICATES, &error);
	if (object == NULL) {
		return not_json(&error, path, diag);
	}
	int ret = take_object(manifest, object, path, diag);
	json_decref(object);
	return ret;
}

static void digest_text(const uint8_t digest[ICP_SHA256_SIZE], char text[2 * ICP_SHA256_SIZE + 1])
{
	for (size_t i = 0; i < ICP_SHA256_SIZE; i++) {
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	}
}

int icp_manifest_check(const icp_manifest_t *manifest, const char *path, uint64_t rows,
	const uint8_t digest[ICP_SHA256_SIZE], icp_diag_t *diag)
{
	if (memcmp(manifest->sha256, digest, ICP_SHA256_SIZE) != 0) {
		char text[2 * ICP_SHA256_SIZE + 1];
		digest_text(digest, text);
		return icp_fail(diag, ICP_EFEED, "%s: sha256: the feed has %s", path, text);
	}
	if (manifest->rows != rows) {
		return icp_fail(diag, ICP_EFEED,
			"%s: rows: %" PRIu64 " given, the feed has %" PRIu64, path, manifest->rows,
			rows);
	}
	return ICP_EOK;
}

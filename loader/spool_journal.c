/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_journal.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/spool_file.h"

#define TEXT_MAX 4096

static void write_hex(const uint8_t digest[ICP_SHA256_SIZE], char text[2 * ICP_SHA256_SIZE + 1])
{
	for (size_t i = 0; i < ICP_SHA256_SIZE; i++) {
		snprintf(text + 2 * i, 3, "%02x", digest[i]);
	}
}

static bool read_hex(uint8_t digest[ICP_SHA256_SIZE], const char *text)
{
	static const char digits[] = "0123456789abcdef";
	const size_t length = (size_t)2 * ICP_SHA256_SIZE;
	if (strlen(text) != length || strspn(text, digits) != length) {
		return false;
	}
	for (size_t i = 0; i < ICP_SHA256_SIZE; i++) {
		ptrdiff_t high = strchr(digits, text[2 * i]) - digits;
		ptrdiff_t low = strchr(digits, text[2 * i + 1]) - digits;
		digest[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

int icp_spool_journal_write(int directory, const icp_spool_journal_t *journal)
{
	char sha256[2 * ICP_SHA256_SIZE + 1];
	write_hex(journal->sha256, sha256);
	json_t *object =
		journal->what == ICP_SPOOL_LOADING
			? json_pack("{s:s, s:s, s:I, s:I}", "loading", journal->base, "sha256",
				  sha256, "sequence", (json_int_t)journal->sequence, "generation",
				  (json_int_t)journal->generation)
			: json_pack("{s:s, s:s, s:s}", "moving", journal->base, "to",
				  icp_spool_place_name(journal->place), "as", journal->as);
	char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
	json_decref(object);
	if (text == NULL) {
		errno = ENOMEM;
		return -1;
	}
	int rc = icp_spool_write_file(directory, ICP_SPOOL_JOURNAL, text, strlen(text));
	int error = errno;
	free(text);
	errno = error;
	return rc;
}

static bool take_loading(icp_spool_journal_t *journal, json_t *object)
{
	const char *base;
	const char *sha256;
	json_int_t sequence;
	json_int_t generation;
	if (json_unpack(object, "{s:s, s:s, s:I, s:I !}", "loading", &base, "sha256", &sha256,
		    "sequence", &sequence, "generation", &generation) != 0 ||
		sequence < 0 || generation < 0 || !read_hex(journal->sha256, sha256) ||
		!icp_spool_base(base, journal->base) || strcmp(base, journal->base) != 0) {
		return false;
	}
	journal->what = ICP_SPOOL_LOADING;
	journal->sequence = (uint64_t)sequence;
	journal->generation = (uint64_t)generation;
	return true;
}

/*! What a feed is called at its place may be longer than in the spool. */
static bool take_as(icp_spool_journal_t *journal, const char *as)
{
	size_t length = strlen(as);
	if (length < 5 || length >= sizeof journal->as || as[0] == '.' || strchr(as, '/') != NULL ||
		strcmp(as + length - 4, ".csv") != 0) {
		return false;
	}
	memcpy(journal->as, as, length + 1);
	return true;
}

static bool take_moving(icp_spool_journal_t *journal, json_t *object)
{
	const char *base;
	const char *place;
	const char *as;
	if (json_unpack(object, "{s:s, s:s, s:s !}", "moving", &base, "to", &place, "as", &as) !=
			0 ||
		!icp_spool_base(base, journal->base) || strcmp(base, journal->base) != 0 ||
		!take_as(journal, as)) {
		return false;
	}
	journal->what = ICP_SPOOL_MOVING;
	for (int i = 0; i < ICP_SPOOL_PLACES; i++) {
		journal->place = (enum icp_spool_place)i;
		if (strcmp(place, icp_spool_place_name(journal->place)) == 0) {
			return true;
		}
	}
	return false;
}

bool icp_spool_journal_parse(icp_spool_journal_t *journal, const char *text, size_t length)
{
	memset(journal, 0, sizeof *journal);
	json_t *object = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
	bool good = take_loading(journal, object) || take_moving(journal, object);
	json_decref(object);
	return good;
}

bool icp_spool_journal_read(int directory, icp_spool_journal_t *journal)
{
	char text[TEXT_MAX];
	int file = icp_spool_open_file(directory, ICP_SPOOL_JOURNAL);
	if (file < 0) {
		return false;
	}
	ssize_t size = read(file, text, sizeof text);
	close(file);
	return size > 0 && icp_spool_journal_parse(journal, text, (size_t)size);
}

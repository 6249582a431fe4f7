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

static json_t *pack_stamp(const icp_spool_stamp_t *stamp)
{
	return json_pack("[I, I, I, I]", (json_int_t)stamp->inode, (json_int_t)stamp->size,
		(json_int_t)stamp->modified.tv_sec, (json_int_t)stamp->modified.tv_nsec);
}

static bool unpack_stamp(icp_spool_stamp_t *stamp, json_t *array)
{
	json_int_t inode;
	json_int_t size;
	json_int_t seconds;
	json_int_t nanoseconds;
	if (json_unpack(array, "[I, I, I, I !]", &inode, &size, &seconds, &nanoseconds) != 0) {
		return false;
	}
	*stamp = (icp_spool_stamp_t){
		.inode = (ino_t)inode,
		.size = (off_t)size,
		.modified = {.tv_sec = (time_t)seconds, .tv_nsec = (long)nanoseconds},
	};
	return true;
}

static json_t *pack_moving(const icp_spool_journal_t *journal, const char *sha256)
{
	json_t *object = json_pack("{s:s, s:s, s:s}", "moving", journal->base, "to",
		icp_spool_place_name(journal->place), "as", journal->as);
	if (object != NULL && journal->known &&
		(json_object_set_new(object, "sha256", json_string(sha256)) != 0 ||
			json_object_set_new(object, "manifest", pack_stamp(&journal->manifest)) !=
				0 ||
			json_object_set_new(object, "feed", pack_stamp(&journal->feed)) != 0)) {
		json_decref(object);
		return NULL;
	}
	return object;
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
			: pack_moving(journal, sha256);
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

/*! Which feed it is, if that is said. */
static bool take_identity(
	icp_spool_journal_t *journal, const char *sha256, json_t *manifest, json_t *feed)
{
	journal->known = sha256 != NULL || manifest != NULL || feed != NULL;
	return !journal->known || (sha256 != NULL && read_hex(journal->sha256, sha256) &&
					  unpack_stamp(&journal->manifest, manifest) &&
					  unpack_stamp(&journal->feed, feed));
}

static bool take_moving(icp_spool_journal_t *journal, json_t *object)
{
	const char *base;
	const char *place;
	const char *as;
	const char *sha256 = NULL;
	json_t *manifest = NULL;
	json_t *feed = NULL;
	if (json_unpack(object, "{s:s, s:s, s:s, s?s, s?o, s?o !}", "moving", &base, "to", &place,
		    "as", &as, "sha256", &sha256, "manifest", &manifest, "feed", &feed) != 0 ||
		!icp_spool_base(base, journal->base) || strcmp(base, journal->base) != 0 ||
		!icp_spool_base(as, journal->as) || strcmp(as, journal->as) != 0 ||
		!take_identity(journal, sha256, manifest, feed)) {
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

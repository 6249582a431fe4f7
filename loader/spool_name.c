/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_name.h"

#include <stdio.h>
#include <string.h>

#include "core/text.h"

#define CSV ".csv"
#define MANIFEST ".json"

const char *const icp_spool_suffixes[ICP_SPOOL_SUFFIXES] = {"", ".gz", ".xz", ".zst"};

/*! Whether it ends so, and has something before that. */
static bool ends_in(const char *name, size_t length, const char *end)
{
	size_t size = strlen(end);
	return length > size && memcmp(name + length - size, end, size) == 0;
}

static bool is_base(const char *name, size_t length)
{
	return name[0] != '.' && length <= ICP_SPOOL_BASE_MAX && ends_in(name, length, CSV) &&
	       memchr(name, '/', length) == NULL && icp_text_is_utf8(name, length) &&
	       !icp_text_has_control(name, length);
}

enum icp_spool_name icp_spool_name(const char *name, size_t *base)
{
	size_t length = strlen(name);
	if (name[0] == '.' || !ends_in(name, length, CSV MANIFEST)) {
		return ICP_SPOOL_OTHER;
	}
	*base = length - strlen(MANIFEST);
	return is_base(name, *base) ? ICP_SPOOL_MANIFEST : ICP_SPOOL_REFUSED;
}

bool icp_spool_base(const char *name, char base[ICP_SPOOL_BASE_MAX + 1])
{
	size_t length = strlen(name);
	static const char *const ends[] = {MANIFEST, ".gz", ".xz", ".zst"};
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		if (ends_in(name, length, ends[i])) {
			length -= strlen(ends[i]);
			break;
		}
	}
	if (!is_base(name, length)) {
		return false;
	}
	memcpy(base, name, length);
	base[length] = '\0';
	return true;
}

const char *icp_spool_place_name(enum icp_spool_place place)
{
	return place == ICP_SPOOL_DONE ? "done" : "rejected";
}

bool icp_spool_base_in(
	const char *name, enum icp_spool_place *place, char base[ICP_SPOOL_BASE_MAX + 1])
{
	const char *slash = strchr(name, '/');
	*place = ICP_SPOOL_PLACES;
	for (int i = 0; slash != NULL && i < ICP_SPOOL_PLACES; i++) {
		const char *word = icp_spool_place_name((enum icp_spool_place)i);
		if (strncmp(name, word, (size_t)(slash - name)) == 0 &&
			word[slash - name] == '\0') {
			*place = (enum icp_spool_place)i;
			return icp_spool_base(slash + 1, base);
		}
	}
	return icp_spool_base(name, base);
}

void icp_spool_rename(const char *base, const char *mark, char other[ICP_SPOOL_BASE_MAX + 1])
{
	size_t length = strlen(base) - strlen(CSV);
	size_t room = ICP_SPOOL_BASE_MAX - strlen("~" CSV) - strlen(mark);
	if (length > room) {
		length = room;
		/* Not in the midst of a character. */
		while ((base[length] & 0xC0) == 0x80) {
			length--;
		}
	}
	snprintf(other, ICP_SPOOL_BASE_MAX + 1, "%.*s~%s" CSV, (int)length, base, mark);
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/changes.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/error.h"
#include "core/time.h"
#include "core/text.h"

#define SEAL 8
#define FIRST_ROOM ((size_t)4096)
#define CHANGE_MAX (1 + 1 + ICP_NAME_MAX + ICP_ROW_MAX)
#define DOMAIN_LABELS_MIN 2 /*!< The index has no place for less. */

_Static_assert(FIRST_ROOM >= SEAL, "the seal has room from the start on");

struct icp_changes {
	uint8_t *octets; /*!< The stored form; its seal is up to date if sealed. */
	size_t length;
	size_t room;
	size_t count;
	uint64_t *lines; /*!< Of as many changes as there is room for. */
	size_t lines_room;
	bool sealed;
};

static icp_changes_t *create(size_t room)
{
	icp_changes_t *changes = calloc(1, sizeof *changes);
	if (changes == NULL) {
		return NULL;
	}
	changes->octets = malloc(room);
	if (changes->octets == NULL) {
		free(changes);
		return NULL;
	}
	changes->room = room;
	changes->length = SEAL;
	return changes;
}

icp_changes_t *icp_changes_create(void)
{
	return create(FIRST_ROOM);
}

void icp_changes_destroy(icp_changes_t *changes)
{
	if (changes != NULL) {
		free(changes->octets);
		free(changes->lines);
		free(changes);
	}
}

/*! Makes room for the longest change. */
static int grow(icp_changes_t *changes)
{
	if (changes->room - changes->length >= CHANGE_MAX) {
		return ICP_EOK;
	}
	size_t room = 2 * changes->room + CHANGE_MAX;
	uint8_t *octets = realloc(changes->octets, room);
	if (octets == NULL) {
		return ICP_ENOMEM;
	}
	changes->octets = octets;
	changes->room = room;
	return ICP_EOK;
}

static int put_line(icp_changes_t *changes, uint64_t line)
{
	if (changes->count >= changes->lines_room) {
		size_t room = 2 * changes->count + 64;
		uint64_t *lines = realloc(changes->lines, room * sizeof *lines);
		if (lines == NULL) {
			return ICP_ENOMEM;
		}
		memset(lines + changes->lines_room, 0,
			(room - changes->lines_room) * sizeof *lines);
		changes->lines = lines;
		changes->lines_room = room;
	}
	changes->lines[changes->count] = line;
	return ICP_EOK;
}

static uint8_t *put_text(uint8_t *out, const void *text, size_t length)
{
	assert(length > 0 && length <= UINT8_MAX);
	*out++ = (uint8_t)length;
	memcpy(out, text, length);
	return out + length;
}

int icp_changes_add(icp_changes_t *changes, const icp_change_t *change)
{
	if (grow(changes) != ICP_EOK || put_line(changes, change->line) != ICP_EOK) {
		return ICP_ENOMEM;
	}
	uint8_t *at = changes->octets + changes->length;
	*at++ = (uint8_t)change->op;
	if (change->op == ICP_OP_DEREGISTER_ENTITY) {
		at = put_text(at, change->row.number, change->row.number_length);
	} else {
		at = put_text(at, change->name.wire, change->name.length);
		if (change->op == ICP_OP_DELETE) {
			at = put_text(at, change->row.provider, change->row.provider_length);
		} else {
			at += icp_row_encode(&change->row, at);
		}
	}
	changes->length = (size_t)(at - changes->octets);
	changes->count++;
	changes->sealed = false;
	return ICP_EOK;
}

size_t icp_changes_count(const icp_changes_t *changes)
{
	return changes->count;
}

uint64_t icp_changes_line(const icp_changes_t *changes, size_t position)
{
	return position < changes->lines_room ? changes->lines[position] : 0;
}

/*! What is left to read. */
typedef struct {
	const uint8_t *at;
	size_t left;
} cursor_t;

static void skip(cursor_t *cursor, size_t octets)
{
	cursor->at += octets;
	cursor->left -= octets;
}

static bool take_text(cursor_t *cursor, const uint8_t **text, uint8_t *length)
{
	if (cursor->left == 0 || *cursor->at == 0 || *cursor->at > cursor->left - 1) {
		return false;
	}
	*length = *cursor->at;
	*text = cursor->at + 1;
	skip(cursor, 1 + (size_t)*length);
	return true;
}

static bool take_name(cursor_t *cursor, icp_change_t *change)
{
	icp_row_t *row = &change->row;
	if (!take_text(cursor, &row->domain, &row->domain_length) ||
		icp_name_from_stored(&change->name, row->domain, row->domain_length) != ICP_EOK) {
		return false;
	}
	row->labels = change->name.labels;
	return row->labels >= DOMAIN_LABELS_MIN;
}

static bool take_provider(cursor_t *cursor, icp_row_t *row)
{
	const uint8_t *text;
	if (!take_text(cursor, &text, &row->provider_length)) {
		return false;
	}
	row->provider = (const char *)text;
	return icp_provider_valid(row->provider, row->provider_length);
}

static bool number_valid(const icp_row_t *row)
{
	return row->number_length <= ICP_NUMBER_MAX &&
	       icp_text_is_utf8(row->number, row->number_length);
}

static bool take_number(cursor_t *cursor, icp_row_t *row)
{
	const uint8_t *text;
	if (!take_text(cursor, &text, &row->number_length)) {
		return false;
	}
	row->number = (const char *)text;
	return number_valid(row);
}

static bool take_row(cursor_t *cursor, icp_row_t *row)
{
	size_t octets = icp_row_decode(row, cursor->at, cursor->left);
	skip(cursor, octets);
	return octets > 0 && number_valid(row);
}

static bool take_change(cursor_t *cursor, icp_change_t *change)
{
	uint8_t op = *cursor->at;
	change->op = (enum icp_op)op;
	change->name.length = 0;
	change->name.labels = 0;
	change->line = 0;
	change->row = (icp_row_t){.approved_at = ICP_TIME_NONE,
		.expires_at = ICP_TIME_NONE,
		.rectify_by = ICP_TIME_NONE};
	skip(cursor, 1);
	switch (op) {
	case ICP_OP_UPSERT:
		return take_name(cursor, change) && take_row(cursor, &change->row);
	case ICP_OP_DELETE:
		return take_name(cursor, change) && take_provider(cursor, &change->row);
	case ICP_OP_DEREGISTER_ENTITY:
		return take_number(cursor, &change->row);
	default:
		return false;
	}
}

int icp_changes_next(const icp_changes_t *changes, size_t *at, icp_change_t *change)
{
	size_t start = SEAL + *at;
	cursor_t cursor = {changes->octets + start, changes->length - start};
	if (cursor.left == 0) {
		return 0;
	}
	if (!take_change(&cursor, change)) {
		return ICP_EDAMAGED;
	}
	*at = changes->length - cursor.left - SEAL;
	return 1;
}

static void write_seal(uint8_t seal[SEAL], const uint8_t *octets, size_t length)
{
	uint64_t hash = XXH3_64bits(octets, length);
	for (size_t i = 0; i < SEAL; i++) {
		seal[i] = (uint8_t)(hash >> 8 * i);
	}
}

const uint8_t *icp_changes_stored(icp_changes_t *changes, size_t *length)
{
	if (!changes->sealed) {
		write_seal(changes->octets, changes->octets + SEAL, changes->length - SEAL);
		changes->sealed = true;
	}
	*length = changes->length;
	return changes->octets;
}

/*! Counts the changes, which checks them. */
static int count_all(icp_changes_t *changes)
{
	icp_change_t change;
	size_t at = 0;
	int ret;
	while ((ret = icp_changes_next(changes, &at, &change)) == 1) {
		changes->count++;
	}
	return ret;
}

int icp_changes_from_stored(icp_changes_t **changes, const uint8_t *stored, size_t length)
{
	uint8_t seal[SEAL];
	if (length < SEAL) {
		return ICP_EDAMAGED;
	}
	write_seal(seal, stored + SEAL, length - SEAL);
	if (memcmp(seal, stored, SEAL) != 0) {
		return ICP_EDAMAGED;
	}
	icp_changes_t *copy = create(length);
	if (copy == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(copy->octets, stored, length);
	copy->length = length;
	copy->sealed = true;
	int ret = count_all(copy);
	if (ret != ICP_EOK) {
		icp_changes_destroy(copy);
		return ret;
	}
	*changes = copy;
	return ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config_type.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/name.h"
#include "core/row.h"

#define DIGITS_MAX 9 /* Fit in 32 bits, whatever they are. */

typedef struct block {
	struct block *next;
	max_align_t data[];
} block_t;

void *icp_arena_take(icp_arena_t **arena, size_t octets)
{
	block_t *block = calloc(1, sizeof *block + octets);
	if (block == NULL) {
		return NULL;
	}
	block->next = *arena;
	*arena = block;
	return block->data;
}

void icp_arena_free(icp_arena_t **arena)
{
	block_t *block = *arena;
	while (block != NULL) {
		block_t *next = block->next;
		free(block);
		block = next;
	}
	*arena = NULL;
}

/* All enumerations are written through an int. */
_Static_assert(sizeof(enum icp_status) == sizeof(int), "an enumeration is as wide as an int");

int icp_read_word(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)arena;
	(void)why;
	for (const icp_word_t *word = type->words; word->word != NULL; word++) {
		if (strlen(word->word) == value->length &&
			memcmp(word->word, value->text, value->length) == 0) {
			memcpy(place, &word->value, sizeof word->value);
			return ICP_EOK;
		}
	}
	return ICP_EINVAL;
}

/* Decimal digits without a leading zero. That means octal to YAML 1.1 and nothing to YAML 1.2:
 * nobody shall guess. */
static bool take_digits(const char *text, size_t length, uint32_t *number)
{
	if (length == 0 || length > DIGITS_MAX || (length > 1 && text[0] == '0') ||
		strspn(text, "0123456789") < length) {
		return false;
	}
	*number = (uint32_t)strtoul(text, NULL, 10);
	return true;
}

int icp_read_number(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)arena;
	if (!value->plain) {
		*why = "a number has no quotes";
		return ICP_EINVAL;
	}
	uint32_t number;
	if (!take_digits(value->text, value->length, &number) || number < type->min ||
		number > type->max) {
		return ICP_EINVAL;
	}
	memcpy(place, &number, sizeof number);
	return ICP_EOK;
}

static uint32_t unit_seconds(char unit)
{
	switch (unit) {
	case 's':
		return 1;
	case 'm':
		return 60;
	case 'h':
		return 3600;
	case 'd':
		return 86400;
	default:
		return 0;
	}
}

int icp_read_duration(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)arena;
	uint32_t number;
	uint32_t unit = value->length > 0 ? unit_seconds(value->text[value->length - 1]) : 0;
	if (unit == 0 && take_digits(value->text, value->length, &number)) {
		*why = "the unit is missing";
		return ICP_EINVAL;
	}
	if (unit == 0 || !take_digits(value->text, value->length - 1, &number)) {
		return ICP_EINVAL;
	}
	uint64_t seconds = (uint64_t)number * unit;
	if (seconds < type->min || seconds > type->max) {
		return ICP_EINVAL;
	}
	number = (uint32_t)seconds;
	memcpy(place, &number, sizeof number);
	return ICP_EOK;
}

static int copy_text(const icp_yaml_value_t *value, void *place, icp_arena_t **arena)
{
	char *copy = icp_arena_take(arena, value->length + 1);
	if (copy == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(copy, value->text, value->length);
	memcpy(place, &copy, sizeof copy);
	return ICP_EOK;
}

/* That it is UTF-8 the parser has seen to. */
int icp_read_text(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	if (value->length < type->min || value->length > type->max) {
		return ICP_EINVAL;
	}
	for (size_t i = 0; i < value->length; i++) {
		if (icp_yaml_is_control(value->text + i, value->length - i)) {
			*why = "a control character";
			return ICP_EINVAL;
		}
	}
	return copy_text(value, place, arena);
}

int icp_read_url(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	const icp_word_t *word = type->words;
	while (word->word != NULL &&
		(value->length <= strlen(word->word) ||
			strncasecmp(value->text, word->word, strlen(word->word)) != 0)) {
		word++;
	}
	if (word->word == NULL || value->length > type->max) {
		return ICP_EINVAL;
	}
	for (size_t i = 0; i < value->length; i++) {
		/* Of other characters RFC 3986 wants the form with percent signs, but for "'": that
		 * would end an attribute of HTML. */
		if (value->text[i] <= ' ' || value->text[i] > '~' ||
			strchr("\"'<>\\^`{|}", value->text[i]) != NULL) {
			*why = "a character that must be percent-encoded";
			return ICP_EINVAL;
		}
	}
	return copy_text(value, place, arena);
}

int icp_read_provider(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)why;
	if (!icp_provider_valid(value->text, value->length)) {
		return ICP_EINVAL;
	}
	return copy_text(value, place, arena);
}

static int read_address(const icp_yaml_value_t *value, uint8_t family, icp_address_t *place)
{
	icp_address_t address;
	if (icp_address_parse(&address, value->text, value->length) != ICP_EOK ||
		address.family != family) {
		return ICP_EINVAL;
	}
	/* No client would get anywhere with an IPv4-mapped address. */
	if (icp_address_unmap(&address, NULL, 0).family != family) {
		return ICP_EINVAL;
	}
	*place = address;
	return ICP_EOK;
}

int icp_read_ipv4(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)arena;
	(void)why;
	return read_address(value, 4, place);
}

int icp_read_ipv6(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)arena;
	(void)why;
	return read_address(value, 6, place);
}

int icp_read_endpoint(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)arena;
	(void)why;
	return icp_endpoint_parse(place, value->text, value->length);
}

int icp_read_endpoint_or_none(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	static const char none[] = "none";
	if (value->length == strlen(none) && memcmp(value->text, none, strlen(none)) == 0) {
		memset(place, 0, sizeof(icp_endpoint_t));
		return ICP_EOK;
	}
	return icp_read_endpoint(type, value, place, arena, why);
}

int icp_read_name(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)arena;
	return icp_name_parse(place, value->text, value->length, why);
}

int icp_read_nat64(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why)
{
	(void)type;
	(void)arena;
	(void)why;
	icp_prefix_t *prefix = place;
	if (icp_prefix_parse(prefix, value->text, value->length) != ICP_EOK ||
		prefix->address.family != 6) {
		return ICP_EINVAL;
	}
	bool usable = prefix->length == 96 ||
		      (prefix->length >= 32 && prefix->length <= 64 && prefix->length % 8 == 0);
	return usable ? ICP_EOK : ICP_EINVAL;
}

void icp_type_describe(const icp_type_t *type, char out[ICP_ALLOWED_MAX])
{
	size_t used = 0;
	if (type->words != NULL && type->allowed != NULL) {
		used = (size_t)snprintf(out, ICP_ALLOWED_MAX, "%s", type->allowed);
	}
	size_t first = used;
	if (type->words == NULL && type->max == 0) {
		snprintf(out, ICP_ALLOWED_MAX, "%s", type->allowed);
		return;
	}
	if (type->words == NULL) {
		snprintf(out, ICP_ALLOWED_MAX, "%u to %u %s", type->min, type->max, type->allowed);
		return;
	}
	for (const icp_word_t *word = type->words; word->word != NULL; word++) {
		used += (size_t)snprintf(out + used, ICP_ALLOWED_MAX - used, "%s%s",
			used == first ? "" : ", ", word->word);
	}
}

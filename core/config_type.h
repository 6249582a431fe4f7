/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * The types of the configuration's values: how a scalar of the file becomes a C value, and how to
 * tell an operator what is allowed. Knows no key; what is read goes into an arena.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/config_yaml.h"

#define ICP_ALLOWED_MAX 256 /*!< Octets of the phrase of icp_type_describe, with its NUL. */

/*! Allocations that are freed together; NULL is an empty one. */
typedef void icp_arena_t;

/*! \brief Takes zeroed octets, aligned for any type; NULL when memory is out. */
void *icp_arena_take(icp_arena_t **arena, size_t octets);

/*! \brief Frees all that was taken, and sets the arena to NULL. */
void icp_arena_free(icp_arena_t **arena);

typedef struct {
	const char *word;
	int value;
} icp_word_t;

typedef struct icp_type icp_type_t;

/*!
 * \brief Reads a scalar.
 * \param place  a variable of the type that the function names
 * \param why    may be set to a constant phrase on ICP_EINVAL
 * \retval ICP_EOK, ICP_EINVAL, ICP_ENOMEM
 */
typedef int (*icp_type_read_t)(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

struct icp_type {
	icp_type_read_t read;
	const icp_word_t *words; /*!< For icp_read_word and icp_read_url; a NULL word at the end. */
	uint32_t min, max;       /*!< Of a number, or of the octets of a text; else zero. */
	const char *allowed;     /*!< What a value is; after "MIN to MAX" if these are set. */
};

/*! \brief One of the type's words, into an int or an enumeration. */
int icp_read_word(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief Decimal digits in the type's range, not quoted, into a uint32_t. */
int icp_read_number(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*!
 * \brief A number with s, m, h or d behind it, quoted or not, into a uint32_t: the seconds, which
 * lie in the type's range.
 */
int icp_read_duration(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief UTF-8 without control characters, its length in the type's range, into a char *. */
int icp_read_text(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*!
 * \brief A URL that begins with one of the type's words, into a char *. It holds nothing that would
 *        end an attribute of HTML or a header's <...>.
 */
int icp_read_url(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief A provider's slug, into a char *. */
int icp_read_provider(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief Into an icp_address_t. */
int icp_read_ipv4(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief Into an icp_address_t; an IPv4-mapped address is refused. */
int icp_read_ipv6(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief "address:port", an IPv6 address in brackets, into an icp_endpoint_t. */
int icp_read_endpoint(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief Likewise, or "none": the address then has family 0. */
int icp_read_endpoint_or_none(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief A domain name of any number of labels, into an icp_name_t. */
int icp_read_name(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief A prefix with a length of RFC 6052, into an icp_prefix_t. */
int icp_read_nat64(const icp_type_t *type, const icp_yaml_value_t *value, void *place,
	icp_arena_t **arena, const char **why);

/*! \brief Writes what is allowed: "enforce, monitor", "1 to 86400 seconds", "an IPv4 address". */
void icp_type_describe(const icp_type_t *type, char out[ICP_ALLOWED_MAX]);

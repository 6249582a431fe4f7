/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What ranges.c, which finds, and ranges_survey.c, which turns an MMDB into lists, share.
 *
 * The tree is turned into ordered lists of ranges, each from its first address to the next range's,
 * of which neighbours differ in what they say. A real country database has a thousand times more
 * nodes than ranges that differ in whether they are mainland, so the lists stay in the processor's
 * caches, and the file need not be open.
 *
 * The place of a range is its number in `places`; the first says nothing. An IPv6 range under which
 * the tree of IPv4 hangs once more, as of 6to4, has ICP_RANGES_ALIAS and the bits above in its
 * stead.
 */
#pragma once

#include <stdatomic.h>
#include <sys/stat.h>

#include "core/ranges.h"

#define ICP_RANGES_ALIAS (UINT32_C(1) << 31)

enum { ICP_IPV4_BITS = 32, ICP_IPV6_BITS = 128 };

/*! Bits of an IPv6 tree above the one of IPv4, which hangs under zeros. */
#define ICP_IPV4_AT (ICP_IPV6_BITS - ICP_IPV4_BITS)

/*! The high bits of an IPv4 address lead to the part of the list where it is searched. */
#define ICP_TOP_BITS 14
#define ICP_TOP_SHIFT (ICP_IPV4_BITS - ICP_TOP_BITS)
#define ICP_TOPS ((1U << ICP_TOP_BITS) + 1)

typedef struct {
	uint32_t provider; /* Where it begins in the names. */
	bool mainland;
	uint8_t provider_length;
} icp_says_t;

typedef struct {
	uint32_t first;
	uint32_t place;
} icp_range4_t;

typedef struct {
	uint64_t first[2];
	uint32_t place;
} icp_range6_t;

/* A list that grows. */
typedef struct {
	void *items;
	size_t count;
	size_t room;
} icp_list_t;

struct icp_ranges {
	const icp_config_t *config;
	struct stat file;
	atomic_uint references;
	icp_list_t ipv4; /* Of icp_range4_t; its first range begins at the first address of all. */
	icp_list_t ipv6; /* Of icp_range6_t, likewise; empty in a database of IPv4. */
	icp_list_t places;       /* Of icp_says_t. */
	icp_list_t names;        /* Of char: providers. */
	uint32_t tops[ICP_TOPS]; /* The range of the first address with these bits. */
};

static inline const icp_says_t *icp_says_of(const icp_ranges_t *ranges, uint32_t place)
{
	return (const icp_says_t *)ranges->places.items + place;
}

static inline const char *icp_says_name(const icp_ranges_t *ranges, const icp_says_t *says)
{
	return (const char *)ranges->names.items + says->provider;
}

/*!
 * \brief Reads config->ranges.database into the lists, which are empty.
 * \retval ICP_EOK, ICP_ERANGES, ICP_ENOMEM
 */
int icp_ranges_survey(icp_ranges_t *ranges, icp_diag_t *diag);

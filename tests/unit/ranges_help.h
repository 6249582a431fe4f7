/* SPDX-License-Identifier: BSD-3-Clause */
/*! What the tests of reading range databases share. */
#pragma once

#include "tests/unit/mmdb_craft.h"

#include "core/ranges.h"

static inline icp_config_t config_of(char *database)
{
	icp_config_t config = {.ranges = {.database = database,
				       .mainland_path = {"country", "iso_code"},
				       .mainland_equals = (char *)"CN",
				       .provider_path = {"provider"}}};
	return config;
}

static inline void assert_refused(const icp_config_t *config, const char *said)
{
	icp_ranges_t *ranges;
	icp_diag_t diag = {""};
	assert_int_equal(icp_ranges_open(&ranges, config, &diag), ICP_ERANGES);
	assert_memory_equal(diag.text, config->ranges.database, strlen(config->ranges.database));
	assert_non_null(strstr(diag.text, said));
}

static inline void assert_place(
	const icp_ranges_t *ranges, const char *text, bool mainland, const char *provider)
{
	icp_place_t place;
	icp_address_t address = address_of(text);
	icp_ranges_find(ranges, &address, &place);
	assert_int_equal(place.mainland, mainland);
	assert_int_equal(place.provider_length, strlen(provider));
	assert_memory_equal(
		place.provider_length > 0 ? place.provider : "", provider, place.provider_length);
}

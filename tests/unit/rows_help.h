/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Rows and indexes for tests, out of short text: "DOMAIN PROVIDER STATUS [NUMBER]", one a line.
 */
#pragma once

#include <assert.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/time.h"
#include "loader/index.h"

/*! A row with the memory that it leads into. */
typedef struct {
	icp_name_t name;
	char provider[ICP_PROVIDER_MAX + 1];
	char number[ICP_NUMBER_MAX + 1];
	icp_row_t row;
} sample_row_t;

/*! Reads a line; times of the statuses that need one lie around 1000. */
static inline void sample_row(sample_row_t *sample, const char *line)
{
	char domain[256];
	char status[32];
	enum icp_status number = ICP_STATUS_COUNT;
	sample->number[0] = '\0';
	assert_true(sscanf(line, "%255s %32s %31s %128s", domain, sample->provider, status,
			    sample->number) >= 3);
	assert_int_equal(icp_name_parse(&sample->name, domain, strlen(domain), NULL), ICP_EOK);
	assert_int_equal(icp_status_parse(&number, status, strlen(status)), ICP_EOK);
	sample->row = (icp_row_t){
		.domain = sample->name.wire,
		.domain_length = sample->name.length,
		.labels = sample->name.labels,
		.provider = sample->provider,
		.provider_length = (uint8_t)strlen(sample->provider),
		.number = sample->number,
		.number_length = (uint8_t)strlen(sample->number),
		.status = (uint8_t)number,
		.approved_at = number == ICP_TRANSFER_PREAPPROVED ? 900 : ICP_TIME_NONE,
		.expires_at = number == ICP_TRANSFER_PREAPPROVED ? 1100 : ICP_TIME_NONE,
		.rectify_by = number == ICP_RECTIFYING ? 1000 : ICP_TIME_NONE,
	};
}

/*! A sorted index of the lines of a text. */
static inline icp_index_t *sample_index(const char *text)
{
	icp_index_t *index = icp_index_create();
	icp_index_counts_t counts;
	icp_bad_t bad = {.total = 0};
	uint64_t line = 0;
	assert_non_null(index);
	for (const char *at = text; *at != '\0'; at += strcspn(at, "\n") + 1) {
		sample_row_t sample;
		sample_row(&sample, at);
		assert_int_equal(icp_index_add(index, &sample.name, &sample.row, ++line), ICP_EOK);
	}
	assert_int_equal(icp_index_sort(index, &bad, &counts), ICP_EOK);
	assert_int_equal(bad.total, 0);
	return index;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of range databases share: a directory of their own, a look into a database by
 * libmaxminddb alone, and arithmetic of prefixes.
 */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <maxminddb.h>
#include <unistd.h>

#include "core/address.h"
#include "core/error.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define IN_FILES(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

/*! A directory of the test's own. */
typedef struct {
	char dir[DIR_MAX];
	char csv[256];
	char out[256];
	char other[256];
} files_t;

static inline int set_up(void **state)
{
	files_t *files = calloc(1, sizeof *files);
	assert_non_null(files);
	make_dir(files->dir, "mmdb");
	snprintf(files->csv, sizeof files->csv, "%s/in.csv", files->dir);
	snprintf(files->out, sizeof files->out, "%s/out.mmdb", files->dir);
	snprintf(files->other, sizeof files->other, "%s/other", files->dir);
	*state = files;
	return 0;
}

/*! Counts what is in the directory. */
static inline unsigned count_files(const files_t *files)
{
	unsigned count = 0;
	DIR *dir = opendir(files->dir);
	assert_non_null(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		count += entry->d_name[0] != '.';
	}
	closedir(dir);
	return count;
}

static inline int tear_down(void **state)
{
	files_t *files = *state;
	int rc = remove_dir(files->dir);
	free(files);
	return rc;
}

/*! The caller frees it. */
static inline uint8_t *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "r");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*size = (size_t)ftell(file);
	rewind(file);
	uint8_t *octets = malloc(*size + 1);
	assert_non_null(octets);
	assert_int_equal(fread(octets, 1, *size, file), *size);
	fclose(file);
	return octets;
}

static inline void assert_same_files(const char *a, const char *b)
{
	size_t a_size;
	size_t b_size;
	uint8_t *a_octets = read_file(a, &a_size);
	uint8_t *b_octets = read_file(b, &b_size);
	assert_int_equal(a_size, b_size);
	assert_memory_equal(a_octets, b_octets, a_size);
	free(a_octets);
	free(b_octets);
}

static inline icp_prefix_t prefix_of(const char *text)
{
	icp_prefix_t prefix = {0};
	assert_int_equal(icp_prefix_parse(&prefix, text, strlen(text)), ICP_EOK);
	return prefix;
}

static inline icp_address_t address_of(const char *text)
{
	icp_address_t address = {0};
	assert_int_equal(icp_address_parse(&address, text, strlen(text)), ICP_EOK);
	return address;
}

/*! What the database says of an address: "CN qcloud", "CN", or "-". */
static inline const char *look(const MMDB_s *db, const icp_address_t *address, char text[64])
{
	int no_address;
	int error;
	icp_address_format(address, text);
	MMDB_lookup_result_s found = MMDB_lookup_string(db, text, &no_address, &error);
	assert_int_equal(no_address, 0);
	assert_int_equal(error, MMDB_SUCCESS);
	if (!found.found_entry) {
		return strcpy(text, "-");
	}
	MMDB_entry_data_s data;
	assert_int_equal(MMDB_get_value(&found.entry, &data, "country", "iso_code", NULL), 0);
	int length = snprintf(text, 64, "%.*s", (int)data.data_size, data.utf8_string);
	if (MMDB_get_value(&found.entry, &data, "provider", NULL) == MMDB_SUCCESS) {
		snprintf(text + length, 64 - (size_t)length, " %.*s", (int)data.data_size,
			data.utf8_string);
	}
	return text;
}

/*! The next address up or down; false when there is none. */
static inline bool step(icp_address_t *address, bool up)
{
	size_t i = address->family == 4 ? 4 : 16;
	while (i-- > 0) {
		address->bytes[i] += up ? 1 : 0xff;
		if (address->bytes[i] != (up ? 0 : 0xff)) {
			return true;
		}
	}
	return false;
}

/*! Cuts an address down to a prefix of a length. */
static inline icp_prefix_t cut(icp_address_t address, unsigned length)
{
	unsigned bits = address.family == 4 ? 32 : 128;
	for (unsigned bit = length; bit < bits; bit++) {
		address.bytes[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
	}
	return (icp_prefix_t){.address = address, .length = (uint8_t)length};
}

static inline icp_address_t last_of(const icp_prefix_t *prefix)
{
	icp_address_t address = prefix->address;
	unsigned bits = address.family == 4 ? 32 : 128;
	for (unsigned bit = prefix->length; bit < bits; bit++) {
		address.bytes[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	}
	return address;
}

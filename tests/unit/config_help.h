/* SPDX-License-Identifier: BSD-3-Clause */
/*! What the tests of configurations share: a file to write, and what is said of it. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/config.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define SIZE_LIMIT 1048576 /*!< Octets of a configuration file. */

static char directory[] = "/tmp/icpgate-config-XXXXXX";
static char file[sizeof directory + sizeof "/c.conf"];

static inline int make_directory(void **state)
{
	(void)state;
	if (mkdtemp(directory) == NULL) {
		return -1;
	}
	snprintf(file, sizeof file, "%s/c.conf", directory);
	return 0;
}

static inline int remove_directory(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(directory);
}

/* Loads the file; whatever the error, the configuration must stay as it was. */
static inline int load(icp_config_t *config, const char *path, icp_diag_t *diag)
{
	icp_config_t before;
	memset(&before, 0x5a, sizeof before);
	memcpy(config, &before, sizeof before);
	*diag = (icp_diag_t){""};
	int rc = icp_config_load(config, path, diag);
	if (rc != ICP_EOK) {
		assert_memory_equal(config, &before, sizeof before);
		assert_string_not_equal(diag->text, "");
		assert_null(strchr(diag->text, '\n'));
	}
	return rc;
}

static inline icp_config_t load_good(const char *content)
{
	icp_config_t config;
	icp_diag_t diag;
	write_octets(file, content, strlen(content));
	if (load(&config, file, &diag) != ICP_EOK) {
		fail_msg("%s", diag.text);
	}
	return config;
}

static inline void expect_error(
	const char *shows, const char *content, size_t length, const char *want)
{
	icp_config_t config;
	icp_diag_t diag;
	write_octets(file, content, length);
	int rc = load(&config, file, &diag);
	if (rc != ICP_ECONFIG) {
		fail_msg("%s: code %d", shows, rc);
	}
	size_t name = strlen(file);
	if (strncmp(diag.text, file, name) != 0 || strcmp(diag.text + name, want) != 0) {
		fail_msg("%s:\n got %s\nwant %s%s", shows, diag.text, file, want);
	}
}

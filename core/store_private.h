/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What store.c and reader.c share.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "core/directory.h"
#include "core/store.h"

struct icp_store {
	atomic_uint references;
	atomic_bool spoilt;
	bool slotless; /*!< Opened without LMDB's lock file. */
	struct MDB_env *env;
	uint8_t *map; /*!< Of our own, as LMDB does not tell where its map is. */
	size_t map_size;
	size_t page_size;
	char *current; /*!< Path of the link it was opened by; NULL when opened by its file. */
	pthread_mutex_t lock;
	icp_directory_t *directory; /*!< Of the last commit that has one; under the lock. */
};

/*! \brief Translates LMDB's codes. */
int icp_store_from_lmdb(int rc);

/*! \brief Looks at the open file. */
bool icp_store_stat(const icp_store_t *store, struct stat *st);

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What the tests of core/pages.h share: environments that LMDB writes, and their octets in memory
 * that ends where the file ends, so that a sanitizer sees every read outside.
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

#include <lmdb.h>
#include <unistd.h>

#include "core/error.h"
#include "core/pages.h"
#include "tests/unit/dir_help.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define MAP_OCTETS ((size_t)256 << 20)
#define VALUE_MAX 20000

/*! A file in a directory of its own, and how it is being written. */
typedef struct {
	char dir[DIR_MAX];
	char path[256];
	MDB_env *env;
	MDB_txn *txn;
	uint64_t state; /*!< Of the random numbers. */
} world_t;

/*! The octets of a file; freed by drop_image. */
typedef struct {
	uint8_t *octets;
	size_t size;
	icp_pages_t pages; /*!< The last commit. */
	unsigned slot;     /*!< Its meta page. */
} image_t;

/*! splitmix64. */
static inline uint64_t draw(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static inline void open_world(world_t *world)
{
	*world = (world_t){.state = 1};
	make_dir(world->dir, "pages");
	snprintf(world->path, sizeof world->path, "%s/e.mdb", world->dir);
	assert_int_equal(mdb_env_create(&world->env), 0);
	assert_int_equal(mdb_env_set_mapsize(world->env, MAP_OCTETS), 0);
	assert_int_equal(mdb_env_set_maxdbs(world->env, 8), 0);
	assert_int_equal(
		mdb_env_open(world->env, world->path, MDB_NOSUBDIR | MDB_NOSYNC | MDB_NOTLS, 0600),
		0);
}

static inline void close_world(world_t *world)
{
	char lock[300];
	mdb_env_close(world->env);
	snprintf(lock, sizeof lock, "%s-lock", world->path);
	assert_int_equal(unlink(lock), 0);
	assert_int_equal(unlink(world->path), 0);
	assert_int_equal(rmdir(world->dir), 0);
}

static inline void begin(world_t *world)
{
	assert_int_equal(mdb_txn_begin(world->env, NULL, 0, &world->txn), 0);
}

static inline void commit(world_t *world)
{
	assert_int_equal(mdb_txn_commit(world->txn), 0);
}

static inline MDB_dbi database(world_t *world, const char *name, unsigned flags)
{
	MDB_dbi dbi;
	assert_int_equal(mdb_dbi_open(world->txn, name, flags | MDB_CREATE, &dbi), 0);
	return dbi;
}

/*! Puts an entry whose data tells where it belongs. */
static inline void put(world_t *world, MDB_dbi dbi, uint64_t number, size_t size)
{
	MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
	MDB_val data = {.mv_size = size};
	assert_true(size <= VALUE_MAX);
	assert_int_equal(mdb_put(world->txn, dbi, &key, &data, MDB_RESERVE), 0);
	memset(data.mv_data, (int)(number % 251), size);
}

static inline void put_text(world_t *world, MDB_dbi dbi, const char *name, const char *text)
{
	MDB_val key = {.mv_size = strlen(name), .mv_data = (void *)name};
	MDB_val data = {.mv_size = strlen(text), .mv_data = (void *)text};
	assert_int_equal(mdb_put(world->txn, dbi, &key, &data, 0), 0);
}

static inline void delete (world_t *world, MDB_dbi dbi, uint64_t number)
{
	MDB_val key = {.mv_size = sizeof number, .mv_data = &number};
	int rc = mdb_del(world->txn, dbi, &key, NULL);
	assert_true(rc == 0 || rc == MDB_NOTFOUND);
}

/*! Reads the meta pages of an image again. False: the last commit's is none. */
static inline bool read_meta(image_t *image, unsigned slot)
{
	image->slot = slot;
	size_t at = slot * (size_t)sysconf(_SC_PAGESIZE);
	int ret = icp_pages_meta(&image->pages, image->octets + at, slot, image->size);
	image->pages.map = image->octets;
	return ret == ICP_EOK;
}

static inline image_t take_image(const world_t *world)
{
	image_t image;
	uint64_t txn;
	FILE *file = fopen(world->path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	image.size = (size_t)ftell(file);
	rewind(file);
	image.octets = malloc(image.size);
	assert_non_null(image.octets);
	assert_int_equal(fread(image.octets, 1, image.size, file), image.size);
	fclose(file);
	assert_true(read_meta(&image, 0));
	txn = image.pages.txn;
	assert_true(read_meta(&image, 1));
	if (txn > image.pages.txn) {
		assert_true(read_meta(&image, 0));
	}
	return image;
}

static inline void drop_image(image_t *image)
{
	free(image->octets);
}

static inline icp_tree_t named_tree(const image_t *image, const char *name)
{
	icp_tree_t tree;
	assert_int_equal(icp_pages_tree(&image->pages, name, &tree), 1);
	return tree;
}

/*! As generations are: of few entries, or of many and on several pages. */
static inline void make(world_t *world, unsigned buckets_count, size_t most)
{
	open_world(world);
	for (unsigned round = 0; round < 3; round++) {
		begin(world);
		MDB_dbi meta = database(world, "meta", 0);
		MDB_dbi buckets = database(world, "buckets", MDB_INTEGERKEY);
		MDB_dbi deltas = database(world, "deltas", MDB_INTEGERKEY);
		assert_int_equal(mdb_drop(world->txn, meta, 0), 0);
		put_text(world, meta, "format", "2");
		put_text(world, meta, "source", "feed.csv");
		put(world, deltas, round + 1, 100 + 4000 * round);
		for (unsigned i = 0; i < buckets_count; i++) {
			put(world, buckets, 10 + 10 * i, 1 + draw(&world->state) % most);
		}
		for (unsigned i = round; round > 0 && i < buckets_count; i += 3) {
			delete (world, buckets, 10 + 10 * i);
		}
		commit(world);
	}
}

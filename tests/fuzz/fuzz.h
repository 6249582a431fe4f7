/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * A harness is one function that takes an input and aborts when a property of the code does not
 * hold. libFuzzer calls it with inputs of its own (`make fuzz`), replay.c with those of its corpus
 * (`make check`). What is read always lies in memory that ends where it ends, so that a sanitizer
 * sees every read outside.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/*! \return 0 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*! \brief Aborts with the name of a property that does not hold. */
static inline void must(bool holds, const char *property)
{
	if (!holds) {
		fprintf(stderr, "does not hold: %s\n", property);
		abort();
	}
}

/*! \brief Memory of exactly that size (1 for 0), zeroed; the caller frees it. */
static inline void *exact(size_t size)
{
	void *memory = calloc(1, size > 0 ? size : 1);
	must(memory != NULL, "there is memory");
	return memory;
}

/*! \brief A copy that ends where its memory ends; the caller frees it. */
static inline void *exact_copy(const void *data, size_t size)
{
	void *copy = exact(size);
	if (size > 0) {
		memcpy(copy, data, size);
	}
	return copy;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * Main program of a harness without libFuzzer: runs it on every file of its corpus, and on every
 * beginning of each. The corpus is the argument, or tests/fuzz/corpus/NAME in the source tree for a
 * program fuzz_NAME. Exits with 1 when there is nothing to run.
 */
#include <dirent.h>
#include <errno.h>

#include "tests/fuzz/fuzz.h"

#define PATH_OCTETS 4096
#define INPUT_MAX 65536 /*!< No seed is longer. */

/*! Runs one file. Returns false if it can't be read whole. */
static bool replay(const char *path)
{
	static uint8_t input[INPUT_MAX];
	FILE *file = fopen(path, "rb");
	if (file == NULL) {
		return false;
	}
	size_t size = fread(input, 1, sizeof input, file);
	bool whole = feof(file) != 0 && ferror(file) == 0;
	fclose(file);
	for (size_t length = 0; whole && length <= size; length++) {
		uint8_t *copy = exact_copy(input, length);
		(void)LLVMFuzzerTestOneInput(copy, length);
		free(copy);
	}
	return whole;
}

/*! Runs all files of a directory. Returns how many, or -1 when one can't be read. */
static int replay_all(const char *directory)
{
	int count = 0;
	DIR *list = opendir(directory);
	if (list == NULL) {
		return -1;
	}
	for (struct dirent *entry; count >= 0 && (entry = readdir(list)) != NULL;) {
		char path[PATH_OCTETS];
		if (entry->d_name[0] == '.') {
			continue;
		}
		int length = snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
		/* Stays the last line of the log when the harness aborts. */
		fprintf(stderr, "%s\n", entry->d_name);
		count = length < PATH_OCTETS && replay(path) ? count + 1 : -1;
	}
	closedir(list);
	return count;
}

int main(int argc, char **argv)
{
	char directory[PATH_OCTETS];
	const char *source = getenv("srcdir");
	const char *name = strstr(program_invocation_short_name, "fuzz_");

	snprintf(directory, sizeof directory, "%s/tests/fuzz/corpus/%s",
		source != NULL ? source : ".", name != NULL ? name + strlen("fuzz_") : "");
	const char *corpus = argc > 1 ? argv[1] : directory;
	int count = replay_all(corpus);
	if (count <= 0) {
		fprintf(stderr, "%s: %s\n", corpus, count < 0 ? strerror(errno) : "no inputs");
		return 1;
	}
	printf("%s: %d inputs\n", corpus, count);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! A manifest. Input: its octets; and the path of a feed. */
#include "core/error.h"
#include "core/time.h"
#include "loader/manifest.h"
#include "tests/fuzz/file.h"

static void check(const icp_manifest_t *manifest, const char *path)
{
	uint8_t other[ICP_SHA256_SIZE];
	icp_diag_t diag = {""};
	must(strcmp(manifest->kind, "full") == 0 || strcmp(manifest->kind, "delta") == 0,
		"a kind is known");
	must(manifest->sequence <= INT64_MAX && manifest->rows <= INT64_MAX &&
			manifest->as_of != ICP_TIME_NONE,
		"numbers and times are taken as they are");
	must(icp_manifest_check(manifest, path, manifest->rows, manifest->sha256, &diag) == ICP_EOK,
		"what fits is taken");
	must(icp_manifest_check(manifest, path, manifest->rows + 1, manifest->sha256, &diag) ==
			ICP_EFEED,
		"other rows are not");
	must_tell(diag.text, path);
	for (size_t i = 0; i < sizeof other; i++) {
		other[i] = (uint8_t)~manifest->sha256[i];
	}
	must(icp_manifest_check(manifest, path, manifest->rows, other, &diag) == ICP_EFEED,
		"another digest is not");
	must_tell(diag.text, path);
}

/*! The manifest of a feed of this path. */
static void name(const uint8_t *data, size_t size)
{
	char *feed = exact(size + 1);
	if (size > 0) {
		memcpy(feed, data, size);
	}
	char *path = icp_manifest_path(feed);
	size_t length = path != NULL ? strlen(path) : 0;
	must(length >= 5 && strcmp(path + length - 5, ".json") == 0 &&
			strncmp(path, feed, length - 5) == 0,
		"a manifest stands beside its feed");
	free(path);
	free(feed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_manifest_t manifest;
	icp_diag_t diag = {""};
	bool found = false;
	const char *path = file_of(data, size);
	int ret = icp_manifest_read(&manifest, path, false, &found, &diag);
	must(found && (ret == ICP_EOK || ret == ICP_EFEED), "nothing else goes wrong");
	if (ret == ICP_EOK) {
		check(&manifest, path);
	} else {
		must_tell(diag.text, path);
	}
	name(data, size);
	return 0;
}

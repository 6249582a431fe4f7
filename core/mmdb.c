/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/mmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MARKER "\xab\xcd\xefMaxMind.com"
#define MARKER_SIZE (sizeof MARKER - 1)
#define METADATA_MAX 131072 /* Octets at the end of the file in which the marker stands. */
#define OPEN_TRIES 8        /* A file that is replaced all the time is given up. */

/* Values inside values. Real records have four levels or so. */
#define DEPTH_MAX 64
/* Values read for each octet of data; more than one, since pointers let records share values. */
#define VALUES_PER_OCTET 64

/* Reads a number of up to four octets and moves on. */
static bool take(const icp_mmdb_section_t *section, uint64_t *at, unsigned octets, uint32_t *value)
{
	if (*at > section->size || octets > section->size - *at) {
		return false;
	}
	*value = 0;
	while (octets-- > 0) {
		*value = *value << 8 | section->octets[(*at)++];
	}
	return true;
}

/* Reads the type of a value and its size: the target of a pointer, the items of a container. */
static bool take_control(
	const icp_mmdb_section_t *section, uint64_t *at, unsigned *type, uint32_t *size)
{
	static const uint32_t size_base[] = {29, 285, 65821};
	static const uint32_t pointer_base[] = {0, 2048, 526336, 0};
	uint32_t control;
	uint32_t more;
	if (!take(section, at, 1, &control)) {
		return false;
	}
	*type = control >> 5;
	*size = control & 31;
	if (*type == MMDB_DATA_TYPE_POINTER) {
		unsigned octets = (*size >> 3) + 1;
		uint32_t high = octets == 4 ? 0 : (*size & 7) << 8 * octets;
		*size = pointer_base[octets - 1] + high;
		bool taken = take(section, at, octets, &more);
		*size += taken ? more : 0;
		return taken;
	}
	if (*type == MMDB_DATA_TYPE_EXTENDED) {
		if (!take(section, at, 1, &more)) {
			return false;
		}
		*type = 7 + more;
	}
	if (*size >= 29) {
		unsigned octets = *size - 28;
		if (!take(section, at, octets, &more)) {
			return false;
		}
		*size = size_base[octets - 1] + more;
	}
	return true;
}

/* Checks that a value and all that it leads to lie in the section, and moves on. */
static bool check_value(icp_mmdb_section_t *section, uint64_t *at, unsigned depth)
{
	unsigned type;
	uint32_t size;
	if (depth > DEPTH_MAX || section->budget-- == 0 ||
		!take_control(section, at, &type, &size)) {
		return false;
	}
	if (type == MMDB_DATA_TYPE_POINTER) {
		uint64_t target = size;
		return check_value(section, &target, depth + 1);
	}
	if (type == MMDB_DATA_TYPE_MAP || type == MMDB_DATA_TYPE_ARRAY) {
		uint64_t items = type == MMDB_DATA_TYPE_MAP ? UINT64_C(2) * size : size;
		while (items-- > 0) {
			if (!check_value(section, at, depth + 1)) {
				return false;
			}
		}
		return true;
	}
	if (type != MMDB_DATA_TYPE_BOOLEAN) {
		*at += size;
	}
	return *at <= section->size;
}

static int fail_file(const char *path, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ERANGES, "%s: %s", path, what);
}

/* Checks the metadata, which is what MMDB_open reads, in the octets at the end of the file. */
static const char *check_metadata(const uint8_t *octets, size_t size)
{
	const uint8_t *metadata = NULL;
	const uint8_t *next = octets;
	while ((next = memmem(next, size - (size_t)(next - octets), MARKER, MARKER_SIZE)) != NULL) {
		next += MARKER_SIZE;
		metadata = next;
	}
	if (metadata == NULL) {
		return "not an MMDB file, or its end is missing";
	}
	icp_mmdb_section_t section = {
		.octets = metadata, .size = size - (size_t)(metadata - octets)};
	section.budget = section.size;
	uint64_t at = 0;
	return check_value(&section, &at, 0) ? NULL : "metadata is damaged";
}

/* Looks at the file before libmaxminddb does, and notes which file it is. */
static int check_file(const char *path, struct stat *file, icp_diag_t *diag)
{
	int rc = ICP_EOK;
	const char *why = NULL;
	uint8_t *tail = NULL;
	/* Opening a FIFO must not wait. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, file) != 0) {
		rc = fail_file(path, strerror(errno), diag);
		goto cleanup;
	}
	if (!S_ISREG(file->st_mode) || file->st_size > UINT32_MAX) {
		rc = fail_file(path, "not a regular file of less than 4 GiB", diag);
		goto cleanup;
	}
	size_t size = file->st_size < METADATA_MAX ? (size_t)file->st_size : METADATA_MAX;
	tail = malloc(METADATA_MAX);
	if (tail == NULL) {
		rc = icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
		goto cleanup;
	}
	ssize_t got = pread(fd, tail, size, file->st_size - (off_t)size);
	why = got == (ssize_t)size ? check_metadata(tail, size) : "can't be read to its end";
	if (why != NULL) {
		rc = fail_file(path, why, diag);
	}
cleanup:
	free(tail);
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

bool icp_mmdb_is_file(const char *path, const struct stat *then)
{
	struct stat now;
	return stat(path, &now) == 0 && now.st_dev == then->st_dev && now.st_ino == then->st_ino &&
	       now.st_size == then->st_size && now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

/* Whether tree and data lie in the file, and where the data ends. */
static int check_sections(icp_mmdb_t *mmdb, const char *path, icp_diag_t *diag)
{
	const MMDB_s *db = &mmdb->db;
	uint64_t data_begin =
		(uint64_t)db->metadata.node_count * db->full_record_byte_size + ICP_MMDB_SEPARATOR;
	if (data_begin > (uint64_t)db->file_size) {
		return fail_file(path, "tree is larger than the file", diag);
	}
	mmdb->data = (icp_mmdb_section_t){
		.octets = db->data_section,
		.size = db->data_section_size,
		.budget = VALUES_PER_OCTET * (uint64_t)db->data_section_size,
	};
	return ICP_EOK;
}

int icp_mmdb_open(icp_mmdb_t *mmdb, const char *path, icp_diag_t *diag)
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		int rc = check_file(path, &mmdb->file, diag);
		if (rc != ICP_EOK) {
			return rc;
		}
		int status = MMDB_open(path, MMDB_MODE_MMAP, &mmdb->db);
		if (status != MMDB_SUCCESS) {
			return icp_fail(diag,
				status == MMDB_OUT_OF_MEMORY_ERROR ? ICP_ENOMEM : ICP_ERANGES,
				"%s: %s", path, MMDB_strerror(status));
		}
		/* MMDB_open takes a path, which may lead to another file by now. */
		rc = icp_mmdb_is_file(path, &mmdb->file) ? check_sections(mmdb, path, diag)
							 : ICP_EBUSY;
		if (rc == ICP_EOK) {
			return ICP_EOK;
		}
		MMDB_close(&mmdb->db);
		if (rc != ICP_EBUSY) {
			return rc;
		}
	}
	return fail_file(path, "replaced again and again", diag);
}

void icp_mmdb_close(icp_mmdb_t *mmdb)
{
	MMDB_close(&mmdb->db);
}

bool icp_mmdb_check(icp_mmdb_t *mmdb, uint64_t offset)
{
	return check_value(&mmdb->data, &offset, 0);
}

bool icp_mmdb_string(
	MMDB_entry_s *entry, const char *const *path, const char **string, uint32_t *length)
{
	MMDB_entry_data_s data;
	*string = NULL;
	switch (MMDB_aget_value(entry, &data, path)) {
	case MMDB_SUCCESS:
		if (data.has_data && data.type == MMDB_DATA_TYPE_UTF8_STRING) {
			*string = data.utf8_string;
			*length = data.data_size;
		}
		return true;
	case MMDB_LOOKUP_PATH_DOES_NOT_MATCH_DATA_ERROR:
	case MMDB_INVALID_LOOKUP_PATH_ERROR:
		return true;
	default:
		return false;
	}
}

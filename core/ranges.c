/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/ranges.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <maxminddb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKER "\xab\xcd\xefMaxMind.com"
#define MARKER_SIZE (sizeof MARKER - 1)
#define METADATA_MAX 131072 /* Octets at the end of the file in which the marker stands. */
#define SEPARATOR 16        /* Octets between the tree and the data. */
#define OPEN_TRIES 8        /* A file that is replaced all the time is given up. */
#define PATH_SHOWN 256
#define FIRST_NAMES 256 /* Octets. */

/* Values inside values. Real records have four levels or so. */
#define DEPTH_MAX 64
/* Values read for each octet of data; more than one, since pointers let records share values. */
#define VALUES_PER_OCTET 64

/* What the records say, under the offset of their data. */
typedef struct {
	uint32_t key;      /* Offset + 1; 0: empty slot. */
	uint32_t provider; /* Where it begins in the names. */
	bool mainland;
	uint8_t provider_length;
} known_t;

struct icp_ranges {
	const icp_config_t *config;
	MMDB_s mmdb;
	bool is_open;
	struct stat file;
	atomic_uint references;
	known_t *known; /* A hash table, at most half full. */
	unsigned known_bits;
	uint32_t known_count;
	/* Of providers. Not read from the file again, which may lose its pages. */
	char *names;
	uint32_t names_used;
	uint32_t names_size;
	atomic_bool spoilt;
};

/* Encoded values. libmaxminddb recurses as deep as they tell it to, so they are checked first. */
typedef struct {
	const uint8_t *octets;
	uint64_t size;
	uint64_t budget; /* Values that may still be read. */
} section_t;

/* Reads a number of up to four octets and moves on. */
static bool take(const section_t *section, uint64_t *at, unsigned octets, uint32_t *value)
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
static bool take_control(const section_t *section, uint64_t *at, unsigned *type, uint32_t *size)
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
static bool check_value(section_t *section, uint64_t *at, unsigned depth)
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

static int fail_file(const icp_ranges_t *ranges, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ERANGES, "%s: %s", ranges->config->ranges.database, what);
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
	section_t section = {.octets = metadata, .size = size - (size_t)(metadata - octets)};
	section.budget = section.size;
	uint64_t at = 0;
	return check_value(&section, &at, 0) ? NULL : "metadata is damaged";
}

/* Looks at the file before libmaxminddb does, and notes which file it is. */
static int check_file(icp_ranges_t *ranges, icp_diag_t *diag)
{
	int rc = ICP_EOK;
	const char *why = NULL;
	uint8_t *tail = NULL;
	/* Opening a FIFO must not wait. */
	int fd = open(ranges->config->ranges.database, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &ranges->file) != 0) {
		rc = fail_file(ranges, strerror(errno), diag);
		goto cleanup;
	}
	if (!S_ISREG(ranges->file.st_mode) || ranges->file.st_size > UINT32_MAX) {
		rc = fail_file(ranges, "not a regular file of less than 4 GiB", diag);
		goto cleanup;
	}
	size_t size =
		ranges->file.st_size < METADATA_MAX ? (size_t)ranges->file.st_size : METADATA_MAX;
	tail = malloc(METADATA_MAX);
	if (tail == NULL) {
		rc = icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
		goto cleanup;
	}
	ssize_t got = pread(fd, tail, size, ranges->file.st_size - (off_t)size);
	why = got == (ssize_t)size ? check_metadata(tail, size) : "can't be read to its end";
	if (why != NULL) {
		rc = fail_file(ranges, why, diag);
	}
cleanup:
	free(tail);
	if (fd >= 0) {
		close(fd);
	}
	return rc;
}

bool icp_ranges_is_current(const icp_ranges_t *ranges)
{
	struct stat now;
	const struct stat *then = &ranges->file;
	return stat(ranges->config->ranges.database, &now) == 0 && now.st_dev == then->st_dev &&
	       now.st_ino == then->st_ino && now.st_size == then->st_size &&
	       now.st_mtim.tv_sec == then->st_mtim.tv_sec &&
	       now.st_mtim.tv_nsec == then->st_mtim.tv_nsec;
}

/* Opens the file that was checked; MMDB_open takes a path, which may be replaced meanwhile. */
static int open_file(icp_ranges_t *ranges, icp_diag_t *diag)
{
	for (unsigned i = 0; i < OPEN_TRIES; i++) {
		int rc = check_file(ranges, diag);
		if (rc != ICP_EOK) {
			return rc;
		}
		int status =
			MMDB_open(ranges->config->ranges.database, MMDB_MODE_MMAP, &ranges->mmdb);
		if (status != MMDB_SUCCESS) {
			return icp_fail(diag,
				status == MMDB_OUT_OF_MEMORY_ERROR ? ICP_ENOMEM : ICP_ERANGES,
				"%s: %s", ranges->config->ranges.database, MMDB_strerror(status));
		}
		if (icp_ranges_is_current(ranges)) {
			ranges->is_open = true;
			return ICP_EOK;
		}
		MMDB_close(&ranges->mmdb);
	}
	return fail_file(ranges, "replaced again and again", diag);
}

/* The slot of a key in a table, or the empty one where it belongs. */
static known_t *find_slot(known_t *known, unsigned bits, uint32_t key)
{
	uint32_t at = key * UINT32_C(0x9e3779b1) >> (32 - bits);
	while (known[at].key != 0 && known[at].key != key) {
		at = (at + 1) & ((UINT32_C(1) << bits) - 1);
	}
	return &known[at];
}

/* Makes room in the table for one more. */
static bool grow_known(icp_ranges_t *ranges)
{
	size_t size = ranges->known == NULL ? 0 : (size_t)1 << ranges->known_bits;
	if ((size_t)ranges->known_count * 2 < size) {
		return true;
	}
	unsigned bits = size == 0 ? 8 : ranges->known_bits + 1;
	known_t *known = bits > 31 ? NULL : calloc((size_t)1 << bits, sizeof *known);
	if (known == NULL) {
		return false;
	}
	for (size_t i = 0; i < size; i++) {
		if (ranges->known[i].key != 0) {
			*find_slot(known, bits, ranges->known[i].key) = ranges->known[i];
		}
	}
	free(ranges->known);
	ranges->known = known;
	ranges->known_bits = bits;
	return true;
}

/* Reads the string at a path; NULL when there is none. False when the record is damaged. */
static bool read_string(
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

/* Keeps the name of a provider. */
static int keep_name(icp_ranges_t *ranges, known_t *known, const char *name, size_t length)
{
	if (length > ranges->names_size - ranges->names_used) {
		uint64_t size = 2 * (uint64_t)ranges->names_size + FIRST_NAMES;
		char *names = size > UINT32_MAX ? NULL : realloc(ranges->names, size);
		if (names == NULL) {
			return ICP_ENOMEM;
		}
		ranges->names = names;
		ranges->names_size = (uint32_t)size;
	}
	memcpy(ranges->names + ranges->names_used, name, length);
	known->provider = ranges->names_used;
	known->provider_length = (uint8_t)length;
	ranges->names_used += (uint32_t)length;
	return ICP_EOK;
}

/* Reads what a record says. ICP_ERANGES: it is damaged. */
static int read_record(
	icp_ranges_t *ranges, MMDB_entry_s *entry, known_t *known, bool *has_mainland)
{
	const icp_config_t *config = ranges->config;
	const char *string;
	uint32_t length;
	if (!read_string(entry, config->ranges.mainland_path, &string, &length)) {
		return ICP_ERANGES;
	}
	if (string != NULL) {
		const char *wanted = config->ranges.mainland_equals;
		known->mainland = length == strlen(wanted) && memcmp(string, wanted, length) == 0;
		*has_mainland = true;
	}
	if (config->ranges.provider_path[0] == NULL) {
		return ICP_EOK;
	}
	if (!read_string(entry, config->ranges.provider_path, &string, &length)) {
		return ICP_ERANGES;
	}
	return string != NULL && length > 0 && length <= ICP_PROVIDER_MAX
		       ? keep_name(ranges, known, string, length)
		       : ICP_EOK;
}

/* Collects what all records say. */
typedef struct {
	icp_ranges_t *ranges;
	section_t section;
	bool has_mainland; /* A record has a string at the mainland path. */
} survey_t;

/* Takes one record of a tree node. */
static int survey_record(survey_t *survey, uint64_t record, unsigned type, MMDB_entry_s *entry)
{
	icp_ranges_t *ranges = survey->ranges;
	if (type == MMDB_RECORD_TYPE_SEARCH_NODE || type == MMDB_RECORD_TYPE_EMPTY) {
		return ICP_EOK;
	}
	if (type != MMDB_RECORD_TYPE_DATA ||
		record < (uint64_t)ranges->mmdb.metadata.node_count + SEPARATOR) {
		return ICP_ERANGES;
	}
	if (!grow_known(ranges)) {
		return ICP_ENOMEM;
	}
	uint32_t key = entry->offset + 1;
	known_t *known = find_slot(ranges->known, ranges->known_bits, key);
	if (known->key == key) {
		return ICP_EOK;
	}
	uint64_t at = entry->offset;
	int rc = check_value(&survey->section, &at, 0)
			 ? read_record(ranges, entry, known, &survey->has_mainland)
			 : ICP_ERANGES;
	if (rc == ICP_EOK) {
		known->key = key;
		ranges->known_count++;
	}
	return rc;
}

/* Says that no record has the mainland path, naming its keys. */
static int fail_path(const icp_ranges_t *ranges, icp_diag_t *diag)
{
	char keys[PATH_SHOWN] = "";
	for (const char *const *key = ranges->config->ranges.mainland_path; *key != NULL; key++) {
		size_t used = strlen(keys);
		snprintf(keys + used, sizeof keys - used, "%s%s", used == 0 ? "" : ", ", *key);
	}
	return icp_fail(diag, ICP_ERANGES,
		"%s: no record has a string at ranges.mainland.path: [%s]",
		ranges->config->ranges.database, keys);
}

/*
 * Reads all records. The nodes are taken by number, not by descent, so a tree that runs in circles
 * or shares its parts does no harm; a lookup goes no deeper than an address is long.
 */
static int survey_tree(icp_ranges_t *ranges, icp_diag_t *diag)
{
	const MMDB_s *mmdb = &ranges->mmdb;
	uint64_t data_begin =
		(uint64_t)mmdb->metadata.node_count * mmdb->full_record_byte_size + SEPARATOR;
	if (data_begin > (uint64_t)mmdb->file_size) {
		return fail_file(ranges, "tree is larger than the file", diag);
	}
	survey_t survey = {.ranges = ranges,
		.section = {.octets = mmdb->data_section, .size = mmdb->data_section_size}};
	survey.section.budget = VALUES_PER_OCTET * survey.section.size;
	for (uint32_t i = 0; i < mmdb->metadata.node_count; i++) {
		MMDB_search_node_s node;
		if (MMDB_read_node(mmdb, i, &node) != MMDB_SUCCESS) {
			return fail_file(ranges, "tree can't be read", diag);
		}
		int rc = survey_record(
			&survey, node.left_record, node.left_record_type, &node.left_record_entry);
		if (rc == ICP_EOK) {
			rc = survey_record(&survey, node.right_record, node.right_record_type,
				&node.right_record_entry);
		}
		if (rc != ICP_EOK) {
			return icp_fail(diag, rc, "%s: tree node %" PRIu32 ": %s",
				ranges->config->ranges.database, i,
				rc == ICP_ENOMEM ? icp_strerror(rc) : "a record is damaged");
		}
	}
	return survey.has_mainland ? ICP_EOK : fail_path(ranges, diag);
}

int icp_ranges_open(icp_ranges_t **ranges, const icp_config_t *config, icp_diag_t *diag)
{
	icp_ranges_t *opened = calloc(1, sizeof *opened);
	if (opened == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s", icp_strerror(ICP_ENOMEM));
	}
	opened->config = config;
	atomic_init(&opened->references, 1);
	int rc = open_file(opened, diag);
	if (rc == ICP_EOK) {
		rc = survey_tree(opened, diag);
	}
	if (rc != ICP_EOK) {
		icp_ranges_unref(opened);
		return rc;
	}
	*ranges = opened;
	return ICP_EOK;
}

icp_ranges_t *icp_ranges_ref(icp_ranges_t *ranges)
{
	atomic_fetch_add_explicit(&ranges->references, 1, memory_order_relaxed);
	return ranges;
}

void icp_ranges_unref(icp_ranges_t *ranges)
{
	if (ranges == NULL ||
		atomic_fetch_sub_explicit(&ranges->references, 1, memory_order_acq_rel) > 1) {
		return;
	}
	if (ranges->is_open) {
		MMDB_close(&ranges->mmdb);
	}
	free(ranges->known);
	free(ranges->names);
	free(ranges);
}

bool icp_ranges_spoil(icp_ranges_t *ranges)
{
	return !atomic_exchange(&ranges->spoilt, true);
}

bool icp_ranges_is_spoilt(const icp_ranges_t *ranges)
{
	return atomic_load_explicit(&ranges->spoilt, memory_order_relaxed);
}

static MMDB_lookup_result_s look_up(const MMDB_s *mmdb, const icp_address_t *address)
{
	int error;
	if (address->family == 4) {
		struct sockaddr_in ipv4 = {.sin_family = AF_INET};
		memcpy(&ipv4.sin_addr, address->bytes, sizeof ipv4.sin_addr);
		return MMDB_lookup_sockaddr(mmdb, (const struct sockaddr *)&ipv4, &error);
	}
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	memcpy(&ipv6.sin6_addr, address->bytes, sizeof ipv6.sin6_addr);
	return MMDB_lookup_sockaddr(mmdb, (const struct sockaddr *)&ipv6, &error);
}

/* False for ::/96, where the tree holds IPv4, and for what is no address at all. */
static bool is_own_ipv6(const icp_address_t *address)
{
	static const uint8_t zeros[12];
	return address->family == 6 && memcmp(address->bytes, zeros, sizeof zeros) != 0;
}

void icp_ranges_find(const icp_ranges_t *ranges, const icp_address_t *address, icp_place_t *place)
{
	const icp_policy_t *policy = &ranges->config->policy;
	*place = (icp_place_t){
		.address = icp_address_unmap(address, policy->nat64, policy->nat64_count)};
	if (place->address.family != 4 && !is_own_ipv6(&place->address)) {
		return;
	}
	/* IPv6 in an IPv4 database is an error to libmaxminddb and not found, which is right. */
	MMDB_lookup_result_s result = look_up(&ranges->mmdb, &place->address);
	if (!result.found_entry) {
		return;
	}
	const known_t *known =
		find_slot(ranges->known, ranges->known_bits, result.entry.offset + 1);
	place->mainland = known->mainland;
	place->provider = known->provider_length > 0 ? ranges->names + known->provider : NULL;
	place->provider_length = known->provider_length;
}

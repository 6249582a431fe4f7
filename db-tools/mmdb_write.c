/* SPDX-License-Identifier: BSD-3-Clause */
#include "db-tools/mmdb_write.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/row.h"

/* The format's types of values. */
enum { TYPE_STRING = 2, TYPE_UINT16 = 5, TYPE_UINT32, TYPE_MAP, TYPE_UINT64 = 9, TYPE_ARRAY = 11 };

#define MARKER "\xab\xcd\xefMaxMind.com"
#define SEPARATOR 16  /* Zero octets between the tree and the data. */
#define IPV4_DEPTH 96 /* Bits above the IPv4 addresses. */

/* Readers keep sizes in 32 bits. The metadata needs less than is set aside here. */
#define TREE_AND_DATA_MAX (UINT32_MAX - 1024)

/* A tree record while the tree is built: a node's number, or a leaf with the offset of its data. */
#define LEAF UINT32_C(0x80000000)
#define LEAF_NONE UINT32_MAX
#define ENTRIES_MAX (LEAF / 128) /* Each makes at most 128 nodes and 96 octets of data. */

static const uint8_t ipv4_head[IPV4_DEPTH / 8]; /* ::/96 */
static const uint8_t mapped_head[IPV4_DEPTH / 8] = {[10] = 0xff, [11] = 0xff};

/* A prefix as the tree has it: family 6, IPv4 addresses in ::/96. */
typedef struct {
	icp_prefix_t prefix;
	uint32_t line;
	uint32_t leaf;
} entry_t;

typedef struct {
	uint32_t records[2];
} tree_node_t;

typedef struct {
	uint32_t leaf;
	char country[3];
	char provider[ICP_PROVIDER_MAX + 1];
} place_t;

/* A growing array of items of one type. */
typedef struct {
	void *items;
	size_t count;
	size_t capacity;
} array_t;

struct icp_mmdb {
	const char *source;
	array_t entries; /* Of entry_t. */
	array_t nodes;   /* Of tree_node_t. */
	void *places;    /* A search tree of place_t. */
	size_t place_count;
	FILE *data_stream; /* Writes data. */
	char *data;        /* The data section. */
	size_t data_size;
};

int icp_mmdb_create(icp_mmdb_t **mmdb, const char *source)
{
	icp_mmdb_t *made = calloc(1, sizeof *made);
	if (made != NULL) {
		made->data_stream = open_memstream(&made->data, &made->data_size);
	}
	if (made == NULL || made->data_stream == NULL) {
		free(made);
		return ICP_ENOMEM;
	}
	made->source = source;
	*mmdb = made;
	return ICP_EOK;
}

void icp_mmdb_destroy(icp_mmdb_t *mmdb)
{
	if (mmdb == NULL) {
		return;
	}
	fclose(mmdb->data_stream);
	free(mmdb->data);
	tdestroy(mmdb->places, free);
	free(mmdb->entries.items);
	free(mmdb->nodes.items);
	free(mmdb);
}

/* Room for one more item; NULL when out of memory. */
static void *append(array_t *array, size_t size)
{
	if (array->count == array->capacity) {
		size_t capacity = array->capacity == 0 ? 1024 : array->capacity * 2;
		void *items = reallocarray(array->items, capacity, size);
		if (items == NULL) {
			return NULL;
		}
		array->items = items;
		array->capacity = capacity;
	}
	return (char *)array->items + size * array->count++;
}

static void put_big_endian(FILE *out, uint64_t value, unsigned octets)
{
	while (octets-- > 0) {
		putc_unlocked((int)(value >> 8 * octets & 0xff), out);
	}
}

static void put_control(FILE *out, unsigned type, size_t size)
{
	unsigned low = size < 29 ? (unsigned)size : 29;
	put_big_endian(out, type <= 7 ? type << 5 | low : low, 1);
	if (type > 7) {
		put_big_endian(out, type - 7, 1);
	}
	if (low == 29) {
		put_big_endian(out, size - 29, 1); /* No string of ours is longer than 284. */
	}
}

static void put_string(FILE *out, const char *text)
{
	put_control(out, TYPE_STRING, strlen(text));
	fputs(text, out);
}

/* Integers are stored without leading zero octets. */
static void put_uint(FILE *out, const char *key, unsigned type, uint64_t value)
{
	unsigned octets = 0;
	while (octets < 8 && value >> 8 * octets != 0) {
		octets++;
	}
	put_string(out, key);
	put_control(out, type, octets);
	put_big_endian(out, value, octets);
}

static void put_place(FILE *out, const place_t *place)
{
	bool known = *place->provider != '\0';
	put_control(out, TYPE_MAP, known ? 2 : 1);
	put_string(out, "country");
	put_control(out, TYPE_MAP, 1);
	put_string(out, "iso_code");
	put_string(out, place->country);
	if (known) {
		put_string(out, "provider");
		put_string(out, place->provider);
	}
}

static int compare_places(const void *a, const void *b)
{
	const place_t *left = a;
	const place_t *right = b;
	int order = strcmp(left->country, right->country);
	return order != 0 ? order : strcmp(left->provider, right->provider);
}

/* The leaf of a place; a new place goes to the end of the data section. 0: out of memory. */
static uint32_t intern_place(icp_mmdb_t *mmdb, const place_t *place)
{
	place_t **found = tfind(place, &mmdb->places, compare_places);
	if (found != NULL) {
		return (*found)->leaf;
	}
	place_t *kept = malloc(sizeof *kept);
	if (kept == NULL) {
		return 0;
	}
	*kept = *place;
	kept->leaf = LEAF | (uint32_t)ftello(mmdb->data_stream);
	if (tsearch(kept, &mmdb->places, compare_places) == NULL) {
		free(kept);
		return 0;
	}
	mmdb->place_count++;
	put_place(mmdb->data_stream, place);
	return ferror(mmdb->data_stream) == 0 ? kept->leaf : 0;
}

static bool is_in(const icp_prefix_t *prefix, const uint8_t head[IPV4_DEPTH / 8])
{
	return prefix->length >= IPV4_DEPTH &&
	       memcmp(prefix->address.bytes, head, IPV4_DEPTH / 8) == 0;
}

/* Puts an IPv4 prefix, mapped or not, where the tree has it. */
static icp_prefix_t to_tree(const icp_prefix_t *prefix)
{
	icp_prefix_t moved = *prefix;
	if (prefix->address.family == 4) {
		moved = (icp_prefix_t){.address.family = 6, .length = prefix->length + IPV4_DEPTH};
		memcpy(moved.address.bytes + 12, prefix->address.bytes, 4);
	} else if (is_in(prefix, mapped_head)) {
		memset(moved.address.bytes, 0, 12);
	}
	return moved;
}

/* The other way round, for diagnostics. */
static icp_prefix_t from_tree(const icp_prefix_t *prefix)
{
	icp_prefix_t moved = *prefix;
	if (is_in(prefix, ipv4_head)) {
		moved = (icp_prefix_t){.address.family = 4, .length = prefix->length - IPV4_DEPTH};
		memcpy(moved.address.bytes, prefix->address.bytes + 12, 4);
	}
	return moved;
}

static int fail_at(const icp_mmdb_t *mmdb, uint32_t line, const icp_prefix_t *prefix,
	const char *what, icp_diag_t *diag)
{
	char text[ICP_PREFIX_TEXT_MAX];
	icp_prefix_format(prefix, text);
	return icp_fail(diag, ICP_EINVAL, "%s:%" PRIu32 ": %s: %s", mmdb->source, line, what, text);
}

int icp_mmdb_add(icp_mmdb_t *mmdb, const icp_prefix_t *prefix, uint32_t line, const char *country,
	const char *provider, icp_diag_t *diag)
{
	place_t place;
	int letters = snprintf(place.country, sizeof place.country, "%s", country);
	int length = snprintf(place.provider, sizeof place.provider, "%s", provider);
	if (letters >= (int)sizeof place.country || length >= (int)sizeof place.provider) {
		return fail_at(mmdb, line, prefix, "country or provider too long", diag);
	}
	if (is_in(prefix, ipv4_head)) {
		return fail_at(mmdb, line, prefix, "inside ::/96, which stands for IPv4", diag);
	}
	if (mmdb->entries.count >= ENTRIES_MAX) {
		return fail_at(mmdb, line, prefix, "too many prefixes", diag);
	}
	uint32_t leaf = intern_place(mmdb, &place);
	entry_t *entry = leaf == 0 ? NULL : append(&mmdb->entries, sizeof *entry);
	if (entry == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", mmdb->source);
	}
	*entry = (entry_t){.prefix = to_tree(prefix), .line = line, .leaf = leaf};
	return ICP_EOK;
}

/* By address, then the shorter prefix first: a prefix comes right before those that it covers. */
static int compare_entries(const void *a, const void *b)
{
	const entry_t *left = a;
	const entry_t *right = b;
	int order = memcmp(&left->prefix, &right->prefix, sizeof left->prefix);
	return order != 0 ? order : (left->line > right->line) - (left->line < right->line);
}

/* Sorts; fails for the earliest line that repeats a prefix. */
static int sort_entries(icp_mmdb_t *mmdb, icp_diag_t *diag)
{
	entry_t *entries = mmdb->entries.items;
	const entry_t *repeated = NULL;
	qsort(entries, mmdb->entries.count, sizeof *entries, compare_entries);
	for (size_t i = 1; i < mmdb->entries.count; i++) {
		if (memcmp(&entries[i].prefix, &entries[i - 1].prefix, sizeof entries->prefix) ==
				0 &&
			(repeated == NULL || entries[i].line < repeated->line)) {
			repeated = &entries[i];
		}
	}
	if (repeated == NULL) {
		return ICP_EOK;
	}
	char what[64];
	snprintf(what, sizeof what, "prefix is on line %" PRIu32 " already", repeated[-1].line);
	icp_prefix_t prefix = from_tree(&repeated->prefix);
	return fail_at(mmdb, repeated->line, &prefix, what, diag);
}

/* How many of the sorted entries have a zero bit at this depth; they come first. */
static size_t count_left(const entry_t *entries, size_t count, unsigned depth)
{
	size_t low = 0;
	while (low < count) {
		size_t middle = low + (count - low) / 2;
		const uint8_t *bytes = entries[middle].prefix.address.bytes;
		if ((bytes[depth / 8] >> (7 - depth % 8) & 1) != 0) {
			count = middle;
		} else {
			low = middle + 1;
		}
	}
	return low;
}

/*
 * Builds the subtree for sorted entries that agree in the bits above depth; inherited is the leaf
 * of the nearest prefix above. A node with the same leaf on both sides gives way to that leaf; it
 * is the newest node then, since what was below it gave way too.
 *
 * On the way down to ::/96 no node gives way, so that readers find the IPv4 addresses at the depth
 * where they look; and no leaf of an IPv6 prefix goes further than there. False: out of memory.
 */
static bool build(icp_mmdb_t *mmdb, const entry_t *entries, size_t count, unsigned depth, bool way,
	uint32_t inherited, uint32_t *record)
{
	if (way && depth == IPV4_DEPTH) {
		way = false;
		inherited = LEAF_NONE;
	}
	if (count > 0 && entries->prefix.length == depth) {
		inherited = entries->leaf;
		entries++;
		count--;
	}
	*record = inherited;
	if (count == 0 && !way) {
		return true;
	}
	tree_node_t node;
	size_t number = mmdb->nodes.count;
	size_t split = count_left(entries, count, depth);
	if (append(&mmdb->nodes, sizeof node) == NULL ||
		!build(mmdb, entries, split, depth + 1, way, inherited, &node.records[0]) ||
		!build(mmdb, entries + split, count - split, depth + 1, false, inherited,
			&node.records[1])) {
		return false;
	}
	if (node.records[0] == node.records[1] && !way) {
		mmdb->nodes.count--;
		*record = node.records[0];
	} else {
		((tree_node_t *)mmdb->nodes.items)[number] = node;
		*record = (uint32_t)number;
	}
	return true;
}

/* The least size of a tree record that can name every node and every record of the data. */
static unsigned choose_bits(const icp_mmdb_t *mmdb, unsigned least)
{
	uint64_t end = mmdb->nodes.count + SEPARATOR + mmdb->data_size;
	unsigned bits = 24;
	while (bits < 32 && (bits < least || end > UINT64_C(1) << bits)) {
		bits += 4;
	}
	return bits;
}

/* A tree record as the file has it: data lies behind the tree and its separator. */
static uint32_t file_record(const icp_mmdb_t *mmdb, uint32_t record)
{
	if (record == LEAF_NONE) {
		return (uint32_t)mmdb->nodes.count;
	}
	return record < LEAF ? record : (uint32_t)mmdb->nodes.count + SEPARATOR + (record & ~LEAF);
}

static void put_tree(FILE *out, const icp_mmdb_t *mmdb, unsigned bits)
{
	const tree_node_t *nodes = mmdb->nodes.items;
	for (size_t i = 0; i < mmdb->nodes.count; i++) {
		uint32_t left = file_record(mmdb, nodes[i].records[0]);
		uint32_t right = file_record(mmdb, nodes[i].records[1]);
		put_big_endian(out, left, bits / 8);
		if (bits == 28) { /* The octet between them has the high bits of both. */
			put_big_endian(out, left >> 24 << 4 | right >> 24, 1);
		}
		put_big_endian(out, right, bits / 8);
	}
}

static void put_metadata(FILE *out, const icp_mmdb_t *mmdb, unsigned bits, int64_t build_epoch)
{
	fputs(MARKER, out);
	put_control(out, TYPE_MAP, 9);
	put_uint(out, "binary_format_major_version", TYPE_UINT16, 2);
	put_uint(out, "binary_format_minor_version", TYPE_UINT16, 0);
	put_uint(out, "build_epoch", TYPE_UINT64, (uint64_t)build_epoch);
	put_string(out, "database_type");
	put_string(out, "icpgate-ranges");
	put_string(out, "description");
	put_control(out, TYPE_MAP, 1);
	put_string(out, "en");
	put_string(out, "Address ranges with country and access provider");
	put_uint(out, "ip_version", TYPE_UINT16, 6);
	put_string(out, "languages");
	put_control(out, TYPE_ARRAY, 1);
	put_string(out, "en");
	put_uint(out, "node_count", TYPE_UINT32, mmdb->nodes.count);
	put_uint(out, "record_size", TYPE_UINT16, bits);
}

/* Opens a new file beside the path, readable to all; its name is to be freed. NULL: see errno. */
static FILE *open_temporary(const char *path, char **name)
{
	if (asprintf(name, "%s.XXXXXX", path) < 0) {
		*name = NULL;
		return NULL;
	}
	int fd = mkostemp(*name, O_CLOEXEC);
	if (fd < 0) {
		return NULL;
	}
	FILE *file = fchmod(fd, 0644) == 0 ? fdopen(fd, "w") : NULL;
	if (file == NULL) {
		close(fd);
		unlink(*name);
	}
	return file;
}

/* Writes everything to the disk and closes the file. On false errno says why. */
static bool put_file(
	FILE *out, const icp_mmdb_t *mmdb, unsigned bits, int64_t build_epoch, uint64_t *octets)
{
	static const uint8_t separator[SEPARATOR];
	put_tree(out, mmdb, bits);
	fwrite(separator, 1, sizeof separator, out);
	fwrite(mmdb->data, 1, mmdb->data_size, out);
	put_metadata(out, mmdb, bits, build_epoch);
	*octets = (uint64_t)ftello(out);
	bool written = ferror(out) == 0 && fflush(out) == 0 && fsync(fileno(out)) == 0;
	int error = errno;
	if (fclose(out) != 0 && written) {
		return false;
	}
	errno = error;
	return written;
}

static int write_file(const icp_mmdb_t *mmdb, const char *path, unsigned bits, int64_t build_epoch,
	uint64_t *octets, icp_diag_t *diag)
{
	int rc = ICP_EOK;
	char *name = NULL;
	FILE *file = open_temporary(path, &name);
	if (file == NULL || !put_file(file, mmdb, bits, build_epoch, octets) ||
		rename(name, path) != 0) {
		rc = icp_fail(diag, ICP_ESYS, "%s: can't be written: %s", path, strerror(errno));
		if (file != NULL) {
			unlink(name);
		}
	}
	free(name);
	return rc;
}

int icp_mmdb_write(icp_mmdb_t *mmdb, const char *path, int64_t build_epoch, unsigned record_bits,
	icp_mmdb_stats_t *stats, icp_diag_t *diag)
{
	if (mmdb->entries.count == 0) {
		return icp_fail(diag, ICP_EINVAL, "%s: no prefix in it", mmdb->source);
	}
	if (build_epoch <= 0) {
		return icp_fail(
			diag, ICP_EINVAL, "time of the build before 1970: %" PRId64, build_epoch);
	}
	struct stat found;
	if (stat(path, &found) == 0 && !S_ISREG(found.st_mode)) {
		return icp_fail(diag, ICP_ESYS, "%s: not a regular file", path);
	}
	int rc = sort_entries(mmdb, diag);
	if (rc != ICP_EOK) {
		return rc;
	}
	uint32_t root;
	mmdb->nodes.count = 0;
	if (fflush(mmdb->data_stream) != 0 ||
		!build(mmdb, mmdb->entries.items, mmdb->entries.count, 0, true, LEAF_NONE, &root)) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", mmdb->source);
	}
	unsigned bits = choose_bits(mmdb, record_bits);
	uint64_t octets = mmdb->nodes.count * bits / 4 + mmdb->data_size;
	if (octets > TREE_AND_DATA_MAX) {
		return icp_fail(diag, ICP_EINVAL, "%s: %zu prefixes make more than 4 GiB",
			mmdb->source, mmdb->entries.count);
	}
	rc = write_file(mmdb, path, bits, build_epoch, &octets, diag);
	if (rc == ICP_EOK) {
		*stats = (icp_mmdb_stats_t){.prefixes = mmdb->entries.count,
			.records = mmdb->place_count,
			.nodes = mmdb->nodes.count,
			.octets = octets};
	}
	return rc;
}

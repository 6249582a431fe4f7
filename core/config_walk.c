/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config_walk.h"

#include <stdio.h>
#include <string.h>

#define ALLOWED_MAX 512

/* What stays the same at every depth. */
typedef struct {
	icp_yaml_t *yaml;
	icp_entry_t *entries;
	size_t count;
	icp_diag_t *diag;
} walk_t;

static bool is_below(const char *key, const char *section, size_t length)
{
	return length == 0 || (strncmp(key, section, length) == 0 && key[length] == '.');
}

/* The keys and sections that may stand right under a section ("" is the whole file). */
static void list_allowed(const walk_t *walk, const char *section, char out[ALLOWED_MAX])
{
	size_t depth = strlen(section);
	size_t used = 0;
	const char *last = "";
	size_t last_length = 0;
	for (size_t i = 0; i < walk->count && used < ALLOWED_MAX; i++) {
		const char *key = walk->entries[i].key;
		if (!is_below(key, section, depth)) {
			continue;
		}
		size_t start = depth == 0 ? 0 : depth + 1;
		size_t length = start + strcspn(key + start, ".");
		if (length == last_length && strncmp(key, last, length) == 0) {
			continue;
		}
		last = key;
		last_length = length;
		used += (size_t)snprintf(out + used, ALLOWED_MAX - used, "%s%.*s",
			used == 0 ? "" : ", ", (int)length, key);
	}
}

static icp_entry_t *find_entry(const walk_t *walk, const char *path)
{
	for (size_t i = 0; i < walk->count; i++) {
		if (strcmp(walk->entries[i].key, path) == 0) {
			return &walk->entries[i];
		}
	}
	return NULL;
}

static bool is_section(const walk_t *walk, const char *path)
{
	for (size_t i = 0; i < walk->count; i++) {
		if (is_below(walk->entries[i].key, path, strlen(path))) {
			return true;
		}
	}
	return false;
}

/*
 * False for a key that can't be one of ours. A dot in it is refused here, or "block.ttl" in quotes
 * would pass for ttl under block; so is an empty key, or it would pass for the whole file.
 */
static bool join(char path[ICP_KEY_MAX], const char *section, const icp_yaml_value_t *key)
{
	if (key->kind != ICP_YAML_SCALAR || key->length == 0 ||
		memchr(key->text, '.', key->length) != NULL ||
		memchr(key->text, '\0', key->length) != NULL) {
		return false;
	}
	int length = snprintf(
		path, ICP_KEY_MAX, "%s%s%s", section, *section == '\0' ? "" : ".", key->text);
	return length < ICP_KEY_MAX;
}

static int refuse_section(const walk_t *walk, const char *section, const icp_yaml_value_t *value)
{
	char keys[ALLOWED_MAX] = "";
	char allowed[ALLOWED_MAX + 32];
	list_allowed(walk, section, keys);
	snprintf(allowed, sizeof allowed, "a mapping with %s", keys);
	return icp_yaml_refuse(walk->yaml, *section == '\0' ? "the file" : section, value, NULL,
		allowed, walk->diag);
}

static int refuse_key(
	const walk_t *walk, const char *section, const char *path, const icp_yaml_value_t *key)
{
	char allowed[ALLOWED_MAX] = "";
	list_allowed(walk, section, allowed);
	icp_yaml_value_t shown = *key;
	if (path != NULL) {
		shown.text = path;
		shown.length = strlen(path);
	}
	return icp_yaml_refuse(walk->yaml, "unknown key", &shown, NULL, allowed, walk->diag);
}

/* All earlier keys are known and differ, so there are never many to compare with. */
static int refuse_twice(walk_t *walk, const icp_yaml_value_t *mapping, const char *section,
	size_t index, const char *path)
{
	icp_yaml_value_t key;
	icp_yaml_value_t value;
	for (size_t i = 0; i < index; i++) {
		char earlier[ICP_KEY_MAX];
		icp_yaml_pair(walk->yaml, mapping, i, &key, &value);
		if (join(earlier, section, &key) && strcmp(earlier, path) == 0) {
			char why[64];
			snprintf(why, sizeof why, "given on line %zu already", key.line);
			icp_yaml_pair(walk->yaml, mapping, index, &key, &value);
			key.text = path;
			key.length = strlen(path);
			return icp_yaml_refuse(
				walk->yaml, "key given twice", &key, why, "once", walk->diag);
		}
	}
	return ICP_EOK;
}

/* Goes down no deeper than the keys do, so an alias can't lead it in circles. */
static int walk_mapping(walk_t *walk, const icp_yaml_value_t *mapping, const char *section)
{
	if (mapping->kind != ICP_YAML_MAPPING) {
		return refuse_section(walk, section, mapping);
	}
	int rc = ICP_EOK;
	for (size_t i = 0; rc == ICP_EOK && i < mapping->length; i++) {
		icp_yaml_value_t key;
		icp_yaml_value_t value;
		char path[ICP_KEY_MAX];
		icp_yaml_pair(walk->yaml, mapping, i, &key, &value);
		if (!join(path, section, &key)) {
			return refuse_key(walk, section, NULL, &key);
		}
		rc = refuse_twice(walk, mapping, section, i, path);
		if (rc != ICP_EOK) {
			return rc;
		}
		icp_entry_t *entry = find_entry(walk, path);
		if (entry != NULL) {
			entry->value = value;
		} else if (is_section(walk, path)) {
			rc = walk_mapping(walk, &value, path);
		} else {
			rc = refuse_key(walk, section, path, &key);
		}
	}
	return rc;
}

int icp_config_walk(icp_yaml_t *yaml, icp_entry_t *entries, size_t count, icp_diag_t *diag)
{
	walk_t walk = {.yaml = yaml, .entries = entries, .count = count, .diag = diag};
	icp_yaml_value_t root = icp_yaml_root(yaml);
	return root.kind == ICP_YAML_NULL ? ICP_EOK : walk_mapping(&walk, &root, "");
}

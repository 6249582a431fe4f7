/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/config_type.h"
#include "core/config_walk.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define AT(member) offsetof(icp_config_t, member)
#define INITIAL_MAX 2
#define DAY 86400
#define YEARS_MAX (3650 * DAY) /* Longest time that something is kept or waited for. */

enum shape {
	ONE,        /* a scalar, at offset */
	LIST,       /* offset holds a pointer to the entries, count_offset their number */
	INNER_LIST, /* the entries themselves begin at offset */
};

typedef struct {
	const char *key;
	icp_type_t type;                      /* Of the scalar, or of each entry of the list. */
	const char *initial[INITIAL_MAX + 1]; /* The default as in the file; none: stays zero. */
	size_t offset;
	size_t count_offset;
	size_t size;        /* Octets of an entry. */
	size_t least, most; /* Entries of a list. */
	enum shape shape;
	bool required;
} option_t;

static const icp_word_t modes[] = {
	{"enforce", ICP_MODE_ENFORCE}, {"monitor", ICP_MODE_MONITOR}, {0}};
static const icp_word_t scopes[] = {
	{"provider", ICP_SCOPE_PROVIDER}, {"mainland", ICP_SCOPE_MAINLAND}, {0}};
static const icp_word_t mixeds[] = {{"block", ICP_MIXED_BLOCK}, {"strip", ICP_MIXED_STRIP}, {0}};
static const icp_word_t verdicts[] = {{"pass", ICP_PASS}, {"block", ICP_BLOCK}, {0}};
static const icp_word_t licences[] = {{"ignore", ICP_LICENCE_IGNORE},
	{"report", ICP_LICENCE_REPORT}, {"enforce", ICP_LICENCE_ENFORCE}, {0}};
static const icp_word_t edes[] = {{"none", -1}, {"blocked", 15}, {"censored", 16}, {"filtered", 17},
	{"prohibited", 18}, {0}}; /* RFC 8914, 5.2 */

static const icp_word_t web[] = {{"https://", 0}, {"http://", 0}, {0}};
static const icp_word_t reachable[] = {
	{"https://", 0}, {"http://", 0}, {"mailto:", 0}, {"tel:", 0}, {0}};
static const icp_word_t apis[] = {
	{"none", ICP_API_NONE}, {"local", ICP_API_LOCAL}, {"any", ICP_API_ANY}, {0}};

/* clang-format off */
#define WORD(list) {.read = icp_read_word, .words = (list)}
#define SECONDS(least) {.read = icp_read_number, .min = (least), .max = 86400, .allowed = "seconds"}
#define DURATION(least, most) \
	{.read = icp_read_duration, .min = (least), .max = (most), \
	 .allowed = "seconds, as a number with s, m, h or d"}
#define TEXT(least, most) \
	{.read = icp_read_text, .min = (least), .max = (most), \
	 .allowed = "octets, no control characters"}
#define URL(schemes) \
	{.read = icp_read_url, .words = (schemes), .max = 1000, \
	 .allowed = "a URL of at most 1000 octets without spaces, quotes, < and >, that begins with "}
#define NUMBER(least, most, what) \
	{.read = icp_read_number, .min = (least), .max = (most), .allowed = (what)}

static const option_t options[] = {
	{.key = "store", .type = TEXT(1, 4095), .initial = {"/var/lib/icpgate"},
	 .offset = AT(store)},
	{.key = "mode", .type = WORD(modes), .initial = {"enforce"}, .offset = AT(mode)},
	{.key = "scope", .type = WORD(scopes), .initial = {"provider"},
	 .offset = AT(policy.scope)},
	{.key = "providers",
	 .type = {.read = icp_read_provider,
		  .allowed = "a slug of 1 to 32 characters a-z, 0-9 and -"},
	 .offset = AT(policy.providers), .shape = LIST, .most = 256, .size = sizeof(char *),
	 .count_offset = AT(policy.provider_count)},
	{.key = "ranges.database", .type = TEXT(1, 4095), .required = true,
	 .offset = AT(ranges.database)},
	{.key = "ranges.mainland.path", .type = TEXT(1, 255), .initial = {"country", "iso_code"},
	 .offset = AT(ranges.mainland_path), .shape = INNER_LIST,
	 .least = 1, .most = ICP_PATH_DEPTH_MAX, .size = sizeof(char *)},
	{.key = "ranges.mainland.equals", .type = TEXT(1, 255), .initial = {"CN"},
	 .offset = AT(ranges.mainland_equals)},
	{.key = "ranges.provider.path", .type = TEXT(1, 255),
	 .offset = AT(ranges.provider_path), .shape = INNER_LIST,
	 .least = 1, .most = ICP_PATH_DEPTH_MAX, .size = sizeof(char *)},
	{.key = "block.ipv4", .type = {.read = icp_read_ipv4, .allowed = "an IPv4 address"},
	 .required = true, .offset = AT(block.ipv4)},
	{.key = "block.ipv6",
	 .type = {.read = icp_read_ipv6, .allowed = "an IPv6 address, not an IPv4-mapped one"},
	 .offset = AT(block.ipv6)},
	{.key = "block.ttl", .type = SECONDS(1), .initial = {"30"}, .offset = AT(block.ttl)},
	{.key = "block.ede", .type = WORD(edes), .initial = {"censored"},
	 .offset = AT(block.ede)},
	{.key = "block.text", .type = TEXT(0, 200), .initial = {""}, .offset = AT(block.text)},
	{.key = "mixed", .type = WORD(mixeds), .initial = {"block"}, .offset = AT(policy.mixed)},
	{.key = "lease", .type = SECONDS(2), .initial = {"30"}, .offset = AT(lease)},
	{.key = "rectify_overdue", .type = WORD(verdicts), .initial = {"pass"},
	 .offset = AT(policy.rectify_overdue)},
	{.key = "licence_addresses", .type = WORD(licences), .initial = {"report"},
	 .offset = AT(policy.licence_addresses)},
	{.key = "on_no_index", .type = WORD(verdicts), .initial = {"pass"},
	 .offset = AT(policy.on_no_index)},
	{.key = "exempt", .type = {.read = icp_read_name, .allowed = "a domain name"},
	 .offset = AT(policy.exempt), .shape = LIST, .most = 65536, .size = sizeof(icp_name_t),
	 .count_offset = AT(policy.exempt_count)},
	{.key = "nat64_prefixes",
	 .type = {.read = icp_read_nat64,
		  .allowed = "an IPv6 prefix of length 32, 40, 48, 56, 64 or 96"},
	 .initial = {"64:ff9b::/96"},
	 .offset = AT(policy.nat64), .shape = LIST, .most = 16, .size = sizeof(icp_prefix_t),
	 .count_offset = AT(policy.nat64_count)},
	{.key = "daemon.spool", .type = TEXT(1, 4095), .initial = {"/var/lib/icpgate/spool"},
	 .offset = AT(daemon.spool)},
	/* The path of a socket is no longer. */
	{.key = "daemon.control", .type = TEXT(1, 107), .initial = {"/run/icpgate/control"},
	 .offset = AT(daemon.control)},
	{.key = "daemon.http",
	 .type = {.read = icp_read_endpoint_or_none,
		  .allowed = "address:port, with an IPv6 address in brackets, or none"},
	 .initial = {"127.0.0.1:9553"}, .offset = AT(daemon.http)},
	{.key = "daemon.stale_after", .type = DURATION(60, YEARS_MAX), .initial = {"36h"},
	 .offset = AT(daemon.stale_after)},
	{.key = "daemon.gap_after", .type = DURATION(1, YEARS_MAX), .initial = {"15m"},
	 .offset = AT(daemon.gap_after)},
	{.key = "daemon.keep",
	 .type = {.read = icp_read_number, .min = 1, .max = 1000, .allowed = "generations"},
	 .initial = {"3"}, .offset = AT(daemon.keep)},
	{.key = "daemon.keep_audit", .type = DURATION(DAY, YEARS_MAX), .initial = {"400d"},
	 .offset = AT(daemon.keep_audit)},
	{.key = "daemon.keep_spool", .type = DURATION(DAY, YEARS_MAX), .initial = {"14d"},
	 .offset = AT(daemon.keep_spool)},
	{.key = "daemon.follow", .type = TEXT(1, 4095), .offset = AT(daemon.follow)},
	{.key = "blockpage.listen",
	 .type = {.read = icp_read_endpoint,
		  .allowed = "address:port, with an IPv6 address in brackets"},
	 .offset = AT(blockpage.listen), .shape = LIST, .least = 1, .most = 16,
	 .size = sizeof(icp_endpoint_t), .count_offset = AT(blockpage.listen_count)},
	{.key = "blockpage.templates", .type = TEXT(1, 4000), .offset = AT(blockpage.templates)},
	{.key = "blockpage.provider_name.zh", .type = TEXT(1, 200),
	 .offset = AT(blockpage.provider_name.zh)},
	{.key = "blockpage.provider_name.en", .type = TEXT(1, 200),
	 .offset = AT(blockpage.provider_name.en)},
	{.key = "blockpage.file_url", .type = URL(web), .offset = AT(blockpage.file_url)},
	{.key = "blockpage.transfer_url", .type = URL(web), .offset = AT(blockpage.transfer_url)},
	{.key = "blockpage.contact_url", .type = URL(reachable), .offset = AT(blockpage.contact_url)},
	{.key = "blockpage.blocked_by", .type = URL(web), .offset = AT(blockpage.blocked_by)},
	{.key = "blockpage.api", .type = WORD(apis), .initial = {"none"},
	 .offset = AT(blockpage.api)},
	{.key = "blockpage.api_rate", .type = NUMBER(1, 100000, "answers a second"),
	 .initial = {"50"}, .offset = AT(blockpage.api_rate)},
	{.key = "blockpage.connections", .type = NUMBER(16, 65536, "connections"),
	 .initial = {"4096"}, .offset = AT(blockpage.connections)},
	{.key = "blockpage.timeout", .type = DURATION(1, 300), .initial = {"10s"},
	 .offset = AT(blockpage.timeout)},
};
/* clang-format on */

typedef struct {
	icp_config_t config; /* Moved to the caller when all is well. */
	const char *path;
	icp_yaml_t *yaml;
	icp_diag_t *diag;
	icp_entry_t entries[COUNT(options)]; /* In the order of options. */
} loader_t;

static int no_memory(const loader_t *loader)
{
	return icp_fail(loader->diag, ICP_ENOMEM, "%s: %s", loader->path, icp_strerror(ICP_ENOMEM));
}

static int refuse(
	loader_t *loader, const option_t *option, const icp_yaml_value_t *value, const char *why)
{
	char type[ICP_ALLOWED_MAX];
	char allowed[ICP_ALLOWED_MAX + 64];
	icp_type_describe(&option->type, type);
	if (option->shape == ONE) {
		snprintf(allowed, sizeof allowed, "%s", type);
	} else {
		snprintf(allowed, sizeof allowed, "a list of %zu to %zu, each %s", option->least,
			option->most, type);
	}
	return icp_yaml_refuse(loader->yaml, option->key, value, why, allowed, loader->diag);
}

static int read_scalar(
	loader_t *loader, const option_t *option, const icp_yaml_value_t *value, void *place)
{
	if (value->kind != ICP_YAML_SCALAR) {
		return refuse(loader, option, value, NULL);
	}
	const char *why = NULL;
	int rc = option->type.read(&option->type, value, place, &loader->config.arena, &why);
	if (rc == ICP_ENOMEM) {
		return no_memory(loader);
	}
	return rc == ICP_EOK ? rc : refuse(loader, option, value, why);
}

static icp_yaml_value_t initial_value(const char *text)
{
	return (icp_yaml_value_t){
		.kind = ICP_YAML_SCALAR, .plain = true, .text = text, .length = strlen(text)};
}

/* Values of the file and defaults go the same way; a default list has no node. */
static icp_yaml_value_t item_of(
	loader_t *loader, const option_t *option, const icp_yaml_value_t *list, size_t index)
{
	return list->node != NULL ? icp_yaml_item(loader->yaml, list, index)
				  : initial_value(option->initial[index]);
}

static int read_list(loader_t *loader, const option_t *option, const icp_yaml_value_t *list)
{
	if (list->kind != ICP_YAML_LIST || list->length < option->least ||
		list->length > option->most) {
		return refuse(loader, option, list, NULL);
	}
	char *base = (char *)&loader->config;
	char *entries = base + option->offset;
	if (option->shape == LIST) {
		entries = icp_arena_take(&loader->config.arena, list->length * option->size);
		if (entries == NULL) {
			return no_memory(loader);
		}
		memcpy(base + option->offset, &entries, sizeof entries);
		memcpy(base + option->count_offset, &list->length, sizeof list->length);
	}
	int rc = ICP_EOK;
	for (size_t i = 0; rc == ICP_EOK && i < list->length; i++) {
		icp_yaml_value_t item = item_of(loader, option, list, i);
		rc = read_scalar(loader, option, &item, entries + i * option->size);
	}
	return rc;
}

static int read_value(loader_t *loader, const option_t *option, const icp_yaml_value_t *value)
{
	if (option->shape != ONE) {
		return read_list(loader, option, value);
	}
	return read_scalar(loader, option, value, (char *)&loader->config + option->offset);
}

static int read_initial(loader_t *loader, const option_t *option)
{
	if (option->initial[0] == NULL) {
		return ICP_EOK;
	}
	icp_yaml_value_t value = initial_value(option->initial[0]);
	if (option->shape != ONE) {
		value = (icp_yaml_value_t){.kind = ICP_YAML_LIST};
		while (option->initial[value.length] != NULL) {
			value.length++;
		}
	}
	return read_value(loader, option, &value);
}

static const icp_yaml_value_t *given(const loader_t *loader, const char *key)
{
	size_t i = 0;
	while (strcmp(options[i].key, key) != 0) {
		i++;
	}
	return &loader->entries[i].value;
}

static int check_missing(const loader_t *loader)
{
	char missing[ICP_ALLOWED_MAX] = "";
	size_t used = 0;
	bool by_provider = loader->config.policy.scope == ICP_SCOPE_PROVIDER;
	for (size_t i = 0; i < COUNT(options); i++) {
		bool required = options[i].required ||
				(by_provider && strcmp(options[i].key, "providers") == 0);
		if (required && loader->entries[i].value.kind == ICP_YAML_ABSENT) {
			used += (size_t)snprintf(missing + used, sizeof missing - used, "%s%s",
				used == 0 ? "" : ", ", options[i].key);
		}
	}
	if (used == 0) {
		return ICP_EOK;
	}
	return icp_fail(loader->diag, ICP_ECONFIG, "%s:1: missing keys: %s", loader->path, missing);
}

/* Each value is valid by itself; what they ask of each other is here. */
static int check(loader_t *loader)
{
	const icp_config_t *config = &loader->config;
	const icp_policy_t *policy = &config->policy;
	int rc = check_missing(loader);
	if (rc != ICP_EOK) {
		return rc;
	}
	const icp_yaml_value_t *providers = given(loader, "providers");
	if (policy->scope == ICP_SCOPE_PROVIDER && policy->provider_count == 0) {
		return icp_yaml_refuse(loader->yaml, "providers", providers, NULL,
			"at least one with scope: provider", loader->diag);
	}
	if (policy->scope == ICP_SCOPE_PROVIDER && config->ranges.provider_path[0] == NULL) {
		const icp_yaml_value_t *scope = given(loader, "scope");
		return icp_fail(loader->diag, ICP_ECONFIG,
			"%s:%zu: scope: provider needs ranges.provider.path", loader->path,
			scope->kind == ICP_YAML_ABSENT ? 1 : scope->line);
	}
	for (size_t i = 0; i < policy->provider_count; i++) {
		for (size_t j = 0; j < i; j++) {
			if (strcmp(policy->providers[i], policy->providers[j]) == 0) {
				icp_yaml_value_t item = icp_yaml_item(loader->yaml, providers, i);
				return icp_yaml_refuse(loader->yaml, "providers", &item,
					"given twice", "each once", loader->diag);
			}
		}
	}
	return ICP_EOK;
}

static int load(loader_t *loader)
{
	int rc = icp_yaml_open(&loader->yaml, loader->path, loader->diag);
	if (rc != ICP_EOK) {
		return rc;
	}
	for (size_t i = 0; i < COUNT(options); i++) {
		loader->entries[i].key = options[i].key;
	}
	rc = icp_config_walk(loader->yaml, loader->entries, COUNT(options), loader->diag);
	for (size_t i = 0; rc == ICP_EOK && i < COUNT(options); i++) {
		const icp_yaml_value_t *value = &loader->entries[i].value;
		rc = value->kind == ICP_YAML_ABSENT ? read_initial(loader, &options[i])
						    : read_value(loader, &options[i], value);
	}
	if (rc != ICP_EOK) {
		return rc;
	}
	size_t length = strlen(loader->path);
	loader->config.path = icp_arena_take(&loader->config.arena, length + 1);
	if (loader->config.path == NULL) {
		return no_memory(loader);
	}
	memcpy(loader->config.path, loader->path, length);
	return check(loader);
}

int icp_config_load(icp_config_t *config, const char *path, icp_diag_t *diag)
{
	loader_t loader = {.path = path, .diag = diag};
	int rc = load(&loader);
	icp_yaml_close(loader.yaml);
	if (rc != ICP_EOK) {
		icp_config_deinit(&loader.config);
		return rc;
	}
	*config = loader.config;
	return ICP_EOK;
}

void icp_config_deinit(icp_config_t *config)
{
	icp_arena_free(&config->arena);
	memset(config, 0, sizeof *config);
}

const char *icp_config_path(const char *option)
{
	if (option != NULL) {
		return option;
	}
	const char *variable = getenv("ICPGATE_CONF");
	return variable != NULL && *variable != '\0' ? variable : ICP_CONF_PATH;
}

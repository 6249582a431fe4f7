/* SPDX-License-Identifier: BSD-3-Clause */
/*! A configuration file. Input: its octets. */
#include "core/config.h"
#include "tests/fuzz/file.h"

#define UNTOUCHED 0x5a

static bool is_text(const char *text, size_t least, size_t most)
{
	size_t length = text != NULL ? strlen(text) : SIZE_MAX;
	return length >= least && length <= most && icp_text_is_utf8(text, length) &&
	       !icp_text_has_control(text, length);
}

/*! Returns the keys of a path into a range record. */
static size_t check_path(const char *const keys[ICP_PATH_DEPTH_MAX + 1])
{
	size_t count = 0;
	while (keys[count] != NULL) {
		must(count < ICP_PATH_DEPTH_MAX && is_text(keys[count], 1, 255),
			"a path is a few keys");
		count++;
	}
	return count;
}

static void check_policy(const icp_policy_t *policy)
{
	must(policy->provider_count <= 256 && policy->exempt_count <= 65536 &&
			policy->nat64_count <= 16,
		"lists have an end");
	must(policy->provider_count > 0 || policy->scope == ICP_SCOPE_MAINLAND,
		"somebody's addresses are gated");
	for (size_t i = 0; i < policy->provider_count; i++) {
		must(icp_provider_valid(policy->providers[i], strlen(policy->providers[i])),
			"a provider is a slug");
	}
	for (size_t i = 0; i < policy->exempt_count; i++) {
		icp_name_t same;
		must(icp_name_from_stored(
			     &same, policy->exempt[i].wire, policy->exempt[i].length) == ICP_EOK &&
				same.labels == policy->exempt[i].labels,
			"what is exempt is a name");
	}
	for (size_t i = 0; i < policy->nat64_count; i++) {
		uint8_t length = policy->nat64[i].length;
		must(policy->nat64[i].address.family == 6 && length >= 32 && length <= 96 &&
				length % 8 == 0,
			"a prefix is one of RFC 6052");
	}
}

static void check_daemon(const icp_config_t *config)
{
	const icp_endpoint_t *http = &config->daemon.http;
	must(is_text(config->daemon.spool, 1, 4095) && is_text(config->daemon.control, 1, 107) &&
			(config->daemon.follow == NULL || is_text(config->daemon.follow, 1, 4095)),
		"texts of the daemon are texts");
	must(http->address.family == 0 ? http->port == 0 : http->port != 0,
		"an address comes with a port");
	must(config->daemon.stale_after >= 60 && config->daemon.gap_after >= 1 &&
			config->daemon.keep_audit >= 86400 && config->daemon.keep_spool >= 86400 &&
			config->daemon.keep >= 1 && config->daemon.keep <= 1000,
		"times of the daemon are in their range");
}

static void check(const icp_config_t *config, const char *path)
{
	must(strcmp(config->path, path) == 0, "a configuration knows its file");
	must(is_text(config->store, 1, 4095) && is_text(config->ranges.database, 1, 4095) &&
			is_text(config->ranges.mainland_equals, 1, 255) &&
			is_text(config->block.text, 0, 200),
		"texts are texts");
	must(config->lease >= 2 && config->lease <= 86400 && config->block.ttl >= 1 &&
			config->block.ttl <= 86400,
		"times are in their range");
	must(config->block.ipv4.family == 4 &&
			(config->block.ipv6.family == 0 || config->block.ipv6.family == 6),
		"addresses are of their family");
	must(check_path(config->ranges.mainland_path) > 0, "the mainland is known");
	must(check_path(config->ranges.provider_path) > 0 ||
			config->policy.scope == ICP_SCOPE_MAINLAND,
		"providers are known");
	check_policy(&config->policy);
	check_daemon(config);
}

static void check_url(const char *url)
{
	must(url == NULL || (is_text(url, 5, 1000) && strpbrk(url, " \"'<>\\") == NULL &&
				    strchr(url, ':') != NULL),
		"a URL can stand in an attribute and in a header");
}

static void check_blockpage(const icp_config_t *config)
{
	must(config->blockpage.listen_count <= 16, "there is an end to listening");
	for (size_t i = 0; i < config->blockpage.listen_count; i++) {
		must(config->blockpage.listen[i].address.family != 0 &&
				config->blockpage.listen[i].port > 0,
			"one listens somewhere");
	}
	check_url(config->blockpage.file_url);
	check_url(config->blockpage.transfer_url);
	check_url(config->blockpage.contact_url);
	check_url(config->blockpage.blocked_by);
	must(config->blockpage.api_rate >= 1 && config->blockpage.connections >= 16 &&
			config->blockpage.timeout >= 1 && config->blockpage.timeout <= 300,
		"limits are in their range");
}

static bool is_all(const void *memory, size_t size, uint8_t octet)
{
	const uint8_t *octets = memory;
	for (size_t i = 0; i < size; i++) {
		if (octets[i] != octet) {
			return false;
		}
	}
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_config_t config;
	icp_diag_t diag = {""};
	const char *path = file_of(data, size);
	memset(&config, UNTOUCHED, sizeof config);
	int ret = icp_config_load(&config, path, &diag);
	must(ret == ICP_EOK || ret == ICP_ECONFIG, "nothing else goes wrong");
	if (ret == ICP_EOK) {
		check(&config, path);
		check_blockpage(&config);
		icp_config_deinit(&config);
	} else {
		must(is_all(&config, sizeof config, UNTOUCHED), "what is refused changes nothing");
		must_tell(diag.text, path);
	}
	return 0;
}

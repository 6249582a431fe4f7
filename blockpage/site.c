/* SPDX-License-Identifier: BSD-3-Clause */
#include "blockpage/site.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blockpage/builtin.h"

#define STYLE_FILE "style.css"
#define STYLES_MAX 4 /*!< Style elements of a page. */
#define SETTLED (~UINT32_C(0) << ICP_PAGE_PROVIDER)

static const icp_value_word_t value_words[ICP_PAGE_VALUE_COUNT] = {
	[ICP_PAGE_HOST] = {"host", ICP_VALUE_TEXT},
	[ICP_PAGE_UNICODE] = {"unicode", ICP_VALUE_TEXT},
	[ICP_PAGE_DOMAIN] = {"domain", ICP_VALUE_TEXT},
	[ICP_PAGE_REASON] = {"reason", ICP_VALUE_TEXT},
	[ICP_PAGE_PROVIDER] = {"provider", ICP_VALUE_TEXT},
	[ICP_PAGE_FILE_URL] = {"file_url", ICP_VALUE_URL},
	[ICP_PAGE_TRANSFER_URL] = {"transfer_url", ICP_VALUE_URL},
	[ICP_PAGE_CONTACT_URL] = {"contact_url", ICP_VALUE_URL},
	[ICP_PAGE_TTL] = {"ttl", ICP_VALUE_TEXT},
	[ICP_PAGE_STYLE] = {"style", ICP_VALUE_STYLE},
};

const icp_template_words_t icp_page_words = {
	.cases = icp_case_names,
	.case_count = ICP_CASE_COUNT,
	.values = value_words,
	.value_count = ICP_PAGE_VALUE_COUNT,
};

_Static_assert(ICP_CASE_COUNT <= ICP_TEMPLATE_WORDS_MAX, "a bit for each");

static icp_value_t value_of(const char *text)
{
	return (icp_value_t){.text = text, .length = text != NULL ? strlen(text) : 0};
}

/*! Reads a file whole, with a NUL behind it. */
static int read_file(char **text, size_t *length, const char *path, icp_diag_t *diag)
{
	struct stat st;
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file < 0 || fstat(file, &st) != 0) {
		icp_fail(diag, ICP_ECONFIG, "%s: %s", path, strerror(errno));
		if (file >= 0) {
			close(file);
		}
		return ICP_ECONFIG;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size > ICP_TEMPLATE_SIZE_MAX) {
		close(file);
		icp_fail(diag, ICP_ECONFIG, "%s: not a file of at most 256 KiB", path);
		return ICP_ECONFIG;
	}
	char *octets = calloc(1, (size_t)st.st_size + 1);
	ssize_t size = octets != NULL ? read(file, octets, (size_t)st.st_size) : -1;
	close(file);
	if (octets == NULL) {
		icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
		return ICP_ENOMEM;
	}
	if (size < 0) {
		icp_fail(diag, ICP_ECONFIG, "%s: %s", path, strerror(errno));
		free(octets);
		return ICP_ECONFIG;
	}
	*text = octets;
	*length = (size_t)size;
	return ICP_EOK;
}

/*! Gives a file of the templates, copied. path: as messages name it. */
static int load_file(char **text, size_t *length, const char *directory, const char *name,
	char path[4096], icp_diag_t *diag)
{
	if (directory != NULL) {
		snprintf(path, 4096, "%s/%s", directory, name);
		return read_file(text, length, path, diag);
	}
	snprintf(path, 4096, "built-in %s", name);
	const icp_builtin_t *file = icp_builtins;
	while (file->name != NULL && strcmp(file->name, name) != 0) {
		file++;
	}
	char *copy = file->name != NULL ? strndup(file->text, file->length) : NULL;
	if (copy == NULL) {
		icp_fail(diag, ICP_ENOMEM, "%s: out of memory", path);
		return ICP_ENOMEM;
	}
	*text = copy;
	*length = file->length;
	return ICP_EOK;
}

static int load_style(icp_site_t *site, const char *directory, icp_diag_t *diag)
{
	char path[4096];
	size_t length;
	int ret = load_file(&site->style, &length, directory, STYLE_FILE, path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	if (strlen(site->style) != length || strcasestr(site->style, "</style") != NULL) {
		return icp_fail(diag, ICP_ECONFIG, "%s:1: a NUL or \"</style\" in a style", path);
	}
	for (unsigned i = 0; i < ICP_LANGUAGE_COUNT; i++) {
		site->values[i][ICP_PAGE_STYLE] = value_of(site->style);
	}
	return ICP_EOK;
}

/*! The style elements of a page may be used, and nothing else. */
static int set_policy(icp_page_t *page, const char *path, icp_diag_t *diag)
{
	char styles[STYLES_MAX * 64] = "";
	size_t used = 0;
	size_t at = 0;
	size_t length;
	const char *style;
	unsigned count = 0;
	while ((style = icp_template_style(page->settled, &at, &length)) != NULL) {
		unsigned char digest[SHA256_DIGEST_LENGTH];
		unsigned char text[4 * ((SHA256_DIGEST_LENGTH + 2) / 3) + 1];
		if (++count > STYLES_MAX) {
			return icp_fail(diag, ICP_ECONFIG, "%s:1: more than %d style elements",
				path, STYLES_MAX);
		}
		SHA256((const unsigned char *)style, length, digest);
		EVP_EncodeBlock(text, digest, sizeof digest);
		used += (size_t)snprintf(
			styles + used, sizeof styles - used, " 'sha256-%s'", (const char *)text);
	}
	snprintf(page->policy, sizeof page->policy,
		"default-src 'none'; style-src%s; img-src data:; base-uri 'none'; "
		"form-action 'none'; frame-ancestors 'none'",
		count > 0 ? styles : " 'none'");
	return ICP_EOK;
}

static int load_language(
	icp_site_t *site, const char *directory, enum icp_language language, icp_diag_t *diag)
{
	static const char *const files[ICP_LANGUAGE_COUNT] = {"zh.html", "en.html"};
	char path[4096];
	char *text;
	size_t length;
	icp_template_t *parsed;
	int ret = load_file(&text, &length, directory, files[language], path, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	ret = icp_template_parse(&parsed, text, length, path, &icp_page_words, diag);
	free(text);
	if (ret != ICP_EOK) {
		return ret;
	}
	for (unsigned i = 0; i < ICP_CASE_COUNT && ret == ICP_EOK; i++) {
		icp_page_t *page = &site->pages[language][i];
		ret = icp_template_settle(
			&page->settled, parsed, i, site->values[language], SETTLED);
		ret = ret == ICP_EOK ? set_policy(page, path, diag)
				     : icp_fail(diag, ret, "%s: %s", path, icp_strerror(ret));
	}
	icp_template_free(parsed);
	return ret;
}

/*! Who blocks: the URL that is configured for it, or another one of his, or the page's address. */
static int set_link(icp_site_t *site, const icp_config_t *config)
{
	char address[ICP_ADDRESS_TEXT_MAX];
	const char *url = config->blockpage.blocked_by;
	if (url == NULL) {
		url = config->blockpage.file_url != NULL ? config->blockpage.file_url
							 : config->blockpage.transfer_url;
	}
	if (url != NULL) {
		return asprintf(&site->link, "<%s>; rel=\"blocked-by\"", url) < 0 ? ICP_ENOMEM
										  : ICP_EOK;
	}
	icp_address_format(&config->block.ipv4, address);
	return asprintf(&site->link, "<http://%s/>; rel=\"blocked-by\"", address) < 0 ? ICP_ENOMEM
										      : ICP_EOK;
}

static void set_values(icp_site_t *site, const icp_config_t *config)
{
	const char *zh = config->blockpage.provider_name.zh;
	const char *en = config->blockpage.provider_name.en;
	snprintf(site->ttl, sizeof site->ttl, "%" PRIu32, config->block.ttl);
	snprintf(site->cache, sizeof site->cache, "max-age=%" PRIu32, config->block.ttl);
	for (unsigned i = 0; i < ICP_LANGUAGE_COUNT; i++) {
		icp_value_t *values = site->values[i];
		values[ICP_PAGE_FILE_URL] = value_of(config->blockpage.file_url);
		values[ICP_PAGE_TRANSFER_URL] = value_of(config->blockpage.transfer_url);
		values[ICP_PAGE_CONTACT_URL] = value_of(config->blockpage.contact_url);
		values[ICP_PAGE_TTL] = value_of(site->ttl);
	}
	site->values[ICP_ZH][ICP_PAGE_PROVIDER] = value_of(zh != NULL ? zh : en);
	site->values[ICP_EN][ICP_PAGE_PROVIDER] = value_of(en != NULL ? en : zh);
}

int icp_site_open(icp_site_t **site, const icp_config_t *config, icp_diag_t *diag)
{
	const char *directory = config->blockpage.templates;
	icp_site_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	set_values(new, config);
	int ret = set_link(new, config);
	if (ret != ICP_EOK) {
		new->link = NULL;
		icp_fail(diag, ret, "out of memory");
	} else {
		ret = load_style(new, directory, diag);
	}
	for (unsigned i = 0; i < ICP_LANGUAGE_COUNT && ret == ICP_EOK; i++) {
		ret = load_language(new, directory, (enum icp_language)i, diag);
	}
	if (ret != ICP_EOK) {
		icp_site_close(new);
		return ret;
	}
	*site = new;
	return ICP_EOK;
}

void icp_site_close(icp_site_t *site)
{
	if (site == NULL) {
		return;
	}
	for (unsigned i = 0; i < ICP_LANGUAGE_COUNT; i++) {
		for (unsigned j = 0; j < ICP_CASE_COUNT; j++) {
			icp_template_free(site->pages[i][j].settled);
		}
	}
	free(site->link);
	free(site->style);
	free(site);
}

const icp_page_t *icp_site_page(const icp_site_t *site, enum icp_language language,
	const icp_finding_t *finding, icp_value_t values[ICP_PAGE_VALUE_COUNT])
{
	memcpy(values, site->values[language], sizeof site->values[language]);
	values[ICP_PAGE_HOST] = value_of(finding->host[0] != '\0' ? finding->host : NULL);
	values[ICP_PAGE_UNICODE] = value_of(finding->unicode[0] != '\0' ? finding->unicode : NULL);
	values[ICP_PAGE_DOMAIN] = value_of(finding->domain[0] != '\0' ? finding->domain : NULL);
	values[ICP_PAGE_REASON] = value_of(finding->reason);
	return &site->pages[language][finding->kind];
}

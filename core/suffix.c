/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/suffix.h"

#include <libpsl.h>
#include <stdlib.h>
#include <string.h>

struct icp_suffix {
	psl_ctx_t *list;
};

icp_suffix_t *icp_suffix_create(void)
{
	icp_suffix_t *suffix = calloc(1, sizeof *suffix);
	if (suffix == NULL) {
		return NULL;
	}
	suffix->list = psl_latest(NULL);
	if (suffix->list == NULL) {
		/* The list inside the library; psl_free leaves it alone. */
		suffix->list = (psl_ctx_t *)psl_builtin();
	}
	if (suffix->list == NULL) {
		free(suffix);
		return NULL;
	}
	return suffix;
}

void icp_suffix_destroy(icp_suffix_t *suffix)
{
	if (suffix != NULL) {
		psl_free(suffix->list);
		free(suffix);
	}
}

/*! Text of a name of at least one label, with an underscore, which no rule holds, for octets that
 * would mean something else in a text. */
static void plain_text(const icp_name_t *name, char text[ICP_NAME_MAX])
{
	size_t length = name->length - 1u;
	for (size_t i = 0; i < length; i++) {
		uint8_t octet = name->wire[1 + i];
		text[i] = octet == 0 || octet == '.' || octet >= 0x80 ? '_' : (char)octet;
	}
	for (size_t dot = name->wire[0]; dot < length; dot += 1 + (size_t)name->wire[1 + dot]) {
		text[dot] = '.';
	}
	text[length] = '\0';
}

bool icp_suffix_is_public(const icp_suffix_t *suffix, const icp_name_t *name)
{
	char text[ICP_NAME_MAX];
	if (name->labels == 0) {
		return false;
	}
	plain_text(name, text);
	return psl_is_public_suffix2(suffix->list, text, PSL_TYPE_ICANN);
}

unsigned icp_suffix_registrable(const icp_suffix_t *suffix, const icp_name_t *name)
{
	char text[ICP_NAME_MAX];
	unsigned labels = name->labels;
	if (labels <= 1) {
		return 0;
	}
	plain_text(name, text);
	/* From the whole name up: a rule may stand below a name that is none. */
	const char *at = text;
	while (labels > 1 && !psl_is_public_suffix2(suffix->list, at, PSL_TYPE_ICANN)) {
		at = strchr(at, '.') + 1;
		labels--;
	}
	return labels < name->labels ? labels + 1 : 0;
}

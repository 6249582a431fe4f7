/* SPDX-License-Identifier: BSD-3-Clause */
#include "module/abi.h"

#include <ctype.h>
#include <link.h>
#include <stdbool.h>
#include <string.h>

typedef struct {
	const char *version;
	const char *configure;
	bool version_found;
	bool configure_found;
} search_t;

/*! True when the text stands there, as a constant of its own or, if a part will do, between
 * anything but digits and dots: "1.17.1" is not in "1.17.10". */
static bool holds(const char *start, size_t length, const char *text, bool part_will_do)
{
	const char *end = start + length;
	size_t text_length = strlen(text);
	for (const char *at = start;
		(at = memmem(at, (size_t)(end - at), text, text_length)) != NULL; at++) {
		const char *after = at + text_length;
		bool starts = at == start || (at[-1] != '.' && !isdigit((unsigned char)at[-1]));
		bool ends = after < end && (*after == '\0' || part_will_do);
		if (starts && ends && !isdigit((unsigned char)*after)) {
			return true;
		}
	}
	return false;
}

/*! Looks through the program's own read-only segments; it is the first object of the walk. */
static int search_program(struct dl_phdr_info *object, size_t size, void *context)
{
	(void)size;
	search_t *search = context;
	for (unsigned i = 0; i < object->dlpi_phnum; i++) {
		const ElfW(Phdr) *segment = &object->dlpi_phdr[i];
		if (segment->p_type != PT_LOAD || (segment->p_flags & (PF_R | PF_W)) != PF_R) {
			continue;
		}
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): the dynamic linker gives numbers */
		const char *start = (const char *)(object->dlpi_addr + segment->p_vaddr);
		search->version_found |= holds(start, segment->p_memsz, search->version, true);
		search->configure_found |= holds(start, segment->p_memsz, search->configure, false);
	}
	return 1;
}

int icp_abi_check(const char *version, const char *configure, icp_diag_t *diag)
{
	search_t search = {.version = version, .configure = configure};
	dl_iterate_phdr(search_program, &search);
	if (!search.version_found) {
		return icp_fail(diag, ICP_EVERSION,
			"this module was built for Unbound %s, not for this daemon; build it against the daemon's own source tree",
			version);
	}
	if (!search.configure_found) {
		return icp_fail(diag, ICP_EVERSION,
			"this module was built for an Unbound configured with '%s', this daemon was configured otherwise; build it against the daemon's own source tree",
			configure);
	}
	return ICP_EOK;
}

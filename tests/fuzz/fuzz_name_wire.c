/* SPDX-License-Identifier: BSD-3-Clause */
/*! Names in wire form. Input: a name with its root label, then another one. */
#include "core/error.h"
#include "core/name.h"
#include "tests/fuzz/fuzz.h"

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

static bool same(const icp_name_t *a, const icp_name_t *b)
{
	return a->length == b->length && a->labels == b->labels &&
	       memcmp(a->wire, b->wire, a->length) == 0;
}

/*! Stored bytes are no name, or the very bytes of one. */
static void check_stored(const uint8_t *wire, size_t length)
{
	icp_name_t name;
	if (icp_name_from_stored(&name, wire, length) == ICP_EOK) {
		must(name.length == length && (length == 0 || memcmp(name.wire, wire, length) == 0),
			"a stored name is taken as it is");
		must(icp_name_suffix(&name, 0) == length, "a stored name is whole labels");
	}
}

static void check_text(const icp_name_t *name)
{
	char *text = exact(ICP_NAME_TEXT_MAX);
	icp_name_t again;
	icp_name_format(name, text);
	must(*text != '\0' && strlen(text) < ICP_NAME_TEXT_MAX, "a name has a text");
	if (name->labels > 0 && icp_name_is_ldh(name)) {
		must(icp_name_parse(&again, text, strlen(text), NULL) == ICP_EOK &&
				same(&again, name),
			"a host name is read as it was written");
	}
	free(text);
}

static void check_parents(const icp_name_t *name)
{
	uint8_t offsets[ICP_NAME_LABELS_MAX + 1];
	icp_name_suffixes(name, offsets);
	for (unsigned labels = 0; labels <= name->labels; labels++) {
		size_t at = icp_name_suffix(name, labels);
		uint8_t *stored = exact_copy(name->wire + at, name->length - at);
		icp_name_t parent;
		must(offsets[labels] == at, "both ways to a parent lead to the same");
		must(icp_name_from_stored(&parent, stored, name->length - at) == ICP_EOK &&
				parent.labels == labels && icp_name_is_under(name, &parent),
			"a name is under its parents");
		must(labels == name->labels || !icp_name_is_under(&parent, name),
			"no parent is under its name");
		free(stored);
	}
}

static void check_order(const icp_name_t *a, const icp_name_t *b)
{
	int order = icp_name_compare(a->wire, a->length, b->wire, b->length);
	int reverse = icp_name_compare(b->wire, b->length, a->wire, a->length);
	must(sign(order) == -sign(reverse), "the order has two directions");
	must((order == 0) == same(a, b), "only equal names are equal in order");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	icp_name_t name;
	icp_name_t other;
	uint8_t *wire = exact_copy(data, size);
	check_stored(wire, size);
	if (icp_name_from_wire(&name, wire, size) == ICP_EOK) {
		size_t used = name.length + 1U;
		must(name.length <= ICP_NAME_MAX && used <= size && wire[name.length] == 0,
			"a name ends with its root label");
		check_text(&name);
		check_parents(&name);
		check_order(&name, &name);
		if (icp_name_from_wire(&other, wire + used, size - used) == ICP_EOK) {
			check_order(&name, &other);
		}
	}
	free(wire);
	return 0;
}

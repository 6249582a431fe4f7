/* SPDX-License-Identifier: BSD-3-Clause */
/*! A feed's file. Input: its octets, read as a full feed and as a delta. */
#include "core/error.h"
#include "core/time.h"
#include "loader/feed.h"
#include "tests/fuzz/file.h"

/* A few octets of compressed line feeds become lines for minutes. */
#define PACKED_MAX 256

static bool is_packed(const uint8_t *data, size_t size)
{
	return size >= 2 && (memcmp(data, "\x1f\x8b", 2) == 0 || memcmp(data, "\xfd\x37", 2) == 0 ||
				    memcmp(data, "\x28\xb5", 2) == 0);
}

static void check_number(const icp_row_t *row)
{
	must(row->number_length <= ICP_NUMBER_MAX &&
			icp_text_is_utf8(row->number, row->number_length) &&
			!icp_text_has_control(row->number, row->number_length),
		"a number is text");
}

static void check_domain(const icp_name_t *name, const icp_row_t *row)
{
	icp_name_t same;
	must(icp_name_from_stored(&same, name->wire, name->length) == ICP_EOK &&
			same.labels == name->labels && name->labels >= 2 && icp_name_is_ldh(name),
		"a domain is a host name");
	must(row->domain == name->wire && row->domain_length == name->length &&
			row->labels == name->labels,
		"a row is of its domain");
}

static void check_row(const icp_name_t *name, const icp_row_t *row)
{
	check_domain(name, row);
	check_number(row);
	must(icp_provider_valid(row->provider, row->provider_length), "a provider is a slug");
	must(row->status < ICP_STATUS_COUNT, "a status is known");
	must(row->number_length > 0 || row->status == ICP_PENDING, "only pending has no number");
	must((row->expires_at != ICP_TIME_NONE) == (row->status == ICP_TRANSFER_PREAPPROVED),
		"a transfer ends");
	must(row->approved_at != ICP_TIME_NONE || row->status != ICP_TRANSFER_PREAPPROVED,
		"a transfer begins");
	must((row->rectify_by != ICP_TIME_NONE) == (row->status == ICP_RECTIFYING),
		"rectifying has a deadline");

	uint8_t *stored = exact(ICP_ROW_MAX);
	icp_row_t same;
	size_t octets = icp_row_encode(row, stored);
	must(icp_row_decode(&same, stored, octets) == octets, "a row can be stored");
	free(stored);
}

static void check_change(const icp_change_t *change)
{
	const icp_row_t *row = &change->row;
	switch (change->op) {
	case ICP_OP_UPSERT:
		check_row(&change->name, row);
		break;
	case ICP_OP_DELETE:
		check_domain(&change->name, row);
		must(icp_provider_valid(row->provider, row->provider_length),
			"a provider is a slug");
		break;
	default:
		must(change->op == ICP_OP_DEREGISTER_ENTITY && change->name.length == 0,
			"an op is known");
		check_number(row);
		must(row->number_length >= 3 &&
				memcmp(row->number + row->number_length - 3, "号", 3) == 0,
			"an entity's number ends so");
	}
}

static int read_rows(icp_feed_t *feed, uint64_t *good, icp_diag_t *diag)
{
	icp_name_t name;
	icp_row_t row;
	uint64_t line;
	uint64_t last = 0;
	int ret;
	while ((ret = icp_feed_next(feed, &name, &row, &line, diag)) == 1) {
		must(line > last, "rows come in the order of their lines");
		check_row(&name, &row);
		last = line;
		++*good;
	}
	return ret;
}

static int read_changes(icp_feed_t *feed, uint64_t *good, icp_diag_t *diag)
{
	icp_changes_t *changes = icp_changes_create();
	icp_change_t change;
	uint64_t line;
	uint64_t last = 0;
	int ret;
	must(changes != NULL, "there is memory");
	while ((ret = icp_feed_next_change(feed, &change, &line, diag)) == 1) {
		must(line > last, "changes come in the order of their lines");
		check_change(&change);
		must(icp_changes_add(changes, &change) == ICP_EOK, "there is memory");
		last = line;
		++*good;
	}
	size_t length;
	icp_changes_t *same;
	const uint8_t *stored = icp_changes_stored(changes, &length);
	must(icp_changes_from_stored(&same, stored, length) == ICP_EOK &&
			icp_changes_count(same) == *good,
		"changes can be stored");
	icp_changes_destroy(same);
	icp_changes_destroy(changes);
	return ret;
}

static void read_feed(const char *path, enum icp_feed_kind kind)
{
	static icp_bad_t bad;
	icp_stream_t *stream = NULL;
	icp_feed_t *feed = NULL;
	icp_diag_t diag = {""};
	bad = (icp_bad_t){.total = 0};
	int ret = icp_stream_open(&stream, path, false, &diag);
	if (ret == ICP_EOK) {
		ret = icp_feed_open(&feed, stream, kind, &bad, &diag);
	}
	if (ret == ICP_EOK) {
		uint64_t good = 0;
		ret = kind == ICP_FEED_FULL ? read_rows(feed, &good, &diag)
					    : read_changes(feed, &good, &diag);
		must(icp_feed_count(feed) == good + bad.total, "a row is good or bad");
	}
	must(ret == ICP_EOK || ret == ICP_EFEED, "nothing else goes wrong");
	if (ret == ICP_EFEED) {
		must_tell(diag.text, path);
	}
	for (size_t i = 0; i < bad.kept; i++) {
		must(is_line(bad.rows[i].text), "what is wrong with a row is one line");
	}
	icp_feed_close(feed);
	icp_stream_close(stream);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (is_packed(data, size) && size > PACKED_MAX) {
		return 0;
	}
	const char *path = file_of(data, size);
	read_feed(path, ICP_FEED_FULL);
	read_feed(path, ICP_FEED_DELTA);
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*!
 * What is read in the spool. Input: an octet, then as it says the name of a file, a manifest beside
 * a feed, or a journal.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "loader/spool_journal.h"
#include "loader/spool_order.h"
#include "tests/fuzz/file.h"

/*! A base leads nowhere but to files of its directory. */
static void check_base(const char *base)
{
	size_t length = strlen(base);
	must(length > 4 && length <= ICP_SPOOL_BASE_MAX && base[0] != '.' && is_line(base) &&
			strchr(base, '/') == NULL && strcmp(base + length - 4, ".csv") == 0,
		"a base is a name of a feed");
}

static void check_name(const uint8_t *data, size_t size)
{
	char base[ICP_SPOOL_BASE_MAX + 1];
	char other[ICP_SPOOL_BASE_MAX + 1];
	size_t length = 0;
	char *name = exact(size + 1);
	if (size > 0) {
		memcpy(name, data, size);
	}
	enum icp_spool_name kind = icp_spool_name(name, &length);
	bool has = icp_spool_base(name, base);
	must(kind != ICP_SPOOL_MANIFEST || (has && strlen(base) == length),
		"a manifest has a base");
	if (has) {
		check_base(base);
		must(strncmp(base, name, strlen(base)) == 0, "a name begins with its base");
		icp_spool_rename(base, "20261124T000000-1000", other);
		must(strlen(other) == strlen(base) + 21 || strlen(base) + 21 > ICP_SPOOL_BASE_MAX,
			"another base is longer");
		must(icp_spool_base(other, base), "another base is a base");
	}
	free(name);
}

static char made[64];

static void remove_directory(void)
{
	rmdir(made);
}

static int directory_of_feeds(void)
{
	static int directory = -1;
	if (directory < 0) {
		const char *base = getenv("TMPDIR");
		snprintf(made, sizeof made, "%.40s/icpgate-fuzz-XXXXXX",
			base != NULL ? base : "/tmp");
		must(mkdtemp(made) != NULL, "a directory can be made");
		directory = open(made, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		atexit(remove_directory);
	}
	return directory;
}

static void put(int directory, const char *name, const uint8_t *data, size_t size)
{
	int file = openat(directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	must(file >= 0 && write(file, data, size) == (ssize_t)size, "a file can be written");
	close(file);
}

static void check_manifest(const uint8_t *data, size_t size)
{
	icp_diag_t diag = {""};
	int directory = directory_of_feeds();
	icp_spool_t spool = {.path = made, .directory = directory, .places = {-1, -1}};
	const icp_spool_store_t store = {.there = true, .sequence = 7};
	put(directory, "f.csv", NULL, 0);
	put(directory, "f.csv.json", data, size);
	must(icp_spool_scan(&spool, 0, &diag) == ICP_EOK && spool.count == 1,
		"a manifest is found");
	icp_spool_feed_t *feed = &spool.feeds[0];
	icp_spool_next_t next = icp_spool_next(&spool, &store, false, ICP_SPOOL_SETTLE_MS);
	if (feed->state == ICP_SPOOL_WRONG) {
		icp_spool_explain(&spool, feed, &diag);
		must_tell(diag.text, "f.csv.json");
		must(next.step == ICP_SPOOL_REJECT, "what is wrong is rejected in the end");
	} else {
		must(feed->state == ICP_SPOOL_GOOD && feed->sequence <= INT64_MAX,
			"there is a feed");
		must(feed->full || feed->sequence == 8 ? next.step == ICP_SPOOL_LOAD
			: feed->sequence < 8           ? next.step == ICP_SPOOL_APPLIED
						       : next.step == ICP_SPOOL_NOTHING,
			"each has its turn");
	}
	icp_spool_drop(&spool, feed);
	free(spool.feeds);
	unlinkat(directory, "f.csv.json", 0);
	unlinkat(directory, "f.csv", 0);
}

static bool is_same_stamp(const icp_spool_stamp_t *a, const icp_spool_stamp_t *b)
{
	return a->inode == b->inode && a->size == b->size &&
	       a->modified.tv_sec == b->modified.tv_sec &&
	       a->modified.tv_nsec == b->modified.tv_nsec;
}

/*! What was understood is written, and understood again. */
static void check_written(const icp_spool_journal_t *journal)
{
	icp_spool_journal_t again;
	int directory = directory_of_feeds();
	must(icp_spool_journal_write(directory, journal) == 0, "a journal can be written");
	must(icp_spool_journal_read(directory, &again), "what was written can be read");
	unlinkat(directory, ICP_SPOOL_JOURNAL, 0);
	must(again.what == journal->what && strcmp(again.base, journal->base) == 0,
		"it is of the same feed");
	must(memcmp(again.sha256, journal->sha256, sizeof again.sha256) == 0 &&
			again.sequence == journal->sequence &&
			again.generation == journal->generation,
		"it is the same load");
	must(again.place == journal->place && strcmp(again.as, journal->as) == 0 &&
			again.known == journal->known &&
			is_same_stamp(&again.manifest, &journal->manifest) &&
			is_same_stamp(&again.feed, &journal->feed),
		"it is the same move");
}

static void check_journal(const uint8_t *data, size_t size)
{
	icp_spool_journal_t journal;
	char *text = exact_copy(data, size);
	if (icp_spool_journal_parse(&journal, text, size)) {
		check_base(journal.base);
		must(journal.what == ICP_SPOOL_LOADING ||
				(journal.place < ICP_SPOOL_PLACES &&
					strchr(journal.as, '/') == NULL && journal.as[0] != '.' &&
					strlen(journal.as) > 4),
			"a feed goes to a place, under a name");
		check_written(&journal);
	}
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0) {
		return 0;
	}
	switch (data[0] % 3) {
	case 0:
		check_name(data + 1, size - 1);
		break;
	case 1:
		check_manifest(data + 1, size - 1);
		break;
	default:
		check_journal(data + 1, size - 1);
		break;
	}
	return 0;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "tests/unit/spool_help.h"

#include <sys/resource.h>

#include "core/time.h"
#include "loader/prune.h"
#include "loader/spool_file.h"
#include "loader/spool_journal.h"

#define DAY 86400
#define MOVING(sha256, more)                                                                       \
	"{\"moving\": \"f.csv\", \"to\": \"done\", \"as\": \"f.csv\", \"sha256\": \"" sha256       \
	"\"" more "}"
#define LOADING(base, sequence)                                                                    \
	("{\"loading\": \"" base "\", \"sha256\": \"" SHA "\", \"sequence\": " sequence            \
	 ", \"generation\": 1}")

static int move(site_t *site, const char *base, enum icp_spool_place place, char *as)
{
	icp_diag_t notice;
	return icp_spool_move(&site->spool, find(site, base), place, "what became of it\n", NOW, as,
		&notice, &site->diag);
}

static void test_move(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	put(site, "f.csv", "full", 1);
	assert_int_equal(rename(path_of(site, "f.csv"), path_of(site, "f.csv.zst")), 0);
	scan(site, 0);
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_DONE, as), ICP_EOK);
	assert_string_equal(as, "f.csv");
	assert_text(site, "done/f.csv.report", "what became of it\n");
	assert_true(is_there(site, "done/f.csv.zst") && is_there(site, "done/f.csv.json"));
	assert_false(is_there(site, "f.csv.zst") || is_there(site, "f.csv.json"));
	assert_false(is_there(site, ICP_SPOOL_JOURNAL));
}

/* The night's feed may have the same name every night. */
static void test_move_taken(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	static const char *const names[] = {
		"f.csv", "f~20261124T000000.csv", "f~20261124T000000-2.csv"};
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[ICP_SPOOL_BASE_MAX + 64];
		put(site, "f.csv", "full", 1);
		scan(site, 0);
		assert_int_equal(move(site, "f.csv", ICP_SPOOL_REJECTED, as), ICP_EOK);
		assert_string_equal(as, names[i]);
		snprintf(name, sizeof name, "rejected/%s.json", as);
		assert_true(is_there(site, name));
	}
}

/* Also the longest name fits, with all that is added, and can be given in an order then. */
static void test_move_long(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	char again[ICP_SPOOL_BASE_MAX + 1];
	static const char *const characters[] = {"a", "\xE4\xBE\x8B", "\xF0\xA0\x80\x80"};
	for (size_t i = 0; i < 3 * COUNT(characters); i++) {
		const char *character = characters[i / 3];
		char base[ICP_SPOOL_BASE_MAX + 5] = "";
		while (strlen(base) + strlen(character) <= ICP_SPOOL_BASE_MAX - 4) {
			strcat(base, character); /* NOLINT: it is bounded */
		}
		strcat(base, ".csv"); /* NOLINT: likewise */
		put(site, base, "full", 1);
		scan(site, 0);
		assert_int_equal(move(site, base, ICP_SPOOL_DONE, as), ICP_EOK);
		assert_true(icp_spool_base(as, again));
		assert_int_equal(strcmp(as, base) == 0, i % 3 == 0);
	}
}

static void test_move_fails(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	put(site, "f.csv", "full", 1);
	scan(site, 0);
	int place = site->spool.places[ICP_SPOOL_DONE];
	int nowhere = open("/proc/self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	site->spool.places[ICP_SPOOL_DONE] = nowhere;
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_DONE, as), ICP_ESYS);
	assert_true(is_there(site, "f.csv") && is_there(site, "f.csv.json"));
	/* A directory that was removed is no place either. */
	assert_int_equal(mkdir(path_of(site, "x"), 0700), 0);
	int gone = open(path_of(site, "x"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(rmdir(path_of(site, "x")), 0);
	site->spool.places[ICP_SPOOL_DONE] = gone;
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_DONE, as), ICP_ESYS);
	assert_true(is_there(site, "f.csv") && is_there(site, "f.csv.json"));
	close(gone);
	site->spool.places[ICP_SPOOL_DONE] = place;
	close(nowhere);
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_DONE, as), ICP_EOK);
	assert_false(is_there(site, "f.csv") || is_there(site, "f.csv.json"));
}

/* A move that was interrupted at each of its steps is ended under the name that it began with. */
static void test_recover(void **state)
{
	site_t *site = *state;
	for (int step = 0; step < 3; step++) {
		icp_spool_loading_t loading;
		const icp_spool_journal_t journal = {.what = ICP_SPOOL_MOVING,
			.base = "f.csv",
			.place = ICP_SPOOL_REJECTED,
			.as = "f~1.csv"};
		put(site, "f.csv", "full", 1);
		write_file(site, ICP_SPOOL_REPORT, "why");
		assert_int_equal(icp_spool_journal_write(site->spool.directory, &journal), 0);
		if (step > 0) {
			assert_int_equal(
				rename(path_of(site, "f.csv"), path_of(site, "rejected/f~1.csv")),
				0);
		}
		if (step > 1) {
			assert_int_equal(rename(path_of(site, "f.csv.json"),
						 path_of(site, "rejected/f~1.csv.json")),
				0);
		}
		assert_int_equal(icp_spool_recover(&site->spool, &loading, &site->diag), ICP_EOK);
		assert_string_equal(loading.base, "");
		assert_text(site, "rejected/f~1.csv.report", "why");
		assert_true(is_there(site, "rejected/f~1.csv") &&
			    is_there(site, "rejected/f~1.csv.json"));
		assert_false(is_there(site, "f.csv") || is_there(site, "f.csv.json") ||
			     is_there(site, ICP_SPOOL_JOURNAL));
		unlink(path_of(site, "rejected/f~1.csv"));
		unlink(path_of(site, "rejected/f~1.csv.json"));
	}
}

/* What happens to a feed between two daemons, of which the first was moving it. */
enum change { TOUCHED, TAKEN, NEW_MANIFEST, REWRITTEN, NEW_FEED, LONGER, NEW_FEED_ALONE };

static void change(const site_t *site, enum change what)
{
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	const char *manifest = path_of(site, "f.csv.json");
	switch (what) {
	case TOUCHED:
		assert_int_equal(utimensat(AT_FDCWD, manifest, old, 0), 0);
		break;
	case TAKEN:
	case NEW_FEED_ALONE:
		assert_int_equal(rename(manifest, path_of(site, "done/f.csv.json")), 0);
		break;
	case NEW_MANIFEST:
		write_manifest(site, "new", "delta", 1);
		assert_int_equal(rename(path_of(site, "new"), manifest), 0);
		break;
	case REWRITTEN:
		write_manifest_of(site, "f.csv.json", "delta", 11, OTHER_SHA);
		break;
	case NEW_FEED:
	case LONGER:
		break;
	}
	if (what == NEW_FEED || what == NEW_FEED_ALONE) {
		write_file(site, "new", "new");
		assert_int_equal(rename(path_of(site, "new"), path_of(site, "f.csv")), 0);
	} else if (what == LONGER) {
		write_file(site, "f.csv", "longer");
	}
}

static void test_recover_another(void **state)
{
	site_t *site = *state;
	for (int what = TOUCHED; what <= NEW_FEED_ALONE; what++) {
		icp_spool_loading_t loading;
		icp_spool_journal_t read;
		bool moves = what <= TAKEN;
		put(site, "f.csv", "delta", 1);
		scan(site, what);
		const icp_spool_feed_t *feed = find(site, "f.csv");
		icp_spool_journal_t journal = {.what = ICP_SPOOL_MOVING,
			.base = "f.csv",
			.as = "f.csv",
			.known = true,
			.manifest = feed->manifest,
			.feed = feed->feed};
		memcpy(journal.sha256, feed->sha256, sizeof journal.sha256);
		assert_int_equal(icp_spool_journal_write(site->spool.directory, &journal), 0);
		assert_true(icp_spool_journal_read(site->spool.directory, &read) && read.known);
		write_file(site, ICP_SPOOL_REPORT, "why");
		if (what != LONGER) {
			assert_int_equal(
				rename(path_of(site, "f.csv"), path_of(site, "done/f.csv")), 0);
		}
		change(site, (enum change)what);
		assert_int_equal(icp_spool_recover(&site->spool, &loading, &site->diag), ICP_EOK);
		if (is_there(site, "f.csv.json") != (!moves && what != NEW_FEED_ALONE) ||
			is_there(site, "f.csv") != (what >= NEW_FEED)) {
			fail_msg("change %d", what);
		}
		assert_false(is_there(site, ICP_SPOOL_JOURNAL) || is_there(site, ICP_SPOOL_REPORT));
		/* The report is beside what was moved. */
		assert_int_equal(is_there(site, "done/f.csv.report"), what != LONGER);
		static const char *const names[] = {"f.csv", "f.csv.json", "done/f.csv",
			"done/f.csv.json", "done/f.csv.report"};
		for (size_t i = 0; i < COUNT(names); i++) {
			unlink(path_of(site, names[i]));
		}
		scan(site, what);
	}
}

static void test_recover_loading(void **state)
{
	site_t *site = *state;
	icp_spool_loading_t loading;
	put(site, "f.csv", "full", 7);
	scan(site, 0);
	const icp_spool_feed_t *feed = find(site, "f.csv");
	assert_int_equal(icp_spool_begin(&site->spool, feed, 41, &site->diag), ICP_EOK);
	assert_int_equal(icp_spool_recover(&site->spool, &loading, &site->diag), ICP_EOK);
	assert_string_equal(loading.base, "f.csv");
	assert_int_equal(loading.sequence, 7);
	assert_int_equal(loading.generation, 41);
	assert_memory_equal(loading.sha256, feed->sha256, sizeof loading.sha256);
	icp_spool_forget(&site->spool);
	assert_int_equal(icp_spool_recover(&site->spool, &loading, &site->diag), ICP_EOK);
	assert_string_equal(loading.base, "");
}

/* Who may write to the spool may write a journal; it leads nowhere else. */
static void test_journal_refused(void **state)
{
	site_t *site = *state;
	static const char *const texts[] = {
		"",
		"{}",
		"[]",
		"{\"moving\": \"f.csv\"",
		"{\"moving\": \"f.csv\", \"to\": \"done\"}",
		"{\"moving\": \"f.csv\", \"to\": \"..\", \"as\": \"f.csv\"}",
		"{\"moving\": \"../f.csv\", \"to\": \"done\", \"as\": \"f.csv\"}",
		"{\"moving\": \"f.csv\", \"to\": \"done\", \"as\": \"../f.csv\"}",
		"{\"moving\": \"f.csv\", \"to\": \"done\", \"as\": \".csv\"}",
		"{\"moving\": \"f.csv.zst\", \"to\": \"done\", \"as\": \"f.csv\"}",
		"{\"moving\": \"f.csv\", \"to\": \"done\", \"as\": \"f\"}",
		MOVING(SHA, ""),
		MOVING(SHA, ", \"manifest\": [1, 2, 3, 4], \"feed\": [1, 2, 3]"),
		MOVING("ab", ", \"manifest\": [1, 2, 3, 4], \"feed\": [1, 2, 3, 4]"),
		"{\"loading\": \"f.csv\", \"sha256\": \"ab\", \"sequence\": 1, \"generation\": 1}",
		LOADING("f.csv", "-1"),
		LOADING("/f.csv", "1"),
	};
	for (size_t i = 0; i < COUNT(texts); i++) {
		icp_spool_journal_t journal;
		if (icp_spool_journal_parse(&journal, texts[i], strlen(texts[i]))) {
			fail_msg("%s", texts[i]);
		}
	}
	assert_int_equal(symlink("done", path_of(site, ICP_SPOOL_JOURNAL)), 0);
	icp_spool_journal_t journal;
	assert_false(icp_spool_journal_read(site->spool.directory, &journal));
}

static int take_back(site_t *site, const char *base, enum icp_spool_place place)
{
	site->diag.text[0] = '\0';
	int ret = icp_spool_locate(&site->spool, base, &place, &site->diag);
	return ret == ICP_EOK ? icp_spool_take_back(&site->spool, base, place, &site->diag) : ret;
}

static void test_take_back(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	put(site, "f.csv", "delta", 1);
	scan(site, 0);
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_REJECTED, as), ICP_EOK);
	assert_int_equal(take_back(site, "f.csv", ICP_SPOOL_PLACES), ICP_EOK);
	assert_true(is_there(site, "f.csv") && is_there(site, "f.csv.json"));
	assert_false(is_there(site, "rejected/f.csv.report"));
	assert_int_equal(take_back(site, "f.csv", ICP_SPOOL_PLACES), ICP_EINVAL);
	assert_int_equal(take_back(site, "g.csv", ICP_SPOOL_PLACES), ICP_EINVAL);
	assert_string_equal(site->diag.text, "g.csv: no such feed in the spool, done or rejected");
}

/* With the same name every night it may be that of yesterday, or the one that was refused. */
static void test_take_back_which(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	for (int place = 0; place < ICP_SPOOL_PLACES; place++) {
		put(site, "f.csv", "full", (unsigned)place + 1);
		scan(site, 0);
		assert_int_equal(move(site, "f.csv", (enum icp_spool_place)place, as), ICP_EOK);
	}
	assert_int_equal(take_back(site, "f.csv", ICP_SPOOL_PLACES), ICP_EINVAL);
	assert_string_equal(site->diag.text,
		"f.csv: there is rejected/f.csv and done/f.csv; say which of them");
	assert_int_equal(take_back(site, "g.csv", ICP_SPOOL_DONE), ICP_EINVAL);
	assert_string_equal(site->diag.text, "done/g.csv: no such feed");
	assert_int_equal(take_back(site, "f.csv", ICP_SPOOL_REJECTED), ICP_EOK);
	assert_true(is_there(site, "done/f.csv") && !is_there(site, "rejected/f.csv"));
	scan(site, 0);
	assert_int_equal(find(site, "f.csv")->sequence, 2);
	/* There is no room for the other one. */
	assert_int_equal(take_back(site, "f.csv", ICP_SPOOL_DONE), ICP_EINVAL);
}

/* What lies there can be looked at without taking it back. */
static void test_look_at(void **state)
{
	site_t *site = *state;
	char as[ICP_SPOOL_BASE_MAX + 1];
	char base[] = "f.csv";
	icp_spool_feed_t feed = {.base = base};
	put(site, "f.csv", "delta", 9);
	scan(site, 0);
	assert_int_equal(move(site, "f.csv", ICP_SPOOL_DONE, as), ICP_EOK);
	icp_spool_look_at(&site->spool, ICP_SPOOL_DONE, &feed, &site->diag);
	assert_int_equal(feed.state, ICP_SPOOL_GOOD);
	assert_int_equal(feed.sequence, 9);
	assert_false(feed.full);
	/* Want of descriptors says nothing of a feed. */
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	const struct rlimit none = {.rlim_cur = 0, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	feed = (icp_spool_feed_t){.base = base};
	icp_spool_look_at(&site->spool, ICP_SPOOL_DONE, &feed, &site->diag);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(feed.state, ICP_SPOOL_UNREAD);
	assert_string_equal(site->diag.text, "f.csv.json: Too many open files");
	write_file(site, "done/f.csv.json", "{");
	feed = (icp_spool_feed_t){.base = base};
	icp_spool_look_at(&site->spool, ICP_SPOOL_DONE, &feed, &site->diag);
	assert_int_equal(feed.state, ICP_SPOOL_WRONG);
}

/* A move that failed half-way is not ended with a feed that came in place of the one it was of. */
static void test_move_replaced(void **state)
{
	site_t *site = *state;
	icp_spool_journal_t journal = {
		.what = ICP_SPOOL_MOVING, .base = "f.csv", .place = ICP_SPOOL_DONE, .as = "f.csv"};
	put(site, "f.csv", "delta", 1);
	scan(site, 0);
	find(site, "f.csv")->leaves = true;
	assert_int_equal(icp_spool_journal_write(site->spool.directory, &journal), 0);
	assert_int_equal(rename(path_of(site, "f.csv"), path_of(site, "done/f.csv")), 0);
	scan(site, 10);
	assert_true(find(site, "f.csv")->leaves);
	assert_true(is_there(site, ICP_SPOOL_JOURNAL));
	put(site, "f.csv", "delta", 2);
	scan(site, 20);
	assert_false(find(site, "f.csv")->leaves);
	assert_int_equal(find(site, "f.csv")->sequence, 2);
	assert_false(is_there(site, ICP_SPOOL_JOURNAL));
}

static void test_write_file(void **state)
{
	site_t *site = *state;
	int directory = site->spool.directory;
	write_file(site, "x", "old");
	assert_int_equal(symlink("x", path_of(site, "y")), 0);
	assert_int_equal(icp_spool_write_file(directory, "y", "new", 3), 0);
	assert_text(site, "y", "new");
	assert_text(site, "x", "old");
	assert_int_equal(mkdir(path_of(site, "z"), 0700), 0);
	assert_int_equal(icp_spool_write_file(directory, "z", "new", 3), -1);
	assert_false(is_there(site, ".new"));
}

static void test_prune(void **state)
{
	site_t *site = *state;
	int64_t now = (int64_t)time(NULL);
	write_file(site, "done/f.csv", "");
	write_file(site, "done/f.csv.json", "");
	write_file(site, "rejected/f.csv", "");
	assert_int_equal(mkdir(path_of(site, "done/dir"), 0700), 0);
	/* That a feed is old says nothing of how long it lies here. */
	const struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	assert_int_equal(utimensat(AT_FDCWD, path_of(site, "done/f.csv"), old, 0), 0);
	assert_int_equal(icp_spool_prune(&site->spool, ICP_SPOOL_DONE, now + DAY, DAY + 9), 0);
	assert_int_equal(icp_spool_prune(&site->spool, ICP_SPOOL_DONE, now + DAY + 99, DAY), 2);
	assert_true(is_there(site, "rejected/f.csv") && is_there(site, "done/dir"));
}

static void test_prune_audit(void **state)
{
	site_t *site = *state;
	int64_t now;
	static const char *const names[] = {"2026-11-20.csv.zst", "2026-11-21.csv.zst",
		"2026-11-22.csv.zst", "2026-11-20.csv", "pending.damaged.1", "x"};
	assert_int_equal(
		icp_time_parse(&now, "2026-11-23T00:00:00+08:00", 25, ICP_DATE_FIRST), ICP_EOK);
	assert_int_equal(icp_prune_audit(site->path, now, DAY), 0);
	assert_int_equal(mkdir(path_of(site, "audit"), 0700), 0);
	for (size_t i = 0; i < COUNT(names); i++) {
		char name[64];
		snprintf(name, sizeof name, "audit/%s", names[i]);
		write_file(site, name, "");
	}
	write_file(site, "audit/pending", "");
	assert_int_equal(icp_prune_audit(site->path, now, DAY), 0);
	assert_int_equal(unlink(path_of(site, "audit/pending")), 0);
	assert_int_equal(icp_prune_audit(site->path, now - 1, DAY), 1);
	assert_true(is_there(site, "audit/2026-11-21.csv.zst"));
	assert_int_equal(icp_prune_audit(site->path, now, DAY), 1);
	assert_true(is_there(site, "audit/2026-11-22.csv.zst") &&
		    is_there(site, "audit/2026-11-20.csv") && is_there(site, "audit/x"));
	assert_int_equal(icp_prune_audit("/nonexistent", now, DAY), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SPOOL(test_move),
		IN_SPOOL(test_move_taken),
		IN_SPOOL(test_move_long),
		IN_SPOOL(test_move_fails),
		IN_SPOOL(test_recover),
		IN_SPOOL(test_recover_another),
		IN_SPOOL(test_recover_loading),
		IN_SPOOL(test_journal_refused),
		IN_SPOOL(test_take_back),
		IN_SPOOL(test_take_back_which),
		IN_SPOOL(test_look_at),
		IN_SPOOL(test_move_replaced),
		IN_SPOOL(test_write_file),
		IN_SPOOL(test_prune),
		IN_SPOOL(test_prune_audit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

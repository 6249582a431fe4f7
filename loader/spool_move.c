/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_move.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/time.h"
#include "loader/spool_file.h"
#include "loader/spool_journal.h"
#include "loader/spool_look.h"

#define TRIES_MAX 1000 /* Names that are tried for one that is taken. */

static int failed(const icp_spool_t *spool, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ESYS, "%s/%s: %s", spool->path, what, strerror(errno));
}

static bool is_there(int directory, const char *base, const char *end)
{
	char name[NAME_MAX + 1];
	struct stat st;
	snprintf(name, sizeof name, "%s%s", base, end);
	return fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW) == 0 || errno != ENOENT;
}

/*! Whether anything of a feed of this base is in a directory. */
static bool is_taken(int directory, const char *base)
{
	for (size_t i = 0; i < ICP_SPOOL_SUFFIXES; i++) {
		if (is_there(directory, base, icp_spool_suffixes[i])) {
			return true;
		}
	}
	return is_there(directory, base, ".json") || is_there(directory, base, ICP_SPOOL_REPORT);
}

/*! Finds a base that is free: as it is, or with the time in it. */
static bool find_base(int directory, const char *base, int64_t now, char as[ICP_SPOOL_BASE_MAX + 1])
{
	char time[ICP_TIME_TEXT_MAX];
	char mark[ICP_TIME_TEXT_MAX + 8];
	snprintf(as, ICP_SPOOL_BASE_MAX + 1, "%s", base);
	icp_time_format(now, time);
	for (int i = 0; i < TRIES_MAX && is_taken(directory, as); i++) {
		snprintf(mark, sizeof mark, "%.4s%.2s%.5s%.2s%.2s", time, time + 5, time + 8,
			time + 14, time + 17);
		if (i > 0) {
			size_t used = strlen(mark);
			snprintf(mark + used, sizeof mark - used, "-%d", i + 1);
		}
		icp_spool_rename(base, mark, as);
	}
	return !is_taken(directory, as);
}

/*! Renames a file of the feed, if it is still here. Never over another one. */
static int move_one(int from, const char *base, int to, const char *as, const char *end)
{
	char old[NAME_MAX + 1];
	char new[NAME_MAX + 1];
	snprintf(old, sizeof old, "%s%s", base, end);
	snprintf(new, sizeof new, "%s%s", as, end);
	int rc = renameat2(from, old, to, new, RENAME_NOREPLACE);
	/* Not all file systems can; then it has to do that the name was free. */
	if (rc != 0 && (errno == EINVAL || errno == ENOSYS) && !is_there(to, as, end)) {
		rc = renameat(from, old, to, new);
	}
	/* That it is not there may also be said of where it should go. */
	return rc == 0 || (errno == ENOENT && !is_there(from, base, end)) ? 0 : -1;
}

/*! All suffixes are tried, as more than one may be why it is rejected. */
static int move_files(int from, const char *base, int to, const char *as)
{
	for (size_t i = 0; i < ICP_SPOOL_SUFFIXES; i++) {
		if (move_one(from, base, to, as, icp_spool_suffixes[i]) != 0) {
			return -1;
		}
	}
	return move_one(from, base, to, as, ".json");
}

/*! Moves all that there is of a feed to its place. The manifest goes last: by it the feed is found
 * if this does not come to its end. */
static int move_all(const icp_spool_t *spool, const char *base, int to, const char *as)
{
	char report[NAME_MAX + 1];
	snprintf(report, sizeof report, "%s" ICP_SPOOL_REPORT, as);
	if (renameat(spool->directory, ICP_SPOOL_REPORT, to, report) != 0 && errno != ENOENT) {
		return -1;
	}
	return move_files(spool->directory, base, to, as);
}

int icp_spool_begin(const icp_spool_t *spool, const icp_spool_feed_t *feed, uint64_t generation,
	icp_diag_t *diag)
{
	icp_spool_journal_t journal = {
		.what = ICP_SPOOL_LOADING, .sequence = feed->sequence, .generation = generation};
	snprintf(journal.base, sizeof journal.base, "%s", feed->base);
	memcpy(journal.sha256, feed->sha256, sizeof journal.sha256);
	return icp_spool_journal_write(spool->directory, &journal) == 0
		       ? ICP_EOK
		       : failed(spool, ICP_SPOOL_JOURNAL, diag);
}

void icp_spool_forget(const icp_spool_t *spool)
{
	unlinkat(spool->directory, ICP_SPOOL_JOURNAL, 0);
}

/*! Whether what lies there is not what a journal tells of: another one came while no daemon was
 * there to see it. */
static bool is_other(const icp_spool_t *spool, icp_spool_journal_t *journal)
{
	icp_spool_feed_t feed = {.base = journal->base};
	icp_spool_feed_t old = {.manifest = journal->manifest, .feed = journal->feed};
	memcpy(old.sha256, journal->sha256, sizeof old.sha256);
	if (!journal->known) {
		return false;
	}
	icp_spool_judge(spool, &feed, icp_spool_take_stamps(spool, &feed), NULL);
	return icp_spool_is_replaced(&old, &feed);
}

/*! The report goes to what was moved of the feed, if anything was. */
static void give_up_move(const icp_spool_t *spool, const icp_spool_journal_t *journal)
{
	char report[NAME_MAX + 1];
	int to = spool->places[journal->place];
	snprintf(report, sizeof report, "%s" ICP_SPOOL_REPORT, journal->as);
	if (!is_taken(to, journal->as) ||
		renameat(spool->directory, ICP_SPOOL_REPORT, to, report) != 0) {
		unlinkat(spool->directory, ICP_SPOOL_REPORT, 0);
	}
	icp_spool_forget(spool);
}

int icp_spool_recover(const icp_spool_t *spool, icp_spool_loading_t *loading, icp_diag_t *diag)
{
	icp_spool_journal_t journal;
	*loading = (icp_spool_loading_t){.base = ""};
	if (!icp_spool_journal_read(spool->directory, &journal)) {
		return ICP_EOK;
	}
	if (journal.what == ICP_SPOOL_LOADING) {
		memcpy(loading->base, journal.base, sizeof loading->base);
		memcpy(loading->sha256, journal.sha256, sizeof loading->sha256);
		loading->sequence = journal.sequence;
		loading->generation = journal.generation;
		return ICP_EOK;
	}
	if (is_other(spool, &journal)) {
		give_up_move(spool, &journal);
		return ICP_EOK;
	}
	if (move_all(spool, journal.base, spool->places[journal.place], journal.as) != 0) {
		return failed(spool, journal.base, diag);
	}
	icp_spool_forget(spool);
	return ICP_EOK;
}

int icp_spool_choose_base(const icp_spool_t *spool, const char *base, enum icp_spool_place place,
	int64_t now, char as[ICP_SPOOL_BASE_MAX + 1], icp_diag_t *diag)
{
	icp_spool_journal_t journal;
	/* A move that failed half-way goes on under the name that it began with. */
	if (icp_spool_journal_read(spool->directory, &journal) &&
		journal.what == ICP_SPOOL_MOVING && journal.place == place &&
		strcmp(journal.base, base) == 0) {
		memcpy(as, journal.as, sizeof journal.as);
	} else if (!find_base(spool->places[place], base, now, as)) {
		errno = EEXIST;
		return failed(spool, base, diag);
	}
	return ICP_EOK;
}

int icp_spool_move(const icp_spool_t *spool, const icp_spool_feed_t *feed,
	enum icp_spool_place place, const char *report, int64_t now,
	char as[ICP_SPOOL_BASE_MAX + 1], icp_diag_t *notice, icp_diag_t *diag)
{
	int to = spool->places[place];
	icp_spool_journal_t journal;
	notice->text[0] = '\0';
	int ret = icp_spool_choose_base(spool, feed->base, place, now, as, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	journal = (icp_spool_journal_t){
		.what = ICP_SPOOL_MOVING,
		.place = place,
		.known = true,
		.manifest = feed->manifest,
		.feed = feed->feed,
	};
	memcpy(journal.sha256, feed->sha256, sizeof journal.sha256);
	snprintf(journal.base, sizeof journal.base, "%s", feed->base);
	snprintf(journal.as, sizeof journal.as, "%s", as);
	/* The report is there before the journal speaks of it. Without room for either the move may
	 * still come to its end. */
	if (icp_spool_write_file(spool->directory, ICP_SPOOL_REPORT, report, strlen(report)) != 0) {
		(void)failed(spool, ICP_SPOOL_REPORT, notice);
		unlinkat(spool->directory, ICP_SPOOL_REPORT, 0);
	}
	if (icp_spool_journal_write(spool->directory, &journal) != 0) {
		(void)failed(spool, ICP_SPOOL_JOURNAL, notice);
	}
	if (move_all(spool, feed->base, to, as) != 0) {
		return failed(spool, feed->base, diag);
	}
	icp_spool_forget(spool);
	return ICP_EOK;
}

int icp_spool_locate(
	const icp_spool_t *spool, const char *base, enum icp_spool_place *place, icp_diag_t *diag)
{
	if (is_there(spool->directory, base, ".json")) {
		return icp_fail(
			diag, ICP_EINVAL, "%s: there is one of this name in the spool", base);
	}
	if (*place != ICP_SPOOL_PLACES) {
		const char *name = icp_spool_place_name(*place);
		return is_there(spool->places[*place], base, ".json")
			       ? ICP_EOK
			       : icp_fail(diag, ICP_EINVAL, "%s/%s: no such feed", name, base);
	}
	bool rejected = is_there(spool->places[ICP_SPOOL_REJECTED], base, ".json");
	bool done = is_there(spool->places[ICP_SPOOL_DONE], base, ".json");
	if (rejected && done) {
		return icp_fail(diag, ICP_EINVAL,
			"%s: there is rejected/%s and done/%s; say which of them", base, base,
			base);
	}
	if (!rejected && !done) {
		return icp_fail(
			diag, ICP_EINVAL, "%s: no such feed in the spool, done or rejected", base);
	}
	*place = rejected ? ICP_SPOOL_REJECTED : ICP_SPOOL_DONE;
	return ICP_EOK;
}

int icp_spool_take_back(
	const icp_spool_t *spool, const char *base, enum icp_spool_place place, icp_diag_t *diag)
{
	char report[NAME_MAX + 1];
	if (move_files(spool->places[place], base, spool->directory, base) != 0) {
		return failed(spool, base, diag);
	}
	snprintf(report, sizeof report, "%s" ICP_SPOOL_REPORT, base);
	unlinkat(spool->places[place], report, 0);
	return ICP_EOK;
}

size_t icp_spool_prune(
	const icp_spool_t *spool, enum icp_spool_place place, int64_t now, int64_t seconds)
{
	size_t removed = 0;
	int file = openat(spool->places[place], ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = file >= 0 ? fdopendir(file) : NULL;
	if (directory == NULL) {
		if (file >= 0) {
			close(file);
		}
		return 0;
	}
	for (struct dirent *entry; (entry = readdir(directory)) != NULL;) {
		struct stat st;
		if (fstatat(file, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
			S_ISDIR(st.st_mode)) {
			continue;
		}
		/* A feed may be older than its arrival; moving it changed its status. */
		int64_t last = st.st_mtim.tv_sec > st.st_ctim.tv_sec ? st.st_mtim.tv_sec
								     : st.st_ctim.tv_sec;
		if (now - last > seconds && unlinkat(file, entry->d_name, 0) == 0) {
			removed++;
		}
	}
	closedir(directory);
	return removed;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "core/owner.h"
#include "loader/spool_file.h"
#include "loader/spool_journal.h"
#include "loader/spool_look.h"
#include "core/text.h"

#define LOCK_TRIES 50          /*!< A second, in all. */
#define LOCK_PAUSE_NS 20000000 /*!< 20 ms. */

static int failed(const icp_spool_t *spool, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ESYS, "%s%s%s: %s", spool->path, what[0] != '\0' ? "/" : "", what,
		strerror(errno));
}

/*! Opens a directory of ours, and never one that a link leads to; makes it if it is missing. */
static int open_place(int parent, const char *name)
{
	bool made = mkdirat(parent, name, 0770) == 0;
	if (!made && errno != EEXIST) {
		return -1;
	}
	int directory = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (directory >= 0 && made) {
		icp_owner_give(directory, icp_owner_of(parent));
	}
	return directory;
}

/*! What is made in a store is given to its owner, but not to the group of the resolvers, which
 * would be let in here. */
static void give_to_store(int directory)
{
	int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		icp_owner_give(
			directory, (icp_owner_t){icp_owner_of(parent).user, ICP_OWNER_NONE.group});
		close(parent);
	}
}

/*! A child of a daemon that was killed has the lock too until it runs its program or dies, and what
 * else it has with it. */
static int lock(const icp_spool_t *spool, icp_diag_t *diag)
{
	const struct timespec pause = {.tv_nsec = LOCK_PAUSE_NS};
	for (int tries = 1; flock(spool->directory, LOCK_EX | LOCK_NB) != 0; tries++) {
		if (errno != EWOULDBLOCK) {
			return failed(spool, "", diag);
		}
		if (tries == LOCK_TRIES) {
			return icp_fail(
				diag, ICP_EBUSY, "%s: another icpgated has it", spool->path);
		}
		nanosleep(&pause, NULL);
	}
	return ICP_EOK;
}

int icp_spool_open(icp_spool_t *spool, const char *path, icp_diag_t *diag)
{
	*spool = (icp_spool_t){.path = path, .directory = -1, .places = {-1, -1}};
	int ret = ICP_EOK;
	bool made = mkdir(path, 0770) == 0;
	if (!made && errno != EEXIST) {
		return failed(spool, "", diag);
	}
	spool->directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (spool->directory >= 0 && made) {
		give_to_store(spool->directory);
	}
	if (spool->directory < 0) {
		ret = failed(spool, "", diag);
	} else {
		ret = lock(spool, diag);
	}
	for (int place = 0; ret == ICP_EOK && place < ICP_SPOOL_PLACES; place++) {
		const char *name = icp_spool_place_name((enum icp_spool_place)place);
		spool->places[place] = open_place(spool->directory, name);
		if (spool->places[place] < 0) {
			ret = failed(spool, name, diag);
		}
	}
	if (ret != ICP_EOK) {
		icp_spool_close(spool);
	}
	return ret;
}

static void free_feed(icp_spool_feed_t *feed)
{
	free(feed->base);
	free(feed->report);
}

static void free_feeds(icp_spool_feed_t *feeds, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free_feed(&feeds[i]);
	}
	free(feeds);
}

void icp_spool_close(icp_spool_t *spool)
{
	free_feeds(spool->feeds, spool->count);
	for (int place = 0; place < ICP_SPOOL_PLACES && spool->directory >= 0; place++) {
		if (spool->places[place] >= 0) {
			close(spool->places[place]);
		}
	}
	if (spool->directory >= 0) {
		close(spool->directory);
	}
	*spool = (icp_spool_t){.directory = -1};
}

/*! Whether two descriptions are of one directory. */
static bool is_one(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

int icp_spool_refresh_places(icp_spool_t *spool, icp_diag_t *diag)
{
	for (int place = 0; place < ICP_SPOOL_PLACES; place++) {
		const char *name = icp_spool_place_name((enum icp_spool_place)place);
		struct stat ours;
		struct stat there;
		if (fstat(spool->places[place], &ours) == 0 &&
			fstatat(spool->directory, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
			is_one(&ours, &there)) {
			continue;
		}
		int file = open_place(spool->directory, name);
		if (file < 0) {
			return failed(spool, name, diag);
		}
		close(spool->places[place]);
		spool->places[place] = file;
	}
	return ICP_EOK;
}

int icp_spool_refresh(icp_spool_t *spool, bool *replaced, icp_diag_t *diag)
{
	struct stat ours;
	struct stat there;
	icp_spool_t other;
	*replaced = fstat(spool->directory, &ours) != 0 || stat(spool->path, &there) != 0 ||
		    !is_one(&ours, &there);
	if (!*replaced) {
		return icp_spool_refresh_places(spool, diag);
	}
	int ret = icp_spool_open(&other, spool->path, diag);
	if (ret == ICP_EOK) {
		icp_spool_close(spool);
		*spool = other;
	}
	return ret;
}

/*! A move of one that was replaced must not go on with the other, by a later daemon neither. */
static void forget_move(const icp_spool_t *spool, const char *base)
{
	icp_spool_journal_t journal;
	if (icp_spool_journal_read(spool->directory, &journal) &&
		journal.what == ICP_SPOOL_MOVING && strcmp(journal.base, base) == 0) {
		unlinkat(spool->directory, ICP_SPOOL_JOURNAL, 0);
	}
}

/*! Takes over what is known of one that is as it was. */
static void keep(icp_spool_feed_t *feed, icp_spool_feed_t *old)
{
	char *base = feed->base;
	*feed = *old;
	feed->base = base;
	old->report = NULL;
}

/*! Brings what is known of a feed up to date. The old one, if there is one, is taken over. */
static void renew(
	const icp_spool_t *spool, icp_spool_feed_t *feed, icp_spool_feed_t *old, int64_t now)
{
	size_t feeds = icp_spool_take_stamps(spool, feed);
	bool same = old != NULL && icp_spool_is_same(old, feed);
	if (same && (old->leaves || old->state != ICP_SPOOL_UNREAD)) {
		keep(feed, old);
		return;
	}
	feed->since = same ? old->since : now;
	icp_spool_judge(spool, feed, feeds, NULL);
	if (old == NULL) {
		return;
	}
	if (old->leaves && (feed->state == ICP_SPOOL_UNREAD || !icp_spool_is_replaced(old, feed))) {
		keep(feed, old);
		return;
	}
	if (old->leaves) {
		forget_move(spool, feed->base);
	}
	feed->told = same && old->told;
	if (feed->state == ICP_SPOOL_UNREAD) {
		/* It is not known yet whether it is another one. */
		memcpy(feed->sha256, old->sha256, sizeof feed->sha256);
	}
	if (memcmp(feed->sha256, old->sha256, sizeof feed->sha256) == 0) {
		feed->wanted = old->wanted;
		feed->forced = old->forced;
	}
	feed->disliked = old->disliked;
	feed->retry_at = feed->disliked ? now + ICP_SPOOL_SETTLE_MS : 0;
}

static int compare_bases(const void *a, const void *b)
{
	const icp_spool_feed_t *one = a;
	const icp_spool_feed_t *other = b;
	return strcmp(one->base, other->base);
}

icp_spool_feed_t *icp_spool_find(const icp_spool_t *spool, const char *base)
{
	icp_spool_feed_t key = {.base = NULL};
	if (spool->count == 0) {
		return NULL;
	}
	key.base = strdup(base);
	if (key.base == NULL) {
		return NULL;
	}
	icp_spool_feed_t *found =
		bsearch(&key, spool->feeds, spool->count, sizeof *spool->feeds, compare_bases);
	free(key.base);
	return found;
}

/*! What a scan has found so far. */
typedef struct {
	icp_spool_feed_t *feeds;
	size_t count;
	size_t room;
	size_t refused;
	const char *path;
	char refused_name[4 * ICP_SPOOL_BASE_MAX];
} found_t;

static int add_base(found_t *found, const char *name, size_t length)
{
	if (found->count == found->room) {
		size_t room = found->room > 0 ? 2 * found->room : 64;
		void *more = realloc(found->feeds, room * sizeof *found->feeds);
		if (more == NULL) {
			return ICP_ENOMEM;
		}
		found->feeds = more;
		found->room = room;
	}
	icp_spool_feed_t *feed = &found->feeds[found->count];
	*feed = (icp_spool_feed_t){.base = strndup(name, length)};
	if (feed->base == NULL) {
		return ICP_ENOMEM;
	}
	found->count++;
	return ICP_EOK;
}

static int add_name(found_t *found, const char *name, bool *more)
{
	size_t length;
	switch (icp_spool_name(name, &length)) {
	case ICP_SPOOL_MANIFEST:
		*more = found->count == ICP_SPOOL_FEEDS_MAX;
		return *more ? ICP_EOK : add_base(found, name, length);
	case ICP_SPOOL_REFUSED:
		icp_text_show(found->refused_name, name, strlen(name));
		found->refused++;
		return ICP_EOK;
	case ICP_SPOOL_OTHER:
		break;
	}
	return ICP_EOK;
}

_Static_assert(ICP_SHOWN_TEXT_MAX <= 4 * ICP_SPOOL_BASE_MAX, "room for a name that is shown");

static int read_names(const icp_spool_t *spool, found_t *found, bool *more, icp_diag_t *diag)
{
	int ret = ICP_EOK;
	int file = openat(spool->directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = file >= 0 ? fdopendir(file) : NULL;
	if (directory == NULL) {
		ret = failed(spool, "", diag);
		if (file >= 0) {
			close(file);
		}
		return ret;
	}
	struct dirent *entry;
	errno = 0;
	while (ret == ICP_EOK && (entry = readdir(directory)) != NULL) {
		ret = add_name(found, entry->d_name, more);
		errno = 0;
	}
	if (ret != ICP_EOK) {
		icp_fail(diag, ret, "%s: out of memory", spool->path);
	} else if (errno != 0) {
		ret = failed(spool, "", diag);
	}
	closedir(directory);
	return ret;
}

int icp_spool_scan(icp_spool_t *spool, int64_t now, icp_diag_t *diag)
{
	found_t found = {.path = spool->path};
	bool more = false;
	int ret = read_names(spool, &found, &more, diag);
	if (ret != ICP_EOK) {
		free_feeds(found.feeds, found.count);
		return ret;
	}
	if (found.count > 0) {
		qsort(found.feeds, found.count, sizeof *found.feeds, compare_bases);
	}
	size_t old = 0;
	for (size_t i = 0; i < found.count; i++) {
		const char *base = found.feeds[i].base;
		while (old < spool->count && strcmp(spool->feeds[old].base, base) < 0) {
			old++;
		}
		bool known = old < spool->count && strcmp(spool->feeds[old].base, base) == 0;
		renew(spool, &found.feeds[i], known ? &spool->feeds[old] : NULL, now);
	}
	free_feeds(spool->feeds, spool->count);
	spool->feeds = found.feeds;
	spool->count = found.count;
	spool->refused = found.refused;
	spool->more = more;
	memcpy(spool->refused_name, found.refused_name, sizeof spool->refused_name);
	return ICP_EOK;
}

void icp_spool_drop(icp_spool_t *spool, icp_spool_feed_t *feed)
{
	size_t index = (size_t)(feed - spool->feeds);
	free_feed(feed);
	spool->count--;
	memmove(feed, feed + 1, (spool->count - index) * sizeof *feed);
}

int icp_spool_pause(const icp_spool_t *spool, const char *why, icp_diag_t *diag)
{
	return icp_spool_write_file(spool->directory, ICP_SPOOL_PAUSED, why, strlen(why)) == 0
		       ? ICP_EOK
		       : failed(spool, ICP_SPOOL_PAUSED, diag);
}

int icp_spool_resume(const icp_spool_t *spool, icp_diag_t *diag)
{
	if (unlinkat(spool->directory, ICP_SPOOL_PAUSED, 0) != 0 && errno != ENOENT) {
		return failed(spool, ICP_SPOOL_PAUSED, diag);
	}
	return fsync(spool->directory) == 0 ? ICP_EOK : failed(spool, "", diag);
}

bool icp_spool_is_paused(const icp_spool_t *spool, char why[32])
{
	struct stat st;
	memset(why, 0, 32);
	if (fstatat(spool->directory, ICP_SPOOL_PAUSED, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		return false;
	}
	int file = icp_spool_open_file(spool->directory, ICP_SPOOL_PAUSED);
	if (file >= 0) {
		ssize_t size = read(file, why, 31);
		close(file);
		for (ssize_t i = 0; i < size; i++) {
			why[i] = why[i] >= 'a' && why[i] <= 'z' ? why[i] : '?';
		}
	}
	return true;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/spool_look.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/manifest.h"
#include "loader/spool_file.h"

/*! What is no fault of a file, and may be over later. */
static bool is_passing(int error)
{
	switch (error) {
	case ENOENT:
	case EACCES:
	case EPERM:
	case ELOOP:
	case EINVAL:
	case ENXIO:
	case ENODEV:
	case EISDIR:
	case ENOTDIR:
	case ENAMETOOLONG:
		return false;
	default:
		return true;
	}
}

/*! Reads a file to its end, which then is in memory: whoever reads its text can't tell an error of
 * reading from an end. */
static int try_file(int file)
{
	char octets[4096];
	ssize_t size;
	off_t at = 0;
	while ((size = pread(file, octets, sizeof octets, at)) != 0 &&
		at < ICP_SPOOL_MANIFEST_MAX) {
		if (size < 0 && errno != EINTR) {
			return -1;
		}
		at += size > 0 ? size : 0;
	}
	return 0;
}

static int read_manifest(
	const icp_spool_t *spool, const char *name, icp_manifest_t *manifest, icp_diag_t *diag)
{
	int file = icp_spool_open_file(spool->directory, name);
	int ret;
	if (file < 0 || try_file(file) != 0) {
		ret = icp_fail(diag, is_passing(errno) ? ICP_ESYS : ICP_EFEED, "%s: %s", name,
			strerror(errno));
	} else {
		ret = icp_manifest_read_file(manifest, file, name, diag);
	}
	if (file >= 0) {
		close(file);
	}
	return ret;
}

/*!
 * Reads the manifest, and sees that nothing but regular files is ever opened.
 * \retval ICP_EOK
 * \retval ICP_EFEED  something is wrong; where it is not the manifest, that was read all the same
 * \retval ICP_ESYS, ICP_ENOMEM  it can't be read now
 */
static int examine(const icp_spool_t *spool, const icp_spool_feed_t *feed, size_t feeds,
	icp_manifest_t *manifest, icp_diag_t *diag)
{
	char name[NAME_MAX + 1];
	snprintf(name, sizeof name, "%s.json", feed->base);
	if (feed->manifest.inode == 0) {
		return icp_fail(diag, ICP_ESYS, "%s: can't be looked at", name);
	}
	if (!S_ISREG(feed->manifest.mode)) {
		return icp_fail(diag, ICP_EFEED, "%s: not a regular file", name);
	}
	if (feed->manifest.size > ICP_SPOOL_MANIFEST_MAX) {
		return icp_fail(
			diag, ICP_EFEED, "%s: larger than %d octets", name, ICP_SPOOL_MANIFEST_MAX);
	}
	int ret = read_manifest(spool, name, manifest, diag);
	if (ret != ICP_EOK) {
		*manifest = (icp_manifest_t){.kind = ""};
		return ret;
	}
	if (feeds > 1) {
		return icp_fail(diag, ICP_EFEED, "%s: more than one feed beside it", name);
	}
	if (feeds == 1 && !S_ISREG(feed->feed.mode)) {
		return icp_fail(
			diag, ICP_EFEED, "%s%s: not a regular file", feed->base, feed->suffix);
	}
	return ICP_EOK;
}

void icp_spool_judge(
	const icp_spool_t *spool, icp_spool_feed_t *feed, size_t feeds, icp_diag_t *diag)
{
	icp_manifest_t manifest = {.kind = ""};
	int ret = examine(spool, feed, feeds, &manifest, diag);
	if (ret == ICP_EOK) {
		feed->state = feeds == 0 ? ICP_SPOOL_ALONE : ICP_SPOOL_GOOD;
	} else {
		feed->state = ret == ICP_EFEED ? ICP_SPOOL_WRONG : ICP_SPOOL_UNREAD;
	}
	feed->full = strcmp(manifest.kind, "delta") != 0;
	feed->sequence = manifest.sequence;
	memcpy(feed->sha256, manifest.sha256, sizeof feed->sha256);
}

size_t icp_spool_take_stamps(const icp_spool_t *spool, icp_spool_feed_t *feed)
{
	char name[NAME_MAX + 1];
	size_t feeds = 0;
	snprintf(name, sizeof name, "%s.json", feed->base);
	icp_spool_take_stamp(spool->directory, name, &feed->manifest);
	feed->suffix = icp_spool_suffixes[0];
	for (size_t i = 0; i < ICP_SPOOL_SUFFIXES; i++) {
		icp_spool_stamp_t stamp;
		snprintf(name, sizeof name, "%s%s", feed->base, icp_spool_suffixes[i]);
		if (icp_spool_take_stamp(spool->directory, name, &stamp)) {
			feed->suffix = icp_spool_suffixes[i];
			feed->feed = stamp;
			feeds++;
		}
	}
	return feeds;
}

bool icp_spool_is_same(const icp_spool_feed_t *a, const icp_spool_feed_t *b)
{
	return icp_spool_same_stamp(&a->manifest, &b->manifest) &&
	       icp_spool_same_stamp(&a->feed, &b->feed) && a->suffix == b->suffix;
}

bool icp_spool_is_replaced(const icp_spool_feed_t *old, const icp_spool_feed_t *feed)
{
	bool rewritten = feed->manifest.size != old->manifest.size ||
			 !icp_spool_same_time(&feed->manifest.modified, &old->manifest.modified);
	bool moved = feed->feed.inode == 0;
	if (!moved && (feed->feed.inode != old->feed.inode || feed->feed.size != old->feed.size)) {
		return true;
	}
	if (feed->manifest.inode == 0) {
		return false;
	}
	return feed->manifest.inode != old->manifest.inode ||
	       (rewritten && memcmp(feed->sha256, old->sha256, sizeof feed->sha256) != 0);
}

void icp_spool_look_at(const icp_spool_t *spool, enum icp_spool_place place, icp_spool_feed_t *feed,
	icp_diag_t *diag)
{
	icp_spool_t there = *spool;
	there.directory = spool->places[place];
	size_t feeds = icp_spool_take_stamps(&there, feed);
	icp_spool_judge(&there, feed, feeds, diag);
}

void icp_spool_explain(const icp_spool_t *spool, const icp_spool_feed_t *feed, icp_diag_t *diag)
{
	icp_spool_feed_t again = {.base = feed->base};
	icp_manifest_t manifest = {.kind = ""};
	size_t feeds = icp_spool_take_stamps(spool, &again);
	if (examine(spool, &again, feeds, &manifest, diag) == ICP_EOK) {
		icp_fail(diag, ICP_EFEED, "%s.json: changed meanwhile", feed->base);
	}
}

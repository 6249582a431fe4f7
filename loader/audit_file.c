/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/audit_file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "core/time.h"

#define MAGIC "icpaudit"
#define PIECE ((size_t)64 * 1024)
#define DATE_LENGTH 10

typedef struct {
	char magic[sizeof MAGIC - 1];
	icp_audit_head_t head;
	uint64_t seal; /*!< XXH3-64 of what stands before it. */
} stored_head_t;

_Static_assert(sizeof(stored_head_t) == ICP_AUDIT_HEAD, "no padding in what is written");

static int failed(const icp_audit_files_t *files, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ESYS, "%s/" ICP_AUDIT_DIRECTORY "%s%s: %s",
		files->generations->store, what[0] != '\0' ? "/" : "", what, strerror(errno));
}

/*! Gives what was made the mode it has to have, whatever the umask, and its owner. */
static int set_access(const icp_audit_files_t *files, int file, mode_t mode)
{
	icp_owner_give(file, files->generations->owner);
	return fchmod(file, mode);
}

/*! Never one that a link leads to: the store may be another user's. */
static int open_directory(icp_audit_files_t *files)
{
	files->directory = openat(files->generations->directory, ICP_AUDIT_DIRECTORY,
		O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return files->directory;
}

int icp_audit_files_open(
	icp_audit_files_t *files, const icp_generations_t *generations, icp_diag_t *diag)
{
	*files = (icp_audit_files_t){generations, -1, -1};
	if (open_directory(files) < 0) {
		return errno == ENOENT ? ICP_EOK : failed(files, "", diag);
	}
	files->pending =
		openat(files->directory, ICP_AUDIT_PENDING, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (files->pending < 0 && errno != ENOENT) {
		int ret = failed(files, ICP_AUDIT_PENDING, diag);
		icp_audit_files_close(files);
		return ret;
	}
	return ICP_EOK;
}

/*! Makes the directory, durably. */
static int make_directory(icp_audit_files_t *files)
{
	int parent = files->generations->directory;
	if (mkdirat(parent, ICP_AUDIT_DIRECTORY, 0755) != 0 || open_directory(files) < 0 ||
		(icp_owner_is_ours(files->directory) &&
			set_access(files, files->directory, 0755) != 0)) {
		return -1;
	}
	return fsync(parent);
}

int icp_audit_files_create(
	icp_audit_files_t *files, const icp_generations_t *generations, icp_diag_t *diag)
{
	*files = (icp_audit_files_t){generations, -1, -1};
	if (open_directory(files) < 0 && (errno != ENOENT || make_directory(files) != 0)) {
		int ret = failed(files, "", diag);
		icp_audit_files_close(files);
		return ret;
	}
	/* One that is there tells of a change that may have been committed. */
	files->pending = openat(
		files->directory, ICP_AUDIT_PENDING, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (files->pending < 0 || set_access(files, files->pending, 0644) != 0) {
		int ret = failed(files, ICP_AUDIT_PENDING, diag);
		if (files->pending >= 0) {
			icp_audit_files_drop(files, NULL);
		}
		icp_audit_files_close(files);
		return ret;
	}
	return ICP_EOK;
}

void icp_audit_files_close(icp_audit_files_t *files)
{
	if (files->pending >= 0) {
		close(files->pending);
	}
	if (files->directory >= 0) {
		close(files->directory);
	}
	files->directory = -1;
	files->pending = -1;
}

void icp_audit_files_day(const icp_audit_files_t *files, int64_t now, icp_audit_head_t *head)
{
	char text[ICP_TIME_TEXT_MAX];
	struct stat st;
	icp_time_format(now, text);
	memset(head->day, 0, sizeof head->day);
	snprintf(head->day, sizeof head->day, "%.*s" ICP_AUDIT_DAY_SUFFIX, DATE_LENGTH, text);
	bool there = fstatat(files->directory, head->day, &st, AT_SYMLINK_NOFOLLOW) == 0;
	head->day_size = there ? (uint64_t)st.st_size : 0;
}

static int write_all(int file, const void *octets, size_t length, uint64_t at)
{
	const uint8_t *from = octets;
	while (length > 0) {
		ssize_t written = pwrite(file, from, length, (off_t)at);
		if (written < 0 && errno == EINTR) {
			continue;
		}
		if (written <= 0) {
			return -1;
		}
		from += written;
		at += (uint64_t)written;
		length -= (size_t)written;
	}
	return 0;
}

int icp_audit_files_write(const icp_audit_files_t *files, const void *octets, size_t length,
	uint64_t at, icp_diag_t *diag)
{
	return write_all(files->pending, octets, length, ICP_AUDIT_HEAD + at) == 0
		       ? ICP_EOK
		       : failed(files, ICP_AUDIT_PENDING, diag);
}

static int open_day(const icp_audit_files_t *files, const char *day)
{
	int file = openat(files->directory, day, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file >= 0 || errno != ENOENT) {
		return file;
	}
	file = openat(files->directory, day, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (file >= 0 && set_access(files, file, 0644) != 0) {
		close(file);
		return -1;
	}
	return file;
}

/*! So that appending after the commit does not fail for a full disk. */
static int reserve(const icp_audit_files_t *files, const icp_audit_head_t *head)
{
	int file = open_day(files, head->day);
	if (file < 0) {
		return -1;
	}
	int rc;
	do {
		rc = fallocate(
			file, FALLOC_FL_KEEP_SIZE, (off_t)head->day_size, (off_t)head->length);
	} while (rc != 0 && errno == EINTR);
	int error = errno;
	close(file);
	errno = error;
	return rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS ? 0 : -1;
}

static uint64_t seal_of(const stored_head_t *stored)
{
	return XXH3_64bits(stored, offsetof(stored_head_t, seal));
}

int icp_audit_files_seal(
	const icp_audit_files_t *files, const icp_audit_head_t *head, icp_diag_t *diag)
{
	stored_head_t stored = {.head = *head};
	memcpy(stored.magic, MAGIC, sizeof stored.magic);
	stored.seal = seal_of(&stored);
	if (reserve(files, head) != 0) {
		return failed(files, head->day, diag);
	}
	if (write_all(files->pending, &stored, sizeof stored, 0) != 0 ||
		fsync(files->pending) != 0) {
		return failed(files, ICP_AUDIT_PENDING, diag);
	}
	return fsync(files->directory) == 0 ? ICP_EOK : failed(files, "", diag);
}

static ssize_t read_piece(int file, void *octets, size_t length, uint64_t at)
{
	ssize_t size;
	do {
		size = pread(file, octets, length, (off_t)at);
	} while (size < 0 && errno == EINTR);
	return size;
}

/*! True for "YYYY-MM-DD.csv.zst": nothing else is ever opened for a head's sake. */
static bool is_day(const char day[ICP_AUDIT_DAY_MAX])
{
	static const char form[] = "dddd-dd-dd" ICP_AUDIT_DAY_SUFFIX;
	for (size_t i = 0; i < DATE_LENGTH; i++) {
		bool digit = day[i] >= '0' && day[i] <= '9';
		if (form[i] == 'd' ? !digit : day[i] != form[i]) {
			return false;
		}
	}
	return memcmp(day + DATE_LENGTH, form + DATE_LENGTH, sizeof form - DATE_LENGTH) == 0;
}

bool icp_audit_files_read(const icp_audit_files_t *files, icp_audit_head_t *head)
{
	stored_head_t stored;
	if (read_piece(files->pending, &stored, sizeof stored, 0) != sizeof stored ||
		memcmp(stored.magic, MAGIC, sizeof stored.magic) != 0 ||
		stored.seal != seal_of(&stored) || !is_day(stored.head.day)) {
		return false;
	}
	*head = stored.head;
	return true;
}

/*! Calls a function for each piece of the frame; false when it ends early. */
static bool each_piece(const icp_audit_files_t *files, const icp_audit_head_t *head,
	bool (*take)(const uint8_t *piece, size_t length, uint64_t at, void *context),
	void *context)
{
	uint8_t piece[PIECE];
	for (uint64_t at = 0; at < head->length;) {
		uint64_t left = head->length - at;
		ssize_t size = read_piece(files->pending, piece,
			left < sizeof piece ? (size_t)left : sizeof piece, ICP_AUDIT_HEAD + at);
		if (size <= 0 || !take(piece, (size_t)size, at, context)) {
			return false;
		}
		at += (uint64_t)size;
	}
	return true;
}

static bool hash_piece(const uint8_t *piece, size_t length, uint64_t at, void *context)
{
	(void)at;
	return XXH3_64bits_update(context, piece, length) == XXH_OK;
}

bool icp_audit_files_whole(const icp_audit_files_t *files, const icp_audit_head_t *head)
{
	XXH3_state_t state;
	XXH3_64bits_reset(&state);
	return each_piece(files, head, hash_piece, &state) &&
	       XXH3_64bits_digest(&state) == head->hash;
}

/*! Where the pieces of a frame go. */
typedef struct {
	int file;
	uint64_t at;
} target_t;

static bool copy_piece(const uint8_t *piece, size_t length, uint64_t at, void *context)
{
	const target_t *target = context;
	return write_all(target->file, piece, length, target->at + at) == 0;
}

/*! Copies the frame to where the day's file ended before. */
static int copy_frame(const icp_audit_files_t *files, const icp_audit_head_t *head, int day)
{
	struct stat st;
	if (fstat(day, &st) != 0) {
		return -1;
	}
	/* Should somebody have taken the file away meanwhile, a hole would make it unreadable. */
	uint64_t size = (uint64_t)st.st_size;
	target_t target = {day, size < head->day_size ? size : head->day_size};
	errno = EIO; /* Where the pending file ends early. */
	if ((size > target.at && ftruncate(day, (off_t)target.at) != 0) ||
		!each_piece(files, head, copy_piece, &target) || fsync(day) != 0) {
		int error = errno;
		if (ftruncate(day, (off_t)target.at) != 0) {
			errno = 0; /* The next load does it. */
		}
		errno = error;
		return -1;
	}
	return 0;
}

int icp_audit_files_append(
	const icp_audit_files_t *files, const icp_audit_head_t *head, icp_diag_t *diag)
{
	int day = open_day(files, head->day);
	if (day < 0 || copy_frame(files, head, day) != 0) {
		int ret = failed(files, head->day, diag);
		if (day >= 0) {
			close(day);
		}
		return ret;
	}
	close(day);
	/* The day's file may be new: it must not be lost after the pending one. */
	if (fsync(files->directory) != 0) {
		return failed(files, "", diag);
	}
	if (unlinkat(files->directory, ICP_AUDIT_PENDING, 0) != 0) {
		return failed(files, ICP_AUDIT_PENDING, diag);
	}
	fsync(files->directory); /* Should it come back, it is appended to the same place again. */
	return ICP_EOK;
}

/*! Gives back the room that was reserved; should that fail, it is used later. */
static void release(const icp_audit_files_t *files, const icp_audit_head_t *head)
{
	struct stat st;
	int day = openat(files->directory, head->day, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
	if (day < 0) {
		return;
	}
	if (fstat(day, &st) == 0 && (uint64_t)st.st_size == head->day_size &&
		ftruncate(day, st.st_size) != 0) {
		errno = 0;
	}
	close(day);
}

void icp_audit_files_drop(const icp_audit_files_t *files, const icp_audit_head_t *head)
{
	if (head != NULL && head->day_size == 0) {
		unlinkat(files->directory, head->day, 0);
	} else if (head != NULL) {
		release(files, head);
	}
	unlinkat(files->directory, ICP_AUDIT_PENDING, 0);
	fsync(files->directory);
}

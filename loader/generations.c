/* SPDX-License-Identifier: BSD-3-Clause */
#include "loader/generations.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define NUMBER_DIGITS 10
#define LOCK_NAME "lock"
#define LOCK_FILE_SIZE ((off_t)128 * 1024) /*!< Over what LMDB needs for ICP_STORE_READERS. */
#define LOOKS_MAX 8                        /* Commits do not come so fast. */
#define NEW_LINK ICP_STORE_CURRENT ".tmp"
#define DATA_SUFFIX ".mdb"
#define DATA_LOCK_SUFFIX ".mdb-lock"
#define BUILDING_SUFFIX ".mdb.building"
#define BUILDING_LOCK_SUFFIX ".mdb.building-lock"

/*! Room for a number of any length, and the longest suffix. */
typedef struct {
	char text[64];
} file_name_t;

static file_name_t file_name(uint64_t number, const char *suffix)
{
	file_name_t name;
	snprintf(name.text, sizeof name.text, "%0*" PRIu64 "%s", NUMBER_DIGITS, number, suffix);
	return name;
}

static int failed(const icp_generations_t *generations, const char *what, icp_diag_t *diag)
{
	return icp_fail(diag, ICP_ESYS, "%s/%s: %s", generations->store, what, strerror(errno));
}

/*! True for the name of a generation's file with this suffix. */
static bool parse_name(const char *name, const char *suffix, uint64_t *number)
{
	uint64_t value = 0;
	size_t digits = 0;
	for (; name[digits] >= '0' && name[digits] <= '9' && digits < NUMBER_DIGITS; digits++) {
		value = value * 10 + (uint64_t)(name[digits] - '0');
	}
	*number = value;
	return digits == NUMBER_DIGITS && strcmp(name + digits, suffix) == 0;
}

static void remove_file(const icp_generations_t *generations, uint64_t number, const char *suffix)
{
	unlinkat(generations->generations, file_name(number, suffix).text, 0);
}

/*! So that a power cut does not take away what was made. Where this is not permitted or fails, a
 * power cut soon after is what is left to fear. */
static void sync_parent(int directory)
{
	int parent = openat(directory, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (parent >= 0) {
		fsync(parent);
		close(parent);
	}
	errno = 0;
}

/*! Opens a directory below STORE, or STORE itself, and makes it if it is not there. */
static int open_directory(int parent, const char *path, icp_owner_t owner)
{
	bool made = mkdirat(parent, path, 0755) == 0;
	if (!made && errno != EEXIST) {
		return -1;
	}
	/* What is in STORE may be another user's; where STORE is, is the administrator's matter. */
	int no_link = parent == AT_FDCWD ? 0 : O_NOFOLLOW;
	int directory = openat(parent, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | no_link);
	if (directory >= 0 && made) {
		/* The process's umask may have taken bits away. */
		if (icp_owner_is_ours(directory) && fchmod(directory, 0755) != 0) {
			close(directory);
			return -1;
		}
		icp_owner_give(directory, owner);
		sync_parent(directory);
	}
	return directory;
}

static int take_lock(
	icp_generations_t *generations, bool wait, icp_notice_t notice, icp_diag_t *diag)
{
	if (flock(generations->lock, LOCK_EX | LOCK_NB) == 0) {
		return ICP_EOK;
	}
	if (errno != EWOULDBLOCK) {
		return failed(generations, LOCK_NAME, diag);
	}
	if (!wait) {
		return icp_fail(diag, ICP_EBUSY, "%s/%s: %s", generations->store, LOCK_NAME,
			icp_strerror(ICP_EBUSY));
	}
	notice(ICP_LOCK_AWAITED);
	while (flock(generations->lock, LOCK_EX) != 0) {
		if (errno != EINTR) {
			return failed(generations, LOCK_NAME, diag);
		}
	}
	return ICP_EOK;
}

/*! Nobody else writes to the store now, so what is under construction was given up. */
static int sweep(const icp_generations_t *generations, icp_diag_t *diag)
{
	int copy = fcntl(generations->generations, F_DUPFD_CLOEXEC, 0);
	DIR *directory = copy >= 0 ? fdopendir(copy) : NULL;
	if (directory == NULL) {
		int ret = failed(generations, ICP_STORE_GENERATIONS, diag);
		if (copy >= 0) {
			close(copy);
		}
		return ret;
	}
	const struct dirent *entry;
	while ((entry = readdir(directory)) != NULL) {
		uint64_t number;
		bool orphan = parse_name(entry->d_name, DATA_LOCK_SUFFIX, &number) &&
			      faccessat(generations->generations,
				      file_name(number, DATA_SUFFIX).text, F_OK, 0) != 0;
		if (orphan || parse_name(entry->d_name, BUILDING_SUFFIX, &number) ||
			parse_name(entry->d_name, BUILDING_LOCK_SUFFIX, &number)) {
			unlinkat(generations->generations, entry->d_name, 0);
		}
	}
	closedir(directory);
	unlinkat(generations->directory, NEW_LINK, 0);
	return ICP_EOK;
}

/*! A lock is empty; a file of root's that was renamed to it is kept. */
static void give_lock(const icp_generations_t *generations)
{
	struct stat st;
	if (fstat(generations->lock, &st) == 0 && S_ISREG(st.st_mode) && st.st_size == 0) {
		icp_owner_give(generations->lock, generations->owner);
	}
}

static int open_all(
	icp_generations_t *generations, bool wait, icp_notice_t notice, icp_diag_t *diag)
{
	generations->directory = open_directory(AT_FDCWD, generations->store, ICP_OWNER_NONE);
	if (generations->directory < 0) {
		return icp_fail(diag, ICP_ESYS, "%s: %s", generations->store, strerror(errno));
	}
	generations->owner = icp_owner_of(generations->directory);
	generations->generations =
		open_directory(generations->directory, ICP_STORE_GENERATIONS, generations->owner);
	if (generations->generations < 0) {
		return failed(generations, ICP_STORE_GENERATIONS, diag);
	}
	generations->lock = openat(
		generations->directory, LOCK_NAME, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0644);
	if (generations->lock < 0) {
		return failed(generations, LOCK_NAME, diag);
	}
	give_lock(generations);
	int ret = take_lock(generations, wait, notice, diag);
	return ret == ICP_EOK ? sweep(generations, diag) : ret;
}

int icp_generations_open(icp_generations_t *generations, const char *store, bool wait,
	icp_notice_t notice, icp_diag_t *diag)
{
	*generations =
		(icp_generations_t){.store = store, .directory = -1, .generations = -1, .lock = -1};
	int ret = open_all(generations, wait, notice, diag);
	if (ret != ICP_EOK) {
		icp_generations_close(generations);
	}
	return ret;
}

void icp_generations_close(icp_generations_t *generations)
{
	int *const files[] = {
		&generations->lock, &generations->generations, &generations->directory};
	for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
		if (*files[i] >= 0) {
			close(*files[i]);
			*files[i] = -1;
		}
	}
}

uint64_t icp_generations_linked(const icp_generations_t *generations)
{
	char target[PATH_MAX];
	uint64_t number;
	ssize_t length =
		readlinkat(generations->directory, ICP_STORE_CURRENT, target, sizeof target - 1);
	if (length < 0) {
		return 0;
	}
	target[length] = '\0';
	return parse_name(basename(target), DATA_SUFFIX, &number) ? number : 0;
}

static int newest_first(const void *one, const void *other)
{
	uint64_t a = *(const uint64_t *)one;
	uint64_t b = *(const uint64_t *)other;
	return (a < b) - (a > b);
}

static int add_number(uint64_t **numbers, size_t *count, uint64_t number)
{
	uint64_t *grown = realloc(*numbers, (*count + 1) * sizeof *grown);
	if (grown == NULL) {
		return ICP_ENOMEM;
	}
	grown[(*count)++] = number;
	*numbers = grown;
	return ICP_EOK;
}

int icp_generations_list(const char *store, uint64_t **numbers, size_t *count, icp_diag_t *diag)
{
	char *path;
	*numbers = NULL;
	*count = 0;
	if (asprintf(&path, "%s/" ICP_STORE_GENERATIONS, store) < 0) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", store);
	}
	DIR *directory = opendir(path);
	if (directory == NULL) {
		int ret = icp_fail(diag, ICP_ESYS, "%s: %s", path, strerror(errno));
		free(path);
		return ret;
	}
	int ret = ICP_EOK;
	const struct dirent *entry;
	while (ret == ICP_EOK && (entry = readdir(directory)) != NULL) {
		uint64_t number;
		if (parse_name(entry->d_name, DATA_SUFFIX, &number)) {
			ret = add_number(numbers, count, number);
		}
	}
	closedir(directory);
	free(path);
	if (ret != ICP_EOK) {
		free(*numbers);
		*numbers = NULL;
		return icp_fail(diag, ret, "%s: out of memory", store);
	}
	if (*count > 0) {
		qsort(*numbers, *count, sizeof **numbers, newest_first);
	}
	return ICP_EOK;
}

static char *make_path(const char *store, uint64_t number)
{
	char *path;
	return asprintf(&path, "%s/" ICP_STORE_GENERATIONS "/%s", store,
		       file_name(number, DATA_SUFFIX).text) < 0
		       ? NULL
		       : path;
}

int icp_generations_info(const char *store, uint64_t number, icp_store_info_t *info, uint64_t *size,
	icp_diag_t *diag)
{
	icp_reader_t reader = {.store = NULL};
	int ret;
	if (number == 0) {
		ret = icp_reader_open_current(&reader, store, diag);
	} else {
		char *path = make_path(store, number);
		ret = path != NULL ? icp_reader_open(&reader, path, diag)
				   : icp_fail(diag, ICP_ENOMEM, "%s: out of memory", store);
		free(path);
	}
	if (ret == ICP_EOK) {
		*info = reader.info;
		*size = icp_store_size(reader.store);
		icp_reader_close(&reader);
	}
	return ret;
}

/*! Reads what it says in a snapshot that nothing keeps; again, if a commit came meanwhile. */
static int look(icp_store_t *store, icp_store_info_t *info, icp_diag_t *diag)
{
	icp_reader_t reader;
	bool holds = false;
	int ret = icp_reader_init(&reader, store, diag);
	if (ret != ICP_EOK) {
		return ret;
	}
	for (int i = 0; i < LOOKS_MAX && ret == ICP_EOK && !holds; i++) {
		ret = icp_reader_begin(&reader);
		if (ret == ICP_EOK) {
			*info = reader.info;
			holds = icp_reader_holds(&reader);
			icp_reader_end(&reader);
		}
	}
	icp_reader_deinit(&reader);
	if (ret == ICP_EOK && !holds) {
		ret = ICP_EBUSY;
	}
	return ret == ICP_EOK ? ret : icp_fail(diag, ret, "no snapshot: %s", icp_strerror(ret));
}

int icp_generations_look(const char *store, uint64_t number, icp_store_info_t *info, uint64_t *size,
	icp_diag_t *diag)
{
	icp_store_t *opened = NULL;
	int ret;
	if (number == 0) {
		ret = icp_store_open_slotless(&opened, store, diag);
	} else {
		char *path = make_path(store, number);
		ret = path != NULL ? icp_store_open_file_slotless(&opened, path, diag)
				   : icp_fail(diag, ICP_ENOMEM, "%s: out of memory", store);
		free(path);
	}
	if (ret == ICP_EOK) {
		*size = icp_store_size(opened);
		ret = look(opened, info, diag);
		icp_store_unref(opened);
	}
	return ret;
}

/*! Makes the lock file with all its blocks. LMDB would leave holes in it, and a reader that fills
 * one on a full disk, through its map, would be ended by the kernel. */
static int make_lock_file(const icp_generations_t *generations, const char *name)
{
	int file = openat(generations->generations, name,
		O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0664);
	if (file < 0) {
		return -1;
	}
	int error = posix_fallocate(file, 0, LOCK_FILE_SIZE);
	if (error == 0 && fsync(file) != 0) {
		error = errno;
	}
	close(file);
	errno = error;
	return error == 0 ? 0 : -1;
}

int icp_generations_building(
	const icp_generations_t *generations, uint64_t number, char **path, icp_diag_t *diag)
{
	file_name_t lock = file_name(number, BUILDING_LOCK_SUFFIX);
	if (make_lock_file(generations, lock.text) != 0) {
		int ret = icp_fail(diag, ICP_ESYS, "%s/" ICP_STORE_GENERATIONS "/%s: %s",
			generations->store, lock.text, strerror(errno));
		icp_generations_discard(generations, number);
		return ret;
	}
	if (asprintf(path, "%s/" ICP_STORE_GENERATIONS "/%s", generations->store,
		    file_name(number, BUILDING_SUFFIX).text) < 0) {
		return icp_fail(diag, ICP_ENOMEM, "%s: out of memory", generations->store);
	}
	return ICP_EOK;
}

char *icp_generations_path(const icp_generations_t *generations, uint64_t number)
{
	return make_path(generations->store, number);
}

/*! Gives a file the mode it has to have, whatever the umask, and its owner; durably. */
static int set_access(const icp_generations_t *generations, const char *name, mode_t mode)
{
	int file = openat(generations->generations, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (file < 0) {
		return -1;
	}
	icp_owner_give(file, generations->owner);
	int rc = fchmod(file, mode);
	if (rc == 0) {
		rc = fsync(file);
	}
	int error = errno;
	close(file);
	errno = error;
	return rc;
}

/*! Gives the file its final name and access. */
static int settle_file(const icp_generations_t *generations, const char *from, const char *to,
	mode_t mode, icp_diag_t *diag)
{
	if (set_access(generations, from, mode) != 0 ||
		renameat(generations->generations, from, generations->generations, to) != 0) {
		return failed(generations, from, diag);
	}
	return ICP_EOK;
}

int icp_generations_settle(const icp_generations_t *generations, uint64_t number, icp_diag_t *diag)
{
	/* The lock file first: a generation without one could not be opened by the resolver. */
	int ret = settle_file(generations, file_name(number, BUILDING_LOCK_SUFFIX).text,
		file_name(number, DATA_LOCK_SUFFIX).text, 0664, diag);
	if (ret == ICP_EOK) {
		ret = settle_file(generations, file_name(number, BUILDING_SUFFIX).text,
			file_name(number, DATA_SUFFIX).text, 0644, diag);
	}
	if (ret == ICP_EOK && fsync(generations->generations) != 0) {
		ret = failed(generations, ICP_STORE_GENERATIONS, diag);
	}
	return ret;
}

int icp_generations_point(
	const icp_generations_t *generations, uint64_t number, bool *lasting, icp_diag_t *diag)
{
	file_name_t data = file_name(number, DATA_SUFFIX);
	char target[sizeof ICP_STORE_GENERATIONS "/" + sizeof data.text];
	snprintf(target, sizeof target, ICP_STORE_GENERATIONS "/%s", data.text);
	if (symlinkat(target, generations->directory, NEW_LINK) != 0 ||
		renameat(generations->directory, NEW_LINK, generations->directory,
			ICP_STORE_CURRENT) != 0) {
		int ret = failed(generations, ICP_STORE_CURRENT, diag);
		unlinkat(generations->directory, NEW_LINK, 0);
		return ret;
	}
	*lasting = fsync(generations->directory) == 0;
	return ICP_EOK;
}

void icp_generations_discard(const icp_generations_t *generations, uint64_t number)
{
	unlinkat(generations->directory, NEW_LINK, 0);
	remove_file(generations, number, BUILDING_SUFFIX);
	remove_file(generations, number, BUILDING_LOCK_SUFFIX);
	remove_file(generations, number, DATA_SUFFIX);
	remove_file(generations, number, DATA_LOCK_SUFFIX);
}

/*! Marks the generations to be kept in a list of all: the current one, and what it replaced. False:
 * it is not known which these are. */
static bool mark_chain(
	const char *store, const uint64_t *numbers, size_t count, unsigned keep, bool *kept)
{
	icp_store_info_t info;
	uint64_t size;
	if (icp_generations_info(store, 0, &info, &size, NULL) != ICP_EOK) {
		return false;
	}
	uint64_t number = info.generation;
	for (unsigned i = 0; i < keep; i++) {
		for (size_t at = 0; at < count; at++) {
			kept[at] |= numbers[at] == number;
		}
		/* Each replaces an older one; whatever a file says, this comes to an end. */
		if (icp_generations_info(store, number, &info, &size, NULL) != ICP_EOK ||
			info.replaced == 0 || info.replaced >= number) {
			break;
		}
		number = info.replaced;
	}
	return true;
}

void icp_generations_prune(const icp_generations_t *generations, unsigned keep)
{
	uint64_t *numbers = NULL;
	size_t count = 0;
	if (icp_generations_list(generations->store, &numbers, &count, NULL) != ICP_EOK) {
		return;
	}
	bool *kept = calloc(count + 1, sizeof *kept);
	bool known = kept != NULL && numbers != NULL &&
		     mark_chain(generations->store, numbers, count, keep, kept);
	for (size_t i = 0; known && i < count; i++) {
		if (!kept[i]) {
			remove_file(generations, numbers[i], DATA_SUFFIX);
			remove_file(generations, numbers[i], DATA_LOCK_SUFFIX);
		}
	}
	free(kept);
	free(numbers);
}

/* SPDX-License-Identifier: BSD-3-Clause */
/*! The file of statistics: where it can't be made, when it is damaged, and who may read it. */
#include "tests/unit/stats_help.h"

#include <errno.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "core/stats_file.h"

#define NOBODY 65534

/*! Acts as a user without rights of his own from here on, or again as before. */
static void become(uid_t user)
{
	if (getuid() == 0) {
		assert_int_equal(seteuid(user), 0);
	}
}

/*! Counts without a file, and says why; that must be no hindrance. */
static void expect_memory_only(place_t *place, const char *why)
{
	char expected[1024];
	icp_stats_t *stats = open_stats(place, 2);
	snprintf(expected, sizeof expected, "%s: %s; counting in memory only", place->file, why);
	assert_string_equal(place->diag.text, expected);
	block(stats, 0, "first.example", 41);
	block(stats, 1, "second.example", 42);
	icp_stats_close(stats);
}

static void anybody_may_read_it(void **state)
{
	place_t *place = *state;
	struct stat st;
	mode_t mask = umask(077);
	icp_stats_t *stats = open_file_stats(place, 1);
	umask(mask);
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(chmod(place->dir, 0755), 0);
	become(NOBODY);
	icp_stats_snapshot_t snapshot = read_stats(place);
	become(0);
	assert_true(snapshot.counting);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
}

/*! Else a write to the map could find the disk full, and the resolver would be killed. */
static void every_block_is_written(void **state)
{
	place_t *place = *state;
	struct stat st;
	assert_int_equal(close(open(place->file, O_WRONLY | O_CREAT, 0644)), 0);
	assert_int_equal(truncate(place->file, 8 << 20), 0);
	icp_stats_t *stats = open_file_stats(place, 3);
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_size, 8 << 20);
	assert_true(st.st_blocks * 512 >= (blkcnt_t)icp_stats_size(3));
	icp_stats_close(stats);
}

static void no_directory(void **state)
{
	place_t *place = *state;
	assert_int_equal(rmdir(place->dir), 0);
	expect_memory_only(place, "No such file or directory");
	expect_unreadable(place, ICP_ENOSTORE, "no resolver has counted in this store");
	assert_int_equal(mkdir(place->dir, 0700), 0);
}

static void a_directory_that_is_not_writable(void **state)
{
	place_t *place = *state;
	assert_int_equal(chmod(place->dir, 0555), 0);
	become(NOBODY);
	expect_memory_only(place, "Permission denied");
	become(0);
	expect_unreadable(place, ICP_ENOSTORE, "no resolver has counted in this store");
	assert_int_equal(chmod(place->dir, 0755), 0);
}

static void a_file_that_was_made_for_the_resolver(void **state)
{
	place_t *place = *state;
	assert_int_equal(close(open(place->file, O_WRONLY | O_CREAT, 0644)), 0);
	expect_unreadable(place, ICP_ENOSTORE, "no resolver has counted in this store");
	assert_int_equal(chmod(place->file, 0666), 0);
	assert_int_equal(chmod(place->dir, 0555), 0);
	become(NOBODY);
	icp_stats_t *stats = open_file_stats(place, 1);
	become(0);
	block(stats, 0, "first.example", 41);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_domain(&snapshot, "first.example", 1);
	icp_stats_snapshot_deinit(&snapshot);
	icp_stats_close(stats);
	/* Its mode is for who made it to choose. */
	struct stat st;
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0666);
	assert_int_equal(chmod(place->dir, 0755), 0);
}

static void a_file_of_somebody_else(void **state)
{
	place_t *place = *state;
	icp_stats_close(open_file_stats(place, 1));
	assert_int_equal(chmod(place->file, 0444), 0);
	assert_int_equal(chmod(place->dir, 0777), 0);
	become(NOBODY);
	expect_memory_only(place, "Permission denied");
	become(0);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 0);
	icp_stats_snapshot_deinit(&snapshot);
}

static void what_is_no_file(void **state)
{
	place_t *place = *state;
	assert_int_equal(mkdir(place->file, 0755), 0);
	expect_memory_only(place, "Is a directory");
	expect_unreadable(place, ICP_ESYS, "not a regular file");
	assert_int_equal(rmdir(place->file), 0);

	assert_int_equal(mkfifo(place->file, 0644), 0);
	expect_memory_only(place, "not a regular file");
	expect_unreadable(place, ICP_ESYS, "not a regular file");
	assert_int_equal(unlink(place->file), 0);

	assert_int_equal(symlink("/dev/null", place->file), 0);
	expect_memory_only(place, "Too many levels of symbolic links");
	expect_unreadable(place, ICP_ESYS, "Too many levels of symbolic links");
}

static void a_store_with_too_long_a_name(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = NULL;
	char name[5000];
	memset(name, 'x', sizeof name - 1);
	name[sizeof name - 1] = '\0';
	assert_int_equal(
		icp_stats_open(&stats, name, ICP_MODE_ENFORCE, 1, NOW, &place->diag), ICP_EOK);
	assert_string_not_equal(place->diag.text, "");
	block(stats, 0, "first.example", 41);
	icp_stats_close(stats);
}

/*! Sets how large a file may get; more is an error, as on a full disk. */
static void limit_files(rlim_t octets)
{
	struct rlimit limit;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = octets;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_disk_that_is_full(void **state)
{
	place_t *place = *state;
	struct stat st;
	limit_files(100000);
	expect_memory_only(place, "File too large");
	assert_int_not_equal(access(place->file, F_OK), 0);

	/* A file that was there before is not left larger than it was. */
	assert_int_equal(close(open(place->file, O_WRONLY | O_CREAT, 0644)), 0);
	assert_int_equal(truncate(place->file, 5000), 0);
	expect_memory_only(place, "File too large");
	assert_int_equal(stat(place->file, &st), 0);
	assert_int_equal(st.st_size, 5000);
	expect_unreadable(place, ICP_EDAMAGED, "not a file of statistics, or not finished");
	limit_files(RLIM_INFINITY);
	icp_stats_close(open_file_stats(place, 1));
}

static void a_file_that_is_removed(void **state)
{
	place_t *place = *state;
	icp_stats_t *stats = open_file_stats(place, 1);
	assert_int_equal(unlink(place->file), 0);
	block(stats, 0, "first.example", 41);
	expect_unreadable(place, ICP_ENOSTORE, "no resolver has counted in this store");
	icp_stats_close(stats);
}

/*! A file that a resolver of two threads left, with one domain on the second one. */
static void leave_file(place_t *place)
{
	icp_stats_t *stats = open_file_stats(place, 2);
	block(stats, 1, "first.example", 41);
	icp_stats_close(stats);
}

static void every_truncation_is_found(void **state)
{
	place_t *place = *state;
	leave_file(place);
	struct stat st;
	assert_int_equal(stat(place->file, &st), 0);
	for (off_t size = st.st_size - 1; size > 0; size -= size > 4096 ? 1021 : 1) {
		assert_int_equal(truncate(place->file, size), 0);
		expect_unreadable(place, ICP_EDAMAGED, "truncated");
	}
	assert_int_equal(truncate(place->file, 0), 0);
	expect_unreadable(place, ICP_ENOSTORE, "no resolver has counted in this store");
	leave_file(place);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_domain(&snapshot, "first.example", 1);
	icp_stats_snapshot_deinit(&snapshot);
}

static void put_octets(const place_t *place, size_t at, const void *octets, size_t length)
{
	int fd = open(place->file, O_WRONLY);
	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, octets, length, (off_t)at), length);
	assert_int_equal(close(fd), 0);
}

/*! A member of the head that says something else than it should. */
typedef struct {
	size_t at;
	size_t size;
	uint64_t value;
	int code;
	const char *says;
} damage_t;

#define HEAD(member)                                                                               \
	offsetof(icp_stats_file_t, head.member), sizeof(((icp_stats_file_t *)NULL)->head.member)
#define TURN(member)                                                                               \
	offsetof(icp_stats_file_t, turn.member), sizeof(((icp_stats_file_t *)NULL)->turn.member)
#define SECOND (sizeof(icp_stats_file_t) + sizeof(icp_stats_area_t))
#define OTHER_VERSION "written by another version of the resolver's module: format "

static const damage_t damages[] = {
	{HEAD(magic), 0, ICP_EDAMAGED, "not a file of statistics, or not finished"},
	{HEAD(format), 2, ICP_EVERSION, OTHER_VERSION "2, 57 counters"},
	{HEAD(counters), 38, ICP_EVERSION, OTHER_VERSION "3, 38 counters"},
	{HEAD(area_size), 4096, ICP_EVERSION, OTHER_VERSION "3, 57 counters"},
	{HEAD(seats), 0, ICP_EDAMAGED, "damaged: threads 0"},
	{HEAD(seats), 1025, ICP_EDAMAGED, "damaged: threads 1025"},
	{HEAD(seats), UINT32_MAX, ICP_EDAMAGED, "damaged: threads 4294967295"},
	{HEAD(seats), 3, ICP_EDAMAGED, "truncated"},
	{HEAD(mode), 2, ICP_EDAMAGED, "damaged: mode 2"},
	{TURN(generation), UINT64_MAX, ICP_EDAMAGED, "damaged: generation 18446744073709551615"},
	{TURN(sequence), 3, ICP_EBUSY, "a resolver is changing it; try again"},
	{SECOND, 8, UINT64_MAX, ICP_EDAMAGED, "damaged: count 18446744073709551615"},
	{SECOND + (size_t)56 * 8, 8, (UINT64_C(1) << 52) + 1, ICP_EDAMAGED,
		"damaged: count 4503599627370497"},
};

static void every_damage_is_found(void **state)
{
	place_t *place = *state;
	for (size_t i = 0; i < COUNT(damages); i++) {
		leave_file(place);
		put_octets(place, damages[i].at, &damages[i].value, damages[i].size);
		expect_unreadable(place, damages[i].code, damages[i].says);
	}
}

static void any_content_is_read_without_harm(void **state)
{
	place_t *place = *state;
	uint64_t seed = 1;
	leave_file(place);
	for (unsigned i = 0; i < 300; i++) {
		icp_stats_snapshot_t snapshot;
		uint8_t octets[64];
		seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
		/* All but the head, which other tests damage, and the turn, which makes it wait. */
		size_t at = ICP_STATS_PAGE +
			    (seed >> 24) % (2 * sizeof(icp_stats_area_t) - sizeof octets);
		memset(octets, (int)(seed >> 56), sizeof octets);
		put_octets(place, at, octets, sizeof octets);
		if (i % 10 == 0) {
			int ret = icp_stats_read(&snapshot, place->dir, &place->diag);
			assert_true(ret == ICP_EOK || ret == ICP_EDAMAGED);
			icp_stats_snapshot_deinit(&snapshot);
			leave_file(place);
		}
	}
}

/*! Where the domain of leave_file stands. */
static size_t place_of_domain(const place_t *place)
{
	FILE *file = fopen(place->file, "rb");
	assert_non_null(file);
	size_t found = 0;
	for (size_t set = 0; set < ICP_TOP_SETS; set++) {
		uint64_t sequence;
		size_t at =
			SECOND + offsetof(icp_stats_area_t, top.sets) + set * sizeof(icp_top_set_t);
		assert_int_equal(fseek(file, (long)at, SEEK_SET), 0);
		assert_int_equal(fread(&sequence, sizeof sequence, 1, file), 1);
		found = sequence != 0 ? at : found;
	}
	assert_int_equal(fclose(file), 0);
	assert_int_not_equal(found, 0);
	return found;
}

static void damage_of_a_domain_is_found(void **state)
{
	place_t *place = *state;
	icp_stats_snapshot_t snapshot;
	uint64_t zero = 0;
	leave_file(place);
	put_octets(place, place_of_domain(place) + offsetof(icp_top_set_t, hash), &zero, 8);
	assert_int_equal(icp_stats_read(&snapshot, place->dir, &place->diag), ICP_EDAMAGED);
	assert_non_null(strstr(place->diag.text, "damaged: list of domains, set "));
}

static void what_was_being_written_is_left_out(void **state)
{
	place_t *place = *state;
	uint64_t odd = 1;
	leave_file(place);
	put_octets(place, place_of_domain(place), &odd, sizeof odd);
	icp_stats_snapshot_t snapshot = read_stats(place);
	assert_int_equal(snapshot.left_out, 1);
	assert_int_equal(snapshot.top.count, 0);
	assert_int_equal(snapshot.counts[ICP_STAT_BLOCKED], 1);
	icp_stats_snapshot_deinit(&snapshot);
}

/*! A resolver that starts has the lock, and the file is not finished. */
static void a_file_that_is_being_made_is_waited_for(void **state)
{
	place_t *place = *state;
	uint64_t zero = 0;
	icp_stats_t *stats = open_file_stats(place, 1);
	put_octets(place, 0, &zero, sizeof zero);
	expect_unreadable(place, ICP_EBUSY, "a resolver is changing it; try again");
	icp_stats_close(stats);
	expect_unreadable(place, ICP_EDAMAGED, "not a file of statistics, or not finished");
}

/*! What happens between two reads of the file, once. */
static struct {
	unsigned reads_before; /*!< Counted down. */
	void (*happen)(void *context);
	void *context;
} event;

/*! In place of the C library's. */
ssize_t pread(int fd, void *out, size_t length, off_t at)
{
	if (event.happen != NULL && event.reads_before-- == 0) {
		event.happen(event.context);
		event.happen = NULL;
	}
	return syscall(SYS_pread64, fd, out, length, at);
}

/*! A resolver that is in its Nth life, or its Nth generation, has blocked a domain N times. */
typedef struct {
	place_t *place;
	icp_stats_t *stats;
	unsigned number;
} resolver_t;

static void block_often(resolver_t *resolver, uint64_t generation)
{
	for (unsigned i = 0; i < resolver->number; i++) {
		block(resolver->stats, i % 2, "any.example", generation);
	}
}

static void next_generation(void *context)
{
	resolver_t *resolver = context;
	resolver->number++;
	block_often(resolver, resolver->number);
}

static void next_life(void *context)
{
	resolver_t *resolver = context;
	resolver->number++;
	icp_stats_close(resolver->stats);
	assert_int_equal(icp_stats_open(&resolver->stats, resolver->place->dir, ICP_MODE_ENFORCE, 2,
				 resolver->number, &resolver->place->diag),
		ICP_EOK);
	block_often(resolver, 1);
}

/*! Reads while something happens, at each moment in turn. What is read must be of one state. */
static void expect_one_state(place_t *place, void (*happen)(void *context))
{
	resolver_t resolver = {.place = place};
	unsigned moment = 0;
	next_life(&resolver);
	do {
		event.reads_before = moment++;
		event.context = &resolver;
		event.happen = happen;
		icp_stats_snapshot_t snapshot = read_stats(place);
		uint64_t number =
			happen == next_life ? (uint64_t)snapshot.started : snapshot.generation;
		assert_in_range(number, resolver.number - 1, resolver.number);
		assert_int_equal(snapshot.top.count, 1);
		assert_domain(&snapshot, "any.example", number);
		icp_stats_snapshot_deinit(&snapshot);
	} while (event.happen == NULL);
	event.happen = NULL;
	assert_true(moment > ICP_TOP_SETS);
	icp_stats_close(resolver.stats);
}

static void a_generation_that_changes_while_it_is_read(void **state)
{
	expect_one_state(*state, next_generation);
}

static void a_resolver_that_restarts_while_it_is_read(void **state)
{
	expect_one_state(*state, next_life);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_PLACE(anybody_may_read_it),
		IN_PLACE(every_block_is_written),
		IN_PLACE(no_directory),
		IN_PLACE(a_directory_that_is_not_writable),
		IN_PLACE(a_file_that_was_made_for_the_resolver),
		IN_PLACE(a_file_of_somebody_else),
		IN_PLACE(what_is_no_file),
		IN_PLACE(a_store_with_too_long_a_name),
		IN_PLACE(a_disk_that_is_full),
		IN_PLACE(a_file_that_is_removed),
		IN_PLACE(every_truncation_is_found),
		IN_PLACE(every_damage_is_found),
		IN_PLACE(any_content_is_read_without_harm),
		IN_PLACE(damage_of_a_domain_is_found),
		IN_PLACE(what_was_being_written_is_left_out),
		IN_PLACE(a_file_that_is_being_made_is_waited_for),
		IN_PLACE(a_generation_that_changes_while_it_is_read),
		IN_PLACE(a_resolver_that_restarts_while_it_is_read),
	};
	return cmocka_run_group_tests_name("stats, file", tests, NULL, NULL);
}

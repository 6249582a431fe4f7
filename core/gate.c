/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/gate_private.h"

void icp_gate_say(const icp_gate_t *gate, enum icp_level level, const char *format, ...)
{
	if (gate->log == NULL) {
		return;
	}
	char line[1280];
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof line, format, args);
	va_end(args);
	gate->log(level, line);
}

/*! Reports a trouble, but not the same one again every second. */
static void report(
	const icp_gate_t *gate, icp_diag_t *last, const icp_diag_t *now, const char *then)
{
	if (strcmp(last->text, now->text) != 0) {
		*last = *now;
		icp_gate_say(gate, ICP_LEVEL_ERROR, "%s; %s", now->text, then);
	}
}

/*! A process must not open an environment twice; after a rollback a seat may still have it open. */
static icp_store_t *still_open(const icp_gate_t *gate)
{
	for (unsigned i = 0; i < gate->seat_count; i++) {
		icp_store_t *store = gate->seats[i].reader.store;
		if (store != NULL && icp_store_is_current(store)) {
			return icp_store_ref(store);
		}
	}
	return NULL;
}

static void look_at_store(icp_gate_t *gate)
{
	icp_diag_t trouble = {.text = ""};
	if (gate->store != NULL && icp_store_is_current(gate->store)) {
		gate->store_trouble.text[0] = '\0';
		return;
	}
	icp_store_t *store = still_open(gate);
	int (*open)(icp_store_t **, const char *, icp_diag_t *) =
		gate->for_names ? icp_store_open_slotless : icp_store_open;
	int ret = store == NULL ? open(&store, gate->config->store, &trouble) : ICP_EOK;
	if (ret != ICP_EOK) {
		gate->store_code = ret;
		report(gate, &gate->store_trouble, &trouble,
			gate->store != NULL ? "the generation in use stays"
					    : "on_no_index applies");
		return;
	}
	icp_store_unref(gate->store);
	gate->store = store;
	gate->store_trouble.text[0] = '\0';
	atomic_store(&gate->damage_logged, false);
	atomic_fetch_add(&gate->version, 1);
	icp_gate_say(gate, ICP_LEVEL_INFO, "store %s: new generation in use", gate->config->store);
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static int open_ranges(const icp_gate_t *gate, icp_ranges_t **ranges, icp_diag_t *diag)
{
	icp_fault_enter();
	int ret = icp_ranges_open(ranges, gate->config, diag);
	if (icp_fault_happened()) {
		if (ret == ICP_EOK) {
			icp_ranges_unref(*ranges);
		}
		ret = icp_fail(diag, ICP_ERANGES, "%s: file lost pages while it was opened",
			gate->config->ranges.database);
	}
	icp_fault_leave();
	return ret;
}

static void look_at_ranges(icp_gate_t *gate)
{
	icp_diag_t trouble = {.text = ""};
	icp_ranges_t *ranges;
	struct stat file = {.st_ino = 0};
	if (gate->ranges == NULL || icp_ranges_is_current(gate->ranges)) {
		gate->ranges_trouble.text[0] = '\0';
		return;
	}
	if (stat(gate->config->ranges.database, &file) == 0) {
		if (same_file(&file, &gate->ranges_refused)) {
			return;
		}
		gate->ranges_trouble.text[0] = '\0';
	}
	if (open_ranges(gate, &ranges, &trouble) != ICP_EOK) {
		gate->ranges_refused = file;
		report(gate, &gate->ranges_trouble, &trouble, "the range database in use stays");
		return;
	}
	icp_ranges_unref(gate->ranges);
	gate->ranges = ranges;
	gate->ranges_trouble.text[0] = '\0';
	atomic_fetch_add(&gate->version, 1);
	icp_gate_say(gate, ICP_LEVEL_INFO, "%s: new range database in use",
		gate->config->ranges.database);
}

static void look_locked(icp_gate_t *gate)
{
	icp_fault_enter();
	look_at_ranges(gate);
	look_at_store(gate);
	/* Not of the files in use: those that could not be opened, or were given back. */
	(void)icp_fault_happened();
	icp_fault_leave();
}

/*! One thread a second looks whether anything was replaced. */
static void look(icp_gate_t *gate, int64_t now)
{
	int64_t looked = atomic_load_explicit(&gate->looked, memory_order_acquire);
	/* The clocks of two threads may differ by a second. */
	if (now <= looked && now >= looked - 1) {
		return;
	}
	/* Who comes while another looks waits: he must not judge by what was replaced. */
	pthread_mutex_lock(&gate->lock);
	if (atomic_load_explicit(&gate->looked, memory_order_relaxed) == looked) {
		look_locked(gate);
		atomic_store_explicit(&gate->looked, now, memory_order_release);
	}
	pthread_mutex_unlock(&gate->lock);
}

/*! Brings a seat in step with the gate. Not while the seat holds a snapshot. */
static void seat_follow(icp_gate_t *gate, icp_seat_t *seat)
{
	icp_fault_enter();
	pthread_mutex_lock(&gate->lock);
	seat->version = atomic_load(&gate->version);
	if (seat->ranges != gate->ranges) {
		icp_ranges_unref(seat->ranges);
		seat->ranges = icp_ranges_ref(gate->ranges);
	}
	if (seat->reader.store != gate->store) {
		icp_diag_t trouble;
		icp_reader_t reader;
		int ret = icp_reader_init(&reader, gate->store, &trouble);
		if (icp_fault_happened()) {
			icp_store_spoil(gate->store);
		}
		if (ret == ICP_EOK) {
			icp_reader_deinit(&seat->reader);
			seat->reader = reader;
			seat->looked_at = 0;
			gate->reader_trouble.text[0] = '\0';
		} else {
			/* Try again at the next judgement. */
			seat->version--;
			gate->reader_code = ret;
			report(gate, &gate->reader_trouble, &trouble,
				seat->reader.store != NULL ? "the generation in use stays"
							   : "on_no_index applies");
		}
	}
	pthread_mutex_unlock(&gate->lock);
	/* Of the generation that was given back. */
	(void)icp_fault_happened();
	icp_fault_leave();
}

icp_seat_t *icp_seat_take(icp_gate_t *gate, unsigned number, int64_t now)
{
	icp_seat_t *seat = &gate->seats[number];
	if (!seat->guarded) {
		icp_fault_enter();
		seat->guarded = true;
	}
	(void)icp_fault_happened();
	look(gate, now);
	if (seat->version != atomic_load_explicit(&gate->version, memory_order_acquire)) {
		seat_follow(gate, seat);
	}
	return seat;
}

static int create(icp_gate_t **gate, const icp_config_t *config, unsigned seats, bool for_names,
	icp_log_t log, icp_diag_t *diag)
{
	icp_gate_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	new->config = config;
	new->log = log;
	new->for_names = for_names;
	new->seat_count = seats;
	atomic_init(&new->looked, INT64_MIN + 1);
	atomic_init(&new->version, 1);
	pthread_mutex_init(&new->lock, NULL);
	new->seats = aligned_alloc(ICP_CACHE_LINE, seats * sizeof *new->seats);
	if (new->seats == NULL) {
		icp_gate_destroy(new);
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	memset(new->seats, 0, seats * sizeof *new->seats);
	for (unsigned i = 0; i < seats; i++) {
		new->seats[i].memory = icp_memory_create();
		if (new->seats[i].memory == NULL) {
			icp_gate_destroy(new);
			return icp_fail(diag, ICP_ENOMEM, "out of memory");
		}
	}
	int ret = icp_fault_install();
	if (ret != ICP_EOK) {
		icp_gate_destroy(new);
		return icp_fail(diag, ret, "SIGBUS can't be handled");
	}
	new->handles_faults = true;
	ret = for_names ? ICP_EOK : open_ranges(new, &new->ranges, diag);
	if (ret != ICP_EOK) {
		icp_gate_destroy(new);
		return ret;
	}
	look_at_store(new);
	*gate = new;
	return ICP_EOK;
}

int icp_gate_create(icp_gate_t **gate, const icp_config_t *config, unsigned seats, icp_log_t log,
	icp_diag_t *diag)
{
	return create(gate, config, seats, false, log, diag);
}

int icp_gate_create_for_names(icp_gate_t **gate, const icp_config_t *config, unsigned seats,
	icp_log_t log, icp_diag_t *diag)
{
	return create(gate, config, seats, true, log, diag);
}

void icp_gate_destroy(icp_gate_t *gate)
{
	if (gate == NULL) {
		return;
	}
	/* LMDB writes to its lock file when it closes. */
	icp_fault_enter();
	for (unsigned i = 0; gate->seats != NULL && i < gate->seat_count; i++) {
		icp_seat_t *seat = &gate->seats[i];
		icp_gate_release(gate, i);
		icp_reader_deinit(&seat->reader);
		icp_ranges_unref(seat->ranges);
		icp_memory_destroy(seat->memory);
		free(seat->places);
		free(seat->rulings);
	}
	icp_store_unref(gate->store);
	icp_ranges_unref(gate->ranges);
	icp_fault_leave();
	pthread_mutex_destroy(&gate->lock);
	if (gate->handles_faults) {
		icp_fault_uninstall();
	}
	free(gate->seats);
	free(gate);
}

void icp_gate_tell_damage(icp_gate_t *gate, int code)
{
	if (!atomic_exchange(&gate->damage_logged, true)) {
		icp_gate_say(gate, ICP_LEVEL_ERROR, "store %s: %s; on_no_index applies",
			gate->config->store, icp_strerror(code));
	}
}

/*! The loader of a generation leaves word in the one before. */
int icp_seat_begin(icp_gate_t *gate, icp_seat_t *seat)
{
	icp_reader_t *reader = &seat->reader;
	int ret = icp_reader_begin(reader);
	uint64_t commit = reader->info.commit;
	if (ret != ICP_EOK || reader->info.superseded == 0 || commit == seat->looked_at) {
		return ret;
	}
	icp_reader_end(reader);
	pthread_mutex_lock(&gate->lock);
	look_locked(gate);
	pthread_mutex_unlock(&gate->lock);
	/* A loader may leave word before the link is moved; it then does so once more. */
	seat->looked_at = commit;
	seat_follow(gate, seat);
	return icp_reader_begin(reader);
}

void icp_gate_release(icp_gate_t *gate, unsigned number)
{
	icp_seat_t *seat = &gate->seats[number];
	if (seat->active) {
		icp_reader_end(&seat->reader);
		seat->active = false;
	}
	if (seat->guarded) {
		icp_fault_leave();
		seat->guarded = false;
	}
}

int icp_gate_reader(
	icp_gate_t *gate, unsigned number, int64_t now, icp_reader_t **reader, icp_diag_t *diag)
{
	int ret;
	icp_gate_release(gate, number);
	icp_seat_t *seat = icp_seat_take(gate, number, now);
	if (seat->reader.store == NULL) {
		pthread_mutex_lock(&gate->lock);
		ret = gate->store != NULL ? gate->reader_code : gate->store_code;
		*diag = gate->store != NULL ? gate->reader_trouble : gate->store_trouble;
		pthread_mutex_unlock(&gate->lock);
		return ret;
	}
	ret = icp_seat_begin(gate, seat);
	if (ret != ICP_EOK) {
		icp_fail(diag, ret, "store %s: %s", gate->config->store, icp_strerror(ret));
		icp_gate_release(gate, number);
		return ret;
	}
	seat->active = true;
	*reader = &seat->reader;
	return ICP_EOK;
}

/* SPDX-License-Identifier: BSD-3-Clause */
#include "core/gate.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/fault.h"

#define CACHE_LINE 64
#define FIRST_PLACES 16 /*!< Addresses of an answer, nearly always. */

/*! One thread's part; on lines of its own, so that threads do not slow each other. */
typedef struct {
	_Alignas(CACHE_LINE) unsigned version; /*!< Of the gate, when last in step with it. */
	icp_ranges_t *ranges;                  /*!< Counted. */
	icp_reader_t reader;                   /*!< Its store NULL: no index. */
	uint64_t looked_for; /*!< Generation that was said to be in place of the reader's. */
	icp_place_t *places;
	icp_ruling_t *rulings;
	size_t capacity;
	bool active;  /*!< The reader holds a snapshot. */
	bool guarded; /*!< In a section of fault.h. */
} seat_t;

struct icp_gate {
	const icp_config_t *config;
	icp_log_t log;
	seat_t *seats;
	unsigned seat_count;
	bool handles_faults;
	atomic_uint version;         /*!< Grows when ranges or store are replaced. */
	atomic_int_least64_t looked; /*!< The second of the last look for replacements. */
	atomic_bool damage_logged;   /*!< For the current store. */
	pthread_mutex_t lock;        /*!< Guards what follows, and each seat's choice of store. */
	icp_ranges_t *ranges;
	icp_store_t *store;         /*!< NULL: none could be opened so far. */
	struct stat ranges_refused; /*!< Could not be opened; not tried again. */
	icp_diag_t ranges_trouble;  /*!< Last reported; empty: none. */
	icp_diag_t store_trouble;
	icp_diag_t reader_trouble;
};

static void say(const icp_gate_t *gate, enum icp_level level, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void say(const icp_gate_t *gate, enum icp_level level, const char *format, ...)
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
		say(gate, ICP_LEVEL_ERROR, "%s; %s", now->text, then);
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
	if (store == NULL && icp_store_open(&store, gate->config->store, &trouble) != ICP_EOK) {
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
	say(gate, ICP_LEVEL_INFO, "store %s: new generation in use", gate->config->store);
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
	if (icp_ranges_is_current(gate->ranges)) {
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
		report(gate, &gate->ranges_trouble, &trouble,
			icp_ranges_is_spoilt(gate->ranges) ? "all addresses pass"
							   : "the range database in use stays");
		return;
	}
	icp_ranges_unref(gate->ranges);
	gate->ranges = ranges;
	gate->ranges_trouble.text[0] = '\0';
	atomic_fetch_add(&gate->version, 1);
	say(gate, ICP_LEVEL_INFO, "%s: new range database in use", gate->config->ranges.database);
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
static void seat_follow(icp_gate_t *gate, seat_t *seat)
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
			seat->looked_for = 0;
			gate->reader_trouble.text[0] = '\0';
		} else {
			/* Try again at the next judgement. */
			seat->version--;
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

/*! Begins a decision, which icp_gate_release ends. */
static seat_t *seat_take(icp_gate_t *gate, unsigned number, int64_t now)
{
	seat_t *seat = &gate->seats[number];
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

int icp_gate_create(icp_gate_t **gate, const icp_config_t *config, unsigned seats, icp_log_t log,
	icp_diag_t *diag)
{
	icp_gate_t *new = calloc(1, sizeof *new);
	if (new == NULL) {
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	new->config = config;
	new->log = log;
	new->seat_count = seats;
	atomic_init(&new->looked, INT64_MIN + 1);
	atomic_init(&new->version, 1);
	pthread_mutex_init(&new->lock, NULL);
	new->seats = aligned_alloc(CACHE_LINE, seats * sizeof *new->seats);
	if (new->seats == NULL) {
		icp_gate_destroy(new);
		return icp_fail(diag, ICP_ENOMEM, "out of memory");
	}
	memset(new->seats, 0, seats * sizeof *new->seats);
	int ret = icp_fault_install();
	if (ret != ICP_EOK) {
		icp_gate_destroy(new);
		return icp_fail(diag, ret, "SIGBUS can't be handled");
	}
	new->handles_faults = true;
	ret = open_ranges(new, &new->ranges, diag);
	if (ret != ICP_EOK) {
		icp_gate_destroy(new);
		return ret;
	}
	look_at_store(new);
	*gate = new;
	return ICP_EOK;
}

void icp_gate_destroy(icp_gate_t *gate)
{
	if (gate == NULL) {
		return;
	}
	/* LMDB writes to its lock file when it closes. */
	icp_fault_enter();
	for (unsigned i = 0; gate->seats != NULL && i < gate->seat_count; i++) {
		seat_t *seat = &gate->seats[i];
		icp_gate_release(gate, i);
		icp_reader_deinit(&seat->reader);
		icp_ranges_unref(seat->ranges);
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

static int seat_reserve(seat_t *seat, size_t count)
{
	if (count <= seat->capacity && seat->capacity > 0) {
		return ICP_EOK;
	}
	size_t capacity = count < FIRST_PLACES ? FIRST_PLACES : count;
	icp_place_t *places = realloc(seat->places, capacity * sizeof *places);
	if (places != NULL) {
		seat->places = places;
	}
	icp_ruling_t *rulings = realloc(seat->rulings, capacity * sizeof *rulings);
	if (rulings != NULL) {
		seat->rulings = rulings;
	}
	if (places == NULL || rulings == NULL) {
		return ICP_ENOMEM;
	}
	seat->capacity = capacity;
	return ICP_EOK;
}

static void say_damage(icp_gate_t *gate, int code)
{
	if (!atomic_exchange(&gate->damage_logged, true)) {
		say(gate, ICP_LEVEL_ERROR, "store %s: %s; on_no_index applies", gate->config->store,
			icp_strerror(code));
	}
}

/*! Takes a snapshot of the generation that is current. Its loader leaves word in the one before. */
static int seat_begin(icp_gate_t *gate, seat_t *seat)
{
	icp_reader_t *reader = &seat->reader;
	int ret = icp_reader_begin(reader);
	if (ret != ICP_EOK || reader->info.superseded == seat->looked_for) {
		return ret;
	}
	uint64_t successor = reader->info.superseded;
	icp_reader_end(reader);
	pthread_mutex_lock(&gate->lock);
	look_locked(gate);
	pthread_mutex_unlock(&gate->lock);
	seat->looked_for = successor;
	seat_follow(gate, seat);
	return icp_reader_begin(reader);
}

/*! Finds the rows that count. False: the index can't be read. */
static bool seat_find(icp_gate_t *gate, seat_t *seat, const icp_name_t *name)
{
	if (seat->reader.store == NULL) {
		return false;
	}
	int ret = seat_begin(gate, seat);
	if (ret == ICP_EOK) {
		seat->active = true;
		ret = icp_reader_find(&seat->reader, name);
	}
	if (ret != ICP_EOK) {
		say_damage(gate, ret);
	}
	return ret == ICP_EOK;
}

static bool any_gated(const icp_policy_t *policy, const icp_place_t *places, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (icp_policy_gates(policy, &places[i])) {
			return true;
		}
	}
	return false;
}

static icp_stamp_t stamp_of(const seat_t *seat)
{
	return (icp_stamp_t){
		.generation = seat->reader.info.generation,
		.commit = seat->reader.info.commit,
		.version = seat->version,
	};
}

/*! Judges the places that the seat holds. */
static void seat_judge(icp_gate_t *gate, seat_t *seat, const icp_name_t *name, size_t count,
	bool gated, int64_t now, icp_decision_t *decision)
{
	const icp_policy_t *policy = &gate->config->policy;
	*decision = (icp_decision_t){.places = seat->places, .rulings = seat->rulings};
	if (gated && seat_find(gate, seat, name)) {
		decision->rows = seat->reader.rows.items;
		decision->row_count = seat->reader.rows.count;
		decision->stamp = stamp_of(seat);
	}
	decision->judgement = icp_verdict_judge(policy, name, seat->places, count, decision->rows,
		decision->row_count, now, seat->rulings);
	if (!icp_fault_happened() || seat->reader.store == NULL) {
		return;
	}
	icp_store_spoil(seat->reader.store);
	say_damage(gate, ICP_EDAMAGED);
	*decision = (icp_decision_t){.places = seat->places, .rulings = seat->rulings};
	decision->judgement =
		icp_verdict_judge(policy, name, seat->places, count, NULL, 0, now, seat->rulings);
}

/*! Finds the places of all addresses. True: at least one of them is gated. */
static bool seat_place(icp_gate_t *gate, seat_t *seat, const icp_address_t *addresses, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		icp_ranges_find(seat->ranges, &addresses[i], &seat->places[i]);
	}
	if (icp_fault_happened() && icp_ranges_spoil(seat->ranges)) {
		say(gate, ICP_LEVEL_ERROR,
			"%s: file lost pages while it was in use; all addresses pass until it is "
			"replaced",
			gate->config->ranges.database);
	}
	if (icp_ranges_is_spoilt(seat->ranges)) {
		for (size_t i = 0; i < count; i++) {
			seat->places[i] = (icp_place_t){.address = seat->places[i].address};
		}
	}
	return any_gated(&gate->config->policy, seat->places, count);
}

int icp_gate_judge(icp_gate_t *gate, unsigned number, const icp_name_t *name,
	const icp_address_t *addresses, size_t address_count, int64_t now, icp_decision_t *decision)
{
	seat_t *seat = seat_take(gate, number, now);
	int ret = seat_reserve(seat, address_count);
	if (ret != ICP_EOK) {
		icp_gate_release(gate, number);
		return ret;
	}
	bool gated = seat_place(gate, seat, addresses, address_count);
	seat_judge(gate, seat, name, address_count, gated, now, decision);
	return ICP_EOK;
}

int icp_gate_judge_places(icp_gate_t *gate, unsigned number, const icp_name_t *name,
	const icp_place_t *places, size_t place_count, int64_t now, icp_decision_t *decision)
{
	seat_t *seat = seat_take(gate, number, now);
	int ret = seat_reserve(seat, place_count);
	if (ret != ICP_EOK) {
		icp_gate_release(gate, number);
		return ret;
	}
	memcpy(seat->places, places, place_count * sizeof *places);
	bool gated = any_gated(&gate->config->policy, places, place_count);
	seat_judge(gate, seat, name, place_count, gated, now, decision);
	return ICP_EOK;
}

icp_stamp_t icp_gate_stamp(icp_gate_t *gate, unsigned number, int64_t now)
{
	icp_stamp_t stamp = {.generation = 0};
	seat_t *seat = seat_take(gate, number, now);
	if (seat->reader.store != NULL && !icp_ranges_is_spoilt(seat->ranges) &&
		seat_begin(gate, seat) == ICP_EOK) {
		stamp = stamp_of(seat);
		icp_reader_end(&seat->reader);
	}
	if (icp_fault_happened()) {
		stamp.generation = 0;
	}
	icp_gate_release(gate, number);
	return stamp;
}

void icp_gate_release(icp_gate_t *gate, unsigned number)
{
	seat_t *seat = &gate->seats[number];
	if (seat->active) {
		icp_reader_end(&seat->reader);
		seat->active = false;
	}
	if (seat->guarded) {
		icp_fault_leave();
		seat->guarded = false;
	}
}

icp_reader_t *icp_gate_reader(icp_gate_t *gate, unsigned number, int64_t now, icp_diag_t *diag)
{
	icp_gate_release(gate, number);
	seat_t *seat = seat_take(gate, number, now);
	if (seat->reader.store == NULL) {
		pthread_mutex_lock(&gate->lock);
		*diag = gate->store != NULL ? gate->reader_trouble : gate->store_trouble;
		pthread_mutex_unlock(&gate->lock);
		return NULL;
	}
	int ret = seat_begin(gate, seat);
	if (ret != ICP_EOK) {
		icp_fail(diag, ret, "store %s: %s", gate->config->store, icp_strerror(ret));
		icp_gate_release(gate, number);
		return NULL;
	}
	seat->active = true;
	return &seat->reader;
}

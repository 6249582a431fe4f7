/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "core/fault.h"
#include "core/gate_private.h"

#define FIRST_PLACES 16   /*!< Addresses of an answer, nearly always. */
#define SLOTLESS_TRIES 16 /*!< Another commit has to come in between each time. */

static int seat_reserve(icp_seat_t *seat, size_t count)
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

/*! Finds the rows that count. \retval as icp_reader_begin and icp_reader_find, ICP_ENOSTORE */
static int seat_find(icp_gate_t *gate, icp_seat_t *seat, const icp_name_t *name)
{
	if (seat->reader.store == NULL) {
		return ICP_ENOSTORE;
	}
	int ret = icp_seat_begin(gate, seat);
	if (ret == ICP_EOK) {
		seat->active = true;
		ret = icp_reader_find(&seat->reader, name);
	}
	return ret;
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

static icp_stamp_t stamp_of(const icp_seat_t *seat)
{
	return (icp_stamp_t){
		.generation = seat->reader.info.generation,
		.commit = seat->reader.info.commit,
		.version = seat->version,
	};
}

/*!
 * Judges the places that the seat holds. ICP_EBUSY: without a slot, and there was a commit, or the
 * seat followed to other files; with any other code but ICP_EOK the store can't be read.
 */
static int judge_once(icp_gate_t *gate, icp_seat_t *seat, const icp_name_t *name, size_t count,
	bool gated, int64_t now, icp_decision_t *decision)
{
	*decision = (icp_decision_t){
		.places = seat->places,
		.rulings = seat->rulings,
		.stamp = {.version = seat->version},
	};
	unsigned version = seat->version;
	int ret = gated ? seat_find(gate, seat, name) : ICP_EOK;
	if (seat->version != version) {
		return ICP_EBUSY;
	}
	if (gated && ret == ICP_EOK) {
		decision->rows = seat->reader.rows.items;
		decision->row_count = seat->reader.rows.count;
		decision->stamp = stamp_of(seat);
		decision->info = &seat->reader.info;
	}
	decision->judgement = icp_verdict_judge(&gate->config->policy, name, seat->places, count,
		decision->rows, decision->row_count, now, seat->rulings);
	if (icp_fault_happened() && seat->reader.store != NULL) {
		icp_store_spoil(seat->reader.store);
		return ICP_EDAMAGED;
	}
	return seat->active && !icp_reader_holds(&seat->reader) ? ICP_EBUSY : ret;
}

/*! False: the seat followed to other files meanwhile, another range database perhaps among them,
 * and the places are void. */
static bool seat_judge(icp_gate_t *gate, icp_seat_t *seat, const icp_name_t *name, size_t count,
	bool gated, int64_t now, icp_decision_t *decision)
{
	int ret = ICP_EBUSY;
	for (unsigned i = 0; i < SLOTLESS_TRIES && ret == ICP_EBUSY; i++) {
		if (seat->active) {
			icp_reader_end(&seat->reader);
			seat->active = false;
		}
		unsigned version = seat->version;
		ret = judge_once(gate, seat, name, count, gated, now, decision);
		if (seat->version != version) {
			/* Of the files that were left, or it is found again. */
			(void)icp_fault_happened();
			return false;
		}
	}
	if (ret == ICP_EOK) {
		return true;
	}
	if (ret != ICP_ENOSTORE) {
		icp_gate_tell_damage(gate, ret);
	}
	*decision = (icp_decision_t){
		.places = seat->places,
		.rulings = seat->rulings,
		.stamp = {.version = seat->version},
	};
	decision->judgement = icp_verdict_judge(
		&gate->config->policy, name, seat->places, count, NULL, 0, now, seat->rulings);
	return true;
}

bool icp_gate_holds(icp_gate_t *gate, unsigned number)
{
	icp_seat_t *seat = &gate->seats[number];
	if (icp_fault_happened() && seat->reader.store != NULL) {
		icp_store_spoil(seat->reader.store);
		icp_gate_tell_damage(gate, ICP_EDAMAGED);
		return false;
	}
	return !seat->active || icp_reader_holds(&seat->reader);
}

/*! Finds the places of all addresses. True: at least one of them is gated. */
static bool seat_place(
	icp_gate_t *gate, icp_seat_t *seat, const icp_address_t *addresses, size_t count)
{
	if (seat->ranges == NULL) {
		for (size_t i = 0; i < count; i++) {
			seat->places[i] = (icp_place_t){.address = addresses[i]};
		}
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		icp_ranges_find(seat->ranges, &addresses[i], &seat->places[i]);
	}
	return any_gated(&gate->config->policy, seat->places, count);
}

/*! Takes a seat that has room for so many addresses; NULL: out of memory. */
static icp_seat_t *take_seat(icp_gate_t *gate, unsigned number, size_t count, int64_t now)
{
	icp_seat_t *seat = icp_seat_take(gate, number, now);
	if (seat_reserve(seat, count) != ICP_EOK) {
		icp_gate_release(gate, number);
		return NULL;
	}
	return seat;
}

static void judge_addresses(icp_gate_t *gate, icp_seat_t *seat, const icp_name_t *name,
	const icp_address_t *addresses, size_t count, int64_t now, icp_decision_t *decision)
{
	bool gated;
	do {
		gated = seat_place(gate, seat, addresses, count);
	} while (!seat_judge(gate, seat, name, count, gated, now, decision));
}

int icp_gate_judge(icp_gate_t *gate, unsigned number, const icp_name_t *name,
	const icp_address_t *addresses, size_t address_count, int64_t now, icp_decision_t *decision)
{
	icp_seat_t *seat = take_seat(gate, number, address_count, now);
	if (seat == NULL) {
		return ICP_ENOMEM;
	}
	judge_addresses(gate, seat, name, addresses, address_count, now, decision);
	return ICP_EOK;
}

int icp_gate_judge_places(icp_gate_t *gate, unsigned number, const icp_name_t *name,
	const icp_place_t *places, size_t place_count, int64_t now, icp_decision_t *decision)
{
	icp_seat_t *seat = take_seat(gate, number, place_count, now);
	if (seat == NULL) {
		return ICP_ENOMEM;
	}
	memcpy(seat->places, places, place_count * sizeof *places);
	bool gated = any_gated(&gate->config->policy, places, place_count);
	while (!seat_judge(gate, seat, name, place_count, gated, now, decision)) {
		/* These places are not of the range database. */
	}
	return ICP_EOK;
}

/*! What a judgement would rest on now. Takes a snapshot only if there was a commit. */
static icp_stamp_t current_stamp(icp_gate_t *gate, icp_seat_t *seat)
{
	icp_reader_t *reader = &seat->reader;
	if (reader->store == NULL) {
		return (icp_stamp_t){.version = seat->version};
	}
	if (!icp_reader_is_latest(reader)) {
		if (icp_seat_begin(gate, seat) != ICP_EOK) {
			return (icp_stamp_t){.version = seat->version};
		}
		icp_reader_end(reader);
	}
	return stamp_of(seat);
}

icp_stamp_t icp_gate_stamp(icp_gate_t *gate, unsigned number, int64_t now)
{
	icp_seat_t *seat = icp_seat_take(gate, number, now);
	icp_stamp_t stamp = current_stamp(gate, seat);
	if (icp_fault_happened()) {
		stamp.generation = 0;
	}
	icp_gate_release(gate, number);
	return stamp;
}

icp_memory_t *icp_gate_memory(icp_gate_t *gate, unsigned number)
{
	return gate->seats[number].memory;
}

/*! Takes a judgement out of the memory, if all that it rests on is as it was. */
static bool recall(icp_gate_t *gate, icp_seat_t *seat, icp_memory_key_t key, size_t count,
	icp_decision_t *decision)
{
	/* One that the store was not asked for rests on the range database alone. */
	icp_stamp_t stamp = {.version = seat->version};
	const icp_memory_item_t *item = icp_memory_find(seat->memory, key, &stamp);
	if (item == NULL) {
		stamp = current_stamp(gate, seat);
		if (stamp.generation == 0 || icp_fault_happened()) {
			return false;
		}
		item = icp_memory_find(seat->memory, key, &stamp);
	}
	if (item == NULL) {
		return false;
	}
	*decision = (icp_decision_t){
		.judgement = {.covering = item->covering, .until = INT64_MAX},
		.rulings = seat->rulings,
		.stamp = stamp,
	};
	for (size_t i = 0; i < count; i++) {
		seat->rulings[i] = icp_ruling_unpack(item->ruling);
	}
	icp_verdict_summarise(&gate->config->policy, seat->rulings, count, &decision->judgement);
	return true;
}

static void remember(
	icp_seat_t *seat, icp_memory_key_t key, const icp_decision_t *decision, size_t count)
{
	icp_memory_item_t item = {
		.ruling = icp_ruling_pack(&decision->rulings[0]),
		.covering = decision->judgement.covering,
	};
	if (decision->judgement.timed) {
		return;
	}
	for (size_t i = 0; i < count; i++) {
		/* What rests on a store that can't be read does not last. */
		if (decision->rulings[i].reason == ICP_REASON_NO_INDEX ||
			icp_ruling_pack(&decision->rulings[i]) != item.ruling) {
			return;
		}
	}
	icp_memory_put(seat->memory, key, &decision->stamp, &item);
}

int icp_gate_decide(icp_gate_t *gate, unsigned number, const icp_name_t *name,
	const icp_address_t *addresses, size_t address_count, int64_t now, icp_decision_t *decision)
{
	size_t length = address_count * sizeof *addresses;
	if (address_count == 0 || !icp_memory_takes(name, length)) {
		return icp_gate_judge(gate, number, name, addresses, address_count, now, decision);
	}
	icp_seat_t *seat = take_seat(gate, number, address_count, now);
	if (seat == NULL) {
		return ICP_ENOMEM;
	}
	icp_memory_key_t key = icp_memory_key(seat->memory, name, addresses, length);
	if (!recall(gate, seat, key, address_count, decision)) {
		/* Finding the places of the addresses takes as long as fetching a page. */
		icp_reader_expect(&seat->reader, name);
		judge_addresses(gate, seat, name, addresses, address_count, now, decision);
		remember(seat, key, decision, address_count);
	}
	return ICP_EOK;
}

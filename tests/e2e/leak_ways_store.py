# SPDX-License-Identifier: BSD-3-Clause
"""Ways that a store opens which is not what it was, and a range database that is replaced."""

import contextlib
import os
import random
import subprocess
import threading

from leak_checks import AFTER_LEASE, clock_to, expect_nodata, forbid, permit
from leak_ways_control import reload
from leak_world import Own
from leaks import way
from world import ABROAD, LOOK, RANGES, assert_blocked, assert_passed, ede

STORE = "store missing"
SEED = 20260118

MIX = {
    "cn": [
        *["cold A {secret:cold}", "cold AAAA {secret6}", "svc HTTPS 1 . ipv4hint={secret}"],
        *["ok A {secret:ok}", "far A {abroad}", "falls A {secret:falls}", "rises A {secret:rises}"],
    ],
    "filed": ["ok", "falls"],
}


def ask_for_all(probe, permitted=("ok", "falls"), blocked=("cold", "rises")):
    for name in permitted:
        probe.expect_real(name, addresses=[probe.address(name)])
    for name in blocked:
        probe.expect_blocked(name)
        probe.expect_blocked(name, cd=True)
    if "cold" in blocked:
        probe.expect_blocked("cold", "AAAA")
        expect_nodata(probe, "svc", reason="unfiled" if permitted else "no-index")
    probe.expect_real("far", addresses=[ABROAD])


def take_the_store_away(probe):
    """The generation in use stays; after a reload there is none."""
    store = probe.world.site.store
    hidden = store.with_name("hidden")
    ask_for_all(probe)
    store.rename(hidden)
    clock_to(probe, AFTER_LEASE)
    ask_for_all(probe)
    reload(probe)
    return hidden, store


def go_without_the_store(probe, permitted, blocked):
    """What is permitted and blocked while it is away, as on_no_index says; then it is back."""
    hidden, store = take_the_store_away(probe)
    if probe.has_module:
        for moment in (2, 3):
            clock_to(probe, moment * AFTER_LEASE)
            ask_for_all(probe, permitted, blocked)
    hidden.rename(store)
    clock_to(probe, 4 * AFTER_LEASE)
    # Leases that were granted without it are over as well.
    ask_for_all(probe)


@way(
    STORE,
    "missing; on_no_index: block",
    own=Own(clock=True, changes={"on_no_index": "block"}),
    **MIX,
)
def store_missing_block(probe):
    go_without_the_store(probe, (), ("cold", "rises", "ok", "falls"))


@way(
    STORE,
    "missing; on_no_index: pass",
    own=Own(clock=True, changes={"on_no_index": "pass"}),
    **MIX,
)
def store_missing_pass(probe):
    go_without_the_store(probe, ("cold", "rises", "ok", "falls"), ())


def make_current(probe, generation):
    """As an operator does it by hand."""
    store = probe.world.site.store
    link = store / "link"
    link.symlink_to(f"generations/{generation}")
    os.replace(link, store / "current")


def current(probe):
    return os.path.basename(os.readlink(probe.world.site.store / "current"))


@way(STORE, "replaced, and rolled back by hand", own=Own(clock=True), **MIX)
def store_rolled_back(probe):
    first = current(probe)
    ask_for_all(probe)
    forbid(probe, "falls")
    permit(probe, "rises")
    second = current(probe)
    assert second != first
    before, after = (("ok", "falls"), ("cold", "rises")), (("ok", "rises"), ("cold", "falls"))
    clock_to(probe, AFTER_LEASE)
    ask_for_all(probe, *after)
    if not probe.has_module:
        return
    for number, generation in enumerate((first, second, first, second), 2):
        make_current(probe, generation)
        clock_to(probe, number * AFTER_LEASE)
        for _ in range(2):
            ask_for_all(probe, *(before if generation == first else after))


def buckets_of(generation):
    """The values that hold the rows, as they stand in the file."""
    command = ["mdb_dump", "-n", "-s", "buckets", generation]
    done = subprocess.run(command, capture_output=True, encoding="ascii", check=True)
    data = done.stdout.split("HEADER=END\n")[1].split("DATA=END")[0].split()
    return [bytes.fromhex(value) for value in data[1::2]]


def damages(content, buckets):
    """Contents of the file, each with another damage in its buckets."""
    numbers = random.Random(SEED)
    assert buckets
    for kind in ("zeros", "ones", "noise", "half", "bits"):
        damaged = bytearray(content)
        for bucket in buckets:
            at = content.index(bucket)
            size = len(bucket)
            if kind == "half":
                at, size = at + size // 2, size - size // 2
            if kind == "bits":
                for _ in range(8):
                    damaged[at + numbers.randrange(size)] ^= 1 << numbers.randrange(8)
            else:
                fill = {"zeros": bytes(size), "ones": b"\xff" * size}
                damaged[at : at + size] = fill.get(kind) or numbers.randbytes(size)
        yield bytes(damaged)


@way(STORE, "damaged", own=Own(clock=True, changes={"on_no_index": "block"}), **MIX)
def store_damaged(probe):
    whole = current(probe)
    generations = probe.world.site.store / "generations"
    content = (generations / whole).read_bytes()
    ask_for_all(probe)
    moment = 0
    for number, damaged in enumerate(damages(content, buckets_of(generations / whole))):
        name = f"{900 + number:010}.mdb"
        (generations / name).write_bytes(damaged)
        make_current(probe, name)
        moment += AFTER_LEASE
        clock_to(probe, moment)
        for _ in range(2):
            for blocked in ("cold", "rises"):
                probe.expect_blocked(blocked)
            probe.expect_real("far", addresses=[ABROAD])
            for filed in ("ok", "falls"):
                response = probe.ask(filed, allowed=[probe.address(filed)])
                if ede(response):
                    assert_blocked(response, probe.way.full_name(filed).rstrip("."))
                else:
                    assert_passed(response, [probe.address(filed)])
    make_current(probe, whole)
    clock_to(probe, moment + AFTER_LEASE)
    ask_for_all(probe)


@contextlib.contextmanager
def at_work(function):
    """Runs a function again and again in another thread; it is given no more turns at the end."""
    ended = threading.Event()
    rounds, errors = [], []

    def run():
        try:
            while not ended.is_set():
                function()
                rounds.append(1)
        except Exception as error:  # noqa: BLE001 # told by the assertion below
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield rounds
    finally:
        ended.set()
        thread.join()
    assert not errors, errors


@way(STORE, "being written", own=Own(changes={"lease": 2}), **MIX)
def store_being_written(probe):
    ask_for_all(probe)
    with at_work(probe.world.site.load) as rounds:
        asked = 0
        while len(rounds) < 5 or asked < 10:
            ask_for_all(probe)
            asked += 1
    ask_for_all(probe)


@way(
    STORE,
    "range database replaced",
    cn=["moves A {abroad}", "stays A 198.18.7.7", "okmoves A {abroad}", "cold A {secret}"],
    filed=["okmoves"],
    secrets={"moves": ABROAD, "stays": "198.18.7.7"},
    own=Own(clock=True),
)
def ranges_replaced(probe):
    """Addresses that were not gated become so: from then on they are secrets."""
    site = probe.world.site

    def put(entries):
        fresh = site.commands.compile_ranges(site.directory, entries, "fresh")
        os.rename(fresh, site.ranges)

    ours = [entry for entry in RANGES if entry[0] != "198.18.0.0/15"]
    ours.append(("198.18.0.0/15", "CN", "qcloud"))
    moves, stays = [ABROAD], ["198.18.7.7"]
    for moment in (0, 2, 4):
        clock_to(probe, moment * AFTER_LEASE)
        probe.expect_real("moves", addresses=moves)
        probe.expect_real("stays", addresses=stays)
        probe.expect_real("okmoves", addresses=moves)
        probe.expect_blocked("cold")
        put(ours)
        clock_to(probe, (moment + 1) * AFTER_LEASE)
        for _ in range(2):
            for name in ("moves", "stays", "cold"):
                probe.expect_blocked(name)
            probe.expect_real("okmoves", addresses=moves)
        site.ranges.with_name("broken").write_bytes(site.ranges.read_bytes()[:-8])
        os.rename(site.ranges.with_name("broken"), site.ranges)
        clock_to(probe, (moment + 1) * AFTER_LEASE + LOOK)
        probe.expect_blocked("moves")
        put(RANGES)

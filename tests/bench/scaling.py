# SPDX-License-Identifier: BSD-3-Clause
"""How it scales: with worker threads, and with the size of the index."""

import statistics
import struct
import subprocess
import time
from contextlib import ExitStack
from pathlib import Path

from daemons import Unbound
from data import World
from measure import PEER_SECONDS, Bench, compare, one_pair, row
from measure_store import judgements, store_size

THREAD_KINDS = ("mix", "unfiled")
RPZ_SIZES = (100_000, 1_000_000, 5_000_000)
SLOT = 64  # Octets of a thread's counts; see lock_shim.c.


class Locks:
    """Counts of lock_shim.c in one daemon."""

    def __init__(self, library, path):
        self.path = path
        self.environment = {"LD_PRELOAD": str(library), "ICP_LOCK_COUNTS": str(path)}

    @staticmethod
    def build(directory):
        library = directory / "lock_shim.so"
        source = Path(__file__).with_name("lock_shim.c")
        options = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O2"]
        options += ["-shared", "-fPIC", "-o", library, source]
        subprocess.run(["cc", *options], check=True)
        return library

    def read(self):
        """(taken, contended), of all threads."""
        content = self.path.read_bytes()
        slots = [struct.unpack_from("=QQ", content, at) for at in range(0, len(content), SLOT)]
        return [sum(column) for column in zip(*slots)]


def counted(bench, daemon, locks, kind, seconds):
    """A turn; its counts, each for a million answers."""
    before, switches = locks.read(), daemon.voluntary_switches
    done = bench.load.run(daemon.port, kind, "-l", str(seconds))
    after = locks.read()
    million = done["answers"] / 1e6
    return {
        "rate": done["rate"],
        "taken": (after[0] - before[0]) / million,
        "contended": (after[1] - before[1]) / million,
        "switches": (daemon.voluntary_switches - switches) / million,
    }


def threads(world, options):
    """1 and 2 worker threads: answers a second, and locks that had to be waited for, with the gate
    and without it. With two, all three processes share two cores: the ratio counts, not the rate."""
    rows = []
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        library = Locks.build(bench.work)
        for count in (1, 2):
            arguments = {"threads": count, "cores": "0" if count == 1 else "0,1"}
            with ExitStack() as inner:
                daemons, locks = [], []
                for make in (bench.plain, bench.gate):
                    one = Locks(library, bench.directory() / "locks")
                    daemon = bench.up(inner, make(environment=one.environment, **arguments))
                    bench.warm(daemon, ("mix",))
                    daemons.append(daemon)
                    locks.append(one)
                for kind in THREAD_KINDS:
                    rows.append(thread_row(bench, daemons, locks, kind, count, options))
    return rows


def thread_row(bench, daemons, locks, kind, count, options):
    turns = ([], [])
    for _ in range(options.pairs):
        for which in (0, 1):
            turns[which].append(
                counted(bench, daemons[which], locks[which], kind, options.seconds)
            )
    plain, gate = (
        {key: statistics.median(turn[key] for turn in of) for key in of[0]} for of in turns
    )
    note = (
        f"of {gate['taken'] / 1e6:.1f} taken for an answer; without the gate "
        f"{plain['contended']:,.0f} of {plain['taken'] / 1e6:.1f}; waits in the kernel "
        f"{gate['switches']:,.0f}, without {plain['switches']:,.0f}; rate "
        f"{gate['rate'] / plain['rate']:.3f} of that without"
    )
    title = f"{kind}, {count} thread{'s' if count > 1 else ''}: locks waited for in 1M answers"
    return {
        **row(f"threads-{count}-{kind}", title, gate["contended"], "", note=note),
        "details": {"plain": plain, "gate": gate},
    }


def sizes(world, options):
    """Time of a judgement, memory and store over the size of the index, and an RPZ's beside it."""
    rows = []
    for count in options.sizes:
        rows += gate_size(World(world.directory, world.build, count), options)
    for count in options.rpz_sizes:
        rows += rpz_size(World(world.directory, world.build, count), options)
    return rows


def gate_size(world, options):
    found = judgements(world, options.judges)
    options.say(f"{world.count:,} names: {found['filed']['ns']:.0f} ns, {found['zipf']['ns']:.0f} ns")
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        plain = bench.up(stack, bench.plain())
        gate = bench.up(stack, bench.gate())
        for daemon in (plain, gate):
            bench.warm(daemon, ("mix",))
        private, mapped = gate.memory((world.store, world.ranges.path))
        more = private - plain.memory()[0]
        pairs = [
            one_pair(bench.load, plain, gate, "unfiled", options.seconds, number % 2)
            for number in range(options.pairs)
        ]
    details = {
        "names": world.count,
        "uniform_ns": found["filed"]["ns"],
        "zipf_ns": found["zipf"]["ns"],
        "store": store_size(world.store),
        "private": more,
        "mapped": mapped,
        "added_cpu_us": compare(pairs)["added_cpu_us"],
    }
    note = (
        f"Zipf {details['zipf_ns']:.0f} ns; in Unbound, CPU time more for an unfiled answer "
        f"{details['added_cpu_us'] * 1e3:,.0f} ns; store {details['store'] / 1e6:.0f} MB, "
        f"private memory {more / (1 << 20):.1f} MiB more than without"
    )
    title = f"{world.count:,} names: one judgement, uniform"
    return [
        {
            **row(f"size-gate-{world.count}", title, found["filed"]["ns"], "ns", note=note),
            "details": details,
        }
    ]


def rpz_size(world, options):
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        plain = bench.up(stack, bench.plain())
        begin = time.monotonic()
        rpz = Unbound(bench.directory(), bench.upstream, rpz=world.need_rpz())
        bench.up(stack, rpz, PEER_SECONDS)
        rpz.policy_within(PEER_SECONDS, bench.queries["unfiled"][0])
        start = time.monotonic() - begin
        for daemon in (plain, rpz):
            bench.warm(daemon, ("mix",))
        more = rpz.memory()[0] - plain.memory()[0]
        pairs = [
            one_pair(bench.load, plain, rpz, "unfiled", options.seconds, number % 2)
            for number in range(options.pairs)
        ]
    found = compare(pairs)
    options.say(f"{world.count:,} names, RPZ: {found['added_cpu_us']:.2f} us an answer")
    details = {
        "names": world.count,
        "added_cpu_us": found["added_cpu_us"],
        "private": more,
        "start": start,
    }
    title = f"{world.count:,} names: Unbound RPZ, CPU time more for an unfiled answer"
    note = f"private memory {more / 1e6:,.0f} MB more than without; start {start:.1f} s"
    return [
        {
            **row(f"size-rpz-{world.count}", title, found["added_cpu_us"] * 1e3, "ns", note=note),
            "details": details,
        }
    ]

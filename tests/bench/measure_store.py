# SPDX-License-Identifier: BSD-3-Clause
"""What loading costs, and one judgement."""

import json
import os
import shutil
import statistics
import subprocess
import time

from daemons import DAEMON_CORES, pinned
from data import World
from measure import row

DELTAS = 50
MIB = 1 << 20


def timed(command):
    """Runs a command on one core; (seconds, seconds of CPU, most octets resident)."""
    begin = time.monotonic()
    process = subprocess.Popen(pinned(DAEMON_CORES, command), stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit(f"bench: exit {process.returncode}: {' '.join(map(str, command))}")
    cpu = usage.ru_utime + usage.ru_stime
    return time.monotonic() - begin, cpu, usage.ru_maxrss * 1024


def store_size(store):
    """Octets in use of the current generation: an environment's file may have holes."""
    stat = (store / "current").stat()
    return min(stat.st_size, stat.st_blocks * 512)


def median_of(runs):
    return [statistics.median(column) for column in zip(*runs)]


def empty(world):
    shutil.rmtree(world.store, ignore_errors=True)


def load_twice(world, times):
    """Loads into an empty store, and the next feed over it; [runs of the first], [of the second]."""
    first, second = [], []
    feeds = world.feed(1), world.feed(2)
    for _ in range(times):
        empty(world)
        first.append(timed(world.loader("full", feeds[0])))
        second.append(timed(world.loader("full", feeds[1])))
    return first, second


def full_row(key, what, world, runs):
    seconds, cpu, peak = median_of(runs)
    note = (
        f"CPU {cpu:.1f} s; {world.count / seconds:,.0f} rows/s; median of {len(runs)}, "
        f"{min(run[0] for run in runs):.1f} to {max(run[0] for run in runs):.1f} s"
    )
    return [
        row(f"{key}-time", f"{what}, time", seconds, "s", ("<=", 8), note),
        row(f"{key}-memory", f"{what}, memory", peak / MIB, "MiB", ("<=", 1024)),
    ]


def load(world, options):
    """icpgate-load full, twice, and deltas of one row; the store that it leaves is kept."""
    first, second = load_twice(world, options.loads)
    empty(world)
    subprocess.run(world.loader("full", world.feed()), check=True, stdout=subprocess.DEVNULL)
    size = store_size(world.store)
    rows = full_row("full", "icpgate-load full into an empty store", world, first)
    rows += full_row("second", "the next feed, with guard and audit", world, second)
    note = f"{size / world.count:.1f} octets a row"
    rows.append(row("store-size", "store size", size / 1e6, "MB", ("<=", 400), note))
    deltas = []
    for sequence in range(2, 2 + DELTAS):
        feed = world.delta(sequence)
        deltas.append(timed(world.loader("delta", feed))[0])
    milliseconds = sorted(each * 1e3 for each in deltas)
    note = f"median of {DELTAS}, {milliseconds[0]:.1f} to {milliseconds[-1]:.1f} ms, whole command"
    figure = statistics.median(milliseconds)
    rows.append(row("delta", "icpgate-load delta, one row, durable", figure, "ms", ("<=", 20), note))
    return rows


FACTORS = (1, 2, 4)


def load_sizes(world, times, say):
    """Loads feeds of several times the size in turns; {factor: (store's size, [runs])}. The store of each
    is kept for the part `sizes`."""
    worlds = {factor: World(world.directory, world.build, world.count * factor) for factor in FACTORS}
    runs = {factor: [] for factor in FACTORS}
    for turn in range(times):
        for factor in sorted(FACTORS, reverse=turn % 2 == 1):
            sized = worlds[factor]
            empty(sized)
            runs[factor].append(timed(sized.loader("full", sized.feed())))
            say(f"{sized.count:,} rows: {runs[factor][-1][0]:.1f} s")
    return {factor: (store_size(worlds[factor].store), runs[factor]) for factor in FACTORS}


def feeds(world, options):
    """Feeds of 1, 2, 4 times the size: medians of the ratios of each turn."""
    found = load_sizes(world, options.loads, options.say)
    rows = []
    for big in FACTORS[1:]:
        (small_size, small), (big_size, large) = found[big // 2], found[big]
        ratios = [[b[at] / s[at] for s, b in zip(small, large)] for at in (0, 1)]
        seconds = [median_of(each)[0] for each in (large, small)]
        what = f"feed of {big} times the size against {big // 2}"
        note = (
            f"{min(ratios[0]):.3f} to {max(ratios[0]):.3f}; {seconds[0]:.1f} s against {seconds[1]:.1f} s; "
            f"by CPU time {statistics.median(ratios[1]):.3f}; {len(small)} turns"
        )
        ratio = statistics.median(ratios[0])
        rows.append(row(f"feed-{big}-time", f"{what}, time", ratio, "ratio", ("<=", 2.1), note))
        note = f"{big_size / 1e6:.0f} MB against {small_size / 1e6:.0f} MB"
        size = big_size / small_size
        rows.append(row(f"feed-{big}-size", f"{what}, size", size, "ratio", ("<=", 2.1), note))
    peak = median_of(found[FACTORS[-1]][1])[2]
    rows.append(row("feed-4-memory", "feed of 4 times the size, memory", peak / MIB, "MiB"))
    return rows


KINDS = [
    ("filed", "one judgement, uniform over all names", 500),
    ("zipf", "one judgement, Zipf's law over all names", 80),
    ("unfiled", "one judgement of an unfiled name", None),
    ("any_address", "one judgement, any address (most are not gated)", None),
    ("index", "one judgement without the range lookup, uniform", None),
]


def judgements(world, times):
    """{kind: ns} of icpgate bench: the medians of several runs, each a median of rounds."""
    world.need_store()
    command = [world.build / "db-tools" / "icpgate", "-c", world.conf, "--json", "bench"]
    runs = []
    for _ in range(times):
        done = subprocess.run(
            pinned(DAEMON_CORES, command), check=True, capture_output=True, encoding="utf-8"
        )
        runs.append(json.loads(done.stdout))
    return {
        kind: {
            "ns": statistics.median(run[kind]["ns_per_decision"] for run in runs),
            "lowest": min(run[kind]["ns_lowest"] for run in runs),
            "highest": max(run[kind]["ns_per_decision"] for run in runs),
        }
        for kind, _, _ in KINDS
    }


def judge(world, options):
    """One judgement, name and address, in a process of its own."""
    found = judgements(world, options.judges)
    rows = []
    for kind, title, target in KINDS:
        one = found[kind]
        note = f"{one['lowest']:.0f} to {one['highest']:.0f} ns; {1e9 / one['ns']:,.0f} a second"
        limit = ("<=", target) if target else None
        rows.append(row(f"judge-{kind}", title, one["ns"], "ns", limit, note))
    return rows

# SPDX-License-Identifier: BSD-3-Clause
"""What the resolvers are measured for: answers a second, time to start, memory.

Two daemons that are compared take turns of a few seconds, in the order A B B A, while the other one
idles, so that a slow spell of the machine meets both. A ratio is the median of the pairs' ratios.
"""

import random
import shutil
import socket
import statistics
import time
from contextlib import ExitStack, contextmanager

from daemons import Bind, Dnsperf, Recursor, Unbound, Upstream
from data import SEED

KINDS = {
    "mix": "mix of 70% foreign, 20% filed, 10% unfiled names",
    "unfiled": "only unfiled names",
    "filed": "only filed names",
    "more-unfiled": "54,000 other unfiled names",
}
TARGETS = {"mix": 0.99, "unfiled": 1.0, "filed": 0.99}
# What passes is judged anew once in a lease of 30 seconds. Turns with such names are a little shorter,
# so that this happens once in each of them.
LEASED, LEASED_SECONDS = ("mix", "filed"), 28
PEER_SECONDS = 600  # To load its RPZ.
# So that the first answers of all have been given, and prove that the policy is in force.
CHECKED = 50
GIVES_UP = (
    "an RPZ can't say: other providers' filings, dates, licences, mixed answers, HTTPS and SVCB, "
    "reasons; its changes are zone transfers"
)


def row(key, what, figure, unit, target=None, note=""):
    """A line of the table. target: ("<=" or ">=", number)."""
    return {
        "key": key,
        "what": what,
        "figure": figure,
        "unit": unit,
        "target": target,
        "note": note,
    }


class Bench:
    """The queries, the name server and the load for one size of the index."""

    def __init__(self, stack, world, options):
        self.stack = stack
        self.world = world
        self.options = options
        self.work = world.directory / "run"
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir()
        self.count = 0
        queries = world.queries()
        mix = queries["foreign"] + queries["filed"] + queries["unfiled"]
        random.Random(SEED).shuffle(mix)
        self.queries = {"mix": mix, **queries}
        self.load = Dnsperf(self.work, {kind: self.queries[kind] for kind in KINDS})
        self.upstream = self.up(stack, Upstream(self.directory(), world.need_zone(queries)))

    def directory(self):
        self.count += 1
        directory = self.work / str(self.count)
        directory.mkdir()
        return directory

    @staticmethod
    def up(stack, daemon, seconds=60):
        stack.callback(daemon.stop)
        daemon.ready_within(seconds)
        return daemon

    def plain(self, **arguments):
        return Unbound(self.directory(), self.upstream, **arguments)

    def gate(self, **arguments):
        self.world.need_store()
        module = self.world.build / "module" / ".libs" / "icpgate.so"
        conf = self.world.conf
        return self.plain(module=module, icpgate_conf=conf, **arguments)

    def warm(self, daemon, kinds):
        """Every name is asked once, and some answers are looked at."""
        for kind in kinds:
            self.load.run(daemon.port, kind, "-n", "1")

    def wrong(self, daemon, has_policy):
        """The kinds of names for which answers are not what the policy wants; without one, not the
        real addresses."""
        lots = random.Random(SEED)
        found = []
        for kind in ("foreign", "filed", "unfiled"):
            for name, address, wanted in lots.sample(self.queries[kind], CHECKED):
                if daemon.ask(name) != [wanted if has_policy else address]:
                    found.append(kind)
                    break
        return found


class Turns:
    """Sums of what one daemon did in its turns."""

    def __init__(self, load, daemon):
        self.load = load
        self.daemon = daemon
        self.answers = self.lost = self.seconds = self.cpu = 0

    def take(self, kind, seconds):
        before = self.daemon.cpu_seconds
        done = self.load.run(self.daemon.port, kind, "-l", str(seconds))
        self.cpu += self.daemon.cpu_seconds - before
        self.answers += done["answers"]
        self.lost += done["lost"]
        self.seconds += done["seconds"]

    def sums(self):
        return {
            "rate": self.answers / self.seconds,
            "cpu_us": self.cpu / self.answers * 1e6,
            "busy": self.cpu / self.seconds,
            "lost": self.lost,
        }


def one_pair(load, plain, other, kind, seconds, flip):
    """A B B A, or B A A B; the sums of both."""
    turns = {daemon: Turns(load, daemon) for daemon in (plain, other)}
    first, second = (other, plain) if flip else (plain, other)
    for daemon in (first, second, second, first):
        turns[daemon].take(kind, seconds)
    return turns[plain].sums(), turns[other].sums()


def middle(pairs, pick):
    return statistics.median(pick(pair) for pair in pairs)


def compare(pairs):
    """From [(plain, other)] to the medians."""
    ratios = [other["rate"] / plain["rate"] for plain, other in pairs]
    return {
        "ratio": statistics.median(ratios),
        "lowest": min(ratios),
        "highest": max(ratios),
        "pairs": len(pairs),
        "cpu_ratio": middle(pairs, lambda p: p[0]["cpu_us"] / p[1]["cpu_us"]),
        "added_cpu_us": middle(pairs, lambda p: p[1]["cpu_us"] - p[0]["cpu_us"]),
        "plain_rate": middle(pairs, lambda p: p[0]["rate"]),
        "rate": middle(pairs, lambda p: p[1]["rate"]),
        "busy": middle(pairs, lambda p: min(p[0]["busy"], p[1]["busy"])),
        "lost": sum(p[0]["lost"] + p[1]["lost"] for p in pairs),
    }


def ratio_row(key, what, found, target=None, note=""):
    text = (
        f"{found['lowest']:.3f} to {found['highest']:.3f}; {found['rate']:,.0f} a second, "
        f"without {found['plain_rate']:,.0f}; by CPU time {found['cpu_ratio']:.3f}"
    )
    if found["busy"] < 0.95:
        text += f"; daemon busy {found['busy']:.0%} only"
    limit = (">=", target) if target else None
    return {
        **row(key, what, found["ratio"], "ratio", limit, f"{text}{note}"),
        "details": found,
    }


def daemon(world, options):
    """Answers a second: the gate against the same Unbound without it, both new for each pair."""
    pairs = {kind: [] for kind in KINDS}
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        for number in range(options.pairs):
            with ExitStack() as pair:
                plain = bench.up(pair, bench.plain())
                gate = bench.up(pair, bench.gate())
                for each, has_policy in ((plain, False), (gate, True)):
                    bench.warm(each, ("mix", "more-unfiled"))
                    wrong = bench.wrong(each, has_policy)
                    if wrong:
                        raise AssertionError(f"{each.log_path}: wrong answers for {wrong} names")
                for kind in KINDS:
                    seconds = LEASED_SECONDS if kind in LEASED else options.seconds
                    pairs[kind].append(
                        one_pair(bench.load, plain, gate, kind, seconds, number % 2)
                    )
            options.say(f"pair {number + 1} of {options.pairs}")
    rows = []
    for kind, title in KINDS.items():
        target = TARGETS.get(kind)
        rows.append(ratio_row(f"daemon-{kind}", title, compare(pairs[kind]), target))
    return rows


def peer_rows(bench, options, make):
    """One engine with the RPZ against itself without; each is started once, for all pairs."""
    kinds = [kind for kind in KINDS if kind in TARGETS]
    pairs = {kind: [] for kind in kinds}
    with ExitStack() as stack:
        plain = bench.up(stack, make(bench.directory(), bench.upstream))
        begin = time.monotonic()
        rpz = make(bench.directory(), bench.upstream, rpz=bench.world.need_rpz())
        bench.up(stack, rpz, PEER_SECONDS)
        rpz.policy_within(PEER_SECONDS, bench.queries["unfiled"][0])
        start = time.monotonic() - begin
        options.say(f"{plain.kind} with RPZ started in {start:.1f} s")
        for each in (plain, rpz):
            bench.warm(each, ("mix",))
        wrong = bench.wrong(rpz, True)
        memory = rpz.memory()[0] - plain.memory()[0]
        for number in range(options.pairs):
            for kind in kinds:
                pairs[kind].append(
                    one_pair(bench.load, plain, rpz, kind, options.seconds, number % 2)
                )
    name = f"{plain.kind} RPZ"
    key = f"peer-{plain.kind.split()[0].lower()}"
    size = f"{bench.world.count:,} names"
    rows = [
        ratio_row(f"{key}-{kind}", f"{name}, {kind}", compare(pairs[kind]), note=f"; {size}")
        for kind in kinds
    ]
    if wrong:
        # Unbound 1.17.1: worker.c looks at cached answers' addresses without asking whether the
        # name was passed through.
        rows[0]["note"] += f"; cached answers for {' and '.join(wrong)} names are not the policy's"
    rows.append(row(f"{key}-start", f"{name}, start", start, "s", note=size))
    rows.append(row(f"{key}-memory", f"{name}, memory more", memory / 1e6, "MB", note=size))
    return rows


def peers(world, options):
    """The engines that an operator would take instead, with the same policy as an RPZ."""
    rows = []
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        for make in (Unbound, Bind, Recursor):
            if make.kind.split()[0].lower() in options.peers:
                rows += peer_rows(bench, options, make)
    if rows:
        rows[0]["note"] += f"; {GIVES_UP}"
    return rows


def first_answer(daemon):
    """Seconds from now until the daemon answers; asks every millisecond."""
    query = b"\0\1\1\0\0\1\0\0\0\0\0\0\x09localhost\0\0\1\0\1"
    begin = time.monotonic()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        asker.connect((daemon.address, daemon.port))
        asker.settimeout(0.001)
        while time.monotonic() - begin < 30:
            try:
                asker.send(query)
                if asker.recv(512):
                    return time.monotonic() - begin
            except (TimeoutError, ConnectionRefusedError):
                # Refused at once: as long as nobody listens.
                time.sleep(0.0005)
    raise AssertionError(f"{daemon.name} does not answer:\n{daemon.log[-2000:]}")


@contextmanager
def started(make):
    """A new daemon and the seconds that its start took."""
    begin = time.monotonic()
    daemon = make()
    try:
        first_answer(daemon)
        yield daemon, time.monotonic() - begin
    finally:
        daemon.stop()


def start(world, options):
    """Time to the first answer and private memory, with one thread and with two."""
    rows = []
    with ExitStack() as stack:
        bench = Bench(stack, world, options)
        world.need_store()
        shared = (world.store, world.ranges.path)
        for threads in (1, 2):
            seconds = {"plain": [], "gate": []}
            memory = {"plain": [], "gate": []}
            files = []
            for number in range(options.starts):
                for what in ("plain", "gate") if number % 2 else ("gate", "plain"):
                    make = getattr(bench, what)
                    cores = "0" if threads == 1 else "0,1"
                    with started(lambda: make(threads=threads, cores=cores)) as (daemon, took):
                        seconds[what].append(took)
                        if number < 3:
                            bench.warm(daemon, ("mix",))
                            private, mapped = daemon.memory(shared)
                            memory[what].append(private)
                            if what == "gate":
                                files.append(mapped)
            rows += start_rows(threads, seconds, memory, files)
    return rows


def start_rows(threads, seconds, memory, files):
    more = (statistics.median(seconds["gate"]) - statistics.median(seconds["plain"])) * 1e3
    private = statistics.median(memory["gate"]) - statistics.median(memory["plain"])
    what = f"{threads} thread{'s' if threads > 1 else ''}"
    mapped = statistics.median(files)
    return [
        row(
            f"start-{threads}",
            f"start of the daemon, more than without, {what}",
            more,
            "ms",
            ("<=", 50),
            f"without {statistics.median(seconds['plain']) * 1e3:.0f} ms; "
            f"median of {len(seconds['gate'])}",
        ),
        row(
            f"memory-{threads}",
            f"private memory, more than without, {what}",
            private / (1 << 20),
            "MiB",
            ("<=", 8) if threads == 1 else None,
            f"without {statistics.median(memory['plain']) / (1 << 20):.1f} MiB, 60,000 names cached; "
            f"beside it {mapped / (1 << 20):.0f} MiB of the files' page cache are mapped",
        ),
    ]

# SPDX-License-Identifier: BSD-3-Clause
"""Feeds of every kind are dropped into icpgated's spool under a resolver that is asked all the time: whole,
out of order, late, half-written, cut, wrong, and a huge one; the daemon, its loading child, or both are
killed (-9) at random meanwhile. Whatever the moment:

- each query is answered, and by a state of the filing database that was published: what is half-written
  is never seen, what is committed is seen within its bound, and never again what was before it
- in the end all that was dropped is in done/ or rejected/, and the last state is served

ICP_STORM  full: hundreds of kills, and 5 million rows (make soak)
"""

import itertools
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress

import pytest

from asker import Rounds
from commands import COLUMNS
from feeds import Row, apply, permits
from gate_daemon import filed as filed_by
from harness import wait_until
from site_daemon import SiteDaemon
from storm_world import FLIPPING, StormWorld, first_state
from world import BLOCK4, OURS

SEED = int(os.environ.get("ICP_SEED", "20261125"))
SLOW = bool(os.environ.get("ICP_PRELOAD"))
LONG = os.environ.get("ICP_STORM") == "full"
# AGE: seconds within which the loader of a huge feed is killed.
KILLS, HUGE, AGE = (6, [50_000], 0.25) if SLOW else (15, [200_000], 0.25)
if LONG:
    # Rows of the huge feed of each cycle.
    KILLS, HUGE, AGE = 20, [5_000_000] + 19 * [200_000], 5
SETTLE_SECONDS = 600 if LONG else 120
# Crashes of its loader that a feed bears in the life of a daemon: one less than those that reject it.
CRASHES = 4


class Growth(threading.Thread):
    """Files that are being written. They change all the time, however long this takes on a busy machine: one
    that does not change for seconds is what it is, and wrong. A delta that the store has by a full feed goes
    without being read."""

    def __init__(self):
        super().__init__(daemon=True)
        self.files = set()
        self.lock = threading.Lock()
        self.stopping = threading.Event()
        self.start()

    def run(self):
        while not self.stopping.wait(0.3):
            with self.lock:
                for file in self.files:
                    with suppress(FileNotFoundError):
                        os.utime(file)

    def begin(self, file):
        with self.lock:
            self.files.add(file)

    def end(self, file, octets):
        with self.lock:
            self.files.remove(file)
        with suppress(FileNotFoundError), open(file, "r+b") as open_file:
            open_file.seek(0, os.SEEK_END)
            open_file.write(octets)

    def stop(self):
        self.stopping.set()
        self.join()


class DaemonStorm(StormWorld):
    """The daemon, what was dropped, and what must come of it."""

    def __init__(self, stack, directory, commands, module):
        super().__init__(stack, directory, commands, random.Random(SEED))
        self.daemon = SiteDaemon(self.site)
        stack.callback(self.daemon.close)
        self.growth = Growth()
        stack.callback(self.growth.stop)
        self.counts = Counter()
        self.state = first_state()
        self.sequence = 1
        # Names of feeds; full ones with their sequences; what is only begun, as functions that end it.
        self.good, self.bad, self.fulls, self.held, self.begun = [], [], {}, [], []
        self.crashes = 0
        self.huge = None
        self.daemon.start()
        self.daemon.ends_in("done", self.daemon.full(self.state, 1, "first.csv"))
        self.good.append("first.csv")
        self.resolve(module, self.state, time.time())

    # Feeds.

    def change(self):
        """The filing database goes on by a sequence; returns by which operations."""
        now = time.time()
        before = self.permitted(now)
        operations = list(self.operations(self.state, now))
        self.state = apply(self.state, operations)
        self.sequence += 1
        for domain, permitted in self.permitted(now).items():
            if permitted != before[domain]:
                self.history.flip(self.sequence, domain, permitted)
        return operations

    def permitted(self, now):
        return {domain: permits(self.state.get((domain, "qcloud")), now) for domain in FLIPPING}

    def make_delta(self):
        operations = self.change()
        path = self.daemon.feeds.delta(operations, self.sequence, f"delta{self.sequence}.csv")
        self.good.append(path.name)
        return path, self.sequence

    def make_full(self, more=0):
        """Half of them with a change that no delta tells of.

        more: rows that permit nothing
        """
        if self.random.random() < 0.5:
            self.change()
        name = f"full{len(self.good)}.csv"
        filler = (Row(f"filler{n}.cn", "qcloud", "pending", "") for n in range(more))
        path = self.daemon.feeds.write(
            "full", self.sequence, COLUMNS, itertools.chain(self.state.values(), filler), name)
        self.good.append(name)
        self.fulls[name] = self.sequence
        return path, self.sequence

    def make_bad(self):
        """Each is wrong for good: rows, octets that are missing, a manifest that ends early."""
        name = f"bad{len(self.bad)}.csv"
        path = self.daemon.feeds.full({1: filed_by("com")} | self.state, 10**6, name)
        manifest = path.with_name(name + ".json")
        kind = len(self.bad) % 3
        if kind:
            self.daemon.feeds.full(self.state | {1: filed_by("flip1.cn")}, 10**6, name)
            cut = path if kind == 1 else manifest
            octets = cut.read_bytes()
            cut.write_bytes(octets[: len(octets) * 2 // 3])
        self.bad.append(name)
        return path

    # Ways into the spool.

    def drop_whole(self, path, sequence):
        self.history.drop(sequence)
        self.daemon.drop(path)

    def drop_one_late(self, path, sequence):
        """A feed without its manifest, or the other way round, until the next call."""
        both = [path, path.with_name(path.name + ".json")]
        self.random.shuffle(both)
        self.daemon.move(both[0])
        self.begun.append(lambda: (self.history.drop(sequence), self.daemon.move(both[1])))

    def drop_growing(self, path, sequence, feed_grows=False):
        """Both are there, and one of them grows."""
        both = [path, path.with_name(path.name + ".json")]
        # A full feed that was refused waits, and is refused for good when another one overtakes it.
        whole, grows = both if path.name in self.fulls else self.random.sample(both, 2)
        if feed_grows:
            grows, whole = both
        octets = grows.read_bytes()
        half = self.random.randrange(1, len(octets))
        grows.unlink()
        target = self.daemon.spool / grows.name

        def end():
            self.history.drop(sequence)
            self.growth.end(target, octets[half:])

        target.write_bytes(octets[:half])
        self.growth.begin(target)
        self.daemon.move(whole)
        self.begun.append(end)

    def end_begun(self):
        for end in self.begun:
            end()
        self.begun.clear()

    def drop(self, path, sequence):
        ways = [self.drop_whole, self.drop_whole, self.drop_one_late, self.drop_growing]
        way = self.random.choice(ways)
        self.counts[way.__name__] += 1
        way(path, sequence)

    def drop_some(self):
        """Full feeds stay in their order: one that comes behind a newer one is refused. The huge one shall
        not be overtaken."""
        self.end_begun()
        is_free = not self.huge or self.daemon.is_in("done", self.huge)
        feeds = self.held + [
            self.make_full() if is_free and self.random.random() < 0.25 else self.make_delta()
            for _ in range(self.random.randint(1, 4))]
        deltas = [feed for feed in feeds if feed[0].name not in self.fulls]
        self.random.shuffle(deltas)
        self.held = [deltas.pop()] if len(deltas) > 1 and self.random.random() < 0.4 else []
        self.counts["late"] += len(self.held)
        for feed in deltas + [feed for feed in feeds if feed[0].name in self.fulls]:
            self.drop(*feed)

    def drop_huge(self, rows):
        """Its loader is killed; if it was through before, that of another one, earlier."""
        killed, age = False, AGE
        while not killed:
            assert age > AGE / 4**6, "no loader could be killed"
            self.end_begun()
            path, sequence = self.make_full(rows)
            self.huge = path.name
            self.drop_whole(path, sequence)
            if self.crashes >= CRASHES:
                self.kill_daemon()
            self.run_daemon()
            while not killed and not self.daemon.is_in("done", self.huge):
                killed = self.kill_child(1, age)
            age /= 4

    # Kills.

    def child(self):
        """The loader that is at work, as a descriptor that no other process can take the place of."""
        try:
            pid = self.daemon.find_loader()
            return pid and os.pidfd_open(pid)
        except ProcessLookupError:
            return None

    def kill_child(self, patience, age):
        """At an age by lot, if one begins soon."""
        deadline = time.monotonic() + patience
        while not (child := self.child()):
            if time.monotonic() > deadline:
                return False
        time.sleep(self.random.random() ** 2 * age)
        try:
            signal.pidfd_send_signal(child, signal.SIGKILL)
            self.counts["children killed"] += 1
            self.crashes += 1
            return True
        except ProcessLookupError:
            return False
        finally:
            os.close(child)

    def kill_daemon(self):
        self.daemon.kill()
        self.counts["daemons killed"] += 1
        self.crashes = 0

    def kill_something(self):
        time.sleep(self.random.random() ** 2 * (1 if SLOW else 0.2))
        what = self.random.random()
        if what < 0.6 and self.crashes < CRASHES:
            self.kill_child(*((1, 0.25) if SLOW else (0.2, 0.05)))
        if what > 0.4 or self.crashes >= CRASHES:
            self.kill_daemon()

    def run_daemon(self):
        """It may be killed while it starts."""
        if self.daemon.process.poll() is None:
            return
        if self.random.random() < 0.7:
            self.daemon.start()
        else:
            self.daemon.spawn()

    def drop_refused_once(self):
        """The daemon tries to load a feed of which a part is there, and must not take that for the whole."""
        self.end_begun()
        path, sequence = self.make_delta()
        said = "is tried again when it does not change any more"
        before = self.daemon.log().count(said)
        self.drop_growing(path, sequence, True)
        self.daemon.says(said, before + 1)

    def cycle(self, huge):
        self.drop_refused_once()
        for number in range(KILLS):
            if number == KILLS // 2:
                self.drop_huge(huge)
            self.drop_some()
            if number % 2:
                self.daemon.drop(self.make_bad())
            self.run_daemon()
            if self.random.random() < 0.5:
                self.drop_some()
            self.kill_something()
            self.look()

    # What came of it.

    def look(self):
        sequence = self.daemon.sequence()
        assert sequence >= max((s for s, _ in self.history.had), default=0), "it went back"
        self.history.has(sequence)

    def wait_empty(self):
        def is_empty():
            assert self.daemon.process.poll() is None, "icpgated ended"
            self.look()
            return self.daemon.is_empty()

        try:
            wait_until(is_empty, SETTLE_SECONDS, f"the spool is empty; seed {SEED}")
        except AssertionError as error:
            left = sorted(os.listdir(self.daemon.spool))
            raise AssertionError(f"{left}\n{self.daemon.log()[-12000:]}") from error

    def settle(self):
        """No kill any more: waits until all is dealt with, and checks where it is."""
        daemon = self.daemon
        self.end_begun()
        for path, sequence in self.held:
            self.drop_whole(path, sequence)
        self.held.clear()
        self.run_daemon()
        self.wait_empty()
        self.drop_whole(*self.make_full())
        self.wait_empty()
        assert daemon.sequence() == self.sequence
        overtaken = [name for name in daemon.names("rejected") if name not in self.bad]
        for name in overtaken:
            # Another full feed took its place while it waited for another try.
            assert self.fulls[name] < self.sequence and name != self.huge, name
            assert "older than" in daemon.report("rejected", name), name
        self.counts["overtaken"] += len(overtaken)
        assert daemon.names("rejected") == sorted([*self.bad, *overtaken])
        assert daemon.names("done") == sorted(set(self.good) - set(overtaken))
        for place in ("done", "rejected"):
            assert all(daemon.is_in(place, name) for name in daemon.names(place))
        assert daemon.store.dump() == self.state
        verified = daemon.store.verify()
        assert verified.returncode == 0, verified.stdout + verified.stderr

    def serves_the_last_state(self):
        now = time.time()
        for answer in self.asker.ask(FLIPPING):
            permitted = permits(self.state.get((answer.name, "qcloud")), now)
            if answer.read()[1] != [OURS if permitted else BLOCK4]:
                return False
        return True

    def check_audit(self):
        """What was committed is told once, so permissions of a domain are gained and lost in turn."""
        last = {}
        for domain, _, before, after, *_ in self.daemon.store.audit():
            was, is_now = last.get(domain, False), after == "filed"
            assert was == (before == "filed") != is_now, f"{domain}: {before} to {after}"
            last[domain] = is_now


@pytest.fixture(name="storm")
def make_storm(tmp_path, commands, module):
    with ExitStack() as stack:
        yield DaemonStorm(stack, tmp_path, commands, module)


def test_daemon_storm(storm):
    begin = time.monotonic()
    with Rounds(storm.unbound.port, storm.paced, storm.answers.append) as rounds:
        for huge in HUGE:
            storm.cycle(huge)
            storm.settle()
            wait_until(storm.serves_the_last_state, 30, "the last state is served")
            rounds.wait_round()
            storm.check_answers(storm.daemon.log)
    storm.check_answers(storm.daemon.log)
    storm.check_audit()
    counts = storm.checker.counts
    print(
        f"seed {SEED}; in {time.monotonic() - begin:.1f} s {dict(storm.counts)}, {len(storm.good)} good feeds, "
        f"{len(storm.bad)} bad ones\n{storm.checker.summary()}"
    )
    assert storm.unbound.is_running()
    assert "error:" not in storm.unbound.log, storm.unbound.log[-3000:]
    # It was a storm, and the check could tell.
    assert storm.counts["daemons killed"] and storm.counts["children killed"]
    assert storm.counts["drop_one_late"] and storm.counts["drop_growing"]
    assert counts["that had to be so"] > 20 * KILLS and counts["flips seen"] > KILLS

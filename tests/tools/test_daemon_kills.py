# SPDX-License-Identifier: BSD-3-Clause
"""icpgated is killed (-9) at random, again and again, while feeds arrive. Whatever the moment:

- a feed that is good ends in done/, exactly once, and with its manifest; a bad one in rejected/
- the store's sequence only grows, and in the end it holds what the feeds say, each change once
- nothing is left in the spool
"""

import json
import os
import random
import shutil
import time

from crash_scenes import held_open
from feeds import KILLED, Model, Store, check_audit, check_store
from gate_daemon import filed, state_of, upsert, wait_until

LONG = bool(os.environ.get("ICP_LONG"))
SLOW = bool(os.environ.get("ICP_PRELOAD"))
ROUNDS = 400 if LONG else 8 if SLOW else 25
SEED = int(os.environ.get("ICP_SEED", "1"))


class World:
    """Feeds as they arrive, and what they must come to."""

    def __init__(self, daemon, chance):
        self.daemon = daemon
        self.chance = chance
        self.sequence = 0
        self.state = {}
        self.good, self.bad = [], []
        self.held = []

    def make_full(self):
        """What it changes is a row that no other feed has."""
        number = len(self.good)
        self.sequence += 1
        self.state = {**self.state, **state_of(f"full{number}.cn")}
        return self.daemon.feeds.full(self.state, self.sequence, f"full{number}.csv")

    def make_delta(self):
        self.sequence += 1
        domain = f"delta{self.sequence}.cn"
        self.state = {**self.state, **state_of(domain)}
        return self.daemon.feeds.delta(upsert(domain), self.sequence, f"delta{self.sequence}.csv")

    def drop_bad(self):
        name = f"bad{len(self.bad)}.csv"
        path = self.daemon.feeds.full({1: filed("com")}, 10_000, name)
        self.bad.append(self.daemon.drop(path))

    def drop_some(self):
        """A few feeds, not in order, and one at times is late until the next call."""
        paths = self.held
        self.held = []
        for _ in range(self.chance.randint(1, 4)):
            made = self.make_full if self.chance.random() < 0.3 or not self.good else self.make_delta
            paths.append(made())
            self.good.append(paths[-1].name)
        self.chance.shuffle(paths)
        if len(paths) > 1 and self.chance.random() < 0.5:
            self.held.append(paths.pop())
        for path in paths:
            self.daemon.drop(path)
        if self.chance.random() < 0.2:
            self.drop_bad()

    def check(self):
        daemon = self.daemon
        wait_until(daemon.is_empty, lambda: f"the spool is empty:\n{daemon.log()[-3000:]}", 300)
        assert daemon.names("done") == sorted(self.good)
        assert daemon.names("rejected") == sorted(self.bad)
        for place, names in (("done", self.good), ("rejected", self.bad)):
            for name in names:
                assert daemon.is_in(place, name), f"{name}: {place}"
        assert daemon.sequence() == self.sequence
        # Each full feed made one generation: none was loaded twice.
        fulls = [name for name in self.good if name.startswith("full")]
        assert daemon.store.status()["generation"] == len(fulls), daemon.log()
        assert daemon.store.dump() == self.state
        verified = daemon.store.verify()
        assert verified.returncode == 0, verified.stdout + verified.stderr
        # Each change of a permission once: each feed made one.
        domains = [line[0] for line in daemon.store.audit()]
        assert sorted(domains) == sorted(key[0] for key in self.state)


def test_killed_at_random(make_daemon):
    chance = random.Random(SEED)
    print(f"seed {SEED}, {ROUNDS} kills")
    daemon = make_daemon()
    world = World(daemon, chance)
    # A first generation, or a number may be left out: without a link to a current one it is not known
    # which is half made.
    daemon.start()
    first = world.make_full()
    world.good.append(first.name)
    daemon.ends_in("done", daemon.drop(first))
    daemon.kill()
    last = 0
    for _ in range(ROUNDS):
        world.drop_some()
        if chance.random() < 0.7:
            daemon.start()
        else:
            daemon.spawn()
        if chance.random() < 0.5:
            world.drop_some()
        # Anywhere from its first steps to when all is done.
        time.sleep(chance.random() ** 2 * (1 if SLOW else 0.15))
        daemon.kill()
        assert daemon.sequence() >= last
        last = daemon.sequence()
    for path in world.held:
        daemon.drop(path)
    daemon.start()
    world.check()


def test_a_full_feed_is_loaded_once(make_daemon):
    """Killed between the load and the move: the generation that a rollback needs is not lost to a
    second load of the same feed."""
    daemon = make_daemon()
    daemon.start()
    model = Model()
    first, second = state_of("a.cn"), state_of("a.cn", "b.cn")
    daemon.ends_in("done", daemon.full(first, 1, "first.csv"))
    model.full(first, 1, "first.csv")
    # It can't move what it loaded; so it is as it was right after the load.
    place = daemon.spool / "done"
    for path in place.iterdir():
        path.unlink()
    place.rmdir()
    daemon.full(second, 2, "second.csv")
    model.full(second, 2, "second.csv")
    daemon.says("can't be moved to done")
    journal = daemon.spool / ".journal"
    wait_until(journal.exists, "a journal")
    daemon.kill()
    journal.unlink()
    # What the journal has while the load is under way.
    journal.write_text(
        '{"loading":"second.csv","sha256":"%s","sequence":2,"generation":1}' % sha256_of(daemon),
        encoding="ascii")
    daemon.start()
    assert "the daemon ended before it could say so" in daemon.ends_in("done", "second.csv")
    check_store(daemon.store, model)
    check_audit(daemon.store, model)
    assert daemon.store.status()["generation"] == 2


def sha256_of(daemon, name="second.csv"):
    return json.loads((daemon.spool / f"{name}.json").read_text(encoding="utf-8"))["sha256"]


def test_a_commit_that_no_reader_sees(make_daemon, commands, tmp_path, shim):
    """Of a loader that was killed right after it, while a resolver had the generation open: its readers
    must come to see it, though nothing is left to be loaded."""
    daemon = make_daemon()
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1, "a.csv"))
    daemon.stop()
    feed = daemon.feeds.delta(upsert("b.cn"), 2, "b.csv")
    copy = Store(commands, tmp_path / "copy")
    shutil.copytree(daemon.store.path, copy.path, symlinks=True)
    copy.load("delta", feed, environment=shim.counting())
    writes = [number for number, (call, path) in enumerate(shim.calls(), 1)
              if call == "pwrite" and path.endswith(".mdb")]
    with held_open(commands, daemon.store, tmp_path):
        killed = daemon.store.load("delta", feed, environment=shim.failing(writes[-1], "after"))
        assert killed.returncode == KILLED
        assert ("b.cn", "qcloud") not in daemon.store.dump()
        daemon.drop(feed)
        daemon.start()
        daemon.ends_in("done", "b.csv")
        assert ("b.cn", "qcloud") in daemon.store.dump()
    assert [line[0] for line in daemon.store.audit()] == ["a.cn", "b.cn"]


def test_a_move_is_ended(make_daemon):
    """Killed between the renames of a feed and its manifest."""
    daemon = make_daemon()
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1, "a.csv"))
    daemon.kill()
    daemon.full(state_of("a.cn"), 1, "b.csv")
    os.rename(daemon.spool / "b.csv", daemon.spool / "rejected" / "b~x.csv")
    (daemon.spool / ".report").write_text("why", encoding="ascii")
    (daemon.spool / ".journal").write_text(
        '{"moving":"b.csv","to":"rejected","as":"b~x.csv"}', encoding="ascii")
    daemon.start()
    wait_until((daemon.spool / "rejected" / "b~x.csv.json").exists, daemon.log)
    assert daemon.report("rejected", "b~x.csv") == "why"
    assert daemon.is_empty() and not (daemon.spool / ".journal").exists()
    assert daemon.store.status()["generation"] == 1


def test_a_feed_that_came_in_the_place_of_one_that_was_moved(make_daemon):
    """Killed between the renames, and while it is away a new feed of the same name comes: it is loaded."""
    daemon = make_daemon()
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1, "a.csv"))
    daemon.kill()
    daemon.full(state_of("a.cn"), 1, "b.csv")

    def stamp(name):
        found = (daemon.spool / name).stat()
        seconds, nanoseconds = divmod(found.st_mtime_ns, 10**9)
        return [found.st_ino, found.st_size, seconds, nanoseconds]

    (daemon.spool / ".journal").write_text(json.dumps({
        "moving": "b.csv", "to": "done", "as": "b.csv", "sha256": sha256_of(daemon, "b.csv"),
        "manifest": stamp("b.csv.json"), "feed": stamp("b.csv")}), encoding="ascii")
    (daemon.spool / ".report").write_text("why", encoding="ascii")
    os.rename(daemon.spool / "b.csv", daemon.spool / "done" / "b.csv")
    daemon.full(state_of("a.cn", "b.cn"), 2, "b.csv")
    daemon.start()
    wait_until(lambda: daemon.is_empty() and daemon.sequence() == 2, daemon.log)
    # The half that was moved before is told of, too.
    assert daemon.report("done", "b.csv") == "why"
    assert len(list((daemon.spool / "done").glob("b~*.csv.report"))) == 1
    assert set(daemon.store.dump()) == set(state_of("a.cn", "b.cn"))

# SPDX-License-Identifier: BSD-3-Clause
"""Deltas and full feeds without pause into the store of a resolver that is asked all the time: each
change is seen within its bound, no query is lost or answered wrongly, and the store does not grow.

ICP_STORM  full: 1,000 deltas and 20 full feeds, some minutes (make soak); default: 150 and 5, and
           fewer with a sanitizer
"""

import os
import random
import time
from contextlib import ExitStack

import pytest

from asker import Rounds
from feeds import (
    DONE,
    Delta,
    FeedWriter,
    Full,
    Model,
    apply,
    check_audit,
    check_files,
    check_store,
    permits,
)
from storm_check import Change
from storm_world import FLIPPING, StormWorld, filed, first_state

SEED = int(os.environ.get("ICP_SEED", "20261123"))
DELTAS, FULLS = (60, 3) if os.environ.get("ICP_PRELOAD") else (150, 5)
if os.environ.get("ICP_STORM") == "full":
    DELTAS, FULLS = 1000, 20
# A file may grow to so much of what it was when it was built, and that many octets.
GROWTH, ROOM = 2, 1 << 18
# The current generation and those kept, which is what `--keep` is without being given.
KEPT = 3


class Storm(StormWorld):
    """The store and its model; changes one after the other."""

    def __init__(self, stack, directory, commands, module):
        super().__init__(stack, directory, commands, random.Random(SEED))
        self.feeds = FeedWriter(directory)
        self.model = Model()
        state = first_state()
        self.load(Full(self.feeds.full(state, 1), state, 1))
        self.resolve(module, state, time.time())
        self.largest = (0, 0)
        self.fresh_size = 0

    def is_permitted(self, domain):
        return permits(self.model.state.get((domain, "qcloud")), time.time())

    def load(self, step):
        """Runs the loader, and lets the model follow."""
        done = self.store.load(*step.arguments)
        outcomes, status = step.outcomes(self.model, ())
        assert done.returncode == status == DONE, f"{step.arguments}: {done.stderr}"
        self.model = outcomes[-1]

    def change(self, step):
        """Loads, and asks at once for all that changed."""
        before = {domain: self.is_permitted(domain) for domain in FLIPPING}
        begin = time.monotonic()
        self.load(step)
        end = time.monotonic()
        changed = [domain for domain in FLIPPING if self.is_permitted(domain) != before[domain]]
        for domain in changed:
            self.timeline.add(domain, Change(begin, end, not before[domain]))
        self.answers.append(self.asker.ask(changed))

    def delta(self):
        operations = list(self.operations(self.model.state, time.time()))
        sequence = self.model.sequence + 1
        path = self.feeds.delta(operations, sequence)
        self.change(Delta((path, operations, sequence)))

    def full(self):
        """Some are older than the last deltas, which have to be put on top of them."""
        state = dict(self.model.state)
        for domain in self.random.sample(FLIPPING, 10):
            state = apply(state, [("delete", domain, "qcloud")])
            if self.random.random() < 0.6:
                state = apply(state, [("upsert", filed(domain))])
        sequence = self.model.sequence - self.random.choice([0, 3])
        self.change(Full(self.feeds.full(state, sequence), state, sequence))
        self.fresh_size = 0

    def check(self):
        """Between two changes: the answers so far, and the size of the file."""
        rounds = [self.answers.popleft() for _ in range(len(self.answers))]
        self.checker.check(rounds)
        size = size_of((self.store.path / "current").resolve())
        self.fresh_size = self.fresh_size or size
        self.largest = max(self.largest, (self.fresh_size, size), key=lambda pair: pair[1])
        limit = GROWTH * self.fresh_size + ROOM
        assert size <= limit, f"{size} octets; {self.fresh_size} when it was built"
        kept = list((self.store.path / "generations").glob("*.mdb"))
        assert len(kept) <= KEPT, kept


def size_of(path):
    """Blocks in use, not length: an environment's file may have holes."""
    found = path.stat()
    return min(found.st_size, found.st_blocks * 512)


@pytest.fixture
def storm(tmp_path, commands, module):
    with ExitStack() as stack:
        yield Storm(stack, tmp_path, commands, module)


def test_storm(storm):
    begin = time.monotonic()
    with Rounds(storm.unbound.port, storm.names, storm.answers.append) as rounds:
        rounds.wait_round()
        for number in range(1, DELTAS + 1):
            storm.delta()
            rounds.wait_round()
            if number % (DELTAS // FULLS) == 0:
                storm.full()
                rounds.wait_round()
            storm.check()
            assert not storm.checker.wrong, f"seed {SEED}\n{storm.checker.summary()}"
    storm.check()
    counts = storm.checker.counts
    print(
        f"seed {SEED}; {DELTAS} deltas and {FULLS} full feeds in {time.monotonic() - begin:.1f} s; "
        f"a file grew from {storm.largest[0]} octets to {storm.largest[1]}\n"
        f"{storm.checker.summary()}"
    )
    assert not storm.checker.wrong
    assert storm.unbound.is_running()
    assert "error:" not in storm.unbound.log, storm.unbound.log[-3000:]
    check_store(storm.store, storm.model)
    check_files(storm.store)
    check_audit(storm.store, storm.model)
    # It was a storm, and the check could tell.
    assert counts["queries"] > 50 * DELTAS and counts["flips seen"] > DELTAS // 2
    assert counts["that had to be so"] > 10 * DELTAS

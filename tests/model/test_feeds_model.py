# SPDX-License-Identifier: BSD-3-Clause
"""Random sequences of full feeds, deltas, rollbacks and kills against a dictionary.

ICP_SEED repeats a run, ICP_STEPS sets the number of steps.
"""

import os
import random
from collections import Counter

from commands import rfc3339
from feeds import (
    DONE,
    KILLED,
    REFUSED,
    REJECTED,
    Delta,
    FeedWriter,
    Full,
    Model,
    Rollback,
    Row,
    Store,
    apply,
    check_audit,
    check_files,
    take_step,
)
from shim import Shim

SEED = int(os.environ.get("ICP_SEED", "20261123"))
# With a sanitizer a process takes ten times as long to start.
STEPS = int(os.environ.get("ICP_STEPS", "60" if os.environ.get("ICP_PRELOAD") else "180"))
# Stores begin anew now and then: a log that grows is read at every step.
STEPS_PER_STORE = 60
PROVIDERS = ["qcloud", "acloud", "t-9"]
STATUSES = ["filed", "changing", "rectifying", "transfer-preapproved", "pending"]
STATUSES += ["transfer-cancelled", "deregistered"]
LABELS = ["a", "b", "shop", "www", "xn--fsqu00a"]
# Two of them begin alike; none of the numbers below is an entity's by its begin alone.
ENTITIES = ["京ICP备11018762号", "京ICP备11018763号", "京ICP备1101876号", "粤ICP备1号"]
DAY = 86400
# Far from any time at which a test runs.
PAST, FUTURE = 1_600_000_000, 4_000_000_000
# More than any command here makes.
CALLS = 70


def make_row(rng):
    depth = rng.choice([1, 1, 2, 2, 3])
    labels = [rng.choice(LABELS) for _ in range(depth - 1)]
    domain = ".".join([*labels, f"d{rng.randrange(60)}", rng.choice(["cn", "com.cn", "com"])])
    status = rng.choice(STATUSES)
    number = rng.choice(ENTITIES)
    if rng.random() < 0.8:
        number += f"-{rng.choice([1, 2, 12])}"
    if status == "pending" and rng.random() < 0.5:
        number = ""
    approved = expires = rectify = ""
    if status == "transfer-preapproved":
        begin = rng.choice([PAST, FUTURE])
        approved = rfc3339(begin)
        expires = rfc3339(rng.choice([begin + 45 * DAY, FUTURE + 90 * DAY]))
    elif rng.random() < 0.3:
        approved = rfc3339(PAST + rng.randrange(1000))
    if status == "rectifying":
        rectify = rfc3339(rng.choice([PAST, FUTURE]))
    licensed = "192.0.2.0/28 192.0.2.77" if rng.random() < 0.1 else ""
    return Row(domain, rng.choice(PROVIDERS), status, number, approved, expires, rectify, licensed)


def make_state(rng, old):
    """A full feed: much of what there was, and other rows."""
    share = rng.choice([0, 0.5, 0.95])
    state = {key: row for key, row in old.items() if rng.random() < share}
    for _ in range(rng.choice([0, 1, 40, 200])):
        row = make_row(rng)
        state[row.key] = row
    return state


def make_operations(rng, state):
    keys = list(state)
    operations = []
    for _ in range(rng.choice([0, 1, 1, 2, 5, 30, 120])):
        way = rng.random()
        if way < 0.5 or not keys:
            operations.append(("upsert", make_row(rng)))
        elif way < 0.6:
            row = state[rng.choice(keys)]
            operations.append(("upsert", make_row(rng)._replace(domain=row.domain, provider=row.provider)))
        elif way < 0.9:
            operations.append(("delete", *rng.choice(keys)))
        elif way < 0.95:
            gone = make_row(rng)
            operations.append(("delete", *gone.key))
        else:
            operations.append(("deregister-entity", rng.choice(ENTITIES)))
    return operations


class Play:
    """One store and its model, changed together."""

    def __init__(self, rng, commands, directory, shim, counts):
        self.rng = rng
        self.shim = shim
        self.feeds = FeedWriter(directory)
        self.store = Store(commands, directory / "store")
        self.model = Model()
        self.counts = counts

    def full(self):
        """With a sequence before, at or after the current one, seldom before the base."""
        current = self.model.current
        newest = self.model.sequence
        oldest = current.base if current else 0
        sequence = self.rng.choice([newest, newest + 1, newest + self.rng.randrange(1, 9)])
        if newest > oldest and self.rng.random() < 0.5:
            sequence = self.rng.randrange(oldest, newest)
        if oldest > 0 and self.rng.random() < 0.2:
            sequence = self.rng.randrange(oldest)
        state = make_state(self.rng, self.model.state)
        path = self.feeds.full(state, sequence)
        return Full(path, state, sequence, force=self.rng.random() < 0.3)

    def delta(self):
        """One file or several; among them such as were applied before, or that leave a gap."""
        parts = []
        state, sequence = self.model.state, self.model.sequence
        for _ in range(self.rng.choice([1, 1, 1, 2, 3])):
            given = sequence + 1
            way = self.rng.random()
            if way < 0.1:
                given = self.rng.randrange(sequence + 1)
            elif way < 0.15:
                given = sequence + self.rng.randrange(2, 5)
            operations = make_operations(self.rng, state)
            parts.append((self.feeds.delta(operations, given), operations, given))
            if given == sequence + 1:
                state, sequence = apply(state, operations), given
        return Delta(*parts)

    def choose(self):
        way = self.rng.random()
        if way < 0.25 or self.model.current is None:
            return self.full()
        return self.delta() if way < 0.85 else Rollback()

    def step(self):
        step = self.choose()
        environment = None
        if self.rng.random() < 0.4:
            number = self.rng.randrange(1, CALLS)
            environment = self.shim.failing(number, self.rng.choice(["before", "after"]))
        done, after = take_step(self.store, self.model, step, environment)
        killed = done.returncode == KILLED
        how = "killed" if killed else f"exit {done.returncode}"
        effect = "" if after is self.model else ", took effect"
        self.counts[f"{step.arguments[0]}, {how}{effect}"] += 1
        self.model = after
        # The loader that comes next finishes what one that was killed left.
        if not killed:
            check_files(self.store)
            check_audit(self.store, self.model)

    def finish(self):
        """A loader that has nothing to do finishes what is left."""
        if self.model.current:
            sequence = self.model.sequence
            take_step(self.store, self.model, Delta((self.feeds.delta([], sequence), [], sequence)))
            check_files(self.store)
            check_audit(self.store, self.model)


def test_stores_equal_a_dictionary(commands, tmp_path):
    print(f"seed {SEED}, {STEPS} steps")
    shim = Shim(tmp_path)
    counts = Counter()
    for begin in range(0, STEPS, STEPS_PER_STORE):
        directory = tmp_path / f"store{begin}"
        directory.mkdir()
        play = Play(random.Random(f"{SEED}/{begin}"), commands, directory, shim, counts)
        for number in range(begin, min(begin + STEPS_PER_STORE, STEPS)):
            try:
                play.step()
            except AssertionError as error:
                raise AssertionError(f"seed {SEED}, step {number}: {error}") from error
        play.finish()
    for label in sorted(counts):
        print(f"{counts[label]:5} {label}")
    # It was about all of them.
    wanted = [f"{each}, exit {DONE}, took effect" for each in ("full", "delta", "rollback")]
    wanted += [f"delta, exit {REJECTED}", f"full, exit {REFUSED}", "full, killed", "delta, killed"]
    assert STEPS < 150 or not [each for each in wanted if not counts[each]], counts

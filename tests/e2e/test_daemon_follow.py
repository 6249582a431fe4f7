# SPDX-License-Identifier: BSD-3-Clause
"""A PostgreSQL server is stopped and started, well and as by a crash, while icpgated follows it, feeds of the
same database come through the spool, and a resolver is asked all the time: each query is answered by a
state that was committed, each change is seen within its bound, and in the end all is where it belongs.

ICP_STORM  full: 40 restarts (make soak)
"""

import os
import random
import signal
import time
from contextlib import ExitStack

import pytest

from asker import Rounds
from commands import COLUMNS
from feeds import Row
from gate_daemon import filed
from harness import wait_until
from site_daemon import SiteDaemon
from storm_world import FLIPPING, StormWorld, entity

SEED = int(os.environ.get("ICP_SEED", "20261125"))
LONG = os.environ.get("ICP_STORM") == "full"
STOPS = 40 if LONG else 5
FLIP = ("UPDATE filing.access SET cancelled_at = CASE WHEN cancelled_at IS NULL THEN now() END"
        " WHERE site_id = ANY (%s)")


class FollowStorm(StormWorld):
    """The database is the truth; what comes through the spool was taken from it."""

    def __init__(self, stack, directory, commands, filings):
        super().__init__(stack, directory, commands, random.Random(SEED))
        self.filings = filings
        self.asked_steady = []
        # By domain: its site, and whether that is permitted.
        self.sites = {domain: filings.filed(domain, number=entity(domain)) for domain in FLIPPING}
        self.permitted = dict.fromkeys(FLIPPING, True)
        self.daemon = SiteDaemon(self.site, follow=filings.conninfo())
        stack.callback(self.daemon.close)
        self.good, self.bad = [], []
        done = self.store.load("full", "--from", filings.conninfo())
        assert done.returncode == 0, done.stderr
        self.daemon.start()

    def begin(self, module):
        state = {row.key: row for row in self.rows()}
        self.resolve(module, state, time.time())

    def rows(self):
        return [Row(*row) for row in self.filings.feed()]

    def change(self):
        """Some filings, in one transaction."""
        domains = set(self.random.choices(FLIPPING, self.weights, k=self.random.randrange(1, 5)))
        sequence = self.filings.sequence() + 1
        self.history.drop(sequence)
        self.filings.execute(FLIP, [self.sites[domain] for domain in domains])
        assert self.filings.sequence() == sequence
        for domain in domains:
            self.permitted[domain] = not self.permitted[domain]
            self.history.flip(sequence, domain, self.permitted[domain])

    def drop(self, kind, sequence, columns, lines):
        name = f"{kind}{len(self.good)}.csv"
        self.good.append(name)
        self.daemon.drop(self.daemon.feeds.write(kind, sequence, columns, lines, name))

    def drop_full(self):
        self.drop("full", self.filings.sequence(), COLUMNS, self.rows())

    def drop_deltas(self, count):
        """The last ones, which may have been followed, or not."""
        last = self.filings.sequence()
        for sequence in range(last, last - count, -1):
            rows = self.filings.execute(
                f"SELECT op, {', '.join(COLUMNS)} FROM icpgate_changes WHERE sequence = %s", sequence)
            self.drop("delta", sequence, ["op", *COLUMNS],
                      [[value or "" for value in row] for row in rows])

    def drop_bad(self):
        name = f"bad{len(self.bad)}.csv"
        self.bad.append(self.daemon.full({1: filed("com")}, 10**6, name))

    def look(self):
        self.history.has(self.daemon.sequence())

    def catch_up(self):
        """Waits until the store has all that was committed."""
        sequence = self.filings.sequence()

        def is_there():
            self.look()
            return self.daemon.sequence() == sequence

        wait_until(is_there, 60, f"sequence {sequence}, seed {SEED}, {self.daemon.log_path}")

    def stop_and_start(self, server, how):
        """What was committed at the last moment comes by the spool, or by and by."""
        for _ in range(self.random.randint(1, 5)):
            self.change()
        if self.random.random() < 0.5:
            self.drop_full()
        for _ in range(3):
            self.change()
        deltas = self.random.choice([0, 2, 3])
        self.drop_deltas(deltas)
        server.stop(how)
        if self.random.random() < 0.4:
            self.daemon.kill()
            self.daemon.start()
        self.look()
        server.start()
        self.filings.reconnect()
        self.change()
        self.look()

    def check_end(self):
        daemon = self.daemon
        self.catch_up()
        # Before the daemon would have looked by itself, which is once a minute.
        wait_until(daemon.is_empty, 30, f"the spool is empty, {daemon.log_path}")
        assert daemon.names("done") == sorted(self.good)
        assert daemon.names("rejected") == sorted(self.bad)
        assert sorted(list(row) for row in daemon.store.dump().values()) == self.filings.feed()
        assert daemon.store.verify().returncode == 0


@pytest.fixture(name="storm")
def make_storm(tmp_path, commands, filings):
    with ExitStack() as stack:
        yield FollowStorm(stack, tmp_path, commands, filings)


def test_the_database_restarts(storm, module, server):
    storm.begin(module)
    with Rounds(storm.unbound.port, storm.paced, storm.answers.append) as rounds:
        rounds.wait_round()
        if LONG:
            # It takes its time to be rejected.
            storm.drop_bad()
        for number in range(STOPS):
            storm.stop_and_start(server, [signal.SIGINT, signal.SIGQUIT][number % 2])
        storm.check_end()
        counts = storm.checker.counts

        def could_tell():
            rounds.wait_round()
            storm.check_answers(storm.daemon.log)
            return counts["that had to be so"] > 100 * STOPS

        wait_until(could_tell, 30, "answers that could have been wrong")
    storm.check_answers(storm.daemon.log)
    print(f"seed {SEED}; {len(storm.good)} feeds, sequence {storm.filings.sequence()}\n"
          f"{storm.checker.summary()}")
    assert storm.unbound.is_running()
    assert counts["flips seen"] > STOPS, counts

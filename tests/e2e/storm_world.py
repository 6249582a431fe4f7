# SPDX-License-Identifier: BSD-3-Clause
"""What storms have in common: filings that change all the time, and a resolver that is asked meanwhile."""

import itertools
import time
from collections import deque

from asker import Asker
from feeds import Row, Store, permits
from harness import Nsd, Unbound, start
from storm_check import Checker, History, Timeline
from world import ABROAD, OURS, Site, zone

# Others, so that there is something to build; one of a hundred is asked for, too.
STEADY = 3000
FLIPPING = [f"flip{n}.cn" for n in range(45)]
FOREIGN = {f"far{n}.abroad.cn" for n in range(5)}
# A pause between two rounds of queries: the machine shall load feeds, too.
PAUSE = 0.03
CN = [f"* A {OURS}", f"*.abroad A {ABROAD}"]


def entity(domain):
    return f"京ICP备{int(domain[4:-3]) + 10**7}号"


def filed(domain):
    return Row(domain, "qcloud", "filed", f"{entity(domain)}-1")


def first_state():
    """Names that stay as they are, half of them permitted, and every other one that flips."""
    rows = [
        Row(f"steady{n}.cn", "qcloud", ["filed", "pending"][n % 2], f"京ICP备{n + 1}号-1")
        for n in range(STEADY)
    ]
    rows += [filed(domain) for domain in FLIPPING[::2]]
    return {row.key: row for row in rows}


class StormWorld:
    """Zones and a site; then, once the store holds the first state, a resolver.

    random: a random.Random
    """

    def __init__(self, stack, directory, commands, random):
        self.stack = stack
        self.directory = directory
        self.random = random
        self.nsd = start(stack, Nsd(directory, {"cn": zone("cn", CN)}))
        self.site = Site(commands, directory, [])
        self.store = Store(commands, self.site.store)
        self.asked_steady = [f"steady{n}.cn" for n in range(0, STEADY, 211)]
        self.counter = itertools.count()
        # Those at the end seldom change, and so live longer than any lease.
        self.weights = [1 + 3 * (n < len(FLIPPING) // 3) for n in range(len(FLIPPING))]
        # For storms that tell when by these, and not by the timeline.
        self.history = History()
        self.answers = deque()
        self.timeline = self.checker = self.unbound = self.asker = None

    def resolve(self, module, state, now):
        """Starts the resolver; from now on each change of this state has to be in the timeline."""
        domains = [*FLIPPING, *self.asked_steady]
        self.timeline = Timeline(
            {domain: permits(state.get((domain, "qcloud")), now) for domain in domains})
        self.checker = Checker(self.timeline, FOREIGN)
        stubs = [("cn", f"stub-addr: 127.0.0.1@{self.nsd.port}")]
        lines = ["num-threads: 2"]
        self.unbound = start(
            self.stack, Unbound(self.directory, stubs, module, self.site.conf, lines))
        self.asker = Asker(self.unbound.port)
        self.stack.callback(self.asker.close)

    def names(self):
        """Of a round: names that are cached, and names that nobody asked for yet."""
        number = next(self.counter)
        fresh = (f"fresh{number}.{domain}" for domain in FLIPPING[number % 3 :: 3])
        return [*FLIPPING, *self.asked_steady, *FOREIGN, *fresh]

    def paced(self):
        time.sleep(PAUSE)
        return self.names()

    def check_answers(self, why):
        """All so far; the timeline goes on by the history. why: a function that tells more"""
        for domain, change in self.history.take_changes():
            self.timeline.add(domain, change)
        for _ in range(len(self.answers)):
            self.checker.check([self.answers.popleft()])
        assert not self.checker.wrong, f"{self.checker.summary()}\n{why()[-3000:]}"

    def operations(self, state, now):
        """Flips some names of a state, each way that there is."""
        domains = set(self.random.choices(FLIPPING, self.weights, k=self.random.randrange(1, 5)))
        for domain in sorted(domains):
            if not permits(state.get((domain, "qcloud")), now):
                yield "upsert", filed(domain)
            else:
                yield self.random.choice(
                    [
                        ("delete", domain, "qcloud"),
                        ("deregister-entity", entity(domain)),
                        ("upsert", filed(domain)._replace(status="transfer-cancelled")),
                    ]
                )

# SPDX-License-Identifier: BSD-3-Clause
"""Checks what clients were answered while filings changed, against when those changes were made.

A change may take effect from the moment its loader begins, and must have when it has ended: at once
where it permits, within the lease where it blocks; at once, too, for a name that is asked for the
first time.
"""

import itertools
import math
import time
from collections import Counter
from typing import NamedTuple

import dns.message
import dns.rcode

from world import ABROAD, BLOCK4, LEASE, LOOK, OURS

SHOWN = 20
# The longest that a query may take: more than ten times what it does with a sanitizer on two loaded
# cores, and little enough that a bound of a lease and this still says something.
LATEST = 2

# A loader that was killed behind the link's change has not told so in the old generation; then the
# resolver finds out by its own look.
UNTOLD = LOOK + 0.5


class Change(NamedTuple):
    begin: float
    end: float
    permitted: bool


class Timeline:
    """The changes of each domain, oldest first."""

    def __init__(self, domains):
        self.changes = {domain: [Change(0, 0, permitted)] for domain, permitted in domains.items()}

    def add(self, domain, change):
        self.changes[domain].append(change)

    def ages(self, domain, answer):
        """How long before an answer was asked for each verdict ended; 0: it was in force then, or
        until the answer came."""
        changes = self.changes[domain]
        ages = {}
        for at in range(len(changes) - 1, -1, -1):
            if len(ages) == 2:
                break
            if changes[at].begin <= answer.received and changes[at].permitted not in ages:
                is_last = at + 1 == len(changes)
                ended = answer.sent if is_last else changes[at + 1].end
                ages[changes[at].permitted] = max(0, answer.sent - ended)
        return ages


class History:
    """What was published, and when: by sequence, which only grows."""

    def __init__(self):
        self.flips = []
        self.dropped = []
        self.had = []

    def flip(self, sequence, domain, permitted):
        self.flips.append((sequence, domain, permitted))

    def drop(self, sequence):
        """From now on a feed is there that may bring the store to this sequence."""
        self.dropped.append((sequence, time.monotonic()))

    def has(self, sequence):
        """By now the store has this sequence."""
        self.had.append((sequence, time.monotonic() + UNTOLD))

    def take_changes(self):
        """In the order of their sequences; what was taken is forgotten."""
        for sequence, domain, permitted in self.flips:
            begin, end = (
                min((at for s, at in times if s >= sequence), default=math.inf)
                for times in (self.dropped, self.had))
            yield domain, Change(begin, end, permitted)
        self.__init__()


class Span(NamedTuple):
    """When the queries of a round were on their way, and how long the slowest was."""

    begin: float
    end: float
    late: float

    @classmethod
    def of(cls, answers):
        return cls(
            min(answer.sent for answer in answers),
            max(answer.received for answer in answers),
            max(answer.received - answer.sent for answer in answers),
        )

    def overlaps(self, answer):
        return self.begin <= answer.received and answer.sent <= self.end


class Checker:
    """Counts what was found, and collects what should not be there.

    late: the longest that a query took
    oldest: ages of verdicts that were still seen
    """

    def __init__(self, timeline, foreign):
        self.timeline = timeline
        self.foreign = foreign
        self.counts = Counter()
        self.wrong = []
        self.late = 0.0
        self.oldest = {True: 0.0, False: 0.0}
        self.seen = {}

    def check(self, rounds):
        """Lists of answers to what was asked together, with all that were asked at that time."""
        spans = [Span.of(answers) for answers in rounds if answers]
        for answer in itertools.chain(*rounds):
            beside = max(span.late for span in spans if span.overlaps(answer))
            why = self.check_answer(answer, beside)
            if why:
                self.wrong.append(f"{answer.name}: {why}")

    def check_answer(self, answer, beside):
        """What is wrong with it, or None.

        beside: the longest that a query took that was asked at the same time, or this one. So old
            may the resolver's clock be, which it does not read for each query, and so late the
            client may be to look at its own.
        """
        self.counts["queries"] += 1
        if answer.packet is None:
            return "no answer"
        self.late = max(self.late, beside)
        if answer.received - answer.sent > LATEST:
            return f"took {answer.received - answer.sent:.3f} s"
        rcode, found = answer.read()
        if rcode != dns.rcode.NOERROR or len(found) != 1:
            return f"{dns.message.from_wire(answer.packet)}"
        label, _, domain = answer.name.partition(".")
        is_fresh = label.startswith("fresh")
        domain = domain if is_fresh else answer.name
        if domain in self.foreign:
            return None if found == [ABROAD] else f"foreign, and answered {found}"
        if found not in ([OURS], [BLOCK4]):
            return f"answered {found}"
        lease = 0 if is_fresh else LEASE + beside
        return self.check_verdict(answer, domain, found == [OURS], lease)

    def check_verdict(self, answer, domain, permitted, lease):
        """lease: how long a permission may be seen after its end; 0 for a name that is asked for
        the first time"""
        ages = self.timeline.ages(domain, answer)
        age = ages.get(permitted)
        bound = lease if permitted else 0
        what = "served" if permitted else "blocked"
        self.counts[what] += 1
        self.counts["that had to be so"] += len(ages) == 2 and ages[not permitted] > bound
        if lease:
            self.counts["flips seen"] += self.seen.get(domain, permitted) != permitted
            self.seen[domain] = permitted
        if age is None:
            return f"{what}, which was never right"
        self.oldest[permitted] = max(self.oldest[permitted], age)
        return f"{what} {age:.3f} s after that ended, bound {bound:.3f} s" if age > bound else None

    def summary(self):
        lines = [f"{number:9} {what}" for what, number in sorted(self.counts.items())]
        lines += [
            f"  a permission was seen up to {self.oldest[True]:.3f} s after its end, a refusal up "
            f"to {self.oldest[False]:.3f} s; no query took more than {self.late:.3f} s",
            f"  {len(self.wrong)} wrong answers",
        ]
        return "\n".join(lines + self.wrong[:SHOWN])

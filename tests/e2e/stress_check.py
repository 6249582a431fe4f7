# SPDX-License-Identifier: BSD-3-Clause
"""Checks the answers of the stress test against what was in force when they were given.

A generation may be in force from the moment its load begins, and until it is replaced. The one
before may still be seen for a while after the load of the next has ended: until the module looks
for a new one, and where it permitted, until the lease has ended too.
"""

import bisect
import re
from collections import Counter

import dns.message
import dns.rdatatype

from stress_client import RD
from stress_names import ABROAD, ALWAYS, HOME, NEVER
from world import LEASE, LOOK

# The addresses of stress_names.RANGES, and the block page's, of world.SETTINGS.
GATED = re.compile(rb"\xc6\x13..|\x20\x01\x0d\xb8\x00\x01\x00{6}....", re.DOTALL)
PAGES = re.compile(rb"\xcb\x00\x71\x50|\x20\x01\x0d\xb8\x00{11}\x80")
SERVFAIL, NOERROR = 2, 0
SHOWN = 20


def gated_addresses(answer, at):
    """Those that begin anywhere in a packet behind its question. Signatures, which may hold any
    octets, are only in answers to ANY, as no client sets DO."""
    if answer.question.rdtype != "ANY":
        return set(GATED.findall(answer.packet, at))
    message = dns.message.from_wire(answer.packet)
    return {
        address
        for section in (message.answer, message.authority, message.additional)
        for rrset in section
        if rrset.rdtype != dns.rdatatype.RRSIG
        for rdata in rrset
        for address in GATED.findall(rdata.to_wire())
    }


class Timeline:
    """When which domains were permitted."""

    def __init__(self, generations):
        self.generations = generations
        self.begins = [each.begin for each in generations]

    def states(self, name, since, until):
        """The verdicts on a domain that were in force at some time in between, as a set."""
        if name in (ALWAYS, NEVER):
            return {name == ALWAYS}
        found = set()
        at = bisect.bisect_right(self.begins, until)
        for number in range(at - 1, -1, -1):
            found.add(name in self.generations[number].permitted)
            # What stood before this one ended when its load did.
            if self.generations[number].end < since or len(found) == 2:
                break
        return found

    def age(self, name, permitted, answer):
        """How long before a query a verdict was replaced; 0 if it was in force then or since."""
        if name in (ALWAYS, NEVER):
            return 0 if permitted == (name == ALWAYS) else float("inf")
        for number in range(bisect.bisect_right(self.begins, answer.received) - 1, -1, -1):
            if (name in self.generations[number].permitted) == permitted:
                newer = self.generations[number + 1 : number + 2]
                return max(0, answer.sent - newer[0].end) if newer else 0
        return float("inf")


class Checker:
    """Counts what was found, and collects what should not be there.

    slack: what the machine may add to the bounds, in seconds
    """

    def __init__(self):
        self.counts = Counter()
        self.violations = []
        self.seen = {}
        self.oldest = {True: 0.0, False: 0.0}
        self.timeline = None
        self.slack = 0

    def check(self, answers, generations, slack):
        self.timeline = Timeline(generations)
        self.slack = slack
        for answer in answers:
            self.check_answer(answer)

    def check_answer(self, answer):
        self.counts["answers"] += 1
        packet, at = answer.packet, 12 + len(answer.asked)
        rcode = packet[3] & 15
        if packet[12:at] != answer.asked or not packet[2] & 0x80:
            self.wrong(answer, "is no answer to the question")
            return
        question = answer.question
        gated = gated_addresses(answer, at)
        for address in gated - question.secrets:
            self.check_other(answer, address)
        if rcode == SERVFAIL or rcode != NOERROR and not answer.flags & RD:
            self.counts["servfail" if answer.flags & RD else "not recursed"] += 1
            if gated:
                self.wrong(answer, "addresses in a failure")
            return
        if rcode != NOERROR or packet[2] & 2:
            self.wrong(answer, f"rcode {rcode}, flags {packet[2]:02x}")
            return
        is_empty = packet[6:8] == b"\0\0"
        if not question.is_judged:
            self.counts["not judged"] += 1
            if is_empty and answer.flags & RD:
                self.wrong(answer, "nothing in it")
        elif PAGES.search(packet, at) or is_empty:
            if gated & question.secrets:
                self.wrong(answer, "blocked, and with the address")
            elif PAGES.search(packet, at) or answer.flags & RD:
                self.check_blocked(answer)
        elif question.leads == HOME or gated & question.secrets:
            self.check_permitted(answer, question.permitted, "served")
        else:
            self.counts[f"served from {question.leads}"] += 1

    def check_other(self, answer, address):
        """An address in another section, which the name that bears it decides on."""
        owner = answer.question.others.get(address)
        if owner is None:
            self.wrong(answer, f"an address out of place: {address.hex()}")
        else:
            self.check_permitted(answer, owner, "in another section")

    def check_blocked(self, answer):
        question = answer.question
        if question.leads == ABROAD:
            self.wrong(answer, "blocked, and not gated")
        else:
            self.check_verdict(answer, question.permitted, False, "blocked")

    def check_permitted(self, answer, name, what):
        self.check_verdict(answer, name, True, what)

    def check_verdict(self, answer, name, permitted, what):
        """The verdict must have been in force."""
        bound = LOOK + self.slack + (LEASE if permitted else 0)
        states = self.timeline.states(name, answer.sent - bound, answer.received)
        self.counts[what] += 1
        if name not in (ALWAYS, NEVER):
            self.counts[f"{what}, of names that flip"] += 1
            self.counts["that could tell"] += len(states) == 1
            self.note(name, permitted, answer)
            self.oldest[permitted] = max(
                self.oldest[permitted], self.timeline.age(name, permitted, answer)
            )
        if permitted not in states:
            self.wrong(answer, f"{what}, bound {bound:.1f} s")

    def note(self, name, permitted, answer):
        """Follows the changes that a client sees."""
        before = self.seen.get(name)
        if before is not None and before != permitted:
            self.counts["flips seen"] += 1
        self.seen[name] = permitted

    def wrong(self, answer, what):
        question = answer.question
        age = {
            permitted: self.timeline.age(question.permitted, permitted, answer)
            for permitted in (True, False)
        }
        self.violations.append(
            f"{question.name} {question.rdtype} flags {answer.flags:04x}: {what}; leads to "
            f"{question.leads}, filed: {question.permitted}; permitted {age[True]:.2f} s before, "
            f"not permitted {age[False]:.2f} s before; "
            f"after {answer.received - answer.sent:.2f} s: "
            f"{answer.packet.hex()}"
        )

    def summary(self):
        lines = [f"{number:8} {what}" for what, number in sorted(self.counts.items())]
        lines += [
            f"  a permission was seen up to {self.oldest[True]:.2f} s after its end, "
            f"a refusal up to {self.oldest[False]:.2f} s; slack {self.slack:.2f} s",
            f"  {len(self.violations)} wrong answers",
        ]
        return "\n".join(lines + self.violations[:SHOWN])

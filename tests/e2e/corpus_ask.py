# SPDX-License-Identifier: BSD-3-Clause
"""Asks several resolvers the same, one query after the other, and tells where they differ."""

import socket
import struct
from collections import Counter, namedtuple

import dns.message
import dns.rcode
import dns.rdatatype
from dns.flags import Flag

from corpus_compare import parse, unequal
from corpus_queries import COMMON, Query

TIMEOUT = 20
# Over TCP, which a resolver handles by another event than UDP, and so looks at its clock between.
ANYTHING = Query("localhost.", "A", dns.message.make_query("localhost.", "A").to_wire(), True, "")
# The clock goes on by a second, and sometimes by a part of the TTL.
QUERIES_A_SECOND = 60
QUERIES_A_LEAP, LEAP = 1500, 350

# The classes by which queries are counted.
ALIASES = (dns.rdatatype.CNAME, dns.rdatatype.DNAME)
DENIALS = (dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
CLASSES = ("CD", "DO", "tcp", "option", "EDNS(1)")
LARGE = 1232

# parts: what differs; plain, gated: the answers without and with the module
Difference = namedtuple("Difference", "query parts plain gated")


class Client:
    """One resolver, as a client sees it."""

    def __init__(self, port):
        self.target = ("127.0.0.1", port)
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.connect(self.target)
        self.udp.settimeout(TIMEOUT)
        self.tcp = None

    def send(self, query):
        if not query.tcp:
            self.udp.send(query.wire)
            return
        self.tcp = socket.create_connection(self.target, TIMEOUT)
        self.tcp.sendall(struct.pack("!H", len(query.wire)) + query.wire)

    def receive(self, query):
        try:
            if not query.tcp:
                return self.udp.recv(65535)
            with self.tcp, self.tcp.makefile("rb") as stream:
                (length,) = struct.unpack("!H", stream.read(2))
                return stream.read(length)
        except TimeoutError as error:
            raise AssertionError(f"no answer: {query}") from error

    def ask(self, query):
        self.send(query)
        return self.receive(query)

    def close(self):
        self.udp.close()


class Clock:
    """The clock of the resolvers: it stands still, and goes on between queries."""

    def __init__(self, path, now):
        self.path = path
        self.now = now
        self.write()

    def write(self):
        self.path.touch()
        with open(self.path, "r+b") as file:
            file.write(self.now.to_bytes(8, "little"))

    def tick(self, number, clients):
        """Goes on, if it is time to after so many queries, and waits until all have seen it."""
        seconds = (number % QUERIES_A_SECOND == 0) + LEAP * (number % QUERIES_A_LEAP == 0)
        if seconds:
            self.now += seconds
            self.write()
            for client in clients:
                client.ask(ANYTHING)


class Comparison:
    """What came of asking: differences by the number of the resolver, and counts."""

    def __init__(self, others):
        self.differences = [[] for _ in range(others)]
        self.counts = Counter()
        self.reasons = Counter()
        self.classes = Counter()

    def __str__(self):
        text = ", ".join(f"{count} {name}" for name, count in sorted(self.counts.items()))
        reasons = ", ".join(f"{count} {name}" for name, count in sorted(self.reasons.items()))
        classes = ", ".join(f"{name} {count}" for name, count in self.classes.most_common())
        return f"{text}; allowed: {reasons or 'none'}\n  queries by class: {classes}"


def classes_of(query, answer):
    """In what regards a query and its answer are special; the type, or a word for a rare one."""
    message = parse(answer)
    yield query.rdtype if query.rdtype in COMMON else "rare types"
    yield dns.rcode.to_text(message.rcode())
    yield from (flag.name for flag in (Flag.AD, Flag.TC) if message.flags & flag)
    yield from {dns.rdatatype.to_text(r.rdtype) for r in message.answer if r.rdtype in ALIASES}
    yield from {dns.rdatatype.to_text(r.rdtype) for r in message.authority if r.rdtype in DENIALS}
    yield from (word for word in CLASSES if word in query.about)
    if len(answer) > LARGE:
        yield f"over {LARGE} octets"
    if "RD" not in query.about:
        yield "RD=0"


def compare(ports, queries, clock, reason_for):
    """Asks each query of all resolvers, the first of which is the plain one.

    reason_for: says why a Difference is none of the module's doing, or None
    """
    clients = [Client(port) for port in ports]
    comparison = Comparison(len(ports) - 1)
    for number, query in enumerate(queries, 1):
        for client in clients:
            client.send(query)
        plain, *others = [client.receive(query) for client in clients]
        comparison.counts["queries"] += 1
        comparison.classes.update(classes_of(query, plain))
        for which, gated in enumerate(others):
            comparison.counts["comparisons"] += 1
            if plain == gated:
                comparison.counts["same octets"] += 1
                continue
            found = unequal(plain, gated)
            if not found:
                continue
            difference = Difference(query, found, plain, gated)
            reason = reason_for(difference)
            if reason:
                comparison.reasons[reason] += 1
            else:
                comparison.differences[which].append(difference)
        clock.tick(number, clients)
    for client in clients:
        client.close()
    return comparison


def show(difference):
    """A difference as text for a human."""
    query, found, plain, gated = difference
    head = f"{query.name} {query.rdtype} ({query.about}): {', '.join(found)}"
    return "\n".join([head, "-- plain", str(parse(plain)), "-- with the module", str(parse(gated))])

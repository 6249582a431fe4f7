# SPDX-License-Identifier: BSD-3-Clause
"""The frame of the leak tests.

A *way* is one in which an answer leaves the resolver. It is a function that asks a `Probe` for
names; the probe looks for the address of a blocked name in every octet of every answer, and counts.
A function becomes a way by the decorator `way`, in a file leak_ways_*.py; test_leaks.py runs each
way in every variant of the resolver, and once without the module, where it has to find leaks.
"""

import contextlib
import functools
import importlib
import select
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.rdatatype

import doh
from leak_world import (
    ANSWER_SECONDS,
    SNOOPER,
    Own,
    Variant,
    exchange_on_stream,
    running_leak_world,
)
from world import OURS, assert_blocked, assert_passed

# The ways of the table, in its words.
LINES = (
    "first answer, cached answer, answer after the lease",
    "two threads asking at the same moment; validation still running; CD=1 queries",
    "CNAME and DNAME chains, in one response or across zones, cached in part",
    "QNAME minimisation",
    "sub-queries: name server addresses, DS/DNSKEY, priming",
    "prefetch",
    "serve-expired, with and without serve-expired-client-timeout; upstream down",
    "DNSSEC: secure, insecure, bogus; DO=1; AD",
    "HTTPS/SVCB hints; ANY; additional sections of MX, SRV, NS; minimal-responses: no",
    "dns64, subnetcache (ECS), cachedb, respip/RPZ beside the module; forward-, stub- and "
    "auth-zones; views",
    "RD=0; TCP, DoT, DoH; 0x20 case; EDNS buffer sizes and truncation",
    "unbound-control flush, reload, reload_keep_cache, dump/load_cache",
    "store missing, replaced, rolled back, damaged, being written; range database replaced",
    "TTL 0 answers",
)
VARIANTS = tuple(
    Variant(threads, validation) for validation in (True, False) for threads in (1, 2)
)
# Every way must find leaks in one of these.
CONTROLS = (Variant(2, True, module=False), Variant(2, False, module=False))


@dataclass(eq=False)
class Way:
    """A way, and what its world has to hold. See `way` for the fields."""

    run: object
    line: str
    part: str
    cn: tuple = ()
    com: tuple = ()
    org: tuple = ()
    filed: tuple = ()
    bogus: tuple = ()
    secrets: dict = field(default_factory=dict)
    own: Own = None
    world: object = None
    validation: bool = None
    refusal: str = None
    by_daemon: bool = False

    @property
    def key(self):
        """The label of its domains."""
        return self.run.__name__.replace("_", "-")

    def __str__(self):
        return f"{self.line} / {self.part}"

    def full_name(self, name):
        """A relative name stands in the way's domain under cn."""
        if name.endswith("."):
            return self.fill(name)
        return f"{name}.{self.key}.cn." if name != "@" else f"{self.key}.cn."

    def fill(self, name):
        for top in ("cn", "com", "org"):
            name = name.replace("{" + top + "}", f"{self.key}.{top}")
        return name

    def suits(self, variant):
        return self.validation in (None, variant.validation)

    @contextlib.contextmanager
    def running_world(self, setup, variant):
        """The world that this way has for itself."""
        if self.world is not None:
            with self.world(setup, variant, self) as world:
                yield world
        else:
            with running_leak_world(setup, variant, [self], self.own) as world:
                yield world

    @property
    def is_alone(self):
        return self.own is not None or self.world is not None


def way(line, part, **fields):
    """Makes a way of the function that follows; the function is given a Probe.

    line: the beginning of one of LINES
    part: what of that line it is about
    cn, com: lines of zone files, of the zones KEY.cn and KEY.com, where KEY is the function's name.
        Both are signed. In them stand for an address: {secret} and {secret6} one that nobody else
        has, of a name that is blocked; {secret:TAG} the same one for the same tag; {real}, {real6}
        a gated one for names that are filed; {abroad}, {abroad6} one that is not gated.
        {cn}, {com}, {org} stand for KEY.cn and so on, without the dot at the end
    org: the same for KEY.org, an unsigned zone with a server of its own, whose name server is
        ns.KEY.org at {secret:ns}
    filed: names that are filed; relative ones in KEY.cn
    bogus: names, all of whose signatures are broken; relative ones in KEY.cn
    secrets: addresses that are secrets although no {secret} made them, {tag: address}
    own: an Own, if the way can't share its world with others
    world: a function (setup, variant, way) instead that makes another world altogether
    validation: True or False, if the way makes sense only with that
    """
    lines = [each for each in LINES if each.startswith(line)]
    assert len(lines) == 1, f"{line} begins {len(lines)} lines of the table"
    return lambda function: Way(function, lines[0], part, **fields)


def refused(line, part, says, **fields):
    """A way that the module does not allow: the resolver of the function's Own, which the function
    gives, must not start, and its one line must hold the text `says`.

    by_daemon: it is the daemon itself that refuses
    """
    return way(line, part, refusal=says, **fields)


def all_ways():
    """Those of all files leak_ways_*.py."""
    found = []
    for path in sorted(Path(__file__).parent.glob("leak_ways_*.py")):
        module = importlib.import_module(path.stem)
        found += [each for each in vars(module).values() if isinstance(each, Way)]
    keys = [each.key for each in found]
    assert len(keys) == len(set(keys)), "two ways have the same name"
    return sorted(found, key=lambda each: LINES.index(each.line))


class Tally:
    """What the ways have found, for the table at the end."""

    def __init__(self):
        self.rows = {}
        self.notes = []

    def add(self, the_way, variant, asked, leaked):
        row = self.rows.setdefault((variant.module, the_way.line, the_way.part), [0, 0])
        row[0] += asked
        row[1] += leaked

    def add_refusal(self, the_way):
        self.rows[True, the_way.line, the_way.part] = ["refused", "-"]

    def note(self, text):
        if text not in self.notes:
            self.notes.append(text)

    def table(self, module):
        """The lines of the table, in the order of LINES; numbers are sums over the variants."""
        parts = [(key[1:], row) for key, row in self.rows.items() if key[0] == module]
        parts.sort(key=lambda each: LINES.index(each[0][0]))
        width = max((len(part) for (_, part), _ in parts), default=0) + 2
        yield f"{'way':{width}} {'asked':>8} {'leaked':>8}"
        last = None
        for (line, part), row in parts:
            if line != last:
                yield line
                last = line
            yield f"  {part:{width - 2}} {row[0]:>8} {row[1]:>8}"

    def print(self, reporter):
        for module, title in ((True, "with the module"), (False, "without the module, to compare")):
            if any(key[0] == module for key in self.rows):
                reporter.section(f"leaks {title}")
                for line in self.table(module):
                    reporter.write_line(line)
        for text in self.notes:
            reporter.write_line(text)


class Pending:
    """A query that is under way on a UDP socket."""

    def __init__(self, each, query_id, give_back, look):
        self.socket = each
        self.query_id = query_id
        self.give_back = give_back
        self.look = look

    def is_answered(self):
        return bool(select.select([self.socket], [], [], 0)[0])

    def response(self, timeout=ANSWER_SECONDS):
        """Waits for the answer, and looks at it."""
        deadline = time.monotonic() + timeout
        while True:
            left = max(0, deadline - time.monotonic())
            if not select.select([self.socket], [], [], left)[0]:
                self.socket.close()
                raise dns.exception.Timeout(timeout=timeout)
            wire = self.socket.recv(65535)
            if int.from_bytes(wire[:2], "big") == self.query_id:
                self.give_back()
                return self.look(wire)


class Probe:
    """Asks on behalf of one way, and looks at what comes.

    asked: how many answers were looked at
    leaks: a text for each answer that held the address of a blocked name
    """

    def __init__(self, the_way, world, tally):
        self.way = the_way
        self.world = world
        self.tally = tally
        self.secrets = world.secrets[the_way.key]
        self.threads = range(world.variant.threads)
        self.validation = world.variant.validation
        self.has_module = world.variant.module
        self.asked = 0
        self.leaks = []
        self.turn = 0
        self.answered_before = world.sockets.answered()

    # Asking

    def send(self, name, rdtype="A", thread=None, via="udp", allowed=(), **how):
        """Sends a query to a thread, without waiting. See `ask` and `query` for the rest."""
        query = self.query(name, rdtype, **how)
        sockets = self.world.sockets
        if via == "snoop":
            each = sockets.make(SNOOPER)
            give_back = each.close
        else:
            thread = self.next_thread() if thread is None else thread
            each = sockets.take(thread)
            give_back = functools.partial(sockets.give_back, thread, each)
        each.send(query.to_wire())
        told = f"by {via} to thread {thread}, {how}"
        return Pending(each, query.id, give_back, lambda wire: self.look(wire, told, allowed))

    def ask(self, name, rdtype="A", via="udp", thread=None, allowed=(), **how):
        """Asks every thread for a name, or one; returns the last answer.

        via: udp; tcp, tls, https (one thread, which one is left open); snoop: UDP from an address
            that may ask without recursion, also one thread
        allowed: addresses that may be in the answer although they are secrets
        """
        if via == "snoop":
            return self.send(name, rdtype, None, via, allowed, **how).response()
        if via != "udp":
            exchange = {"tcp": self.by_tcp, "tls": self.by_tls, "https": self.by_https}[via]
            wire = exchange(self.query(name, rdtype, **how).to_wire())
            return self.look(wire, f"by {via}, {how}", allowed)
        threads = [thread]
        if thread is None:
            # Each thread is the first one to be asked now and then.
            first = self.next_thread()
            threads = [(first + number) % len(self.threads) for number in self.threads]
        for number in threads:
            response = self.send(name, rdtype, number, via, allowed, **how).response()
        return response

    def expect_blocked(self, name, rdtype="A", **how):
        """The same, and the answer must be the block page's. Only for A and AAAA."""
        before = len(self.leaks)
        response = self.ask(name, rdtype, **how)
        if self.has_module and len(self.leaks) == before:
            with shown(response):
                assert_blocked(response, self.way.full_name(name).rstrip("."), rdtype)
        return response

    def expect_real(self, name, rdtype="A", addresses=(OURS,), **how):
        """The same, and the answer must hold these addresses; they may be secrets here."""
        response = self.ask(name, rdtype, allowed=tuple(addresses), **how)
        with shown(response):
            assert_passed(response, addresses)
        return response

    def query(
        self,
        name,
        rdtype,
        rdclass="IN",
        payload=1232,
        options=(),
        cd=False,
        rd=True,
        do=False,
        ad=False,
    ):
        """payload: what the client says it can take over UDP; None: it sends no EDNS"""
        query = dns.message.make_query(
            self.way.full_name(name),
            rdtype,
            rdclass,
            use_edns=-1 if payload is None else 0,
            payload=payload,
            want_dnssec=do,
            options=list(options) or None,
        )
        flags = {dns.flags.RD: rd, dns.flags.CD: cd, dns.flags.AD: ad}
        query.flags = sum(flag for flag, is_set in flags.items() if is_set)
        return query

    def next_thread(self):
        self.turn += 1
        return self.turn % len(self.threads)

    @contextlib.contextmanager
    def connection(self, port=None):
        """A TCP connection to the resolver."""
        where = ("127.0.0.1", port or self.world.unbound.port)
        with socket.create_connection(where, ANSWER_SECONDS) as stream:
            yield stream

    def by_tcp(self, wire):
        with self.connection() as stream:
            return exchange_on_stream(stream, wire)

    def by_tls(self, wire):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        with self.connection(self.world.tls_port) as stream, context.wrap_socket(stream) as safe:
            return exchange_on_stream(safe, wire)

    def by_https(self, wire):
        with self.connection(self.world.https_port) as stream:
            return doh.exchange(stream, wire)

    # Looking

    def look(self, wire, how="", allowed=()):
        """Counts an answer, and searches it for the addresses of blocked names; returns it parsed.

        The octets of an address can't be missed, in whatever record or option they stand. Only the
        numbers of DNSSEC are left out, where any octets can come by chance.
        """
        response = dns.message.from_wire(wire)
        rest = without_signatures(wire, response)
        found = [
            f"{address} ({tag})"
            for tag, address in self.secrets.items()
            if address not in allowed and octets_of(address) in rest
        ]
        self.asked += 1
        if found:
            asked = response.question[0].to_text() if response.question else "no question"
            self.leaks.append(f"{asked}: {', '.join(found)}; {how}\n{response}")
        return response

    # The world

    def address(self, tag):
        """The secret with a tag."""
        return self.secrets[tag]

    def note(self, text):
        """A line below the table, once."""
        self.tally.note(f"{self.way}: {text}")

    def report(self):
        """The leaks: a line for each, and the first answer whole."""
        lines = [leak.splitlines()[0] for leak in self.leaks]
        return "\n".join([f"{len(lines)} leaks", *dict.fromkeys(lines), "", self.leaks[0]])

    def assert_all_threads_answered(self):
        """Since the probe was made."""
        answered = self.world.sockets.answered()
        assert all(now > before for now, before in zip(answered, self.answered_before)), answered


@contextlib.contextmanager
def shown(response):
    """A failure in it tells the whole answer."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(f"{error}\nin\n{response}") from None


def octets_of(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def without_signatures(wire, response):
    for section in (response.answer, response.authority, response.additional):
        for rrset in section:
            for rdata in rrset:
                if rrset.rdtype == dns.rdatatype.RRSIG:
                    wire = wire.replace(rdata.signature, b"")
                elif rrset.rdtype == dns.rdatatype.DNSKEY:
                    wire = wire.replace(rdata.key, b"")
    return wire

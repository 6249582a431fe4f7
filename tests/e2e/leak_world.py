# SPDX-License-Identifier: BSD-3-Clause
"""The world of the leak tests: signed zones in which every blocked name has an address of its own,
and a resolver with one or two threads, whose clients know which thread they reach."""

import contextlib
import re
import select
import socket
import struct
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import dns.message
import pytest

from harness import (
    ANSWER_SECONDS,
    START_SECONDS,
    HoldingRelay,
    Nsd,
    Unbound,
    find_program,
    free_port,
    start,
    wait_until,
)
from signing import sign_zone, trust_anchor
from world import ABROAD, ABROAD6, OURS, OURS6, SECOND_SERVER, Site, row, zone

# What has this address as a client may ask without recursion.
SNOOPER = "127.0.0.3"
SOCKETS_PER_THREAD = 8
FIRST_SECRET = 2  # of 192.0.2.0/24; the one before it is OURS
SECRETS = 253


@dataclass(frozen=True)
class Variant:
    threads: int
    validation: bool
    module: bool = True

    def __str__(self):
        words = [f"{self.threads} thread{'s' if self.threads > 1 else ''}"]
        words += ["validation on" if self.validation else "validation off"]
        words += [] if self.module else ["no module"]
        return ", ".join(words)


@dataclass(frozen=True)
class Own:
    """What a world that one way has for itself has beyond that of the others.

    server: lines of unbound.conf's server clause; other clauses may follow in them. {directory}
        stands for the resolver's directory, {relay} for where the server of cn and org is asked,
        {secret}, {cn} and so on for what they are in records
    changes: to icpgate's SETTINGS
    modules: those between dynlib and validator
    clock: the resolver goes by world.clock
    com_host: the name of the host that serves com, which the resolver has to look up; its address is
        SECOND_SERVER
    files: {name: text} in the resolver's directory, with the same words as in lines
    options: more arguments of Unbound, as {"program": path}
    """

    server: tuple = ()
    changes: dict = field(default_factory=dict)
    modules: tuple = ()
    clock: bool = False
    com_host: str = None
    files: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Setup:
    """What tests are given to make worlds of."""

    tmp_path_factory: pytest.TempPathFactory
    commands: object
    module: object
    clock: object


class Zones:
    """The records, rows and addresses of some ways. Each way has its own domains in the zones cn
    and com, and a zone of its own under org whose name server has a blocked name."""

    def __init__(self, ways):
        self.secrets = {way.key: dict(way.secrets) for way in ways}
        self.count = 0
        self.count6 = 0
        self.lines = {"cn": [], "com": []}
        self.org = {}
        self.rows = []
        self.bogus = []
        for way in ways:
            self.add(way)

    def add(self, way):
        for top in ("cn", "com"):
            lines = [self.fill(way, line) for line in getattr(way, top)]
            if lines:
                self.lines[top] += [f"$ORIGIN {way.key}.{top}.", *lines]
        if way.org:
            lines = [self.fill(way, line) for line in way.org]
            server = ("ns", self.fill(way, "A {secret:ns}"))
            self.org[f"{way.key}.org"] = zone(f"{way.key}.org", lines, server)
        self.rows += [row(way.full_name(name).rstrip(".")) for name in way.filed]
        self.bogus += [way.full_name(name) for name in way.bogus]

    def fill(self, way, text):
        """Puts addresses and names in place of words in braces."""
        fixed = {
            "real": OURS,
            "real6": OURS6,
            "abroad": ABROAD,
            "abroad6": ABROAD6,
            **{top: f"{way.key}.{top}" for top in ("cn", "com", "org")},
        }

        def replace(match):
            word, tag = match[1], match[2]
            return fixed[word] if word in fixed else self.secret(way, word, tag)

        return re.sub(r"\{(\w+)(?::([\w-]+))?\}", replace, text)

    def secret(self, way, kind, tag):
        """An address of its own, or the one that the way's tag stands for."""
        known = self.secrets[way.key]
        tag = tag or f"number {len(known)}"
        if tag not in known:
            if kind == "secret6":
                self.count6 += 1
                known[tag] = f"2001:db8:1:beef:{self.count6:x}:cafe:dead:fade"
            else:
                assert kind == "secret" and self.count < SECRETS, f"no address for {{{kind}}}"
                known[tag] = f"192.0.2.{FIRST_SECRET + self.count}"
                self.count += 1
        return known[tag]

    def signed(self, top):
        text = zone(top, self.lines[top])
        bogus = [name for name in self.bogus if name.endswith(f".{top}.")]
        return sign_zone(text, top + ".", bogus)


class Sockets:
    """UDP sockets on the client's side, each known to reach one thread of the resolver: the kernel
    chooses the thread by the ports alone."""

    def __init__(self, unbound, threads):
        self.unbound = unbound
        self.free = [[] for _ in range(threads)]
        for thread in range(threads):
            self.fill(thread, SOCKETS_PER_THREAD)

    def fill(self, thread, count):
        """Makes sockets until so many are free that reach a thread."""
        for _ in range(100 * count):
            if len(self.free[thread]) >= count:
                return
            each = self.make()
            self.free[self.thread_of(each) if len(self.free) > 1 else 0].append(each)
        raise AssertionError(f"thread {thread} of the resolver gets no query")

    def make(self, source="127.0.0.1"):
        """A socket that reaches some thread."""
        each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        each.bind((source, 0))
        each.connect(("127.0.0.1", self.unbound.port))
        return each

    def thread_of(self, each):
        """Queries of the way itself may be counted at the same time: then it is asked again."""
        query = dns.message.make_query("localhost.", "A").to_wire()
        for _ in range(50):
            before = self.answered()
            each.send(query)
            assert select.select([each], [], [], ANSWER_SECONDS)[0], "localhost. is not answered"
            each.recv(65535)
            after = self.answered()
            grown = [number for number in range(len(after)) if after[number] > before[number]]
            if len(grown) == 1:
                return grown[0]
        raise AssertionError(f"which thread has been asked? {before}, {after}")

    def answered(self):
        """How many queries each thread has had."""
        # As unbound-control does it, but without starting a process each time.
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.connect(str(self.unbound.directory / "control"))
            control.sendall(b"UBCT1 stats_noreset\n")
            stats = control.makefile("r", encoding="ascii").read()
        found = re.findall(r"^thread(\d+)\.num\.queries=(\d+)$", stats, re.M)
        return [int(count) for _, count in sorted((int(at), count) for at, count in found)]

    def take(self, thread):
        # Those of queries whose answers nobody fetched are lost.
        self.fill(thread, 1)
        return self.free[thread].pop()

    def give_back(self, thread, each):
        self.free[thread].append(each)

    def close(self):
        for each in sum(self.free, []):
            each.close()


@dataclass
class LeakWorld:
    """`relay` stands in front of the zone cn and those under org; com is asked directly, over TCP
    too. `secrets` holds {tag: address} of each way, by its key."""

    variant: Variant
    directory: object
    site: Site
    relay: HoldingRelay
    unbound: Unbound
    secrets: dict
    tls_port: int
    https_port: int
    clock: object = None
    sockets: Sockets = None


def module_chain(variant, modules=()):
    chain = ["dynlib"] if variant.module else []
    chain += [*modules, "validator"] if variant.validation else modules
    return 'module-config: "' + " ".join([*chain, "iterator"]) + '"'


def usual_lines(variant, modules=(), anchors=("cn.", "com.")):
    """Of the server clause, for a variant."""
    lines = [module_chain(variant, modules), f"num-threads: {variant.threads}"]
    lines += [f"access-control: {SNOOPER}/32 allow_snoop", "trust-anchor-signaling: no"]
    if variant.validation:
        lines += [trust_anchor(origin) for origin in anchors]
    return lines


def encryption_lines(directory, tls_port, https_port):
    """For DNS over TLS, and over HTTP if the resolver can do that."""
    key, certificate = make_certificate(directory)
    lines = [f'tls-service-key: "{key}"', f'tls-service-pem: "{certificate}"']
    lines += [f"tls-port: {tls_port}", f"interface: 127.0.0.1@{tls_port}"]
    if https_port:
        lines += [f"https-port: {https_port}", f"interface: 127.0.0.1@{https_port}"]
        lines += ["http-notls-downstream: yes"]
    return lines


def make_certificate(directory):
    """Paths of a key and a certificate that it signed itself."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.utcnow()
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    key_path, certificate_path = directory / "tls.key", directory / "tls.pem"
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    certificate_path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    return key_path, certificate_path


def can_do_https(program):
    """Whether the daemon is linked with the library that it needs for HTTP."""
    return b"nghttp2_session_server_new" in program.read_bytes()


def begin(stack, server):
    """Puts a server into an ExitStack, which stops it; does not wait until it answers."""
    stack.callback(server.stop)
    return server


def wait_until_it_answers(server):
    """As its wait_ready, but it loses no time with queries that come too early."""
    query = dns.message.make_query("localhost.", "A").to_wire()

    def answers():
        assert server.is_running(), f"{server.name} ended at start:\n{server.log[-3000:]}"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.settimeout(ANSWER_SECONDS)
            probe.connect((server.address, server.port))
            with contextlib.suppress(ConnectionRefusedError, TimeoutError):
                probe.send(query)
                return probe.recv(65535)

    wait_until(answers, START_SECONDS, f"{server.name} answers")


@contextlib.contextmanager
def running_leak_world(setup, variant, ways, own=Own()):
    """A world that holds the records of some ways."""
    zones = Zones(ways)
    directory = setup.tmp_path_factory.mktemp("leaks")
    program = own.options.get("program") or find_program("ICP_UNBOUND", "unbound")
    with contextlib.ExitStack() as stack:
        first = begin(stack, Nsd(directory, {"cn": zones.signed("cn"), **zones.org}))
        second = begin(stack, Nsd(directory, {"com": zones.signed("com")}, SECOND_SERVER))
        relay = start(stack, HoldingRelay(first))
        stubs = [(origin, f"stub-addr: 127.0.0.1@{relay.port}") for origin in ["cn", *zones.org]]
        com_server = f"stub-addr: {SECOND_SERVER}"
        if own.com_host:
            com_server = "stub-host: " + zones.fill(ways[0], own.com_host)
        stubs += [("com", f"{com_server}@{second.port}")]
        site = Site(setup.commands, directory, zones.rows, own.changes)
        site.load()
        tls_port, https_port = free_port(), can_do_https(program) and free_port()
        lines = usual_lines(variant, own.modules)
        lines += encryption_lines(directory, tls_port, https_port)
        for name, text in own.files.items():
            (directory / name).write_text(zones.fill(ways[0], text), encoding="ascii")
        for line in own.server:
            line = line.replace("{directory}", str(directory))
            line = line.replace("{relay}", f"127.0.0.1@{relay.port}")
            lines.append(zones.fill(ways[0], line))
        if own.clock:
            setup.clock.write(0)
            setup.clock.install(stack.enter_context(pytest.MonkeyPatch.context()))
        module = setup.module if variant.module else None
        unbound = Unbound(directory, stubs, module, site.conf, lines, **own.options)
        begin(stack, unbound)
        for server in (first, second, unbound):
            wait_until_it_answers(server)
        world = LeakWorld(
            *(variant, directory, site, relay, unbound, zones.secrets, tls_port, https_port),
            clock=setup.clock if own.clock else None,
        )
        with running_sockets(world):
            yield world
        assert unbound.is_running(), f"the resolver ended:\n{unbound.log[-3000:]}"


@contextlib.contextmanager
def running_sockets(world):
    """Gives a world its sockets."""
    world.sockets = Sockets(world.unbound, world.variant.threads)
    try:
        yield
    finally:
        world.sockets.close()


def exchange_on_stream(stream, wire):
    """One query and its answer on a connection."""
    stream.sendall(struct.pack("!H", len(wire)) + wire)
    (length,) = struct.unpack("!H", read_octets(stream, 2))
    return read_octets(stream, length)


def read_octets(stream, count):
    data = b""
    while len(data) < count:
        more = stream.recv(count - len(data))
        assert more, "the resolver closed the connection"
        data += more
    return data

# SPDX-License-Identifier: BSD-3-Clause
"""All real names, once each, against the real range database: every answer is checked."""

import ipaddress
import random
import select
import socket
import time
from contextlib import ExitStack

import dns.message
import dns.name
import maxminddb
import pytest

from commands import write_config, write_feed
from harness import Nsd, Unbound, start
from oracle import parents
from world import BLOCK4

SEED = 20261123
SHARE_FILED = 0.5
SHARE_ABROAD = 0.1
WINDOW = 100
PROVIDERS = ["qcloud", "acloud"]


class Data:
    """Names, where each points, and who is filed."""

    def __init__(self, directory):
        rng = random.Random(SEED)
        self.database = directory / "country.mmdb"
        text = (directory / "cn-domains.txt").read_text(encoding="ascii")
        self.names = text.split()
        mainland, abroad = sample_addresses(self.database, rng)
        self.address = {
            name: rng.choice(abroad if rng.random() < SHARE_ABROAD else mainland)
            for name in self.names
        }
        self.mainland = set(mainland)
        # A single label is a top-level domain: it can be asked for, but nobody can file it.
        self.filed = {
            name: rng.choice(PROVIDERS)
            for name in self.names
            if "." in name and rng.random() < SHARE_FILED
        }

    def expected(self, name):
        """Verdict, reason and covering domain: the rules as far as this data needs them."""
        covering = next((parent for parent in parents(name) if parent in self.filed), None)
        if self.address[name] not in self.mainland:
            return "pass", "not-gated", covering
        return ("pass", "filed", covering) if covering else ("block", "unfiled", covering)


def sample_addresses(database, rng):
    """Some addresses that the database says are mainland, and some that it says are not."""
    mainland, abroad = [], []
    with maxminddb.open_database(str(database)) as reader:
        while len(mainland) < 2000:
            address = ipaddress.IPv4Address(rng.randrange(0x01000000, 0xDF000000))
            record = reader.get(str(address)) or {}
            is_mainland = record.get("country_code") == "CN"
            if address.is_global and str(address) != BLOCK4:
                (mainland if is_mainland else abroad).append(str(address))
    return mainland, abroad


@pytest.fixture(scope="module")
def data(shared_data):
    data = Data(shared_data)
    assert len(data.names) == len(set(data.names)) == 110769
    return data


@pytest.fixture(scope="module")
def conf(data, commands, tmp_path_factory):
    """A configuration with the real database and a store of the filed names."""
    directory = tmp_path_factory.mktemp("realdata")
    conf = directory / "icpgate.conf"
    settings = {
        "store": str(directory / "store"),
        "scope": "mainland",
        "lease": 2,
        "ranges": {
            "database": str(data.database),
            "mainland": {"path": ["country_code"], "equals": "CN"},
        },
        "block": {"ipv4": BLOCK4},
    }
    write_config(conf, settings)
    rows = [
        {"domain": name, "provider": provider, "status": "filed", "number": "京ICP备11018762号-1"}
        for name, provider in data.filed.items()
    ]
    write_feed(directory / "feed.csv", rows)
    commands.load_full(conf, directory / "feed.csv")
    return conf


def root_zone(data):
    """One zone for all names; names of a top-level domain and below it stand beside each other."""
    lines = ["$TTL 86400", ". SOA a.root. h.root. 1 3600 900 86400 60", ". NS a.root."]
    lines += [f"{name}. A {address}" for name, address in data.address.items()]
    return "\n".join(lines) + "\n"


def ask_all(port, packets):
    """Asks all queries with a window of them on their way; yields (number, answer packet).

    A query's number is its ID within a slice of 65,536, so each answer finds its query.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        sender.connect(("127.0.0.1", port))
        sender.setblocking(False)
        waiting = {}
        following = 0
        while following < len(packets) or waiting:
            while following < len(packets) and len(waiting) < WINDOW:
                query_id = (following & 0xFFFF).to_bytes(2, "big")
                assert query_id not in waiting
                waiting[query_id] = following
                sender.send(query_id + packets[following][2:])
                following += 1
            ready, _, _ = select.select([sender], [], [], 5)
            assert ready, f"{len(waiting)} queries were lost"
            while True:
                try:
                    packet = sender.recv(4096)
                except BlockingIOError:
                    break
                yield waiting.pop(packet[:2]), packet


def only_address(query, packet):
    """The address in an answer of exactly one A record at the query name; NOERROR."""
    assert packet[3] & 0x0F == 0, "an error code"
    assert packet[6:8] == b"\0\1", "not one record in the answer"
    end = len(query)
    record = packet[end:]
    assert record[:2] == b"\xc0\x0c" and record[2:6] == b"\0\1\0\1", "not an A record"
    assert record[10:12] == b"\0\4"
    return socket.inet_ntoa(record[12:16])


def make_query(name):
    """An A query without EDNS; its ID is put in later."""
    return dns.message.make_query(dns.name.from_text(name), "A").to_wire()


def test_every_name_through_the_resolver(data, conf, module, tmp_path):
    top = sorted({name.rsplit(".", 1)[-1] for name in data.names})
    with ExitStack() as stack:
        nsd = start(stack, Nsd(tmp_path, {".": root_zone(data)}))
        stubs = [(label, f"stub-addr: 127.0.0.1@{nsd.port}") for label in top]
        lines = ["num-threads: 1", "msg-cache-size: 64m", "rrset-cache-size: 128m"]
        unbound = start(stack, Unbound(tmp_path, stubs, module, conf, lines))
        packets = [make_query(name) for name in data.names]
        # Cold, then from the cache: with the lease over, and from what the module keeps.
        for turn in ("cold", "cached"):
            begin = time.monotonic()
            wrong = []
            answered = 0
            for number, packet in ask_all(unbound.port, packets):
                name = data.names[number]
                verdict, _, _ = data.expected(name)
                want = BLOCK4 if verdict == "block" else data.address[name]
                got = only_address(packets[number], packet)
                answered += 1
                if got != want:
                    wrong.append(f"{name}: {got} instead of {want}")
            rate = answered / (time.monotonic() - begin)
            print(f"{turn}: {answered} answers, {rate:,.0f} a second")
            assert answered == len(data.names)
            assert not wrong, f"{turn}: {len(wrong)} answers are wrong, as {wrong[:5]}"


def test_every_name_through_the_command(data, conf, commands):
    lines = [f"{name} {data.address[name]}" for name in data.names]
    answers = commands.lookup_lines(conf, lines)
    assert len(answers) == len(data.names)
    for name, answer in zip(data.names, answers):
        got = (answer["verdict"], answer["reason"], answer["covering"])
        assert got == data.expected(name), name

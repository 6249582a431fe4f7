# SPDX-License-Identifier: BSD-3-Clause
"""A world for a test: zones, address ranges, a store with rows, and the servers on top of them."""

import copy
from contextlib import ExitStack, contextmanager

import dns.edns
import dns.flags
import dns.rcode
import dns.rdatatype

from commands import write_config, write_feed
from harness import HoldingRelay, Nsd, Unbound, start

BLOCK4 = "203.0.113.80"
BLOCK6 = "2001:db8::80"
BLOCK_TTL = 17
BLOCK_TEXT = "https://beian.example.cn"
LEASE = 2
# A new generation and a new range database are looked for once a second.
LOOK = 1
# What a loaded machine may add.
SLACK = 1.5
ZONE_TTL = 300

# Whose the addresses are: the provider under test, another one in the mainland, and abroad.
OURS, OURS2, OURS6 = "192.0.2.1", "192.0.2.2", "2001:db8:1::1"
THEIRS = "198.51.100.1"
ABROAD, ABROAD6 = "198.18.0.1", "2001:db8:2::1"
SECOND_SERVER = "127.0.0.2"
RANGES = [
    ("192.0.2.0/24", "CN", "qcloud"),
    ("2001:db8:1::/48", "CN", "qcloud"),
    ("198.51.100.0/24", "CN", "acloud"),
    ("198.18.0.0/15", "HK", ""),
    ("2001:db8:2::/48", "US", "qcloud"),
    (SECOND_SERVER + "/32", "CN", "qcloud"),
]
SETTINGS = {
    "mode": "enforce",
    "scope": "provider",
    "providers": ["qcloud"],
    "ranges": {
        "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
        "provider": {"path": ["provider"]},
    },
    "block": {"ipv4": BLOCK4, "ipv6": BLOCK6, "ttl": BLOCK_TTL, "text": BLOCK_TEXT},
    "lease": LEASE,
}


def zone(origin, lines, name_server=("ns", "A 127.0.0.1")):
    """A zone file; the lines are relative to the origin.

    name_server: its name and, if it stands in the zone, its address record
    """
    host, address = name_server
    head = [
        f"$ORIGIN {origin.rstrip('.')}.",
        f"$TTL {ZONE_TTL}",
        f"@ SOA {host} hostmaster 1 3600 900 86400 60",
        f"@ NS {host}",
    ]
    if address:
        head.append(f"{host} {address}")
    return "\n".join([*head, *lines]) + "\n"


def row(domain, provider="qcloud", status="filed", number="京ICP备11018762号-1", **columns):
    """A row of the feed."""
    return {
        "domain": domain,
        "provider": provider,
        "status": status,
        "number": number,
        **columns,
    }


class Site:
    """Configuration, range database and store in one directory."""

    def __init__(self, commands, directory, rows, changes=None):
        """changes: to the settings; a value None takes the key out"""
        self.commands = commands
        self.directory = directory
        self.rows = {(r["domain"], r["provider"]): r for r in rows}
        self.conf = directory / "icpgate.conf"
        self.store = directory / "store"
        self.ranges = commands.compile_ranges(directory, RANGES)
        settings = copy.deepcopy(SETTINGS)
        settings["store"] = str(self.store)
        settings["ranges"]["database"] = str(self.ranges)
        merge(settings, changes or {})
        write_config(self.conf, settings)

    def load(self):
        """Makes a generation of the rows."""
        feed = self.directory / "feed.csv"
        write_feed(feed, self.rows.values())
        self.commands.load_full(self.conf, feed)

    def add(self, *rows):
        self.rows.update({(r["domain"], r["provider"]): r for r in rows})
        self.load()

    def remove(self, domain, provider="qcloud"):
        del self.rows[domain, provider]
        self.load()


def merge(settings, changes):
    for key, value in changes.items():
        if value is None:
            settings.pop(key, None)
        elif isinstance(value, dict):
            merge(settings.setdefault(key, {}), value)
        else:
            settings[key] = value


class World:
    """`site`, `relay` (in front of the zone cn) and `unbound`, up and running."""

    def __init__(self, site, relay, unbound):
        self.site = site
        self.relay = relay
        self.unbound = unbound
        self.ask = unbound.ask

    def addresses(self, name, rdtype="A", **options):
        return addresses(self.ask(name, rdtype, **options))

    def asked_upstream(self):
        return len(self.relay.asked)

    def is_blocked(self, name):
        return self.addresses(name) == [BLOCK4]


@contextmanager
def running_world(
    directory, commands, module, cn, com=(), rows=(), changes=None, server_lines=(), load=True
):
    """
    cn, com: records of the zones cn and com; they stand on two servers
    rows: of the first generation; none is made with load=False
    changes: to SETTINGS
    server_lines: more lines of unbound.conf's server clause
    """
    with ExitStack() as stack:
        first = start(stack, Nsd(directory, {"cn": zone("cn", cn)}))
        second = start(stack, Nsd(directory, {"com": zone("com", com)}, SECOND_SERVER))
        relay = start(stack, HoldingRelay(first))
        site = Site(commands, directory, rows, changes)
        if load:
            site.load()
        stubs = [
            ("cn", f"stub-addr: 127.0.0.1@{relay.port}"),
            ("com", f"stub-addr: {SECOND_SERVER}@{second.port}"),
        ]
        unbound = start(stack, Unbound(directory, stubs, module, site.conf, server_lines))
        yield World(site, relay, unbound)
        assert unbound.is_running(), f"the resolver ended:\n{unbound.log[-3000:]}"


def addresses(response):
    """The addresses of an answer, in order of their text."""
    return sorted(
        rdata.address
        for rrset in response.answer
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA)
        for rdata in rrset
    )


def assert_blocked(response, name, rdtype="A"):
    """The block page's address, at the name itself, and nothing else."""
    assert response.rcode() == dns.rcode.NOERROR
    assert len(response.answer) == 1, response
    rrset = response.answer[0]
    assert rrset.name.to_text(omit_final_dot=True).lower() == name.lower()
    assert dns.rdatatype.to_text(rrset.rdtype) == rdtype
    assert [rdata.address for rdata in rrset] == [BLOCK4 if rdtype == "A" else BLOCK6]
    assert rrset.ttl == BLOCK_TTL
    assert not response.authority and not response.additional, response
    assert response.flags & dns.flags.QR and response.flags & dns.flags.RA
    assert not response.flags & dns.flags.AD
    assert not response.flags & dns.flags.AA


def assert_passed(response, expected):
    assert response.rcode() == dns.rcode.NOERROR
    assert addresses(response) == sorted(expected), response


def ede(response):
    """The extended error of an answer as (code, text), or None."""
    for option in response.options:
        if isinstance(option, dns.edns.EDEOption):
            return int(option.code), option.text
    return None

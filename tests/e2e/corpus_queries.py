# SPDX-License-Identifier: BSD-3-Clause
"""Random queries, from a seed, for the names of the corpus and for names beside them."""

import random
import struct
from collections import namedtuple

import dns.edns
import dns.flags
import dns.name
import dns.rdataclass
import dns.rdatatype

from corpus import HIDDEN, LAME

# wire: the packet with its ID; about: flags, EDNS and transport in words
Query = namedtuple("Query", "name rdtype wire tcp about")

COMMON = "A AAAA HTTPS SVCB MX TXT NS SOA SRV CAA PTR DS DNSKEY CNAME ANY".split()
RARE = """NAPTR SSHFP TLSA LOC HINFO URI RP AFSDB KX APL EUI48 SMIMEA OPENPGPKEY CERT DHCID CDS
    CDNSKEY DNAME NSEC NSEC3 NSEC3PARAM RRSIG SPF TYPE65280 TYPE65281 AXFR IXFR MAILB OPT TSIG
    NULL TYPE0""".split()
# Names that the resolver answers by itself, or that no zone holds.
OTHERS = [
    *[("localhost.", "A"), ("1.0.0.127.in-addr.arpa.", "PTR"), ("a.test.", "A")],
    *[("10.in-addr.arpa.", "SOA"), ("nosuchtop.", "A"), ("a.nosuchtop.", "HTTPS")],
    *[("nosuchzone.cn.", "A"), ("a.b.nosuchzone.com.", "MX"), (f"www.{LAME}.", "A")],
    *[(f"www.{LAME}.", "AAAA"), (f"{LAME}.", "MX")],
]
CHAOS = ["version.bind.", "hostname.bind.", "id.server.", "nothing.bind."]
SIZES = [512, 1232, 4096, 65535, 0]
OPTIONS = [
    (3, b""),  # NSID
    (10, bytes(8)),  # cookie of a client
    (12, bytes(20)),  # padding
    (8, b"\0\1\x18\0\xc6\x12\0"),  # client subnet
    (11, b""),  # TCP keepalive
    (65001, b"unknown"),
    (14, b"\x4f\x66"),  # key tag
]


def owned(zones):
    """(name, type) of all records of the zones."""
    found = {}
    for zone in zones:
        if zone.origin == HIDDEN:
            continue
        found[zone.fqdn("@"), "SOA"] = found[zone.fqdn("@"), "NS"] = None
        for record in zone.records:
            words = record.split()
            rdtype = words[2] if words[1].isdigit() else words[1]
            found[zone.fqdn(words[0]), rdtype] = None
    return list(found)


def beside(rng, name):
    """A name near a given one: an instance of a wildcard, below it, above it, or beside it."""
    if name.startswith("*.") and rng.random() < 0.9:
        return rng.choice(["x", "y", "www", "a.b", "*"]) + name[1:]
    kind = rng.random()
    if kind < 0.4:
        return rng.choice(["nothing", "www", "a", "a.b.c", "_443._tcp"]) + "." + name.lstrip(".")
    head, _, tail = name.partition(".")
    if kind < 0.6 or "\\" in head or not tail:
        return name
    return tail if kind < 0.8 else f"{rng.choice(['zz', 'aa', head[:-1] + '0'])}.{tail}"


class Generator:
    """Draws queries. Each is new, or like one that was drawn before, with other flags."""

    def __init__(self, zones, seed):
        self.rng = random.Random(seed)
        self.owned = owned(zones)
        self.drawn = []
        self.wires = {}

    def question(self):
        kind = self.rng.random()
        if self.drawn and kind < 0.35:
            return self.rng.choice(self.drawn[-400:])
        if kind < 0.37:
            return self.rng.choice(OTHERS)
        name, rdtype = self.rng.choice(self.owned)
        leads_on = name.startswith("*.") or rdtype in ("CNAME", "DNAME")
        if name.startswith("*.") or kind > 0.85:
            name = beside(self.rng, name)
        choice = self.rng.random()
        if choice < 0.45:
            rdtype = self.rng.choice(COMMON)
        elif choice < 0.55:
            rdtype = self.rng.choice(RARE)
        if rdtype == "ANY" and leads_on:
            # Unbound answers all, nothing or SERVFAIL, depending on the NSEC and targets it holds.
            rdtype = "TXT"
        return name, rdtype

    def draw(self):
        question = self.question()
        self.drawn.append(question)
        return self.query(*question)

    def query(self, name, rdtype):
        """A query with random flags, letter case, EDNS and transport."""
        rng = self.rng
        flags, about = 0, []
        for flag, share in ((dns.flags.RD, 0.93), (dns.flags.CD, 0.15), (dns.flags.AD, 0.3)):
            if rng.random() < share:
                flags |= flag
                about.append(flag.name)
        rdclass = dns.rdataclass.IN
        if rng.random() < 0.005:
            name, rdtype, rdclass = rng.choice(CHAOS), "TXT", dns.rdataclass.CH
        extra = self.edns(about) if rng.random() < 0.85 else b""
        tcp = rng.random() < 0.05
        if tcp:
            about.append("tcp")
        header = struct.pack("!6H", rng.getrandbits(16), flags, 1, 0, 0, 1 if extra else 0)
        question = self.owner(name) + struct.pack("!2H", dns.rdatatype.from_text(rdtype), rdclass)
        return Query(name, rdtype, header + question + extra, tcp, " ".join(about))

    def owner(self, name):
        if name not in self.wires:
            self.wires[name] = dns.name.from_text(name).to_wire()
        wire = self.wires[name]
        if self.rng.random() < 0.8:
            return wire
        # Length octets are below 64, so no letters.
        return bytes(
            c ^ 0x20 if bytes([c]).isalpha() and self.rng.random() < 0.5 else c for c in wire
        )

    def edns(self, about):
        rng = self.rng
        size = rng.choice(SIZES)
        version = 1 if rng.random() < 0.01 else 0
        do = rng.random() < 0.5
        data = b""
        if rng.random() < 0.15:
            for code, value in rng.sample(OPTIONS, rng.choice([1, 1, 2])):
                data += struct.pack("!2H", code, len(value)) + value
                about.append(f"option {code}")
        about.append(f"EDNS({version}) {size}" + (" DO" if do else ""))
        flags = (version << 16) | (0x8000 if do else 0)
        return b"\0" + struct.pack("!2HIH", dns.rdatatype.OPT, size, flags, len(data)) + data

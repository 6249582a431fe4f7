# SPDX-License-Identifier: BSD-3-Clause
"""What the stress test asks for, and what each answer may hold.

A domain is filed, never filed ("dark"), flips between the two, or is abroad: not gated. One that
moves is never filed and has an address now abroad, now gated. Each domain has addresses that no
other name has, so that an address in a packet tells whose it is.
"""

import ipaddress
import random
from dataclasses import dataclass, field

import dns.name
import dns.rdatatype

from signing import sign_zone
from world import RANGES as USUAL_RANGES
from world import row

# 198.18.0.0/16 stays abroad, as 2001:db8:2::/48.
RANGES = [*USUAL_RANGES, ("198.19.0.0/16", "CN", "qcloud")]
ALWAYS, NEVER = "always", "never"
HOME, ABROAD, BOTH = "home", "abroad", "both"
COUNTS = {"filed": 40, "dark": 50, "flips": 90, "abroad": 30, "moves": 20}
TYPES = ("A", "AAAA", "HTTPS", "MX", "ANY", "TXT")
# Data does not live long, so that caches are cold again and again.
TTLS = (0, 1, 1, 2, 3, 5)
KEY_TTL = 5


class Addresses:
    """An IPv4 and an IPv6 address, packed; `before` is what stands in the zone if they move."""

    def __init__(self, number, home):
        self.four, self.six = self.pair(number, home)
        self.before = self.pair(number, False)

    @staticmethod
    def pair(number, home):
        four = ipaddress.ip_address("198.19.0.0" if home else "198.18.0.0") + number
        six = ipaddress.ip_address("2001:db8:1::" if home else "2001:db8:2::") + number
        return four.packed, six.packed

    @property
    def both(self):
        return {self.four, self.six}


@dataclass(eq=False)
class Domain:
    """A registrable domain. `permitted` is ALWAYS, NEVER, or its own name if it flips."""

    name: str
    kind: str
    own: Addresses
    below: Addresses
    hinted: bool
    pointed: "Domain" = None
    mail: "Domain" = None
    alias: "Domain" = None
    long_alias: "Domain" = None

    @property
    def permitted(self):
        return {"filed": ALWAYS, "flips": self.name}.get(self.kind, NEVER)

    @property
    def leads(self):
        return {"abroad": ABROAD, "moves": BOTH}.get(self.kind, HOME)

    @property
    def has_wildcard(self):
        """Only in the zone that is never signed: for the other one there are no such signatures."""
        return self.name.endswith(".com")

    @property
    def secrets(self):
        """The addresses that are gated."""
        return set() if self.kind == "abroad" else self.own.both


@dataclass(eq=False)
class Question:
    """permitted: ALWAYS, NEVER, or the domain that flips, whose filing decides
    leads: to gated addresses (HOME), to others (ABROAD), or now to these, now to those (BOTH)
    secrets: gated addresses that it may lead to
    others: gated addresses that may stand in other sections, to what their names are
    is_judged: the answer is judged, not only those sections
    """

    name: str
    rdtype: str
    permitted: str
    leads: str
    secrets: frozenset
    others: dict
    is_fresh: bool = False
    is_judged: bool = True
    tail: bytes = field(init=False)

    def __post_init__(self):
        self.tail = dns.name.from_text(self.name).to_wire() + (
            int(dns.rdatatype.from_text(self.rdtype)).to_bytes(2, "big") + b"\0\1"
        )


class Names:
    """The domains, their zones and the questions to ask."""

    def __init__(self, seed):
        self.random = random.Random(seed)
        self.domains = []
        for kind, count in COUNTS.items():
            for number in range(count):
                self.domains.append(self.domain(kind, number))
        for domain in self.domains:
            others = [each for each in self.domains if each is not domain]
            domain.mail, domain.alias, domain.long_alias = self.random.sample(others, 3)
            if self.random.random() < 0.3:
                domain.pointed = self.random.choice(others)
        # A name server of com, whose address comes with most answers from there.
        self.host = next(each for each in self.flipping if each.name.endswith(".com"))
        self.questions = [q for each in self.domains for q in self.questions_of(each)]

    def domain(self, kind, number):
        # What moves is changed on its way, so it must not be signed.
        top = "cn" if number % 2 == 0 and kind != "moves" else "com"
        home = kind != "abroad"
        at = 2 * len(self.domains) + 1
        hinted = kind != "moves" and self.random.random() < 0.5
        return Domain(
            f"{kind}{number}.{top}", kind, Addresses(at, home), Addresses(at + 1, home), hinted
        )

    @property
    def flipping(self):
        return [each for each in self.domains if each.kind == "flips"]

    def moving(self):
        """Pairs of addresses: in the zone, and where it moves to."""
        for domain in self.domains:
            if domain.kind == "moves":
                for each in (domain.own, domain.below):
                    yield from zip(each.before, (each.four, each.six))

    def rows(self):
        """The rows that no generation lacks; some of those without a filing here have others."""
        rows = [row(each.name) for each in self.domains if each.kind == "filed"]
        dark = [each for each in self.domains if each.kind == "dark"]
        rows += [row(each.name, provider="acloud") for each in dark[::3]]
        rows += [row(each.name, status="deregistered") for each in dark[1::3]]
        return rows

    def zone(self, top, signed):
        """The text of a zone file."""
        host = f"{self.host.name}." if top == "com" else "ns"
        lines = [
            f"$ORIGIN {top}.",
            f"$TTL {KEY_TTL}",
            "@ SOA ns hostmaster 1 3600 900 86400 1",
            "@ NS ns",
            f"@ NS {host}",
            "ns A 127.0.0.1",
        ]
        for domain in self.domains:
            if domain.name.endswith(f".{top}"):
                lines += [
                    record.replace(" ", f" {self.random.choice(TTLS)} ", 1)
                    for record in self.records(domain)
                ]
        text = "\n".join(lines) + "\n"
        return sign_zone(text, f"{top}.") if signed else text

    @staticmethod
    def records(domain):
        four, six = (ipaddress.ip_address(each) for each in zoned(domain, domain.own))
        below4, below6 = (ipaddress.ip_address(each) for each in zoned(domain, domain.below))
        hints = f" ipv4hint={four} ipv6hint={six}" if domain.hinted else ""
        target = f"{domain.pointed.name}." if domain.pointed else "."
        at = f"{domain.name}."
        wildcard = [f"*.{at} A {below4}", f"*.{at} AAAA {below6}"] if domain.has_wildcard else []
        return [
            *wildcard,
            f"{at} A {four}",
            f"{at} AAAA {six}",
            f"{at} HTTPS 1 {target} alpn=h2{hints}",
            f"{at} MX 10 {domain.mail.name}.",
            f"{at} TXT untouched",
            f"alias.{at} CNAME {domain.alias.name}.",
            f"long.{at} CNAME alias.{domain.long_alias.name}.",
        ]

    def questions_of(self, domain):
        host = {each: self.host.permitted for each in self.host.own.both}
        mail = {each: domain.mail.permitted for each in domain.mail.secrets}

        def question(name, rdtype, leads, secrets, others=host, **options):
            return Question(
                name, rdtype, domain.permitted, leads, frozenset(secrets), others, **options
            )

        yield question(domain.name, "MX", ABROAD, (), {**host, **mail}, is_judged=False)
        yield question(domain.name, "TXT", ABROAD, (), is_judged=False)
        # Answers to ANY may lack records that are not cached.
        any_leads = ABROAD if domain.leads == ABROAD else BOTH
        yield question(domain.name, "ANY", any_leads, domain.secrets, {**host, **mail})
        for rdtype in ("A", "AAAA"):
            yield question(domain.name, rdtype, domain.leads, domain.secrets)
            if domain.has_wildcard:
                below = set() if domain.kind == "abroad" else domain.below.both
                yield question(f"*.{domain.name}", rdtype, domain.leads, below, is_fresh=True)
        yield question(domain.name, "HTTPS", service_leads(domain), domain.secrets)
        for label, end in (("alias", domain.alias), ("long", domain.long_alias.alias)):
            for rdtype in ("A", "AAAA"):
                yield question(f"{label}.{domain.name}", rdtype, end.leads, end.secrets)
            yield question(f"{label}.{domain.name}", "HTTPS", service_leads(end), end.secrets)


def zoned(domain, addresses):
    return addresses.before if domain.kind == "moves" else (addresses.four, addresses.six)


def service_leads(domain):
    """Where an HTTPS record leads: its hints and the addresses are the domain's own."""
    leads = {each.leads for each in (domain, domain.pointed) if each}
    return HOME if HOME in leads else BOTH if BOTH in leads else ABROAD

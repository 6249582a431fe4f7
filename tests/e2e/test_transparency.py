# SPDX-License-Identifier: BSD-3-Clause
"""Transparency: where it has nothing to block, the module changes no answer.

The same queries go to an Unbound without the module, to one with it and nothing in scope, and to
one with it and rules that gate half of the addresses but permit every name that is asked for. The
answers are compared: header, question, sections as sets, EDNS; TTLs must not exceed the zone's.
"""

import ipaddress
from contextlib import ExitStack
from dataclasses import dataclass

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from corpus import filings, ranges
from corpus_allowed import SHARES, Allowed
from corpus_ask import Client, compare, show
from corpus_compare import parse, unequal
from corpus_queries import Generator
from corpus_world import Resolvers, Upstream, stopped_clock

SEED = 20261123
NOTHING_IN_SCOPE = [("203.0.113.0/24", "CN", "qcloud")]
LONG_LEASE, SHORT_LEASE = 86400, 2


@dataclass
class Run:
    """One configuration of all resolvers, the lease of those with the module, and what is asked."""

    lines: list
    lease: int
    queries: int
    validating: bool = True


WHOLE = ["minimal-responses: no", "qname-minimisation: no"]
RUNS = {
    "whole-answers": Run(WHOLE, LONG_LEASE, 20000),
    "defaults-and-prefetch": Run(["prefetch: yes"], SHORT_LEASE, 20000),
    "short-lease": Run(WHOLE, SHORT_LEASE, 10000),
    "no-validator": Run(WHOLE, SHORT_LEASE, 5000, validating=False),
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory):
    with ExitStack() as stack:
        yield Upstream(stack, tmp_path_factory.mktemp("corpus"))


def draw(zones, name, count):
    """The queries of a run."""
    generator = Generator(zones, f"{SEED} {name}")
    return [generator.draw() for _ in range(count)]


@pytest.mark.parametrize("name", RUNS)
def test_same_answers_as_without_the_module(name, upstream, commands, module, tmp_path):
    run = RUNS[name]
    rules = {
        "empty": ([], NOTHING_IN_SCOPE),
        "others": (filings(upstream.zones), ranges(upstream.servers)),
    }
    with ExitStack() as stack:
        clock = stack.enter_context(stopped_clock(tmp_path))
        resolvers = Resolvers(stack, tmp_path, upstream, run.lines, run.validating)
        asked = [resolvers.plain()]
        for kind, (rows, prefixes) in rules.items():
            changes = {"lease": run.lease}
            asked.append(resolvers.gated(kind, commands, module, rows, prefixes, changes))
        allowed = Allowed(resolvers.plain("cold"))
        queries = draw(upstream.zones, name, run.queries)
        comparison = compare([each.port for each in asked], queries, clock, allowed.reason)
    print(f"{name}: {comparison}")
    for kind, differences in zip(rules, comparison.differences):
        shown = "\n\n".join(map(show, differences[:5]))
        assert not differences, f"rules '{kind}': {len(differences)} answers differ\n{shown}"
    assert comparison.counts["queries"] == run.queries
    for reason, count in comparison.reasons.items():
        assert count < SHARES[reason] * comparison.counts["comparisons"], reason


# The comparison can fail


def gated_addresses(wire, prefixes):
    """The addresses of an answer that lie in scope."""
    networks = [
        ipaddress.ip_network(prefix)
        for prefix, country, provider in prefixes
        if (country, provider) == ("CN", "qcloud")
    ]
    found = []
    for rrset in parse(wire).answer:
        for rdata in rrset:
            if hasattr(rdata, "address"):
                address = ipaddress.ip_address(rdata.address)
                address = getattr(address, "ipv4_mapped", None) or address
                found += [address for network in networks if address in network]
    return found


def test_blocked_names_are_found(upstream, commands, module, tmp_path):
    """Two zones lose their filings: exactly their names are found to differ."""
    lost = ("plain.com.", "nsec3.cn.")
    rows = [r for r in filings(upstream.zones) if not f"{r['domain']}.".endswith(lost)]
    prefixes = ranges(upstream.servers)
    drawn = draw(upstream.zones, "blocked", 5000)
    queries = [q for q in drawn if q.rdtype in ("A", "AAAA") and q.about.startswith("RD")]
    with ExitStack() as stack:
        resolvers = Resolvers(stack, tmp_path, upstream, [])
        plain = Client(resolvers.plain().port)
        gated = Client(resolvers.gated("gated", commands, module, rows, prefixes, {}).port)
        blocked = 0
        for query in queries:
            answer = plain.ask(query)
            expected = bool(gated_addresses(answer, prefixes)) and query.name.endswith(lost)
            if parse(answer).flags & dns.flags.TC:
                continue
            # Not the flags: with CD, AD only tells whether somebody else had it validated before.
            assert ("answer" in unequal(answer, gated.ask(query))) == expected, query
            blocked += expected
    print(f"{len(queries)} queries, {blocked} of them found to be blocked")
    assert 50 < blocked < len(queries) / 2


def sample():
    """An answer with something in each section."""
    query = dns.message.make_query("Www.signed.cn.", "A", use_edns=0, want_dnssec=True)
    answer = dns.message.make_response(query, recursion_available=True, our_payload=1232)
    answer.id = 1
    answer.use_edns(0, dns.flags.DO, 1232, options=[dns.edns.GenericOption(3, b"x")])
    for section, owner, rdtype, rdata in (
        (answer.answer, "Www.signed.cn.", "A", ["192.0.2.1", "192.0.2.2"]),
        (answer.authority, "signed.cn.", "NS", ["ns.signed.cn."]),
        (answer.additional, "ns.signed.cn.", "A", ["127.0.0.1"]),
    ):
        section.append(dns.rrset.from_text(owner, 3600, "IN", rdtype, *rdata))
    return answer


def change_case(message):
    message.question[0].name = dns.name.from_text("www.Signed.cn.")


# What is done to the answer, and how it is found.
CHANGES = [
    ("nothing", lambda m: None, []),
    ("order", lambda m: m.answer[0].items.update(reversed(m.answer[0].items.items())), []),
    ("shorter TTL", lambda m: setattr(m.answer[0], "ttl", 30), []),
    ("longer TTL", lambda m: setattr(m.authority[0], "ttl", 3601), ["TTL"]),
    ("AD", lambda m: setattr(m, "flags", m.flags | dns.flags.AD), ["flags"]),
    ("AA", lambda m: setattr(m, "flags", m.flags | dns.flags.AA), ["flags"]),
    ("rcode", lambda m: m.set_rcode(dns.rcode.NXDOMAIN), ["flags"]),
    ("extended rcode", lambda m: m.set_rcode(dns.rcode.BADVERS), ["flags", "edns"]),
    ("case", change_case, ["question", "answer"]),
    ("other address", lambda m: m.answer[0].pop(), ["answer"]),
    ("no authority", lambda m: m.authority.clear(), ["authority"]),
    ("no additional", lambda m: m.additional.clear(), ["additional"]),
    ("no DO", lambda m: m.use_edns(0, 0, 1232, options=m.options), ["edns"]),
    ("payload", lambda m: m.use_edns(0, dns.flags.DO, 512, options=m.options), ["edns"]),
    ("no EDNS", lambda m: m.use_edns(-1), ["edns", "options"]),
    ("no option", lambda m: m.use_edns(0, dns.flags.DO, 1232), ["options"]),
]


@pytest.mark.parametrize(("change", "found"), [c[1:] for c in CHANGES], ids=[c[0] for c in CHANGES])
def test_comparison_sees(change, found):
    changed = sample()
    change(changed)
    assert unequal(sample().to_wire(), changed.to_wire()) == found

# SPDX-License-Identifier: BSD-3-Clause
"""Signed names: what is bogus stays SERVFAIL, and no rewritten answer claims to be authentic."""

from contextlib import ExitStack

import dns.dnssec
import dns.flags
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from harness import Nsd, Unbound, start
from world import OURS, OURS2, ZONE_TTL, Site, addresses, assert_blocked, ede, row

APEX = "signed.cn."
GOOD = ["filed", "unfiled", "askedcd"]
BOGUS = ["bogusfiled", "bogus", "boguscd"]


def signed_zone():
    """The zone file and its DNSKEY. The address of a bogus name is not the one that was signed."""
    ec = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.ec")
    private = ec.generate_private_key(ec.SECP256R1())
    key = dns.dnssec.make_dnskey(private.public_key(), dns.dnssec.ECDSAP256SHA256, flags=257)
    records = [
        ("@", "SOA", "ns.signed.cn. h.signed.cn. 1 3600 900 86400 60"),
        ("@", "NS", "ns.signed.cn."),
        ("@", "DNSKEY", key.to_text()),
        ("ns", "A", "127.0.0.1"),
        *((name, "A", OURS) for name in GOOD + BOGUS),
    ]
    apex = dns.name.from_text(APEX)
    lines = []
    for name, rdtype, text in records:
        owner = dns.name.from_text(name, apex) if name != "@" else apex
        rrset = dns.rrset.from_text(owner, ZONE_TTL, "IN", rdtype, text)
        signature = dns.dnssec.sign(rrset, private, apex, key, lifetime=86400)
        served = rrset.to_text().replace(OURS, OURS2) if name in BOGUS else rrset.to_text()
        lines += [served, f"{owner} {ZONE_TTL} IN RRSIG {signature.to_text()}"]
    return "\n".join(lines) + "\n", key.to_text()


@pytest.fixture(scope="module")
def unbound(tmp_path_factory, commands, module):
    directory = tmp_path_factory.mktemp("dnssec")
    text, key = signed_zone()
    filed = [row(f"{name}.signed.cn") for name in ("filed", "bogusfiled")]
    site = Site(commands, directory, filed)
    site.load()
    with ExitStack() as stack:
        nsd = start(stack, Nsd(directory, {APEX: text}))
        stubs = [(APEX, f"stub-addr: 127.0.0.1@{nsd.port}")]
        anchor = [f'trust-anchor: "{APEX} DNSKEY {key}"', "trust-anchor-signaling: no"]
        yield start(stack, Unbound(directory, stubs, module, site.conf, anchor))


def test_secure_and_filed(unbound):
    for _ in range(2):
        response = unbound.ask("filed.signed.cn", do=True)
        assert addresses(response) == [OURS]
        assert response.flags & dns.flags.AD
        assert response.answer[-1].rdtype == dns.rdatatype.RRSIG


def test_secure_and_unfiled(unbound):
    for _ in range(2):
        assert_blocked(unbound.ask("unfiled.signed.cn", do=True), "unfiled.signed.cn")
        assert_blocked(unbound.ask("unfiled.signed.cn"), "unfiled.signed.cn")
    assert_blocked(unbound.ask("askedcd.signed.cn", cd=True), "askedcd.signed.cn")
    assert_blocked(unbound.ask("askedcd.signed.cn", do=True), "askedcd.signed.cn")


def test_bogus_stays_servfail(unbound):
    for _ in range(2):
        for name in ("bogus.signed.cn", "bogusfiled.signed.cn"):
            response = unbound.ask(name)
            assert response.rcode() == dns.rcode.SERVFAIL
            assert not response.answer
            assert (ede(response) or (0, ""))[0] != 16


def test_bogus_with_checking_disabled_is_judged(unbound):
    for _ in range(2):
        assert_blocked(unbound.ask("boguscd.signed.cn", cd=True), "boguscd.signed.cn")
        assert addresses(unbound.ask("bogusfiled.signed.cn", cd=True)) == [OURS2]

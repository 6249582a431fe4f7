# SPDX-License-Identifier: BSD-3-Clause
"""Ways of signed answers: secure, insecure, bogus, and what a client says about them."""

import dns.flags
import dns.rcode
import dns.rdatatype

from leak_world import Own
from leaks import way
from world import OURS, addresses, assert_blocked

DNSSEC = "DNSSEC"
# What a client may say about DNSSEC.
WISHES = ({}, {"do": True}, {"ad": True}, {"do": True, "cd": True}, {"cd": True})


def expect_rewritten(probe, name, **how):
    """A blocked name; its answer bears no claim and no signature."""
    for wish in WISHES:
        response = probe.expect_blocked(name, **wish, **how)
        if probe.has_module:
            assert not response.flags & dns.flags.AD
            assert dns.rdatatype.RRSIG not in {rrset.rdtype for rrset in response.answer}


@way(
    DNSSEC,
    "secure",
    cn=[
        *["cold A {secret}", "alias CNAME cold", "out CNAME edge.{com}.", "ok A {real}"],
        *["okalias CNAME hidden", "hidden A {secret:hidden}"],
    ],
    com=["edge A {secret}"],
    filed=["ok", "okalias"],
)
def secure(probe):
    for _ in range(2):
        for name in ("cold", "alias", "out", "edge.{com}.", "hidden"):
            expect_rewritten(probe, name)
        for name, address in (("ok", OURS), ("okalias", probe.address("hidden"))):
            for wish in WISHES:
                response = probe.expect_real(name, addresses=[address], **wish)
                wants = wish.get("do") or wish.get("ad")
                if not wish.get("cd"):
                    is_ad = bool(response.flags & dns.flags.AD)
                    assert is_ad == bool(probe.validation and wants)
                signed = dns.rdatatype.RRSIG in {rrset.rdtype for rrset in response.answer}
                assert signed == bool(wish.get("do"))


@way(
    DNSSEC,
    "insecure",
    cn=["out CNAME cold.{org}.", "okout CNAME hidden.{org}."],
    org=["cold A {secret}", "in CNAME home.{cn}.", "ok A {real}", "hidden A {secret:hidden}"],
    filed=["ok.{org}.", "okout"],
)
def insecure(probe):
    for _ in range(2):
        for name in ("cold.{org}.", "out", "hidden.{org}."):
            expect_rewritten(probe, name)
        for wish in WISHES:
            response = probe.expect_real("ok.{org}.", **wish)
            assert not response.flags & dns.flags.AD
            response = probe.expect_real("okout", addresses=[probe.address("hidden")], **wish)
            assert not response.flags & dns.flags.AD


BROKEN = {
    "cn": [
        *["bad A {secret}", "first A {secret}", "last A {secret}", "okbad A {secret:okbad}"],
        *["alias CNAME bad", "out CNAME bad.{com}.", "badalias CNAME good", "good A {secret}"],
        "ok A {real}",
    ],
    "com": ["bad A {secret}"],
    "filed": ["okbad", "ok"],
    "bogus": ["bad", "first", "last", "okbad", "badalias", "bad.{com}."],
}
ALL_BAD = ("bad", "first", "last", "alias", "out", "badalias", "bad.{com}.")


def expect_failure(probe, name, **how):
    """SERVFAIL without any address; without validation nothing is bogus."""
    if not probe.validation:
        probe.expect_blocked(name, **how)
        return
    response = probe.ask(name, **how)
    assert response.rcode() == dns.rcode.SERVFAIL, response
    assert not addresses(response), response


def expect_no_claim(probe, name, cd, **how):
    """The page or, since a failure may be cached with CD=0 and served with CD=1, SERVFAIL."""
    response = probe.ask(name, cd=cd, **how)
    assert not response.flags & dns.flags.AD
    if probe.has_module and response.rcode() == dns.rcode.NOERROR:
        assert_blocked(response, probe.way.full_name(name).rstrip("."))
    else:
        assert not probe.has_module or response.rcode() == dns.rcode.SERVFAIL
    return response


@way(DNSSEC, "bogus", **BROKEN)
def bogus(probe):
    for do in (False, True):
        probe.expect_blocked("first", cd=True, do=do)
    for _ in range(2):
        for name in ALL_BAD:
            for wish in ({}, {"do": True}, {"ad": True}):
                expect_failure(probe, name, **wish)
            for do in (False, True):
                expect_no_claim(probe, name, cd=True, do=do)
            probe.ask(name, via="snoop", rd=False)
            probe.ask(name, via="snoop", rd=False, cd=True)
        if probe.validation:
            expect_failure(probe, "okbad")
        probe.expect_real("okbad", addresses=[probe.address("okbad")], cd=True)
        expect_rewritten(probe, "good")
        probe.expect_real("ok")


@way(
    DNSSEC,
    "bogus in permissive mode",
    own=Own(server=["val-permissive-mode: yes"]),
    validation=True,
    **BROKEN,
)
def bogus_permitted(probe):
    for _ in range(2):
        for name in ALL_BAD:
            expect_rewritten(probe, name)
        response = probe.expect_real("okbad", addresses=[probe.address("okbad")], do=True)
        assert not response.flags & dns.flags.AD


@way(
    DNSSEC,
    "CD=1 ignored",
    own=Own(server=["ignore-cd-flag: yes"]),
    validation=True,
    **BROKEN,
)
def cd_ignored(probe):
    for _ in range(2):
        for name in ALL_BAD:
            for wish in WISHES:
                expect_failure(probe, name, **wish)
        expect_rewritten(probe, "good")
        probe.expect_real("ok")

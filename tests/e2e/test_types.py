# SPDX-License-Identifier: BSD-3-Clause
"""Types other than A and AAAA that lead to addresses: HTTPS, SVCB, ANY, additional sections."""

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest

from harness import holds_for
from world import (
    ABROAD,
    ABROAD6,
    BLOCK4,
    BLOCK6,
    BLOCK_TEXT,
    BLOCK_TTL,
    LEASE,
    LOOK,
    OURS,
    OURS2,
    OURS6,
    SLACK,
    ZONE_TTL,
    addresses,
    assert_blocked,
    ede,
    row,
)

CN = [
    # hints
    *["hints HTTPS 1 . alpn=h2 ipv4hint=" + OURS, "hints A " + ABROAD],
    *["hints6 HTTPS 1 . ipv6hint=" + OURS6, "hints6 A " + ABROAD],
    *[f"filed HTTPS 1 . alpn=h2 ipv4hint={OURS} ipv6hint={OURS6}", "filed A " + OURS],
    *[f"abroad HTTPS 1 . ipv4hint={ABROAD} ipv6hint={ABROAD6}", "abroad A " + ABROAD],
    "second HTTPS 1 . ipv4hint=" + ABROAD,
    *["second HTTPS 2 svc.second ipv4hint=" + OURS, "svc.second A " + ABROAD],
    "_dns.svcb SVCB 1 . ipv4hint=" + OURS,
    # no hints
    *["bare HTTPS 1 . alpn=h2", "bare A " + OURS],
    *["bare6 HTTPS 1 . alpn=h2", "bare6 AAAA " + OURS6, "bare6 A " + ABROAD],
    *["bareabroad HTTPS 1 . alpn=h2", "bareabroad A " + ABROAD],
    *["bare.filed HTTPS 1 . alpn=h2", "bare.filed A " + OURS],
    "nowhere HTTPS 1 . alpn=h2",
    # targets
    *["target HTTPS 1 svc.target", "target A " + ABROAD, "svc.target A " + OURS],
    *["form HTTPS 0 alias.form", "alias.form A " + OURS],
    *["out HTTPS 1 svc.cdn.com.", "to.filed HTTPS 1 svc.cdn.com."],
    *["chain CNAME end.chain", "end.chain HTTPS 1 . ipv4hint=" + OURS],
    # ANY
    *["any A " + OURS, "any AAAA " + OURS6, 'any TXT "words"', "any MX 10 mail.any"],
    *["any.filed A " + OURS, 'any.filed TXT "words"'],
    *["any.abroad A " + ABROAD, 'any.abroad TXT "words"'],
    *["only6 AAAA " + OURS6, 'text TXT "words"'],
    # additional sections
    *["add MX 10 mail.add", "add MX 20 mail.filed", "add MX 30 mail.abroad"],
    *["mail.add A " + OURS, "mail.filed A " + OURS, "mail.abroad A " + ABROAD],
    *["_sip._tcp.add SRV 0 0 5060 mail.add", "mail.add AAAA " + OURS6],
    "sub NS ns.sub\nns.sub A 127.0.0.9",
    # mixed
    *[f"mixed HTTPS 1 . ipv4hint={ABROAD},{OURS}", "mixed A " + ABROAD, "mixed A " + OURS],
]
COM = ["svc.cdn A " + OURS2]
ROWS = [row("filed.cn")]
# NSD gives additional records too; that of Unbound is off by default.
MORE = ["minimal-responses: no"]


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=CN, com=COM, rows=ROWS, server_lines=MORE) as world:
        yield world


def assert_no_data(response, reason, domain):
    """NODATA of the gate, with an SOA by which it is forgotten soon (RFC 2308)."""
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer and not response.additional, response
    assert not response.flags & (dns.flags.AD | dns.flags.AA)
    [soa] = response.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert (soa.ttl, soa[0].minimum) == (BLOCK_TTL, BLOCK_TTL)
    assert ede(response) == (16, f"{reason} {domain}; {BLOCK_TEXT}")


@pytest.mark.parametrize(
    "name", ["hints", "hints6", "second", "bare", "bare6", "target", "form", "out", "chain"]
)
def test_https_of_an_unfiled_name_is_withheld(world, name):
    for _ in range(2):
        assert_no_data(world.ask(name + ".cn", "HTTPS"), "unfiled", name + ".cn")


def test_svcb_is_withheld(world):
    for _ in range(2):
        assert_no_data(world.ask("_dns.svcb.cn", "SVCB"), "unfiled", "_dns.svcb.cn")


@pytest.mark.parametrize("name", ["filed", "abroad", "bareabroad", "bare.filed", "nowhere",
                                  "to.filed"])
def test_https_that_leads_to_nothing_blocked_is_untouched(world, name):
    for _ in range(2):
        response = world.ask(name + ".cn", "HTTPS")
        [rrset] = [r for r in response.answer if r.rdtype == dns.rdatatype.HTTPS]
        assert 0 < rrset.ttl <= ZONE_TTL
        assert [line.split("HTTPS ", 1)[1] for line in CN if line.startswith(name + " HTTPS")] \
            == [rdata.to_text().replace('"', "").replace(name + ".cn.", ".") for rdata in rrset]
        assert ede(response) is None


def test_other_addresses_of_a_name_with_blocked_hints_are_its_own_matter(world):
    assert addresses(world.ask("hints.cn")) == [ABROAD]


def test_no_edns_no_ede(world):
    response = world.ask("hints.cn", "HTTPS", edns=False)
    assert not response.answer and response.edns == -1


def test_any_of_a_blocked_name_is_the_block_page(world):
    for _ in range(2):
        response = world.ask("any.cn", "ANY", tcp=True)
        assert addresses(response) == [BLOCK6, BLOCK4] == sorted([BLOCK4, BLOCK6])
        assert {r.rdtype for r in response.answer} == {dns.rdatatype.A, dns.rdatatype.AAAA}
        assert {r.ttl for r in response.answer} == {BLOCK_TTL}
        assert not response.authority and not response.additional
        assert ede(response) == (16, f"unfiled any.cn; {BLOCK_TEXT}")
    assert addresses(world.ask("only6.cn", "ANY")) == [BLOCK6, BLOCK4]


@pytest.mark.parametrize(("name", "expected"), [("any.filed.cn", [OURS]),
                                                ("any.abroad.cn", [ABROAD]), ("text.cn", [])])
def test_any_of_other_names_is_untouched(world, name, expected):
    for _ in range(2):
        response = world.ask(name, "ANY", tcp=True)
        assert addresses(response) == expected
        # Over UDP a server may answer ANY with one RRset alone (RFC 8482, section 4.1).
        assert {r.rdtype for r in response.answer} & {dns.rdatatype.A, dns.rdatatype.TXT}
        assert ede(response) is None


def extra(response):
    return {(str(rrset.name), rdata.address) for rrset in response.additional for rdata in rrset}


def test_blocked_addresses_are_taken_out_of_additional_sections(world):
    for _ in range(2):
        response = world.ask("add.cn", "MX")
        assert sorted(rdata.to_text() for rdata in response.answer[0]) == [
            "10 mail.add.cn.", "20 mail.filed.cn.", "30 mail.abroad.cn."]
        assert extra(response) == {("mail.filed.cn.", OURS), ("mail.abroad.cn.", ABROAD)}
        response = world.ask("_sip._tcp.add.cn", "SRV")
        assert len(response.answer) == 1 and not response.additional
        assert ede(response) is None
    assert_blocked(world.ask("mail.add.cn"), "mail.add.cn")


def test_answers_without_their_blocked_additional_addresses_are_cached(start_world):
    changes = {"lease": LEASE}
    with start_world(cn=CN, rows=ROWS, changes=changes, server_lines=MORE) as world:
        world.ask("add.cn", "MX")
        before = world.asked_upstream()
        # Well after the lease: renewed from the cache, and trimmed again.
        assert holds_for(
            lambda: extra(world.ask("add.cn", "MX"))
            == {("mail.filed.cn.", OURS), ("mail.abroad.cn.", ABROAD)},
            LEASE + LOOK + SLACK,
            "the MX answer, trimmed",
        )
        assert world.asked_upstream() == before


def test_nodata_where_a_family_has_no_block_page(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"block": {"ipv6": None}}) as world:
        for _ in range(2):
            assert_no_data(world.ask("any.cn", "AAAA"), "unfiled", "any.cn")
            assert addresses(world.ask("any.cn", "ANY", tcp=True)) == [BLOCK4]


def test_strip_takes_hints_and_addresses_out(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"mixed": "strip"}) as world:
        for _ in range(2):
            assert addresses(world.ask("mixed.cn")) == [ABROAD]
            response = world.ask("mixed.cn", "HTTPS")
            assert [r.to_text().replace('"', "") for r in response.answer[0]] == [
                f"1 . ipv4hint={ABROAD}"]
            # The target's addresses can't be taken out.
            assert not world.ask("target.cn", "HTTPS").answer


def test_monitor_changes_nothing(start_world):
    changes = {"mode": "monitor"}
    with start_world(cn=CN, rows=ROWS, changes=changes, server_lines=MORE) as world:
        for _ in range(2):
            assert world.ask("hints.cn", "HTTPS").answer[0][0].params
            assert OURS in addresses(world.ask("any.cn", "ANY", tcp=True))
            assert ("mail.add.cn.", OURS) in extra(world.ask("add.cn", "MX"))
            assert ede(world.ask("hints.cn", "HTTPS")) is None
        assert "icpgate: monitor: would block hints.cn: unfiled hints.cn" in world.unbound.log

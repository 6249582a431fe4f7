# SPDX-License-Identifier: BSD-3-Clause
"""What clients get: whose answers are blocked, and how a block answer looks."""

import re
from concurrent.futures import ThreadPoolExecutor

import dns.flags
import dns.rcode
import pytest

from harness import wait_until
from world import (
    ABROAD,
    ABROAD6,
    BLOCK_TEXT,
    OURS,
    OURS2,
    OURS6,
    THEIRS,
    ZONE_TTL,
    assert_blocked,
    assert_passed,
    ede,
    row,
)

CN = [
    *["filed A " + OURS, "www.shop.filed A " + OURS, "filed AAAA " + OURS6],
    *["unfiled A " + OURS, "unfiled A " + OURS2, "unfiled AAAA " + OURS6],
    *["sub.elsewhere A " + OURS, "pending A " + OURS, "gone A " + OURS],
    *["abroad A " + ABROAD, "abroad AAAA " + ABROAD6, "theirs A " + THEIRS],
    *["mixed A " + OURS, "mixed A " + ABROAD],
    *["case A " + OURS, "tcp A " + OURS, "noedns A " + OURS, "dnssec A " + OURS],
    *["joins A " + OURS, "joined A " + OURS],
    # CNAME chains
    *["chain CNAME chain2", "chain2 CNAME chain3", "chain3 A " + OURS],
    *["okchain CNAME target", "target A " + OURS, "okchain2 CNAME target2", "target2 A " + OURS],
    *["badchain CNAME filed", "badchain2 CNAME filed2", "filed2 A " + OURS],
    *["cross CNAME edge.cdn.com.", "okcross CNAME edge.cdn.com."],
    *["back CNAME back.cdn.com.", "backtarget A " + OURS],
    *["tree DNAME filedtree", "x.filedtree A " + OURS],
    "crossabroad CNAME abroad.cdn.com.",
    # other types
    *['types A ' + OURS, 'types TXT "words"', "types MX 10 mail.types", "mail.types A " + OURS],
    *['types CAA 0 issue "ca.example"', "types SRV 0 0 443 types"],
    *['alias CNAME types', "only4 A " + OURS],
    # QNAME minimisation, CD, TTL 0
    *['a.b.qmin TXT "deep"', "b.qmin A " + OURS, "x.y.qmin A " + ABROAD, "y.qmin A " + OURS],
    *["cd1 A " + OURS, "cd2 A " + OURS, "cdfiled A " + OURS],
    *["zero 0 A " + OURS, "zerofiled 0 A " + OURS, "zeroabroad 0 A " + ABROAD],
]
COM = ["edge.cdn A " + OURS, "back.cdn CNAME backtarget.cn.", "abroad.cdn A " + ABROAD]
ROWS = [
    row("filed.cn"),
    row("filed2.cn"),
    row("okchain.cn"),
    row("okchain2.cn"),
    row("okcross.cn"),
    row("cdfiled.cn"),
    row("zerofiled.cn"),
    row("filedtree.cn"),
    row("elsewhere.cn", provider="acloud"),
    row("pending.cn", status="pending", number=""),
    row("gone.cn", status="deregistered"),
]


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=CN, com=COM, rows=ROWS) as world:
        yield world


def test_cold_answer_of_an_unfiled_name_is_blocked(world):
    assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")


def test_cold_answer_of_a_filed_name_passes(world):
    response = world.ask("filed.cn")
    assert_passed(response, [OURS])
    assert response.answer[0].ttl == ZONE_TTL
    assert ede(response) is None


def test_filing_covers_the_names_below(world):
    assert_passed(world.ask("www.shop.filed.cn"), [OURS])


def test_names_abroad_and_at_others_pass(world):
    assert_passed(world.ask("abroad.cn"), [ABROAD])
    assert_passed(world.ask("abroad.cn", "AAAA"), [ABROAD6])
    assert_passed(world.ask("theirs.cn"), [THEIRS])


def test_one_gated_address_blocks_all(world):
    assert_blocked(world.ask("mixed.cn"), "mixed.cn")


def test_ipv6_is_blocked(world):
    assert_blocked(world.ask("unfiled.cn", "AAAA"), "unfiled.cn", "AAAA")
    assert_passed(world.ask("filed.cn", "AAAA"), [OURS6])


def test_block_answer_over_tcp_and_in_any_case(world):
    assert_blocked(world.ask("tcp.cn", tcp=True), "tcp.cn")
    response = world.ask("CaSe.cN")
    assert_blocked(response, "case.cn")
    assert response.question[0].name.to_text() == "CaSe.cN."


def test_block_answer_never_claims_to_be_authentic(world):
    for _ in range(2):
        assert_blocked(world.ask("dnssec.cn", do=True), "dnssec.cn")


@pytest.mark.parametrize(
    ("name", "reason", "domain"),
    [
        ("unfiled.cn", "unfiled", "unfiled.cn"),
        ("sub.elsewhere.cn", "filed-elsewhere", "elsewhere.cn"),
        ("pending.cn", "pending", "pending.cn"),
        ("gone.cn", "deregistered", "gone.cn"),
    ],
)
def test_ede_says_why(world, name, reason, domain):
    for kind in ("cold", "cached"):
        response = world.ask(name)
        assert_blocked(response, name)
        assert ede(response) == (16, f"{reason} {domain}; {BLOCK_TEXT}"), kind


def test_no_ede_without_edns(world):
    for _ in range(2):
        response = world.ask("noedns.cn", edns=False)
        assert_blocked(response, "noedns.cn")
        assert response.edns == -1


def counted(world, what):
    return int(re.search(rf"^total\.{what}=(\d+)$", world.unbound.control("stats_noreset"), re.M)[1])


@pytest.mark.parametrize(("name", "order"), [("joins.cn", (False, True)), ("joined.cn", (True, False))])
def test_who_joins_a_query_that_waits_gets_an_answer_of_its_own_kind(world, name, order):
    """One query upstream, and two clients that wait for it, of whom only one speaks EDNS."""
    queries = counted(world, "num.queries")
    world.relay.hold(name=name)
    with ThreadPoolExecutor() as pool:
        asked = {}
        try:
            for edns in order:
                asked[edns] = pool.submit(world.ask, name, edns=edns)
                queries += 1
                wait_until(lambda: counted(world, "num.queries") == queries, 20, "it waits")
            assert counted(world, "requestlist.current.user") == 1
        finally:
            world.relay.release()
    for edns, future in asked.items():
        response = future.result()
        assert_blocked(response, name)
        assert response.edns == (0 if edns else -1)
        assert ede(response) == ((16, f"unfiled {name}; {BLOCK_TEXT}") if edns else None)


def test_chain_within_a_zone_is_dropped(world):
    assert_blocked(world.ask("chain.cn"), "chain.cn")
    assert_blocked(world.ask("chain.cn"), "chain.cn")
    assert_blocked(world.ask("chain2.cn"), "chain2.cn")


def test_chain_of_a_filed_name_passes_through_a_blocked_target(world):
    for _ in range(2):
        response = world.ask("okchain.cn")
        assert_passed(response, [OURS])
        assert [str(r.name) for r in response.answer] == ["okchain.cn.", "target.cn."]
        assert_blocked(world.ask("target.cn"), "target.cn")
    # And with the target asked first.
    assert_blocked(world.ask("target2.cn"), "target2.cn")
    assert_passed(world.ask("okchain2.cn"), [OURS])
    assert_blocked(world.ask("target2.cn"), "target2.cn")


def test_filed_target_does_not_help_an_unfiled_name(world):
    assert_blocked(world.ask("badchain.cn"), "badchain.cn")
    assert_passed(world.ask("filed2.cn"), [OURS])
    assert_blocked(world.ask("badchain2.cn"), "badchain2.cn")
    assert_passed(world.ask("filed2.cn"), [OURS])


def test_chain_across_zones(world):
    for _ in range(2):
        assert_blocked(world.ask("cross.cn"), "cross.cn")
        assert_passed(world.ask("okcross.cn"), [OURS])
        assert_blocked(world.ask("edge.cdn.com"), "edge.cdn.com")
        assert_blocked(world.ask("back.cn"), "back.cn")
        assert_passed(world.ask("crossabroad.cn"), [ABROAD])


def test_dname(world):
    for _ in range(2):
        assert_blocked(world.ask("x.tree.cn"), "x.tree.cn")
        assert_passed(world.ask("x.filedtree.cn"), [OURS])


def test_other_types_of_a_blocked_name_are_untouched(world):
    assert_blocked(world.ask("types.cn"), "types.cn")
    for rdtype, text in [
        ("TXT", '"words"'),
        ("MX", "10 mail.types.cn."),
        ("CAA", '0 issue "ca.example"'),
        ("SRV", "0 0 443 types.cn."),
    ]:
        for _ in range(2):
            response = world.ask("types.cn", rdtype)
            assert [str(rdata) for rdata in response.answer[0]] == [text]
            assert ede(response) is None
    response = world.ask("alias.cn", "TXT")
    assert [str(r.name) for r in response.answer] == ["alias.cn.", "types.cn."]
    assert_blocked(world.ask("types.cn"), "types.cn")


def test_negative_answers_are_untouched(world):
    for _ in range(2):
        response = world.ask("nowhere.unfiled.cn")
        assert response.rcode() == dns.rcode.NXDOMAIN
        assert not response.answer and len(response.authority) == 1
        assert response.authority[0].to_text().split()[3] == "SOA"
        assert response.authority[0].name.to_text() == "cn."
        assert ede(response) is None
    assert_blocked(world.ask("only4.cn"), "only4.cn")
    for _ in range(2):
        response = world.ask("only4.cn", "AAAA")
        assert response.rcode() == dns.rcode.NOERROR
        assert not response.answer and response.authority[0].name.to_text() == "cn."


def test_qname_minimisation_leaks_nothing(world):
    response = world.ask("a.b.qmin.cn", "TXT")
    assert [str(rdata) for rdata in response.answer[0]] == ['"deep"']
    assert_passed(world.ask("x.y.qmin.cn"), [ABROAD])
    for name in ("b.qmin.cn", "y.qmin.cn"):
        # The iterator asked for the addresses of the parent, unjudged; else this shows nothing.
        assert (name + ".", "A") in world.relay.asked
        assert_blocked(world.ask(name), name)


def test_checking_disabled_is_judged_too(world):
    assert_blocked(world.ask("cd1.cn", cd=True), "cd1.cn")
    assert_blocked(world.ask("cd1.cn", cd=True), "cd1.cn")
    assert_blocked(world.ask("cd1.cn"), "cd1.cn")
    assert_blocked(world.ask("cd2.cn"), "cd2.cn")
    assert_blocked(world.ask("cd2.cn", cd=True), "cd2.cn")
    for _ in range(2):
        response = world.ask("cdfiled.cn", cd=True)
        assert_passed(response, [OURS])
        assert response.flags & dns.flags.CD


def test_ttl_zero(world):
    for _ in range(3):
        assert_blocked(world.ask("zero.cn"), "zero.cn")
        for name, address in [("zerofiled.cn", OURS), ("zeroabroad.cn", ABROAD)]:
            response = world.ask(name)
            assert_passed(response, [address])
            assert response.answer[0].ttl == 0

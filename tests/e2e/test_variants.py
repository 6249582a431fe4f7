# SPDX-License-Identifier: BSD-3-Clause
"""Other configurations than the usual one, each in a resolver of its own."""

import dns.flags
import dns.rcode
import pytest

from harness import holds_for, wait_until
from world import (
    ABROAD,
    BLOCK_TTL,
    LEASE,
    LOOK,
    OURS,
    OURS2,
    OURS6,
    SLACK,
    THEIRS,
    addresses,
    assert_blocked,
    assert_passed,
    ede,
    row,
)

CN = [
    *["filed A " + OURS, "unfiled A " + OURS, "unfiled AAAA " + OURS6, "abroad A " + ABROAD],
    *["mixed A " + OURS, "mixed A " + ABROAD, "mixed A " + OURS2, "theirs A " + THEIRS],
    *["alias CNAME mixed", "chain CNAME unfiled", "ours A " + OURS, "ours A " + OURS2],
    *["free A " + OURS, "www.free A " + OURS, "notfree A " + OURS],
]
ROWS = [row("filed.cn")]


def assert_no_data(response):
    """NODATA with an SOA that is not kept for longer than the block page's TTL."""
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer, response
    assert len(response.authority) == 1 and len(response.authority[0]) == 1
    assert response.authority[0].ttl == BLOCK_TTL
    assert response.authority[0][0].minimum == BLOCK_TTL


def everything(response):
    """The data of all records of an answer, whatever its section."""
    sections = (response.answer, response.authority, response.additional)
    return [str(rdata) for section in sections for rrset in section for rdata in rrset]


def test_no_ipv6_page_and_no_ede(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"block": {"ipv6": None, "ede": "none"}}) as world:
        for _ in range(2):
            assert_no_data(world.ask("unfiled.cn", "AAAA"))
            assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")
            assert ede(world.ask("unfiled.cn")) is None
            assert ede(world.ask("unfiled.cn", "AAAA")) is None


@pytest.mark.parametrize(
    ("kind", "code"), [("blocked", 15), ("filtered", 17), ("prohibited", 18)]
)
def test_other_ede_codes(start_world, kind, code):
    with start_world(cn=CN, rows=ROWS, changes={"block": {"ede": kind}}) as world:
        assert ede(world.ask("unfiled.cn"))[0] == code


def test_strip_takes_out_the_blocked_addresses_only(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"mixed": "strip"}) as world:
        for _ in range(2):
            assert_passed(world.ask("mixed.cn"), [ABROAD])
            response = world.ask("alias.cn")
            assert_passed(response, [ABROAD])
            assert_blocked(world.ask("ours.cn"), "ours.cn")
            assert_blocked(world.ask("chain.cn"), "chain.cn")
            assert_passed(world.ask("filed.cn"), [OURS])
        # Its filing brings the other addresses back.
        world.site.add(row("mixed.cn"))
        wait_until(
            lambda: world.addresses("mixed.cn") == sorted([OURS, OURS2, ABROAD]),
            LEASE + LOOK + SLACK,
            "all addresses of mixed.cn",
        )
        assert_passed(world.ask("alias.cn"), [ABROAD])


def test_answers_too_large_for_udp(start_world):
    com = [f"large A 192.0.2.{last}" for last in range(1, 151)]
    com += [f"large A 198.18.0.{last}" for last in range(1, 151)]
    com += [f"ours A 192.0.2.{last}" for last in range(1, 151)]
    with start_world(cn=CN, com=com, changes={"mixed": "strip"}) as world:
        for _ in range(2):
            response = world.ask("large.com")
            assert response.flags & dns.flags.TC and not addresses(response)
            whole = addresses(world.ask("large.com", tcp=True))
            assert whole == sorted(f"198.18.0.{last}" for last in range(1, 151))
            # The block page is small, whatever it stands for.
            assert_blocked(world.ask("ours.com"), "ours.com")


def test_monitor_changes_no_answer_and_logs(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"mode": "monitor"}) as world:
        for _ in range(2):
            response = world.ask("unfiled.cn")
            assert_passed(response, [OURS])
            assert ede(response) is None
            assert_passed(world.ask("unfiled.cn", "AAAA"), [OURS6])
            assert_passed(world.ask("chain.cn"), [OURS])
            assert_passed(world.ask("filed.cn"), [OURS])
        logged = [line for line in world.unbound.log.splitlines() if "icpgate" in line]
        assert any("unfiled.cn" in line and "unfiled" in line for line in logged), logged
        assert any("chain.cn" in line for line in logged), logged
        # The name itself, not only a name that contains it.
        assert not any(" filed.cn" in line for line in logged), logged


def test_exempt_names_pass(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"exempt": ["free.cn"]}) as world:
        for _ in range(2):
            assert_passed(world.ask("free.cn"), [OURS])
            assert_passed(world.ask("www.free.cn"), [OURS])
            assert_blocked(world.ask("notfree.cn"), "notfree.cn")


def test_scope_mainland_gates_every_provider(start_world):
    changes = {"scope": "mainland", "ranges": {"provider": None}}
    with start_world(cn=CN, rows=[row("filed.cn", provider="acloud")], changes=changes) as world:
        for _ in range(2):
            assert_blocked(world.ask("theirs.cn"), "theirs.cn")
            assert_passed(world.ask("filed.cn"), [OURS])
            assert_passed(world.ask("abroad.cn"), [ABROAD])


def test_store_missing_passes_by_default(start_world):
    with start_world(cn=CN, rows=ROWS, load=False) as world:
        for _ in range(2):
            assert_passed(world.ask("unfiled.cn"), [OURS])
            assert_passed(world.ask("filed.cn"), [OURS])
        world.site.load()
        wait_until(
            lambda: world.is_blocked("unfiled.cn"), LEASE + LOOK + SLACK, "the store is found"
        )
        assert_passed(world.ask("filed.cn"), [OURS])


def test_store_missing_blocks_if_told_so(start_world):
    changes = {"on_no_index": "block"}
    with start_world(cn=CN, rows=ROWS, changes=changes, load=False) as world:
        for _ in range(2):
            response = world.ask("filed.cn")
            assert_blocked(response, "filed.cn")
            assert ede(response)[1].startswith("no-index filed.cn")
            assert_passed(world.ask("abroad.cn"), [ABROAD])
        world.site.load()
        wait_until(lambda: not world.is_blocked("filed.cn"), LOOK + SLACK, "the store is found")
        assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")


def test_prefetch_leaks_nothing(start_world):
    """With prefetch on, names that are asked all the time to the end of their TTL."""
    cn = ["short 3 A " + OURS, "shortfiled 3 A " + OURS]
    with start_world(cn=cn, rows=[row("shortfiled.cn")], server_lines=["prefetch: yes"]) as world:

        def as_judged():
            assert_blocked(world.ask("short.cn"), "short.cn")
            assert_passed(world.ask("shortfiled.cn"), [OURS])
            return True

        holds_for(as_judged, 5, "the verdicts")


def test_operators_own_answers_are_untouched(start_world):
    lines = ['local-zone: "local.cn." redirect', f'local-data: "local.cn. A {OURS}"']
    with start_world(cn=CN, rows=ROWS, server_lines=lines) as world:
        for _ in range(2):
            assert_passed(world.ask("local.cn"), [OURS])
            assert_passed(world.ask("any.local.cn"), [OURS])


def test_queries_without_recursion(start_world):
    """They are answered from what is cached, also from the addresses of a blocked name."""
    lines = ["access-control: 127.0.0.0/8 allow_snoop"]
    with start_world(cn=CN, rows=ROWS, server_lines=lines) as world:
        for name in ("unfiled.cn", "chain.cn"):
            assert_blocked(world.ask(name), name)
            for _ in range(2):
                assert OURS not in everything(world.ask(name, rd=False))
        assert_passed(world.ask("filed.cn"), [OURS])
        assert_passed(world.ask("filed.cn", rd=False), [OURS])

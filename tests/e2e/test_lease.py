# SPDX-License-Identifier: BSD-3-Clause
"""Cached answers, leases, and changes of the store."""

import time

import pytest

from commands import rfc3339
from harness import holds_for, wait_until
from world import (
    ABROAD,
    BLOCK4,
    LEASE,
    LOOK,
    OURS,
    SLACK,
    ZONE_TTL,
    addresses,
    assert_blocked,
    assert_passed,
    ede,
    row,
)

NAMES = ["filed", "unfiled", "kept", "newly", "removed", "switch", "alias-target"]
CN = [*(f"{name} A {OURS}" for name in NAMES), "abroad A " + ABROAD, "alias CNAME alias-target"]
ROWS = [row(f"{name}.cn") for name in ("filed", "kept", "removed", "alias")]


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=CN, rows=ROWS) as world:
        yield world


def test_cached_answers_cost_no_upstream_query(world):
    names = {"filed.cn": [OURS], "abroad.cn": [ABROAD]}
    for name, expected in names.items():
        assert_passed(world.ask(name), expected)
    assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")
    before = world.asked_upstream()
    for _ in range(5):
        for name, expected in names.items():
            assert_passed(world.ask(name), expected)
        assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")
    assert world.asked_upstream() == before


def test_ttl_of_a_permitted_name_counts_down_through_renewals(world):
    """The name is asked all the time, over several leases: real address, a TTL that only falls, and
    no upstream traffic."""
    assert_passed(world.ask("kept.cn"), [OURS])
    before = world.asked_upstream()
    ttls = []

    def passes():
        response = world.ask("kept.cn")
        assert_passed(response, [OURS])
        ttls.append(response.answer[0].ttl)
        return True

    begin = time.monotonic()
    holds_for(passes, 3 * LEASE + 1.2, "kept.cn is served")
    assert ttls == sorted(ttls, reverse=True)
    # No faster and no slower than the clock, within the second that a TTL is cut to.
    passed = ZONE_TTL - (time.monotonic() - begin)
    assert passed - 1 <= ttls[-1] <= passed + 2
    assert world.asked_upstream() == before


def test_ttl_of_a_chain_counts_down_through_renewals(world):
    assert_passed(world.ask("alias.cn"), [OURS])
    before = world.asked_upstream()

    def counted_down():
        response = world.ask("alias.cn")
        assert_passed(response, [OURS])
        assert len(response.answer) == 2
        return all(rrset.ttl <= ZONE_TTL - 3 for rrset in response.answer)

    wait_until(counted_down, 3 + LEASE, "the TTL of the chain counts down")
    assert world.asked_upstream() == before


def test_newly_filed_name_is_served_at_once(world):
    assert_blocked(world.ask("newly.cn"), "newly.cn")
    world.site.add(row("newly.cn"))
    wait_until(lambda: not world.is_blocked("newly.cn"), LOOK + SLACK, "newly.cn is served")
    holds_for(lambda: world.addresses("newly.cn") == [OURS], LEASE + 0.5, "newly.cn is served")


def test_removed_name_is_blocked_within_the_lease(world):
    assert_passed(world.ask("removed.cn"), [OURS])
    before = world.asked_upstream()
    world.site.remove("removed.cn")
    wait_until(
        lambda: world.is_blocked("removed.cn"), LEASE + LOOK + SLACK, "removed.cn is blocked"
    )
    holds_for(lambda: world.is_blocked("removed.cn"), LEASE + 0.5, "removed.cn stays blocked")
    assert world.asked_upstream() == before


def test_change_of_status_counts(world):
    world.site.add(row("switch.cn", status="changing"))
    deadline = LEASE + LOOK + SLACK
    wait_until(lambda: not world.is_blocked("switch.cn"), deadline, "switch.cn is served")
    world.site.add(row("switch.cn", status="deregistered"))
    wait_until(lambda: world.is_blocked("switch.cn"), deadline, "switch.cn is blocked")
    world.site.add(row("switch.cn", provider="acloud"))
    world.site.remove("switch.cn")
    holds_for(lambda: world.is_blocked("switch.cn"), deadline, "filed elsewhere is no help")


def preapproved(begin, end):
    return {
        "status": "transfer-preapproved",
        "approved_at": rfc3339(begin),
        "expires_at": rfc3339(end),
    }


# What becomes of a name at a second: its row, and the reasons to block it before and from then on.
AT_THE_SECOND = {
    "a pre-approval begins": (lambda at: preapproved(at, at + 86400), "pending", None),
    "a pre-approval ends": (lambda at: preapproved(at - 86400, at), None, "transfer-expired"),
    "a rectification is overdue": (
        lambda at: {"status": "rectifying", "rectify_by": rfc3339(at)},
        None,
        "rectify-overdue",
    ),
}


@pytest.mark.parametrize("what", AT_THE_SECOND)
def test_what_the_clock_changes_is_seen_at_the_second(start_world, what):
    """With nothing changed in the store: no lease is granted, and no refusal remembered, beyond it."""
    columns, before, after = AT_THE_SECOND[what]

    def is_so(name, reason):
        response = world.ask(name)
        if reason is None:
            return addresses(response) == [OURS]
        return addresses(response) == [BLOCK4] and ede(response)[1].startswith(
            f"{reason} {name};"
        )

    def is_seen_before(name, at):
        """Not where this machine was so slow that the second has come."""
        world.site.add(row(name, **columns(at)))
        wait_until(lambda: is_so(name, before) or time.time() >= at, 60, f"before {what}")
        return is_so(name, before) and time.time() < at - 0.1

    margins = (6, 12, 24, 48)
    cn = [f"switch{margin} A {OURS}" for margin in margins]
    changes = {"lease": 60, "rectify_overdue": "block"}
    with start_world(cn=cn, changes=changes) as world:
        for margin in margins:
            name, at = f"switch{margin}.cn", int(time.time()) + margin
            if is_seen_before(name, at):
                break
        else:
            pytest.fail(f"not seen before {what}, or the machine is too slow")
        wait_until(lambda: time.time() >= at, 60, "the second")
        assert is_so(name, after), world.ask(name)

# SPDX-License-Identifier: BSD-3-Clause
"""What happens to cached answers when time passes, or goes back."""

import socket
from contextlib import ExitStack

import pytest

from harness import OWN_NET, Nsd, Unbound, start
from world import ABROAD, OURS, Site, assert_blocked, assert_passed, row, zone

LEASE = 30
ROOT_SERVER, CHILD_SERVER = f"{OWN_NET}.1", f"{OWN_NET}.2"
OWN_TTL, GLUE_TTL, SHORT_LEASE = 20, 3600, 10


def test_clock_that_is_set_back(start_clocked, clock):
    """No address of a blocked name gets out, and a lease lasts no longer."""
    cn = ["blocked A " + OURS, "filed A " + OURS, "abroad A " + ABROAD]
    rows = [row("filed.cn")]
    with start_clocked(cn=cn, rows=rows, changes={"lease": LEASE}) as world:
        clock.move(world.unbound, 1000)
        assert_blocked(world.ask("blocked.cn"), "blocked.cn")
        assert_passed(world.ask("filed.cn"), [OURS])
        clock.move(world.unbound, 900)
        assert_blocked(world.ask("blocked.cn"), "blocked.cn")
        world.site.remove("filed.cn")
        clock.move(world.unbound, 900 + LEASE + 1)
        assert_blocked(world.ask("filed.cn"), "filed.cn")
        assert_passed(world.ask("abroad.cn"), [ABROAD])
        assert world.unbound.log.count("all leases end") == 1


def test_a_small_step_back_ends_no_lease(start_clocked, clock):
    with start_clocked(cn=["first A " + ABROAD, "second A " + ABROAD]) as world:
        clock.move(world.unbound, 1000)
        assert_passed(world.ask("first.cn"), [ABROAD])
        clock.move(world.unbound, 998)
        assert_passed(world.ask("second.cn"), [ABROAD])
        assert "all leases end" not in world.unbound.log


def glued(address):
    """A zone whose name server is its apex, so that the parent zone has its address as well."""
    return "\n".join([
        f"$TTL {OWN_TTL}",
        f"@ SOA glued.com. hostmaster 1 3600 900 86400 {OWN_TTL}",
        "@ NS glued.com.",
        f"@ A {address}",
    ]) + "\n"


@pytest.mark.parametrize("blocked", [False, True])
def test_glue_is_no_answer(clock, tmp_path, commands, module, blocked):
    """The parent zone still has the old address. That it comes along with a referral does not bring the
    answer back that ended, not even in the rest of its lease."""
    for address in (ROOT_SERVER, CHILD_SERVER):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 53))
        except OSError as error:
            pytest.skip(f"port 53 of {address}: {error.strerror}; delegations can't be tried")
    site = Site(commands, tmp_path, [], {"lease": SHORT_LEASE})
    own = [(f"{OWN_NET}.0/24", "CN", "qcloud")] if blocked else []
    commands.compile_ranges(tmp_path, [("192.0.2.0/24", "CN", "qcloud"), *own])
    site.load()
    root = [f"glued.com. {GLUE_TTL} NS glued.com.", f"glued.com. {GLUE_TTL} A {CHILD_SERVER}"]
    root_zone = zone(".", root, ("a.root", "A " + ROOT_SERVER))
    hints = f". 3600 NS a.root.\na.root. 3600 A {ROOT_SERVER}\n"
    for moment in ("before", "after"):
        (tmp_path / moment).mkdir()
    with ExitStack() as stack:
        start(stack, Nsd(tmp_path, {".": root_zone}, ROOT_SERVER, 53))
        unbound = start(stack, Unbound(tmp_path, [], module, site.conf, hints=hints))
        before = Nsd(tmp_path / "before", {"glued.com": glued(CHILD_SERVER)}, CHILD_SERVER, 53)
        with ExitStack() as while_before:
            start(while_before, before)
            for moment in (0, OWN_TTL - SHORT_LEASE // 2):
                clock.move(unbound, moment)
                response = unbound.ask("glued.com")
                if blocked:
                    assert_blocked(response, "glued.com")
                else:
                    assert_passed(response, [CHILD_SERVER])
        after = Nsd(tmp_path / "after", {"glued.com": glued(ABROAD)}, CHILD_SERVER, 53)
        start(stack, after)
        clock.move(unbound, OWN_TTL + 1)
        assert not unbound.ask("glued.com", "AAAA").answer
        for moment in (OWN_TTL + 1, GLUE_TTL // 2):
            clock.move(unbound, moment)
            response = unbound.ask("glued.com")
            assert_passed(response, [ABROAD])
            assert response.answer[0].ttl <= OWN_TTL

# SPDX-License-Identifier: BSD-3-Clause
"""What happens to cached answers when time passes, or goes back."""

from contextlib import ExitStack

import dns.rcode
import pytest

from delegations import skip_without_port_53
from harness import OWN_NET, Nsd, Unbound, start
from world import ABROAD, OURS, Site, assert_blocked, assert_passed, row, zone

LEASE = 30
ROOT_SERVER, CHILD_SERVER = f"{OWN_NET}.1", f"{OWN_NET}.2"
OWN_TTL, GLUE_TTL, SHORT_LEASE = 20, 3600, 10
STALE_TTL = 30  # serve-expired-reply-ttl, as it is by default


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


class GluedWorld:
    """The zone glued.com below a root that has the glue, with a resolver; `child` serves it at first."""

    def __init__(self, stack, directory, commands, module, blocked, lines=()):
        skip_without_port_53(ROOT_SERVER, CHILD_SERVER)
        site = Site(commands, directory, [], {"lease": SHORT_LEASE})
        own = [(f"{OWN_NET}.0/24", "CN", "qcloud")] if blocked else []
        commands.compile_ranges(directory, [("192.0.2.0/24", "CN", "qcloud"), *own])
        site.load()
        root = [f"glued.com. {GLUE_TTL} NS glued.com.", f"glued.com. {GLUE_TTL} A {CHILD_SERVER}"]
        root_zone = zone(".", root, ("a.root", "A " + ROOT_SERVER))
        hints = f". 3600 NS a.root.\na.root. 3600 A {ROOT_SERVER}\n"
        self.directory = directory
        self.stack = stack
        start(stack, Nsd(directory, {".": root_zone}, ROOT_SERVER, 53))
        self.child = self.serve(CHILD_SERVER)
        unbound = Unbound(directory, [], module, site.conf, lines, hints=hints)
        self.unbound = start(stack, unbound)

    def serve(self, address):
        """Starts a server of the child zone, in which its apex has this address."""
        home = self.directory / f"child-{address}"
        home.mkdir()
        return start(self.stack, Nsd(home, {"glued.com": glued(address)}, CHILD_SERVER, 53))


@pytest.mark.parametrize("blocked", [False, True])
def test_glue_is_no_answer(clock, tmp_path, commands, module, blocked):
    """The parent zone still has the old address. That it comes along with a referral does not bring the
    answer back that ended, not even in the rest of its lease."""
    with ExitStack() as stack:
        world = GluedWorld(stack, tmp_path, commands, module, blocked)
        for moment in (0, OWN_TTL - SHORT_LEASE // 2):
            clock.move(world.unbound, moment)
            response = world.unbound.ask("glued.com")
            if blocked:
                assert_blocked(response, "glued.com")
            else:
                assert_passed(response, [CHILD_SERVER])
        world.child.stop()
        world.serve(ABROAD)
        clock.move(world.unbound, OWN_TTL + 1)
        assert not world.unbound.ask("glued.com", "AAAA").answer
        for moment in (OWN_TTL + 1, GLUE_TTL // 2):
            clock.move(world.unbound, moment)
            response = world.unbound.ask("glued.com")
            assert_passed(response, [ABROAD])
            assert response.answer[0].ttl <= OWN_TTL


def test_an_answer_that_ended_is_stale_beside_its_glue(clock, tmp_path, commands, module):
    """While the servers are down it is served as it would be without glue."""
    with ExitStack() as stack:
        world = GluedWorld(stack, tmp_path, commands, module, False, ["serve-expired: yes"])
        assert_passed(world.unbound.ask("glued.com"), [CHILD_SERVER])
        world.child.stop()
        world.unbound.control("set_option", "infra-cache-max-rtt:", "1000")
        clock.move(world.unbound, OWN_TTL + 2)
        # The referral comes in, and nothing else.
        assert world.unbound.ask("other.glued.com", timeout=60).rcode() == dns.rcode.SERVFAIL
        response = world.unbound.ask("glued.com", timeout=60)
        assert_passed(response, [CHILD_SERVER])
        assert response.answer[0].ttl <= STALE_TTL

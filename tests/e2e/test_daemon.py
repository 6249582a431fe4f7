# SPDX-License-Identifier: BSD-3-Clause
"""Feeds are dropped into icpgated's spool under a running resolver: good, bad, late, out of order; the
daemon is killed meanwhile."""

import pytest

from feeds import Row
from gate_daemon import state_of, upsert
from harness import wait_until
from site_daemon import SiteDaemon
from world import BLOCK4, OURS

NAMES = ["filed", "late", "next", "night", "gone"]


@pytest.fixture(name="gate")
def make_gate(start_world):
    with start_world(cn=[f"{name} A {OURS}" for name in NAMES], load=False) as world:
        gate = SiteDaemon(world.site)
        gate.world = world
        gate.start()
        try:
            yield gate
        finally:
            gate.close()


def served(gate):
    """Which names are served, and not blocked."""
    found = {name: gate.world.addresses(f"{name}.cn") for name in NAMES}
    assert all(value in ([OURS], [BLOCK4]) for value in found.values()), found
    return {name for name, value in found.items() if value == [OURS]}


def come_to(gate, *names):
    wait_until(lambda: served(gate) == set(names), 60, f"served are {names}")


def test_a_day(gate):
    # No store yet, and on_no_index is pass.
    assert served(gate) == set(NAMES)
    gate.ends_in("done", gate.full(state_of("filed.cn", "gone.cn"), 1, "first.csv"))
    come_to(gate, "filed", "gone")
    # Out of order, and late.
    gate.delta(upsert("next.cn"), 3, "3.csv")
    gate.says("delta 3 waits for 2")
    assert served(gate) == {"filed", "gone"}
    gate.kill()
    late = gate.delta(upsert("late.cn"), 2, "2.csv")
    gate.start()
    gate.ends_in("done", late)
    gate.ends_in("done", "3.csv")
    come_to(gate, "filed", "gone", "late", "next")
    # A bad feed changes nothing.
    gate.ends_in("rejected", gate.full({1: Row("com", "qcloud", "filed", "x")}, 9, "bad.csv"))
    assert served(gate) == {"filed", "gone", "late", "next"}
    # The night's feed, which does not have the last delta.
    gate.full(state_of("filed.cn", "night.cn", "late.cn"), 2, "night.csv")
    gate.ends_in("done", "night.csv")
    come_to(gate, "filed", "late", "next", "night")
    gate.ctl("rollback")
    come_to(gate, "filed", "gone", "late", "next")
    gate.ctl("resume")
    gate.delta([("delete", "filed.cn", "qcloud")], 4, "4.csv")
    gate.ends_in("done", "4.csv")
    come_to(gate, "gone", "late", "next")

# SPDX-License-Identifier: BSD-3-Clause
"""No way around the gate: runs each way of leak_ways_*.py in every variant of the resolver."""

import contextlib
import re
import subprocess

import pytest

from clock import ResolverClock
from harness import Unbound, find_program
from leak_world import Setup, running_leak_world, usual_lines
from leaks import CONTROLS, LINES, VARIANTS, Probe, all_ways
from test_start import refusal
from world import Site

WAYS = [way for way in all_ways() if way.refusal is None]
REFUSED = [way for way in all_ways() if way.refusal is not None]
CASES = [(way, variant) for variant in VARIANTS for way in WAYS if way.suits(variant)]


@pytest.fixture(scope="module")
def setup(tmp_path_factory, commands, module):
    clock = ResolverClock(tmp_path_factory.mktemp("clock"))
    return Setup(tmp_path_factory, commands, module, clock)


class Shared:
    """The world of all ways that need none of their own, for one variant at a time."""

    def __init__(self, setup):
        self.setup = setup
        self.stack = contextlib.ExitStack()
        self.variant = None
        self.world = None

    def of(self, variant):
        if variant != self.variant:
            self.stack.close()
            self.variant = variant
            ways = [way for way in WAYS if not way.is_alone]
            self.world = self.stack.enter_context(running_leak_world(self.setup, variant, ways))
        return self.world


@pytest.fixture(scope="module")
def shared(setup):
    shared = Shared(setup)
    with shared.stack:
        yield shared


def go(way, variant, shared, tally):
    """Runs a way; the probe tells what it found."""
    with contextlib.ExitStack() as stack:
        if way.is_alone:
            world = stack.enter_context(way.running_world(shared.setup, variant))
        else:
            world = shared.of(variant)
        probe = Probe(way, world, tally)
        try:
            way.run(probe)
        finally:
            tally.add(way, variant, probe.asked, len(probe.leaks))
    return probe


def test_every_line_of_the_table_has_a_way():
    assert {way.line for way in WAYS + REFUSED} == set(LINES)


@pytest.mark.parametrize(("way", "variant"), CASES, ids=str)
def test_leaks_nothing(way, variant, shared, tally):
    probe = go(way, variant, shared, tally)
    assert probe.asked > 0
    if probe.leaks:
        pytest.fail(probe.report(), pytrace=False)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_without_the_module_it_leaks(way, shared, tally):
    """The same harness sees the leaks where there are some."""
    variant = next(each for each in CONTROLS if way.suits(each))
    assert go(way, variant, shared, tally).leaks


@pytest.mark.parametrize("variant", VARIANTS, ids=str)
@pytest.mark.parametrize("way", REFUSED, ids=str)
def test_is_refused(way, variant, setup, tally):
    directory = setup.tmp_path_factory.mktemp("refused")
    site = Site(setup.commands, directory, [], way.own.changes)
    site.load()
    lines = [*usual_lines(variant, way.own.modules), *way.own.server]
    tally.add_refusal(way)
    program = way.own.options.get("program") or find_program("ICP_UNBOUND", "unbound")
    says = way.refusal
    if not set(way.own.modules) <= linked_modules(program):
        says = "not compiled in"
        tally.note(f"{way}: this daemon has no such module, and says so itself")
    elif not way.by_daemon:
        assert says in refusal(site, setup.module, lines, **way.own.options)
        return
    stubs = [("cn", "stub-addr: 127.0.0.1@1")]
    unbound = Unbound(directory, stubs, setup.module, site.conf, lines, **way.own.options)
    assert unbound.wait_for_end() != 0
    assert says in unbound.log


def linked_modules(program):
    version = subprocess.run([program, "-V"], capture_output=True, encoding="utf-8", check=True)
    return set(re.search(r"^Linked modules: (.*)$", version.stdout, re.M)[1].split())

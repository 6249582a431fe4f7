# SPDX-License-Identifier: BSD-3-Clause
"""The range database is replaced under a running resolver."""

import itertools
import os

import pytest

from harness import holds_for, wait_until
from world import ABROAD, LEASE, LOOK, RANGES, SLACK, row

CN = [f"{name} A {ABROAD}" for name in ("*.moving", "cached", "filed")]
NOW_OURS = [("198.18.0.0/15", "CN", "qcloud")]


@pytest.fixture
def world(start_world):
    with start_world(cn=CN, rows=[row("filed.cn")]) as world:
        yield world


def replace(world, entries):
    """Renames a new database over the one in use."""
    fresh = world.site.commands.compile_ranges(world.site.directory, entries, "fresh")
    os.rename(fresh, world.site.ranges)


def test_new_database_is_used_within_a_second(world):
    # A name that was never asked shows the database in use: no cache stands in between.
    names = (f"n{number}.moving.cn" for number in itertools.count())
    assert world.addresses(next(names)) == [ABROAD]
    assert world.addresses("cached.cn") == [ABROAD]
    replace(world, NOW_OURS)
    wait_until(lambda: world.is_blocked(next(names)), LOOK + SLACK, "the new database is used")
    wait_until(lambda: world.is_blocked("cached.cn"), LEASE + SLACK, "cached.cn is blocked")
    assert world.addresses("filed.cn") == [ABROAD]
    replace(world, RANGES)
    wait_until(lambda: not world.is_blocked(next(names)), LOOK + SLACK, "the old one is back")
    wait_until(lambda: not world.is_blocked("cached.cn"), LOOK, "cached.cn is served")


def test_broken_database_is_refused_and_the_old_one_stays(world):
    names = (f"n{number}.moving.cn" for number in itertools.count())
    taken, refused = "new range database in use", "the range database in use stays"
    whole = world.site.ranges.read_bytes()
    broken = world.site.directory / "broken"

    for content in (b"", b"no database", whole[: len(whole) // 2], whole[:-8]):
        replace(world, NOW_OURS)
        wait_until(lambda: world.is_blocked(next(names)), LOOK + SLACK, "a good one is taken")
        before = world.unbound.log
        broken.write_bytes(content)
        os.rename(broken, world.site.ranges)
        holds_for(lambda: world.is_blocked(next(names)), 2 * LOOK + SLACK, "the old one in use")
        said = world.unbound.log[len(before) :]
        assert said.count(refused) == 1 and said.count(str(world.site.ranges)) == 1, said
        assert taken not in said
        replace(world, RANGES)
        wait_until(
            lambda: world.addresses(next(names)) == [ABROAD], LOOK + SLACK, "a good one is taken"
        )

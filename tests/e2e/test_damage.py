# SPDX-License-Identifier: BSD-3-Clause
"""Files are damaged and truncated under a resolver that is asked all the time: it lives on, each
answer is right or what on_no_index says, and a new generation brings back the truth. And a resolver
is started on what is damaged."""

import os
import random
import shutil
from contextlib import ExitStack

import pytest

from crash_scenes import LONG, some
from damage_world import FOREIGN, PATIENCE, DamageWorld, Generation
from feeds import FAILED
from harness import wait_until

SEED = int(os.environ.get("ICP_SEED", "20261123"))
BITS_PER_PAGE = 12 if LONG else 2
SCATTERED = 12 if LONG else 3
# on_no_index, threads
WAYS = [("pass", 1), ("block", 2), ("pass", 2), ("block", 1)]
BOTH = [("pass", 1), ("block", 2)]


@pytest.fixture
def make_world(tmp_path, commands, module):
    """Makes a world with a generation in it, and a resolver if threads are given."""
    with ExitStack() as stack:

        def make(on_no_index, threads=None, load=True):
            changes = {"on_no_index": on_no_index}
            world = DamageWorld(stack, tmp_path, commands, module, changes)
            if load:
                world.load_with_deltas()
            if threads:
                world.start_resolver(threads)
                assert not world.ask()["no-index"]
            return world

        yield make


def wrap(what, world, ask):
    try:
        return ask()
    except AssertionError as error:
        raise AssertionError(f"on_no_index {world.on_no_index}, {what}: {error}") from error


def damages(generation, page, rng):
    """Ways to damage a page: what it is, the doing, and whether rows on it are lost by it."""
    rows = page in generation.buckets()
    yield f"page {page} inverted", lambda: generation.invert(page), rows
    yield f"page {page} zeroed", lambda: generation.zero(page), rows
    for step in range(SCATTERED if rows else 0):
        what = f"page {page}, a bit in every 40 octets flipped, way {step}"
        yield what, lambda way=step: generation.scatter(page, way), rows
    for _ in range(BITS_PER_PAGE if page in generation.pages.spans else 0):
        span = rng.choice(generation.pages.spans[page])
        offset, bit = rng.randrange(span.begin, span.end), rng.randrange(8)
        what = f"seed {SEED}: page {page}, offset {offset % generation.pages.size}, bit {bit}"
        yield (
            f"{what} flipped ({span.what})",
            lambda at=offset, which=bit: generation.flip(at, which),
            False,
        )


@pytest.mark.parametrize("on_no_index, threads", WAYS)
def test_every_page_is_damaged_in_place(make_world, on_no_index, threads):
    world = make_world(on_no_index, threads)
    generation = Generation(world.store)
    rng = random.Random(SEED)
    count = 0
    with world.rounds() as rounds:
        for page in some(range(generation.pages.last + 1)):
            for what, damage, rows_are_lost in damages(generation, page, rng):
                damage()
                found = wrap(what, world, rounds.wait_round)
                generation.repair()
                count += bool(found["no-index"])
                assert found["no-index"] or not rows_are_lost, f"{what}: rows were still found"
                found = wrap(f"{what}, and repaired", world, rounds.wait_round)
                assert not found["no-index"], f"{what}, and repaired: {found}"
        assert count, "nothing of that was noticed"
        assert len(world.said()) == 1 and str(world.store.path) in world.said()[0], world.said()
        assert world.counted("no-index")
        world.load_and_wait(rounds)


def lengths(generation):
    """Sizes to cut a file to."""
    size, page = len(generation.content), generation.pages.size
    return [0, size // 2, size - 1, 1, page, 2 * page + 1, size // 3 | 1]


@pytest.mark.parametrize("on_no_index, threads", BOTH)
def test_the_file_is_truncated(make_world, on_no_index, threads):
    world = make_world(on_no_index, threads)
    with world.rounds() as rounds:
        for length in some(lengths(Generation(world.store))):
            what = f"truncated to {length} octets"
            generation = Generation(world.store)
            before = len(world.said())
            os.truncate(generation.path, length)
            found = wrap(what, world, rounds.wait_round)
            if length <= 2 * generation.pages.size + 1:
                assert found["right"] == 0 or on_no_index == "pass", f"{what}: {found}"
                assert found["no-index"], f"{what}: {found}"
                assert world.no_index_since(), f"{what}: stat does not say so"
            if found["no-index"]:
                assert len(world.said()) == before + 1, world.said()
            # What is put back in place must not bring another state either.
            generation.repair()
            wrap(f"{what}, and put back", world, rounds.wait_round)
            os.truncate(generation.path, length)
            wrap(f"{what} again", world, rounds.wait_round)
            wrap(f"{what}, and a new generation", world, lambda: world.load_and_wait(rounds))
            assert world.no_index_since() is None, f"{what}: stat still says so"
        assert world.counted("no-index")


@pytest.mark.parametrize("on_no_index, threads", BOTH)
def test_the_lock_file_is_truncated(make_world, on_no_index, threads):
    world = make_world(on_no_index, threads)
    with world.rounds() as rounds:
        for length in some([0, 100, 1, 4096, 136]):
            what = f"lock file truncated to {length} octets"
            os.truncate(Generation(world.store).lock_path, length)
            wrap(what, world, rounds.wait_round)
            wrap(f"{what}, and a new generation", world, lambda: world.load_and_wait(rounds))
        assert world.stat().returncode == 0


@pytest.mark.parametrize("on_no_index, threads", BOTH)
def test_the_range_database_is_truncated(make_world, on_no_index, threads):
    """It was read whole, and stays in use until a whole one is there."""
    world = make_world(on_no_index, threads)
    path = world.site.ranges

    def replace(content):
        fresh = world.directory / "fresh.mmdb"
        fresh.write_bytes(content)
        fresh.rename(path)

    def refusals():
        return [line for line in world.unbound.log.splitlines() if "in use stays" in line]

    def refused(what, change):
        before = len(refusals())
        change()
        wait_until(lambda: rounds.wait_round() and len(refusals()) > before, PATIENCE, what)
        found = wrap(what, world, rounds.wait_round)
        assert not found["no-index"], f"{what}: {found}"

    whole = path.read_bytes()
    with world.rounds() as rounds:
        for length in some([0, len(whole) // 2, 1]):
            what = f"ranges truncated to {length} octets"
            refused(what, lambda: os.truncate(path, length))
            broken = whole[: len(whole) // 2 - 1]
            refused(f"{what}, and replaced by a broken one", lambda: replace(broken))
            replace(whole)
            wrap(f"{what}, and replaced", world, lambda: world.wait_for_truth(rounds))
        assert world.stat().returncode == 0


def test_the_statistics_are_truncated(make_world):
    world = make_world("block", 2)
    path = world.store.path / "stats"
    size = path.stat().st_size
    for length in (0, size // 2, 4097):
        with world.rounds() as rounds:
            os.truncate(path, length)
            for _ in range(3):
                found = wrap(f"stats truncated to {length}", world, rounds.wait_round)
                assert not found["no-index"]
            done = world.stat()
            assert done.returncode == FAILED and str(path) in done.stderr, done.stderr
        reload(world)
        assert not world.ask()["no-index"] and world.counted("filed")


def reload(world):
    """Takes the module down and up again; no query may be under way."""
    restarts = world.unbound.log.count("start of service")
    world.unbound.control("reload")
    wait_until(
        lambda: world.unbound.log.count("start of service") > restarts, 60, "it is up again"
    )


@pytest.mark.parametrize("on_no_index, threads", BOTH)
def test_reload_on_a_damaged_page(make_world, on_no_index, threads):
    """What the module opens then is damaged from the begin on."""
    world = make_world(on_no_index, threads)
    generation = Generation(world.store)
    damage = generation.invert if threads == 1 else generation.zero
    for page in some(range(generation.pages.last + 1)):
        damage(page)
        reload(world)
        wrap(f"page {page} damaged", world, world.ask)
        generation.repair()
        wrap(f"page {page} repaired", world, world.wait_for_truth)


def no_directory(world):
    shutil.rmtree(world.store.path)


def no_link(world):
    (world.store.path / "current").unlink()


def dangling_link(world):
    Generation(world.store).path.unlink()


def link_to_a_directory(world):
    path = Generation(world.store).path
    path.unlink()
    path.mkdir()


def truncated(length):
    def truncate(world):
        generation = Generation(world.store)
        os.truncate(generation.path, length(len(generation.content)))

    return truncate


def no_meta_pages(world):
    generation = Generation(world.store)
    generation.invert(0)
    generation.invert(1)


def all_inverted(world):
    generation = Generation(world.store)
    generation.change(0, bytes(octet ^ 0xFF for octet in generation.content))


STARTS = {
    "no store": no_directory,
    "no current generation": no_link,
    "dangling link": dangling_link,
    "empty": truncated(lambda size: 0),
    "half": truncated(lambda size: size // 2),
    "odd size": truncated(lambda size: size // 3 | 1),
    "meta pages inverted": no_meta_pages,
    "all inverted": all_inverted,
}


@pytest.mark.parametrize("on_no_index, threads", BOTH)
@pytest.mark.parametrize("what", STARTS)
def test_start_on_what_is_damaged(make_world, what, on_no_index, threads):
    world = make_world(on_no_index)
    STARTS[what](world)
    world.start_resolver(threads)
    found = world.ask()
    assert found["no-index"] and found["foreign"] == len(FOREIGN), found
    assert len(world.said()) == 1 and str(world.store.path) in world.said()[0], world.said()
    world.load_and_wait()
    assert world.stat().returncode in (0, FAILED)

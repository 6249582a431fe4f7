# SPDX-License-Identifier: BSD-3-Clause
"""The loader is killed (-9) after each call by which it changes files, and before the first: what it
leaves is the old state or the new one, whole, and the next loader needs no help. (Before a call is
after the one before it, as far as files go; a long run does both.)"""

import pytest

from crash_scenes import LONG, STEPS, STRIDE, calls_of, held_open, make_scene, of_one_day, some
from feeds import FAILED, KILLED, Rollback, check_audit, check_files, take_step

# At least so many in all scenes together.
KILLS_WANTED = 200
kills = {}


def check_next_run(store, model, step):
    """The same command again must come to what it does to what it finds."""
    _, after = take_step(store, model, step)
    check_files(store)
    check_audit(store, after)
    return after


def kill(scene, shim, number, how):
    """A copy of the scene's store after a kill, and the model that holds."""
    store = scene.copy()
    done, after = take_step(store, scene.model, scene.step, shim.failing(number, how))
    assert done.returncode == KILLED
    return store, after


@pytest.mark.parametrize("name", STEPS)
@of_one_day
def test_killed_at_every_call(name, commands, tmp_path, shim):
    scene = make_scene(commands, tmp_path, name)
    calls = len(calls_of(scene, shim))
    found = {"old": 0, "new": 0}
    for number in some(range(1, calls + 1)):
        for how in ["before", "after"] if LONG or number == 1 else ["after"]:
            try:
                store, after = kill(scene, shim, number, how)
                check_next_run(store, after, scene.step)
            except AssertionError as error:
                call = " ".join(shim_call(scene, shim, number))
                raise AssertionError(f"killed {how} call {number} ({call}): {error}") from error
            found["old" if after is scene.model else "new"] += 1
            scene.drop(store)
    kills[name] = sum(found.values())
    print(f"{name}: {calls} calls, {found}")
    # Its effect comes neither with the first nor after the last call.
    assert found["old"] and found["new"]


def shim_call(scene, shim, number):
    """What a call is, for a message."""
    store = scene.copy()
    store.load(*scene.step.arguments, environment=shim.counting())
    return shim.calls()[number - 1]


@of_one_day
def test_a_number_is_left_out(commands, tmp_path, shim):
    """The first load is killed between the renaming of its generation and the link to it. Without a link
    nobody knows whether one that is whole was current, so the next load leaves it alone and takes the next
    number; then the first one goes. It was never current: no line of the log and no rollback knows it."""
    scene = make_scene(commands, tmp_path, "first full")
    store = scene.copy()
    store.load(*scene.step.arguments, environment=shim.counting())
    scene.drop(store)
    calls = shim.calls()
    settled = calls.index(["renameat", "0000000001.mdb"]) + 1
    linked = calls.index(["renameat", "current"]) + 1
    numbers = []
    for number in (settled - 1, settled, linked - 1):
        store, after = kill(scene, shim, number, "after")
        assert after is scene.model and store.status() is None
        _, after = take_step(store, after, scene.step)
        numbers.append(after.current.number)
        assert store.kept() == {numbers[-1]}
        assert {line[4] for line in store.audit()} == {str(numbers[-1])}
        check_audit(store, after)
        assert store.load("rollback").returncode == FAILED
        scene.drop(store)
    assert numbers == [1, 2, 2], numbers


def test_there_were_enough_kills():
    if set(kills) != set(STEPS) or STRIDE > 1:
        pytest.skip("not all of the kills above were done")
    assert sum(kills.values()) >= KILLS_WANTED


def left_pending(scene, shim, calls):
    """Kills after which a batch of the log is left for the next loader."""
    for number in calls:
        left, model = kill(scene, shim, number, "after")
        if (left.path / "audit" / "pending").exists():
            yield left, model
        scene.drop(left)


@pytest.mark.parametrize("name", ["first full", "full", "delta", "rollback"])
@of_one_day
def test_the_loader_that_finishes_is_killed_too(name, commands, tmp_path, shim):
    """Where the first kill leaves a change of the log pending, the next loader is killed at each of
    its calls as well, and the third one finishes. After the first feed there is nothing to go
    back to."""
    scene = make_scene(commands, tmp_path, name)
    calls = len(calls_of(scene, shim))
    cases = 0
    for left, model in left_pending(scene, shim, some(range(1, calls + 1), 16)):
        counted = scene.copy(left)
        take_step(counted, model, scene.step, shim.counting())
        scene.drop(counted)
        for number in some(range(1, len(shim.calls()) + 1), 8):
            again = scene.copy(left)
            done, after = take_step(again, model, scene.step, shim.failing(number, "after"))
            assert done.returncode == KILLED
            after = check_next_run(again, after, scene.step)
            if name == "first full":
                check_next_run(again, after, Rollback())
            scene.drop(again)
            cases += 1
    print(f"{name}: {cases} kills of the second loader")
    assert cases > 0


@pytest.mark.parametrize("name", ["delta", "full", "deltas"])
@of_one_day
def test_killed_while_a_reader_has_it_open(name, commands, tmp_path, shim):
    """LMDB's readers then go by a number in the lock file, which is written after the commit is: a
    commit of which it does not tell is one all the same."""
    scene = make_scene(commands, tmp_path, name)
    calls = len(calls_of(scene, shim))
    for number in some(range(1, calls + 1), 40):
        store = scene.copy()
        with held_open(commands, store, tmp_path):
            done, after = take_step(store, scene.model, scene.step, shim.failing(number, "after"))
            assert done.returncode == KILLED
            try:
                check_next_run(store, after, scene.step)
            except AssertionError as error:
                call = " ".join(shim_call(scene, shim, number))
                raise AssertionError(f"killed after call {number} ({call}): {error}") from error
        scene.drop(store)

# SPDX-License-Identifier: BSD-3-Clause
"""The power fails before each call by which the loader changes files, and when it has ended: what it
had not brought to the disk yet is lost, or the contents of files alone, or names alone. What is
left is the old state or the new one, whole, and after the end the new one."""

import pytest

from crash_scenes import LONG, STEPS, calls_of, make_scene, of_one_day, some
from feeds import KILLED, check_audit, check_files, take_step

WAYS = ["cut", "cut-data", "cut-names"]


def check_cut(scene, shim, number, way):
    """Returns the model that holds after it."""
    store = scene.copy()
    done, after = take_step(store, scene.model, scene.step, shim.failing(number, way))
    assert done.returncode == KILLED
    _, last = take_step(store, after, scene.step)
    check_files(store)
    check_audit(store, last)
    scene.drop(store)
    return after


@pytest.mark.parametrize("name", STEPS)
@of_one_day
def test_power_fails_at_every_call(name, commands, tmp_path, shim):
    scene = make_scene(commands, tmp_path, name)
    calls = [*calls_of(scene, shim), ("end", "")]
    last = scene.step.outcomes(scene.model, scene.copy().kept())[0][-1]
    found = {"old": 0, "new": 0}
    cases = list(enumerate(calls, 1))
    for number, call in [*some(cases[:-1], 40), cases[-1]]:
        # All of them in a long run, else in turn; at the end all.
        ways = WAYS if LONG or call[0] == "end" else [WAYS[number % 3]]
        for way in ways:
            try:
                after = check_cut(scene, shim, number, way)
                if call[0] == "end":
                    assert after.sequence == last.sequence, "done, and then lost"
                    assert after is not scene.model, "done, and then lost"
            except AssertionError as error:
                what = f"{way} at call {number} ({' '.join(call)})"
                raise AssertionError(f"{what}: {error}") from error
            found["old" if after is scene.model else "new"] += 1
    print(f"{name}: {len(calls)} calls, {found}")
    assert found["old"] and found["new"]

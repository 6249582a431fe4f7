# SPDX-License-Identifier: BSD-3-Clause
"""Each call by which the loader changes files fails in turn, or a write does only a half: the loader
says so and leaves the store as it was, or it did what it should; and the next one needs no help."""

import errno
import os

import pytest

from crash_scenes import LONG, STEPS, make_scene, some
from feeds import DONE, FAILED, check_audit, check_files, take_step
from shim import Shim

ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "short": None}
# On from then: the disk is gone, and the loader can't even clean up.
WAYS = {"once": False, "from then on": True}


@pytest.fixture(scope="module")
def shim(tmp_path_factory):
    return Shim(tmp_path_factory.mktemp("shim"))


def calls_of(scene, shim):
    store = scene.copy()
    take_step(store, scene.model, scene.step, shim.counting())
    scene.drop(store)
    return shim.calls()


def check_message(done, store, error, call):
    """One line that names a file of the store, and the cause. Before it, what is to be said of a
    part that was done."""
    *before, last = done.stderr.splitlines()
    assert all("the next load will write the audit log's lines" in each for each in before), done.stderr
    for line in (*before, last):
        assert str(store.path) in line, f"names no file of the store: {line}"
    if error is not None and call != "mmap":
        assert os.strerror(error) in last, f"does not name the cause: {last}"


def check_failure(scene, shim, number, call, how, on):
    store = scene.copy()
    done, after = take_step(store, scene.model, scene.step, shim.failing(number, how, on))
    assert done.returncode in (DONE, FAILED), f"exit {done.returncode}: {done.stderr}"
    if done.returncode == FAILED:
        check_message(done, store, ERRORS[how], call)
    _, last = take_step(store, after, scene.step)
    check_files(store)
    check_audit(store, last)
    scene.drop(store)
    return done.returncode


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STEPS)
def test_every_call_fails(name, way, commands, tmp_path, shim):
    scene = make_scene(commands, tmp_path, name)
    ends = {DONE: 0, FAILED: 0}
    most = 20 if WAYS[way] else None
    for number, (call, path) in some(list(enumerate(calls_of(scene, shim), 1)), most):
        # All of them in a long run, else both errors in turn.
        hows = ["EIO", "ENOSPC"] if LONG else [["EIO", "ENOSPC"][number % 2]]
        if "write" in call and not WAYS[way]:
            hows.append("short")
        for how in hows:
            try:
                ends[check_failure(scene, shim, number, call, how, WAYS[way])] += 1
            except AssertionError as error:
                raise AssertionError(f"{how} at call {number} ({call} {path}): {error}") from error
    print(f"{name}, {way}: {ends[DONE]} done all the same, {ends[FAILED]} failed")
    assert ends[FAILED]

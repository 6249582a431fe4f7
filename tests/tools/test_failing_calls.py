# SPDX-License-Identifier: BSD-3-Clause
"""Each call by which the loader changes files fails in turn, or a write does only a half: the loader
says so and leaves the store as it was, or it did what it should; and the next one needs no help."""

import errno
import os

import pytest

from crash_scenes import LONG, STEPS, calls_of, make_scene, of_one_day, some
from feeds import DONE, FAILED, Delta, check_audit, check_files, take_step

ERRORS = {"EIO": errno.EIO, "ENOSPC": errno.ENOSPC, "short": None}
# On from then: the disk is gone, and the loader can't even clean up.
WAYS = {"once": False, "from then on": True}


def replaced(scene):
    """The file of the generation that the command takes the place of, if it does."""
    current = scene.model.current
    if current is None or isinstance(scene.step, Delta):
        return None
    return f"generations/{current.number:010}.mdb"


def is_day(path):
    return path.startswith("audit/") and path.endswith(".csv.zst")


# Calls that may fail and the command still does its work: what they are, what must be said of it,
# and why that is right. Functions of the scene, the calls before, and the call.
NOT_LASTING = "the disk failed: a crash may bring back the generation before"
NOT_LOGGED = "the next load will write the audit log's lines"
MAY_FAIL = {
    "the parent of a directory that was made, but for audit/": (
        lambda _, before, call: call in [("fsync", ".."), ("fsync", ".")]
        and before[-1] in [("fchmod", "."), ("fchmod", "generations")],
        None,
        "Without it the next power cut may take the new store away, as if there had been no load.",
    ),
    "the store, once `current` is renamed": (
        lambda _, before, call: call == ("fsync", ".") and ("renameat", "current") in before,
        NOT_LASTING,
        "The new generation is in use; nothing is pruned, so what may come back is there.",
    ),
    "the generation that is replaced": (
        lambda scene, _, call: call[1] == replaced(scene),
        None,
        "Its word that it is superseded is a hint: readers look at the link a second later.",
    ),
    "the day's file of the audit log": (
        lambda _, before, call: is_day(call[1])
        or call == ("fsync", "audit") and is_day(before[-1][1]),
        NOT_LOGGED,
        "The change is committed; `pending` stands, and the next loader finishes it.",
    ),
    "the removal of `pending`": (
        lambda _, before, call: call == ("fsync", "audit") and before[-1] == ("unlinkat", "pending"),
        None,
        "Should it come back, the next loader writes the same lines to the same place again.",
    ),
}


def check_end(scene, calls, number, how, done):
    """A write, fsync or rename that fails must end the loader, or stand in the list."""
    call = calls[number - 1]
    if how == "short" or not any(each in call[0] for each in ("write", "sync", "rename")):
        return
    excuses = [said for matches, said, _ in MAY_FAIL.values()
               if matches(scene, calls[: number - 1], call)]
    assert len(excuses) <= 1, "more than one reason"
    if not excuses:
        assert done.returncode == FAILED, "it is not in the list of those that may fail"
    else:
        assert done.returncode == DONE, "it is in the list of those that may fail"
        said = done.stderr.splitlines()
        assert len(said) == (excuses[0] is not None) and (not said or excuses[0] in said[0]), said


def check_message(done, store, error, call):
    """One line that names a file of the store, and the cause. Before it, what is to be said of a
    part that was done."""
    *before, last = done.stderr.splitlines()
    assert all("the next load will write the audit log's lines" in each for each in before), done.stderr
    for line in (*before, last):
        assert str(store.path) in line, f"names no file of the store: {line}"
    if error is not None and call != "mmap":
        assert os.strerror(error) in last, f"does not name the cause: {last}"


def check_failure(scene, shim, calls, number, how, on):
    store = scene.copy()
    kept = store.kept()
    done, after = take_step(store, scene.model, scene.step, shim.failing(number, how, on))
    assert done.returncode in (DONE, FAILED), f"exit {done.returncode}: {done.stderr}"
    if done.returncode == FAILED:
        check_message(done, store, ERRORS[how], calls[number - 1][0])
    if not on:
        check_end(scene, calls, number, how, done)
    if NOT_LASTING in done.stderr:
        assert kept <= store.kept(), "the generation that may come back was removed"
    _, last = take_step(store, after, scene.step)
    check_files(store)
    check_audit(store, last)
    scene.drop(store)
    return done.returncode


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STEPS)
@of_one_day
def test_every_call_fails(name, way, commands, tmp_path, shim):
    scene = make_scene(commands, tmp_path, name)
    ends = {DONE: 0, FAILED: 0}
    most = 20 if WAYS[way] else None
    calls = calls_of(scene, shim)
    for number, (call, path) in some(list(enumerate(calls, 1)), most):
        # All of them in a long run, else both errors in turn.
        hows = ["EIO", "ENOSPC"] if LONG else [["EIO", "ENOSPC"][number % 2]]
        if "write" in call and not WAYS[way]:
            hows.append("short")
        for how in hows:
            try:
                ends[check_failure(scene, shim, calls, number, how, WAYS[way])] += 1
            except AssertionError as error:
                raise AssertionError(f"{how} at call {number} ({call} {path}): {error}") from error
    print(f"{name}, {way}: {ends[DONE]} done all the same, {ends[FAILED]} failed")
    assert ends[FAILED]

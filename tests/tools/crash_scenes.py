# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of kills, failing calls and full disks let the loader do: small stores, and commands
on them.

ICP_LONG  anything: the tests leave no case out, and take minutes
"""

import functools
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from commands import CHINA, rfc3339
from feeds import DONE, Delta, FeedWriter, Full, Model, Rollback, Row, Store, apply, take_step
from gate_daemon import wait_until

PAST, FUTURE = 1_600_000_000, 4_000_000_000
ENTITY, OTHER = "京ICP备11018762号", "京ICP备1101876号"
ROWS = [Row(f"f{n}.cn", "qcloud", "filed", f"{ENTITY}-{n}") for n in range(20)]
ROWS += [Row(f"f{n}.cn", "acloud", "changing", f"{OTHER}-{n}") for n in range(0, 20, 3)]
ROWS += [
    Row("www.f1.cn", "qcloud", "pending", ""),
    Row("deep.www.f2.cn", "qcloud", "deregistered", OTHER),
    Row("r.com", "qcloud", "rectifying", OTHER, rectify_by=rfc3339(FUTURE)),
    Row("t.com", "qcloud", "transfer-preapproved", OTHER, rfc3339(PAST), rfc3339(FUTURE)),
    Row("l.com", "acloud", "filed", "京ICP证030173号", licensed_addresses="192.0.2.0/28"),
]
STATE = {row.key: row for row in ROWS}
SMALL = [("upsert", Row("new.cn", "qcloud", "filed", f"{OTHER}-1"))]
LARGE = [
    ("delete", "f3.cn", "acloud"),
    ("deregister-entity", ENTITY),
    *(("upsert", Row(f"d{n}.f{n}.cn", "acloud", "filed", f"{OTHER}-{n}")) for n in range(40)),
    ("delete", "d7.f7.cn", "acloud"),
    ("upsert", ROWS[0]),
]
UPDATES = [
    [("upsert", Row(f"u{n}.com", "qcloud", "filed", f"{OTHER}-{n}")), ("delete", f"f{n}.cn", "qcloud")]
    for n in range(4)
]


# All cases, which take minutes; else the tests choose some where they have to.
LONG = bool(os.environ.get("ICP_LONG"))
# With a sanitizer a process takes ten times as long to start.
STRIDE = 12 if os.environ.get("ICP_PRELOAD") else 1


def some(cases, most=None):
    """Every one; else with a sanitizer some, from begin to end, and about so many at most."""
    if LONG:
        return cases
    stride = max(STRIDE, -(-len(cases) // (most or len(cases) or 1)))
    return [*cases[:-1:stride], *cases[-1:]]


class Scene:
    """A store in some state, its model, and a command.

    Each test gets a copy of the store to work on.
    """

    def __init__(self, commands, directory, model, step):
        self.commands = commands
        self.directory = directory
        self.model = model
        self.step = step
        self.copies = 0
        self.status = Store(commands, directory / "store").status()

    def copy(self, of=None):
        """A copy of the scene's store, or of another one."""
        self.copies += 1
        path = self.directory / f"copy{self.copies}"
        source = of.path if of else self.directory / "store"
        if source.exists():
            shutil.copytree(source, path, symlinks=True)
        store = Store(self.commands, path)
        if not of:
            store.known_status = self.status
        return store

    def drop(self, store):
        shutil.rmtree(store.path, ignore_errors=True)


def make_store(commands, directory):
    """Three generations, the newest with deltas; returns store, feeds and model."""
    store, feeds, model = Store(commands, directory / "store"), FeedWriter(directory), Model()
    halves = [dict(list(STATE.items())[:half]) for half in (30, 20)]
    for number, state in enumerate([*halves, STATE], 1):
        step = Full(feeds.full(state, number), state, number)
        _, model = take_step(store, model, step)
    for number, operations in enumerate(UPDATES, 4):
        step = Delta((feeds.delta(operations, number), operations, number))
        _, model = take_step(store, model, step)
    return store, feeds, model


def first_full(feeds, _):
    return Full(feeds.full(STATE, 3), STATE, 3)


def full_with_newer_deltas(feeds, model):
    state = apply(STATE, [*UPDATES[0], *SMALL, *UPDATES[1]])
    return Full(feeds.full(state, model.sequence - 2), state, model.sequence - 2)


def one_delta(feeds, model):
    sequence = model.sequence + 1
    return Delta((feeds.delta(LARGE, sequence), LARGE, sequence))


def three_deltas(feeds, model):
    parts = enumerate([SMALL, LARGE, UPDATES[0]], model.sequence + 1)
    return Delta(*((feeds.delta(each, sequence), each, sequence) for sequence, each in parts))


def rollback(_, __):
    return Rollback()


def one_kept(make):
    """The same, and no generation is kept but the current one."""

    def make_it(feeds, model):
        step = make(feeds, model)
        step.arguments += ["--keep", "1"]
        return step

    return make_it


STEPS = {
    "first full": first_full,
    "full": full_with_newer_deltas,
    "full, one kept": one_kept(full_with_newer_deltas),
    "delta": one_delta,
    "delta, one kept": one_kept(one_delta),
    "deltas": three_deltas,
    "rollback": rollback,
}


def make_scene(commands, directory, name):
    directory = Path(tempfile.mkdtemp(dir=directory))
    if name == "first full":
        feeds, model = FeedWriter(directory), Model()
    else:
        _, feeds, model = make_store(commands, directory)
    return Scene(commands, directory, model, STEPS[name](feeds, model))


def of_one_day(test):
    """For tests that number the calls of a command: the first of a day makes a new file of the audit log, and
    has others. If another day began meanwhile, a test that failed is done once more."""

    def today():
        return datetime.now(CHINA).date()

    @functools.wraps(test)
    def do_test(*arguments, **fixtures):
        day = today()
        try:
            test(*arguments, **fixtures)
        except Exception:
            if today() == day:
                raise
            test(*arguments, **fixtures)

    return do_test


def calls_of(scene, shim):
    """The calls by which the command changes files: names, and paths as they are given, or relative
    to the store."""
    store = scene.copy()
    done, after = take_step(store, scene.model, scene.step, shim.counting())
    assert done.returncode == DONE and after is not scene.model
    scene.drop(store)
    return [(call, os.path.relpath(path, store.path) if path.startswith("/") else path)
            for call, path in shim.calls()]


@contextmanager
def held_open(commands, store, directory):
    """The current generation is open in another process, as a resolver has it."""
    commands.compile_ranges(directory, [("192.0.2.0/24", "CN", "qcloud")])
    ranges = f"{{database: {directory}/ranges.mmdb, provider: {{path: [provider]}}}}"
    conf = directory / "held.conf"
    conf.write_text(f"store: {store.path}\nproviders: [qcloud]\nranges: {ranges}\n"
                    "block: {ipv4: 203.0.113.80}\n", encoding="ascii")
    command = [commands.icpgate, "-c", conf, "lookup", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as holder:
        holder.stdin.write(b"f1.cn 192.0.2.1\n")
        holder.stdin.flush()
        maps = Path(f"/proc/{holder.pid}/maps")
        wait_until(lambda: ".mdb-lock" in maps.read_text(encoding="utf-8"), "the store is open")
        yield
        holder.stdin.close()

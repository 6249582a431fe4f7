# SPDX-License-Identifier: BSD-3-Clause
"""The store, said a second time in Python: what full feeds, deltas and rollbacks make of it; and what
writes such feeds and compares a store with the model.

A row is what `icpgate dump` prints of it, the texts of its columns; a state is a dict of them by
(domain, provider). Operations of a delta are tuples: ("upsert", row), ("delete", domain, provider),
("deregister-entity", number).
"""

import copy
import csv
import hashlib
import json
import os
import re
import subprocess
import time
from collections import Counter
from datetime import datetime
from typing import NamedTuple

from commands import COLUMNS, CHINA, rfc3339

AUDIT_COLUMNS = ["time", "domain", "provider", "from", "to", "generation", "sequence", "source"]
DONE, REFUSED, USAGE, REJECTED, FAILED = range(5)
# The guard's limit: more pairs than that many, and than that share of those that have permission.
LOST_MIN, LOST_SHARE = 100, 0.01
# What Commands.run and a shell say of a process that a signal ended.
KILLED = -9


class Row(NamedTuple):
    domain: str
    provider: str
    status: str
    number: str
    approved_at: str = ""
    expires_at: str = ""
    rectify_by: str = ""
    licensed_addresses: str = ""

    @property
    def key(self):
        return self.domain, self.provider


def seconds_of(text):
    return datetime.fromisoformat(text).timestamp()


def permits(row, now):
    """By status and time alone; a rectification that is overdue keeps its permission (the default)."""
    if row is None:
        return False
    if row.status == "transfer-preapproved":
        return seconds_of(row.approved_at) <= now < seconds_of(row.expires_at)
    return row.status in ("filed", "changing", "rectifying")


def is_of_entity(number, entity):
    """A number is an entity's when it is that, or that, a hyphen and digits."""
    rest = number.removeprefix(entity)
    return number.startswith(entity) and re.fullmatch(r"|-[0-9]+", rest) is not None


def deregistered(row):
    return row._replace(status="deregistered", expires_at="", rectify_by="")


def apply(state, operations):
    """What a delta makes of a state; the state given is left alone."""
    new = dict(state)
    for operation, *operands in operations:
        if operation == "upsert":
            new[operands[0].key] = operands[0]
        elif operation == "delete":
            new.pop(tuple(operands), None)
        else:
            for key, row in new.items():
                if is_of_entity(row.number, operands[0]):
                    new[key] = deregistered(row)
    return new


def lost_permissions(before, after):
    """How many pairs are permitted before, and how many of them no longer after."""
    now = time.time()
    had = [key for key, row in before.items() if permits(row, now)]
    return len(had), sum(not permits(after.get(key), now) for key in had)


class Generation:
    def __init__(self, number, base, state, before):
        self.number = number
        self.base = base
        self.sequence = base
        self.state = state
        self.deltas = {}
        # The number of the generation that it took the place of.
        self.before = before

    def add(self, sequence, operations):
        self.state = apply(self.state, operations)
        self.sequence = sequence
        self.deltas[sequence] = operations


class Model:
    """What a store must hold. `audit` are the lines that its log must have, without their times."""

    def __init__(self):
        self.generations = {}
        self.current = None
        self.audit = []

    def copy(self):
        """States are never changed, only replaced, so they may be shared."""
        new = copy.copy(self)
        new.generations = {}
        for number, generation in self.generations.items():
            new.generations[number] = copy.copy(generation)
            new.generations[number].deltas = dict(generation.deltas)
        new.current = self.current and new.generations[self.current.number]
        new.audit = list(self.audit)
        return new

    @property
    def state(self):
        return self.current.state if self.current else {}

    @property
    def sequence(self):
        return self.current.sequence if self.current else 0

    @property
    def newest(self):
        return max(self.generations, default=0)

    def write_audit(self, before, source):
        now = time.time()
        after = self.state
        self.audit += sorted(
            (
                *key,
                before[key].status if key in before else "none",
                after[key].status if key in after else "none",
                str(self.current.number),
                str(self.current.sequence),
                source,
            )
            for key in {*before, *after}
            if permits(before.get(key), now) != permits(after.get(key), now)
        )

    def full(self, state, sequence, source, force=False):
        """Returns the exit status that the loader must have; with REFUSED, this is no model."""
        current = self.current
        if current and sequence < current.base:
            return REFUSED
        number = self.newest + 1
        before = self.state
        new = Generation(number, sequence, dict(state), current and current.number)
        newer = [] if not current else sorted(n for n in current.deltas if n > sequence)
        for each in newer:
            new.add(each, current.deltas[each])
        self.generations[number] = self.current = new
        self.write_audit(before, source)
        had, lost = lost_permissions(before, new.state)
        return REFUSED if lost > LOST_MIN and lost > LOST_SHARE * had and not force else DONE

    def renumber(self, number):
        """Numbers may be left out: gives the current generation another one."""
        del self.generations[self.current.number]
        old, self.current.number = str(self.current.number), number
        self.generations[number] = self.current
        self.audit = [
            (*line[:4], str(number), *line[5:]) if line[4] == old else line for line in self.audit
        ]

    def delta(self, operations, sequence, source):
        if sequence <= self.sequence:
            return DONE
        if sequence != self.sequence + 1:
            return REJECTED
        before = self.state
        self.current.add(sequence, operations)
        self.write_audit(before, source)
        return DONE

    def rollback(self, kept, source):
        """kept: numbers of the generations whose files are there"""
        if not self.current or self.current.before not in kept:
            return FAILED
        before = self.state
        self.current = self.generations[self.current.before]
        self.write_audit(before, source)
        return DONE


class FeedWriter:
    """Writes feeds with their manifests into a directory; each gets a name of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.count = 0

    def write(self, kind, sequence, columns, lines, name=None):
        """lines: may be more than what fits into memory"""
        self.count += 1
        rows = 0
        path = self.directory / (name or f"{kind}-{self.count}.csv")
        with open(path, "w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            for line in lines:
                writer.writerow(line)
                rows += 1
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        manifest = {
            "kind": kind,
            "sequence": sequence,
            "as_of": rfc3339(int(time.time())),
            "rows": rows,
            "sha256": digest,
        }
        path.with_name(path.name + ".json").write_text(json.dumps(manifest), encoding="utf-8")
        return path

    def full(self, state, sequence, name=None):
        return self.write("full", sequence, COLUMNS, state.values(), name)

    def delta(self, operations, sequence, name=None):
        lines = []
        for operation, *operands in operations:
            if operation == "upsert":
                lines.append([operation, *operands[0]])
            elif operation == "delete":
                lines.append([operation, *operands, *[""] * 6])
            else:
                lines.append([operation, "", "", "", operands[0], *[""] * 4])
        return self.write("delta", sequence, ["op", *COLUMNS], lines, name)


class Store:
    """The programs on one store, and what they say of it.

    prefix: words in front of every command
    """

    def __init__(self, commands, path, prefix=()):
        self.commands = commands
        self.path = path
        self.prefix = list(prefix)
        self.known_status = ()

    def run(self, program, *arguments, environment=None):
        inherited = {k: v for k, v in os.environ.items() if k != "ICPGATE_CONF"}
        done = subprocess.run(
            [*self.prefix, program, "--store", *map(str, (self.path, *arguments))],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            encoding="utf-8",
            errors="replace",
            env=inherited | (environment or {}),
            timeout=60,
            check=False,
        )
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
        return done

    def load(self, *arguments, environment=None):
        self.known_status = ()
        return self.run(self.commands.icpgate_load, *arguments, environment=environment)

    def dump(self):
        done = self.run(self.commands.icpgate, "dump")
        assert done.returncode == 0, f"dump: exit {done.returncode}: {done.stderr}"
        rows = list(csv.reader(done.stdout.splitlines()))
        assert rows[0] == COLUMNS, rows[0]
        state = {(row[0], row[1]): Row(*row) for row in rows[1:]}
        assert len(state) == len(rows) - 1, "dump shows a pair twice"
        return state

    def verify(self):
        return self.run(self.commands.icpgate, "verify", "--json")

    def status(self):
        """None: there is no current generation. Asked for once after each run of the loader."""
        if self.known_status == ():
            done = self.load("status", "--json")
            if done.returncode == DONE:
                self.known_status = json.loads(done.stdout)
            else:
                assert done.returncode == FAILED, f"status: exit {done.returncode}: {done.stderr}"
                assert "no current generation" in done.stderr, done.stderr
                self.known_status = None
        return self.known_status

    def kept(self):
        """Numbers of the generations that status lists."""
        status = self.status()
        return {each["generation"] for each in status["generations"]} if status else set()

    def files(self):
        """All files below the store, by path relative to it."""
        return sorted(
            str((directory / name).relative_to(self.path))
            for directory, _, names in walk(self.path)
            for name in names
        )

    def audit(self):
        """The lines of the audit log as tuples, without their times, which must not run back."""
        directory = self.path / "audit"
        days = sorted(directory.glob("*.csv.zst")) if directory.is_dir() else []
        found, last = [], ""
        for day in days:
            assert re.fullmatch(r"\d{4}-\d\d-\d\d\.csv\.zst", day.name), day
            shown = subprocess.run(["zstdcat", day], capture_output=True, check=False)
            assert shown.returncode == 0, f"{day}: {shown.stderr.decode()}"
            rows = list(csv.reader(shown.stdout.decode("utf-8").splitlines()))
            assert rows and rows[0] == AUDIT_COLUMNS, f"{day}: {rows[:1]}"
            for row in rows[1:]:
                assert len(row) == len(AUDIT_COLUMNS), f"{day}: {row}"
                when = datetime.fromisoformat(row[0])
                assert when.utcoffset() is not None and row[0] >= last, f"{day}: {row}"
                assert when.astimezone(CHINA).strftime("%Y-%m-%d") == day.name[:10], row
                last = row[0]
                found.append(tuple(row[1:]))
        return found


def walk(path):
    for directory, directories, names in os.walk(path):
        yield type(path)(directory), directories, names


# Commands of the loader: `arguments`, to which options may be added, and what comes of them in a model. outcomes() gives the models
# that a loader may leave when it is ended, in order, the first is the one given; the last one is
# left if it is not; and its exit status.


class Full:
    def __init__(self, path, state, sequence, force=False):
        self.path, self.state, self.sequence, self.force = path, state, sequence, force
        self.arguments = ["full", *(["--force"] if force else []), path]

    def outcomes(self, model, _):
        after = model.copy()
        status = after.full(self.state, self.sequence, self.path.name, self.force)
        return [model, after] if status == DONE else [model], status


class Delta:
    """Several in one command; parts are tuples: path, operations, sequence."""

    def __init__(self, *parts):
        self.parts = parts
        self.arguments = ["delta", *(path for path, _, _ in parts)]

    def outcomes(self, model, _):
        models = [model]
        for path, operations, sequence in self.parts:
            after = models[-1].copy()
            status = after.delta(operations, sequence, path.name)
            if status != DONE:
                return models, status
            if after.sequence != models[-1].sequence:
                models.append(after)
        return models, DONE


class Rollback:
    arguments = ["rollback"]

    def outcomes(self, model, kept):
        after = model.copy()
        status = after.rollback(kept, "rollback")
        return [model, after] if status == DONE else [model], status


def find_outcome(store, outcomes):
    """Which of the models a store holds, by generation and sequence."""
    status = store.status()
    at = (status["generation"], status["sequence"]) if status else None
    first, last = outcomes[0], outcomes[-1]
    # A new generation's number is larger than all before; how much, nobody promises.
    if at and at[0] > first.newest and last.newest > first.newest:
        last.renumber(at[0])
    for model in outcomes:
        current = model.current
        if at == (current and (current.number, current.sequence)):
            return model
    raise AssertionError(f"generation and sequence {at} are neither those before nor those after")


def take_step(store, model, step, environment=None, may_fail=False):
    """Runs a command and finds what it left; checks that the store is whole and that it tells.

    Returns what ran and the model that holds now. The command must end as it should. With an
    environment (of a shim) it may also be killed, and then any of the outcomes is fine; so it may,
    or with may_fail, fail and leave the store as it was, or as the last complete part left it.
    """
    outcomes, status = step.outcomes(model, store.kept())
    done = store.load(*step.arguments, environment=environment)
    what = f"{step.arguments[0]}: exit {done.returncode}: {done.stderr}"
    may_be = [status]
    if environment or may_fail:
        may_be += [FAILED, KILLED] if environment else [FAILED]
    assert done.returncode in may_be, f"must be {status}: {what}"
    try:
        after = find_outcome(store, outcomes)
        if done.returncode == status:
            assert after is outcomes[-1], "it says that it is done, and is not"
        elif done.returncode == FAILED:
            assert after is not outcomes[-1] or len(outcomes) == 1, "it says that it failed"
        check_store(store, after)
    except AssertionError as error:
        raise AssertionError(f"{what}{error}") from error
    return done, after


def describe(got, want):
    """What is in one state and not in the other, shortly."""
    lines = [f"+ {got[key]}" for key in sorted(got) if got[key] != want.get(key)]
    lines += [f"- {want[key]}" for key in sorted(want) if want[key] != got.get(key)]
    return "\n".join(lines[:20])


def check_store(store, model):
    """Dump, verify and status must say what the model says."""
    status = store.status()
    if model.current is None:
        assert status is None
        return
    done = store.verify()
    assert done.returncode == 0, f"verify: exit {done.returncode}: {done.stdout}{done.stderr}"
    verified = json.loads(done.stdout)
    got = store.dump()
    assert got == model.state, f"dump differs (+ store, - model):\n{describe(got, model.state)}"
    want = {
        "generation": model.current.number,
        "sequence": model.sequence,
        "rows": len(model.state),
    }
    for answer in (verified, status):
        assert {key: answer[key] for key in want} == want, answer


def batches(lines):
    """Lines of one change stand together; in which order, nobody promises."""
    found = []
    for line in lines:
        if not found or found[-1][0] != line[4:]:
            found.append((line[4:], Counter()))
        found[-1][1][line] += 1
    return found


def check_audit(store, model):
    got, want = batches(store.audit()), batches(model.audit)
    for at, (one, other) in enumerate(zip(got, want)):
        assert one[0] == other[0], f"audit, change {at}: {one[0]}\nmust be {other[0]}"
        more, less = list(one[1] - other[1]), list(other[1] - one[1])
        assert not more and not less, f"audit, change {at}: {more[:10]}\nmissing are {less[:10]}"
    more, less = [[each[0] for each in both] for both in (got[len(want) :], want[len(got) :])]
    assert not more and not less, f"audit: changes {more}\nmissing are {less}"


def check_files(store):
    """Nothing lies in a store but what belongs there."""
    kept = {f"{number:010}" for number in store.kept()}
    allowed = {"lock", "current", "stats"}
    allowed |= {f"generations/{name}.{end}" for name in kept for end in ("mdb", "mdb-lock")}
    found = store.files()
    stray = [
        each
        for each in found
        if each not in allowed and not re.fullmatch(r"audit/\d{4}-\d\d-\d\d\.csv\.zst", each)
    ]
    assert not stray, f"left over: {stray}"
    missing = {f"generations/{name}.mdb" for name in kept} - set(found)
    assert not missing, f"status lists what is not there: {missing}"

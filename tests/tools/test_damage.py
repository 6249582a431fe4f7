# SPDX-License-Identifier: BSD-3-Clause
"""A generation's file is damaged, octet by octet and page by page, and truncated: `icpgate verify`
finds it, lookups give the true verdict or say that the store can't be read, the loader changes
nothing and can replace it; and nobody ends by a signal.

Only what holds nothing may change unnoticed; lmdb_pages.py lists it.
"""

import json
import os
import random
import shutil

import pytest

from commands import rfc3339
from crash_scenes import FUTURE, LONG, PAST, some
from feeds import (
    DONE,
    FAILED,
    Delta,
    FeedWriter,
    Full,
    Model,
    Row,
    Store,
    check_store,
    find_outcome,
    take_step,
)
from lmdb_pages import PageFile
from operator_tool import OURS, Place

SEED = int(os.environ.get("ICP_SEED", "20261123"))
BITS_PER_PAGE = 1000 if LONG else 8
UNUSED_PER_PAGE = 20 if LONG else 2
NUMBER = "京ICP备11018762号"


def make_rows(count):
    rows = []
    for n in range(count):
        status = ["filed", "changing", "pending", "deregistered", "transfer-preapproved"][n % 5]
        times = (rfc3339(PAST), rfc3339(FUTURE)) if n % 5 == 4 else ("", "")
        domain = f"d{n}.cn" if n % 3 else f"www.d{n}.com.cn"
        rows.append(Row(domain, ["qcloud", "acloud"][n % 4 == 0], status, f"{NUMBER}-{n}", *times))
    return {row.key: row for row in rows}


class Damage:
    """A store whose current generation, built from a full feed and some deltas, is damaged and put
    right again; and the truth about it."""

    def __init__(self, commands, directory):
        self.place = Place(directory)
        shutil.rmtree(self.place.store)
        self.conf = self.place.config()
        self.commands = commands
        self.store = Store(commands, self.place.store)
        self.feeds = FeedWriter(directory)
        self.model = self.fill()
        self.kept = self.store.kept()
        self.path = (self.store.path / "current").resolve()
        self.content = self.path.read_bytes()
        self.pages = PageFile(self.content)
        self.domains = sorted({domain for domain, _ in self.model.state})
        names = self.domains + [f"x.{domain}" for domain in self.domains[::5]]
        self.names = names + ["cn", "com.cn", "no.cn", "d1.com", "nowhere.example"]
        self.truth = self.lookup()
        assert len(self.truth) == len(self.names)
        self.spare = directory / "spare"
        shutil.copytree(self.store.path, self.spare, symlinks=True)

    def fill(self):
        model = Model()
        rows = make_rows(400)
        for state in (make_rows(100), rows):
            _, model = take_step(self.store, model, Full(self.feeds.full(state, 1), state, 1))
        gone = list(rows)
        for number in range(4):
            # One of them fills more than a page.
            count = 90 if number == 1 else 3
            operations = [
                ("upsert", Row(f"e{number}-{n}.net", "qcloud", "filed", f"{NUMBER}-{n}"))
                for n in range(count)
            ]
            operations += [("delete", *key) for key in gone[number * 7 : number * 7 + 4]]
            parts = (self.feeds.delta(operations, number + 2), operations, number + 2)
            _, model = take_step(self.store, model, Delta(parts))
        return model

    def lookup(self):
        """What is said of every name, in order; without the time, which runs."""
        done = self.commands.run(
            self.commands.icpgate,
            *["-c", self.conf, "lookup", "--json", "-"],
            stdin="".join(f"{name} {OURS}\n" for name in self.names),
            expect=range(-64, 64),
        )
        check_end(done)
        answers = parse_objects(done.stdout)
        for answer in answers:
            answer.pop("at", None)
        if any(each.get("reason") == "no-index" for each in answers):
            assert done.returncode == FAILED, f"exit {done.returncode} in spite of no-index"
        if len(answers) < len(self.names):
            assert done.returncode == FAILED, f"exit {done.returncode} with answers missing"
        return answers

    def write(self, content):
        with open(self.path, "r+b") as file:
            file.write(content)
            file.truncate()

    def flip(self, offset, mask):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(bytes(octet ^ mask for octet in self.content[offset : offset + 1]))

    def invert(self, page):
        at = page * self.pages.size
        with open(self.path, "r+b") as file:
            file.seek(at)
            file.write(bytes(octet ^ 0xFF for octet in self.content[at : at + self.pages.size]))

    def repair(self):
        self.store.known_status = ()
        self.write(self.content)

    def restore(self):
        """Puts the whole store as it was."""
        self.store.known_status = ()
        shutil.rmtree(self.store.path)
        shutil.copytree(self.spare, self.store.path, symlinks=True)


def parse_objects(text):
    return [json.loads(line) for line in text.splitlines()]


def check_end(done):
    assert done.returncode >= 0, f"ended by signal {-done.returncode}: {done.stderr}"
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr


@pytest.fixture(scope="module")
def damage(commands, tmp_path_factory):
    made = Damage(commands, tmp_path_factory.mktemp("damage"))
    print(f"seed {SEED}; {made.pages.last + 1} pages, {len(made.pages.free)} of them free")
    return made


def check_verify(damage):
    done = damage.store.verify()
    check_end(done)
    assert done.returncode == FAILED, "verify does not find it"
    assert done.stderr.strip(), "verify says nothing"


def check_lookups(damage):
    """The true answer, or none."""
    answers = {each["name"]: each for each in damage.lookup() if each.get("reason") != "no-index"}
    for want in damage.truth:
        got = answers.get(want["name"], want)
        assert got == want, f"lookup: {got}\nmust be {want}"


def check_unchanged(damage):
    """It holds nothing: either nobody minds, or somebody is stricter than we are."""
    done = damage.store.verify()
    check_end(done)
    if done.returncode == DONE:
        check_store(damage.store, damage.model)
    check_lookups(damage)


def snapshot(directory):
    """All of a store but what readers write."""
    return {
        path.relative_to(directory): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file() and not path.name.endswith("-lock")
    }


def check_delta(damage):
    """It fails and changes nothing; if what it touches is whole it may be done, but hides nothing."""
    before = snapshot(damage.store.path)
    sequence = damage.model.sequence + 1
    operations = [("upsert", Row("late.cn", "qcloud", "filed", NUMBER))]
    done = damage.store.load("delta", damage.feeds.delta(operations, sequence, "late.csv"))
    check_end(done)
    if done.returncode == FAILED:
        assert done.stderr.strip() and str(damage.store.path) in done.stderr, done.stderr
        assert snapshot(damage.store.path) == before, "it failed, and changed something"
        return
    assert done.returncode == DONE, f"delta: exit {done.returncode}: {done.stderr}"
    done = damage.store.verify()
    check_end(done)
    assert done.returncode == FAILED, "a delta made the damage good"


def check_rollback(damage):
    done = damage.store.load("rollback")
    check_end(done)
    outcome = damage.model.copy()
    assert outcome.rollback(damage.kept, "") == DONE
    if done.returncode == DONE:
        check_store(damage.store, outcome)
    else:
        assert done.returncode == FAILED, f"rollback: exit {done.returncode}: {done.stderr}"


def check_full(damage):
    """It replaces what is damaged. Newer deltas may be lost with it: the feed holds them all."""
    state = damage.model.state
    sequence = damage.model.sequence
    done = damage.store.load("full", "--force", damage.feeds.full(state, sequence, "again.csv"))
    check_end(done)
    assert done.returncode == DONE, f"full: exit {done.returncode}: {done.stderr}"
    model = damage.model.copy()
    model.full(state, sequence, "again.csv", force=True)
    check_store(damage.store, find_outcome(damage.store, [damage.model, model]))


def check_loader(damage):
    done = damage.store.load("status", "--json")
    check_end(done)
    assert done.returncode in (DONE, FAILED)
    check_delta(damage)
    broken = damage.path.read_bytes()
    check_rollback(damage)
    damage.restore()
    damage.write(broken)
    check_full(damage)
    damage.restore()


def leads_to_old_page(damage, span, offset, bit):
    """The one kind of damage that only verify finds (see core/store.h): the number of a page became
    that of a free page, which may be an older one of the same buckets."""
    if span.what not in ("buckets: node of a branch", "buckets: page of a large value"):
        return False
    octets = bytearray(damage.content[span.begin : span.begin + 8])
    octets[offset - span.begin] ^= 1 << bit
    if span.what == "buckets: node of a branch":
        octets = octets[:6]
    return int.from_bytes(octets, "little") in damage.pages.free


def wrap(what, check, damage):
    try:
        check(damage)
    except AssertionError as error:
        raise AssertionError(f"{what}: {error}") from error


def test_the_list_of_what_holds_nothing_is_small(damage):
    """Else the tests below would prove little. It also says that no page is lost."""
    pages = damage.pages
    held = sum(span.end - span.begin for spans in pages.spans.values() for span in spans)
    print(f"{held} octets hold something, in {len(pages.spans)} pages; {sorted(pages.names)}")
    assert {"buckets", "meta"} <= set(pages.names)
    assert held > len(pages.spans) * pages.size / 3


def test_every_page_inverted(damage):
    for page in some(range(damage.pages.last + 1)):
        what = f"page {page} inverted ({describe(damage, page)})"
        damage.invert(page)
        if page in damage.pages.spans:
            wrap(what, check_verify, damage)
            wrap(what, check_lookups, damage)
            wrap(what, check_loader, damage)
        else:
            wrap(what, check_unchanged, damage)
        damage.repair()


def describe(damage, page):
    if page in damage.pages.free:
        return "free"
    return damage.pages.spans[page][-1].what


def test_single_bits(damage):
    rng = random.Random(SEED)
    for page in some(sorted(damage.pages.spans)):
        for _ in range(BITS_PER_PAGE):
            span = rng.choice(damage.pages.spans[page])
            offset = rng.randrange(span.begin, span.end)
            bit = rng.randrange(8)
            what = f"seed {SEED}: page {page}, offset {offset - page * damage.pages.size}, "
            what += f"bit {bit} flipped ({span.what})"
            damage.flip(offset, 1 << bit)
            wrap(what, check_verify, damage)
            if not leads_to_old_page(damage, span, offset, bit):
                wrap(what, check_lookups, damage)
            damage.repair()


def test_every_bit_of_heads_and_keys(damage):
    """They are few octets, so chance seldom comes there."""
    spans = [(page, span) for page, spans in damage.pages.spans.items() for span in spans]
    bits = [
        (page, span, offset, bit)
        for page, span in spans
        if "head and key" in span.what or "of a branch" in span.what
        for offset in range(span.begin, span.end)
        for bit in range(8)
    ]
    for page, span, offset, bit in some(bits, 400):
        what = f"page {page}, offset {offset - page * damage.pages.size}, bit {bit} flipped "
        damage.flip(offset, 1 << bit)
        wrap(what + f"({span.what})", check_verify, damage)
        damage.repair()


def test_bits_that_hold_nothing(damage):
    rng = random.Random(SEED)
    for page in some(sorted(damage.pages.spans)):
        unused = damage.pages.unused(page)
        for offset in rng.sample(unused, min(UNUSED_PER_PAGE, len(unused))):
            damage.flip(offset, 1 << rng.randrange(8))
            wrap(f"page {page}, offset {offset % damage.pages.size}", check_unchanged, damage)
            damage.repair()


def test_truncated(damage):
    size = damage.pages.size
    lengths = [page * size for page in range(damage.pages.last + 1)]
    lengths += [1, 100, size - 1, size + 152, 2 * size + 1, (damage.pages.last + 1) * size - 1]
    for length in some(lengths):
        what = f"truncated to {length} octets"
        damage.write(damage.content[:length])
        # A file of LMDB may end before free pages, which it has not written yet.
        if damage.pages.free.issuperset(range(length // size, damage.pages.last + 1)):
            wrap(what, check_unchanged, damage)
        else:
            wrap(what, check_verify, damage)
            wrap(what, check_lookups, damage)
            wrap(what, check_loader, damage)
        damage.repair()

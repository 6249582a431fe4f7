# SPDX-License-Identifier: BSD-3-Clause
"""icpgate diff of a generation and a feed that is behind it: as a full load of the feed would go."""

import csv
import hashlib
import json
import random
import shutil

import pytest

from operator_tool import AT, COLUMNS, LOADER, icpgate, run

NAMES = [f"{label}{i}.cn" for i in range(12) for label in ("d", "www.d", "a.b.d")]
NUMBERS = [f"京ICP备{i}号" for i in range(1, 4)]


def filed(domain, status="filed", number="京ICP备1号-1", provider="qcloud"):
    return [domain, provider, status, number, "", "", "", ""]


def write(path, kind, sequence, rows):
    columns = COLUMNS if kind == "full" else [*COLUMNS, "op"]
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    path.with_name(path.name + ".json").write_text(json.dumps({
        "kind": kind, "sequence": sequence, "as_of": "2026-11-22T02:00:00+08:00",
        "rows": len(rows), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}),
        encoding="utf-8")
    return path


def upsert(row):
    return [*row, "upsert"]


def delete(domain, provider="qcloud"):
    return [domain, provider, *[""] * 6, "delete"]


def deregister(number):
    return ["", "", "", number, *[""] * 4, "deregister-entity"]


class Ahead:
    """A store with a full feed of a sequence, and deltas behind it."""

    def __init__(self, directory, rows, *deltas, base=10):
        self.directory = directory
        self.store = directory / "store"
        self.load("full", write(directory / "base.csv", "full", base, rows))
        for sequence, changes in enumerate(deltas, base + 1):
            self.load("delta", write(directory / f"{sequence}.csv", "delta", sequence, changes))

    def load(self, *arguments, store=None):
        done = run(LOADER, "--store", store or self.store, *arguments)
        assert done.returncode == 0, done.stderr

    def feed(self, sequence, rows):
        return write(self.directory / "feed.csv", "full", sequence, rows)

    def diff(self, a, b, *options, store=None):
        done = icpgate("--store", store or self.store, "diff", "--json", "--at", AT, "--list",
                       *options, a, b)
        assert done.returncode == 0, done.stderr
        assert "Sanitizer" not in done.stderr
        return json.loads(done.stdout)

    def agrees(self, feed):
        """What is told beforehand is what a load of the feed does then."""
        names = self.directory / "names"
        names.write_text("".join(f"{name}\n" for name in NAMES), encoding="utf-8")
        told = self.diff("current", feed, "--names", names)
        loaded = self.directory / "loaded"
        shutil.rmtree(loaded, ignore_errors=True)
        shutil.copytree(self.store, loaded, symlinks=True)
        self.load("full", "--force", feed, store=loaded)
        done = self.diff("1", "2", "--names", names, store=loaded)
        for key in ("rows", "permissions", "names", "list"):
            assert told[key] == done[key]
        return told


def test_what_was_filed_since_the_feed_is_not_lost(tmp_path):
    ahead = Ahead(tmp_path, [filed("a.cn")], [upsert(filed("b.cn"))], [upsert(filed("www.c.cn"))])
    names = tmp_path / "names"
    names.write_text("b.cn\nwww.c.cn\na.cn\n", encoding="utf-8")
    feed = ahead.feed(10, [filed("a.cn")])
    answer = ahead.diff("current", feed, "--names", names)
    assert answer["replayed"] == 2
    assert answer["rows"] == {"added": 0, "removed": 0, "changed": 0}
    assert (answer["names"]["flips"], answer["list"]) == ([], [])
    done = icpgate("--store", ahead.store, "diff", "current", feed)
    assert done.stdout.startswith(f"""\
A  generation 1, sequence 12, 3 rows
B  feed {feed}, sequence 10, 1 rows
   with 2 newer deltas of A applied, as by a full load
rows         0 added, 0 removed, 0 changed
""")


@pytest.mark.parametrize("sequence, replayed", [(9, 0), (10, 2), (11, 1), (12, 0), (13, 0)])
def test_only_deltas_that_a_load_would_apply(tmp_path, sequence, replayed):
    ahead = Ahead(tmp_path, [], [upsert(filed("b.cn"))], [upsert(filed("c.cn"))])
    answer = ahead.diff("current", ahead.feed(sequence, []))
    assert answer["replayed"] == replayed
    assert answer["rows"]["removed"] == 2 - replayed
    text = icpgate("--store", ahead.store, "diff", "current", tmp_path / "feed.csv").stdout
    assert ("newer delta" in text) == (replayed > 0)


def test_not_without_a_manifest_nor_the_other_way(tmp_path):
    ahead = Ahead(tmp_path, [], [upsert(filed("b.cn"))])
    feed = ahead.feed(10, [])
    assert ahead.diff("current", feed)["replayed"] == 1
    assert ahead.diff(feed, "current")["replayed"] == 0
    feed.with_name("feed.csv.json").unlink()
    assert ahead.diff("current", feed)["replayed"] == 0


@pytest.mark.parametrize("rows, delta", [
    ([filed("a.cn")], [delete("a.cn")]),
    ([], [delete("a.cn")]),
    ([filed("a.cn", provider=provider) for provider in "abdz"],
     [delete("a.cn", "b"), upsert(filed("a.cn", "pending", provider="c")),
      upsert(filed("a.cn", "pending", provider="d"))]),
    ([filed("x.a.cn"), filed("y.cn", number="京ICP备12号-1"), filed("z.cn", number="京ICP备1号")],
     [deregister("京ICP备1号")]),
    ([filed("a.cn"), filed("c.cn")], [deregister("京ICP备1号"), upsert(filed("a.cn"))]),
    ([filed("a.cn"), filed("c.cn")], [upsert(filed("a.cn")), deregister("京ICP备1号")]),
    ([["t.cn", "qcloud", "transfer-preapproved", "京ICP备1号-2", "2026-11-20", "2026-12-01", "", ""],
      ["r.cn", "qcloud", "rectifying", "京ICP备1号-3", "", "", "2026-12-01", ""]],
     [deregister("京ICP备1号")]),
])
def test_each_kind_of_change(tmp_path, rows, delta):
    """On a feed with these rows, of the delta's time and of another store."""
    ahead = Ahead(tmp_path, [filed("base.cn")], delta)
    assert ahead.agrees(ahead.feed(10, rows))["replayed"] == 1


@pytest.mark.parametrize("seed", range(12))
def test_it_tells_what_a_load_then_does(tmp_path, seed):
    draw = random.Random(seed)

    def row():
        status = draw.choice(["filed", "changing", "pending", "deregistered", "rectifying"])
        number = draw.choice(NUMBERS) + draw.choice(["", "-1", "-2", "-x"])
        return [draw.choice(NAMES), draw.choice("pqrs"), status, number, "", "",
                "2026-12-01" if status == "rectifying" else "", ""]

    def full(count):
        return list({tuple(made[:2]): made for made in (row() for _ in range(count))}.values())

    def change():
        kind = draw.randrange(10)
        if kind == 0:
            return deregister(draw.choice(NUMBERS))
        made = row()
        return delete(*made[:2]) if kind < 4 else upsert(made)

    ahead = Ahead(tmp_path, full(60), *([change() for _ in range(draw.randrange(1, 8))]
                                        for _ in range(5)))
    for sequence in (10, 12, 14):
        assert ahead.agrees(ahead.feed(sequence, full(60)))["replayed"] == 15 - sequence

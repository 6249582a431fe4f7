# SPDX-License-Identifier: BSD-3-Clause
"""The audit log that the loader writes: what each load logs, and that the log adds up."""

import csv
import hashlib
import io
import json
import random
import subprocess
import time

import pytest

from commands import rfc3339
from operator_tool import COLUMNS, LOADER, NUMBER, icpgate, run, wait_until

HEADER = "time,domain,provider,from,to,generation,sequence,source".split(",")
ENTITY = "京ICP备11018762号"
PERMITS = {"filed", "changing", "rectifying"}


def row(domain, status="filed", provider="qcloud", number=NUMBER):
    by = "2020-01-01" if status == "rectifying" else ""
    return dict(zip(COLUMNS, [domain, provider, status, "" if status == "pending" else number, "",
                              "", by, ""]))


class Site:
    """A store, and the feeds that go into it."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "store"
        self.audit = self.store / "audit"

    def write(self, name, kind, sequence, rows):
        columns = COLUMNS + (["op"] if kind == "delta" else [])
        out = io.StringIO()
        writer = csv.DictWriter(out, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        content = out.getvalue().encode()
        feed = self.directory / name
        feed.write_bytes(content)
        feed.with_name(f"{name}.json").write_text(json.dumps({
            "kind": kind, "sequence": sequence, "as_of": "2026-11-23T02:00:00+08:00",
            "rows": len(rows), "sha256": hashlib.sha256(content).hexdigest()}), encoding="utf-8")
        return feed

    def load(self, *arguments, status=0):
        done = run(LOADER, "--store", self.store, *arguments)
        assert done.returncode == status, done.stderr
        assert "Sanitizer" not in done.stderr
        assert not (self.audit / "pending").exists()

    def full(self, sequence, rows, *options, name="full.csv", status=0):
        self.load("full", *options, self.write(name, "full", sequence, rows), status=status)

    def delta(self, sequence, rows, name="delta.csv", status=0):
        self.load("delta", self.write(name, "delta", sequence, rows), status=status)

    def log(self):
        """All lines, as zstd reads them; each day's file begins with the header row, once."""
        lines = []
        for path in sorted(self.audit.glob("*.csv.zst")):
            text = subprocess.run(["zstd", "-dcq", path], capture_output=True, check=True,
                                  timeout=60).stdout.decode()
            day = list(csv.reader(io.StringIO(text)))
            assert day[0] == HEADER
            assert all(line[0].startswith(path.name[:10]) for line in day[1:])
            lines += day[1:]
        return lines

    def changes(self, start=0):
        """Domain, provider, from, to, generation, sequence and source, in order of domains."""
        return sorted(line[1:] for line in self.log()[start:])


@pytest.fixture(name="site")
def make_site(tmp_path):
    return Site(tmp_path)


def upsert(*arguments, **options):
    return {**row(*arguments, **options), "op": "upsert"}


def delete(domain, provider="qcloud"):
    return {"domain": domain, "provider": provider, "op": "delete"}


def test_a_first_full_feed(site):
    site.full(5, [row("a.cn"), row("b.cn", "pending"), row("例子.中国", "changing", "acloud")])
    assert site.changes() == [
        ["a.cn", "qcloud", "none", "filed", "1", "5", "full.csv"],
        ["xn--fsqu00a.xn--fiqs8s", "acloud", "none", "changing", "1", "5", "full.csv"]]


def test_a_second_full_feed(site):
    site.full(5, [row("a.cn"), row("b.cn"), row("same.cn"), row("c.cn", "pending")])
    site.full(6, [row("a.cn", "deregistered"), row("same.cn", "changing"), row("c.cn"),
                  row("d.cn", provider="acloud")], name="next, day.csv")
    assert site.changes(start=3) == [
        ["a.cn", "qcloud", "filed", "deregistered", "2", "6", "next, day.csv"],
        ["b.cn", "qcloud", "filed", "none", "2", "6", "next, day.csv"],
        ["c.cn", "qcloud", "pending", "filed", "2", "6", "next, day.csv"],
        ["d.cn", "acloud", "none", "filed", "2", "6", "next, day.csv"]]


def test_deltas(site):
    site.full(5, [row("a.cn"), row("b.cn"), row("c.cn", "pending"), row("d.cn", number="京ICP证1号")])
    start = len(site.log())
    site.delta(6, [upsert("a.cn", "deregistered"), upsert("c.cn"), upsert("b.cn", "changing"),
                   delete("d.cn"), upsert("new.cn", provider="acloud")])
    assert site.changes(start) == [
        ["a.cn", "qcloud", "filed", "deregistered", "1", "6", "delta.csv"],
        ["c.cn", "qcloud", "pending", "filed", "1", "6", "delta.csv"],
        ["d.cn", "qcloud", "filed", "none", "1", "6", "delta.csv"],
        ["new.cn", "acloud", "none", "filed", "1", "6", "delta.csv"]]
    start = len(site.log())
    site.delta(7, [{"op": "deregister-entity", "number": ENTITY}], name="dereg.csv")
    assert site.changes(start) == [
        ["b.cn", "qcloud", "changing", "deregistered", "1", "7", "dereg.csv"],
        ["c.cn", "qcloud", "filed", "deregistered", "1", "7", "dereg.csv"],
        ["new.cn", "acloud", "filed", "deregistered", "1", "7", "dereg.csv"]]


def test_what_a_delta_does_and_undoes_is_no_change(site):
    site.full(5, [row("a.cn"), row("b.cn", "pending")])
    start = len(site.log())
    site.delta(6, [delete("a.cn"), upsert("a.cn", "changing"),
                   upsert("b.cn"), upsert("b.cn", "deregistered"),
                   upsert("c.cn"), delete("c.cn"),
                   upsert("d.cn", "pending"), upsert("d.cn")])
    assert site.changes(start) == [["d.cn", "qcloud", "none", "filed", "1", "6", "delta.csv"]]


def test_rollback(site):
    site.full(5, [row("a.cn"), row("b.cn")])
    site.full(6, [row("a.cn"), row("c.cn")])
    start = len(site.log())
    site.load("rollback")
    assert site.changes(start) == [["b.cn", "qcloud", "none", "filed", "1", "5", "rollback"],
                                   ["c.cn", "qcloud", "filed", "none", "1", "5", "rollback"]]


def test_what_changes_nothing_logs_nothing(site):
    rows = [row(f"n{i}.cn") for i in range(200)]
    site.full(5, rows)
    site.delta(6, [upsert("n1.cn", "changing"), upsert("p.cn", "pending")])
    before = {path: path.read_bytes() for path in site.audit.iterdir()}
    site.full(6, rows)
    site.delta(6, [delete("n1.cn")])                    # was applied already
    site.delta(8, [delete("n1.cn")], status=3)          # out of sequence
    site.delta(7, [delete("n1.cn"), upsert("com.cn")], status=3)
    site.full(7, [], status=1)                          # by its guard
    site.full(7, [row("com.cn")], status=3)
    assert {path: path.read_bytes() for path in site.audit.iterdir()} == before
    site.full(7, [], "--force")
    assert len(site.log()) == 400


def test_a_transfer_that_lapses_between_two_loads(site):
    """Nobody loads when it does, so nothing is logged for that. What a later load changes is
    compared with what the row permits then: nothing."""
    end = int(time.time()) + 10

    def transfer(domain, expires):
        return {**row(domain, "transfer-preapproved"), "approved_at": rfc3339(end - 86400),
                "expires_at": rfc3339(expires)}

    names = ["deleted.cn", "filed.cn", "renewed.cn", "same.cn"]
    site.full(5, [transfer(name, end) for name in names])
    assert site.changes() == [[name, "qcloud", "none", "transfer-preapproved", "1", "5", "full.csv"]
                              for name in names]
    wait_until(lambda: time.time() >= end, "the transfers have lapsed")
    start = len(site.log())
    site.full(5, [transfer(name, end) for name in names])
    assert site.changes(start) == []
    site.delta(6, [delete("deleted.cn"), upsert("filed.cn"),
                   {**transfer("renewed.cn", end + 86400), "op": "upsert"}])
    assert site.changes(start) == [
        ["filed.cn", "qcloud", "transfer-preapproved", "filed", "2", "6", "delta.csv"],
        ["renewed.cn", "qcloud", "transfer-preapproved", "transfer-preapproved", "2", "6",
         "delta.csv"]]


def test_history(site):
    site.full(5, [row("a.cn"), row("www.a.cn", "pending"), row("b.cn")])
    site.delta(6, [upsert("www.a.cn")], name="d6.csv")
    site.delta(7, [delete("a.cn")], name="d7.csv")
    done = icpgate("--store", site.store, "history", "--json", "x.www.a.cn")
    assert (done.returncode, done.stderr) == (0, "")
    changes = json.loads(done.stdout)["changes"]
    assert [(o["domain"], o["from"], o["to"], o["sequence"], o["source"]) for o in changes] == [
        ("a.cn", "none", "filed", 5, "full.csv"),
        ("www.a.cn", "pending", "filed", 6, "d6.csv"),
        ("a.cn", "filed", "none", 7, "d7.csv")]


def held(site):
    """The permissions of the current generation."""
    done = icpgate("--store", site.store, "dump")
    assert done.returncode == 0, done.stderr
    return {(line["domain"], line["provider"]) for line in csv.DictReader(io.StringIO(done.stdout))
            if line["status"] in PERMITS}


def test_the_log_adds_up(site):
    """Whatever is loaded: the changes one after the other lead to what is held."""
    dice = random.Random(4)
    domains = [f"n{i}.cn" for i in range(8)] + ["a.n1.cn", "b.a.n1.cn"]
    statuses = ["filed", "changing", "rectifying", "pending", "deregistered", "transfer-cancelled"]
    sequence = 0
    permitted = set()
    read = 0

    def some_row():
        return row(dice.choice(domains), dice.choice(statuses), dice.choice(["p", "q"]),
                   f"{ENTITY}-{dice.randrange(3)}" if dice.random() < 0.3 else "京ICP备2号-1")

    for step in range(40):
        kind = dice.choice(["full", "delta", "delta", "delta", "rollback"]) if step else "full"
        if kind == "full":
            rows = {(r["domain"], r["provider"]): r for r in (some_row() for _ in range(12))}
            sequence += 1
            site.full(sequence, list(rows.values()))
        elif kind == "delta":
            changes = []
            for _ in range(dice.randrange(1, 8)):
                one = some_row()
                changes.append(dice.choice([
                    {**one, "op": "upsert"}, {**one, "op": "upsert"},
                    delete(one["domain"], one["provider"]),
                    {"op": "deregister-entity", "number": ENTITY}]))
            sequence += 1
            site.delta(sequence, changes)
        else:
            done = run(LOADER, "--store", site.store, "rollback")
            assert done.returncode in (0, 4), done.stderr  # 4: there is none before
            status = json.loads(run(LOADER, "--store", site.store, "status", "--json").stdout)
            sequence = status["sequence"]
        log = site.log()
        for _, domain, provider, before, after, *_ in log[read:]:
            pair = (domain, provider)
            assert (pair in permitted) == (before in PERMITS)
            assert (pair in permitted) != (after in PERMITS)
            permitted ^= {pair}
        read = len(log)
        assert permitted == held(site)
    assert read > 40

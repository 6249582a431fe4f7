# SPDX-License-Identifier: BSD-3-Clause
"""icpgate dump, verify and bench."""

import csv
import json
import os
import re
import shutil
import subprocess

import pytest

from operator_tool import (
    ICPGATE,
    COLUMNS,
    LICENSED,
    NUMBER,
    canonical,
    ROWS,
    DOMAINS,
    OURS,
    icpgate,
    load,
    write_feed,
    assert_quiet_failure,
)


def dump(*arguments):
    done = icpgate("dump", *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_dump_is_sorted_and_whole(place):
    shown = dump("--store", place.store)
    rows = list(csv.reader(shown.splitlines()))
    assert rows == [COLUMNS] + ROWS
    assert 'quoted.cn,qcloud,filed,"a ""b"", c",,,,\n' in shown
    assert f"filed.cn,qcloud,filed,{NUMBER},,,,\n" in shown


def test_dump_fed_back_gives_the_same_store(place, tmp_path):
    first = dump("--store", place.store)
    feed = tmp_path / "again.csv"
    feed.write_text(first, encoding="utf-8")
    load(tmp_path / "store", feed)
    assert dump("--store", tmp_path / "store") == first


def test_dump_of_a_transfer_near_the_end_of_time_is_what_the_store_holds(tmp_path):
    """Its 45 days end beyond the last time that a dump can write."""
    approved = "9999-12-20T00:00:00+08:00"
    write_feed(tmp_path / "feed.csv", [
        ["t.example.net", "qcloud", "transfer-preapproved", NUMBER, approved, "", "", ""]])
    load(tmp_path / "store", tmp_path / "feed.csv")
    again = tmp_path / "again.csv"
    again.write_text(dump("--store", tmp_path / "store"), encoding="utf-8")
    assert f"{approved},9999-12-31T23:59:59+08:00,,\n" in again.read_text(encoding="utf-8")
    done = icpgate("--store", tmp_path / "store", "diff", "--json", "current", again)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"]["changed"] == 0


def test_dump_keeps_white_space_at_the_ends_of_a_number(tmp_path):
    write_feed(tmp_path / "feed.csv", [])
    with open(tmp_path / "feed.csv", "a", encoding="utf-8") as file:
        file.write('space.cn,p1,filed," a",,,,\nspace.cn,p2,filed,"a ",,,,\n')
    load(tmp_path / "store", tmp_path / "feed.csv")
    shown = dump("--store", tmp_path / "store")
    assert shown.endswith('space.cn,p1,filed," a",,,,\nspace.cn,p2,filed,"a ",,,,\n')


def test_dump_of_many_rows_is_in_canonical_order(tmp_path):
    rows = []
    for i in range(3000):
        # Long common heads, labels that are heads of others, and shared tails.
        name = f"{'a' * (i % 7 + 1)}{i % 3 or ''}.{'b-' * (i % 5)}b{i * 7919 % 1000}.{['cn', 'com', 'co'][i % 3]}"
        rows += [[name, f"p{i % 2}", "filed", NUMBER, "", "", "", ""]]
    rows = [list(row) for row in {(row[0], row[1]): row for row in rows}.values()]
    write_feed(tmp_path / "feed.csv", rows)
    load(tmp_path / "store", tmp_path / "feed.csv")
    shown = list(csv.reader(dump("--store", tmp_path / "store").splitlines()))
    assert shown[1:] == sorted(rows, key=canonical)


@pytest.mark.parametrize("suffix, domains", [
    ("both.cn", ["both.cn", "both.cn", "deep.www.both.cn"]),
    ("WWW.Both.cn.", ["deep.www.both.cn"]),
    ("a.example.cn", ["a.example.cn", "z.a.example.cn"]),
    ("example.cn", ["a.example.cn", "z.a.example.cn"]),
    ("oth.cn", []),
    ("com", ["example.com"]),
    ("中国", ["xn--fsqu00a.xn--fiqs8s"]),
    ("nowhere.example", []),
])
def test_dump_of_a_suffix(place, suffix, domains):
    rows = list(csv.reader(dump("--store", place.store, suffix).splitlines()))
    assert rows[0] == COLUMNS
    assert [row[0] for row in rows[1:]] == domains


def test_dump_in_json(place):
    objects = [json.loads(line) for line in dump("--store", place.store, "--json").splitlines()]
    assert [(o["domain"], o["provider"], o["number"]) for o in objects] == \
        [(row[0], row[1], row[3]) for row in ROWS]
    by_domain = {o["domain"]: o for o in objects}
    assert by_domain["licence.cn"]["licensed_addresses"] == LICENSED.split(" ")
    assert list(by_domain["filed.cn"]) == COLUMNS[:4]


def test_dump_of_a_bad_suffix(place):
    done = icpgate("--store", place.store, "dump", "a..cn")
    assert_quiet_failure(done, 2)
    assert "a..cn" in done.stderr


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_dump_to_a_full_disk(place, options):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([ICPGATE, "--store", place.store, "dump", *options], stdout=full,
                              stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False)
    assert_quiet_failure(done, 4)
    assert "No space left" in done.stderr and done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", [["dump"], ["dump", "--json"], ["verify"], ["--help"],
                                     ["lookup", "filed.cn"], ["lookup", "--json", "filed.cn"],
                                     ["lookup", "-"], ["lookup", "-", "--json"]])
def test_a_reader_that_went_away(place, conf, command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run([ICPGATE, "-c", conf, *command], stdout=writing,
                              stderr=subprocess.PIPE, input="filed.cn\n" * 10000,
                              encoding="utf-8", timeout=60, check=False)
    finally:
        os.close(writing)
    assert_quiet_failure(done, 4)
    assert "Broken pipe" in done.stderr


@pytest.mark.parametrize("command", ["dump", "verify", "bench"])
def test_no_store_exits_4(place, tmp_path, command):
    done = icpgate("-c", place.config(store=str(tmp_path)), command)
    assert_quiet_failure(done, 4)
    assert str(tmp_path) in done.stderr


def test_verify(place):
    done = icpgate("--store", place.store, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"generation \d+: {len(ROWS)} rows, \d+ nodes, [\d,]+ octets, "
                        r"sequence \d+: ok\n", done.stdout)


def test_verify_in_json(place):
    done = icpgate("--store", place.store, "verify", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["ok", "generation", "sequence", "rows", "nodes", "octets", "as_of",
                            "created_at"]
    assert answer["ok"] is True and answer["rows"] == len(ROWS)
    # The domains, and example.cn and www.both.cn above some of them.
    assert answer["nodes"] == len(DOMAINS) + 2
    assert answer["octets"] == (place.store / "current").resolve().stat().st_size
    assert answer["as_of"] is None
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+08:00", answer["created_at"])


@pytest.fixture(name="copy")
def copy_of_store(place, tmp_path):
    shutil.copytree(place.store, tmp_path / "copy", symlinks=True)
    return tmp_path / "copy"


def damage_row(store):
    """Breaks the UTF-8 of a row's number."""
    path = (store / "current").resolve()
    content = bytearray(path.read_bytes())
    at = content.index("京ICP证030173号".encode())
    path.chmod(0o644)
    content[at] ^= 0x40
    path.write_bytes(content)


def damage_length(store):
    path = (store / "current").resolve()
    path.chmod(0o644)
    os.truncate(path, path.stat().st_size // 2)


def damage_head(store):
    path = (store / "current").resolve()
    path.chmod(0o644)
    path.write_bytes(b"x" * 20000)


@pytest.mark.parametrize("damage", [damage_row, damage_length, damage_head])
def test_verify_finds_damage(copy, damage):
    assert icpgate("--store", copy, "verify").returncode == 0
    damage(copy)
    done = icpgate("--store", copy, "verify")
    assert_quiet_failure(done, 4)
    assert done.stdout == ""
    done = icpgate("--store", copy, "verify", "--json")
    assert_quiet_failure(done, 4)
    assert json.loads(done.stdout) == {"ok": False, "error": done.stderr.strip()}


def test_dump_of_a_damaged_row_says_so(copy):
    damage_row(copy)
    done = icpgate("dump", "--store", copy, "licence.cn", "--json")
    assert done.returncode == 4
    assert done.stdout == ""
    assert "damaged" in done.stderr


@pytest.mark.parametrize("damage", [damage_length, damage_head])
def test_damage_is_no_crash(place, copy, damage):
    damage(copy)
    path = place.config(store=str(copy), on_no_index="block")
    for command in (["dump"], ["dump", "--json"], ["bench"], ["lookup", "filed.cn", OURS],
                    ["lookup", "--json", "filed.cn", OURS]):
        assert_quiet_failure(icpgate("-c", path, *command), 4)


BENCH_KINDS = ["filed", "zipf", "unfiled", "any_address", "index"]


def test_bench(place, conf):
    done = icpgate("-c", conf, "bench")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 1 + len(BENCH_KINDS)
    assert re.fullmatch(rf"generation \d+: {len(ROWS)} rows; {len(DOMAINS)} names, "
                        r"\d+ gated addresses, one thread", lines[0])
    for line in lines[1:]:
        assert re.search(r" \d+ ns per decision +[\d,]+ decisions/s$", line)


def test_bench_in_json(place):
    # The configuration's scope must not matter for what is measured.
    path = place.config(scope="mainland")
    done = icpgate("-c", path, "bench", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["generation", "rows", "names", "addresses", "rounds", *BENCH_KINDS]
    assert (answer["rows"], answer["names"]) == (len(ROWS), len(DOMAINS))
    for key in BENCH_KINDS:
        result = answer[key]
        assert result["decisions"] > 0
        assert result["ns_per_decision"] * result["decisions_per_second"] == \
            pytest.approx(1e9, rel=1e-3)
        assert result["ns_lowest"] <= result["ns_per_decision"]


def test_bench_of_an_empty_store(place, tmp_path):
    write_feed(tmp_path / "feed.csv", [])
    load(tmp_path / "store", tmp_path / "feed.csv")
    done = icpgate("-c", place.config(), "--store", tmp_path / "store", "bench")
    assert_quiet_failure(done, 4)
    assert "no rows" in done.stderr

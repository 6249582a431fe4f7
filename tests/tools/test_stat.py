# SPDX-License-Identifier: BSD-3-Clause
"""icpgate stat."""

import json
import os
import re
import subprocess

import pytest

from counting import Resolver
from operator_tool import ICPGATE, assert_quiet_failure, icpgate

STARTED_TEXT = "2026-11-24T00:00:00+08:00"
REASONS = ["filed", "changing", "rectifying", "transfer-preapproved", "pending",
           "transfer-expired", "transfer-cancelled", "deregistered", "rectify-overdue",
           "licence-address-mismatch", "filed-elsewhere", "unfiled", "not-gated", "exempt",
           "no-index"]
COUNTERS = ["served", "stripped", "blocked", "monitored", "failed", "additional_removed",
            "leases_renewed", "stale_judged", "licence_warnings"]


def stat(store):
    done = icpgate("--store", store, "stat", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def test_before_anything_happened(tmp_path):
    with Resolver(tmp_path, seats=3, mode="monitor"):
        answer = stat(tmp_path)
    assert list(answer) == ["counting", "started", "mode", "threads", "generation", "since",
                            "no_index_since", "judgements", "counters",
                            "judgement_nanoseconds", "blocked_domains"]
    assert (answer["counting"], answer["started"]) == (True, STARTED_TEXT)
    assert (answer["mode"], answer["threads"]) == ("monitor", 3)
    assert (answer["generation"], answer["since"]) == (None, None)
    assert list(answer["judgements"]) == ["pass", "block"]
    for verdict in ("pass", "block"):
        assert list(answer["judgements"][verdict].items()) == [(reason, 0) for reason in REASONS]
    assert list(answer["counters"].items()) == [(counter, 0) for counter in COUNTERS]
    assert answer["blocked_domains"] == {"domains": [], "bound": 0, "complete": True}


def test_counts_of_all_threads(tmp_path):
    with Resolver(tmp_path) as resolver:
        for number, reason in enumerate(REASONS):
            resolver.order("judged", 0, "pass", reason, 42, number + 1)
            resolver.order("judged", 1, "block", reason, 42, 100)
            resolver.order("judged", 0, "block", reason, 42, number)
        for number, counter in enumerate(COUNTERS):
            resolver.order("count", 0, counter, 1000 * number)
            resolver.order("count", 1, counter, 5)
        answer = stat(tmp_path)
    assert (answer["generation"], answer["since"]) == (42, STARTED_TEXT)
    assert answer["judgements"] == {
        "pass": {reason: number + 1 for number, reason in enumerate(REASONS)},
        "block": {reason: number + 100 for number, reason in enumerate(REASONS)}}
    assert answer["counters"] == {counter: 1000 * number + 5
                                  for number, counter in enumerate(COUNTERS)}


BOUNDS = [100, 250, 500, 1000, 2500, 5000, 10000, 25000, 50000, 100000, 250000, 500000, 1000000,
          2500000, 5000000, 10000000, None]


def test_times_of_judgements(tmp_path):
    with Resolver(tmp_path) as resolver:
        told = stat(tmp_path)["judgement_nanoseconds"]
        assert told == {"one_in": 61, "timed": 0, "sum": 0,
                        "classes": [{"most": bound, "count": 0} for bound in BOUNDS]}
        resolver.order("took", 0, 700, 6)
        resolver.order("took", 1, 900, 2)
        resolver.order("took", 1, 2500, 1)
        resolver.order("took", 0, 20000000, 1)
        told = stat(tmp_path)["judgement_nanoseconds"]
        text = icpgate("--store", tmp_path, "stat").stdout
    assert (told["timed"], told["sum"]) == (10, 20008500)
    assert {entry["most"]: entry["count"] for entry in told["classes"] if entry["count"]} == {
        1000: 8, 2500: 1, None: 1}
    lines = [re.sub(" +", " ", line) for line in text.splitlines()]
    assert " at most 500 ns 0 0.00 %" in lines
    assert " at most 1 us 8 80.00 %" in lines
    assert " at most 2.5 us 1 90.00 %" in lines
    assert " at most 10 ms 0 90.00 %" in lines
    assert " longer 1 100.00 %" in lines
    assert " One judgement of 61 is timed: 10 so far, on average 2.001 ms." in lines


def test_blocked_domains(tmp_path):
    with Resolver(tmp_path) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 42, 1)
        resolver.order("blocked", 0, "www.example.com", 3)
        resolver.order("blocked", 1, "example.com", 4)
        resolver.order("blocked", 1, "a.b.例子.中国", 9)
        resolver.order("blocked", 0, "x.gov.cn", 7)
        answer = stat(tmp_path)
    assert answer["blocked_domains"] == {
        "domains": [{"domain": "xn--fsqu00a.xn--fiqs8s", "count": 9, "error": 0},
                    {"domain": "x.gov.cn", "count": 7, "error": 0},
                    {"domain": "example.com", "count": 7, "error": 0}],
        "bound": 0, "complete": True}


def test_more_domains_than_fit(tmp_path):
    asked = {f"domain-{i}.example": 20 + i % 7 for i in range(2000)}
    asked["heavy.example"] = 5000
    with Resolver(tmp_path) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 42, 1)
        for i, (domain, number) in enumerate(asked.items()):
            resolver.order("blocked", i % 2, domain, number)
        blocked = stat(tmp_path)["blocked_domains"]
        shown = icpgate("--store", tmp_path, "stat").stdout
    listed = {entry["domain"]: entry for entry in blocked["domains"]}
    assert 512 <= len(listed) == len(blocked["domains"]) < len(asked)
    assert blocked["domains"][0]["domain"] == "heavy.example"
    assert 0 < blocked["bound"] < 5000
    for domain, number in asked.items():
        if domain in listed:
            entry = listed[domain]
            assert entry["count"] - entry["error"] <= number <= entry["count"]
        else:
            assert number <= blocked["bound"]
    # The text shows twenty, and what it says of all others holds for the rest of the list too.
    lines = re.findall(r"^  (\S+\.example) +([\d,]+) +([\d,]+)$", shown, re.M)
    assert [line[0] for line in lines] == [entry["domain"] for entry in blocked["domains"][:20]]
    rest = re.search(r"that of any other\n  domain is at most ([\d,]+)\.$", shown, re.M)
    assert int(rest[1].replace(",", "")) == max(blocked["bound"], blocked["domains"][20]["count"])


def test_text(tmp_path):
    with Resolver(tmp_path, seats=1) as resolver:
        resolver.order("judged", 0, "pass", "filed", 42, 1234)
        resolver.order("judged", 0, "block", "unfiled", 42, 7)
        resolver.order("count", 0, "leases_renewed", 1000000)
        resolver.order("blocked", 0, "www.example.com", 5678)
        done = icpgate("--store", tmp_path, "stat")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [re.sub(" +", " ", line) for line in done.stdout.splitlines()]
    assert lines[0] == f"resolver started {STARTED_TEXT}, mode enforce, 1 thread; counting now"
    assert lines[1] == f"generation 42 in use since {STARTED_TEXT}"
    assert lines[3] == "judgements pass block"
    assert [line.split()[0] for line in lines[4:19]] == REASONS
    assert " filed 1,234 0" in lines and " unfiled 0 7" in lines
    assert " leases renewed 1,000,000" in lines
    assert " example.com 5,678 0" in lines
    assert " domain is at most 0." in lines


def test_after_the_end_of_the_resolver(tmp_path):
    with Resolver(tmp_path) as resolver:
        resolver.order("count", 0, "served", 12)
    answer = stat(tmp_path)
    assert answer["counting"] is False
    assert answer["counters"]["served"] == 12
    assert "no longer counting\nno generation in use so far\n" in \
        icpgate("--store", tmp_path, "stat").stdout


def test_an_index_that_can_t_be_read(tmp_path):
    with Resolver(tmp_path) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 42, 1)
        assert stat(tmp_path)["no_index_since"] is None
        resolver.order("judged", 1, "pass", "no-index", 0, 1)
        assert stat(tmp_path)["no_index_since"] == STARTED_TEXT
        text = icpgate("--store", tmp_path, "stat").stdout
        assert f"THE INDEX CAN'T BE READ since {STARTED_TEXT}" in text
        # Names that need no index say nothing of it.
        resolver.order("judged", 0, "pass", "not-gated", 0, 1)
        assert stat(tmp_path)["no_index_since"] == STARTED_TEXT
        resolver.order("judged", 0, "pass", "filed", 42, 1)
        assert stat(tmp_path)["no_index_since"] is None


def test_after_a_restart(tmp_path):
    with Resolver(tmp_path, seats=4) as resolver:
        resolver.order("count", 3, "served", 12)
    with Resolver(tmp_path, seats=2) as resolver:
        resolver.order("count", 0, "served", 1)
        answer = stat(tmp_path)
    assert (answer["threads"], answer["counters"]["served"]) == (2, 1)


def test_a_second_resolver_does_not_count_in_the_file(tmp_path):
    with Resolver(tmp_path) as first:
        first.order("count", 0, "served", 1)
        refused = f"{tmp_path}/stats: another resolver counts there; counting in memory only"
        with Resolver(tmp_path, expect=refused) as second:
            second.order("count", 0, "served", 10)
        answer = stat(tmp_path)
    assert (answer["counting"], answer["counters"]["served"]) == (True, 1)


def test_store_of_the_configuration(place, conf):
    with Resolver(place.store) as resolver:
        resolver.order("count", 1, "served", 3)
        done = icpgate("-c", conf, "stat", "--json")
        assert done.returncode == 0
        assert json.loads(done.stdout)["counters"]["served"] == 3
    os.remove(place.store / "stats")
    assert_quiet_failure(icpgate("stat", env={"ICPGATE_CONF": "/nonexistent/icpgate.conf"}), 2)
    named = icpgate("--store", place.store, "-c", "/nonexistent/named.conf", "stat")
    assert_quiet_failure(named, 2)


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_where_no_resolver_has_counted(tmp_path, options):
    for store in (tmp_path, tmp_path / "missing"):
        done = icpgate("--store", store, "stat", *options)
        assert_quiet_failure(done, 4)
        assert done.stdout == ""
        assert done.stderr == f"{store}/stats: no resolver has counted in this store\n"
    (tmp_path / "stats").touch()
    done = icpgate("--store", tmp_path, "stat", *options)
    assert_quiet_failure(done, 4)
    assert "no resolver has counted" in done.stderr


@pytest.mark.parametrize("damage, says", [
    (lambda content: content[:10000], "truncated"),
    (lambda content: content[:20], "truncated"),
    (lambda content: b"x" * len(content), "not a file of statistics, or not finished"),
    (lambda content: content[:8] + b"\4" + content[9:], "format 4"),
    (lambda content: content[:4096] + b"\xff" * 300000, "damaged: count"),
    (lambda content: content[:4096 + 512 + 64] + b"\2" * 300000, "damaged: "),
])
def test_damage_is_no_crash(tmp_path, damage, says):
    with Resolver(tmp_path) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 42, 1)
        resolver.order("blocked", 0, "www.example.com", 3)
    file = tmp_path / "stats"
    file.write_bytes(damage(file.read_bytes()))
    for options in ([], ["--json"]):
        done = icpgate("--store", tmp_path, "stat", *options)
        assert_quiet_failure(done, 4)
        assert says in done.stderr and done.stderr.startswith(str(file))
        assert done.stdout == ""


def test_parts_that_were_being_written(tmp_path):
    with Resolver(tmp_path, seats=1) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 42, 1)
        resolver.order("blocked", 0, "www.example.com", 3)
    file = tmp_path / "stats"
    # From the first set on, whose sequence says that it is being changed.
    file.write_bytes(file.read_bytes()[:4096 + 512] + b"\xff" * 300000)
    assert stat(tmp_path)["blocked_domains"] == {"domains": [], "bound": 0, "complete": False}
    assert icpgate("--store", tmp_path, "stat").stdout.endswith(
        "  The resolver ended while it wrote: 32 of 32 parts of the list are missing.\n")


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_to_a_full_disk(tmp_path, options):
    with Resolver(tmp_path), open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([ICPGATE, "--store", tmp_path, "stat", *options], stdout=full,
                              stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False)
    assert_quiet_failure(done, 4)
    assert "No space left" in done.stderr and done.stderr.count("\n") == 1


def test_usage(tmp_path):
    assert_quiet_failure(icpgate("--store", tmp_path, "stat", "x"), 2)
    assert_quiet_failure(icpgate("--store", tmp_path, "stat", "--at", "2026-11-23"), 2)
    assert re.search(r"^  stat ", icpgate("--help").stdout, re.M)

# SPDX-License-Identifier: BSD-3-Clause
"""icpgate upcoming: permissions that will lapse by time alone."""

import json

import pytest

from operator_tool import AT, NUMBER, Place, assert_quiet_failure, icpgate, load, write_feed


def transfer(domain, approved, expires="", provider="qcloud"):
    return [domain, provider, "transfer-preapproved", NUMBER, approved, expires, "", ""]


def rectifying(domain, by):
    return [domain, "qcloud", "rectifying", NUMBER, "", "", by, ""]


NOW = "2026-11-23T12:00:00+08:00"
ROWS = [
    ["filed.cn", "qcloud", "filed", NUMBER, "", "", "", ""],
    ["pending.cn", "qcloud", "pending", "", "", "", "", ""],
    transfer("default.cn", "2026-11-01T00:00:00+08:00"),
    transfer("past.cn", "2026-10-01T00:00:00+08:00", "2026-11-23T11:59:59+08:00"),
    transfer("just.cn", "2026-10-01T00:00:00+08:00", NOW),
    transfer("next.cn", "2026-10-01T00:00:00+08:00", "2026-11-23T12:00:01+08:00"),
    transfer("date.cn", "2026-10-01", "2026-11-30"),
    transfer("last.cn", "2026-11-01T00:00:00+08:00", "2026-12-23T12:00:00+08:00"),
    transfer("beyond.cn", "2026-11-01T00:00:00+08:00", "2026-12-23T12:00:01+08:00"),
    transfer("future.cn", "2026-11-25T00:00:00+08:00", "2026-11-26T00:00:00+08:00"),
    transfer("b.tie.cn", "2026-11-01T00:00:00+08:00", "2026-12-01T00:00:00+08:00"),
    transfer("tie.cn", "2026-11-01T00:00:00+08:00", "2026-12-01T00:00:00+08:00", "qcloud"),
    transfer("tie.cn", "2026-11-01T00:00:00+08:00", "2026-12-01T00:00:00+08:00", "acloud"),
    transfer("a.tie.cn", "2026-11-01T00:00:00+08:00", "2026-12-01T00:00:00+08:00"),
    rectifying("overdue.cn", "2026-11-01T00:00:00+08:00"),
    rectifying("rectify.cn", "2026-12-02T00:00:00+08:00"),
]
EXPECTED = [
    ("2026-11-23T12:00:01+08:00", "next.cn", "qcloud"),
    ("2026-11-26T00:00:00+08:00", "future.cn", "qcloud"),
    ("2026-12-01T00:00:00+08:00", "date.cn", "qcloud"),
    ("2026-12-01T00:00:00+08:00", "tie.cn", "acloud"),
    ("2026-12-01T00:00:00+08:00", "tie.cn", "qcloud"),
    ("2026-12-01T00:00:00+08:00", "a.tie.cn", "qcloud"),
    ("2026-12-01T00:00:00+08:00", "b.tie.cn", "qcloud"),
    ("2026-12-16T00:00:00+08:00", "default.cn", "qcloud"),
    ("2026-12-23T12:00:00+08:00", "last.cn", "qcloud"),
]
RECTIFYING = ("2026-12-02T00:00:00+08:00", "rectify.cn", "qcloud")


@pytest.fixture(scope="module", name="site")
def make_site(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("upcoming"))
    write_feed(made.feed, ROWS)
    load(made.store, made.feed)
    return made


def upcoming(*arguments, at=AT):
    done = icpgate("upcoming", "--json", "--at", at, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return json.loads(done.stdout)


def lapses(answer):
    return [(o["time"], o["domain"], o["provider"]) for o in answer["upcoming"]]


def test_soonest_first(site):
    answer = upcoming("--store", site.store)
    assert list(answer) == ["generation", "sequence", "at", "days", "upcoming"]
    assert (answer["generation"], answer["at"], answer["days"]) == (1, AT, 30)
    assert lapses(answer) == EXPECTED
    assert answer["upcoming"][0] == {
        "time": "2026-11-23T12:00:01+08:00", "domain": "next.cn", "provider": "qcloud",
        "status": "transfer-preapproved", "number": NUMBER}


def test_deadlines_count_where_they_block(site):
    assert RECTIFYING not in lapses(upcoming("-c", site.config()))
    answer = upcoming("-c", site.config(rectify_overdue="block"))
    assert sorted(set(lapses(answer)) - set(EXPECTED)) == [RECTIFYING]
    assert lapses(answer).index(RECTIFYING) == 7


def test_days(site):
    assert lapses(upcoming("--store", site.store, "--days", "1")) == EXPECTED[:1]
    assert lapses(upcoming("--store", site.store, "--days", "8")) == EXPECTED[:7]
    assert [domain for _, domain, _ in lapses(upcoming("--store", site.store, "--days", "31"))] \
        == [domain for _, domain, _ in EXPECTED] + ["beyond.cn"]
    assert len(lapses(upcoming("--store", site.store, "--days", "36500"))) == len(EXPECTED) + 1


def test_the_time(site):
    answer = upcoming("--store", site.store, at="2026-11-22T12:00:00+08:00")
    assert [domain for _, domain, _ in lapses(answer)][:3] == ["past.cn", "just.cn", "next.cn"]
    assert lapses(upcoming("--store", site.store, at="2027-01-01")) == []


def test_text(site):
    done = icpgate("upcoming", "--store", site.store, "--at", AT, "--days", "3")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == ("2026-11-23T12:00:01+08:00  next.cn  qcloud  transfer-preapproved\n"
                           "2026-11-26T00:00:00+08:00  future.cn  qcloud  transfer-preapproved\n")
    assert icpgate("upcoming", "--store", site.store, "--at", "2027-01-01").stdout == ""


@pytest.mark.parametrize("days", ["0", "-1", "x", "", "1x", "36501", "99999999999999999999", "1.5"])
def test_bad_days_exit_2(site, days):
    done = icpgate("upcoming", "--store", site.store, "--days", days)
    assert_quiet_failure(done, 2)
    assert done.stderr == f"icpgate: --days: not a number from 1 to 36500: {days}\n"


@pytest.mark.parametrize("arguments", [["upcoming", "x"], ["upcoming", "--list"],
                                       ["lookup", "--days", "3", "a.cn"]])
def test_usage_errors_exit_2(arguments):
    assert_quiet_failure(icpgate(*arguments), 2)


def test_no_store_exits_4(tmp_path):
    done = icpgate("--store", tmp_path, "upcoming")
    assert_quiet_failure(done, 4)
    assert str(tmp_path) in done.stderr

# SPDX-License-Identifier: BSD-3-Clause
"""icpgate diff: what differs between two generations or feeds, and the rehearsal with names."""

import gzip
import hashlib
import json
import os
import subprocess

import pytest

from operator_tool import (AT, ICPGATE, NUMBER, OURS, assert_quiet_failure, icpgate, load, lookup,
                           write_feed)


def row(domain, provider="qcloud", status="filed", number=NUMBER, **times):
    return [domain, provider, status, "" if status == "pending" else number,
            times.get("approved", ""), "", times.get("by", ""), times.get("licensed", "")]


BEFORE = [
    row("same.cn"),
    row("dereg.cn"),
    row("gone.cn"), row("gone.cn", "acloud", "pending"),
    row("number.cn", number="京ICP备1号"),
    row("changing.cn"),
    row("late.cn"),
    row("over.cn", status="transfer-preapproved", approved="2026-11-01T00:00:00+08:00"),
    row("moved.cn"),
    row("back.cn", status="transfer-cancelled"),
]
AFTER = [
    row("same.cn"),
    row("dereg.cn", status="deregistered"),
    row("number.cn", number="京ICP备2号"),
    row("changing.cn", status="changing"),
    row("late.cn", status="rectifying", by="2026-11-23T12:00:00+08:00"),
    row("over.cn", status="transfer-preapproved", approved="2026-10-01T00:00:00+08:00"),
    row("moved.cn", "acloud"),
    row("back.cn"),
    row("new.cn", "bcloud"), row("new.cn", "qcloud", "pending"),
]
# At AT, where a deadline that has passed does not count.
FLIPS = [
    ("back.cn", "qcloud", "transfer-cancelled", "filed", "gained"),
    ("dereg.cn", "qcloud", "filed", "deregistered", "lost"),
    ("gone.cn", "qcloud", "filed", "none", "lost"),
    ("moved.cn", "acloud", "none", "filed", "gained"),
    ("moved.cn", "qcloud", "filed", "none", "lost"),
    ("new.cn", "bcloud", "none", "filed", "gained"),
    ("over.cn", "qcloud", "transfer-preapproved", "transfer-preapproved", "lost"),
]
OVERDUE = ("late.cn", "qcloud", "filed", "rectifying", "lost")


class Two:
    """A store whose first generation is BEFORE and whose current one is AFTER; and their feeds."""

    def __init__(self, directory):
        self.store = directory / "store"
        self.before = directory / "before.csv"
        self.after = directory / "after.csv"
        write_feed(self.before, BEFORE)
        write_feed(self.after, AFTER)
        load(self.store, self.before)
        # Whether these may be lost is not the matter here: there are less than a hundred.
        load(self.store, self.after)


@pytest.fixture(scope="module", name="two")
def make_two(tmp_path_factory):
    return Two(tmp_path_factory.mktemp("diff"))


def diff(*arguments, status=0, **options):
    done = icpgate("diff", "--json", "--at", AT, *arguments, **options)
    assert done.returncode == status, done.stderr
    return json.loads(done.stdout)


def pairs(answer):
    return [(o["domain"], o["provider"], o["from"], o["to"], o["permission"])
            for o in answer["list"]]


def side(two, word):
    return {"1": "1", "2": "2", "current": "current", "before": two.before,
            "after": two.after}[word]


@pytest.mark.parametrize("a, b", [("1", "2"), ("1", "current"), ("before", "after"),
                                  ("1", "after"), ("before", "current"), ("0000000001", "after")])
def test_all_ways_to_name_the_states(two, a, b):
    answer = diff("--store", two.store, side(two, a.lstrip("0")), side(two, b), "--list")
    assert answer["rows"] == {"added": 3, "removed": 3, "changed": 6}
    assert answer["permissions"] == {
        "held": 8, "lost": 4, "gained": 3,
        "lost_by_provider": [{"provider": "qcloud", "count": 4}],
        "lost_by_status": [{"status": "none", "count": 2}, {"status": "deregistered", "count": 1},
                           {"status": "transfer-preapproved", "count": 1}],
        "gained_by_provider": [{"provider": "acloud", "count": 1},
                               {"provider": "bcloud", "count": 1},
                               {"provider": "qcloud", "count": 1}],
        "gained_by_status": [{"status": "filed", "count": 3}]}
    assert pairs(answer) == FLIPS
    assert answer["at"] == AT
    for key, word in (("a", a), ("b", b)):
        state = answer[key]
        is_feed = word in ("before", "after")
        assert state["rows"] == 10
        assert state["feed"] == (str(side(two, word)) if is_feed else None)
        assert state["generation"] == \
            {"1": 1, "0000000001": 1, "2": 2, "current": 2}.get(word)
        assert state["sequence"] == (None if is_feed else 0)


@pytest.mark.parametrize("a, b", [("1", "1"), ("current", "current"), ("2", "current"),
                                  ("current", "2"), ("before", "before"), ("current", "after"),
                                  ("before", "1")])
def test_no_difference(two, a, b):
    answer = diff("--store", two.store, side(two, a), side(two, b), "--list")
    assert answer["rows"] == {"added": 0, "removed": 0, "changed": 0}
    assert (answer["permissions"]["lost"], answer["permissions"]["gained"]) == (0, 0)
    assert answer["permissions"]["held"] > 0
    assert answer["list"] == []


def test_there_and_back(two):
    answer = diff(two.after, two.before, "--list")
    assert answer["rows"] == {"added": 3, "removed": 3, "changed": 6}
    other = {"gained": "lost", "lost": "gained"}
    assert pairs(answer) == [(d, p, to, by, other[flip]) for d, p, by, to, flip in FLIPS]


def test_text(two):
    done = icpgate("--store", two.store, "diff", "--at", AT, "1", two.after, "--list")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"""\
A  generation 1, sequence 0, 10 rows
B  feed {two.after}, no manifest, 10 rows
rows         3 added, 3 removed, 6 changed
permissions  8 held, 4 lost (50.00%), 3 gained
  lost by provider    qcloud 4
  lost by status      none 2, deregistered 1, transfer-preapproved 1
  gained by provider  acloud 1, bcloud 1, qcloud 1
  gained by status    filed 3
pairs
  gained  back.cn qcloud  transfer-cancelled -> filed
  lost    dereg.cn qcloud  filed -> deregistered
  lost    gone.cn qcloud  filed -> none
  gained  moved.cn acloud  none -> filed
  lost    moved.cn qcloud  filed -> none
  gained  new.cn bcloud  none -> filed
  lost    over.cn qcloud  transfer-preapproved -> transfer-preapproved
"""


def test_the_time_decides(two):
    answer = diff(two.before, two.after, "--list")
    assert "over.cn" in [pair[0] for pair in pairs(answer)]
    done = icpgate("diff", "--json", "--at", "2026-11-14T23:59:59+08:00", two.before, two.after,
                   "--list")
    assert "over.cn" not in [pair[0] for pair in pairs(json.loads(done.stdout))]


def test_the_configuration_says_what_becomes_of_deadlines(place, two):
    conf = place.config(rectify_overdue="block")
    expected = sorted([*FLIPS, OVERDUE])
    assert pairs(diff("-c", conf, two.before, two.after, "--list")) == expected
    assert pairs(diff("-c", conf, "--store", two.store, "1", "2", "--list")) == expected
    # One second earlier the deadline has not passed.
    done = icpgate("diff", "--json", "-c", conf, "--at", "2026-11-23T11:59:59+08:00", two.before,
                   two.after, "--list")
    assert OVERDUE not in pairs(json.loads(done.stdout))


NAMES = ["same.cn", "www.dereg.cn", "deep.www.dereg.cn", "new.cn", "moved.cn", "back.cn",
         "never.cn", "over.cn", "late.cn", "WWW.Dereg.CN."]


def flips(answer):
    return {o["name"]: tuple(o[k][w] for k in ("from", "to") for w in ("verdict", "reason"))
            for o in answer["names"]["flips"]}


QCLOUD = {
    "www.dereg.cn": ("pass", "filed", "block", "deregistered"),
    "deep.www.dereg.cn": ("pass", "filed", "block", "deregistered"),
    "moved.cn": ("pass", "filed", "block", "filed-elsewhere"),
    "back.cn": ("block", "transfer-cancelled", "pass", "filed"),
    "over.cn": ("pass", "transfer-preapproved", "block", "transfer-expired"),
}
ANY = {
    **{name: flip for name, flip in QCLOUD.items() if name != "moved.cn"},
    "new.cn": ("block", "unfiled", "pass", "filed"),
}


@pytest.mark.parametrize("a, b", [("1", "current"), ("before", "after"), ("1", "after")])
def test_rehearsal_for_the_first_provider(place, two, tmp_path, a, b):
    names = tmp_path / "names"
    names.write_text("\n".join(NAMES), encoding="utf-8")
    conf = place.config(store=str(two.store))
    answer = diff("-c", conf, side(two, a), side(two, b), "--names", names)
    assert (answer["names"]["asked"], answer["names"]["provider"]) == (len(NAMES) - 1, "qcloud")
    assert flips(answer) == QCLOUD
    # In the order of the file.
    assert list(flips(answer)) == [name for name in NAMES if name in QCLOUD]


def test_rehearsal_for_any_provider(two):
    answer = diff("--store", two.store, "1", "2", "--names", "-", stdin="\n".join(NAMES))
    assert (answer["names"]["asked"], answer["names"]["provider"]) == (len(NAMES) - 1, None)
    assert flips(answer) == ANY


@pytest.mark.parametrize("name", NAMES[:-1])
def test_rehearsal_says_what_lookup_says(place, two, name):
    conf = place.config(store=str(two.store), exempt=["back.cn"])
    answer = diff("-c", conf, two.before, "current", "--names", "-", stdin=name)
    _, after = lookup(conf, name)
    found = flips(answer).get(name)
    expected = {**QCLOUD, "back.cn": None}.get(name)
    assert found == expected
    if found is not None:
        assert found[2:] == (after["verdict"], after["reason"])


def test_rehearsal_in_text(place, two):
    conf = place.config(store=str(two.store))
    done = icpgate("-c", conf, "diff", "--at", AT, "1", "2", "--names", "-",
                   stdin="same.cn 100\n\n  moved.cn\t7\nback.cn\n")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.endswith("""\
names        3 asked for, with provider qcloud
  moved.cn  pass filed -> block filed-elsewhere
  back.cn  block transfer-cancelled -> pass filed
  2 would flip
""")
    assert "pairs" not in done.stdout


def test_names_of_stat(two, tmp_path):
    stat = {"counting": True, "blocked_domains": {"domains": [
        {"domain": "dereg.cn", "count": 5, "error": 0},
        {"domain": "same.cn", "count": 3, "error": 0}], "bound": 0, "complete": True}}
    names = tmp_path / "stat.json"
    names.write_text(json.dumps(stat), encoding="utf-8")
    answer = diff("--store", two.store, "1", "2", "--names", names)
    assert answer["names"]["asked"] == 2
    assert list(flips(answer)) == ["dereg.cn"]


@pytest.mark.parametrize("content", ["{}", '{"blocked_domains": 1}', '{"blocked_domains": {',
                                     '{"blocked_domains": {"domains": {}}}'])
def test_json_of_another_kind(two, content):
    done = icpgate("--store", two.store, "diff", "1", "2", "--names", "-", stdin=content)
    assert_quiet_failure(done, 2)
    assert done.stderr.startswith("stdin:") and done.stdout == ""


@pytest.mark.parametrize("names, message", [
    ("a..cn\n", "stdin:1: not a name (empty label): a..cn\n"),
    ("exa\0mple.cn\n", r": exa\x00mple.cn"), ("x\x9b31m.cn\n", r": x\xc2\x9b31m.cn"),
    ("same.cn\n\ndereg.cn\n-x.cn y\n", "stdin:4: not a name"),
    ('{"blocked_domains": {"domains": [{"count": 1}]}}', "stdin:1: not a name"),
])
def test_bad_names_are_told_and_the_others_judged(two, names, message):
    done = icpgate("--store", two.store, "diff", "--json", "1", "2", "--names", "-", stdin=names)
    assert_quiet_failure(done, 2)
    assert message in done.stderr
    assert list(flips(json.loads(done.stdout))) == (["dereg.cn"] if "dereg" in names else [])


def test_no_names(two):
    assert diff("--store", two.store, "1", "2", "--names", os.devnull)["names"] == \
        {"asked": 0, "provider": None, "flips": []}
    done = icpgate("--store", two.store, "diff", "1", "2", "--names", "/nonexistent")
    assert_quiet_failure(done, 2)
    assert "/nonexistent" in done.stderr


def write_manifest(feed, **changes):
    content = feed.read_bytes()
    manifest = {"kind": "full", "sequence": 17, "as_of": "2026-11-22T02:00:00+08:00",
                "rows": content.count(b"\n") - 1, "sha256": hashlib.sha256(content).hexdigest()}
    feed.with_name(feed.name + ".json").write_text(json.dumps({**manifest, **changes}),
                                                   encoding="utf-8")


def test_a_feed_with_a_manifest(two, tmp_path):
    feed = tmp_path / "f.csv"
    write_feed(feed, AFTER)
    write_manifest(feed)
    state = diff(two.before, feed)["b"]
    assert (state["sequence"], state["as_of"]) == (17, "2026-11-22T02:00:00+08:00")
    text = icpgate("diff", two.before, feed).stdout
    assert f"B  feed {feed}, sequence 17, 10 rows\n" in text


@pytest.mark.parametrize("wrong", [{"rows": 9}, {"sha256": "0" * 64}, {"kind": "delta"},
                                   {"sequence": "x"}])
def test_a_manifest_that_does_not_fit_exits_2(two, tmp_path, wrong):
    feed = tmp_path / "f.csv"
    write_feed(feed, AFTER)
    write_manifest(feed, **wrong)
    done = icpgate("diff", two.before, feed)
    assert_quiet_failure(done, 2)
    assert done.stderr.startswith(f"{feed}.json: ") and done.stdout == ""


def test_a_compressed_feed(two, tmp_path):
    feed = tmp_path / "f.csv.gz"
    feed.write_bytes(gzip.compress(two.after.read_bytes()))
    assert diff(two.after, feed)["rows"] == {"added": 0, "removed": 0, "changed": 0}


def test_bad_rows_exit_2_with_file_and_line(two, tmp_path):
    feed = tmp_path / "f.csv"
    write_feed(feed, [row("a.cn"), row("com.cn"), row("b.cn", status="filled"), row("a.cn")])
    done = icpgate("diff", two.before, feed)
    assert_quiet_failure(done, 2)
    assert f"{feed}:3: domain is a public suffix: com.cn\n" in done.stderr
    assert f"{feed}:4: status is not known: filled\n" in done.stderr
    assert f"{feed}:5: pair given twice" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("missing", ["/nonexistent.csv", "./current", "x1"])
def test_a_missing_feed_exits_2(two, missing):
    done = icpgate("diff", two.before, missing)
    assert_quiet_failure(done, 2)
    assert missing in done.stderr


@pytest.mark.parametrize("number", ["0", "3", "99999999999"])
def test_a_missing_generation_exits_4(two, number):
    done = icpgate("--store", two.store, "diff", "current", number)
    assert_quiet_failure(done, 4)
    assert done.stdout == ""


def test_a_missing_store_exits_4(two, tmp_path):
    for words in (["current", two.after], [two.after, "current"], ["1", "1"]):
        done = icpgate("--store", tmp_path / "nowhere", "diff", *words)
        assert_quiet_failure(done, 4)
        assert "nowhere" in done.stderr


def test_two_feeds_need_no_configuration(two):
    env = {"ICPGATE_CONF": "/nonexistent/icpgate.conf"}
    assert icpgate("diff", two.before, two.after, env=env).returncode == 0
    done = icpgate("diff", "current", two.after, env=env)
    assert_quiet_failure(done, 2)
    assert "/nonexistent/icpgate.conf" in done.stderr


@pytest.mark.parametrize("options", [["--list"], ["--list", "--json"]])
def test_a_full_disk(two, options):
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = subprocess.run([ICPGATE, "diff", two.before, two.after, *options], stdout=full,
                              stderr=subprocess.PIPE, encoding="utf-8", timeout=60, check=False)
    assert_quiet_failure(done, 4)
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [
    ["diff"], ["diff", "1"], ["diff", "1", "2", "3"], ["diff", "--days", "3", "1", "2"],
    ["diff", "--resolve", OURS, "1", "2"], ["dump", "--list"], ["verify", "--names", "x"]])
def test_usage_errors_exit_2(arguments):
    done = icpgate(*arguments, env={"ICPGATE_CONF": "/nonexistent"})
    assert_quiet_failure(done, 2)
    assert "/nonexistent" not in done.stderr and done.stdout == ""


def test_many_pairs_are_in_the_order_of_a_dump(tmp_path):
    names = [f"{'a' * (i % 5 + 1)}{i % 3 or ''}.b{i * 7919 % 1000}.{['cn', 'com'][i % 2]}"
             for i in range(2000)]
    rows = sorted({(name, provider) for name in names for provider in ("p", "q")})
    write_feed(tmp_path / "a.csv", [])
    write_feed(tmp_path / "b.csv", [row(*pair) for pair in rows])
    answer = diff(tmp_path / "a.csv", tmp_path / "b.csv", "--list")
    assert answer["permissions"]["gained"] == len(rows)
    assert [pair[:2] for pair in pairs(answer)] == \
        sorted(rows, key=lambda r: ([label.encode() for label in reversed(r[0].split("."))], r[1]))

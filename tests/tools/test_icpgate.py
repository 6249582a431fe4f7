# SPDX-License-Identifier: BSD-3-Clause
"""icpgate, the operator's tool, run as a process. ICP_BUILD names the build directory."""

import csv
import json
import os
import re
import shutil
import subprocess
import threading
import time
from pathlib import Path

import maxminddb
import pytest
import yaml

BUILD = Path(os.environ["ICP_BUILD"])
ICPGATE = BUILD / "db-tools" / "icpgate"
LOADER = BUILD / "loader" / "icpgate-load"

AT = "2026-11-23T12:00:00+08:00"
COLUMNS = ["domain", "provider", "status", "number", "approved_at", "expires_at", "rectify_by",
           "licensed_addresses"]
LICENSED = "192.0.2.0/28 192.0.2.77 2001:db8:1::/48"
NUMBER = "京ICP备11018762号-1"


def canonical(row):
    """The order of a dump: of the names (RFC 4034, 6.1), then of the providers."""
    return [label.encode() for label in reversed(row[0].split("."))], row[1]


ROWS = sorted([
    ["a.example.cn", "qcloud", "filed", "粤B2-20090059", "", "", "", ""],
    ["z.a.example.cn", "qcloud", "filed", "粤B2-20090060", "", "", "", ""],
    ["both.cn", "acloud", "filed", NUMBER, "2020-02-29T23:59:59+08:00", "", "", ""],
    ["both.cn", "qcloud", "changing", NUMBER, "", "", "", ""],
    ["deep.www.both.cn", "qcloud", "filed", NUMBER, "", "", "", ""],
    ["cancelled.cn", "qcloud", "transfer-cancelled", NUMBER, "", "", "", ""],
    ["changing.cn", "qcloud", "changing", NUMBER, "", "", "", ""],
    ["deregistered.cn", "qcloud", "deregistered", NUMBER, "", "", "", ""],
    ["filed.cn", "qcloud", "filed", NUMBER, "", "", "", ""],
    ["licence.cn", "qcloud", "filed", "京ICP证030173号", "", "", "", LICENSED],
    ["overdue.cn", "qcloud", "rectifying", NUMBER, "", "", "2026-11-01T00:00:00+08:00", ""],
    ["pending.cn", "qcloud", "pending", "", "", "", "", ""],
    ["moved.cn", "bcloud", "filed", NUMBER, "", "", "", ""],
    ["sub.moved.cn", "acloud", "deregistered", NUMBER, "", "", "", ""],
    ["quoted.cn", "qcloud", "filed", 'a "b", c', "", "", "", ""],
    ["quoted.cn", "p1", "filed", "a, b", "", "", "", ""],
    ["quoted.cn", "p2", "filed", 'a "b"', "", "", "", ""],
    ["two.cn", "acloud", "filed", NUMBER, "", "", "", "192.0.2.200"],
    ["two.cn", "bcloud", "filed", NUMBER, "", "", "", ""],
    ["rectifying.cn", "qcloud", "rectifying", NUMBER, "", "", "2026-12-02T00:00:00+08:00", ""],
    ["transfer.cn", "qcloud", "transfer-preapproved", NUMBER, "2026-11-01T00:00:00+08:00",
     "2026-12-16T00:00:00+08:00", "", ""],
    ["example.com", "acloud", "filed", NUMBER, "", "", "", ""],
    ["xn--fsqu00a.xn--fiqs8s", "qcloud", "filed", NUMBER, "", "", "", ""],
], key=canonical)
DOMAINS = {row[0] for row in ROWS}

RANGES = """prefix,country,provider
192.0.2.0/25,CN,qcloud
192.0.2.128/25,CN,acloud
198.51.100.0/24,CN,
203.0.113.0/24,US,acloud
2001:db8:1::/48,CN,qcloud
"""
OURS = "192.0.2.10"
OURS_TOO = "192.0.2.20"
THEIRS = "192.0.2.130"
NOBODYS = "198.51.100.1"
ABROAD = "203.0.113.1"


def run(*arguments, stdin="", env=None, encoding="utf-8"):
    return subprocess.run([str(a) for a in arguments], input=stdin, capture_output=True,
                          encoding=encoding, timeout=120, check=False,
                          env={**os.environ, **(env or {})})


def icpgate(*arguments, **options):
    return run(ICPGATE, *arguments, **options)


def load(store, feed):
    done = run(LOADER, "--store", store, "full", "--no-manifest", feed)
    assert done.returncode == 0, done.stderr


def write_feed(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def assert_quiet_failure(done, status):
    """A message, and neither a crash nor a sanitizer's report."""
    assert done.returncode == status, done.stderr
    assert done.stderr.strip()
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr


class Place:
    """A directory with a range database, a store and configurations."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "store"
        self.store.mkdir()
        self.feed = directory / "feed.csv"
        self.ranges = directory / "ranges.mmdb"
        self.settings = 0
        source = directory / "ranges.csv"
        source.write_text(RANGES, encoding="utf-8")
        done = icpgate("ranges", source, self.ranges)
        assert done.returncode == 0, done.stderr

    def config(self, **changes):
        content = {
            "store": str(self.store),
            "mode": "enforce",
            "scope": "provider",
            "providers": ["qcloud"],
            "ranges": {
                "database": str(self.ranges),
                "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
                "provider": {"path": ["provider"]},
            },
            "block": {"ipv4": "203.0.113.80", "ttl": 30},
        }
        content.update(changes)
        self.settings += 1
        path = self.directory / f"{self.settings}.conf"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    made = Place(tmp_path_factory.mktemp("icpgate"))
    # Not in the order of the dump: the order must be the dump's work.
    write_feed(made.feed, ROWS[::-1])
    load(made.store, made.feed)
    return made


@pytest.fixture(scope="module")
def conf(place):
    return place.config()


def lookup(conf, *arguments, at=AT):
    done = icpgate("-c", conf, "lookup", "--json", "--at", at, *arguments)
    assert "Sanitizer" not in done.stderr
    return done.returncode, json.loads(done.stdout)


# Usage


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["--frobnicate"], ["-x"], ["lookup"], ["lookup", "--at"],
    ["lookup", "-", OURS], ["dump", "a.cn", "b.cn"], ["verify", "x"], ["ranges", "a.csv"],
    ["ranges", "a.csv", "b.mmdb", "c"], ["bench", "x"], ["dump", "--at", AT],
    ["lookup", "--at", "yesterday", "a.cn"], ["lookup", "--at", "2026-02-30", "a.cn"]])
def test_usage_errors_exit_2(arguments):
    done = icpgate(*arguments, env={"ICPGATE_CONF": "/nonexistent"})
    assert_quiet_failure(done, 2)
    assert done.stdout == ""
    assert "/nonexistent" not in done.stderr


def test_usage_names_every_command_on_stderr():
    done = icpgate("frobnicate")
    assert "frobnicate" in done.stderr
    for command in ["lookup", "dump", "verify", "ranges", "bench"]:
        assert re.search(rf"^  {command} ", done.stderr, re.M)


@pytest.mark.parametrize("arguments", [["--help"], ["lookup", "--help"], ["bench", "x", "--help"]])
def test_help_goes_to_stdout(arguments):
    done = icpgate(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: icpgate")


def test_version():
    done = icpgate("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "icpgate 0.1.0\n", "")


# Configuration


def test_options_stand_before_or_after_the_command(place, conf):
    orders = [
        ["-c", conf, "--json", "--at", AT, "lookup", "filed.cn", OURS],
        ["lookup", "-c", conf, "filed.cn", "--at", AT, OURS, "--json"],
        ["lookup", "filed.cn", OURS, "--json", "--at", AT, "-c", conf],
    ]
    answers = [icpgate(*order) for order in orders]
    assert [done.returncode for done in answers] == [0, 0, 0]
    assert answers[0].stdout == answers[1].stdout == answers[2].stdout != ""


def test_configuration_of_the_environment(conf):
    assert icpgate("lookup", "filed.cn", env={"ICPGATE_CONF": str(conf)}).returncode == 0


def test_option_goes_before_the_environment(conf):
    done = icpgate("-c", conf, "lookup", "filed.cn", env={"ICPGATE_CONF": "/nonexistent"})
    assert done.returncode == 0


@pytest.mark.parametrize("command", [["lookup", "filed.cn"], ["dump"], ["verify"], ["bench"]])
def test_missing_configuration_exits_2(command):
    done = icpgate(*command, env={"ICPGATE_CONF": "/nonexistent/icpgate.conf"})
    assert_quiet_failure(done, 2)
    assert "/nonexistent/icpgate.conf" in done.stderr


def test_configuration_error_has_file_and_line(place):
    path = place.config(mode="enfroce")
    done = icpgate("-c", path, "lookup", "filed.cn")
    assert_quiet_failure(done, 2)
    assert re.match(rf"{re.escape(str(path))}:\d+: .*enfroce", done.stderr)


def test_unusable_range_database_exits_2(place, tmp_path):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"no database")
    path = place.config(ranges={"database": str(broken),
                                "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
                                "provider": {"path": ["provider"]}})
    done = icpgate("-c", path, "lookup", "filed.cn", OURS)
    assert_quiet_failure(done, 2)
    assert str(broken) in done.stderr


def test_store_option_overrides_the_configuration(place, tmp_path):
    path = place.config(store=str(tmp_path / "elsewhere"))
    assert icpgate("-c", path, "lookup", "filed.cn").returncode == 4
    for command in (["lookup", "filed.cn"], ["dump"], ["verify"]):
        assert icpgate("-c", path, "--store", place.store, *command).returncode == 0


@pytest.mark.parametrize("command", ["dump", "verify"])
def test_store_option_needs_no_configuration(place, command):
    env = {"ICPGATE_CONF": "/nonexistent/icpgate.conf"}
    assert icpgate(command, "--store", place.store, env=env).returncode == 0
    # One that is named must be good.
    done = icpgate(command, "--store", place.store, "-c", "/nonexistent/named.conf", env=env)
    assert_quiet_failure(done, 2)
    assert "named.conf" in done.stderr


# Lookup: JSON


def test_lookup_object_is_the_contracts(place, conf):
    done = icpgate("-c", conf, "lookup", "--json", "--at", AT, "WWW.Example.com.", OURS, ABROAD)
    verify = json.loads(icpgate("--store", place.store, "verify", "--json").stdout)
    assert done.returncode == 1
    assert done.stdout == (
        '{"name": "www.example.com", "verdict": "block", "reason": "filed-elsewhere", '
        '"covering": "example.com", '
        f'"addresses": [{{"address": "{OURS}", "mainland": true, "provider": "qcloud", '
        '"gated": true, "verdict": "block", "reason": "filed-elsewhere", "warnings": []}, '
        f'{{"address": "{ABROAD}", "mainland": false, "provider": "acloud", '
        '"gated": false, "verdict": "pass", "reason": "not-gated", "warnings": []}], '
        '"rows": [{"domain": "example.com", "provider": "acloud", "status": "filed", '
        f'"number": "{NUMBER}"}}], '
        f'"generation": {verify["generation"]}, "sequence": {verify["sequence"]}, '
        f'"at": "{AT}"}}\n')


@pytest.mark.parametrize("name, verdict, reason, covering", [
    ("filed.cn", "pass", "filed", "filed.cn"),
    ("www.filed.cn", "pass", "filed", "filed.cn"),
    ("changing.cn", "pass", "changing", "changing.cn"),
    ("rectifying.cn", "pass", "rectifying", "rectifying.cn"),
    ("overdue.cn", "pass", "rectifying", "overdue.cn"),
    ("transfer.cn", "pass", "transfer-preapproved", "transfer.cn"),
    ("pending.cn", "block", "pending", "pending.cn"),
    ("cancelled.cn", "block", "transfer-cancelled", "cancelled.cn"),
    ("deregistered.cn", "block", "deregistered", "deregistered.cn"),
    ("example.com", "block", "filed-elsewhere", "example.com"),
    ("unfiled.cn", "block", "unfiled", None),
    ("cn", "block", "unfiled", None),
    ("x.www.both.cn", "pass", "changing", "both.cn"),
    ("y.deep.www.both.cn", "pass", "filed", "deep.www.both.cn"),
    ("例子.中国", "pass", "filed", "xn--fsqu00a.xn--fiqs8s"),
])
def test_verdicts(conf, name, verdict, reason, covering):
    for addresses in ([OURS], []):
        status, answer = lookup(conf, name, *addresses)
        assert (answer["verdict"], answer["reason"], answer["covering"]) == \
            (verdict, reason, covering)
        assert status == (1 if verdict == "block" else 0)


def test_without_an_address_one_of_the_first_provider_is_meant(place):
    path = place.config(providers=["acloud", "qcloud"])
    status, answer = lookup(path, "filed.cn")
    assert status == 1
    assert answer["reason"] == "filed-elsewhere"
    assert answer["addresses"] == [
        {"address": None, "mainland": True, "provider": "acloud", "gated": True,
         "verdict": "block", "reason": "filed-elsewhere", "warnings": []}]


def test_without_an_address_or_a_provider_any_filing_permits(place):
    path = place.config(scope="mainland", providers=[],
                        ranges={"database": str(place.ranges),
                                "mainland": {"path": ["country", "iso_code"], "equals": "CN"}})
    status, answer = lookup(path, "example.com")
    assert (status, answer["reason"]) == (0, "filed")
    assert answer["addresses"][0]["provider"] is None
    assert answer["addresses"][0]["gated"] is True
    assert lookup(path, "unfiled.cn")[0] == 1


@pytest.mark.parametrize("address, mainland, provider, gated", [
    (OURS, True, "qcloud", True),
    (f"::ffff:{OURS}", True, "qcloud", True),
    (f"::FFFF:{OURS}", True, "qcloud", True),
    ("64:ff9b::192.0.2.10", True, "qcloud", True),
    ("2001:DB8:1:0::5", True, "qcloud", True),
    (THEIRS, True, "acloud", False),
    (NOBODYS, True, None, False),
    (ABROAD, False, "acloud", False),
    ("9.9.9.9", False, None, False),
])
def test_places_and_the_address_as_given(place, address, mainland, provider, gated):
    path = place.config(nat64_prefixes=["64:ff9b::/96"])
    _, answer = lookup(path, "unfiled.cn", address)
    got = answer["addresses"][0]
    assert (got["address"], got["mainland"], got["provider"], got["gated"]) == \
        (address, mainland, provider, gated)
    assert answer["verdict"] == ("block" if gated else "pass")


def test_rows_are_nearest_first_then_by_provider(conf):
    _, answer = lookup(conf, "deep.www.both.cn", OURS)
    assert [(row["domain"], row["provider"]) for row in answer["rows"]] == [
        ("deep.www.both.cn", "qcloud"), ("both.cn", "acloud"), ("both.cn", "qcloud")]


@pytest.mark.parametrize("address", [ABROAD, THEIRS])
def test_rows_are_shown_without_a_gated_address(conf, address):
    status, answer = lookup(conf, "www.both.cn", address)
    assert (status, answer["reason"], answer["covering"]) == (0, "not-gated", "both.cn")
    assert len(answer["rows"]) == 2
    assert answer["generation"] >= 1


@pytest.mark.parametrize("name", sorted(DOMAINS))
def test_row_members_are_those_that_are_set(conf, name):
    _, answer = lookup(conf, name, OURS)
    expected = []
    for row in sorted(ROWS, key=lambda row: -len(row[0])):
        if f".{name}".endswith("." + row[0]):
            members = dict(zip(COLUMNS, row))
            for optional in COLUMNS[4:]:
                if members[optional] == "":
                    del members[optional]
            if "licensed_addresses" in members:
                members["licensed_addresses"] = members["licensed_addresses"].split(" ")
            expected.append(members)
    assert answer["rows"] == expected
    assert [list(row) for row in answer["rows"]] == [list(row) for row in expected]


@pytest.mark.parametrize("at, shown, reason", [
    ("2026-10-31", "2026-10-31T00:00:00+08:00", "pending"),
    ("2026-10-31T15:59:59Z", "2026-10-31T23:59:59+08:00", "pending"),
    ("2026-11-01", "2026-11-01T00:00:00+08:00", "transfer-preapproved"),
    ("2026-12-15T15:59:59Z", "2026-12-15T23:59:59+08:00", "transfer-preapproved"),
    ("2026-12-16", "2026-12-16T00:00:00+08:00", "transfer-expired"),
])
def test_at(conf, at, shown, reason):
    _, answer = lookup(conf, "transfer.cn", OURS, at=at)
    assert (answer["at"], answer["reason"]) == (shown, reason)


def test_licence_addresses(place):
    inside, outside = "192.0.2.77", "192.0.2.78"
    for setting, verdict, warnings in [("ignore", "pass", []),
                                       ("report", "pass", ["licence-address-mismatch"]),
                                       ("enforce", "block", [])]:
        path = place.config(licence_addresses=setting)
        _, answer = lookup(path, "licence.cn", outside, inside)
        assert [a["verdict"] for a in answer["addresses"]] == [verdict, "pass"]
        assert [a["warnings"] for a in answer["addresses"]] == [warnings, []]


def test_rectify_overdue(place):
    path = place.config(rectify_overdue="block")
    status, answer = lookup(path, "overdue.cn", OURS)
    assert (status, answer["reason"]) == (1, "rectify-overdue")


def test_exempt(place):
    path = place.config(exempt=["internal.example"])
    status, answer = lookup(path, "x.internal.example", OURS)
    assert (status, answer["reason"]) == (0, "exempt")
    assert lookup(path, "xinternal.example", OURS)[0] == 1


def test_strip_passes_while_an_address_is_left(place):
    path = place.config(mixed="strip")
    status, answer = lookup(path, "unfiled.cn", ABROAD, OURS)
    assert (status, answer["verdict"], answer["reason"]) == (0, "pass", "unfiled")
    assert lookup(path, "unfiled.cn", OURS, OURS_TOO)[0] == 1


@pytest.mark.parametrize("arguments, message", [
    (["a..b"], "a..b"), ([""], "not a name"), (["a b.cn"], "a b.cn"),
    (["filed.cn", "1.2.3"], "1.2.3"), (["filed.cn", OURS, "x"], "not an address: x"),
    (["filed.cn", "1.2.3.0/24"], "1.2.3.0/24"), (["a\x1b[2J.cn"], "a?[2J.cn")])
def test_arguments_that_are_not_valid(conf, arguments, message):
    for options in ([], ["--json"]):
        done = icpgate("-c", conf, "lookup", *options, *arguments)
        assert_quiet_failure(done, 2)
        assert message in done.stderr
        assert done.stdout == ""


# Lookup: without a store


@pytest.mark.parametrize("verdict", ["pass", "block"])
def test_no_store(place, tmp_path, verdict):
    path = place.config(store=str(tmp_path), on_no_index=verdict)
    status, answer = lookup(path, "filed.cn", OURS)
    assert (status, answer["verdict"], answer["reason"]) == (4, verdict, "no-index")
    assert (answer["generation"], answer["sequence"], answer["rows"]) == (None, None, [])
    done = icpgate("-c", path, "lookup", "filed.cn", OURS)
    assert_quiet_failure(done, 4)
    assert str(tmp_path) in done.stderr
    assert f"on_no_index decides: {verdict}" in done.stdout
    done = icpgate("-c", path, "lookup", "-", stdin=f"filed.cn {OURS}\nfiled.cn {ABROAD}\n")
    assert_quiet_failure(done, 4)
    assert done.stdout == f"filed.cn {verdict} no-index -\nfiled.cn pass not-gated -\n"


def test_no_store_and_no_gated_address(place, tmp_path):
    path = place.config(store=str(tmp_path), on_no_index="block")
    status, answer = lookup(path, "filed.cn", ABROAD)
    assert (status, answer["reason"], answer["generation"]) == (0, "not-gated", None)


# Lookup: text


def text(path, *arguments):
    done = icpgate("-c", path, "lookup", "--at", AT, *arguments)
    assert "Sanitizer" not in done.stderr
    return done.stdout


def test_text_of_a_block_says_what_would_unblock(conf):
    shown = text(conf, "www.example.com", OURS, OURS_TOO, ABROAD)
    assert shown.startswith("www.example.com: block (filed-elsewhere)\n")
    assert f"\n{OURS}: block (filed-elsewhere); mainland, qcloud, gated\n" in shown
    assert f"\n{ABROAD}: pass (not-gated); not mainland, acloud, not gated\n" in shown
    assert f"example.com is filed with acloud ({NUMBER}), not with qcloud.\n" in shown
    # Said once, not for every address.
    assert shown.count("To unblock: a transfer to qcloud is needed.\n") == 1
    assert f"  example.com, acloud: filed ({NUMBER})\n" in shown
    assert re.search(rf"\nGeneration \d+, sequence \d+, at {re.escape(AT)}\n", shown)


@pytest.mark.parametrize("name, at, phrase, remedy", [
    ("pending.cn", AT, "filing of pending.cn with qcloud is still under review", "an approval"),
    ("transfer.cn", "2026-10-01", "counts from 2026-11-01T00:00:00+08:00 on", "wait until then"),
    ("transfer.cn", "2027-01-01", "ended at 2026-12-16T00:00:00+08:00",
     "transfer to qcloud must be finished"),
    ("cancelled.cn", AT, "no longer linked to qcloud", "transfer to qcloud is needed again"),
    ("deregistered.cn", AT, "was deleted", "filed anew with qcloud"),
    ("overdue.cn", AT, "rectified before 2026-11-01T00:00:00+08:00", "inspection must be passed"),
    ("licence.cn", AT, f"bound to {LICENSED}; 192.0.2.99 is none of these", "licensed address"),
    ("example.com", AT, "filed with acloud", "transfer to qcloud is needed"),
    ("a.unfiled.cn", AT, "Neither a.unfiled.cn nor a parent of it has a filing.",
     "filed with qcloud"),
])
def test_text_for_every_blocking_reason(place, name, at, phrase, remedy):
    path = place.config(rectify_overdue="block", licence_addresses="enforce")
    done = icpgate("-c", path, "lookup", "--at", at, name, "192.0.2.99")
    assert done.returncode == 1
    assert phrase in done.stdout
    assert remedy in re.search(r"^  To unblock: (.*)$", done.stdout, re.M).group(1)


@pytest.mark.parametrize("name, phrase", [
    ("filed.cn", f"filed.cn is filed with qcloud ({NUMBER}).\n"),
    ("changing.cn", "an information change is under review"),
    ("rectifying.cn", "to be rectified before 2026-12-02T00:00:00+08:00"),
    ("overdue.cn", "overdue but tolerated"),
    ("transfer.cn", "must be finished before 2026-12-16T00:00:00+08:00"),
    ("licence.cn", "Warning: licence-address-mismatch. The licence of licence.cn"),
])
def test_text_for_every_permitting_reason(conf, name, phrase):
    shown = text(conf, name, "192.0.2.99")
    assert phrase in shown
    assert "To unblock" not in shown


def test_text_names_the_row_that_decides(place, conf):
    # Not the nearest row, which does not permit with anybody.
    assert "moved.cn is filed with bcloud" in text(conf, "www.sub.moved.cn", OURS)
    # Not the row of a licence for other addresses.
    path = place.config(scope="mainland")
    assert "two.cn is filed with bcloud" in text(path, "two.cn", NOBODYS)


def test_text_without_an_address(conf):
    shown = text(conf, "unfiled.cn")
    assert "\nno address given, so any: block (unfiled); mainland, qcloud, gated\n" in shown
    assert "Rows of the name and its parents: none\n" in shown


def test_text_names_the_exempt_suffix(place):
    path = place.config(exempt=["other.example", "internal.example"])
    assert "exempts internal.example." in text(path, "x.internal.example", OURS)


@pytest.mark.parametrize("address, phrase", [(ABROAD, "not in the mainland"),
                                             (THEIRS, "gated here: qcloud.")])
def test_text_says_why_not_gated(conf, address, phrase):
    assert phrase in text(conf, "unfiled.cn", address)


def test_text_tells_mode_and_mixed(place):
    path = place.config(mode="monitor", mixed="strip")
    shown = text(path, "unfiled.cn", OURS, ABROAD)
    assert "mode: monitor" in shown and "mixed: strip" in shown
    shown = text(place.config(), "unfiled.cn", OURS, ABROAD)
    assert "mode: monitor" not in shown and "mixed: block" in shown


def test_text_tells_the_next_change(conf):
    assert "changes next at 2026-12-16T00:00:00+08:00\n" in text(conf, "transfer.cn", OURS)
    assert "changes next" not in text(conf, "filed.cn", OURS)


# Lookup: lines


def test_lines_in_text(conf):
    lines = f"filed.cn {OURS}\n\n  \t\nWWW.example.com\t{ABROAD}  {OURS} \r\nunfiled.cn"
    done = icpgate("-c", conf, "lookup", "-", stdin=lines)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == ("filed.cn pass filed filed.cn\n"
                           "www.example.com block filed-elsewhere example.com\n"
                           "unfiled.cn block unfiled -\n")


def test_lines_pass(conf):
    done = icpgate("-c", conf, "lookup", "-", stdin=f"filed.cn {OURS}\nx.cn {ABROAD}\n")
    assert done.returncode == 0
    done = icpgate("-c", conf, "lookup", "-", stdin="")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_lines_in_json_are_single_lookups(conf):
    names = ["www.example.com", "both.cn", "unfiled.cn", "例子.中国"]
    done = icpgate("-c", conf, "lookup", "-", "--json", "--at", AT,
                   stdin="".join(f"{name} {OURS} {ABROAD}\n" for name in names))
    assert done.returncode == 1
    assert [json.loads(line) for line in done.stdout.splitlines()] == \
        [lookup(conf, name, OURS, ABROAD)[1] for name in names]


def test_bad_lines_are_reported_and_the_rest_answered(conf):
    lines = f"filed.cn {OURS}\n\na..b {OURS}\nfiled.cn {OURS} 1.2.3\nunfiled.cn {OURS}\n"
    for options in ([], ["--json"]):
        done = icpgate("-c", conf, "lookup", "-", *options, stdin=lines)
        assert_quiet_failure(done, 2)
        messages = done.stderr.splitlines()
        assert len(messages) == 2
        assert re.fullmatch(r"stdin:3: not a name \(.+\): a\.\.b", messages[0])
        assert messages[1] == "stdin:4: not an address: 1.2.3"
        if options:
            answers = [json.loads(line) for line in done.stdout.splitlines()]
            assert [answer.get("verdict") for answer in answers] == ["pass", None, None, "block"]
            assert answers[1] == {"error": messages[0]}
            assert answers[2] == {"error": messages[1]}
        else:
            assert done.stdout == "filed.cn pass filed filed.cn\nunfiled.cn block unfiled -\n"


@pytest.mark.parametrize("line", [b"a\x00b.cn 192.0.2.1", b"filed.cn 192.0.2.1\x00", b"\xff\xfe.cn",
                                  b"filed.cn \xff", b"\x1b[2J.cn", b"\x00", b"a." * 5000 + b"cn",
                                  b"filed.cn " + b"9" * 5000, "é".encode() * 3000])
def test_bad_octets_in_lines(conf, line):
    done = icpgate("-c", conf, "lookup", "-", "--json", encoding=None,
                   stdin=line + b"\nfiled.cn 192.0.2.1\n")
    assert done.returncode == 2
    assert done.stderr.startswith(b"stdin:1: not a")
    assert done.stderr.count(b"\n") == 1 and b"\x1b" not in done.stderr
    answers = [json.loads(answer) for answer in done.stdout.decode("utf-8").splitlines()]
    assert list(answers[0]) == ["error"]
    assert answers[1]["verdict"] == "pass"


def test_a_line_of_any_length(conf):
    addresses = [f"10.{i // 256}.{i % 256}.1" for i in range(20000)] + [OURS]
    done = icpgate("-c", conf, "lookup", "-", "--json",
                   stdin="unfiled.cn " + " ".join(addresses) + "\nfiled.cn\n")
    assert done.returncode == 1
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert [entry["address"] for entry in first["addresses"]] == addresses
    assert [entry["gated"] for entry in first["addresses"]] == [False] * 20000 + [True]
    assert second["verdict"] == "pass"


def test_many_lines(conf):
    count = 100000
    done = icpgate("-c", conf, "lookup", "-", "--json",
                   stdin="".join(f"n{i}.unfiled.cn {OURS}\n" for i in range(count)))
    assert (done.returncode, done.stderr) == (1, "")
    answers = done.stdout.splitlines()
    assert len(answers) == count
    assert json.loads(answers[-1])["name"] == f"n{count - 1}.unfiled.cn"


def test_lines_see_a_new_generation(place, tmp_path):
    store = tmp_path / "store"
    write_feed(tmp_path / "old.csv", [])
    write_feed(tmp_path / "new.csv", [["late.cn", "qcloud", "filed", NUMBER, "", "", "", ""]])
    load(store, tmp_path / "old.csv")
    path = place.config(store=str(store))
    with subprocess.Popen([ICPGATE, "-c", path, "lookup", "-"], stdin=subprocess.PIPE,
                          stdout=subprocess.PIPE, encoding="utf-8") as process:
        answers = []
        reader = threading.Thread(target=lambda: answers.extend(iter(process.stdout.readline, "")))
        reader.start()
        loaded = False
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and "late.cn pass filed late.cn\n" not in answers[-1:]:
            process.stdin.write(f"late.cn {OURS}\n" * 1000)
            process.stdin.flush()
            if answers and not loaded:
                load(store, tmp_path / "new.csv")
                loaded = True
        process.stdin.close()
        reader.join(30)
        assert process.wait(30) == 1
    assert answers[0] == "late.cn block unfiled -\n"
    assert answers[-1] == "late.cn pass filed late.cn\n"


# Dump


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


# Verify


def test_verify(place):
    done = icpgate("--store", place.store, "verify")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(rf"generation \d+: {len(ROWS)} rows, \d+ names, [\d,]+ octets, "
                        r"sequence \d+: ok\n", done.stdout)


def test_verify_in_json(place):
    done = icpgate("--store", place.store, "verify", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["ok", "generation", "sequence", "rows", "names", "octets", "as_of",
                            "created_at"]
    assert answer["ok"] is True and answer["rows"] == len(ROWS)
    # The domains, and example.cn and www.both.cn above some of them.
    assert answer["names"] == len(DOMAINS) + 2
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


def test_dump_of_a_damaged_number_is_still_json(copy):
    damage_row(copy)
    numbers = [json.loads(line)["number"] for line in
               dump("--store", copy, "licence.cn", "--json").splitlines()]
    assert numbers == ["???ICP???030173???"]


@pytest.mark.parametrize("damage", [damage_length, damage_head])
def test_damage_is_no_crash(place, copy, damage):
    damage(copy)
    path = place.config(store=str(copy), on_no_index="block")
    for command in (["dump"], ["dump", "--json"], ["bench"], ["lookup", "filed.cn", OURS],
                    ["lookup", "--json", "filed.cn", OURS]):
        assert_quiet_failure(icpgate("-c", path, *command), 4)


# Ranges


def ranges(source, target, **env):
    return icpgate("ranges", source, target, env={"ICPGATE_CONF": "/nonexistent", **env})


def test_ranges(place, tmp_path):
    target = tmp_path / "out.mmdb"
    done = ranges(place.directory / "ranges.csv", target, SOURCE_DATE_EPOCH="1700000000")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{target}: 5 prefixes, 4 distinct records, ")
    with maxminddb.open_database(str(target)) as database:
        assert database.metadata().build_epoch == 1700000000
        assert database.get(OURS) == {"country": {"iso_code": "CN"}, "provider": "qcloud"}
        assert database.get(NOBODYS) == {"country": {"iso_code": "CN"}}
        assert database.get("9.9.9.9") is None


def test_ranges_in_json(place, tmp_path):
    target = tmp_path / "out.mmdb"
    done = icpgate("ranges", "--json", place.directory / "ranges.csv", target,
                   env={"SOURCE_DATE_EPOCH": "1700000000"})
    answer = json.loads(done.stdout)
    assert list(answer) == ["database", "prefixes", "records", "nodes", "octets", "build_epoch"]
    assert answer["database"] == str(target)
    assert (answer["prefixes"], answer["records"]) == (5, 4)
    assert answer["octets"] == target.stat().st_size
    assert answer["build_epoch"] == 1700000000


def test_ranges_are_built_now_without_an_epoch(place, tmp_path):
    environment = dict(os.environ)
    environment.pop("SOURCE_DATE_EPOCH", None)
    before = int(subprocess.check_output(["date", "+%s"]))
    subprocess.run([ICPGATE, "ranges", place.directory / "ranges.csv", tmp_path / "out.mmdb"],
                   env=environment, check=True, stdout=subprocess.DEVNULL, timeout=60)
    after = int(subprocess.check_output(["date", "+%s"]))
    with maxminddb.open_database(str(tmp_path / "out.mmdb")) as database:
        assert before <= database.metadata().build_epoch <= after


@pytest.mark.parametrize("epoch", ["", "0", "-1", "+1", " 1", "1x", "yesterday", "9" * 30])
def test_ranges_with_a_bad_epoch(place, tmp_path, epoch):
    done = ranges(place.directory / "ranges.csv", tmp_path / "out.mmdb", SOURCE_DATE_EPOCH=epoch)
    assert_quiet_failure(done, 2)
    assert "SOURCE_DATE_EPOCH" in done.stderr
    assert not (tmp_path / "out.mmdb").exists()


def test_ranges_of_a_bad_file(tmp_path):
    source = tmp_path / "ranges.csv"
    source.write_text("prefix,country,provider\n192.0.2.0/24,CN,qcloud\n192.0.2.300/24,CN,\n",
                      encoding="utf-8")
    done = ranges(source, tmp_path / "out.mmdb")
    assert_quiet_failure(done, 2)
    assert done.stderr.startswith(f"{source}:3: ") and "192.0.2.300/24" in done.stderr
    assert not (tmp_path / "out.mmdb").exists()


def test_ranges_system_failures(place, tmp_path):
    assert_quiet_failure(ranges(tmp_path / "missing.csv", tmp_path / "out.mmdb"), 4)
    done = ranges(place.directory / "ranges.csv", tmp_path / "missing" / "out.mmdb")
    assert_quiet_failure(done, 4)


# Bench


def test_bench(place, conf):
    done = icpgate("-c", conf, "bench")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert len(lines) == 4
    assert re.fullmatch(rf"generation \d+: {len(ROWS)} rows; {len(DOMAINS)} names, one thread", lines[0])
    for line in lines[1:]:
        assert re.search(r" \d+ ns per decision +[\d,]+ decisions/s$", line)


def test_bench_in_json(place):
    # The configuration's scope must not matter for what is measured.
    path = place.config(scope="mainland")
    done = icpgate("-c", path, "bench", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert list(answer) == ["generation", "rows", "names", "filed", "unfiled", "with_ranges"]
    assert (answer["rows"], answer["names"]) == (len(ROWS), len(DOMAINS))
    for key in ["filed", "unfiled", "with_ranges"]:
        result = answer[key]
        assert result["decisions"] > 0
        assert result["ns_per_decision"] * result["decisions_per_second"] == \
            pytest.approx(1e9, rel=1e-3)
        # Each measurement takes about a second.
        assert 0.9 < result["decisions"] / result["decisions_per_second"] < 10


def test_bench_of_an_empty_store(place, tmp_path):
    write_feed(tmp_path / "feed.csv", [])
    load(tmp_path / "store", tmp_path / "feed.csv")
    done = icpgate("-c", place.config(), "--store", tmp_path / "store", "bench")
    assert_quiet_failure(done, 4)
    assert "no rows" in done.stderr

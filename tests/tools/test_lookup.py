# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup, for programs."""

import json
import os
import tempfile
from pathlib import Path

import pytest

from operator_tool import (
    AT,
    COLUMNS,
    NUMBER,
    ROWS,
    DOMAINS,
    OURS,
    OURS_TOO,
    THEIRS,
    NOBODYS,
    ABROAD,
    ICPGATE,
    LOADER,
    Place,
    icpgate,
    assert_quiet_failure,
    load,
    lookup,
    run,
    write_feed,
)


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
    (["filed.cn", "1.2.3.0/24"], "1.2.3.0/24"), (["a\x1b[2J.cn"], r": a\x1b[2J.cn")])
def test_arguments_that_are_not_valid(conf, arguments, message):
    for options in ([], ["--json"]):
        done = icpgate("-c", conf, "lookup", *options, *arguments)
        assert_quiet_failure(done, 2)
        assert message in done.stderr
        assert done.stdout == ""


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
    assert "To repair: load a full feed" in done.stdout
    done = icpgate("-c", path, "lookup", "-", stdin=f"filed.cn {OURS}\nfiled.cn {ABROAD}\n")
    assert_quiet_failure(done, 4)
    assert done.stdout == f"filed.cn {verdict} no-index -\nfiled.cn pass not-gated -\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights")
def test_who_has_no_right_to_the_store_is_told_so():
    """Not that a feed would help, and of each generation."""
    def run_as_nobody(*arguments):
        return run("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", *arguments)

    with tempfile.TemporaryDirectory() as directory:
        os.chmod(directory, 0o755)
        place = Place(Path(directory))
        write_feed(place.feed, [])
        load(place.store, place.feed)
        generation = f"{place.store}/generations/0000000001.mdb"
        why = f"{generation}: Permission denied (the lock file beside it must be writable)"
        done = run_as_nobody(LOADER, "--store", place.store, "status")
        assert f"kept        1  {why}\n" in done.stdout and done.returncode == 4
        done = run_as_nobody(LOADER, "--store", place.store, "status", "--json")
        assert json.loads(done.stdout)["generations"] == [
            {"generation": 1, "current": False, "error": why}]
        done = run_as_nobody(ICPGATE, "-c", place.config(), "lookup", "filed.cn", OURS)
        assert_quiet_failure(done, 4)
        assert "  To repair: see to the cause, which is told below.\n" in done.stdout
        assert f"\nRows: not known. {why}\n" in done.stdout and "full feed" not in done.stdout


def test_no_store_and_no_gated_address(place, tmp_path):
    path = place.config(store=str(tmp_path), on_no_index="block")
    status, answer = lookup(path, "filed.cn", ABROAD)
    assert (status, answer["reason"], answer["generation"]) == (0, "not-gated", None)

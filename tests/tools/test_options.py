# SPDX-License-Identifier: BSD-3-Clause
"""Options and configuration of icpgate, the operator's tool."""

import json
import re

import pytest

from operator_tool import AT, OURS, icpgate, assert_quiet_failure


@pytest.mark.parametrize("arguments", [
    [], ["frobnicate"], ["--frobnicate"], ["-x"], ["lookup"], ["lookup", "--at"],
    ["lookup", "-", OURS], ["dump", "a.cn", "b.cn"], ["verify", "x"], ["check", "x"],
    ["ranges", "a.csv"],
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
    for command in ["lookup", "dump", "verify", "check", "diff", "upcoming", "history", "ranges",
                    "bench"]:
        assert re.search(rf"^  {command} ", done.stderr, re.M)


@pytest.mark.parametrize("arguments", [["--help"], ["lookup", "--help"], ["bench", "x", "--help"]])
def test_help_goes_to_stdout(arguments):
    done = icpgate(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: icpgate")


def test_version():
    done = icpgate("--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "icpgate 0.1.0\n", "")


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


@pytest.mark.parametrize("command", [["lookup", "filed.cn"], ["dump"], ["verify"], ["check"],
                                     ["bench"]])
def test_missing_configuration_exits_2(command):
    done = icpgate(*command, env={"ICPGATE_CONF": "/nonexistent/icpgate.conf"})
    assert_quiet_failure(done, 2)
    assert "/nonexistent/icpgate.conf" in done.stderr


@pytest.mark.parametrize("command", [["lookup", "filed.cn"], ["check"]])
def test_configuration_error_has_file_and_line(place, command):
    path = place.config(mode="enfroce")
    done = icpgate("-c", path, *command)
    assert_quiet_failure(done, 2)
    assert re.match(rf"{re.escape(str(path))}:\d+: .*enfroce", done.stderr)


@pytest.mark.parametrize("command", [["lookup", "filed.cn", OURS], ["check"]])
def test_unusable_range_database_exits_2(place, tmp_path, command):
    broken = tmp_path / "broken.mmdb"
    broken.write_bytes(b"no database")
    path = place.config(ranges={"database": str(broken),
                                "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
                                "provider": {"path": ["provider"]}})
    done = icpgate("-c", path, *command)
    assert_quiet_failure(done, 2)
    assert str(broken) in done.stderr


@pytest.mark.parametrize("mode", ["monitor", "enforce"])
def test_check(place, tmp_path, mode):
    # A resolver starts without a store, too.
    path = place.config(mode=mode, store=str(tmp_path / "nowhere"))
    done = icpgate("-c", path, "check")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}: mode {mode}: ok\n", "")
    done = icpgate("-c", path, "check", "--json")
    assert json.loads(done.stdout) == {"ok": True, "configuration": str(path), "mode": mode}


def test_check_says_in_json_what_is_wrong(place):
    path = place.config(lease=1)
    done = icpgate("-c", path, "check", "--json")
    assert done.returncode == 2
    said = json.loads(done.stdout)
    assert said["ok"] is False and said["error"] in done.stderr and "lease" in said["error"]


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

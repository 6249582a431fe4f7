# SPDX-License-Identifier: BSD-3-Clause
"""icpgate ranges."""

import re
import json
import os
import subprocess

import maxminddb
import pytest

from operator_tool import ICPGATE, OURS, NOBODYS, icpgate, assert_quiet_failure


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


def test_mmdblookup_reads_the_ranges(place, tmp_path):
    target = tmp_path / "out.mmdb"
    assert ranges(place.directory / "ranges.csv", target).returncode == 0

    def look_up(address):
        command = ["mmdblookup", "--file", target, "--ip", address]
        return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)

    found = look_up(OURS)
    assert found.returncode == 0, found.stderr
    words = [word for word in re.findall(r'"([^"]*)"', found.stdout)]
    assert words == ["country", "iso_code", "CN", "provider", "qcloud"]
    assert "Could not find an entry" in look_up("9.9.9.9").stderr


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

# SPDX-License-Identifier: BSD-3-Clause
"""icpgate-load, run as a process: exit statuses, messages, the report, the progress line."""

import fcntl
import hashlib
import json
import os
import pty
import subprocess

import pytest

from operator_tool import COLUMNS, LOADER, NUMBER

HEADER = ",".join(COLUMNS) + "\n"


def line(domain, status="filed"):
    return f"{domain},qcloud,{status},{NUMBER},,,,\n"


class Site:
    def __init__(self, directory):
        self.store = directory / "store"
        self.feed = directory / "f.csv"

    def write(self, *lines, sequence=None, **manifest):
        text = HEADER + "".join(lines)
        self.feed.write_text(text, encoding="utf-8")
        if sequence is not None:
            content = {
                "kind": "full",
                "sequence": sequence,
                "as_of": "2026-11-23T02:00:00+08:00",
                "rows": len(lines),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
                **manifest,
            }
            self.feed.with_name("f.csv.json").write_text(json.dumps(content), encoding="utf-8")

    def run(self, *arguments, **options):
        command = [LOADER, "--store", self.store, *arguments]
        options = {"capture_output": True, "encoding": "utf-8", "check": False} | options
        return subprocess.run(list(map(str, command)), **options)

    def full(self, *arguments, **options):
        return self.run("full", *arguments, self.feed, **options)

    def status(self):
        return json.loads(self.run("status", "--json").stdout)


@pytest.fixture(name="site")
def make_site(tmp_path):
    return Site(tmp_path)


def test_a_load_reports_what_is_current(site):
    site.write(line("a.cn"), line("b.com.cn"), sequence=7)
    done = site.full("--json")
    assert (done.returncode, done.stderr) == (0, "")
    report = json.loads(done.stdout)
    assert (report["generation"], report["sequence"], report["rows"]) == (1, 7, 2)
    status = site.status()
    assert (status["generation"], status["sequence"], status["rows"]) == (1, 7, 2)


def test_status_in_text(site):
    site.write(line("a.cn"), sequence=7)
    site.full()
    text = site.run("status").stdout
    assert "generation  1\n" in text and "sequence    7, full feed 7\n" in text


@pytest.mark.parametrize("arguments", [[], ["full"], ["delta"], ["rollback", "x"], ["full", "a", "b"], ["-x"]])
def test_usage_errors_exit_2(site, arguments):
    assert site.run(*arguments).returncode == 2


def test_older_sequence_exits_1(site):
    site.write(line("a.cn"), sequence=7)
    site.full()
    site.write(line("b.cn"), sequence=6)
    done = site.full()
    assert done.returncode == 1
    assert "sequence 6 is older than 7" in done.stderr
    assert site.status()["generation"] == 1


def test_bad_rows_exit_3_with_file_and_line(site):
    site.write(line("a.cn"), line("com.cn"), line("b.cn", "filled"), sequence=1)
    done = site.full()
    assert done.returncode == 3
    assert f"{site.feed}:3: domain is a public suffix: com.cn\n" in done.stderr
    assert f"{site.feed}:4: status is not known: filled\n" in done.stderr
    assert site.run("status").returncode == 4


@pytest.mark.parametrize("wrong", [{"rows": 2}, {"sha256": "0" * 64}, {"kind": "delta"}])
def test_manifest_that_does_not_fit_exits_3(site, wrong):
    site.write(line("a.cn"), sequence=1, **wrong)
    assert site.full().returncode == 3


def test_missing_feed_or_manifest_exits_3(site):
    assert site.full().returncode == 3
    site.write(line("a.cn"))
    assert site.full().returncode == 3
    assert site.full("--no-manifest").returncode == 0


def test_store_that_can_t_be_made_exits_4(site, tmp_path):
    site.write(line("a.cn"))
    site.store = tmp_path / "nowhere" / "store"
    done = site.full("--no-manifest")
    assert done.returncode == 4
    assert str(site.store) in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become a user without rights")
def test_unreadable_store_exits_4(site, tmp_path):
    site.write(line("a.cn"))
    site.full("--no-manifest")
    site.store.chmod(0o700)
    tmp_path.chmod(0o755)
    for parent in tmp_path.parents:
        if parent.stat().st_mode & 0o055 != 0o055 and "pytest" in parent.name:
            parent.chmod(0o755)
    done = site.run("status", user="nobody", group="nogroup", extra_groups=[])
    assert done.returncode == 4
    assert "Permission denied" in done.stderr


def test_second_loader_does_not_wait(site):
    site.write(line("a.cn"))
    site.full("--no-manifest")
    with open(site.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = site.full("--no-manifest", "--no-wait")
    assert done.returncode == 4
    assert "another loader" in done.stderr


def test_report_that_can_t_be_written_is_no_failure(site):
    site.write(line("a.cn"))
    with open("/dev/full", "w", encoding="ascii") as full:
        done = site.full("--no-manifest", capture_output=False, stdout=full,
                         stderr=subprocess.PIPE)
    assert done.returncode == 0
    assert "generation 1 is current all the same" in done.stderr
    assert site.status()["generation"] == 1


def test_progress_on_a_terminal_only(site):
    site.write(*(line(f"name{i}.cn") for i in range(1_200_000)))
    assert site.full("--no-manifest").stderr == ""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [LOADER, "--store", site.store, "full", "--no-manifest", site.feed],
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:
            # The other end was closed.
            pass
        assert process.wait(60) == 0
    os.close(ours)
    assert b"%" in shown and b"rows/s" in shown

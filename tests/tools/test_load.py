# SPDX-License-Identifier: BSD-3-Clause
"""icpgate-load, run as a process: exit statuses, messages, the report, the progress line."""

import fcntl
import hashlib
import json
import os
import pty
import re
import subprocess
import time
from datetime import datetime

import pytest

from operator_tool import COLUMNS, ICPGATE, LOADER, NUMBER, run, wait_until

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

    def delta(self, sequence, lines, *arguments, name="d.csv", **manifest):
        text = f"op,{HEADER}" + "".join(f"upsert,{each}" for each in lines)
        feed = self.feed.with_name(name)
        feed.write_text(text, encoding="utf-8")
        feed.with_name(f"{name}.json").write_text(json.dumps({
            "kind": "delta", "sequence": sequence, "as_of": "2026-11-23T02:00:00+08:00",
            "rows": len(lines), "sha256": hashlib.sha256(text.encode()).hexdigest(), **manifest}),
            encoding="utf-8")
        return self.run("delta", *arguments, feed)

    def generations(self):
        """Numbers of those whose files are there; nothing else may lie beside them."""
        names = sorted(path.name for path in (self.store / "generations").iterdir())
        numbers = [int(name.removesuffix(".mdb")) for name in names if name.endswith(".mdb")]
        assert names == [f"{number:010}.{end}" for number in numbers for end in ("mdb", "mdb-lock")]
        return numbers


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


def test_as_of_ahead_of_the_clock_counts_from_the_load(site):
    """Else no age could tell for years that feeds have ceased to come."""
    def assert_counts(done, feed):
        assert (done.returncode, done.stderr) == (
            0, f"{feed}: as_of 2099-01-01T00:00:00+08:00 is over a day ahead of the clock; "
               "the age of the data counts from this load\n")
        age = time.time() - datetime.fromisoformat(site.status()["as_of"]).timestamp()
        assert 0 <= site.status()["age"] < 600 and 0 <= age < 600
        assert re.search(r"^age {9}0d 00:0\d:\d\d$", site.run("status").stdout, re.M)

    site.write(line("a.cn"), sequence=1, as_of="2099-01-01")
    assert_counts(site.full(), "f.csv")
    assert_counts(site.delta(2, [line("b.cn")], as_of="2099-01-01"), "d.csv")


def test_status_in_text(site):
    site.write(line("a.cn"), sequence=7)
    site.full()
    text = site.run("status").stdout
    assert "generation  1\n" in text and "sequence    7, full feed 7\n" in text


def test_names_that_no_terminal_bears(site):
    """Nor does JSON."""
    name, shown = os.fsdecode(b"\xff\x1b[31m\n.csv"), r"\xff\x1b[31m\x0a.csv"
    site.write(line("a.cn"))
    site.feed = site.feed.rename(site.feed.with_name(name))
    done = site.full("--no-manifest", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["rows"] == 1 and site.status()["source"] == shown
    delta = site.delta(1, [line("b.cn")], "--json", name=f"d{name}")
    assert (delta.returncode, delta.stderr) == (0, "")
    assert json.loads(delta.stdout)["feed"] == str(site.feed.with_name(f"d{shown}"))
    assert site.status()["source"] == f"d{shown}"
    assert f"\nsource      d{shown}\n" in site.run("status").stdout
    again = site.delta(1, [line("b.cn")], name=f"d{name}")
    assert again.stdout == f"{site.feed.with_name(f'd{shown}')}: applied before, the sequence is 1\n"
    audit = run(ICPGATE, "--store", site.store, "history", "b.cn").stdout
    assert audit.endswith(f"  d{shown}\n")


@pytest.mark.parametrize("arguments", [[], ["full"], ["delta"], ["rollback", "x"], ["full", "a", "b"], ["-x"]])
def test_usage_errors_exit_2(site, arguments):
    assert site.run(*arguments).returncode == 2


@pytest.mark.parametrize("arguments", [
    *(["full", "--keep", value, "f.csv"] for value in ("0", "1001", "x", "", "-1", "3x", "1.5")),
    ["rollback", "--keep", "3"], ["status", "--keep", "3"],
    *(["full", "--rectify-overdue", value, "f.csv"] for value in ("", "p", "Pass", "blocks")),
    ["status", "--rectify-overdue", "pass"],
    *(["full", "--max-lost", value, "f.csv"] for value in ("100.1", "101", "x", "", "-1", "5x", "1.")),
    ["delta", "--max-lost", "5", "d.csv"], ["rollback", "--force"],
])
def test_values_and_commands_that_options_are_not_for(site, arguments):
    done = site.run(*arguments)
    assert done.returncode == 2
    assert arguments[1] in done.stderr
    assert not site.store.exists()


def load_times(site, times, *arguments):
    for _ in range(times):
        site.write(line("a.cn"))
        done = site.full("--no-manifest", *arguments)
        assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("keep, kept", [
    ([], [5, 6, 7]), (["--keep", "1"], [7]), (["--keep", "2"], [6, 7]),
    (["--keep", "5"], [3, 4, 5, 6, 7]), (["--keep", "1000"], [1, 2, 3, 4, 5, 6, 7]),
])
def test_so_many_generations_are_kept(site, keep, kept):
    load_times(site, 6, "--keep", "1000")
    assert site.generations() == [1, 2, 3, 4, 5, 6]
    load_times(site, 1, *keep)
    assert site.generations() == kept
    assert (site.run("rollback").returncode == 0) == (len(kept) > 1)


@pytest.mark.parametrize("keep, kept", [("1", [6]), ("2", [4, 6]), ("5", [1, 2, 3, 4, 6])])
def test_after_a_rollback_those_are_kept_that_were_current_before(site, keep, kept):
    """The one that was rolled back from is none of them."""
    load_times(site, 5, "--keep", "1000")
    assert site.run("rollback").returncode == 0
    assert site.generations() == [1, 2, 3, 4, 5]
    load_times(site, 1, "--keep", keep)
    assert site.generations() == kept
    back = [site.status()["generation"] for _ in kept if site.run("rollback").returncode == 0]
    assert back == kept[-2::-1]


def test_a_delta_that_needs_a_new_generation_keeps_so_many(site):
    """It does once a reader that stands still has made the file grow; others remove nothing."""
    many = [f"name{i}.cn" for i in range(100_000)]
    for sequence in (1, 2):
        site.write(line("a.cn"), sequence=sequence)
        assert site.full("--keep", "5").returncode == 0
    site.write(*(line(name) for name in many), sequence=3)
    assert site.full("--keep", "5", "--force").returncode == 0
    with subprocess.Popen([ICPGATE, "--store", site.store, "dump"],
                          stdout=subprocess.PIPE) as reader:
        try:
            # It holds its snapshot until it has written all, and its pipe is full by then.
            assert reader.stdout.read(100)
            for sequence in range(4, 40):
                assert site.generations() == [1, 2, 3]
                status = ["filed", "changing"][sequence % 2]
                lines = [line(name, status) for name in many[::20]]
                done = site.delta(sequence, lines, "--keep", "2")
                assert done.returncode == 0, done.stderr
                if site.status()["generation"] != 3:
                    break
        finally:
            reader.kill()
    # The copy took the place of what it was made of.
    assert site.status()["generation"] == 4
    assert site.generations() == [2, 4]
    assert site.run("rollback").returncode == 0


@pytest.mark.parametrize("lost, arguments, status", [
    (100, ["--max-lost", "0"], 0),
    (101, ["--max-lost", "0"], 1),
    (101, [], 1),
    (101, ["--max-lost", "5"], 0),
    (102, ["--max-lost", "5"], 1),
    (102, ["--max-lost", "5.05%"], 0),
    (2020, ["--max-lost", "99.999999"], 1),
    (2020, ["--max-lost", "100"], 0),
    (2020, ["--force"], 0),
    (2020, ["--force", "--max-lost", "0"], 0),
])
def test_so_many_permissions_may_be_lost(site, lost, arguments, status):
    """Of 2,020 that there are; 101 of them are 5%."""
    lines = [line(f"name{i}.cn") for i in range(2020)]
    site.write(*lines)
    assert site.full("--no-manifest").returncode == 0
    site.write(*lines[lost:])
    done = site.full("--no-manifest", *arguments)
    assert done.returncode == status, done.stderr
    assert site.status()["rows"] == (2020 if status else 2020 - lost)
    assert status == 0 or f": {lost:,} of 2,020 permissions would be lost" in done.stderr


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


@pytest.fixture(name="lock")
def make_lock(site):
    """Another loader's, on a store with two generations."""
    for name in ("a.cn", "b.cn"):
        site.write(line(name))
        assert site.full("--no-manifest").returncode == 0
    with open(site.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


@pytest.mark.parametrize("command", ["full", "delta", "rollback"])
def test_second_loader_does_not_wait(site, lock, command):
    arguments = {"full": ["--no-manifest", site.feed], "delta": [site.feed], "rollback": []}
    done = site.run(command, "--no-wait", *arguments[command])
    assert done.returncode == 4
    assert "another loader" in done.stderr
    assert site.status()["generation"] == 2


@pytest.mark.parametrize("command, generation", [("full", 3), ("rollback", 1)])
def test_second_loader_waits(site, lock, command, generation):
    arguments = ["--no-manifest", site.feed] if command == "full" else []
    with subprocess.Popen([LOADER, "--store", site.store, command, *arguments], encoding="utf-8",
                          stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            notice = process.stderr.readline()
            assert notice == "another loader holds the store, waiting for it\n"
            wait_until(lambda: waits_for(lock, process.pid), "it waits for the lock")
            assert site.status()["generation"] == 2
            fcntl.flock(lock, fcntl.LOCK_UN)
            assert process.wait(60) == 0
        finally:
            process.kill()
    assert site.status()["generation"] == generation


def waits_for(lock, pid):
    """Whether a process is blocked by a lock on this file."""
    inode = os.fstat(lock.fileno()).st_ino
    with open("/proc/locks", encoding="ascii") as locks:
        return any(re.search(rf"-> FLOCK .* {pid} .*:{inode} ", each) for each in locks)


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

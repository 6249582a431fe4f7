# SPDX-License-Identifier: BSD-3-Clause
"""icpgated under a service manager: what it tells it, signals, and what it does by time."""

import datetime
import json
import os
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from clock import Clock
from gate_daemon import filed, state_of, upsert, wait_until
from operator_tool import icpgate

WATCHDOG_US = 300_000


def spoil_file(path):
    path.write_text("store: [", encoding="utf-8")


def overdue(domain):
    return filed(domain)._replace(status="rectifying", rectify_by="2020-01-01T00:00:00+08:00")


def test_it_tells_how_it_is(make_daemon):
    daemon = make_daemon()
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    wait_until(lambda: any("generation 1, sequence 1; feeds in the spool: 0" in line for line in daemon.told()),
               "status")
    daemon.process.send_signal(signal.SIGHUP)
    wait_until(lambda: daemon.told().count("READY=1") == 2, "ready again")
    told = daemon.messages
    reloading = told.index("RELOADING=1")
    assert told[reloading + 1].startswith("MONOTONIC_USEC=")
    assert told.index("READY=1") < reloading
    daemon.stop()
    assert daemon.told()[-2:] == ["STOPPING=1", "STATUS=Ending"]


def test_ready_means_ready(make_daemon):
    """The socket is there, and feeds that were there have been seen."""
    daemon = make_daemon()
    daemon.spool.mkdir()
    daemon.delta(upsert("a.cn"), 5)
    daemon.start()
    assert daemon.status()["spool"]["depth"] == 1


def test_watchdog(make_daemon):
    daemon = make_daemon()
    daemon.environment = {"WATCHDOG_USEC": str(WATCHDOG_US)}
    daemon.start()
    wait_until(lambda: daemon.told().count("WATCHDOG=1") >= 5, "signs of life")
    # None comes from a loop that stands still.
    os.kill(daemon.process.pid, signal.SIGSTOP)
    with open(f"/proc/{daemon.process.pid}/stat", encoding="ascii") as file:
        wait_until(lambda: (file.seek(0), file.read().split()[2])[1] == "T", "it stands")
    count = daemon.told().count("WATCHDOG=1")
    time.sleep(2 * WATCHDOG_US / 1e6)
    assert daemon.told().count("WATCHDOG=1") == count
    os.kill(daemon.process.pid, signal.SIGCONT)
    wait_until(lambda: daemon.told().count("WATCHDOG=1") > count, "signs of life again")


def test_children_do_not_notify(daemon):
    """The loader knows nothing of the manager's socket."""
    count = len(daemon.told())
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))
    assert all(line.startswith("STATUS=") for line in daemon.told()[count:])


def test_a_bad_configuration_is_told(daemon):
    daemon.configure(keep=0)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the configuration stays as it was")
    daemon.says("daemon.keep")
    wait_until(lambda: daemon.told().count("READY=1") == 2, "ready again")


@pytest.mark.parametrize("spoil", [spoil_file, Path.unlink], ids=["broken", "gone"])
def test_it_goes_on_with_the_configuration_that_it_holds(make_daemon, spoil):
    """Whatever the file is by now, for the children as well: by rectify_overdue: block some of these rows have no
    permission."""
    daemon = make_daemon()
    daemon.configure(rectify_overdue="block")
    daemon.start()
    spoil(daemon.conf)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the configuration stays as it was")
    state = {row.key: row for row in (filed("a.cn"), overdue("o.cn"))}
    assert "1 permissions gained, 0 lost" in daemon.ends_in("done", daemon.full(state, 1))
    delta = daemon.delta([("upsert", overdue("p.cn"))], 2)
    assert "1 pairs differ, 0 permissions gained, 0 lost" in daemon.ends_in("done", delta)
    assert "0 permissions gained, 0 lost" in daemon.ends_in("done", daemon.full(state_of("a.cn"), 3))
    answer = json.loads(daemon.ask(b'{"command": "rollback"}\n'))
    assert answer["ok"] and "0 permissions gained, 0 lost" in answer["report"], answer
    done = icpgate("--socket", daemon.settings["control"], "ctl", "resume")
    assert done.returncode == 0, done.stderr
    daemon.ends_in("done", daemon.full(state_of("b.cn"), 4))


def test_reload_changes_what_is_kept(daemon):
    for sequence in (2, 3, 4):
        daemon.ends_in("done", daemon.full(state_of(f"n{sequence}.cn"), sequence))
    assert len(daemon.store.kept()) == 3
    daemon.configure(keep=1)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the configuration was read again")
    daemon.ends_in("done", daemon.full(state_of("n5.cn"), 5))
    daemon.store.known_status = ()
    assert len(daemon.store.kept()) == 1


def test_what_needs_a_new_start(daemon):
    other = str(daemon.directory / "other")
    daemon.configure(spool=other)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("daemon.spool: changes only when the daemon is started again")
    daemon.ends_in("done", daemon.delta(upsert("b.cn"), 2))
    assert not os.path.exists(other)


def test_stale(make_daemon):
    daemon = make_daemon(stale_after="60s")
    daemon.start()
    daemon.says("no current generation that can be read")
    path = daemon.feeds.full(state_of("a.cn"), 1, "old.csv")
    manifest = path.with_name("old.csv.json")
    text = manifest.read_text(encoding="utf-8")
    manifest.write_text(re.sub('"as_of": "[0-9]{4}', '"as_of": "2020', text), encoding="utf-8")
    daemon.drop(path)
    daemon.ends_in("done", "old.csv")
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("older than stale_after")
    assert daemon.status()["store"]["stale"] is True
    assert "TOO OLD" in daemon.ctl("status")
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 2))
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the data is no longer too old")
    assert daemon.status()["store"]["stale"] is False


def test_old_days_are_removed(make_daemon):
    daemon = make_daemon(keep_audit="30d")
    audit = daemon.directory / "store" / "audit"
    audit.mkdir(parents=True)
    today = datetime.datetime.now(datetime.timezone(datetime.timedelta(hours=8))).date()
    for age in (1, 29, 33, 400):
        day = today - datetime.timedelta(days=age)
        (audit / f"{day.isoformat()}.csv.zst").write_bytes(b"")
    daemon.start()
    daemon.says("old days removed from the audit log: 2")
    assert len(list(audit.iterdir())) == 2


def test_old_feeds_are_removed(make_daemon, tmp_path):
    """What lies in done/ and rejected/ for longer than keep_spool, however old the feeds themselves are."""
    clock = Clock(tmp_path)
    daemon = make_daemon(keep_spool="14d")
    daemon.environment = {"LD_PRELOAD": clock.preload, "ICP_CLOCK": str(clock.path)}
    daemon.start()
    path = daemon.feeds.full(state_of("a.cn"), 2, "first.csv")
    os.utime(path, (0, 0))
    daemon.ends_in("done", daemon.drop(path))
    daemon.ends_in("rejected", daemon.full(state_of("a.cn"), 1, "old.csv"))
    waits = daemon.delta(upsert("b.cn"), 4, "waits.csv")
    day = 24 * 3600
    clock.write(13 * day)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("the configuration was read again")
    assert daemon.is_in("done", "first.csv") and daemon.is_in("rejected", "old.csv")
    clock.write(15 * day)
    daemon.process.send_signal(signal.SIGHUP)
    daemon.says("old files removed from done and rejected: 6")
    assert not list((daemon.spool / "done").iterdir()) + list((daemon.spool / "rejected").iterdir())
    assert (daemon.spool / waits).exists() and daemon.sequence() == 2


@pytest.mark.parametrize("look, slower, count, most", [(50, 1, 12, 4), (0, 10, 300, 256)])
def test_turns_end(make_daemon, tmp_path, look, slower, count, most):
    """The loop has its turn after 200 ms, and after 256 steps, however much there is to do. Each turn is
    told to the service manager; look, slower: see slow_clock.c."""
    library = tmp_path / "slow_clock.so"
    source = Path(__file__).with_name("slow_clock.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    daemon = make_daemon()
    daemon.environment = {
        "LD_PRELOAD": f"{os.environ.get('ICP_PRELOAD', '')} {library}".strip(),
        "ICP_CLOCK_LOOK": str(look), "ICP_CLOCK_SLOWER": str(slower)}
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 9, "first.csv"))
    daemon.ctl("pause")
    for number in range(count):
        daemon.delta(upsert("b.cn"), 9, f"{number}.csv")
    wait_until(lambda: daemon.told() and daemon.status()["spool"]["depth"] == count, daemon.log)
    daemon.ctl("resume")
    wait_until(lambda: daemon.told() and daemon.is_empty(), daemon.log)
    wait_until(lambda: depths(daemon)[-1:] == [0], daemon.log)
    # The last that was seen before has all of them.
    seen = depths(daemon)
    seen = seen[len(seen) - 1 - seen[::-1].index(count):]
    steps = [before - after for before, after in zip(seen, seen[1:])]
    # On a very slow disk the 200 ms may come before 256 steps do.
    assert sum(steps) == count and max(steps) <= most, steps


def depths(daemon):
    """How many feeds lay in the spool at the end of each turn."""
    return [int(re.search(r"feeds in the spool: (\d+)", line)[1])
            for line in daemon.told() if line.startswith("STATUS=") and "feeds in" in line]


def test_the_end_kills_what_does_not_end(daemon):
    """A second signal leaves a load no time; the feed is loaded by the next daemon."""
    with daemon.loads_held():
        daemon.full(state_of("a.cn", "b.cn"), 2, "f.csv")
        wait_until(lambda: daemon.status()["loading"], daemon.log)
        daemon.process.send_signal(signal.SIGTERM)
        daemon.says("ending, once the load")
        daemon.stop()
    assert daemon.names() == ["f.csv"]
    daemon.start()
    daemon.ends_in("done", "f.csv")
    assert daemon.sequence() == 2


def test_the_journal_has_levels(make_daemon):
    daemon = make_daemon()
    daemon.environment = {"JOURNAL_STREAM": "1:2"}
    daemon.start()
    daemon.says("<5>version")
    daemon.says("<4>")

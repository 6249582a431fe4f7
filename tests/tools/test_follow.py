# SPDX-License-Identifier: BSD-3-Clause
"""icpgate-load follow: changes of a PostgreSQL database, applied as they are committed."""

import fcntl
import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from loads import Loads, by_file
from operator_tool import DEADLINE, LOADER, NUMBER, run, wait_until

PERMITTING = {"filed", "changing"}
# In far less than the heartbeat (HEARTBEAT_MS of loader/follow.c, 60 s), by which it also looks.
WOKEN_WITHIN = 10


class Follower(Loads):
    """A store that was loaded full, and the process that follows."""

    def __init__(self, directory, filings):
        super().__init__(directory)
        self.filings = filings
        self.process = None
        self.log = directory / "follow.log"
        done = self.full(filings)
        assert done.returncode == 0, done.stderr

    def start(self, *arguments):
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [LOADER, "--store", self.store, "follow", "--from", self.filings.conninfo(),
                 *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def stop(self, how=signal.SIGTERM):
        if self.process is not None:
            self.process.send_signal(how)
            status = self.process.wait(DEADLINE)
            self.process = None
            return status
        return None

    def once(self):
        return self.load("follow", "--once", "--from", self.filings.conninfo())

    def caught_up(self):
        assert self.process is None or self.process.poll() is None, self.messages()
        return self.status()["sequence"] == self.filings.sequence()

    def catches_up(self):
        """Waits until it did; then store and view are the same, and so are the sequences."""
        wait_until(self.caught_up, "the store has the database's sequence")
        self.agrees()

    def agrees(self):
        assert self.dump() == by_file(self.filings, self)
        assert self.status()["sequence"] == self.filings.sequence()

    def messages(self):
        return self.log.read_text(encoding="utf-8")

    def says(self, text, count=1):
        wait_until(lambda: self.messages().count(text) >= count, f"{text!r} in {self.log}")

    def logged_once(self):
        """The audit log has one line for each change of a permission that was published, and no
        other: nothing was applied or logged twice. For a store whose full feed was empty, domains
        in ASCII, and no statuses that end by time."""
        known, lines = {}, []
        for sequence, _, *pair, status in self.filings.changes():
            before, after = known.get(tuple(pair), "none"), status or "none"
            known[tuple(pair)] = after
            if (before in PERMITTING) != (after in PERMITTING):
                lines.append((*pair, before, after, "1", str(sequence),
                              f"postgresql:icpgate_changes/{sequence}"))
        found = self.audit()
        assert [line[5] for line in found] == [line[5] for line in lines]
        assert sorted(found) == sorted(lines)
        assert lines

    def is_idle(self):
        """It listens, has found nothing to do, and waits."""
        return self.filings.one(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'icpgate-load' AND state = 'idle'"
            " AND query LIKE '%icpgate_changes WHERE sequence >%'")

    def sessions(self):
        """Process numbers of the server's backends that serve followers, once they looked."""
        return [pid for pid, in self.filings.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name = 'icpgate-load' AND query LIKE '%icpgate_changes%'")]


@pytest.fixture(name="follower")
def make_follower(tmp_path, filings):
    made = Follower(tmp_path, filings)
    yield made
    made.stop(signal.SIGKILL)


def toggle(filings, site):
    filings.execute("UPDATE filing.access SET cancelled_at = CASE WHEN cancelled_at IS NULL THEN"
                    " now() END WHERE site_id = %s", site)


def test_commits_are_applied_as_they_come(filings, follower):
    follower.start()
    site = filings.filed("a.cn", "例子.中国")
    follower.catches_up()
    application = filings.apply(site, "acloud", "transfer")
    filings.decide(application, "preapproved", preapproved_at="2026-11-01 00:00+08")
    follower.catches_up()
    assert ["a.cn", "acloud", "transfer-preapproved", NUMBER, "2026-11-01T00:00:00+08:00",
            "2026-12-16T00:00:00+08:00", "", ""] in follower.dump()
    filings.execute("DELETE FROM filing.site_domain WHERE domain = 'a.cn'")
    follower.catches_up()
    filings.decide(filings.apply(site, "qcloud", "deregister-entity"), "approved")
    follower.catches_up()
    assert {row[2] for row in follower.dump()} == {"deregistered"}
    assert follower.stop() == 0
    log = follower.audit()
    assert ("a.cn", "qcloud", "none", "filed", "1", "1", "postgresql:icpgate_changes/1") in log
    assert all(line[6] == f"postgresql:icpgate_changes/{line[5]}" for line in log)


def test_it_is_woken_by_a_commit(filings, follower):
    """Not by its heartbeat."""
    site = filings.filed("a.cn")
    assert follower.once().returncode == 0
    follower.start()
    for _ in range(3):
        wait_until(lambda: follower.is_idle() and follower.caught_up(), "it waits")
        toggle(filings, site)
        wait_until(follower.caught_up, "it is woken", WOKEN_WITHIN)
    assert follower.stop() == 0


def test_once_catches_up_and_ends(filings, follower):
    sites = [filings.filed(f"d{i}.cn", ordinal=i) for i in range(1, 4)]
    toggle(filings, sites[0])
    done = follower.once()
    assert (done.returncode, done.stderr) == (0, "")
    follower.agrees()
    assert follower.once().returncode == 0
    follower.agrees()


def test_more_commits_than_are_looked_up_at_a_time(filings, follower):
    site = filings.filed("a.cn")
    with filings.session, filings.session.cursor() as cursor:
        cursor.execute("CREATE PROCEDURE many(site bigint) LANGUAGE plpgsql AS $$ BEGIN"
                       " FOR i IN 1..300 LOOP UPDATE filing.access SET linked_at ="
                       " '2023-01-01'::timestamptz + i * interval '1 hour' WHERE site_id = site;"
                       " COMMIT; END LOOP; END $$")
    session = filings.connect()
    session.autocommit = True
    session.cursor().execute("CALL many(%s)", [site])
    assert filings.sequence() == 301
    assert follower.once().returncode == 0
    follower.agrees()


def test_a_name_that_is_written_otherwise_is_kept(filings, follower):
    """One transaction inserts the A-label and then deletes the U-label: the same name."""
    site = filings.filed("例子.中国")
    follower.once()
    filings.execute("INSERT INTO filing.site_domain VALUES ('xn--fsqu00a.xn--fiqs8s', %s);"
                    "DELETE FROM filing.site_domain WHERE domain = '例子.中国'", site)
    follower.once()
    assert [row[0] for row in follower.dump()] == ["xn--fsqu00a.xn--fiqs8s"]
    follower.agrees()


def test_sigterm_ends_it(follower):
    follower.start()
    wait_until(follower.sessions, "it looks for changes")
    assert follower.stop() == 0
    assert follower.messages() == ""


def test_a_restart_of_the_server(server, filings, follower):
    site = filings.filed("a.cn")
    follower.start()
    follower.catches_up()
    try:
        server.stop()
        follower.says("postgresql")
    finally:
        server.start()
    filings.reconnect()
    toggle(filings, site)
    follower.says("postgresql: connected again")
    follower.catches_up()
    server.stop(signal.SIGQUIT)
    server.start()
    filings.reconnect()
    follower.says("postgresql: connected again", 2)
    toggle(filings, site)
    follower.catches_up()
    assert follower.stop() == 0


def test_sigterm_ends_it_while_the_server_is_away(server, filings, follower):
    follower.start()
    wait_until(follower.sessions, "it looks for changes")
    try:
        server.stop()
        follower.says("postgresql")
        assert follower.stop() == 0
    finally:
        server.start()


def test_sessions_that_are_terminated(filings, follower):
    """Again and again, while changes are committed."""
    sites = [filings.filed(f"d{i}.cn", ordinal=i) for i in range(1, 6)]
    follower.start()
    for _ in range(10):
        before = follower.status()["sequence"]
        for site in sites:
            toggle(filings, site)
        wait_until(lambda after=before: follower.status()["sequence"] > after, "it applies")
        for pid in wait_until(follower.sessions, "it looks for changes"):
            filings.execute("SELECT pg_terminate_backend(%s)", pid)
    follower.catches_up()
    assert "postgresql: connected again\n" in follower.messages()
    assert follower.stop() == 0
    follower.logged_once()


def test_kills(filings, follower):
    """Killed while it applies, at whatever point, it goes on where the store is."""
    draw = random.Random(4)
    sites = [filings.filed(f"d{i}.cn", ordinal=i) for i in range(1, 6)]
    filings.execute("INSERT INTO filing.access SELECT site_id, 'acloud', now() FROM filing.site")
    finished = threading.Event()
    failures = []

    def change():
        choose = random.Random(5)
        try:
            connection = filings.connect()
            while not finished.is_set():
                with connection, connection.cursor() as cursor:
                    cursor.execute("UPDATE filing.access SET cancelled_at = CASE WHEN cancelled_at"
                                   " IS NULL THEN now() END WHERE site_id = %s",
                                   [choose.choice(sites)])
                finished.wait(0.01)
        except Exception as error:  # raised by the test
            failures.append(error)

    writer = threading.Thread(target=change)
    writer.start()
    try:
        for _ in range(15):
            enough = follower.status()["sequence"] + draw.randrange(1, 4)
            follower.start()
            wait_until(lambda least=enough: failures or follower.status()["sequence"] >= least,
                       "it applies")
            assert follower.stop(signal.SIGKILL) == -signal.SIGKILL
    finally:
        finished.set()
        writer.join()
    if failures:
        raise failures[0]
    done = follower.once()
    assert done.returncode == 0, done.stderr
    follower.agrees()
    follower.logged_once()


def test_changes_that_were_pruned(filings, follower):
    filings.filed("a.cn")
    toggle(filings, 1)
    filings.execute("SELECT filing.prune(interval '0')")
    done = follower.once()
    assert done.returncode == 1
    assert done.stderr == ("postgresql:icpgate_changes: the changes of sequence 1 are there no more:"
                           " load the database full\n")
    assert follower.full(filings).returncode == 0
    assert follower.once().returncode == 0
    follower.agrees()


def test_some_changes_that_were_pruned(filings, follower):
    filings.filed("a.cn")
    toggle(filings, 1)
    filings.execute("DELETE FROM icpgate_changes WHERE sequence = 1")
    assert "the changes of sequence 1 are there no more" in follower.once().stderr
    assert follower.status()["sequence"] == 0


def test_a_database_that_is_behind(filings, follower):
    filings.filed("a.cn")
    follower.once()
    filings.execute("UPDATE icpgate_sequence SET sequence = 0")
    done = follower.once()
    assert done.returncode == 1
    assert "0 is behind 1 of the store" in done.stderr


def test_a_bad_row_stops_it_until_the_database_is_loaded(filings, follower):
    filings.filed("a.cn", ordinal=1)
    filings.filed("b.cn", "com.cn", ordinal=2)
    follower.start()
    assert follower.process.wait(DEADLINE) == 3
    assert ("postgresql:icpgate_changes/2:3: domain is a public suffix: com.cn\n"
            in follower.messages())
    assert [row[0] for row in follower.dump()] == ["a.cn"]
    filings.execute("DELETE FROM filing.site_domain WHERE domain = 'com.cn'")
    assert follower.once().returncode == 3
    assert follower.full(filings).returncode == 0
    assert follower.once().returncode == 0
    follower.agrees()


def test_a_full_load_beside_it(filings, follower):
    sites = [filings.filed(f"d{i}.cn", ordinal=i) for i in range(1, 6)]
    before = follower.status()["generation"]
    follower.start()
    for site in sites:
        toggle(filings, site)
        done = follower.full(filings)
        assert done.returncode == 0, done.stderr
        toggle(filings, site)
    follower.catches_up()
    assert follower.stop() == 0
    assert follower.status()["generation"] == before + 5


def test_another_loader_holds_the_store(filings, follower):
    filings.filed("a.cn")
    with open(follower.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = follower.load("follow", "--once", "--no-wait", "--from", filings.conninfo())
        assert done.returncode == 4
        assert "another loader" in done.stderr
        follower.start("--once")
        follower.says("another loader holds the store, waiting for it\n")
        assert follower.process.poll() is None
        assert follower.status()["sequence"] == 0
    assert follower.process.wait(DEADLINE) == 0
    follower.agrees()


def test_sigterm_ends_it_while_another_loader_holds_the_store(filings, follower):
    filings.filed("a.cn")
    with open(follower.store / "lock", "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        follower.start()
        follower.says("another loader holds the store, waiting for it\n")
        assert follower.stop() == 0
    assert follower.messages().count("\n") == 1
    assert follower.status()["sequence"] == 0
    assert follower.once().returncode == 0
    follower.agrees()


def test_sigterm_as_it_locks_the_store(tmp_path, filings, follower):
    """No delta is applied any more."""
    library = tmp_path / "stop_shim.so"
    source = Path(__file__).with_name("stop_shim.c")
    subprocess.run(["cc", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    filings.filed("a.cn")
    preload = f"{os.environ.get('ICP_PRELOAD', '')} {library}".strip()
    done = run(LOADER, "--store", follower.store, "follow", "--from", filings.conninfo(),
               env={"LD_PRELOAD": preload})
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert follower.status()["sequence"] == 0


def test_without_a_store_or_a_server(tmp_path, filings):
    loads = Loads(tmp_path)
    done = loads.load("follow", "--once", "--from", filings.conninfo())
    assert done.returncode == 4
    done = loads.load("follow", "--from", "host=/nowhere")
    assert done.returncode == 4
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [
    [], ["--from", "dbname=x", "--query", "SELECT 1"], ["--from", "dbname=x", "feed.csv"],
])
def test_options_that_do_not_go_together(tmp_path, arguments):
    assert Loads(tmp_path).load("follow", *arguments).returncode == 2

# SPDX-License-Identifier: BSD-3-Clause
"""icpgated follows a PostgreSQL database by a child: through breaks of the server, kills of the child
and of the daemon, pauses and rollbacks."""

import os
import shutil
import signal

import pytest

from gate_daemon import ICPGATED, state_of, upsert, wait_until
from operator_tool import LOADER


@pytest.fixture(name="following")
def make_following(make_daemon, filings):
    made = make_daemon(follow=filings.conninfo())
    done = made.store.load("full", "--from", filings.conninfo())
    assert done.returncode == 0, done.stderr
    made.start()
    return made


def catches_up(daemon, filings):
    wait_until(lambda: daemon.sequence() == filings.sequence(), daemon.log)


def has_ended(pid):
    """Who adopts it may leave it a zombie."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def test_it_follows(following, filings):
    filings.filed("a.cn")
    catches_up(following, filings)
    follow = following.status()["follow"]
    assert follow == {"state": "running", "starts": 1}
    following.says("follow: started")


def test_the_server_restarts(following, filings, server):
    filings.filed("a.cn")
    catches_up(following, filings)
    for how in (signal.SIGINT, signal.SIGQUIT):
        server.stop(how)
        server.start()
        filings.reconnect()
        filings.filed(f"after{int(how)}.cn", ordinal=int(how))
        catches_up(following, filings)
    assert len(following.store.dump()) == 3


def test_the_server_is_away_at_the_start(make_daemon, filings, server):
    daemon = make_daemon(follow=filings.conninfo())
    done = daemon.store.load("full", "--from", filings.conninfo())
    assert done.returncode == 0, done.stderr
    filings.filed("a.cn")
    server.stop()
    daemon.start()
    daemon.says("follow: is started again in 1 s")
    wait_until(lambda: daemon.status()["follow"]["state"] == "waiting", daemon.log)
    server.start()
    filings.reconnect()
    catches_up(daemon, filings)


def test_the_child_is_killed(following, filings):
    for ordinal in (1, 2):
        os.kill(following.loader("follow"), signal.SIGKILL)
        following.says("follow: ended by signal 9", ordinal)
        filings.filed(f"d{ordinal}.cn", ordinal=ordinal)
        catches_up(following, filings)
    assert following.status()["follow"]["starts"] == 3


def test_the_daemon_is_killed(following, filings):
    """Its child ends with it, so there are never two."""
    child = following.loader("follow")
    following.kill()
    wait_until(lambda: has_ended(child), "the child ends")
    filings.filed("a.cn")
    following.start()
    catches_up(following, filings)


def test_pause_and_rollback(following, filings):
    """A rollback is not made good by the child."""
    filings.filed("a.cn")
    catches_up(following, filings)
    done = following.store.load("full", "--from", filings.conninfo())
    assert done.returncode == 0, done.stderr
    filings.filed("b.cn", ordinal=2)
    catches_up(following, filings)
    assert "is current again" in following.ctl("rollback")
    sequence = following.sequence()
    assert sequence < filings.sequence()
    assert following.status()["follow"]["state"] == "off"
    filings.filed("c.cn", ordinal=3)
    following.process.send_signal(signal.SIGHUP)
    following.says("the configuration was read again")
    assert following.sequence() == sequence
    following.ctl("resume")
    catches_up(following, filings)
    assert len(following.store.dump()) == 3


def test_another_database(following, filings, server):
    other = server.database()
    other.provider("qcloud", "acloud")
    try:
        filings.filed("a.cn")
        catches_up(following, filings)
        # Without a store of its own it has nothing to say here; but it is the one that is asked.
        following.configure(follow=other.conninfo())
        following.process.send_signal(signal.SIGHUP)
        following.says("was the database restored?")
        following.configure(follow=None)
        following.process.send_signal(signal.SIGHUP)
        wait_until(lambda: following.status()["follow"]["state"] == "off", following.log)
    finally:
        other.close()


def test_a_broken_configuration(following, filings):
    """The child that is started again needs none."""
    following.conf.write_text("store: [", encoding="utf-8")
    following.process.send_signal(signal.SIGHUP)
    following.says("the configuration stays as it was")
    os.kill(following.loader("follow"), signal.SIGKILL)
    filings.filed("a.cn")
    catches_up(following, filings)


def test_another_configuration(following, filings):
    """By rectify_overdue: block what is overdue has no permission to gain, with the child as well."""
    site = filings.filed("a.cn")
    catches_up(following, filings)
    following.says("1 permissions gained, 0 lost")
    following.configure(rectify_overdue="block")
    following.process.send_signal(signal.SIGHUP)
    following.says("follow: started", 2)
    filings.execute("INSERT INTO filing.inspection (site_id, provider, rectify_by)"
                    " VALUES (%s, 'qcloud', '2020-01-01')", site)
    following.says("0 permissions gained, 1 lost")


def test_feeds_beside_it(following, filings):
    """A full feed of the night goes through the spool, while the database is followed."""
    filings.filed("a.cn")
    catches_up(following, filings)
    state = following.store.dump()
    following.ends_in("done", following.full(state, filings.sequence()))
    filings.filed("b.cn", ordinal=2)
    catches_up(following, filings)
    applied = following.delta(upsert("x.cn"), 1, "old.csv")
    following.ends_in("done", applied)


def test_a_delta_waits_for_what_is_followed(following, filings):
    """The store moves without the spool: what waits there is looked at then, not with the next minute."""
    filings.filed("a.cn")
    catches_up(following, filings)
    applied = following.delta(upsert("b.cn"), filings.sequence() + 1, "applied.csv")
    after = following.delta(upsert("c.cn"), filings.sequence() + 3, "after.csv")
    following.ends_in("done", applied)
    following.says(f"delta {filings.sequence() + 3} waits for {filings.sequence() + 2}")
    filings.filed("b.cn", ordinal=2)
    filings.filed("x.cn", ordinal=3)
    wait_until(lambda: following.is_in("done", after), following.log, 30)


# In front of the loader: where it would follow, it says a line each few milliseconds, as if each were a commit.
CHATTY = """#!/bin/sh
case " $* " in
*" follow "*)
    exec /usr/bin/python3 -uc 'import time
while True:
    print("applied")
    time.sleep(0.004)' ;;
esac
exec LOADER "$@"
"""


def test_lines_do_not_put_a_look_off(make_daemon, tmp_path):
    """Many commits a second, each told in a line, after each of which the spool may have to be looked at: it is,
    and a delta that waits there does not wait for them to end."""
    shutil.copy(ICPGATED, tmp_path)
    loader = tmp_path / LOADER.name
    loader.write_text(CHATTY.replace("LOADER", str(LOADER)), encoding="ascii")
    loader.chmod(0o755)
    daemon = make_daemon(follow="service=none")
    daemon.program = tmp_path / ICPGATED.name
    daemon.start()
    daemon.says("follow: applied", 10)
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    third = daemon.delta(upsert("c.cn"), 3)
    daemon.says("delta 3 waits for 2")
    daemon.says("follow: applied", daemon.log().count("follow: applied") + 10)
    second = daemon.delta(upsert("b.cn"), 2)
    # Once a minute it is looked at whatever else is.
    for name in (second, third):
        wait_until(lambda n=name: daemon.is_in("done", n), daemon.log, 20)
    assert daemon.status()["follow"] == {"state": "running", "starts": 1}

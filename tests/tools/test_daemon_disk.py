# SPDX-License-Identifier: BSD-3-Clause
"""Spool and store of icpgated stand on a file system that fills up: nothing is rejected for it, nothing is
lost, and it goes on by itself when there is room. Needs what test_full_disk.py needs."""

import os

import pytest

from feeds import Store
from gate_daemon import Daemon, filed, state_of, upsert, wait_until
from test_full_disk import Disk, DiskStore

LONG = bool(os.environ.get("ICP_LONG"))
PAGES_LEFT = range(0, 120, 2) if LONG else (0, 1, 3, 30)


@pytest.fixture(name="full_daemon")
def make_full_daemon(commands, tmp_path):
    disk = Disk(tmp_path)
    if not disk.is_ready:
        pytest.skip(f"no right to mount a tmpfs in a namespace of its own: {disk.close()}")
    made = Daemon(commands, disk.mount_point, disk.prefix, disk.root)
    made.disk = disk
    made.store = DiskStore(commands, disk, "store")
    yield made
    try:
        made.close()
    finally:
        disk.close()


def fill(daemon):
    """When it has done what it was at: a file that goes makes room."""
    daemon.status()
    daemon.disk.leave(0)


def test_a_full_disk(full_daemon):
    daemon = full_daemon
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1, "first.csv"))
    sequence = 1
    for pages in PAGES_LEFT:
        sequence += 1
        names = [f"{sequence}.csv", f"{sequence}-full.csv"]
        delta = daemon.feeds.delta(upsert(f"d{sequence}.cn"), sequence, names[0])
        state = {**daemon.store.dump(), **state_of(f"d{sequence}.cn", f"f{sequence}.cn")}
        state |= {row.key: row for row in (filed(f"x{n}.cn") for n in range(200))}
        full = daemon.feeds.full(state, sequence, names[1])
        daemon.ctl("pause")
        for path in (delta, full):
            daemon.drop(path)
        daemon.disk.leave(pages)
        daemon.process.send_signal(1)
        daemon.ctl("resume")
        if pages == 0:
            daemon.says("No space left on device")
        daemon.disk.make_room()
        for name in names:
            wait_until(lambda n=name: (daemon.spool / "done" / n).exists(),
                       lambda: f"{pages} pages left: {daemon.log()[-3000:]}")
        assert daemon.names("rejected") == []
        wait_until(daemon.is_empty, daemon.log)
    assert daemon.sequence() == sequence
    assert daemon.store.verify().returncode == 0


def test_pauses_on_a_full_disk(full_daemon):
    """They hold at once, and beyond the end of the daemon when there is room again."""
    daemon = full_daemon
    daemon.start()
    fill(daemon)
    assert "ends with the daemon: make room in the spool" in daemon.ctl("pause")
    assert daemon.status()["paused"] == "operator"
    assert not (daemon.spool / ".paused").exists()
    daemon.ctl("resume")
    assert daemon.status()["paused"] is None
    daemon.ctl("pause")
    daemon.disk.make_room()
    # It is tried once a minute, and when the configuration is read.
    daemon.process.send_signal(1)
    daemon.says("the pause is written down now")
    assert daemon.ctl("pause") == "paused\n"
    daemon.kill()
    daemon.start()
    assert daemon.status()["paused"] == "operator"


def test_back_on_a_full_disk(full_daemon):
    """A rollback needs room for its lines in the audit log, and none for the pause. What lies in done/
    may go."""
    daemon = full_daemon
    daemon.start()
    state = state_of("a.cn")
    filler = {row.key: row for row in (filed(f"x{n}.cn") for n in range(800))}
    daemon.ends_in("done", daemon.full({**state, **filler}, 1, "first.csv"))
    daemon.ends_in("done", daemon.full({**state, **filler, **state_of("wrong.cn")}, 2, "wrong.csv"))
    fill(daemon)
    text = daemon.ctl("rollback", expect=4)
    assert "No space left on device" in text and "ends with the daemon" in text
    assert daemon.status()["paused"] == "rollback"
    (daemon.spool / "done" / "first.csv").unlink()
    assert daemon.disk.free() >= 3
    assert "generation 1 is current again" in daemon.ctl("rollback")
    assert ("wrong.cn", "qcloud") not in daemon.store.dump()


@pytest.mark.parametrize("paused", [False, True])
def test_back_where_the_spool_is_full(full_daemon, paused):
    daemon = full_daemon
    store = daemon.outside / "store"
    daemon.store = Store(daemon.commands, store)
    daemon.start("--store", store)
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1, "first.csv"))
    daemon.ends_in("done", daemon.full(state_of("wrong.cn"), 2, "wrong.csv"))
    if paused:
        # By an operator; that is written down.
        daemon.ctl("pause")
    fill(daemon)
    text = daemon.ctl("rollback")
    assert "generation 1 is current again" in text and ("ends with the daemon" in text) is not paused
    assert daemon.status()["paused"] == "rollback"
    assert set(daemon.store.dump()) == {("a.cn", "qcloud")}
    daemon.disk.make_room()
    # A good end writes it down, too.
    daemon.stop()
    daemon.start("--store", store)
    assert daemon.status()["paused"] == "rollback"

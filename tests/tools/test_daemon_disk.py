# SPDX-License-Identifier: BSD-3-Clause
"""Spool and store of icpgated stand on a file system that fills up: nothing is rejected for it, nothing is
lost, and it goes on by itself when there is room. Needs what test_full_disk.py needs."""

import os

import pytest

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
        # Pause itself needs room, to be lifted none.
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

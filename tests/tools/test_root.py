# SPDX-License-Identifier: BSD-3-Clause
"""Root, who loads by hand what the daemon of another user goes on with: what root makes in the store and
in the spool is that user's."""

import os
import pwd

import pytest

from gate_daemon import DEADLINE, filed, state_of, upsert

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, who can give files away")

# The group of the resolvers: neither the daemon's nor root's.
RESOLVERS = 54321
AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def walk(directory):
    for place, directories, files in os.walk(directory):
        yield from (os.path.join(place, name) for name in [".", *directories, *files])


@pytest.fixture(name="daemon")
def daemon_of_nobody(make_daemon):
    """A daemon with a store and a spool that are another user's, which root runs at first."""
    made = make_daemon()
    nobody = pwd.getpwnam("nobody")
    (made.directory / "store").mkdir()
    made.spool.mkdir()
    made.log_path.touch()
    made.directory.chmod(0o755)
    for path in [*walk(made.outside), made.directory, made.spool]:
        os.chown(path, nobody.pw_uid, nobody.pw_gid)
    os.chown(made.directory / "store", nobody.pw_uid, RESOLVERS)
    return made


def owners(directory):
    """User and group of all that is there."""
    return {path: (os.lstat(path).st_uid, os.lstat(path).st_gid) for path in walk(directory)
            if not os.path.islink(path)}


def check(daemon):
    nobody = pwd.getpwnam("nobody")
    for place, group in (("store", RESOLVERS), ("spool", nobody.pw_gid)):
        found = owners(daemon.directory / place)
        if place == "spool":  # The feeds are whose who delivered them.
            found = {path: owner for path, owner in found.items() if ".csv" not in path
                     or path.endswith(".report")}
        strange = {path: owner for path, owner in found.items() if owner != (nobody.pw_uid, group)}
        assert not strange, strange
    return found


def by_hand(daemon, kind, path):
    done = daemon.store.load(kind, path)
    assert done.returncode == 0, done.stderr


def goes_on(daemon, sequence):
    """The user's own daemon loads what comes next."""
    daemon.prefix = AS_NOBODY
    daemon.start()
    daemon.ends_in("done", daemon.delta(upsert(f"d{sequence}.cn"), sequence))
    daemon.ends_in("done", daemon.full(state_of("b.cn"), sequence, f"full-{sequence}.csv"))
    assert daemon.sequence() == sequence
    daemon.stop()


def test_loads_by_hand(daemon):
    by_hand(daemon, "full", daemon.feeds.full(state_of("a.cn"), 1))
    by_hand(daemon, "delta", daemon.feeds.delta([("upsert", filed("b.cn"))], 2))
    by_hand(daemon, "full", daemon.feeds.full(state_of("b.cn"), 2, "second.csv"))
    assert daemon.store.load("rollback").returncode == 0
    check(daemon)
    locks = list((daemon.directory / "store/generations").glob("*-lock"))
    assert locks and all(lock.stat().st_mode & 0o777 == 0o664 for lock in locks)
    assert list((daemon.directory / "store/audit").glob("*.zst"))
    goes_on(daemon, 3)


def test_a_lock_that_is_roots_is_given_back(daemon):
    """Of a loader that did not give it away."""
    by_hand(daemon, "full", daemon.feeds.full(state_of("a.cn"), 1))
    os.chown(daemon.directory / "store/lock", 0, 0)
    by_hand(daemon, "delta", daemon.feeds.delta([("upsert", filed("b.cn"))], 2))
    check(daemon)


def test_a_lock_file_that_root_makes_again(daemon):
    by_hand(daemon, "full", daemon.feeds.full(state_of("a.cn"), 1))
    lock, = (daemon.directory / "store/generations").glob("*-lock")
    lock.unlink()
    mask = os.umask(0o077)
    try:
        assert daemon.store.verify().returncode == 0
    finally:
        os.umask(mask)
    assert lock.stat().st_mode & 0o777 == 0o664
    check(daemon)
    goes_on(daemon, 2)


def test_a_daemon_of_roots(daemon):
    """It is killed, so that it leaves its socket, and a pause."""
    daemon.start()
    daemon.ends_in("done", daemon.full(state_of("a.cn"), 1))
    daemon.ctl("pause")
    assert os.stat(daemon.outside / "control").st_uid == pwd.getpwnam("nobody").pw_uid
    daemon.kill()
    found = check(daemon)
    assert any(path.endswith(".report") for path in found), found
    daemon.prefix = AS_NOBODY
    daemon.start()
    daemon.ctl("resume")
    daemon.stop()
    goes_on(daemon, 2)


def test_a_spool_that_root_makes(daemon):
    """It is the user's, but does not let the resolvers in."""
    spool = daemon.directory / "store/spool"
    daemon.configure(spool=str(spool))
    daemon.start()
    daemon.stop()
    nobody = pwd.getpwnam("nobody")
    for place in (spool, spool / "done", spool / "rejected"):
        assert (place.stat().st_uid, place.stat().st_gid) == (nobody.pw_uid, 0), place


def test_what_has_another_name_is_not_given_away(daemon):
    """The user may put a link where root is about to write."""
    secret = daemon.outside / "secret"
    secret.write_text("root's")
    secret.chmod(0o600)
    os.link(secret, daemon.directory / "store/lock")
    by_hand(daemon, "full", daemon.feeds.full(state_of("a.cn"), 1))
    assert (secret.stat().st_uid, secret.stat().st_mode & 0o777) == (0, 0o600)


def test_a_link_in_place_of_the_lock_is_refused(daemon):
    secret = daemon.outside / "secret"
    (daemon.directory / "store/lock").symlink_to(secret)
    assert daemon.store.load("full", daemon.feeds.full(state_of("a.cn"), 1)).returncode == 4
    assert not secret.exists()


@pytest.mark.parametrize("name", ["generations", "audit", "spool/done", "spool/rejected"])
def test_a_link_in_place_of_a_directory_is_refused(daemon, name):
    """Root makes nothing in a directory that the user leads it to, and does not give it away."""
    secret = daemon.outside / "secret"
    secret.mkdir(mode=0o700)
    (daemon.directory / "store" / name).parent.mkdir(exist_ok=True)
    (daemon.directory / "store" / name).symlink_to(secret)
    if name.startswith("spool"):
        daemon.configure(spool=str(daemon.directory / "store/spool"))
        daemon.spawn()
        assert daemon.process.wait(DEADLINE) == 4
    else:
        assert daemon.store.load("full", daemon.feeds.full(state_of("a.cn"), 1)).returncode == 4
    assert (secret.stat().st_uid, secret.stat().st_mode & 0o777) == (0, 0o700)
    assert not list(secret.iterdir())


def test_a_file_that_was_renamed_to_the_lock_is_not_given_away(daemon):
    """The user may rename what root left in the store."""
    lock = daemon.directory / "store/lock"
    lock.write_text("root's")
    lock.chmod(0o600)
    by_hand(daemon, "full", daemon.feeds.full(state_of("a.cn"), 1))
    assert (lock.stat().st_uid, lock.stat().st_mode & 0o777) == (0, 0o600)

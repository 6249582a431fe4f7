# SPDX-License-Identifier: BSD-3-Clause
"""The store stands on a file system that fills up, at many points of each command: the loader says so
and leaves the store as it was, and works again when there is room.

Needs the right to mount a tmpfs in a namespace of its own, be it as root of a namespace of users;
without it these tests are skipped.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from crash_scenes import LONG, STEPS, STRIDE, make_scene
from feeds import DONE, FAILED, Store, check_audit, check_files, take_step

PAGE = 4096
# The size of the file system; the store takes some hundred KiB of it.
PAGES = 1024
# How many points at most, in a short run.
POINTS = 20
# Pages for what is made and removed again.
MORE = 40


class Disk:
    """A small file system, in the mount namespace of a process that only holds it."""

    def __init__(self, directory):
        self.mount_point = directory / "disk"
        self.mount_point.mkdir()
        # It ends with this process, however that ends.
        wait = "exec setpriv --pdeathsig KILL sleep infinity"
        script = f'mount -t tmpfs -o size={PAGES * PAGE} none "$0" && echo ready && {wait}'
        # Who is not root becomes it in a namespace of users, where that is permitted.
        is_root = os.geteuid() == 0
        make_user = [] if is_root else ["--user", "--map-root-user"]
        use_user = [] if is_root else ["--user", "--preserve-credentials"]
        self.holder = subprocess.Popen(
            ["unshare", *make_user, "--mount", "sh", "-c", script, self.mount_point],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        self.is_ready = self.holder.stdout.readline() == "ready\n"
        # Programs must be in the namespace; this process may look in from here.
        self.prefix = ["nsenter", f"--target={self.holder.pid}", *use_user, "--mount"]
        self.root = Path(f"/proc/{self.holder.pid}/root") / str(self.mount_point)[1:]
        self.filler = self.root / "filler"

    def close(self):
        self.holder.kill()
        why = self.holder.communicate()[1]
        return why.strip()

    def free(self):
        """Pages that are left."""
        found = os.statvfs(self.root)
        return found.f_bavail * found.f_frsize // PAGE

    def leave(self, pages):
        """Fills it up to so many pages."""
        self.filler.unlink(missing_ok=True)
        with open(self.filler, "wb") as file:
            rest = self.free() - pages
            if rest > 0:
                os.posix_fallocate(file.fileno(), 0, rest * PAGE)
        assert self.free() == pages

    def make_room(self):
        self.filler.unlink(missing_ok=True)


class DiskStore(Store):
    """A store on the disk: programs know it by another path than this process does."""

    def __init__(self, commands, disk, name):
        super().__init__(commands, disk.root / name, disk.prefix)
        self.inside = disk.mount_point / name

    def run(self, program, *arguments, environment=None):
        path, self.path = self.path, self.inside
        try:
            return super().run(program, *arguments, environment=environment)
        finally:
            self.path = path


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    disk = Disk(tmp_path_factory.mktemp("disk"))
    if not disk.is_ready:
        pytest.skip(f"no right to mount a tmpfs in a namespace of its own: {disk.close()}")
    yield disk
    disk.close()


def fresh_store(scene, disk):
    disk.make_room()
    store = DiskStore(scene.commands, disk, "store")
    shutil.rmtree(store.path, ignore_errors=True)
    source = scene.directory / "store"
    if source.exists():
        shutil.copytree(source, store.path, symlinks=True)
    return store


def pages_of(store):
    """Pages of each of its files."""
    return {name: -(-(store.path / name).lstat().st_blocks * 512 // PAGE) for name in store.files()}


def need_of(scene, disk):
    """Pages that the command takes, with those that it sets free at last, and some more."""
    store = fresh_store(scene, disk)
    before, files = disk.free(), pages_of(store)
    take_step(store, scene.model, scene.step)
    removed = sum(files[name] for name in files.keys() - pages_of(store).keys())
    return before - disk.free() + removed + MORE


def check_at(scene, disk, pages):
    """Runs the command with so many pages left; returns its exit status."""
    store = fresh_store(scene, disk)
    disk.leave(pages)
    done, after = take_step(store, scene.model, scene.step, may_fail=True)
    if done.returncode == FAILED:
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and "No space left on device" in lines[0], done.stderr
        assert str(store.inside) in lines[0], lines[0]
    disk.make_room()
    _, last = take_step(store, after, scene.step)
    check_files(store)
    check_audit(store, last)
    return done.returncode


@pytest.mark.parametrize("name", STEPS)
def test_disk_full_at_many_points(name, commands, tmp_path, disk):
    scene = make_scene(commands, tmp_path, name)
    need = need_of(scene, disk)
    stride = 1 if LONG else max(1, STRIDE * need // POINTS)
    ends = {DONE: [], FAILED: []}
    for pages in range(0, need, stride):
        try:
            ends[check_at(scene, disk, pages)].append(pages)
        except AssertionError as error:
            raise AssertionError(f"{pages} pages left: {error}") from error
    print(f"{name}: fails with {ends[FAILED]} pages left, works with {ends[DONE]}")
    assert ends[DONE], "it never worked"
    assert ends[FAILED] or name == "rollback", "the disk was never full"

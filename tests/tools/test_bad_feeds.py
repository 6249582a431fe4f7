# SPDX-License-Identifier: BSD-3-Clause
"""Every rule of a feed broken once: what is said, the exit status, and a store left as it was.

The feeds stand in bad_feeds.py.
"""

import os
import shutil

import pytest

from bad_feeds import CASES, GOOD, HEADER, encode, manifest
from operator_tool import LOADER, icpgate, run

REJECTED = 3


def write(directory, feed, octets, content):
    (directory / feed).write_bytes(octets)
    (directory / "f.csv.json").write_bytes(content)


def content_of(store):
    """All that makes the store: its rows, its files but for locks and counters, its links."""
    dumped = icpgate("--store", store, "dump")
    assert dumped.returncode == 0, dumped.stderr
    kept = {}
    for path in sorted(store.rglob("*")):
        if path.is_symlink():
            kept[path] = os.readlink(path)
        elif path.suffix == ".mdb":
            kept[path] = path.read_bytes()
    return dumped.stdout, kept


@pytest.fixture(scope="module", name="loaded")
def make_loaded(tmp_path_factory):
    """A store at sequence 7."""
    directory = tmp_path_factory.mktemp("loaded")
    octets = encode(HEADER["full"] + GOOD["full"] + "b.cn,q,pending,,,,,\n")
    write(directory, "f.csv", octets, manifest("full", octets))
    done = run(LOADER, "--store", directory / "store", "full", directory / "f.csv")
    assert done.returncode == 0, done.stderr
    return directory / "store"


@pytest.fixture(name="store")
def make_store(loaded, tmp_path):
    return shutil.copytree(loaded, tmp_path / "store", symlinks=True)


def assert_refused(store, kind, feed, says):
    before = content_of(store)
    done = run(LOADER, "--store", store, kind, feed)
    assert done.stderr.replace(f"{feed.parent}/", "") == says
    assert (done.returncode, done.stdout) == (REJECTED, "")
    assert content_of(store) == before


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.kind}-{case.name}")
def test_bad_feed(store, tmp_path, case):
    write(tmp_path, case.feed, case.octets, case.manifest or manifest(case.kind, case.octets))
    assert_refused(store, case.kind, tmp_path / case.feed, case.says)


@pytest.mark.parametrize("kind", ["full", "delta"])
def test_files_that_are_not_there(store, tmp_path, kind):
    feed = tmp_path / "f.csv"
    assert_refused(store, kind, feed, "f.csv: No such file or directory\n")
    feed.write_bytes(encode(HEADER[kind] + GOOD[kind]))
    assert_refused(store, kind, feed, "f.csv.json: No such file or directory\n")


@pytest.mark.parametrize("kind", ["full", "delta"])
@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_feed_that_is_not_a_file(store, tmp_path, kind, make):
    make(tmp_path / "f.csv")
    assert_refused(store, kind, tmp_path / "f.csv", "f.csv: not a regular file\n")


@pytest.mark.parametrize("kind", ["full", "delta"])
def test_good_feed_is_taken(store, tmp_path, kind):
    """But for what is wrong with them, the feeds above would have been loaded."""
    octets = encode(HEADER[kind] + GOOD[kind].replace("good", "better"))
    write(tmp_path, "f.csv", octets, manifest(kind, octets))
    done = run(LOADER, "--store", store, kind, tmp_path / "f.csv")
    assert (done.returncode, done.stderr) == (0, "")
    assert "better.example.com" in content_of(store)[0]

# SPDX-License-Identifier: BSD-3-Clause
"""make install puts everything under DESTDIR, and make uninstall takes it away again."""

import re
from pathlib import Path

import pytest

from packages import ROOT, run, text_of

WANTED = [
    "bin/icpgate", "sbin/icpgate-load", "sbin/icpgated", "sbin/icpgate-blockpage",
    "lib/icpgate/icpgate.so",
    "lib/systemd/system/icpgated.service", "lib/systemd/system/icpgate-blockpage.service",
    "lib/sysusers.d/icpgate.conf", "lib/sysusers.d/icpgate-blockpage.conf",
    "lib/tmpfiles.d/icpgate.conf",
    "etc/icpgate/icpgate.conf.example", "etc/icpgate/unbound.conf.example",
    "etc/icpgate/filing.sql",
    *(f"share/bash-completion/completions/{name}"
      for name in ("icpgate", "icpgate-load", "icpgated", "icpgate-blockpage")),
    *(f"share/zsh/site-functions/_{name}"
      for name in ("icpgate", "icpgate-load", "icpgated", "icpgate-blockpage")),
]


def files(directory):
    return {str(path.relative_to(directory)) for path in directory.rglob("*") if not path.is_dir()}


@pytest.fixture(scope="module")
def make(build, tmp_path_factory):
    """Runs make in the build directory with a DESTDIR of its own; returns that."""
    place = tmp_path_factory.mktemp("install")

    def call(target):
        run(["make", "-C", build, target, f"DESTDIR={place / 'stage'}"], place / f"{target}.log")
        return place / "stage"

    return call


@pytest.fixture(scope="module")
def prefix(build):
    # The directories of a Makefile are words of the shell, too.
    shown = text_of(["make", "-s", "-C", build, "--no-print-directory",
                     "--eval=print-prefix: ; @echo $(prefix)", "print-prefix"])
    return Path(shown.strip()).resolve().relative_to("/")


def test_install_and_uninstall(make, prefix):
    stage = make("install")
    found = files(stage)
    assert all(name.startswith(f"{prefix}/") for name in found)
    found = {name[len(f"{prefix}/"):] for name in found}
    assert set(WANTED) <= found
    manuals = {f"share/man/man{path.suffix[1:]}/{path.name}" for path in (ROOT / "doc").iterdir()
               if path.suffix in (".1", ".5", ".7", ".8")}
    assert manuals <= found
    for name in found:
        if name.endswith((".service", "unbound.conf.example")):
            text = (stage / prefix / name).read_text(encoding="utf-8")
            blanks = [line for line in text.split("\n") if re.search("@[a-z]+@", line)]
            assert not blanks, f"{name} has a blank that was not filled"
    make("uninstall")
    assert files(stage) == set()

# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages: built of what "make dist" packs, and installed, run, upgraded, removed and
purged in a Debian of their own. The tests are steps of one story and run in this order."""

import os
import re
import subprocess

import pytest

from packages import NAMES, ROOT, System, build_packages, raise_version, run, text_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for chroot")

# The exposure that "systemd-analyze security" may find at most, from 0 to 100. What is left of it
# are the addresses that may be talked to, which are everybody's.
EXPOSURE = {"icpgated": 15, "icpgate-blockpage": 15, "icpgate-unbound": 16}
STORY = {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="module")
def changes(build, place):
    return build_packages(build, place)


@pytest.fixture(scope="module")
def packages(changes):
    found = sorted(changes.parent.glob("*.deb"))
    return [file for file in found if "-dbgsym_" not in file.name]


@pytest.fixture(scope="module")
def system(place):
    made = System(place)
    made.make()
    yield made
    assert not made.processes()
    # A gigabyte after each run would be too much for a temporary directory that is kept.
    subprocess.run(["rm", "-rf", "--one-file-system", made.root], check=True)


def after(*steps):
    missing = [step for step in steps if step not in STORY]
    if missing:
        pytest.skip(f"no {missing[0]}")


def test_packages_are_complete(packages):
    assert [file.name.split("_")[0] for file in packages] == NAMES


def test_lintian_finds_nothing(changes, place):
    run(["lintian", "--allow-root", "--fail-on", "error,warning", "--no-tag-display-limit",
         changes], place / "lintian.log")
    assert not re.findall(r"^[EW]: .*$", (place / "lintian.log").read_text(), re.M)


def test_install(system, packages):
    STORY["before"] = system.files()
    system.apt("install.log", "install", *system.put(packages))
    STORY["installed"] = system.files()
    # No service that would be up without a configuration is a service that failed.
    for name in ("icpgated", "icpgate-blockpage", "icpgate-unbound"):
        unit = (system.root / f"lib/systemd/system/{name}.service").read_text()
        assert "ConditionPathExists=/etc/icpgate/icpgate.conf" in unit
    wanted = system.root / "etc/systemd/system/multi-user.target.wants"
    assert (wanted / "icpgated.service").is_symlink()
    assert (wanted / "icpgate-blockpage.service").is_symlink()
    assert not (wanted / "icpgate-unbound.service").is_symlink()


def test_owners_and_modes(system):
    after("installed")
    system.call(["stat", "-c", "%A %U %G %n", "/var/lib/icpgate", "/var/lib/icpgate/stats",
                 "/var/lib/icpgate/spool"], "stat.log")
    assert (system.logs / "stat.log").read_text() == (
        "drwxr-xr-x icpgate icpgate-resolver /var/lib/icpgate\n"
        "-rw-rw-r-- icpgate icpgate-resolver /var/lib/icpgate/stats\n"
        "drwxrws--- icpgate icpgate /var/lib/icpgate/spool\n")
    system.call(["id", "-Gn", "icpgate-blockpage"], "id.log")
    assert (system.logs / "id.log").read_text() == "icpgate-blockpage\n"
    system.call(["id", "-Gn", "icpgate-unbound"], "id.log")
    assert (system.logs / "id.log").read_text() == "icpgate-unbound icpgate-resolver\n"


@pytest.mark.parametrize("unit", EXPOSURE)
def test_units(system, unit):
    after("installed")
    system.call(["systemd-analyze", "verify", "--man=no", f"/lib/systemd/system/{unit}.service"],
                "verify.log")
    assert (system.logs / "verify.log").read_text() == ""
    system.call(["systemd-analyze", "security", "--offline=true", "--no-pager",
                 f"--threshold={EXPOSURE[unit]}", f"/lib/systemd/system/{unit}.service"],
                f"security-{unit}.log")


def test_run(system):
    after("installed")
    run([ROOT / "debian/tests/smoke", system.root], system.logs / "smoke.log")
    STORY["ran"] = True


def test_upgrade(system, packages, place):
    after("installed")
    newer = place / "newer"
    newer.mkdir()
    for package in packages:
        raise_version(package, newer)
    before = text_of(["dpkg-deb", "--field", packages[0], "Version"]).strip()
    kept = system.root / "etc/icpgate/icpgate.conf"
    content = kept.read_bytes() if kept.exists() else None
    system.apt("upgrade.log", "install", *system.put(sorted(newer.glob("*.deb"))))
    system.call(["dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}\n", *NAMES],
                "versions.log")
    assert (system.logs / "versions.log").read_text() == f"{before}+1 installed\n" * 3
    if content is not None:
        assert kept.read_bytes() == content
    # A store survives an upgrade.
    if "ran" in STORY:
        system.call(["icpgate", "lookup", "filed.example", "198.51.100.10"], "lookup.log")


def test_remove_keeps_data(system):
    after("installed")
    system.apt("remove.log", "remove", *NAMES)
    assert not (system.root / "usr/bin/icpgate").exists()
    assert (system.root / "var/lib/icpgate/stats").exists()
    if "ran" in STORY:
        assert (system.root / "etc/icpgate/icpgate.conf").exists()
        assert (system.root / "etc/icpgate/unbound.conf").exists()


def test_purge_leaves_nothing(system):
    after("installed")
    system.apt("purge.log", "purge", *NAMES)
    system.apt("autoremove.log", "autoremove", "--purge")
    left = system.files()
    assert sorted(left - STORY["before"]) == []
    assert sorted(STORY["before"] - left) == []
    assert not system.processes()

# SPDX-License-Identifier: BSD-3-Clause
"""The Debian packages: built of what "make dist" packs, and installed, run, upgraded, removed and
purged in a Debian of their own. The tests are steps of one story and run in this order."""

import json
import os
import re
import shutil
import socket
import subprocess

import pytest

from booted import PAGE, SERVICES, Booted, wait_until
from packages import NAMES, ROOT, System, build_packages, raise_version, run, text_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for chroot")

# The exposure that "systemd-analyze security" may find at most, in tenths. What is left of it are
# the addresses that may be talked to, which are everybody's.
EXPOSURE = {"icpgated": 14, "icpgate-blockpage": 14, "icpgate-unbound": 16}
# Where anybody can write, or the page's user could if it were there.
WRITABLE = ["/tmp", "/var/tmp", "/dev/shm", "/run", "/etc/icpgate", "/var/lib", "/var/lib/icpgate"]
STORY = {}


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("packages")


@pytest.fixture(scope="module")
def changes(build, place):
    return build_packages(build, place)


@pytest.fixture(scope="module")
def packages(changes):
    found = [file for file in changes.parent.glob("*.deb") if "-dbgsym_" not in file.name]
    return sorted(found, key=lambda file: file.name.split("_"))


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
    run(["lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0",
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
                 "/var/lib/icpgate/spool", "/var/lib/icpgate-unbound"], "stat.log")
    assert (system.logs / "stat.log").read_text() == (
        "drwxr-xr-x icpgate icpgate-resolver /var/lib/icpgate\n"
        "-rw-rw-r-- icpgate icpgate-resolver /var/lib/icpgate/stats\n"
        "drwxrws--- icpgate icpgate /var/lib/icpgate/spool\n"
        "drwxr-xr-x icpgate-unbound icpgate-unbound /var/lib/icpgate-unbound\n")
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


class TestUnderSystemd:
    """With the configuration and the store of test_run, and a systemd of its own."""

    @pytest.fixture(scope="class")
    def booted(self, system):
        after("ran")
        with Booted(system) as made:
            yield made

    @pytest.fixture
    def filings(self, booted):
        """A filing database, whose socket is in the system's /srv/pg, too."""
        # Here, as the other tests do without what it needs.
        from postgres import Postgres  # pylint: disable=import-outside-toplevel

        server = Postgres()
        place = booted.root / "srv/pg"
        place.mkdir()
        try:
            server.start()
            os.link(server.directory / ".s.PGSQL.5432", place / ".s.PGSQL.5432")
            made = server.database()
            yield made
            made.close()
        finally:
            server.remove()
            shutil.rmtree(place)

    def test_services_start(self, booted):
        for service in SERVICES:
            booted.ask("systemctl", "start", service)
            assert booted.is_active(service)
        assert "generation 1" in booted.ask("systemctl", "show", "-P", "StatusText", "icpgated")
        booted.ask("systemctl", "reload", *SERVICES)
        assert booted.ask("systemctl", "--failed", "--quiet", "--plain") == ""

    def test_services_do_their_work(self, booted):
        assert booted.address_of("unfiled.example") == PAGE
        visit = ("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--noproxy", "*",
                 "--resolve", f"unfiled.example:80:{PAGE}", "http://unfiled.example/")
        wait_until(lambda: booted.client(*visit) == "451", "block page")
        booted.drop_feed(2, "filed.example", "unfiled.example")
        assert booted.address_of("unfiled.example") == "198.51.100.28"
        assert json.loads(booted.ask("icpgate", "--json", "ctl", "status"))

    def test_services_can_write_where_they_must_alone(self, booted):
        """As root, whom no mode of a file would keep out."""
        places = {"/etc/icpgate": [], "/usr/lib": [], "/var/lib": [], "/root": [],
                  "/var/lib/icpgate": ["icpgated", "icpgate-unbound"],
                  "/var/lib/icpgate/generations": ["icpgated", "icpgate-unbound"],
                  "/var/lib/icpgate/spool": ["icpgated"]}
        for service in SERVICES:
            process = booted.main_pid(service)
            assert booted.ask("stat", "-c", "%U", f"/proc/{process}") == {
                "icpgated": "icpgate"}.get(service, service)
            for place, writers in places.items():
                status, _ = booted.call("nsenter", "-t", process, "-m", "--", "sh", "-c",
                                        f"touch {place}/test && rm {place}/test")
                assert (status == 0) == (service in writers), f"{service} in {place}"

    def test_capabilities(self, booted):
        port_alone = f"{1 << 10:016x}"
        for service, wanted in zip(SERVICES, ["0" * 16, port_alone, port_alone]):
            status = booted.ask("cat", f"/proc/{booted.main_pid(service)}/status")
            for held in ("CapPrm", "CapEff", "CapBnd", "CapAmb"):
                assert re.search(f"^{held}:\\s*(.*)$", status, re.M)[1] == wanted, (service, held)
            assert re.search(r"^NoNewPrivs:\s*1$", status, re.M) and re.search(
                r"^Seccomp:\s*2$", status, re.M)

    def test_the_page_can_reach_nothing(self, booted):
        """Its unit, with a process in the page's place that tries."""
        found = booted.probe(
            "icpgate-blockpage", "tcp:53", "sent:53", "udp:53", "local:/run/icpgate/control",
            f"family:{socket.AF_NETLINK}", f"family:{socket.AF_PACKET}", "list:/root", "list:/home",
            *(f"read:{path}" for path in ("/etc/shadow", "/proc/1/status", "/var/lib/icpgate/stats")),
            *(f"list:/var/lib/icpgate/{path}" for path in ("spool", "audit")),
            *(f"write:{path}/file" for path in WRITABLE), "write:/var/lib/icpgate/current",
            "signal:1", "bind:80", "read:/etc/icpgate/icpgate.conf", "read:/var/lib/icpgate/current")
        allowed = {what for what, why in found.items() if why == "ok"}
        assert allowed == {"bind:80", "read:/etc/icpgate/icpgate.conf",
                           "read:/var/lib/icpgate/current"}, found
        # That nobody listens there, or that nothing is there, would be no confinement.
        assert not {"Connection refused", "No such file or directory"} & {
            why for what, why in found.items() if what != "read:/proc/1/status"}, found

    def test_the_page_binds_to_its_port_alone(self, booted):
        assert booted.ask("systemctl", "show", "-P", "SocketBindDeny", "icpgate-blockpage") == "any"
        if "+BPF_FRAMEWORK" not in booted.ask("systemctl", "--version"):
            pytest.skip("this systemd can't restrict ports: it was built without BPF_FRAMEWORK")
        found = booted.probe("icpgate-blockpage", "bind:80", "bind:81", "bind:0", "bindudp:80")
        assert {what for what, why in found.items() if why == "ok"} == {"bind:80"}, found

    def test_a_reload_with_what_is_not_valid_is_refused(self, booted):
        def said():
            return booted.ask("journalctl", "-u", "icpgate-unbound", "-o", "cat")

        process = booted.main_pid("icpgate-unbound")
        for file, old, new, what in (
                ("icpgate.conf", "\nmode: ", "\nmoode: ", "unknown key"),
                ("icpgate.conf", "/ranges.mmdb", "/nowhere.mmdb", "nowhere.mmdb: No such file"),
                ("unbound.conf", "num-threads: 1", "num-threads: many", "number expected")):
            with booted.conf(file, lambda text, old=old, new=new: text.replace(old, new)):
                assert booted.call("systemctl", "reload", "icpgate-unbound")[0] != 0, what
            wait_until(lambda what=what: what in said(), what)
            assert booted.is_active("icpgate-unbound")
            assert booted.main_pid("icpgate-unbound") == process
        assert booted.address_of("abroad.example") == "192.0.2.40"
        booted.ask("systemctl", "reload", "icpgate-unbound")
        assert booted.main_pid("icpgate-unbound") == process

    def test_a_database_is_followed(self, booted, filings):
        """Loaded by root, by hand, and followed by the daemon in its unit."""
        filings.provider("qcloud")
        for ordinal, name in enumerate(("filed", "unfiled", "third")):
            filings.filed(f"{name}.example", ordinal=ordinal + 1)
        source = f"host=/srv/pg dbname={filings.name} user=icpgate"
        booted.ask("icpgate-load", "full", "--from", source)
        assert booted.call("icpgate", "lookup", "abroad.example", "198.51.100.10")[0] == 1
        with booted.conf("icpgate.conf", lambda text: f'{text}\ndaemon: {{follow: "{source}"}}\n'):
            booted.restart("icpgated")
            filings.filed("abroad.example", ordinal=4)
            wait_until(lambda: booted.call("icpgate", "lookup", "abroad.example",
                                           "198.51.100.10")[0] == 0, "change of the database")
            assert json.loads(booted.ask("icpgate", "--json", "ctl", "status"))["follow"] == {
                "state": "running", "starts": 1}
        booted.restart("icpgated")

    def test_killed_services_come_back(self, booted):
        before = {service: booted.main_pid(service) for service in SERVICES}
        for service in SERVICES:
            booted.ask("systemctl", "kill", "--signal=KILL", "--kill-whom=main", service)
        for service in SERVICES:
            wait_until(lambda name=service: booted.is_active(name)
                       and booted.main_pid(name) not in ("0", before[name]), f"{service} again")

    @pytest.fixture(scope="class")
    def newer(self, system, packages, place):
        directory = place / "newer"
        directory.mkdir()
        for package in packages:
            raise_version(package, directory)
        return system.put(sorted(directory.glob("*.deb")))

    def test_upgrade(self, booted, newer, packages):
        before = text_of(["dpkg-deb", "--field", packages[0], "Version"]).strip()
        processes = {service: booted.main_pid(service) for service in SERVICES}
        kept = (booted.root / "etc/icpgate/icpgate.conf").read_bytes()
        booted.ask("dpkg", "--install", *newer)
        assert booted.ask("dpkg-query", "-W", "-f", "${Version} ${db:Status-Status}\n", *NAMES) == (
            "\n".join([f"{before}+1 installed"] * 3))
        for service in SERVICES:
            wait_until(lambda name=service: booted.is_active(name), f"{service} after the upgrade")
            assert booted.main_pid(service) != processes[service]
        assert (booted.root / "etc/icpgate/icpgate.conf").read_bytes() == kept
        booted.ask("icpgate", "lookup", "unfiled.example", "198.51.100.28")

    def test_without_configuration_nothing_starts_and_nothing_fails(self, booted):
        booted.ask("systemctl", "stop", *SERVICES)
        for service in SERVICES:
            assert booted.ask("systemctl", "show", "-P", "Result", service) == "success"
        conf = booted.root / "etc/icpgate/icpgate.conf"
        conf.rename(conf.with_suffix(".off"))
        booted.ask("systemctl", "start", *SERVICES)
        for service in SERVICES:
            assert not booted.is_active(service)
        assert booted.ask("systemctl", "--failed", "--quiet", "--plain") == ""
        conf.with_suffix(".off").rename(conf)
        booted.ask("systemctl", "start", *SERVICES)

    def test_remove_ends_the_services(self, booted):
        booted.ask("dpkg", "--remove", *NAMES)
        left = booted.ask("ls", "-l", "/sys/fs/cgroup/system.slice")
        assert not re.search("icpgate|unbound", left)


def test_remove_keeps_data(system):
    after("installed")
    # It has been done in the system that was up, if one was.
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

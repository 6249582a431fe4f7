# SPDX-License-Identifier: BSD-3-Clause
"""A system that is up: its own systemd, with the services of the packages."""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import time
from datetime import datetime, timezone
from pathlib import Path

SERVICES = ["icpgated", "icpgate-unbound", "icpgate-blockpage"]
PAGE = "203.0.113.80"


def wait_until(condition, what, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.1)


class Booted:
    """Boots a system of packages.System; off at the end, however that comes."""

    def __init__(self, system):
        self.root = system.root
        self.log = open(system.logs / "boot.log", "wb")
        self.pidfile = system.logs / "boot.pid"
        self.machine = None
        self.pid = None

    def __enter__(self):
        self.pidfile.unlink(missing_ok=True)
        # Not for ever, should the test be killed.
        self.machine = subprocess.Popen(  # pylint: disable=consider-using-with
            ["timeout", "--signal=KILL", "300", Path(__file__).with_name("boot"), self.root,
             self.pidfile], stdout=self.log, stderr=subprocess.STDOUT, start_new_session=True)
        try:
            wait_until(lambda: self.machine.poll() is not None
                       or self.pidfile.exists() and self.pidfile.read_text() != "", "system")
            self.pid = self.pidfile.read_text().strip()
            wait_until(lambda: self.machine.poll() is not None
                       or self.call("systemctl", "is-active", "test.target")[1] == "active",
                       "system that is up")
            assert self.machine.poll() is None, Path(self.log.name).read_text()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        if self.machine.poll() is None and self.pid:
            # Off at once: the services have been stopped before, where that was to be seen.
            subprocess.run(["kill", "-KILL", self.pid], check=False)
        self.machine.wait(timeout=30)
        self.log.close()

    def enter(self, words, namespaces, **more):
        return subprocess.run(["nsenter", "-t", self.pid, *namespaces, "--",
                               *map(str, words)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                              timeout=60, check=False, **more)

    def call(self, *words):
        """Runs a command in the system; returns its status and what it said."""
        done = self.enter(words, ["-m", "-n", "-p", "-i", "-u", "-C"],
                          env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
                               "DEBIAN_FRONTEND": "noninteractive", "HOME": "/root"})
        return done.returncode, done.stdout.strip()

    def ask(self, *words):
        """The same with a command that must do well."""
        status, said = self.call(*words)
        assert status == 0, f"{words}: {said}\n{self.call('journalctl', '-b', '-n', '50')[1]}"
        return said

    def client(self, *words):
        """Runs a command of this machine in the system's network."""
        return self.enter(words, ["-n"]).stdout.strip()

    def main_pid(self, service):
        return self.ask("systemctl", "show", "-P", "MainPID", service)

    def is_active(self, service):
        return self.call("systemctl", "is-active", service)[1] == "active"

    def address_of(self, name):
        return self.client("dig", "-r", "+short", "+tries=1", "+time=2", "@127.0.0.1", name, "A")

    @contextlib.contextmanager
    def drop_in(self, service, text):
        """Lines beside a unit's own, while this lasts."""
        directory = f"/run/systemd/system/{service}.service.d"
        self.ask("mkdir", directory)
        self.ask("sh", "-c", 'printf "%s" "$1" >"$2"', "sh", text, f"{directory}/test.conf")
        try:
            self.ask("systemctl", "daemon-reload")
            yield
        finally:
            self.ask("rm", "-r", directory)
            self.ask("systemctl", "daemon-reload")

    def restart(self, service):
        """However often that was done before."""
        self.ask("systemctl", "reset-failed", service)
        self.ask("systemctl", "restart", service)

    def probe(self, service, *attempts):
        """What a process can do that is run in place of a service: attempts of probe.pl, and what
        came of them."""
        shutil.copy(Path(__file__).with_name("probe.pl"), self.root / "srv")
        self.ask("systemctl", "stop", service)
        with self.drop_in(service, f"""[Service]
            Type=oneshot
            Restart=no
            WatchdogSec=0
            ExecStart=
            ExecStart=/usr/bin/perl /srv/probe.pl {' '.join(attempts)}
            StandardOutput=truncate:/run/probe
            """):
            self.ask("systemctl", "start", service)
        self.restart(service)
        return dict(line.rsplit(": ", 1) for line in self.ask("cat", "/run/probe").split("\n"))

    @contextlib.contextmanager
    def conf(self, name, change):
        """Another content of a file in /etc/icpgate, while this lasts: change makes it of what is
        there."""
        path = self.root / "etc/icpgate" / name
        before = path.read_text(encoding="utf-8")
        path.write_text(change(before), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(before, encoding="utf-8")

    def drop_feed(self, sequence, *names):
        """Puts a full feed into the spool, and waits until it is loaded."""
        spool = self.root / "var/lib/icpgate/spool"
        rows = "".join(f"{name},qcloud,filed,京ICP备11018762号-1\n" for name in names)
        content = ("domain,provider,status,number\n" + rows).encode()
        feed = spool / f"night-{sequence}.csv"
        feed.write_bytes(content)
        manifest = {"kind": "full", "sequence": sequence, "rows": len(names),
                    "as_of": datetime.now(timezone.utc).isoformat(timespec="seconds"),
                    "sha256": hashlib.sha256(content).hexdigest()}
        hidden = spool / ".manifest"
        hidden.write_text(json.dumps(manifest), encoding="utf-8")
        os.rename(hidden, spool / f"{feed.name}.json")
        wait_until((spool / "done" / feed.name).exists, f"{feed.name} in done/")

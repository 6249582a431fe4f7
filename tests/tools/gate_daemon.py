# SPDX-License-Identifier: BSD-3-Clause
"""icpgated with a spool, a store and a control socket of its own, and a service manager's socket that it
notifies. Nothing listens on a network."""

import fcntl
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

from commands import write_config
from feeds import FeedWriter, Row, Store
from operator_tool import BUILD, DEADLINE
from operator_tool import wait_until as wait_for

ICPGATED = BUILD / "loader" / "icpgated"
NUMBER = "京ICP备11018762号"


def filed(domain, ordinal=1):
    return Row(domain, "qcloud", "filed", f"{NUMBER}-{ordinal}")


def state_of(*domains):
    return {row.key: row for row in map(filed, domains)}


def upsert(*domains):
    return [("upsert", filed(domain)) for domain in domains]


def wait_until(condition, what, seconds=DEADLINE):
    """what: as of wait_until, or a function that gives it when time is up"""
    try:
        return wait_for(condition, "", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}{what() if callable(what) else what}") from None


class Daemon:
    """Started with start(), which waits until it says that it is ready."""

    def __init__(self, commands, directory=None, prefix=(), root=None, **settings):
        """
        directory: made if None, and removed at the end; short, as paths of sockets are
        prefix: words in front of the daemon's command
        root: where this process finds the directory, if that is elsewhere
        settings: of the section daemon
        """
        self.own = directory is None
        self.directory = Path(directory or tempfile.mkdtemp(prefix="icpgate-d-"))
        self.root = Path(root or self.directory)
        self.prefix = list(prefix)
        self.commands = commands
        self.outside = Path(tempfile.mkdtemp(prefix="icpgate-w-"))
        self.conf = self.outside / "icpgate.conf"
        self.log_path = self.outside / "log"
        self.spool = self.root / "spool"
        self.settings = {
            "spool": str(self.directory / "spool"),
            "control": str(self.outside / "control"),
            "http": "none",
            **settings,
        }
        self.configure()
        self.feeds = FeedWriter(self.outside)
        self.store = Store(commands, self.root / "store")
        self.program = ICPGATED
        self.process = None
        self.messages = []
        self.environment = {}
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.manager.bind(str(self.outside / "notify"))
        self.manager.setblocking(False)
        self.receiving = threading.Lock()
        self.closed = False
        self.receiver = threading.Thread(target=self.receive, daemon=True)
        self.receiver.start()

    def configure(self, rectify_overdue="pass", **changes):
        """changes: in the section daemon; they stay"""
        self.settings.update(changes)
        write_config(self.conf, {
            "rectify_overdue": rectify_overdue,
            "store": str(self.directory / "store"),
            "providers": ["qcloud"],
            "ranges": {"database": "/nonexistent.mmdb", "provider": {"path": ["provider"]}},
            "block": {"ipv4": "203.0.113.80"},
            "daemon": {key: value for key, value in self.settings.items() if value is not None},
        })

    # The process.

    def spawn(self, *arguments):
        environment = {k: v for k, v in os.environ.items() if k != "ICPGATE_CONF"}
        environment |= {"NOTIFY_SOCKET": str(self.outside / "notify")} | self.environment
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, self.program, "-c", self.conf, *arguments], env=environment,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def start(self, *arguments):
        self.told()
        self.messages.clear()
        self.spawn(*arguments)
        wait_until(lambda: "READY=1" in self.told() or self.process.poll() is not None, "ready")
        assert self.process.poll() is None, self.log()

    def told(self):
        """What the service manager was told since the last start, line by line."""
        with self.receiving:
            while True:
                try:
                    self.messages += self.manager.recv(4096).decode().splitlines()
                except BlockingIOError:
                    return self.messages

    def receive(self):
        """A socket holds ten messages, and the daemon lets go what does not fit."""
        while not self.closed:
            select.select([self.manager], [], [])
            self.told()

    def kill(self):
        """As nothing can prevent."""
        self.process.kill()
        self.process.wait(DEADLINE)

    def stop(self, how=signal.SIGTERM):
        """Ends it, which must be a good end; a sanitizer's finding makes it another one."""
        if self.process is None or self.process.returncode is not None:
            return
        self.process.send_signal(how)
        status = self.process.wait(DEADLINE)
        assert status == 0, f"exit {status}: {self.log()}"

    def close(self):
        try:
            if self.process is not None and self.process.returncode is None:
                if self.process.poll() is None:
                    self.stop()
                assert self.process.returncode == 0, self.log()
            text = self.log()
            assert "Sanitizer" not in text and "runtime error" not in text, text
        finally:
            if self.process is not None and self.process.poll() is None:
                self.kill()
            self.closed = True
            self.manager.shutdown(socket.SHUT_RD)
            self.receiver.join()
            self.manager.close()
            shutil.rmtree(self.outside, ignore_errors=True)
            if self.own:
                shutil.rmtree(self.directory, ignore_errors=True)

    def find_loader(self, word=""):
        """The process id of the loader that is at work, with this word in its command, if there is one. What
        has just been forked, or counts readers, is the daemon itself, and not meant."""
        with suppress(FileNotFoundError, ProcessLookupError):
            daemon = self.process.pid
            children = Path(f"/proc/{daemon}/task/{daemon}/children").read_text(encoding="ascii")
            for pid in children.split():
                command = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8").split("\0")
                if Path(command[0]).name == "icpgate-load" and word in ("", *command):
                    return int(pid)
        return None

    def loader(self, word=""):
        """Waits for it."""
        return wait_until(lambda: self.find_loader(word), self.log)

    @contextmanager
    def loads_held(self):
        """No load comes to its end before this does, so that it is there however late this process looks
        for it. There must be a store."""
        with open(self.store.path / "lock", "rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def says(self, text, count=1):
        wait_until(lambda: self.log().count(text) >= count, lambda: f"{text!r} in the log:\n{self.log()}")

    # Feeds.

    def drop(self, path, manifest=True):
        """Moves a feed into the spool, and then its manifest; both whole."""
        self.move(path)
        if manifest:
            self.move(path.with_name(path.name + ".json"))
        return path.name

    def move(self, path):
        """Also onto another file system, under a hidden name first."""
        hidden = self.spool / f".{path.name}"
        shutil.copyfile(path, hidden)
        os.rename(hidden, self.spool / path.name)
        path.unlink()

    def full(self, state, sequence, name=None):
        return self.drop(self.feeds.full(state, sequence, name))

    def delta(self, operations, sequence, name=None):
        return self.drop(self.feeds.delta(operations, sequence, name))

    def is_in(self, place, name):
        """A feed with its manifest and report, and nothing of it in the spool."""
        there = self.spool / place
        return all((there / f"{name}{end}").exists() for end in ("", ".json", ".report")) and not any(
            (self.spool / f"{name}{end}").exists() for end in ("", ".json"))

    def report(self, place, name):
        return (self.spool / place / f"{name}.report").read_text(encoding="utf-8")

    def ends_in(self, place, name):
        """Waits for it; returns its report."""
        wait_until(lambda: self.is_in(place, name), lambda: f"{name} in {place}:\n{self.log()}")
        return self.report(place, name)

    def names(self, place="."):
        """Feeds in a place."""
        return sorted(p.name for p in (self.spool / place).glob("*.csv*")
                      if not p.name.endswith((".json", ".report")))

    def is_empty(self):
        return not list(self.spool.glob("*.csv*"))

    # What it says.

    def ask(self, line, wait=DEADLINE):
        """One line to the control socket as it is; returns all that comes back."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(wait)
            client.connect(self.settings["control"])
            client.sendall(line)
            answer = b""
            while piece := client.recv(65536):
                answer += piece
        return answer

    def ctl_command(self):
        return [*self.prefix, self.commands.icpgate, "-c", self.conf, "ctl"]

    def ctl(self, *arguments, expect=0):
        done = subprocess.run(
            [*self.ctl_command(), *map(str, arguments)],
            capture_output=True, encoding="utf-8", timeout=DEADLINE, check=False)
        assert done.returncode == expect, f"exit {done.returncode}: {done.stdout}{done.stderr}"
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
        return done.stdout + done.stderr

    def status(self):
        return json.loads(self.ctl("status", "--json"))

    def sequence(self):
        """The store's; 0: there is no generation."""
        self.store.known_status = ()
        status = self.store.status()
        return status["sequence"] if status else 0

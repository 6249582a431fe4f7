# SPDX-License-Identifier: BSD-3-Clause
"""Starts and stops the servers of the tests: NSD, Unbound with the module, and a relay between them
that counts. Everything listens on loopback, and only processes started here are ended."""

import collections
import os
import random
import select
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

# None of them is a claim: a loaded machine has its time.
START_SECONDS = 60
STOP_SECONDS = 60
ANSWER_SECONDS = 20
# A name that no stub zone holds must not leave this machine.
NO_HINTS = ". 3600 NS nowhere.invalid.\nnowhere.invalid. 3600 A 127.0.0.1\n"


def wait_until(condition, seconds, what):
    """Asks again and again until the condition holds; returns what it gave."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


def holds_for(condition, seconds, what):
    """The opposite: a condition that must hold whenever it is looked at, for a while."""
    deadline = time.monotonic() + seconds
    looks = 0
    while time.monotonic() < deadline:
        assert condition(), f"not for {seconds} s: {what}"
        looks += 1
        time.sleep(0.05)
    return looks


# For servers: below what the kernel gives to clients, and kept free of Unbound's queries, which go out
# from any port else. Tests may run beside each other, each in a part of its own: what is free here
# may be taken before a server has it.
PORTS = (20000, 29999)
OWN_PORTS = tuple(map(int, os.environ.get("ICP_PORTS", "20000-29999").split("-")))
# Likewise a net of loopback, for servers that have to stand at port 53.
OWN_NET = f"127.53.{77 + (OWN_PORTS[0] - PORTS[0]) // 1000}"
# For servers that have not begun yet.
given_ports = collections.deque(maxlen=100)


def free_port(address="127.0.0.1"):
    """A port that nobody uses, neither over UDP nor TCP, nor was given lately."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    for _ in range(100):
        port = random.randint(*OWN_PORTS)
        if port in given_ports:
            continue
        with socket.socket(family, socket.SOCK_DGRAM) as udp, socket.socket(
            family, socket.SOCK_STREAM
        ) as tcp:
            try:
                udp.bind((address, port))
                tcp.bind((address, port))
            except OSError:
                continue
            given_ports.append(port)
            return port
    raise AssertionError(f"no free port on {address}")


def find_program(variable, name):
    """The program that an environment variable names, else one in PATH or the system's sbin."""
    given = os.environ.get(variable)
    found = given or shutil.which(name) or shutil.which(name, path="/usr/sbin:/usr/local/sbin")
    assert found, f"{variable} is not set, and there is no {name} in PATH or /usr/sbin"
    assert os.access(found, os.X_OK), f"{variable}={found} can't be run"
    return Path(found)


def start(stack, server):
    """Puts a server into a contextlib.ExitStack, which stops it, and waits until it answers."""
    stack.callback(server.stop)
    server.wait_ready()
    return server


class Server:
    """A process that runs until it is stopped; what it prints goes to a file."""

    stop_seconds = STOP_SECONDS

    def __init__(self, directory, name, command, environment=None):
        self.name = name
        self.log_path = directory / f"{name}.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    @property
    def log(self):
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def is_running(self):
        return self.process.poll() is None

    def wait_ready(self):
        """Waits until the server answers any query at all."""

        def answers():
            assert self.is_running(), f"{self.name} ended at start:\n{self.log[-3000:]}"
            query = dns.message.make_query("localhost.", "A")
            try:
                return dns.query.udp(query, self.address, timeout=0.2, port=self.port)
            except (dns.exception.Timeout, OSError):
                return None

        wait_until(answers, START_SECONDS, f"{self.name} answers")

    def wait_for_end(self):
        """Waits until the process ends by itself; returns its exit status."""
        try:
            return self.process.wait(START_SECONDS)
        except subprocess.TimeoutExpired as error:
            self.stop()
            raise AssertionError(f"{self.name} did not end:\n{self.log[-3000:]}") from error

    def stop(self):
        if self.is_running():
            self.process.terminate()
        try:
            return self.process.wait(self.stop_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"{self.name} had to be killed") from None


class Nsd(Server):
    """An authoritative server for zones given as {origin: text of the zone file}."""

    def __init__(self, directory, zones, address="127.0.0.1", port=None):
        self.address = address
        self.port = port or free_port(address)
        home = directory / f"nsd-{address}-{self.port}"
        home.mkdir()
        conf = [
            "server:",
            f"  ip-address: {address}@{self.port}",
            '  username: ""',
            '  chroot: ""',
            '  database: ""',
            f'  zonesdir: "{home}"',
            f'  pidfile: "{home}/nsd.pid"',
            f'  xfrdfile: "{home}/xfrd.state"',
            f'  xfrdir: "{home}"',
            f'  zonelistfile: "{home}/zone.list"',
            "  server-count: 1",
            # All queries come from one address; they must not be taken for an attack.
            "  rrl-ratelimit: 0",
            "  verbosity: 0",
            "remote-control:",
            "  control-enable: no",
        ]
        for number, (origin, text) in enumerate(zones.items()):
            (home / f"zone{number}").write_text(text, encoding="utf-8")
            conf += ["zone:", f'  name: "{origin}"', f"  zonefile: zone{number}"]
        (home / "nsd.conf").write_text("\n".join(conf) + "\n", encoding="utf-8")
        program = find_program("ICP_NSD", "nsd")
        super().__init__(home, "nsd", [program, "-d", "-c", home / "nsd.conf"])


class Relay:
    """Stands between a resolver and a server (UDP), and remembers what was asked.

    `silent` makes it swallow every query, as a server that is down.
    """

    def __init__(self, server):
        self.asked = []
        self.silent = False
        self.waiting = {}
        self.next_id = 0
        self.front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.front.bind(("127.0.0.1", 0))
        self.port = self.front.getsockname()[1]
        self.back = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.back.connect((server.address, server.port))
        self.wake_read, self.wake_write = socket.socketpair()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            ready, _, _ = select.select([self.front, self.back, self.wake_read], [], [])
            if self.wake_read in ready:
                return
            if self.front in ready:
                self.pass_query(*self.front.recvfrom(65535))
            if self.back in ready:
                self.pass_answer(self.back.recv(65535))

    def pass_query(self, packet, sender):
        question = dns.message.from_wire(packet, question_only=True).question[0]
        self.asked.append(
            (question.name.to_text().lower(), dns.rdatatype.to_text(question.rdtype))
        )
        if self.silent:
            return
        self.next_id = (self.next_id + 1) & 0xFFFF
        self.waiting[self.next_id] = (sender, packet[:2])
        self.back.send(self.next_id.to_bytes(2, "big") + packet[2:])

    def pass_answer(self, packet):
        waiting = self.waiting.pop(int.from_bytes(packet[:2], "big"), None)
        if waiting:
            sender, original_id = waiting
            self.front.sendto(original_id + packet[2:], sender)

    def turn_to(self, server):
        """From now on another server is asked."""
        self.back.connect((server.address, server.port))

    def wait_ready(self):
        """It is ready as soon as it is made."""

    def stop(self):
        self.wake_write.send(b".")
        self.thread.join()
        for each in (self.front, self.back, self.wake_read, self.wake_write):
            each.close()


class Unbound(Server):
    """The resolver.

    stubs: lines of stub-zone clauses: (zone, "stub-addr: ..." or "stub-host: ...")
    icpgate_conf, module: None: without the module
    hints: of the root; the default ones lead nowhere
    """

    def __init__(
        self, directory, stubs, module, icpgate_conf, server_lines=(), program=None, hints=NO_HINTS
    ):
        self.program = program or find_program("ICP_UNBOUND", "unbound")
        self.directory = directory
        self.conf = directory / "unbound.conf"
        self.address = "127.0.0.1"
        self.port = free_port()
        chain = "validator iterator" if module is None else "dynlib validator iterator"
        hints_path = directory / "root.hints"
        hints_path.write_text(hints, encoding="ascii")
        lines = [
            "server:",
            "  interface: 127.0.0.1",
            f"  port: {self.port}",
            f"  outgoing-port-avoid: {PORTS[0]}-{PORTS[1]}",
            "  access-control: 127.0.0.0/8 allow",
            f'  module-config: "{chain}"',
            '  chroot: ""',
            '  username: ""',
            f'  directory: "{directory}"',
            f'  pidfile: "{directory}/unbound.pid"',
            f'  root-hints: "{hints_path}"',
            "  use-syslog: no",
            '  logfile: ""',
            "  log-time-ascii: no",
            "  verbosity: 1",
            "  do-ip6: no",
            "  do-not-query-localhost: no",
            '  target-fetch-policy: "0 0 0 0 0"',
            *(f"  {line}" for line in server_lines),
            "remote-control:",
            "  control-enable: yes",
            "  control-use-cert: no",
            f'  control-interface: "{directory}/control"',
        ]
        # Or an answer that took more than 1.9 s goes to nobody, also where it was this machine that was slow.
        if b"discard-timeout" in self.program.read_bytes():
            lines += ["server:", "  discard-timeout: 0"]
        if module is not None:
            lines += ["dynlib:", f'  dynlib-file: "{module}"']
        for zone, line in stubs:
            lines += ["stub-zone:", f'  name: "{zone}"', f"  {line}"]
        self.conf.write_text("\n".join(lines) + "\n", encoding="utf-8")
        super().__init__(
            directory,
            "unbound",
            [self.program, "-d", "-c", self.conf],
            {"ICPGATE_CONF": str(icpgate_conf), "LD_PRELOAD": os.environ.get("ICP_PRELOAD", "")},
        )

    def stop(self):
        """A daemon that runs must end well; a sanitizer's finding, also a leak, ends it badly."""
        was_running = self.is_running()
        status = super().stop()
        assert not was_running or status == 0, f"unbound: exit {status}:\n{self.log[-6000:]}"
        return status

    def control(self, *arguments):
        """Runs unbound-control and returns what it prints."""
        program = self.program.with_name("unbound-control")
        done = subprocess.run(
            [program, "-c", self.conf, *arguments],
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, f"unbound-control {arguments}: {done.stdout}{done.stderr}"
        return done.stdout

    def ask(
        self,
        name,
        rdtype="A",
        rdclass="IN",
        edns=True,
        cd=False,
        rd=True,
        do=False,
        tcp=False,
        timeout=ANSWER_SECONDS,
    ):
        """One query, one answer; nothing is sent again."""
        query = dns.message.make_query(
            name, rdtype, rdclass, use_edns=0 if edns else -1, want_dnssec=do
        )
        if cd:
            query.flags |= dns.flags.CD
        if not rd:
            query.flags &= ~dns.flags.RD
        send = dns.query.tcp if tcp else dns.query.udp
        return send(query, "127.0.0.1", timeout=timeout, port=self.port)


class HoldingRelay(Relay):
    """A relay that can hold back the answers to some queries until they are let go."""

    def __init__(self, server):
        self.lock = threading.Lock()
        self.wanted = None
        self.kept = []
        super().__init__(server)

    def hold(self, rdtype=None, name=None):
        """From now on keeps answers of a type, for a name, or both, here."""
        with self.lock:
            self.wanted = (rdtype, name and name.rstrip(".").lower() + ".")

    def held(self):
        """How many answers are kept."""
        with self.lock:
            return len(self.kept)

    def release(self):
        """Sends what is kept, and keeps nothing from now on."""
        with self.lock:
            self.wanted = None
            kept, self.kept = self.kept, []
        for packet in kept:
            super().pass_answer(packet)

    def is_wanted(self, packet):
        if self.wanted is None:
            return False
        rdtype, name = self.wanted
        question = dns.message.from_wire(packet, question_only=True).question[0]
        return rdtype in (None, dns.rdatatype.to_text(question.rdtype)) and name in (
            None,
            question.name.to_text().lower(),
        )

    def pass_answer(self, packet):
        with self.lock:
            if self.is_wanted(packet):
                self.kept.append(packet)
                return
        super().pass_answer(packet)

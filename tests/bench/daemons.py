# SPDX-License-Identifier: BSD-3-Clause
"""The resolvers that are measured, each with the gate, with the same policy as an RPZ, or with
neither; and what the kernel says of them. All forward to one name server, listen on loopback, and
keep every name that is asked in their caches.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import dns.exception
import dns.message
import dns.query

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "e2e"))

# pylint: disable=wrong-import-position  # It stands in the directory above.
from harness import Server, find_program, free_port

DAEMON_CORES = "0"
LOAD_CORES = "1"
TICKS = os.sysconf("SC_CLK_TCK")


def pinned(cores, command):
    """The command on some cores; taskset becomes the command, so its process is the command's."""
    if cores is None:
        return command
    return ["taskset", "-c", cores, *map(str, command)]


class Daemon(Server):
    """A server that is pinned to cores; directory: a new one, which its caller empties."""

    stop_seconds = 120  # An RPZ of millions of names is given back one by one.

    def __init__(self, directory, name, cores, command, environment=None):
        self.address = "127.0.0.1"
        super().__init__(directory, name, pinned(cores, command), environment)

    def ready_within(self, seconds):
        """Waits longer than a test would: an RPZ takes minutes to load."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                return self.wait_ready()
            except AssertionError:
                if not self.is_running() or time.monotonic() > deadline:
                    raise

    def ask(self, name, timeout=5):
        """The addresses that a client is given for a name."""
        query = dns.message.make_query(name, "A")
        answer = dns.query.udp(query, self.address, timeout=timeout, port=self.port)
        return [address.to_text() for rrset in answer.answer for address in rrset]

    def policy_within(self, seconds, query):
        """Waits until a name that is to be blocked is: BIND answers before it has read its RPZ."""
        name, _, expected = query
        deadline = time.monotonic() + seconds
        while True:
            try:
                if self.ask(name) == [expected]:
                    return
            except dns.exception.Timeout:
                pass
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.name}: {name} is not blocked after {seconds} s")
            time.sleep(0.1)

    @property
    def cpu_seconds(self):
        """Of all its threads, used so far."""
        text = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii")
        fields = text.rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    @property
    def voluntary_switches(self):
        """How often its threads waited, for packets or for each other."""
        total = 0
        for status in Path(f"/proc/{self.process.pid}/task").glob("*/status"):
            text = status.read_text(encoding="ascii")
            total += int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", text, re.M)[1])
        return total

    def memory(self, shared=()):
        """Octets of (private memory, resident pages of the files in `shared`).

        The pages of a file that this process alone has mapped count as private in
        /proc/PID/smaps_rollup, though they are the page cache's and freed when memory is short. So
        the maps of the store and of the range database are counted apart.
        """
        private = files = 0
        inside = False
        with open(f"/proc/{self.process.pid}/smaps", encoding="utf-8") as file:
            for line in file:
                key, *rest = line.split()
                if not key.endswith(":"):
                    inside = len(rest) > 4 and any(rest[4].startswith(str(p)) for p in shared)
                elif inside and key == "Rss:":
                    files += int(rest[0]) * 1024
                elif not inside and key in ("Private_Clean:", "Private_Dirty:"):
                    private += int(rest[0]) * 1024
        return private, files


class Upstream(Daemon):
    """NSD with one zone, the root's."""

    def __init__(self, directory, zone, cores=LOAD_CORES):
        self.port = free_port()
        conf = directory / "nsd.conf"
        conf.write_text(
            "server:\n"
            f"  ip-address: 127.0.0.1@{self.port}\n"
            '  username: ""\n  chroot: ""\n  database: ""\n'
            f'  zonesdir: "{directory}"\n  pidfile: "{directory}/nsd.pid"\n'
            f'  xfrdfile: "{directory}/xfrd.state"\n  xfrdir: "{directory}"\n'
            f'  zonelistfile: "{directory}/zone.list"\n'
            "  server-count: 1\n  rrl-ratelimit: 0\n  verbosity: 0\n"
            "remote-control:\n  control-enable: no\n"
            f'zone:\n  name: "."\n  zonefile: "{zone}"\n',
            encoding="utf-8",
        )
        program = find_program("ICP_NSD", "nsd")
        super().__init__(directory, "nsd", cores, [program, "-d", "-c", conf])


class Unbound(Daemon):
    """rpz: path of the zone; module and icpgate_conf: with the gate; neither: plain."""

    kind = "Unbound"

    def __init__(
        self,
        directory,
        upstream,
        cores=DAEMON_CORES,
        threads=1,
        rpz=None,
        module=None,
        icpgate_conf=None,
        wrapper=(),
        environment=None,
    ):
        self.port = free_port()
        chain = "validator iterator"
        log = ""
        end = []
        if rpz:
            chain = f"respip {chain}"
            # It has a line for every answer that an address of the RPZ changes, and no way to be
            # without: at least they are not written to a disk.
            log = "/dev/null"
            end = ["rpz:", '  name: "rpz.example."', f'  zonefile: "{rpz}"']
        if module:
            chain = f"dynlib {chain}"
            end = ["dynlib:", f'  dynlib-file: "{module}"']
        lines = [
            "server:",
            "  interface: 127.0.0.1",
            f"  port: {self.port}",
            f"  num-threads: {threads}",
            f'  module-config: "{chain}"',
            '  chroot: ""',
            '  username: ""',
            f'  directory: "{directory}"',
            f'  pidfile: "{directory}/unbound.pid"',
            "  use-syslog: no",
            f'  logfile: "{log}"',
            "  do-ip6: no",
            "  do-not-query-localhost: no",
            "  msg-cache-size: 256m",
            "  rrset-cache-size: 256m",
            "remote-control:",
            "  control-enable: no",
            "forward-zone:",
            '  name: "."',
            f"  forward-addr: 127.0.0.1@{upstream.port}",
            *end,
        ]
        conf = directory / "unbound.conf"
        conf.write_text("\n".join(lines) + "\n", encoding="utf-8")
        command = [*wrapper, find_program("ICP_UNBOUND", "unbound"), "-d", "-c", conf]
        settings = {"ICPGATE_CONF": str(icpgate_conf), **(environment or {})}
        super().__init__(directory, "unbound", cores, command, settings)


class Bind(Daemon):
    """BIND 9, one worker thread."""

    kind = "BIND"

    def __init__(self, directory, upstream, rpz=None):
        self.port = free_port()
        policy = zone = ""
        if rpz:
            policy = 'response-policy { zone "rpz.example" log no; } qname-wait-recurse no;\n'
            zone = f'zone "rpz.example" {{ type primary; file "{rpz}"; }};\n'
        conf = directory / "named.conf"
        conf.write_text(
            "options {\n"
            f'directory "{directory}";\npid-file "{directory}/named.pid";\n'
            f'session-keyfile "{directory}/session.key";\n'
            f'managed-keys-directory "{directory}";\n'
            f"listen-on port {self.port} {{ 127.0.0.1; }};\nlisten-on-v6 {{ none; }};\n"
            f"forward only;\nforwarders {{ 127.0.0.1 port {upstream.port}; }};\n"
            "recursion yes;\ndnssec-validation no;\nallow-query { any; };\n"
            "max-cache-size 512M;\n"
            f"{policy}}};\ncontrols {{ }};\n{zone}",
            encoding="utf-8",
        )
        program = find_program("ICP_NAMED", "named")
        libraries = next(program.parents[1].glob("lib/*-linux-gnu"), "")
        command = [program, "-g", "-n", "1", "-c", conf]
        super().__init__(
            directory, "named", DAEMON_CORES, command, {"LD_LIBRARY_PATH": str(libraries)}
        )


class Recursor(Daemon):
    """PowerDNS Recursor, one worker thread."""

    kind = "PowerDNS Recursor"

    def __init__(self, directory, upstream, rpz=None):
        self.port = free_port()
        lines = [
            "local-address=127.0.0.1",
            f"local-port={self.port}",
            f"socket-dir={directory}",
            "daemon=no",
            "disable-syslog=yes",
            "quiet=yes",
            "loglevel=3",
            "threads=1",
            "dnssec=off",
            f"forward-zones-recurse=.=127.0.0.1:{upstream.port}",
            "dont-query=",
            "any-to-tcp=no",
            "max-cache-entries=1000000",
            "max-packetcache-entries=1000000",
            "statistics-interval=0",
            "security-poll-suffix=",
        ]
        if rpz:
            script = directory / "rpz.lua"
            script.write_text(f'rpzFile("{rpz}", {{policyName="rpz.example"}})\n', encoding="ascii")
            lines.append(f"lua-config-file={script}")
        conf = directory / "recursor.conf"
        conf.write_text("\n".join(lines) + "\n", encoding="ascii")
        program = find_program("ICP_PDNS_RECURSOR", "pdns_recursor")
        command = [program, f"--config-dir={directory}"]
        super().__init__(directory, "pdns_recursor", DAEMON_CORES, command)


class Dnsperf:
    """The load: names are asked over and over, as fast as answers come."""

    def __init__(self, directory, queries):
        """queries: {name of the file: [query]}; they are asked in the order given."""
        self.files = {}
        for name, asked in queries.items():
            path = directory / f"queries-{name}"
            lines = "".join(f"{query[0]} A\n" for query in asked)
            path.write_text(lines, encoding="ascii")
            self.files[name] = path

    def run(self, port, name, *limits):
        """What dnsperf says: {"answers", "lost", "seconds", "rate"}. limits: its -l or -n."""
        command = ["dnsperf", "-s", "127.0.0.1", "-p", port, "-d", self.files[name]]
        command += ["-c", "4", "-T", "1", "-q", "200", "-t", "5", *limits]
        done = subprocess.run(
            pinned(LOAD_CORES, command), capture_output=True, encoding="utf-8", check=False
        )
        if done.returncode != 0:
            raise RuntimeError(f"dnsperf: {done.stdout}{done.stderr}")

        def number(title):
            return float(re.search(rf"{title}:\s+([\d.]+)", done.stdout)[1])

        return {
            "answers": number("Queries completed"),
            "lost": number("Queries lost"),
            "seconds": number("Run time \\(s\\)"),
            "rate": number("Queries per second"),
        }

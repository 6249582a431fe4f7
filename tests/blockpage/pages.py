# SPDX-License-Identifier: BSD-3-Clause
"""The server of the block page with a store of its own, and clients of it."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import yaml

from harness import START_SECONDS, Server, free_port, wait_until

BUILD = Path(os.environ["ICP_BUILD"]).resolve()
PROGRAM = BUILD / "blockpage" / "icpgate-blockpage"
ICPGATE = BUILD / "db-tools" / "icpgate"
LOADER = BUILD / "loader" / "icpgate-load"

NUMBER = "京ICP备11018762号-1"
HEADER = "domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses\n"
# One domain for each case; the reason is that of `icpgate lookup`.
ROWS = {
    "filed-elsewhere": f"elsewhere.cn,acloud,filed,{NUMBER},,,,",
    "transfer-expired": f"late.cn,qcloud,transfer-preapproved,{NUMBER},2026-01-01,2026-01-20,,",
    "pending": "pending.cn,qcloud,pending,,,,,",
    "transfer-cancelled": f"cancelled.cn,qcloud,transfer-cancelled,{NUMBER},,,,",
    "deregistered": f"gone.cn,qcloud,deregistered,{NUMBER},,,,",
    "rectify-overdue": f"overdue.cn,qcloud,rectifying,{NUMBER},,,2026-02-15,",
    "licence-address-mismatch": "licence.cn,qcloud,filed,京ICP证030173号,,,,192.0.2.0/28",
    "filed": f"filed.cn,qcloud,filed,{NUMBER},,,,",
}
FEED = HEADER + "".join(row + "\n" for row in ROWS.values()) + "例子.中国,qcloud,pending,,,,,\n"
HOSTS = {reason: "www." + row.split(",", 1)[0] for reason, row in ROWS.items()}
HOSTS["unfiled"] = "www.nobody.cn"
BLOCKED = [reason for reason in HOSTS if reason != "filed"]
# A word of the page's heading for each case, in both languages.
HEADINGS = {
    "unfiled": ("尚未备案", "no ICP filing"),
    "filed-elsewhere": ("接入备案", "has to be transferred"),
    "transfer-expired": ("未在规定期限内完成", "not finished in time"),
    "pending": ("正在审核", "under review"),
    "transfer-cancelled": ("取消接入", "no longer with its provider"),
    "deregistered": ("已注销", "was deleted"),
    "rectify-overdue": ("逾期未整改", "overdue"),
    "licence-address-mismatch": ("许可证", "licence"),
    "filed": ("稍后刷新", "reload"),
}
FILE_URL = "https://beian.example.cn/new?a=1&b=2"
TRANSFER_URL = "https://beian.example.cn/transfer"
CONTACT_URL = "mailto:beian@example.cn"
BLOCKED_BY = "https://www.example.cn/"


def run(*arguments):
    return subprocess.run([str(a) for a in arguments], capture_output=True, encoding="utf-8",
                          timeout=120, check=False)


def heading(page):
    return re.search(r"<h1>(.*?)</h1>", page, re.S)[1]


class Answer:
    """An answer; headers by name in lower case, each once."""

    def __init__(self, response, body):
        self.status = response.status
        self.reason = response.reason
        names = [name.lower() for name, _ in response.getheaders()]
        assert len(names) == len(set(names)), f"a header twice: {names}"
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.octets = body
        self.text = body.decode()

    def json(self):
        return json.loads(self.text)


class World:
    """A directory with a store, a configuration, and what else a server is given. The policy goes
    before what the configuration has beside the page's options; None: it is left out."""

    def __init__(self, directory, feed=FEED, policy=None, **options):
        self.directory = Path(directory)
        self.store = self.directory / "store"
        self.conf = self.directory / "icpgate.conf"
        self.port = free_port()
        self.policy = policy or {}
        self.options = {
            "listen": [f"127.0.0.1:{self.port}"],
            "provider_name": {"zh": "示例云", "en": "Example Cloud"},
            "file_url": FILE_URL, "transfer_url": TRANSFER_URL, "contact_url": CONTACT_URL,
            "blocked_by": BLOCKED_BY,
        }
        self.configure(**options)
        if feed is not None:
            self.load(feed)

    def configure(self, **options):
        """Options of None are left out."""
        self.options.update(options)
        written = {
            "store": str(self.store), "providers": ["qcloud"], "rectify_overdue": "block",
            "licence_addresses": "enforce",
            # It is not there: the page needs none.
            "ranges": {"database": str(self.directory / "none.mmdb"),
                       "provider": {"path": ["provider"]}},
            "block": {"ipv4": "203.0.113.80", "ttl": 45},
            "blockpage": {k: v for k, v in self.options.items() if v is not None},
            **self.policy,
        }
        self.conf.write_text(yaml.safe_dump({k: v for k, v in written.items() if v is not None},
                                            allow_unicode=True), encoding="utf-8")

    def load(self, feed):
        path = self.directory / "feed.csv"
        path.write_text(feed, encoding="utf-8")
        done = run(LOADER, "--store", self.store, "full", "--no-manifest", "--force", path)
        assert done.returncode == 0, done.stderr

    def delta(self, *rows):
        """The next delta: "OP,ROW" each."""
        status = json.loads(run(LOADER, "--store", self.store, "status", "--json").stdout)
        sequence = status["sequence"] + 1
        path = self.directory / f"delta{sequence}.csv"
        path.write_text("op," + HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
        digest = run("sha256sum", path).stdout.split()[0]
        Path(f"{path}.json").write_text(json.dumps(
            {"kind": "delta", "sequence": sequence, "as_of": "2026-11-25", "rows": len(rows),
             "sha256": digest}), encoding="utf-8")
        done = run(LOADER, "--store", self.store, "delta", path)
        assert done.returncode == 0, done.stderr

    def generation(self):
        return (self.store / "current").resolve()


class Page(Server):
    """icpgate-blockpage."""

    def __init__(self, world, *arguments, prefix=(), environment=None, program=PROGRAM):
        self.world = world
        self.port = world.port
        super().__init__(world.directory, "blockpage",
                         [*prefix, program, "-c", world.conf, *arguments], environment)

    def wait_ready(self):
        def listens():
            assert self.is_running(), f"it ended at start:\n{self.log}"
            return "ready" in self.log

        wait_until(listens, START_SECONDS, "it is ready")

    def stop(self):
        was_running = self.is_running()
        status = super().stop()
        # Also what a sanitizer finds, a leak too, ends it badly.
        assert not was_running or status == 0, f"exit {status}:\n{self.log[-6000:]}"
        return status

    def reload(self):
        """Returns what it says of it."""
        before = len(self.log)
        self.process.send_signal(signal.SIGHUP)
        wait_until(lambda: re.search(r"reloaded.*\n", self.log[before:]), 20, "it reloads")
        return self.log[before:]

    def ask(self, host="www.nobody.cn", path="/", method="GET", body=None, **headers):
        """One request over a connection of its own. Of headers "_" stands for "-"."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            if host is not None:
                connection.putheader("Host", host.encode() if isinstance(host, str) else host)
            for name, value in headers.items():
                connection.putheader(name.replace("_", "-"), value)
            connection.endheaders(body)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def raw(self, *pieces):
        """Sends octets and returns all that comes until the server closes."""
        with self.connect() as client:
            for piece in pieces:
                try:
                    client.sendall(piece)
                except (BrokenPipeError, ConnectionResetError):
                    break
            try:
                client.shutdown(socket.SHUT_WR)
            except OSError:
                pass
            return read_all(client)


def read_all(client):
    octets = b""
    while True:
        try:
            piece = client.recv(65536)
        except ConnectionResetError:
            return octets
        if not piece:
            return octets
        octets += piece


class OpenDirectory:
    """A directory that other users can look into, which pytest's own are not."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="icpgate-blockpage-"))
        self.path.chmod(0o755)
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path)

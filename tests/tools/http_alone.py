# SPDX-License-Identifier: BSD-3-Clause
"""The daemon's HTTP server without the daemon, and what asks it."""

import http.client
import os
import subprocess

from harness import free_port
from operator_tool import BUILD, ROWS, Place, load, write_feed

PATHS = ("/metrics", "/healthz", "/status")


def fetch(port, path="/metrics", method="GET", address="127.0.0.1", timeout=30, headers=None):
    """(status, headers, body) of one request."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request(method, path, headers=headers or {})
        response = connection.getresponse()
        return response.status, response.headers, response.read().decode()
    finally:
        connection.close()


def samples(text):
    """{name with labels: value} of a scrape."""
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines)}


class HttpAlone:
    """A process that serves what a configuration says, with a state that is given by order."""

    def __init__(self, conf, expect="listening", **environment):
        self.process = subprocess.Popen(
            [BUILD / "tests" / "tools" / "http_alone", conf], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            env={**os.environ, "UBSAN_OPTIONS": "print_stacktrace=1", **environment})
        said = self.process.stdout.readline().strip()
        assert said == expect, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        """It ends well, without a word: a sanitizer's finding, also a leak, would be one."""
        self.process.stdin.close()
        try:
            status = self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        said = self.process.stderr.read()
        self.process.stdout.close()
        self.process.stderr.close()
        assert (status, said) == (0, ""), f"{status}: {said}"

    def order(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def is_running(self):
        return self.process.poll() is None

    def open_files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


class Server:
    """A store of the test's own under a server."""

    def __init__(self, stack, directory, loaded=True, environment=None, **daemon):
        self.place = Place(directory)
        if loaded:
            write_feed(self.place.feed, ROWS)
            load(self.place.store, self.place.feed)
        self.port = free_port()
        # Nothing of this is made.
        self.conf = self.place.config(daemon={"http": f"127.0.0.1:{self.port}", **daemon})
        self.http = stack.enter_context(HttpAlone(self.conf, **environment or {}))

    def fetch(self, path="/metrics", **options):
        return fetch(self.port, path, **options)

    def samples(self):
        status, _, body = self.fetch()
        assert status == 200
        return samples(body)

    def health(self):
        """Status, and the lines without the first word's."""
        status, _, body = self.fetch("/healthz")
        first, *lines = body.splitlines()
        assert first == {200: "healthy", 503: "unhealthy"}[status]
        return status, lines

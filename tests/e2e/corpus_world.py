# SPDX-License-Identifier: BSD-3-Clause
"""The servers of the transparency test: the corpus behind three name servers, and resolvers."""

import errno
import os
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from corpus import LAME, ZONE_LEVEL, make_zones
from corpus_ask import Clock
from corpus_sign import ROOT_HOST, Signer, write_zones
from harness import NO_HINTS, Nsd, Unbound, start
from world import Site

LINES = [
    "access-control: 127.0.0.0/8 allow_snoop",
    "trust-anchor-signaling: no",
    "msg-cache-size: 64m",
    "rrset-cache-size: 64m",
    'nsid: "ascii_resolver"',
    "ede: yes",
    "edns-tcp-keepalive: yes",
]


def free_servers():
    """Loopback addresses for the name servers, and whether their port 53 is to be had."""
    for number in range(1, 255):
        servers = [f"127.53.{number}.{level}" for level in (1, 2, 3)]
        try:
            for server in servers:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                    probe.bind((server, 53))
        except OSError as error:
            if error.errno == errno.EACCES:
                return servers, False
        else:
            return servers, True
    raise AssertionError("port 53 is in use everywhere")


class Upstream:
    """The name servers. Resolvers find them by delegations from the root; where port 53 is not to
    be had, by a stub zone for each zone."""

    def __init__(self, stack, directory):
        self.zones = make_zones()
        self.servers, delegated = free_servers()
        signer = Signer(directory, self.zones)
        texts = write_zones(self.zones, self.servers, signer)
        port = 53 if delegated else None
        hosts = [
            start(stack, Nsd(directory, zones, server, port))
            for zones, server in zip(texts, self.servers)
        ]
        self.anchor = f'trust-anchor: ". DNSKEY {signer.record(".", "DNSKEY")}"'
        self.hints, self.stubs = NO_HINTS, []
        if delegated:
            self.hints = f". 3600 NS {ROOT_HOST}\n{ROOT_HOST} 3600 A {self.servers[0]}\n"
        else:
            levels = [(zone.origin, zone.level) for zone in self.zones] + [(LAME, ZONE_LEVEL)]
            for origin, level in levels:
                address = f"{hosts[level].address}@{hosts[level].port}"
                self.stubs.append((origin, f"stub-addr: {address}"))


@contextmanager
def stopped_clock(directory):
    """The clock of all resolvers that are started meanwhile."""
    shim = directory / "corpus_clock.so"
    source = Path(__file__).with_name("corpus_clock.c")
    compiler = os.environ.get("CC", "gcc").split()
    subprocess.run([*compiler, "-shared", "-fPIC", "-O1", "-o", shim, source], check=True)
    clock = Clock(directory / "clock", int(time.time()))
    with pytest.MonkeyPatch.context() as patch:
        # A sanitizer's library must be the first.
        patch.setenv("ICP_PRELOAD", f"{os.environ.get('ICP_PRELOAD', '')} {shim}".strip())
        patch.setenv("ICP_CLOCK", str(clock.path))
        yield clock


class Resolvers:
    """Starts resolvers that differ in nothing but the module."""

    def __init__(self, stack, directory, upstream, lines, validating=True):
        self.stack = stack
        self.directory = directory
        self.upstream = upstream
        self.lines = [*LINES, upstream.anchor, *lines]
        self.chain = "validator iterator" if validating else "iterator"

    def start(self, name, module, conf):
        home = self.directory / name
        home.mkdir(exist_ok=True)
        upstream = self.upstream
        chain = self.chain if module is None else f"dynlib {self.chain}"
        lines = [*self.lines, f'module-config: "{chain}"']
        unbound = Unbound(home, upstream.stubs, module, conf, lines, hints=upstream.hints)
        return start(self.stack, unbound)

    def plain(self, name="plain"):
        return self.start(name, None, "/nonexistent")

    def gated(self, name, commands, module, rows, ranges, changes):
        home = self.directory / name
        home.mkdir()
        site = Site(commands, home, rows, changes)
        commands.compile_ranges(home, ranges)
        site.load()
        return self.start(name, module, site.conf)

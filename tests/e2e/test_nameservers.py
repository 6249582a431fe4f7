# SPDX-License-Identifier: BSD-3-Clause
"""The resolver itself needs the real addresses of name servers, also of blocked ones."""

import socket
from contextlib import ExitStack

import pytest

from harness import OWN_NET, Nsd, Unbound, start
from world import (
    ABROAD,
    OURS,
    SECOND_SERVER,
    Site,
    assert_blocked,
    assert_passed,
    row,
    zone,
)

ROOT_SERVER, CHILD_SERVER = f"{OWN_NET}.1", f"{OWN_NET}.2"


@pytest.fixture(scope="module")
def unbound(tmp_path_factory, commands, module):
    """The zones asked-first.com and asked-last.com are served by hosts with blocked names."""
    directory = tmp_path_factory.mktemp("nameservers")
    site = Site(commands, directory, [row("www.asked-first.com"), row("www.asked-last.com")])
    site.load()
    cn = [f"ns{number}.hidden A {SECOND_SERVER}" for number in (1, 2)]
    children = ["www A " + OURS, "bare A " + OURS, "abroad A " + ABROAD]
    with ExitStack() as stack:
        first = start(stack, Nsd(directory, {"cn": zone("cn", cn)}))
        zones = {name: zone(name, children) for name in ("asked-first.com", "asked-last.com")}
        second = start(stack, Nsd(directory, zones, SECOND_SERVER))
        stubs = [
            ("cn", f"stub-addr: 127.0.0.1@{first.port}"),
            ("asked-first.com", f"stub-host: ns1.hidden.cn@{second.port}"),
            ("asked-last.com", f"stub-host: ns2.hidden.cn@{second.port}"),
        ]
        yield start(stack, Unbound(directory, stubs, module, site.conf))


@pytest.mark.parametrize(
    ("host", "apex", "client_first"),
    [("ns1.hidden.cn", "asked-first.com", True), ("ns2.hidden.cn", "asked-last.com", False)],
)
def test_zone_served_by_a_blocked_host(unbound, host, apex, client_first):
    if client_first:
        assert_blocked(unbound.ask(host), host)
    for _ in range(2):
        assert_passed(unbound.ask(f"www.{apex}"), [OURS])
        assert_passed(unbound.ask(f"abroad.{apex}"), [ABROAD])
        assert_blocked(unbound.ask(f"bare.{apex}"), f"bare.{apex}")
        assert_blocked(unbound.ask(host), host)


def test_delegation_to_a_blocked_host(tmp_path, commands, module):
    """The same with real delegations and glue, which need port 53."""
    for address in (ROOT_SERVER, CHILD_SERVER):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.bind((address, 53))
        except OSError as error:
            pytest.skip(f"port 53 of {address}: {error.strerror}; delegations can't be tried")
    glue = "A " + CHILD_SERVER
    root = ["glued.cn NS ns.glued.cn", "ns.glued.cn " + glue, "far.cn NS ns.glued.cn"]
    hosts = ["www A " + OURS, "bare A " + OURS]
    children = {
        "glued.cn": zone("glued.cn", hosts, ("ns", glue)),
        "far.cn": zone("far.cn", hosts, ("ns.glued.cn.", None)),
    }
    site = Site(commands, tmp_path, [row("www.glued.cn"), row("www.far.cn")])
    # The name servers stand at mainland addresses of ours.
    ranges = [(f"{OWN_NET}.0/24", "CN", "qcloud"), ("192.0.2.0/24", "CN", "qcloud")]
    commands.compile_ranges(tmp_path, ranges)
    site.load()
    root_zone = zone(".", root, ("a.root", "A " + ROOT_SERVER))
    hints = f". 3600 NS a.root.\na.root. 3600 A {ROOT_SERVER}\n"
    with ExitStack() as stack:
        start(stack, Nsd(tmp_path, {".": root_zone}, ROOT_SERVER, 53))
        start(stack, Nsd(tmp_path, children, CHILD_SERVER, 53))
        unbound = start(stack, Unbound(tmp_path, [], module, site.conf, hints=hints))
        for _ in range(2):
            for apex in ("glued.cn", "far.cn"):
                assert_passed(unbound.ask(f"www.{apex}"), [OURS])
                assert_blocked(unbound.ask(f"bare.{apex}"), f"bare.{apex}")
            assert_blocked(unbound.ask("ns.glued.cn"), "ns.glued.cn")

# SPDX-License-Identifier: BSD-3-Clause
"""The resolver itself needs the real addresses of name servers, also of blocked ones."""

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dns.rcode
import pytest

from delegations import skip_without_port_53
from harness import OWN_NET, HoldingRelay, Nsd, Unbound, start, wait_until
from world import (
    ABROAD,
    OURS,
    SECOND_SERVER,
    Site,
    addresses,
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
    skip_without_port_53(ROOT_SERVER, CHILD_SERVER)
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


class ZoneServer:
    """Serves a zone file over HTTP, and remembers how often it was asked."""

    def __init__(self, address, port, text):
        outer = self
        self.asked = 0

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.asked += 1
                self.send_response(200)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer((address, port), Handler)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def wait_ready(self):
        """It listens as soon as it is made."""

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def test_a_zone_is_fetched_from_a_blocked_host(tmp_path, commands, module):
    """Also while a client asks for the host: there is one answer for both, and neither gets the other's."""
    host, page = f"{OWN_NET}.9", f"{OWN_NET}.80"
    text = zone("fetched.com", ["www A " + ABROAD])
    with ExitStack() as stack:
        real = start(stack, ZoneServer(host, 0, text.encode("ascii")))
        lure = start(stack, ZoneServer(page, real.port, b""))
        server = start(stack, Nsd(tmp_path, {"cn": zone("cn", ["primary A " + host])}))
        relay = start(stack, HoldingRelay(server))
        site = Site(commands, tmp_path, [], {"block": {"ipv4": page}})
        commands.compile_ranges(tmp_path, [(f"{OWN_NET}.0/24", "CN", "qcloud")])
        site.load()
        relay.hold(name="primary.cn")
        lines = ["auth-zone:", "  name: fetched.com", f"  url: http://primary.cn:{real.port}/zone"]
        stubs = [("cn", f"stub-addr: 127.0.0.1@{relay.port}")]
        unbound = start(stack, Unbound(tmp_path, stubs, module, site.conf, lines))
        wait_until(relay.held, 20, "the resolver looks the host up")
        with ThreadPoolExecutor() as pool:
            asked = pool.submit(unbound.ask, "primary.cn")
            waits = "total.requestlist.current.user=1\n"
            wait_until(lambda: waits in unbound.control("stats_noreset"), 20, "the client waits")
            relay.release()
            assert asked.result().rcode() == dns.rcode.SERVFAIL
        assert addresses(unbound.ask("primary.cn")) == [page]
        before = len(relay.asked)
        unbound.control("auth_zone_transfer", "fetched.com")
        wait_until(lambda: addresses(unbound.ask("www.fetched.com")) == [ABROAD], 20, "the zone is there")
        assert addresses(unbound.ask("primary.cn")) == [page]
        assert len(relay.asked) == before
        assert real.asked and not lure.asked

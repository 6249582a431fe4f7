# SPDX-License-Identifier: BSD-3-Clause
"""What the module counts, as icpgate stat shows it."""

import json
import socket

import dns.message
import dns.query
import pytest

from harness import wait_until
from world import ABROAD, BLOCK4, OURS, addresses, row

CN = [
    *["filed A " + OURS, "filed HTTPS 1 . ipv4hint=" + OURS, "abroad A " + ABROAD],
    *["unfiled A " + OURS, "a.unfiled A " + OURS, "b.unfiled A " + OURS, "rare A " + OURS],
    *["mail MX 10 unfiled.cn.", f"mixed A {OURS}", f"mixed A {ABROAD}", 'filed TXT "words"'],
]
ROWS = [row("filed.cn")]
DEADLINE = 60


def stat(world):
    commands = world.site.commands
    done = commands.run(commands.icpgate, "-c", world.site.conf, "stat", "--json")
    return json.loads(done.stdout)


def counted(world):
    """The numbers that are not 0, and the domains."""
    found = stat(world)
    judged = {(verdict, reason): number for verdict, reasons in found["judgements"].items()
              for reason, number in reasons.items() if number}
    counters = {key: number for key, number in found["counters"].items() if number}
    domains = {entry["domain"]: entry["count"] for entry in found["blocked_domains"]["domains"]}
    return judged, counters, domains


def test_verdicts_and_answers_are_counted(start_world):
    with start_world(cn=CN, rows=ROWS, server_lines=["minimal-responses: no"]) as world:
        assert counted(world) == ({}, {}, {})
        assert addresses(world.ask("filed.cn")) == [OURS]
        assert addresses(world.ask("abroad.cn")) == [ABROAD]
        world.ask("filed.cn", "TXT")
        for name in ("unfiled.cn", "a.unfiled.cn", "a.unfiled.cn", "b.unfiled.cn", "rare.cn"):
            assert addresses(world.ask(name)) == [BLOCK4]
        assert not world.ask("mail.cn", "MX").additional
        judged, counters, domains = counted(world)
        assert judged == {("pass", "filed"): 1, ("pass", "not-gated"): 1, ("block", "unfiled"): 5}
        assert counters == {"served": 3, "blocked": 5, "additional_removed": 1}
        assert domains == {"unfiled.cn": 4, "rare.cn": 1}


def test_the_list_begins_anew_with_a_generation_and_the_counters_do_not(start_world):
    with start_world(cn=CN, rows=ROWS) as world:
        world.ask("unfiled.cn")
        first = stat(world)
        world.site.add(row("b.unfiled.cn"))

        def new_generation():
            world.ask("rare.cn")
            return stat(world)["generation"] != first["generation"]

        wait_until(new_generation, DEADLINE, "the new generation in use")
        judged, _, domains = counted(world)
        assert set(domains) == {"rare.cn"}
        assert judged["block", "unfiled"] > domains["rare.cn"]
        assert stat(world)["since"] >= first["since"]


def test_monitor_is_counted(start_world):
    with start_world(cn=CN, rows=ROWS, changes={"mode": "monitor"}) as world:
        assert addresses(world.ask("unfiled.cn")) == [OURS]
        judged, counters, domains = counted(world)
        assert (judged, counters) == ({("block", "unfiled"): 1}, {"monitored": 1})
        assert domains == {"unfiled.cn": 1}
        assert stat(world)["mode"] == "monitor"


def test_the_numbers_stay_when_the_resolver_ends(start_world):
    with start_world(cn=CN, rows=ROWS) as world:
        world.ask("unfiled.cn")
        assert stat(world)["counting"] is True
        world.unbound.control("reload")
        wait_until(lambda: counted(world)[0] == {}, DEADLINE, "counters from zero")
        world.ask("unfiled.cn")
        before = counted(world)
    assert counted(world) == before and stat(world)["counting"] is False
    site = world.site
    text = site.commands.run(site.commands.icpgate, "-c", site.conf, "stat").stdout
    assert "no longer counting" in text


@pytest.mark.parametrize("mode", ["enforce", "monitor"])
def test_no_client_address_is_kept(start_world, mode):
    client = "127.66.77.88"
    lines = ["access-control: 127.0.0.0/8 allow"]
    with start_world(cn=CN, rows=ROWS, changes={"mode": mode}, server_lines=lines) as world:
        for name in ("unfiled.cn", "filed.cn", "mixed.cn"):
            query = dns.message.make_query(name, "A")
            dns.query.udp(query, "127.0.0.1", 5, world.unbound.port, source=client)
        assert counted(world)[2] == {"unfiled.cn": 1, "mixed.cn": 1}
        assert client not in world.unbound.log
        for path in world.site.directory.rglob("*"):
            if path.is_file():
                content = path.read_bytes()
                assert client.encode() not in content, path
                assert socket.inet_aton(client) not in content, path

# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup --resolve with a resolver as the server: one behind the gate, and one that is
not."""

import json

import pytest

from world import ABROAD, BLOCK4, OURS, OURS2, row

RECORDS = [
    f"filed A {OURS}",
    f"unfiled A {OURS}",
    f"www.unfiled A {OURS}",
    f"abroad A {ABROAD}",
    f"other A {OURS}",
    f"hints A {ABROAD}",
    f"hints HTTPS 1 . ipv4hint={OURS}",
    "alias CNAME www.site.com.",
]
ROWS = [row("filed.cn"), row("other.cn", "acloud")]


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=RECORDS, com=[f"www.site A {OURS2}"], rows=ROWS) as running:
        yield running


def resolve(world, name, *options):
    server = f"127.0.0.1@{world.unbound.port}"
    commands = world.site.commands
    done = commands.run(commands.icpgate, "-c", world.site.conf, "lookup", *options,
                        "--resolve", server, name, expect=(0, 1))
    return done.returncode, done.stdout


def found(world, name):
    status, output = resolve(world, name, "--json")
    return status, json.loads(output)


@pytest.mark.parametrize("name, reason", [
    ("unfiled.cn", "unfiled"),
    ("www.unfiled.cn", "unfiled"),
    ("other.cn", "filed-elsewhere"),
    # The chain is dropped: the target is not seen either.
    ("alias.cn", "unfiled"),
])
def test_the_reason_comes_from_the_gate(world, name, reason):
    status, answer = found(world, name)
    assert (status, answer["cause"]) == (1, "gate")
    assert (answer["verdict"], answer["reason"]) == ("block", reason)
    resolved = answer["resolved"]
    assert (resolved["behind_gate"], resolved["gate_reason"]) == (True, reason)
    assert resolved["recursive"] is True
    assert resolved["answers"][0]["addresses"] == [BLOCK4]
    assert resolved["answers"][0]["alias"] is None
    assert [entry["address"] for entry in answer["addresses"]] == [None]


def test_text(world):
    _, shown = resolve(world, "unfiled.cn")
    assert (f"Cause: the gate blocks it. 127.0.0.1@{world.unbound.port} is behind the gate and "
            "answered the block page (unfiled); the real addresses can't be seen through it.\n"
            ) in shown


@pytest.mark.parametrize("name, cause, addresses", [
    ("filed.cn", "none", [OURS]),
    ("abroad.cn", "out-of-scope", [ABROAD]),
    ("nosuch.cn", "no-address", []),
])
def test_what_the_gate_lets_pass_is_seen(world, name, cause, addresses):
    status, answer = found(world, name)
    assert (status, answer["cause"]) == (0, cause)
    assert [entry["address"] for entry in answer["addresses"]] == addresses
    assert answer["resolved"]["behind_gate"] is False


def test_a_gate_without_ede(start_world):
    with start_world(cn=RECORDS, rows=ROWS, changes={"block": {"ede": "none"}}) as world:
        _, answer = found(world, "unfiled.cn")
        assert (answer["cause"], answer["resolved"]["gate_reason"]) == ("gate", None)
        assert answer["resolved"]["behind_gate"] is True


def test_a_resolver_in_monitor_mode_shows_the_addresses(start_world):
    with start_world(cn=RECORDS, com=[f"www.site A {OURS2}"], rows=ROWS,
                     changes={"mode": "monitor"}) as world:
        status, answer = found(world, "alias.cn")
        assert (status, answer["verdict"], answer["cause"]) == (1, "block", "none")
        assert [entry["address"] for entry in answer["addresses"]] == [OURS2]
        assert answer["resolved"]["answers"][0]["alias"] == "www.site.com"
        _, answer = found(world, "hints.cn")
        assert [entry["address"] for entry in answer["addresses"]] == [ABROAD, OURS]

# SPDX-License-Identifier: BSD-3-Clause
"""Ways that unbound-control opens: flush, reload, dump and load."""

import re
import subprocess

import dns.exception

from harness import wait_until
from leak_checks import (
    AFTER_LEASE,
    SERVED,
    clock_to,
    control,
    expect_any_blocked,
    expect_nodata,
    expect_records,
    forbid,
)
from leak_world import Own, Sockets
from leaks import way
from world import ABROAD, ZONE_TTL, assert_passed

CONTROL = "unbound-control flush"

MIX = {
    "cn": [
        *["cold A {secret:cold}", "cold AAAA {secret6}", "svc HTTPS 1 . ipv4hint={secret}"],
        *["alias CNAME cold", "far A {abroad}", "falls A {secret:falls}", "mx MX 10 cold"],
        *["bare HTTPS 1 . alpn=h2", "bare A {secret}", "far HTTPS 1 . ipv4hint={abroad}"],
        *["mx MX 20 far", "out CNAME cold.{com}.", "ok A {real}"],
    ],
    "com": ["cold A {secret}"],
    "org": ["cold A {secret}"],
    "filed": ["ok", "falls"],
}
BLOCKED = ("cold", "alias", "bare", "out", "cold.{com}.", "cold.{org}.")


def ask_for_all(probe, falls=True):
    """falls: whether that name is permitted"""
    for name in BLOCKED:
        probe.expect_blocked(name)
        probe.expect_blocked(name, cd=True)
    probe.expect_blocked("cold", "AAAA")
    for name in ("svc", "bare"):
        expect_nodata(probe, name)
    expect_any_blocked(probe, "cold")
    assert probe.ask("mx", "MX").answer
    probe.expect_real("ok")
    probe.expect_real("far", addresses=[ABROAD])
    expect_records(probe, "far", "HTTPS", [f"1 . ipv4hint={ABROAD}"])
    if falls:
        probe.expect_real("falls", addresses=[probe.address("falls")])
    else:
        probe.expect_blocked("falls")


def asked_upstream(probe):
    return len(probe.world.relay.asked)


@way(CONTROL, "flush", own=Own(server=["minimal-responses: no"]), **MIX)
def flush(probe):
    ask_for_all(probe)
    before = asked_upstream(probe)
    name = probe.way.full_name
    commands = [
        *[("flush", name(each)) for each in BLOCKED],
        *[("flush_type", name("cold"), "A"), ("flush_type", name("svc"), "HTTPS")],
        *[("flush_zone", name("@")), ("flush_zone", "cn."), ("flush_zone", ".")],
        *[("flush_bogus",), ("flush_negative",), ("flush_infra", "all"), ("flush_requestlist",)],
    ]
    for command in commands:
        control(probe, *command)
        ask_for_all(probe)
    assert asked_upstream(probe) > before


def reload(probe, command="reload"):
    """Waits until the resolver is up again, and learns anew which thread has which socket."""
    unbound = probe.world.unbound
    starts = unbound.log.count("start of service")
    control(probe, command)
    wait_until(lambda: unbound.log.count("start of service") > starts, 60, "it is up again")

    def answers():
        try:
            return unbound.ask("localhost.", timeout=0.3)
        except dns.exception.Timeout:
            return None

    wait_until(answers, 60, "it answers")
    probe.world.sockets.close()
    probe.world.sockets = Sockets(unbound, probe.world.variant.threads)


@way(CONTROL, "reload, reload_keep_cache", own=Own(server=["minimal-responses: no"]), **MIX)
def reloads(probe):
    ask_for_all(probe)
    for command in ("reload_keep_cache", "reload", "reload_keep_cache"):
        reload(probe, command)
        before = asked_upstream(probe)
        ask_for_all(probe)
        if command == "reload":
            assert asked_upstream(probe) > before
    before = asked_upstream(probe)
    forbid(probe, "falls")
    reload(probe, "reload_keep_cache")
    ask_for_all(probe, falls=False)
    # All is cached but for what no answer is cached of.
    asked = set(probe.world.relay.asked[before:])
    assert (probe.way.full_name("far"), "A") not in asked
    assert (probe.way.full_name("cold"), "A") not in asked


def configuration_without_module(text):
    text = re.sub(r'^dynlib:\n  dynlib-file: ".*"\n', "", text, flags=re.M)
    return text.replace('module-config: "dynlib ', 'module-config: "')


def ask_before(probe):
    """Fills the cache; what is answered does not count, nobody is to block it."""
    for name in (*BLOCKED, "ok", "far", "falls", "svc", "mx", "bare"):
        for rdtype in ("A", "AAAA", "HTTPS", "ANY", "MX"):
            for cd in (False, True):
                response = probe.world.unbound.ask(probe.way.full_name(name), rdtype, cd=cd)
                if (name, rdtype) == ("cold", "A"):
                    assert_passed(response, [probe.address("cold")])


def add_the_module(probe):
    """The resolver runs without it, fills its cache, and gets it by reload_keep_cache."""
    conf = probe.world.unbound.conf
    whole = conf.read_text(encoding="utf-8")
    conf.write_text(configuration_without_module(whole), encoding="utf-8")
    reload(probe)
    for _ in range(2):
        ask_before(probe)
    conf.write_text(whole, encoding="utf-8")
    reload(probe, "reload_keep_cache")
    before = asked_upstream(probe)
    for _ in range(2):
        ask_for_all(probe)
    asked = set(probe.world.relay.asked[before:])
    assert (probe.way.full_name("far"), "A") not in asked
    assert (probe.way.full_name("cold"), "A") not in asked


@way(
    CONTROL,
    "the module added by reload_keep_cache",
    own=Own(server=["minimal-responses: no"]),
    **MIX,
)
def module_added(probe):
    add_the_module(probe)


@way(
    CONTROL,
    "the module added by reload_keep_cache, with serve-expired",
    own=Own(server=["minimal-responses: no", *SERVED]),
    **MIX,
)
def module_added_stale(probe):
    add_the_module(probe)


def load_cache(probe, dump):
    unbound = probe.world.unbound
    command = [unbound.program.with_name("unbound-control"), "-c", unbound.conf, "load_cache"]
    done = subprocess.run(command, input=dump, capture_output=True, encoding="utf-8", check=True)
    assert done.stdout == "ok\n"


def dump_and_load(probe, stale=False):
    """A dump of what the module let into the cache; a name is blocked before it is loaded.

    stale: what is loaded may be served once more, after the lease: a limit, told in the
    documentation, as load_cache gives each message a life of serve-expired-ttl
    """
    clock_to(probe, 0)
    ask_for_all(probe)
    dump = control(probe, "dump_cache")
    name = probe.way.full_name
    assert f"msg {name('falls')} IN A " in dump
    if probe.has_module:
        assert f"msg {name('cold')} IN A " not in dump
    forbid(probe, "falls")
    clock_to(probe, AFTER_LEASE)
    ask_for_all(probe, falls=False)
    load_cache(probe, dump)
    # For the length of a lease it may be served.
    falls = [probe.address("falls")]
    probe.ask("falls", allowed=falls if probe.has_module else [])
    for name in BLOCKED:
        probe.expect_blocked(name)
    clock_to(probe, 2 * AFTER_LEASE)
    if stale and probe.has_module:
        probe.ask("falls", allowed=falls)
    for _ in range(2):
        ask_for_all(probe, falls=False)
    # And a reload after the dump.
    reload(probe)
    load_cache(probe, dump)
    clock_to(probe, 3 * AFTER_LEASE)
    if stale and probe.has_module:
        probe.ask("falls", allowed=falls)
    for _ in range(2):
        ask_for_all(probe, falls=False)


DUMPED = ["minimal-responses: no"]


@way(CONTROL, "dump_cache and load_cache", own=Own(clock=True, server=DUMPED), **MIX)
def dumped(probe):
    dump_and_load(probe)


@way(
    CONTROL,
    "dump_cache and load_cache, with serve-expired (a limit, see the documentation)",
    own=Own(clock=True, server=[*DUMPED, *SERVED]),
    **MIX,
)
def dumped_stale(probe):
    dump_and_load(probe, stale=True)


@way(
    CONTROL,
    "a dump written without the module (a limit, see the documentation)",
    own=Own(clock=True, server=DUMPED),
    **MIX,
)
def dumped_elsewhere(probe):
    """It brings in messages that nobody judged: a limit, told in the documentation. It ends with
    their TTL."""
    if probe.has_module:
        conf = probe.world.unbound.conf
        whole = conf.read_text(encoding="utf-8")
        conf.write_text(configuration_without_module(whole), encoding="utf-8")
        reload(probe)
        ask_before(probe)
        dump = control(probe, "dump_cache")
        conf.write_text(whole, encoding="utf-8")
        reload(probe)
        load_cache(probe, dump)
        ask_before(probe)
        clock_to(probe, ZONE_TTL + 10)
    ask_for_all(probe)

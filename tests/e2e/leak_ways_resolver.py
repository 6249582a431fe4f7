# SPDX-License-Identifier: BSD-3-Clause
"""Ways of what the resolver asks for itself: name servers, keys, priming, prefetches."""

import contextlib

from delegations import skip_without_port_53
from harness import OWN_NET, Nsd, Unbound, start, wait_until
from leak_world import (
    LeakWorld,
    Own,
    Zones,
    begin,
    running_sockets,
    usual_lines,
    wait_until_it_answers,
)
from leaks import refused, way
from signing import ds_text, sign_zone, trust_anchor
from world import ABROAD, LEASE, LOOK, SECOND_SERVER, ZONE_TTL, Site, row, zone

SUB_QUERIES = "sub-queries"
PREFETCH = "prefetch"
AFTER_LEASE = LEASE + LOOK
ROOT_SERVER, CHILD_SERVER, FAR_SERVER = (f"{OWN_NET}.{number}" for number in (1, 2, 3))


# Sub-queries: name server addresses, DS/DNSKEY, priming

HOSTED = {
    "cn": ["host A " + SECOND_SERVER, "host AAAA {secret6}"],
    "com": ["www A {real}", "bare A {secret}", "far A {abroad}", "@ A {secret}"],
    "filed": ["www.{com}."],
    "secrets": {"host": SECOND_SERVER},
    "own": Own(com_host="host.{cn}"),
}


def ask_the_host(probe):
    for how in ({}, {"cd": True}, {"do": True}):
        probe.expect_blocked("host", **how)
        probe.expect_blocked("host", "AAAA", **how)
        probe.ask("host", via="snoop", rd=False, **how)


def ask_the_hosted(probe):
    probe.expect_real("www.{com}.")
    probe.expect_real("far.{com}.", addresses=[ABROAD])
    # The apex has a DNSKEY further up, and a DS query is made for it.
    for name in ("bare.{com}.", "{com}."):
        probe.expect_blocked(name)
    probe.ask("{com}.", "DS")
    probe.ask("com.", "DNSKEY")


@way(SUB_QUERIES, "a blocked host of a zone, asked for by clients first", **HOSTED)
def blocked_host_asked_first(probe):
    for _ in range(2):
        ask_the_host(probe)
        ask_the_hosted(probe)


@way(SUB_QUERIES, "a blocked host of a zone, looked up by the resolver first", **HOSTED)
def blocked_host_asked_last(probe):
    for _ in range(2):
        ask_the_hosted(probe)
        ask_the_host(probe)


def delegated_zones(way, zones):
    """The zones of each server: a root, a signed zone with glue, and two whose servers' addresses
    have to be looked up: far in a zone beside, and then one in that."""
    top = f"{way.key}.cn"
    hosts = [zones.fill(way, line) for line in way.cn]
    root = [
        *[f"glued.{top} NS ns.glued.{top}", f"ns.glued.{top} A {CHILD_SERVER}"],
        *[f"glued.{top} DS {ds_text(f'glued.{top}.')}", f"far.{top} NS ns.glued.{top}"],
        *[f"deep.{top} NS ns.far.{top}", f"deep.{top} DS {ds_text(f'deep.{top}.')}"],
        f"cold.{top} A {zones.secret(way, 'secret', 'root')}",
    ]
    glued = zone(f"glued.{top}", hosts, ("ns", "A " + CHILD_SERVER))
    far = zone(f"far.{top}", [*hosts, "ns A " + FAR_SERVER], (f"ns.glued.{top}.", None))
    deep = zone(f"deep.{top}", hosts, (f"ns.far.{top}.", None))
    return {
        ROOT_SERVER: {".": sign_zone(zone(".", root, ("a.root", "A " + ROOT_SERVER)), ".")},
        CHILD_SERVER: {
            f"glued.{top}": sign_zone(glued, f"glued.{top}."),
            f"far.{top}": far,
        },
        FAR_SERVER: {f"deep.{top}": sign_zone(deep, f"deep.{top}.")},
    }


@contextlib.contextmanager
def delegated_world(setup, variant, way):
    """Real delegations from a root, and name servers at mainland addresses of ours."""
    skip_without_port_53(ROOT_SERVER, CHILD_SERVER, FAR_SERVER)
    zones = Zones([way])
    directory = setup.tmp_path_factory.mktemp("leaks")
    top = f"{way.key}.cn"
    rows = [row(f"www.{child}.{top}") for child in ("glued", "far", "deep")]
    site = Site(setup.commands, directory, rows)
    ranges = [(f"{OWN_NET}.0/24", "CN", "qcloud"), ("192.0.2.0/24", "CN", "qcloud")]
    setup.commands.compile_ranges(directory, ranges)
    site.load()
    lines = usual_lines(variant, anchors=[])
    lines += [trust_anchor(".")] if variant.validation else []
    # More sub-queries than the other worlds allow.
    lines += ['target-fetch-policy: "3 2 1 0 0"']
    hints = f". 3600 NS a.root.\na.root. 3600 A {ROOT_SERVER}\n"
    module = setup.module if variant.module else None
    with contextlib.ExitStack() as stack:
        servers = [
            begin(stack, Nsd(directory, each, address, 53))
            for address, each in delegated_zones(way, zones).items()
        ]
        unbound = begin(stack, Unbound(directory, [], module, site.conf, lines, hints=hints))
        for server in [*servers, unbound]:
            wait_until_it_answers(server)
        world = LeakWorld(variant, directory, site, None, unbound, zones.secrets, None, None)
        with running_sockets(world):
            yield world


DELEGATED = {
    "cn": ["@ A {secret:apex}", "www A {real}", "bare A {secret:bare}", "far A {abroad}"],
    "secrets": {"root": ROOT_SERVER, "ns.glued": CHILD_SERVER, "ns.far": FAR_SERVER},
    "world": delegated_world,
}


def ask_the_delegated(probe, children):
    top = f"{probe.way.key}.cn"
    for child in children:
        apex = f"{child}.{top}."
        probe.expect_real(f"www.{apex}")
        probe.expect_real(f"far.{apex}", addresses=[ABROAD])
        probe.expect_blocked(f"bare.{apex}")
        probe.expect_blocked(apex)
        for rdtype in ("NS", "DS", "DNSKEY", "SOA"):
            assert probe.ask(apex, rdtype).rcode() == 0
            probe.ask(apex, rdtype, do=True, cd=True)
        # A referral from the cache, with glue.
        probe.ask(f"other.{apex}", via="snoop", rd=False)


def ask_their_servers(probe):
    top = f"{probe.way.key}.cn"
    for name in (f"ns.glued.{top}.", f"ns.far.{top}.", "a.root."):
        for how in ({}, {"cd": True}, {"do": True}):
            probe.expect_blocked(name, **how)
            probe.ask(name, via="snoop", rd=False, **how)
    probe.ask(".", "NS")
    probe.ask(".", "NS", via="snoop", rd=False)
    probe.ask("other.cn.", via="snoop", rd=False)


@way(SUB_QUERIES, "delegations to blocked hosts, asked for by clients first", **DELEGATED)
def delegations_asked_first(probe):
    for _ in range(2):
        ask_their_servers(probe)
        ask_the_delegated(probe, ("deep", "far", "glued"))


@way(SUB_QUERIES, "delegations to blocked hosts, looked up by the resolver first", **DELEGATED)
def delegations_asked_last(probe):
    for _ in range(2):
        ask_the_delegated(probe, ("glued", "far", "deep"))
        ask_their_servers(probe)


@refused(
    SUB_QUERIES,
    "those of harden-referral-path",
    says="harden-referral-path: yes",
    own=Own(server=["harden-referral-path: yes"]),
)
def hardened_referrals(_probe):
    """Such queries are like those of clients; of a blocked name server they would find the page."""


# Prefetch

PREFETCHED = {
    "cn": ["was A {secret:was}", "cold A {secret}", "alias CNAME cold", "ok A {real}"],
    "filed": ["was", "ok"],
    "own": Own(clock=True, server=["prefetch: yes", "prefetch-key: yes"]),
}
# In the last tenth of a TTL a query starts a prefetch.
LATE = ZONE_TTL * 95 // 100


def clock_to(probe, seconds):
    probe.world.clock.move(probe.world.unbound, seconds)


def asked_for(probe, name):
    return probe.world.relay.asked.count((probe.way.full_name(name), "A"))


@way(PREFETCH, "of names that are and stay what they are", **PREFETCHED)
def prefetch_of_the_same(probe):
    for number in range(4):
        for _ in range(2):
            for name in ("cold", "alias"):
                probe.expect_blocked(name)
                probe.expect_blocked(name, cd=True)
            probe.expect_real("ok")
            probe.expect_real("was", addresses=[probe.address("was")])
        clock_to(probe, (number + 1) * LATE)
    wait_until(lambda: asked_for(probe, "ok") > 1, 20, "a prefetch")


@way(PREFETCH, "of a name that lost its filing, before and during it", **PREFETCHED)
def prefetch_without_filing(probe):
    relay, site = probe.world.relay, probe.world.site
    was = [probe.address("was")]
    probe.expect_real("was", addresses=was)
    asked = asked_for(probe, "was")
    relay.hold(name=probe.way.full_name("was"))
    clock_to(probe, LATE)
    probe.expect_real("was", addresses=was)
    wait_until(relay.held, 20, "a prefetch")
    assert asked_for(probe, "was") > asked
    site.remove(probe.way.full_name("was").rstrip("."))
    clock_to(probe, LATE + AFTER_LEASE)
    # These may wait for it, but for no longer.
    pending = [probe.send("was", thread=thread, cd=cd) for thread in probe.threads for cd in (0, 1)]
    relay.release()
    for each in pending:
        each.response()
    for moment in (LATE + AFTER_LEASE, 2 * LATE, 2 * LATE + ZONE_TTL):
        clock_to(probe, moment)
        for _ in range(3):
            probe.expect_blocked("was")
            probe.expect_real("ok")


@way(
    PREFETCH,
    "that brings the address of a blocked name",
    org=["moves A {abroad}", "alias CNAME moves"],
    secrets={"moved": "192.0.2.250"},
    own=PREFETCHED["own"],
)
def prefetch_of_a_move(probe):
    relay, origin = probe.world.relay, f"{probe.way.key}.org"
    names = [f"moves.{origin}.", f"alias.{origin}."]
    moved = zone(origin, ["moves A " + probe.address("moved"), "alias CNAME moves"])
    with contextlib.ExitStack() as stack:
        server = start(stack, Nsd(probe.world.directory, {origin: moved}))
        for name in names:
            probe.expect_real(name, addresses=[ABROAD])
        relay.turn_to(server)
        clock_to(probe, LATE)

        def has_moved():
            """The old data are served until the new come; those are not for clients."""
            answers = [probe.ask(name).answer for name in names]
            return not any(ABROAD in rrset.to_text() for answer in answers for rrset in answer)

        wait_until(has_moved, 20, "the prefetch brings another address")
        for moment in (LATE, LATE + AFTER_LEASE, 2 * LATE, 2 * LATE + ZONE_TTL):
            clock_to(probe, moment)
            for name in names:
                probe.expect_blocked(name)
                probe.expect_blocked(name, cd=True)

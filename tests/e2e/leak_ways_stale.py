# SPDX-License-Identifier: BSD-3-Clause
"""Ways of answers whose data has expired."""

import contextlib

import dns.rcode

from harness import Nsd, start, wait_until
from leak_checks import (
    AFTER_LEASE,
    SERVED,
    STALE_TTL,
    WAITED,
    assert_fresh,
    assert_stale,
    clock_to,
    control,
    expect_any_blocked,
    expect_fresh,
    expect_nodata,
    expect_records,
    expect_stale,
    forbid,
    is_checked,
    permit,
)
from leak_world import Own
from leaks import refused, way
from world import ABROAD, BLOCK4, OURS, ZONE_TTL, addresses, zone

STALE = "serve-expired"
EXPIRED = ZONE_TTL + 10

OUTAGE = {
    "cn": [
        *["cold A {secret:cold}", "cold AAAA {secret6:cold6}", "ok A {real}", "far A {abroad}"],
        *["falls A {secret:falls}", "falls AAAA {secret6:falls6}", "rises A {secret:rises}"],
        *["alias CNAME cold", "okalias CNAME cold", "short 20 A {secret}", "ok AAAA {real6}"],
    ],
    "filed": ["ok", "falls", "okalias"],
}


def fill_the_cache(probe):
    for name in ("cold", "rises", "alias", "short"):
        probe.expect_blocked(name)
    probe.expect_blocked("cold", "AAAA")
    expect_fresh(probe, "falls", "A", [probe.address("falls")])
    expect_fresh(probe, "falls", "AAAA", [probe.address("falls6")])
    expect_fresh(probe, "okalias", addresses=[probe.address("cold")])
    expect_fresh(probe, "far", addresses=[ABROAD])
    expect_fresh(probe, "ok")


def upstream_down(probe):
    """From now on it says nothing; the resolver is not to wait for it as long as it would."""
    probe.world.relay.silent = True
    control(probe, "set_option", "infra-cache-max-rtt:", "100")


def upstream_up(probe):
    """The resolver is to forget how long it had to wait. What is under way would remind it."""
    idle = "total.requestlist.current.all=0\n"
    wait_until(lambda: idle in control(probe, "stats_noreset"), 60, "all queries have ended")
    control(probe, "set_option", "infra-cache-max-rtt:", "120000")
    control(probe, "flush_infra", "all")
    probe.world.relay.silent = False


def live_through_an_outage(probe, ttl=STALE_TTL):
    """Data expires while the upstream is silent; names become blocked and permitted meanwhile.

    ttl: of what is served stale
    """

    def stale(name, rdtype, address):
        expect_stale(probe, name, rdtype, [address], ttl)

    def falls_is_stale():
        stale("falls", "A", probe.address("falls"))
        stale("falls", "AAAA", probe.address("falls6"))

    def others_are_stale():
        stale("far", "A", ABROAD)
        stale("ok", "A", OURS)

    clock_to(probe, EXPIRED)
    upstream_down(probe)
    for _ in range(2):
        for name in ("cold", "rises", "alias", "short"):
            probe.expect_blocked(name)
        probe.expect_blocked("cold", "AAAA")
        falls_is_stale()
        stale("okalias", "A", probe.address("cold"))
        others_are_stale()
    forbid(probe, "falls", "okalias")
    permit(probe, "rises")
    for moment in (1, 2):
        clock_to(probe, EXPIRED + moment * AFTER_LEASE)
        for name in ("falls", "okalias", "cold", "alias", "short"):
            probe.expect_blocked(name)
        probe.expect_blocked("falls", "AAAA")
        stale("rises", "A", probe.address("rises"))
        others_are_stale()
    forbid(probe, "rises")
    permit(probe, "falls")
    clock_to(probe, EXPIRED + 3 * AFTER_LEASE)
    probe.expect_blocked("rises")
    falls_is_stale()


@way(STALE, "upstream down", own=Own(clock=True, server=SERVED), **OUTAGE)
def stale_at_once(probe):
    fill_the_cache(probe)
    live_through_an_outage(probe)


@way(
    STALE,
    "upstream down, with serve-expired-reply-ttl",
    own=Own(clock=True, server=[*SERVED, "serve-expired-reply-ttl: 11"]),
    **OUTAGE,
)
def stale_for_eleven_seconds(probe):
    fill_the_cache(probe)
    live_through_an_outage(probe, 11)


@way(
    STALE,
    "upstream down, with serve-expired-client-timeout",
    own=Own(clock=True, server=WAITED),
    **OUTAGE,
)
def stale_after_a_wait(probe):
    fill_the_cache(probe)
    live_through_an_outage(probe)


LEASED = {
    "cn": ["cold A {secret}", "ok A {real}", "far A {abroad}", "falls A {secret:falls}"],
    "filed": ["ok", "falls"],
}


def outlive_leases(probe):
    """Messages whose lease is over, and whose data lives: they are not stale."""
    for moment in range(3):
        clock_to(probe, moment * AFTER_LEASE)
        probe.expect_blocked("cold")
        expect_fresh(probe, "falls", addresses=[probe.address("falls")])
        expect_fresh(probe, "far", addresses=[ABROAD])
        expect_fresh(probe, "ok")
        # What has a lease does not need it.
        upstream_down(probe)
    forbid(probe, "falls")
    for moment in range(3, 6):
        clock_to(probe, moment * AFTER_LEASE)
        probe.expect_blocked("falls")
        probe.expect_blocked("cold")
        expect_fresh(probe, "far", addresses=[ABROAD])
        expect_fresh(probe, "ok")


@way(STALE, "a lease that is over, data that lives", own=Own(clock=True, server=SERVED), **LEASED)
def leased_at_once(probe):
    outlive_leases(probe)


@way(
    STALE,
    "the same, with serve-expired-client-timeout",
    own=Own(clock=True, server=WAITED),
    **LEASED,
)
def leased_after_a_wait(probe):
    outlive_leases(probe)


@way(STALE, "switched on by set_option", own=Own(clock=True, server=SERVED[1:]), **OUTAGE)
def switched_on(probe):
    fill_the_cache(probe)
    clock_to(probe, AFTER_LEASE)
    control(probe, "set_option", "serve-expired:", "yes")
    for name in ("cold", "rises", "alias", "short"):
        probe.expect_blocked(name)
    expect_fresh(probe, "ok")
    live_through_an_outage(probe)


@way(STALE, "switched off and on by set_option", own=Own(clock=True, server=SERVED), **OUTAGE)
def switched_off_and_on(probe):
    fill_the_cache(probe)
    clock_to(probe, EXPIRED)
    upstream_down(probe)
    expect_stale(probe, "ok")
    probe.expect_blocked("cold")
    control(probe, "set_option", "serve-expired:", "no")
    for name in ("ok", "cold", "alias"):
        response = probe.ask(name)
        assert response.rcode() == dns.rcode.SERVFAIL, response
    control(probe, "set_option", "serve-expired:", "yes")
    forbid(probe, "falls")
    clock_to(probe, EXPIRED + AFTER_LEASE)
    for _ in range(2):
        for name in ("falls", "rises", "short"):
            probe.expect_blocked(name)
        for name in ("cold", "alias"):
            probe.ask(name)
        expect_stale(probe, "far", addresses=[ABROAD])
        expect_stale(probe, "okalias", addresses=[probe.address("cold")])


@way(
    STALE,
    "serve-expired-ttl: 0 and serve-expired-ttl-reset: yes, by set_option",
    own=Own(clock=True, server=SERVED),
    **OUTAGE,
)
def limits_taken_away(probe):
    fill_the_cache(probe)
    control(probe, "set_option", "serve-expired-ttl:", "0")
    control(probe, "set_option", "serve-expired-ttl-reset:", "yes")
    # What is blocked needs no limit. The module sets it again as soon as a query comes to it.
    for name in ("cold", "alias", "short"):
        probe.ask(name)
    live_through_an_outage(probe)


@way(
    STALE,
    "serve-expired-ttl: 0, and a limit",
    own=Own(clock=True, server=[*SERVED, "serve-expired-ttl: 0"]),
    **OUTAGE,
)
def no_limit(probe):
    fill_the_cache(probe)
    live_through_an_outage(probe)
    clock_to(probe, 30 * 86400)
    expect_stale(probe, "ok")
    probe.expect_blocked("cold")
    control(probe, "set_option", "serve-expired-ttl:", "86400")
    clock_to(probe, 30 * 86400 + AFTER_LEASE)
    for name in ("ok", "cold", "far", "falls"):
        response = probe.ask(name)
        assert response.rcode() == dns.rcode.SERVFAIL, response


@refused(
    STALE,
    "serve-expired-ttl-reset",
    says="serve-expired-ttl-reset: yes is not supported",
    own=Own(server=["serve-expired-ttl-reset: yes"]),
)
def ttl_reset_is_refused(_probe):
    pass


SERVICES = {
    "cn": [
        *["svc HTTPS 1 . alpn=h2 ipv4hint={secret}", "bare HTTPS 1 . alpn=h2", "bare A {secret}"],
        *["ok HTTPS 1 . ipv4hint={real}", "ok A {real}", "far HTTPS 1 . ipv4hint={abroad}"],
        *["far A {abroad}", "falls HTTPS 1 . ipv4hint={secret:falls}", "falls A {secret:falls}"],
        *["mx MX 10 bare", "mx MX 20 far", "mx MX 30 falls", "all A {secret}"],
        *["okbare HTTPS 1 . alpn=h2", "okbare A {real}", "out HTTPS 0 edge.{com}."],
        "target HTTPS 0 bare",
    ],
    "com": ["edge A {secret}"],
    "filed": ["ok", "falls", "okbare"],
}


def services_in_an_outage(probe):
    real = {"ok": [f"1 . ipv4hint={OURS}"], "far": [f"1 . ipv4hint={ABROAD}"]}
    real["okbare"] = ["1 . alpn=h2"]
    falls = [probe.address("falls")]
    before = {**real, "falls": [f"1 . ipv4hint={falls[0]}"]}

    def ask_for_all(served, blocked, allowed):
        for name in ("svc", "bare", "target", "out", *blocked):
            expect_nodata(probe, name)
        for name, texts in served.items():
            yield expect_records(probe, name, "HTTPS", texts, allowed=allowed)
        probe.ask("mx", "MX", allowed=allowed)
        expect_any_blocked(probe, "all")

    for response in ask_for_all(before, (), falls):
        assert_fresh(response)
    # The data lives; that an AAAA does not exist is forgotten sooner.
    upstream_down(probe)
    for moment in (AFTER_LEASE, ZONE_TTL // 2):
        clock_to(probe, moment)
        for response in ask_for_all(before, (), falls):
            assert_fresh(response)
    clock_to(probe, EXPIRED)
    for response in ask_for_all(before, (), falls):
        assert_stale(response)
    forbid(probe, "falls")
    for moment in (1, 2):
        clock_to(probe, EXPIRED + moment * AFTER_LEASE)
        for response in ask_for_all(real, ("falls",), ()):
            assert_stale(response)


@way(
    STALE,
    "HTTPS, ANY, additional",
    own=Own(clock=True, server=[*SERVED, "minimal-responses: no"]),
    **SERVICES,
)
def stale_services(probe):
    services_in_an_outage(probe)


@way(
    STALE,
    "HTTPS, ANY, additional, with serve-expired-client-timeout",
    own=Own(clock=True, server=[*WAITED, "minimal-responses: no"]),
    **SERVICES,
)
def stale_services_after_a_wait(probe):
    services_in_an_outage(probe)


@way(
    STALE,
    "a name of an additional section that became blocked, with serve-expired-client-timeout",
    cn=["mx MX 10 falls", "mx MX 20 far", "falls A {secret:falls}", "far A {abroad}"],
    filed=["falls"],
    own=Own(clock=True, server=[*WAITED, "minimal-responses: no"]),
)
def stale_additional_after_a_wait(probe):
    """The records themselves are nobody's address, and are served stale as ever."""
    falls = [probe.address("falls")]
    probe.ask("mx", "MX", allowed=falls)
    clock_to(probe, EXPIRED)
    upstream_down(probe)
    probe.ask("mx", "MX", allowed=falls)
    forbid(probe, "falls")
    for moment in (1, 2):
        clock_to(probe, EXPIRED + moment * AFTER_LEASE)
        response = probe.ask("mx", "MX")
        assert {rrset.ttl for rrset in response.answer} == {STALE_TTL}, response


@way(
    STALE,
    "mixed: strip, with serve-expired-client-timeout",
    cn=[
        *["mixed A {secret}", "mixed A {abroad}", "falls A {secret:falls}", "falls A {abroad}"],
        *["cold A {secret}", "far A {abroad}"],
    ],
    filed=["falls"],
    own=Own(clock=True, server=WAITED, changes={"mixed": "strip"}),
)
def stripped_after_a_wait(probe):
    def expect_rest(name):
        before = len(probe.leaks)
        response = probe.ask(name)
        if is_checked(probe, before):
            assert addresses(response) == [ABROAD], response
        return response

    falls = [probe.address("falls"), ABROAD]
    for expect in (expect_fresh, expect_stale):
        expect(probe, "falls", addresses=falls)
        expect(probe, "far", addresses=[ABROAD])
        expect_rest("mixed")
        probe.expect_blocked("cold")
        clock_to(probe, EXPIRED)
        upstream_down(probe)
    forbid(probe, "falls")
    for moment in (1, 2):
        clock_to(probe, EXPIRED + moment * AFTER_LEASE)
        for name in ("mixed", "falls"):
            response = expect_rest(name)
            assert {rrset.ttl for rrset in response.answer} == {STALE_TTL}, response
        probe.expect_blocked("cold")
        expect_stale(probe, "far", addresses=[ABROAD])


@way(
    STALE,
    "the upstream comes back with other data",
    org=["moves A {secret:moves}", "comes A {abroad}", "alias CNAME comes", "ok A {real}"],
    filed=["ok.{org}."],
    secrets={"come": "192.0.2.250"},
    own=Own(clock=True, server=SERVED),
)
def upstream_comes_back(probe):
    """A blocked name has moved abroad, and a foreign one to a gated address."""
    relay, origin = probe.world.relay, f"{probe.way.key}.org"
    moves, comes, alias, ok = (f"{name}.{origin}." for name in ("moves", "comes", "alias", "ok"))
    come = probe.address("come")
    other = [f"moves A {ABROAD}", f"comes A {come}", "alias CNAME comes", f"ok A {OURS}"]

    def ask_in_the_outage(expect):
        probe.expect_blocked(moves)
        for name in (comes, alias):
            expect(probe, name, addresses=[ABROAD])
        expect(probe, ok)

    def all_say(name, address):
        return all(addresses(probe.ask(name, thread=each)) == [address] for each in probe.threads)

    with contextlib.ExitStack() as stack:
        server = start(stack, Nsd(probe.world.directory, {origin: zone(origin, other)}))
        ask_in_the_outage(expect_fresh)
        clock_to(probe, EXPIRED)
        upstream_down(probe)
        ask_in_the_outage(expect_stale)
        relay.turn_to(server)
        upstream_up(probe)
        clock_to(probe, EXPIRED + AFTER_LEASE)
        # The first to ask are served stale once more.
        for name in (comes, alias):
            address = BLOCK4 if probe.has_module else come
            wait_until(lambda: all_say(name, address), 20, f"{name} has moved")
        wait_until(lambda: all_say(moves, ABROAD), 20, f"{moves} has moved")
        for moment in (1, 2):
            clock_to(probe, EXPIRED + moment * AFTER_LEASE)
            for name in (comes, alias):
                probe.expect_blocked(name)
                probe.expect_blocked(name, cd=True)
            probe.expect_real(moves, addresses=[ABROAD])
            probe.expect_real(ok)

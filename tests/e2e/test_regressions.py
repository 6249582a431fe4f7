# SPDX-License-Identifier: BSD-3-Clause
"""What once went wrong: ways past the module, and what it costs to go through it."""

import statistics
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import dns.message
import dns.query
import dns.rcode
import pytest

from harness import Nsd, Relay, Unbound, holds_for, start, wait_until
from leak_checks import AFTER_LEASE, SERVED, assert_stale
from test_dnssec import APEX, signed_zone
from world import (
    ABROAD,
    LEASE,
    OURS,
    ZONE_TTL,
    Site,
    assert_blocked,
    assert_passed,
    ede,
    row,
    zone,
)

# An answer from the cache; that an upstream is silent is known later, at last after more than ten seconds.
AT_ONCE, SLOWEST = 0.3, 3
LONG_TTL = 3600


# Ways past the module


@pytest.fixture(scope="module")
def world(start_world):
    words = ['words TXT "words"', "words A " + ABROAD]
    aliases = ["alias CNAME words", "far-alias CNAME words.com."]
    cn = ["unfiled A " + OURS, "cold A " + OURS, *aliases, *words]
    with start_world(cn=cn, com=words) as world:
        yield world


def test_class_any_never_gives_the_address_of_a_blocked_name(world):
    assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")
    for name in ("cold.cn", "unfiled.cn"):
        for _ in range(3):
            response = world.ask(name, rdclass="ANY")
            assert OURS not in response.to_text(), name
        assert_blocked(world.ask(name), name)


def test_class_chaos_is_untouched(world):
    assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")
    for rdtype in ("A", "AAAA"):
        response = world.ask("unfiled.cn", rdtype, rdclass="CH")
        assert response.rcode() != dns.rcode.NOERROR or not response.answer
        assert (ede(response) or (0, ""))[0] != 16
    version = world.ask("version.bind", "TXT", rdclass="CH")
    assert version.answer and version.answer[0].rdclass == dns.rdataclass.CH


@pytest.mark.parametrize(
    ("target_ttl", "lease", "moments"),
    [
        # The new address takes the place of one that is still valid,
        (300, 60, (0,)),
        # or of one that has expired, while the lease of the alias was renewed shortly before.
        (15, 10, (11, 17)),
    ],
    ids=["valid", "expired"],
)
def test_lease_does_not_cover_an_address_that_changed(
    start_clocked, clock, tmp_path, target_ttl, lease, moments
):
    cn = ["www CNAME t", f"t {target_ttl} A {ABROAD}"]
    with ExitStack() as stack:
        world = stack.enter_context(start_clocked(cn=cn, changes={"lease": lease}))
        moved = Nsd(tmp_path, {"cn": zone("cn", ["www CNAME t", f"t {target_ttl} A {OURS}"])})
        start(stack, moved)
        assert_passed(world.ask("www.cn"), [ABROAD])
        *renewals, change = moments
        for moment in renewals:
            clock.move(world.unbound, moment)
            assert_passed(world.ask("www.cn"), [ABROAD])
        clock.move(world.unbound, change)
        world.relay.turn_to(moved)
        assert_blocked(world.ask("t.cn"), "t.cn")
        assert_blocked(world.ask("www.cn"), "www.cn")


def test_bogus_answer_of_a_blocked_name_is_not_fetched_again(tmp_path, commands, module):
    text, key = signed_zone()
    site = Site(commands, tmp_path, [row("filed.signed.cn")])
    site.load()
    with ExitStack() as stack:
        relay = start(stack, Relay(start(stack, Nsd(tmp_path, {APEX: text}))))
        stubs = [(APEX, f"stub-addr: 127.0.0.1@{relay.port}")]
        anchor = [f'trust-anchor: "{APEX} DNSKEY {key}"', "trust-anchor-signaling: no"]
        unbound = start(stack, Unbound(tmp_path, stubs, module, site.conf, anchor))
        for number in range(3):
            response = unbound.ask("bogus.signed.cn")
            assert response.rcode() == dns.rcode.SERVFAIL
            assert not response.answer
            if number == 0:
                asked = len(relay.asked)
                assert ("bogus.signed.cn.", "A") in relay.asked
        assert len(relay.asked) == asked


# Caching and prefetching


# QNAME minimisation asks for the A of an alias first; within a zone, the answer holds the address.
@pytest.mark.parametrize(
    ("alias", "target"), [("alias.cn", "words.cn"), ("far-alias.cn", "words.com")]
)
def test_alias_of_a_cached_target_is_cached(world, alias, target):
    assert world.ask(target, "TXT").answer
    assert len(world.ask(alias, "TXT").answer) == 2
    assert (alias + ".", "A") in world.relay.asked
    before = world.asked_upstream()
    for _ in range(3):
        assert len(world.ask(alias, "TXT").answer) == 2
    assert world.asked_upstream() == before


PREFETCH = ["prefetch: yes"]


def test_prefetch_renews_the_data(start_clocked, clock):
    # What is asked upstream is counted: nothing is asked again because the answer takes a moment.
    lines = [*PREFETCH, "infra-cache-min-rtt: 10000"]
    with start_clocked(cn=[f"long {LONG_TTL} A {ABROAD}"], server_lines=lines) as world:

        def ttl():
            response = world.ask("long.cn")
            assert_passed(response, [ABROAD])
            return response.answer[0].ttl

        assert ttl() == LONG_TTL
        before = world.asked_upstream()
        clock.move(world.unbound, LONG_TTL * 8 // 10)
        assert ttl() <= LONG_TTL * 2 // 10
        assert world.asked_upstream() == before
        clock.move(world.unbound, LONG_TTL * 95 // 100)
        assert ttl() <= LONG_TTL * 5 // 100
        wait_until(lambda: ttl() > LONG_TTL - 10, 20, "the prefetch brings a new TTL")
        # One query did it, and the new data live as long as they should.
        assert world.asked_upstream() == before + 1
        clock.move(world.unbound, LONG_TTL * 15 // 10)
        assert ttl() > LONG_TTL * 4 // 10
        assert world.asked_upstream() == before + 1


def test_query_after_the_end_of_a_lease_starts_the_prefetch(start_clocked, clock):
    with start_clocked(cn=["abroad A " + ABROAD], server_lines=PREFETCH) as world:
        assert_passed(world.ask("abroad.cn"), [ABROAD])
        before = world.asked_upstream()
        # Long after the end of the lease, and in the last tenth of the TTL.
        clock.move(world.unbound, ZONE_TTL * 95 // 100)
        response = world.ask("abroad.cn")
        assert_passed(response, [ABROAD])
        assert response.answer[0].ttl <= ZONE_TTL * 5 // 100
        wait_until(lambda: world.asked_upstream() > before, 20, "the prefetch")


def test_outage_during_a_prefetch_delays_nobody(start_clocked, clock):
    """The prefetch begins when the lease is nearly over, and goes on longer than it lasts."""
    lease = 15
    with start_clocked(
        cn=["abroad A " + ABROAD], changes={"lease": lease}, server_lines=PREFETCH
    ) as world:
        assert_passed(world.ask("abroad.cn"), [ABROAD])
        clock.move(world.unbound, ZONE_TTL - 42)
        assert_passed(world.ask("abroad.cn"), [ABROAD])
        before = world.asked_upstream()
        world.relay.silent = True
        clock.move(world.unbound, ZONE_TTL - 29)
        waited = []

        def is_served():
            begin = time.monotonic()
            assert_passed(world.ask("abroad.cn"), [ABROAD])
            waited.append(time.monotonic() - begin)
            return waited[-1] < SLOWEST

        holds_for(is_served, 6, "clients are served at once")
        assert statistics.median(waited) < AT_ONCE, waited
        assert world.asked_upstream() > before + 1


# Stale answers


def cut_off(world):
    """The upstream is silent from now on, and the resolver gives up soon."""
    world.relay.silent = True
    world.unbound.control("set_option", "infra-cache-max-rtt:", "100")


def test_alias_whose_target_is_at_the_end_of_its_lease_is_cached(start_clocked, clock):
    """The iterator puts such an answer together from a message with no time left; its data has."""
    tries = range(10)
    cn = [f"target{n} A {ABROAD}" for n in tries] + [f"alias{n} CNAME target{n}" for n in tries]
    with start_clocked(cn=cn, server_lines=SERVED) as world:
        for number in tries:
            target, alias = f"target{number}.cn", f"alias{number}.cn"
            assert_passed(world.ask(target), [ABROAD])
            # The last second that Unbound serves it in. If that is missed, it asks again.
            clock.move(world.unbound, (number + 1) * (LEASE - 1))
            assert_passed(world.ask(alias), [ABROAD])
            if world.relay.asked.count((target + ".", "A")) == 1:
                break
        else:
            pytest.fail("the last second of the lease was missed every time")
        clock.move(world.unbound, 2 * ZONE_TTL)
        cut_off(world)
        response = world.ask(alias)
        assert_passed(response, [ABROAD])
        assert_stale(response)


def test_client_that_waits_for_a_failing_prefetch_is_served_stale(start_clocked, clock):
    """Such a client comes after the end of the lease, and before that of the prefetch."""
    with start_clocked(cn=["abroad A " + ABROAD], server_lines=SERVED) as world:

        def is_waiting():
            return "total.requestlist.current.user=1\n" in world.unbound.control("stats_noreset")

        assert_passed(world.ask("abroad.cn"), [ABROAD])
        world.relay.silent = True
        with ThreadPoolExecutor() as pool:
            for number in range(10):
                # Every timeout of the prefetch that has begun renews the lease.
                clock.move(world.unbound, 2 * ZONE_TTL + number * AFTER_LEASE)
                asked = pool.submit(world.ask, "abroad.cn")
                wait_until(lambda: asked.done() or is_waiting(), 20, "the query is under way")
                if not asked.done():
                    break
            else:
                pytest.fail("no client had to wait")
            cut_off(world)
            response = asked.result()
        assert_passed(response, [ABROAD])
        assert_stale(response)

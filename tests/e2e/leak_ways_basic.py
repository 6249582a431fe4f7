# SPDX-License-Identifier: BSD-3-Clause
"""Ways of answers in the course of things: caches, threads, chains, lifetimes."""

import time

from commands import rfc3339
from harness import wait_until
from leak_world import SOCKETS_PER_THREAD, Own
from leaks import way
from world import ABROAD, ABROAD6, LEASE, LOOK, ZONE_TTL, row

CACHES = "first answer, cached answer"
THREADS = "two threads asking"
CHAINS = "CNAME and DNAME"
MINIMISED = "QNAME minimisation"
ZERO = "TTL 0"
# Late enough for a change of the store to be seen, and for the lease of every message to be over.
AFTER_LEASE = LEASE + LOOK


def clock_to(probe, seconds):
    probe.world.clock.move(probe.world.unbound, seconds)


# First answer, cached answer, answer after the lease


# No room for a single entry.
TINY_CACHES = ["msg-cache-size: 1", "rrset-cache-size: 1"]
USUAL = {
    "cn": [
        *["cold A {secret}", "cold AAAA {secret6}", "cold6 AAAA {secret6}"],
        *["mixed A {secret}", "mixed A {abroad}", "pair A {secret}", "pair A {secret}"],
        *["mapped AAAA ::ffff:{secret}", "nat64 AAAA 64:ff9b::{secret}"],
        *["ok A {real}", "ok AAAA {real6}", "far A {abroad}", "sub.ok A {real}"],
    ],
    "com": ["cold A {secret}"],
    "org": ["cold A {secret}"],
    "filed": ["ok"],
}


def ask_again_and_again(probe):
    for _ in range(3):
        for name in ("cold", "mixed", "pair", "cold.{com}.", "cold.{org}."):
            probe.expect_blocked(name)
            probe.ask(name, rdclass="ANY")
        for name in ("cold", "cold6", "mapped", "nat64"):
            probe.expect_blocked(name, "AAAA")
        probe.expect_real("ok")
        probe.expect_real("sub.ok")
        probe.expect_real("far", addresses=[ABROAD])
    probe.assert_all_threads_answered()


@way(CACHES, "cold and cached", **USUAL)
def cold_and_cached(probe):
    ask_again_and_again(probe)


@way(CACHES, "with caches that hold nearly nothing", own=Own(server=TINY_CACHES), **USUAL)
def tiny_caches(probe):
    ask_again_and_again(probe)


@way(
    CACHES,
    "stripped of the blocked addresses",
    cn=[
        *["mixed A {secret}", "mixed A {abroad}", "mixed A {secret}", "alias CNAME mixed"],
        *["all A {secret}", "all A {secret}", "mixed AAAA {secret6}", "mixed AAAA {abroad6}"],
    ],
    own=Own(clock=True, changes={"mixed": "strip"}),
)
def stripped(probe):
    for moment in (0, AFTER_LEASE, ZONE_TTL + 1):
        clock_to(probe, moment)
        for _ in range(2):
            for name in ("mixed", "alias"):
                if probe.has_module:
                    probe.expect_real(name, addresses=[ABROAD])
                    probe.expect_real(name, "AAAA", addresses=[ABROAD6])
                else:
                    probe.ask(name)
            probe.expect_blocked("all")


def lose_the_filing(probe):
    """Names that are always, never, and at first permitted, over many leases and two TTLs."""
    was, alias = [probe.address("was")], [probe.address("cold")]
    for moment in (0, AFTER_LEASE, 2 * AFTER_LEASE):
        clock_to(probe, moment)
        probe.expect_blocked("cold")
        probe.expect_real("was", addresses=was)
        probe.expect_real("alias", addresses=alias)
        probe.expect_real("ok")
    for name in ("was", "alias"):
        probe.world.site.remove(probe.way.full_name(name).rstrip("."), "qcloud")
    later = [number * AFTER_LEASE for number in (3, 4, 5)]
    for moment in [*later, ZONE_TTL + 1, 2 * ZONE_TTL + 10]:
        clock_to(probe, moment)
        for _ in range(2):
            for name in ("was", "alias", "cold"):
                probe.expect_blocked(name)
            probe.expect_real("ok")


LOST = {
    "cn": ["cold A {secret:cold}", "was A {secret:was}", "alias CNAME cold", "ok A {real}"],
    "filed": ["was", "alias", "ok"],
}


@way(CACHES, "after the lease", own=Own(clock=True), **LOST)
def after_the_lease(probe):
    lose_the_filing(probe)


@way(
    CACHES,
    "after the lease, with a minimum of cached TTLs",
    own=Own(clock=True, server=["cache-min-ttl: 3600"]),
    **LOST,
)
def after_the_lease_min_ttl(probe):
    lose_the_filing(probe)


@way(
    CACHES,
    "after a filing that ended by the clock",
    cn=["ends A {secret:ends}", "ok A {real}"],
    filed=["ok"],
    own=Own(clock=True, changes={"lease": 60}),
)
def after_the_end_of_a_filing(probe):
    ends = int(time.time()) + 100
    when = {"approved_at": rfc3339(ends - 86400), "expires_at": rfc3339(ends)}
    name = probe.way.full_name("ends").rstrip(".")
    probe.world.site.add(row(name, status="transfer-preapproved", **when))
    clock_to(probe, LOOK)
    # Its lease would last beyond the end.
    for moment in (LOOK, 70):
        clock_to(probe, moment)
        probe.expect_real("ends", addresses=[probe.address("ends")])
    clock_to(probe, 101)
    for _ in range(2):
        probe.expect_blocked("ends")
        probe.expect_real("ok")


# Two threads asking at the same moment; validation still running; CD=1 queries

STORMS = 40


@way(
    THREADS,
    "the same moment",
    cn=[
        *[f"n{number} A {{secret:n}}" for number in range(STORMS)],
        *[f"ok{number} A {{real}}" for number in range(STORMS)],
    ],
    filed=[f"ok{number}" for number in range(STORMS)],
)
def same_moment(probe):
    """All clients ask for a name that nobody asked for before, each a little differently."""
    kinds = [{}, {"cd": True}, {"do": True}, {"cd": True, "do": True}]
    for number in range(STORMS):
        name = f"{'ok' if number % 4 == 3 else 'n'}{number}"
        pending = [
            probe.send(name, thread=thread, **kinds[(at + number) % len(kinds)])
            for at in range(SOCKETS_PER_THREAD)
            for thread in probe.threads
        ]
        for each in pending:
            each.response()
        if name.startswith("ok"):
            probe.expect_real(name)
        else:
            probe.expect_blocked(name)
    probe.assert_all_threads_answered()


@way(
    THREADS,
    "the data still on its way",
    cn=["late A {secret}", "chain CNAME target", "target A {secret}"],
)
def data_held_back(probe):
    relay = probe.world.relay
    for name, held in (("late", "late"), ("chain", "target")):
        relay.hold(name=probe.way.full_name(held))
        pending = [
            probe.send(name, thread=thread, cd=cd) for cd in (False, True) for thread in probe.threads
        ]
        wait_until(relay.held, 20, "an answer is held back")
        assert not any(each.is_answered() for each in pending)
        pending.append(probe.send(name, via="snoop", rd=False))
        relay.release()
        for each in pending:
            each.response()
        probe.expect_blocked(name)


@way(
    THREADS,
    "the validator waiting for keys",
    cn=[
        *["cold A {secret}", "alias CNAME cold", "txt TXT words", "ok A {real}"],
        *["chain CNAME edge.{com}."],
    ],
    com=["edge A {secret}"],
    filed=["ok"],
    own=Own(),
    validation=True,
)
def keys_held_back(probe):
    """While the DNSKEY of the zone does not come, the addresses are already there."""
    relay = probe.world.relay
    relay.hold("DNSKEY")
    waiting = [
        probe.send(name, thread=probe.threads[0], do=do)
        for name in ("cold", "chain")
        for do in (False, True)
    ]
    wait_until(relay.held, 20, "a DNSKEY is held back")
    chain = (probe.way.full_name("chain"), "A")
    wait_until(lambda: chain in relay.asked, 20, "chain is asked for")
    names = ("cold", "alias", "chain", "edge.{com}.")
    others = [
        probe.send(name, thread=thread, cd=True, do=do)
        for name in names
        for thread in probe.threads
        for do in (False, True)
    ]
    others += [probe.send(name, via="snoop", rd=False, cd=cd) for name in names for cd in (0, 1)]
    waiting.append(probe.send("cold", thread=probe.threads[-1]))
    # Each thread has seen all of them when it answers this.
    probe.ask("localhost.")
    early = [each for each in others if each.is_answered()]
    for each in early:
        each.response()
    assert probe.has_module or probe.leaks, "there was no window"
    assert not any(each.is_answered() for each in waiting), "no validator has waited for keys"
    relay.release()
    for each in waiting + [each for each in others if each not in early]:
        each.response()
    for name in names:
        probe.expect_blocked(name)
        probe.expect_blocked(name, cd=True)
    probe.expect_real("ok")
    probe.assert_all_threads_answered()


@way(
    THREADS,
    "CD=1 queries",
    cn=["first A {secret}", "second A {secret}", "second AAAA {secret6}", "ok A {real}"],
    filed=["ok"],
)
def checking_disabled(probe):
    for _ in range(2):
        for thread in probe.threads:
            probe.expect_blocked("first", cd=True, thread=thread)
            probe.expect_blocked("first", thread=probe.threads[-1 - thread])
        for rdtype in ("A", "AAAA"):
            probe.expect_blocked("second", rdtype)
            probe.expect_blocked("second", rdtype, cd=True)
            probe.expect_blocked("second", rdtype, cd=True, do=True)
            probe.expect_blocked("second", rdtype, cd=True, via="tcp")
        for cd in (True, False):
            probe.expect_real("ok", cd=cd)


# CNAME and DNAME chains, in one response or across zones, cached in part

LONG_CHAIN = 24


@way(
    CHAINS,
    "in one response",
    cn=[
        *["alias CNAME cold", "alias2 CNAME alias", "cold A {secret:cold}", "cold AAAA {secret6}"],
        *["okalias CNAME hidden", "hidden A {secret:hidden}"],
        *["badalias CNAME filed", "filed A {secret:filed}"],
        *[f"long{number} CNAME long{number + 1}" for number in range(LONG_CHAIN)],
        f"long{LONG_CHAIN} A {{secret}}",
        *["loop CNAME loop2", "loop2 CNAME loop"],
    ],
    filed=["okalias", "filed"],
)
def chain_in_one_response(probe):
    for _ in range(2):
        for name in ("alias", "alias2", "cold"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, "AAAA")
        # The name that was asked for is judged, not the target.
        probe.expect_real("okalias", addresses=[probe.address("hidden")])
        probe.expect_blocked("hidden")
        probe.expect_blocked("badalias")
        probe.expect_real("filed", addresses=[probe.address("filed")])
        # Longer than Unbound follows any; what it says then is its own affair.
        for number in (0, LONG_CHAIN - 9, LONG_CHAIN - 14, LONG_CHAIN - 18):
            probe.ask(f"long{number}")
        probe.ask("loop")


@way(
    CHAINS,
    "across zones",
    cn=[
        *["out CNAME edge.{com}.", "okout CNAME edge.{com}.", "back CNAME back.{com}."],
        *["home A {secret}", "org CNAME www.{org}.", "far CNAME far.{com}."],
    ],
    com=["edge A {secret:edge}", "back CNAME home.{cn}.", "far A {abroad}", "in CNAME home.{cn}."],
    org=["www A {secret}", "in CNAME home.{cn}.", "in2 CNAME in.{com}."],
    filed=["okout"],
)
def chain_across_zones(probe):
    for _ in range(2):
        for name in ("out", "back", "org", "in.{com}.", "in.{org}.", "in2.{org}."):
            probe.expect_blocked(name)
            probe.expect_blocked(name, cd=True)
        probe.expect_real("okout", addresses=[probe.address("edge")])
        for name in ("edge.{com}.", "home", "back.{com}.", "www.{org}."):
            probe.expect_blocked(name)
        probe.expect_real("far", addresses=[ABROAD])


@way(
    CHAINS,
    "cached in part",
    cn=[
        # The end is cached, as that of a permitted or of a blocked name.
        *["ok A {secret:ok}", "badalias CNAME ok", "badalias2 CNAME badalias"],
        *["hidden A {secret:hidden}", "okalias CNAME hidden", "badalias3 CNAME hidden"],
        # The beginning is cached, by a query for another type.
        *["head CNAME tail", "tail A {secret}", 'tail TXT "words"', "cname CNAME tail2"],
        *["tail2 A {secret}", "headout CNAME tail.{com}.", "middle CNAME middle2"],
        *["middle2 CNAME middle3", "middle3 A {secret}", 'middle3 TXT "words"'],
        # A short-lived link in the middle is fetched anew.
        *["short CNAME short2", "short2 0 CNAME short3", "short3 A {secret}"],
    ],
    com=["tail A {secret}", 'tail TXT "words"'],
    filed=["ok", "okalias"],
)
def chain_cached_in_part(probe):
    ok, hidden = [probe.address("ok")], [probe.address("hidden")]
    probe.expect_real("ok", addresses=ok)
    probe.expect_blocked("hidden")
    for _ in range(2):
        probe.expect_blocked("badalias")
        probe.expect_blocked("badalias2")
        probe.expect_real("ok", addresses=ok)
        probe.expect_real("okalias", addresses=hidden)
        probe.expect_blocked("badalias3")
        probe.expect_blocked("hidden")
    for head, rdtype in (("head", "TXT"), ("headout", "TXT"), ("cname", "CNAME")):
        assert probe.ask(head, rdtype).answer
        probe.expect_blocked(head)
        probe.expect_blocked(head, cd=True)
    assert probe.ask("middle2", "TXT").answer
    for name in ("middle", "middle3", "middle2", "middle"):
        probe.expect_blocked(name)
    for _ in range(3):
        for name in ("short", "short2", "short3"):
            probe.expect_blocked(name)


@way(
    CHAINS,
    "DNAME",
    cn=[
        *["tree DNAME target", "a.target A {secret:a}", "b.target A {secret:b}"],
        *["c.target AAAA {secret6}", 'a.target TXT "words"'],
        *["oktree DNAME target", "outtree DNAME target.{com}.", "alias CNAME a.tree"],
    ],
    com=["a.target A {secret}", "b.target CNAME b.tree.{cn}."],
    filed=["a.oktree"],
)
def dname_chain(probe):
    assert probe.ask("a.tree", "TXT").answer
    for _ in range(2):
        # The DNAME is cached after the first of them, and Unbound makes the CNAME itself.
        for name in ("a.tree", "b.tree", "b.oktree", "a.outtree", "b.outtree", "alias"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, cd=True)
        probe.expect_blocked("c.tree", "AAAA")
        probe.expect_real("a.oktree", addresses=[probe.address("a")])
        for name in ("a.target", "b.target", "a.target.{com}."):
            probe.expect_blocked(name)
        probe.ask("a.tree", "CNAME")
        assert probe.ask("tree", "DNAME").answer


# QNAME minimisation

DEEP = {
    "cn": [
        *['a.b TXT "deep"', "b A {secret}", "b AAAA {secret6}"],
        *["x.y A {abroad}", "y A {secret}"],
        *['k.l.m.n TXT "deeper"', "l.m.n A {secret}", "m.n A {secret}", "n A {secret}"],
        *['c.d TXT "cd"', "d A {secret}", "ok.p A {real}", "p A {secret}"],
    ],
    "filed": ["ok.p"],
}


def ask_below(probe):
    """The iterator asks for the A of parents on its way down."""
    assert probe.ask("a.b", "TXT").answer
    assert probe.ask("k.l.m.n", "TXT").answer
    assert probe.ask("c.d", "TXT", cd=True).answer
    probe.expect_real("x.y", addresses=[ABROAD])
    probe.expect_real("ok.p")
    for name in ("b", "y", "l.m.n", "m.n", "n", "d", "p"):
        # It did, or this shows nothing.
        assert (probe.way.full_name(name), "A") in probe.world.relay.asked
        probe.expect_blocked(name, cd=True)
        probe.expect_blocked(name)
        probe.ask(name, via="snoop", rd=False)
    probe.expect_blocked("b", "AAAA")
    probe.ask("nothing.b")
    probe.expect_blocked("b")


@way(MINIMISED, "an answer for a parent's name", **DEEP)
def minimised_parents(probe):
    ask_below(probe)


@way(
    MINIMISED,
    "strict minimisation",
    own=Own(server=["qname-minimisation-strict: yes"]),
    **DEEP,
)
def minimised_strictly(probe):
    ask_below(probe)


# TTL 0 answers

ZEROES = {
    "cn": [
        *["zero 0 A {secret}", "zero 0 AAAA {secret6}", "zero2 0 A {secret}"],
        *["alias 0 CNAME zero", "alias2 CNAME zero", "alias3 0 CNAME long", "long A {secret}"],
        *["ok 0 A {real}", "far 0 A {abroad}", "okalias 0 CNAME zero3", "zero3 0 A {secret:okalias}"],
        'a.zero2 0 TXT "deep"',
    ],
    "com": ["zero 0 A {secret}", "alias 0 CNAME zero.{cn}."],
    "filed": ["ok", "okalias"],
}


def ask_for_zeroes(probe):
    assert probe.ask("a.zero2", "TXT").answer
    for _ in range(3):
        for name in ("zero", "zero2", "alias", "alias2", "alias3", "long", "zero3"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, cd=True, do=True)
            probe.ask(name, via="snoop", rd=False)
        probe.expect_blocked("zero", "AAAA")
        probe.expect_blocked("zero.{com}.")
        probe.expect_blocked("alias.{com}.")
        probe.expect_real("okalias", addresses=[probe.address("okalias")])
        for name, addresses in (("ok", None), ("far", [ABROAD])):
            response = probe.expect_real(name, **({"addresses": addresses} if addresses else {}))
            assert response.answer[0].ttl == 0
        pending = [
            probe.send("zero", thread=thread, cd=bool(at % 2))
            for at in range(SOCKETS_PER_THREAD)
            for thread in probe.threads
        ]
        for each in pending:
            each.response()


@way(ZERO, "in the zones", **ZEROES)
def zero_in_zones(probe):
    ask_for_zeroes(probe)


@way(ZERO, "by the resolver's maximum", own=Own(server=["cache-max-ttl: 0"]), **ZEROES)
def zero_by_maximum(probe):
    ask_for_zeroes(probe)

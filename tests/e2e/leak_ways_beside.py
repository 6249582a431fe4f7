# SPDX-License-Identifier: BSD-3-Clause
"""Ways beside the module: other modules, zones that are not resolved in the usual way, views."""

import dns.rcode

from leak_checks import control, expect_any_blocked, expect_nodata, expect_records
from leak_world import Own
from leaks import refused, way
from world import ABROAD, zone

BESIDE = "dns64"


@refused(BESIDE, "dns64", says='module-config: "dynlib dns64 ', own=Own(modules=("dns64",)))
def dns64_is_refused(_probe):
    pass


@refused(BESIDE, "respip, for RPZ", says='"dynlib respip ', own=Own(modules=("respip",)))
def respip_is_refused(_probe):
    pass


@refused(BESIDE, "subnetcache", says='"dynlib subnetcache ', own=Own(modules=("subnetcache",)))
def subnetcache_is_refused(_probe):
    pass


@refused(BESIDE, "cachedb", says='"dynlib cachedb ', own=Own(modules=("cachedb",)))
def cachedb_is_refused(_probe):
    pass


@refused(
    BESIDE,
    "RPZ without respip",
    says="RPZ requires the respip module",
    by_daemon=True,
    own=Own(server=["rpz:", "  name: policy.test", "  primary: 127.0.0.1@1"]),
)
def policy_is_refused(_probe):
    pass


# Forward and stub zones, each with and without a cache

KINDS = ("fwd", "fwdnc", "stub", "stubnc")
IN_EACH = [
    *["cold A {secret}", "cold AAAA {secret6}", "svc HTTPS 1 . ipv4hint={secret}", "ok A {real}"],
    *["bare HTTPS 1 . alpn=h2", "bare A {secret}", "mx MX 10 cold", "far A {abroad}"],
    *["okalias CNAME home.{cn}.", "out CNAME home.{cn}.", "zero 0 A {secret}", "txt.deep TXT x"],
    *["deep A {secret}", "next CNAME cold.stubnc.{cn}."],
]
FORWARDED = [
    *["home A {secret:home}", *[f"to-{kind} CNAME cold.{kind}" for kind in KINDS]],
    *[line for kind in KINDS for line in ["$ORIGIN " + kind + ".{cn}.", *IN_EACH]],
]
BY_KIND = [
    line
    for kind in KINDS
    for line in [
        "forward-zone:" if kind.startswith("fwd") else "stub-zone:",
        f"  name: {kind}.{{cn}}",
        ("  forward-" if kind.startswith("fwd") else "  stub-") + "addr: {relay}",
        *(["  forward-no-cache: yes"] if kind == "fwdnc" else []),
        *(["  stub-no-cache: yes"] if kind == "stubnc" else []),
    ]
]


@way(
    BESIDE,
    "forward- and stub-zones, with forward-no-cache and stub-no-cache too",
    cn=FORWARDED,
    filed=[f"{name}.{kind}" for kind in KINDS for name in ("ok", "okalias")],
    own=Own(server=["minimal-responses: no", *BY_KIND]),
)
def forwarded(probe):
    home = [probe.address("home")]
    for _ in range(2):
        for kind in KINDS:
            assert probe.ask(f"txt.deep.{kind}", "TXT").answer
            for name in ("cold", "bare", "zero", "out", "next", "deep"):
                probe.expect_blocked(f"{name}.{kind}")
                probe.expect_blocked(f"{name}.{kind}", cd=True)
            probe.expect_blocked(f"cold.{kind}", "AAAA")
            probe.expect_blocked(f"to-{kind}")
            for name in ("svc", "bare"):
                expect_nodata(probe, f"{name}.{kind}")
            expect_any_blocked(probe, f"cold.{kind}")
            assert probe.ask(f"mx.{kind}", "MX").answer
            probe.expect_real(f"ok.{kind}")
            probe.expect_real(f"far.{kind}", addresses=[ABROAD])
            probe.expect_real(f"okalias.{kind}", addresses=home)
            probe.ask(f"cold.{kind}", via="snoop", rd=False)
        probe.expect_blocked("home")
    # What is not to be cached is not.
    asked = (probe.way.full_name("ok.fwdnc"), "A")
    before = probe.world.relay.asked.count(asked)
    probe.expect_real("ok.fwdnc")
    assert probe.world.relay.asked.count(asked) >= before + len(probe.threads)


@way(
    BESIDE,
    "forward- and stub-zones added by unbound-control",
    cn=["fwd A {secret}", "stub A {secret}", "x.fwd A {secret}", "x.stub A {secret}", "f TXT x"],
    own=Own(),
)
def forwarded_later(probe):
    for name in ("fwd", "x.fwd", "stub", "x.stub"):
        probe.expect_blocked(name)
    where = f"127.0.0.1@{probe.world.relay.port}"
    control(probe, "forward_add", "+i", probe.way.full_name("fwd"), where)
    control(probe, "stub_add", "+i", probe.way.full_name("stub"), where)
    for _ in range(2):
        for name in ("fwd", "x.fwd", "stub", "x.stub"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, cd=True)
    control(probe, "forward_remove", "+i", probe.way.full_name("fwd"))
    for name in ("fwd", "x.fwd"):
        probe.expect_blocked(name)


# Zones that the resolver holds itself

LOCAL_SERVER = ("ns", "A 127.0.0.9")
AUTH = [
    *["cold A {secret}", "cold AAAA {secret6}", "svc HTTPS 1 . ipv4hint={secret}", "mx MX 10 cold"],
    *["out CNAME home.{cn}.", "ok A {real}", "far A {abroad}", "*.wild A {secret}"],
    *["bare HTTPS 1 . alpn=h2", "bare A {secret}", "tree DNAME cold.{cn}.", "txt TXT x"],
]


@way(
    BESIDE,
    "auth-zones for-upstream",
    cn=["home A {secret}", "in CNAME cold.{org}.", "home.cold A {secret}"],
    filed=["ok.{org}."],
    own=Own(
        files={"zone": zone("{org}", AUTH, LOCAL_SERVER)},
        server=[
            *["minimal-responses: no", "auth-zone:", "  name: {org}"],
            *["  zonefile: {directory}/zone", "  for-downstream: no", "  for-upstream: yes"],
        ],
    ),
)
def auth_zone_upstream(probe):
    for _ in range(2):
        for name in ("cold.{org}.", "out.{org}.", "bare.{org}.", "x.wild.{org}.", "in", "home"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, cd=True)
            probe.ask(name, via="snoop", rd=False)
        probe.expect_blocked("home.tree.{org}.")
        probe.expect_blocked("cold.{org}.", "AAAA")
        for name in ("svc.{org}.", "bare.{org}."):
            expect_nodata(probe, name)
        expect_any_blocked(probe, "cold.{org}.")
        assert probe.ask("mx.{org}.", "MX").answer
        probe.expect_real("ok.{org}.")
        probe.expect_real("far.{org}.", addresses=[ABROAD])


@way(
    BESIDE,
    "auth-zones for-downstream, and local-data: the operator's own",
    cn=["home A {secret:home}", "ok A {real}", "in CNAME cold.{org}.", "in2 CNAME a.local"],
    filed=["ok"],
    own=Own(
        files={"zone": zone("{org}", AUTH, LOCAL_SERVER)},
        server=[
            *['local-zone: "local.{cn}." static', 'local-data: "a.local.{cn}. A {secret:local}"'],
            *['local-data: "s.local.{cn}. HTTPS 1 . ipv4hint={secret:local}"'],
            *['local-zone: "to-cold.{cn}." redirect'],
            *['local-data: "to-cold.{cn}. CNAME home.{cn}."'],
            *['local-zone: "to-ok.{cn}." redirect', 'local-data: "to-ok.{cn}. CNAME ok.{cn}."'],
            *["auth-zone:", "  name: {org}", "  zonefile: {directory}/zone"],
            *["  for-downstream: yes", "  for-upstream: yes"],
        ],
    ),
)
def auth_zone_downstream(probe):
    local = [probe.address("local")]
    cold = [address for tag, address in probe.secrets.items() if tag not in ("home", "local")]
    for _ in range(2):
        for rdtype in ("A", "AAAA", "ANY"):
            response = probe.ask("cold.{org}.", rdtype, allowed=cold)
            assert response.answer and response.answer[0][0].address in cold
        assert probe.ask("svc.{org}.", "HTTPS", allowed=cold).answer
        probe.expect_real("a.local", addresses=local)
        expect_records(probe, "s.local", "HTTPS", [f"1 . ipv4hint={local[0]}"], allowed=local)
        # What they lead to is judged.
        probe.expect_blocked("in")
        probe.expect_blocked("home")
        for name in ("to-cold", "x.to-cold"):
            for how in ({}, {"cd": True}, {"via": "tcp"}):
                response = probe.ask(name, **how)
                assert response.rcode() == dns.rcode.NOERROR
        probe.expect_real("to-ok")
        probe.ask("out.{org}.", allowed=cold)
        probe.ask("in2")


@way(
    BESIDE,
    "views",
    cn=["cold A {secret}", "ok A {real}", "own A {secret}", "svc HTTPS 1 . ipv4hint={secret}"],
    filed=["ok"],
    own=Own(
        server=[
            *["access-control-view: 127.0.0.1/32 one", "access-control-view: 127.0.0.3/32 two"],
            *["view:", "  name: one", '  local-zone: "own.{cn}." transparent'],
            *['  local-data: "mine.{cn}. A {secret:mine}"', "  view-first: yes"],
            *["view:", "  name: two", '  local-zone: "x.test." refuse'],
        ]
    ),
)
def views(probe):
    for _ in range(2):
        for name in ("cold", "own"):
            probe.expect_blocked(name)
            probe.expect_blocked(name, via="snoop")
            probe.expect_blocked(name, cd=True)
            probe.ask(name, via="snoop", rd=False)
        expect_nodata(probe, "svc")
        expect_nodata(probe, "svc", via="snoop")
        probe.expect_real("ok")
        probe.expect_real("ok", via="snoop")
        probe.expect_real("mine", addresses=[probe.address("mine")])

# SPDX-License-Identifier: BSD-3-Clause
"""Ways of addresses in records of other types: HTTPS, SVCB, ANY, additional sections."""

import dns.flags
import dns.rcode
import dns.rdatatype

from harness import wait_until
from leak_checks import (
    AFTER_LEASE,
    clock_to,
    expect_any_blocked,
    expect_nodata,
    expect_records,
    forbid,
    permit,
)
from leak_world import Own
from leaks import way
from world import ABROAD, ABROAD6, OURS, OURS6, THEIRS

SERVICE = "HTTPS/SVCB hints"


@way(
    SERVICE,
    "hints, of a name with no address",
    cn=[
        *["v4 HTTPS 1 . alpn=h2,h3 ipv4hint={secret}", "v6 HTTPS 1 . ipv6hint={secret6}"],
        *["both HTTPS 1 . alpn=h2 ipv4hint={abroad},{secret} ipv6hint={abroad6},{secret6}"],
        *["two HTTPS 1 . ipv4hint={abroad}", "two HTTPS 2 . ipv4hint={secret}"],
        *["svcb SVCB 1 . ipv4hint={secret}", "alias CNAME v4", "out CNAME svc.{com}."],
        *["_8443._https HTTPS 1 . port=8443 ipv4hint={secret}", "okalias CNAME hidden"],
        *["hidden HTTPS 1 . ipv4hint={secret:hidden}", "tree DNAME target"],
        *["a.target HTTPS 1 . ipv4hint={secret}", "_dns.svcb SVCB 1 . alpn=dot ipv4hint={secret}"],
        "big HTTPS 1 . alpn=h2 port=443 ech=AAAA key65400=abcd ipv4hint={secret}",
        "mapped HTTPS 1 . ipv6hint=::ffff:192.0.2.250",
    ],
    com=["svc HTTPS 1 . ipv6hint={secret6}"],
    org=["svc HTTPS 1 . ipv4hint={secret}"],
    filed=["okalias"],
    secrets={"mapped": "::ffff:192.0.2.250"},
)
def hints(probe):
    names = ["v4", "v6", "both", "two", "alias", "out", "_8443._https", "hidden", "a.tree"]
    names += ["a.target", "big", "mapped"]
    for _ in range(2):
        for name in names:
            expect_nodata(probe, name)
            expect_nodata(probe, name, cd=True, do=True)
            expect_nodata(probe, name, payload=None)
            probe.ask(name, "HTTPS", via="snoop", rd=False)
        expect_nodata(probe, "svcb", "SVCB")
        expect_nodata(probe, "_dns.svcb", "SVCB")
        expect_nodata(probe, "svc.{com}.")
        expect_nodata(probe, "svc.{org}.")
        expect_nodata(probe, "v4", via="tcp")
        hidden = probe.address("hidden")
        expect_records(probe, "okalias", "HTTPS", [f"1 . ipv4hint={hidden}"], allowed=[hidden])


REAL_SERVICES = {
    "ok": [f"1 . alpn=h2,h3 ipv4hint={OURS} ech=AAAA ipv6hint={OURS6}", "2 . port=8443"],
    "far": [f"1 . alpn=h2 ipv4hint={ABROAD} ipv6hint={ABROAD6} key65400=abcd"],
    "theirs": [f"1 . ipv4hint={THEIRS}"],
    "plain": ["1 . alpn=h2"],
    "nowhere": ["1 . mandatory=alpn alpn=h2"],
    "unknown": [r"\# 10 0001 00 0001 0003 026832"],
    "alias0": ["0 far"],
}


@way(
    SERVICE,
    "services of permitted and foreign names are untouched",
    cn=[
        *[f"{name} HTTPS {text}" for name, texts in REAL_SERVICES.items() for text in texts],
        *[f"{name} SVCB {text}" for name, texts in REAL_SERVICES.items() for text in texts],
        *["ok A {real}", "ok AAAA {real6}", "far A {abroad}", f"theirs A {THEIRS}"],
        *["plain A {abroad}", "alias CNAME far", "cold HTTPS 1 . ipv4hint={secret}"],
        "_8443._https.ok HTTPS 1 ok port=8443 ipv4hint={real}",
    ],
    filed=["ok"],
)
def real_services(probe):
    for _ in range(2):
        for name, texts in REAL_SERVICES.items():
            texts = [text.replace("0 far", f"0 {probe.way.full_name('far')}") for text in texts]
            for rdtype in ("HTTPS", "SVCB"):
                response = expect_records(probe, name, rdtype, texts, do=True, ad=True)
                assert bool(response.flags & dns.flags.AD) == probe.validation
                assert len(response.answer) == 2, "the records and their signature"
                expect_records(probe, name, rdtype, texts, via="tcp", cd=True)
        response = expect_records(probe, "alias", "HTTPS", REAL_SERVICES["far"])
        assert len(response.answer) == 2
        port = f"1 {probe.way.full_name('ok')} port=8443 ipv4hint={OURS}"
        expect_records(probe, "_8443._https.ok", "HTTPS", [port])
        for rdtype in ("HTTPS", "SVCB"):
            response = probe.ask("missing", rdtype)
            assert response.rcode() == dns.rcode.NXDOMAIN
    expect_nodata(probe, "cold")


@way(
    SERVICE,
    "no hints: the addresses of the name and of its targets",
    cn=[
        *["a HTTPS 1 . alpn=h2", "a A {secret:a}", "aaaa HTTPS 1 . alpn=h2", "aaaa AAAA {secret6}"],
        *["mixed HTTPS 1 . ipv4hint={abroad}", "mixed A {secret}", "mixed A {abroad}"],
        *["only6 HTTPS 1 . ipv4hint={abroad}", "only6 A {abroad}", "only6 AAAA {secret6}"],
        *["chain CNAME chain2", "chain2 HTTPS 1 . alpn=h2", "chain2 A {secret}"],
        *["alias0 HTTPS 0 edge.{com}.", "target HTTPS 1 edge.{com}. alpn=h2"],
        *["target6 HTTPS 1 only6", "second HTTPS 1 far.{com}.", "second HTTPS 2 edge.{com}."],
        *["apex HTTPS 0 cname", "cname CNAME edge.{com}.", "@ HTTPS 0 a", "@ A {abroad}"],
        *["okalias HTTPS 0 edge.{com}.", "foreign HTTPS 0 far.{com}."],
        *["_8443._https.a HTTPS 1 a port=8443", "_444._https.b HTTPS 1 b", "b A {secret}"],
    ],
    com=["edge A {secret}", "far A {abroad}", "far HTTPS 0 far2", "far2 A {abroad}"],
    filed=["okalias"],
)
def addresses_of_services(probe):
    names = ["a", "aaaa", "mixed", "only6", "chain", "alias0", "target", "target6", "second"]
    names += ["apex", "@", "_8443._https.a", "_444._https.b", "chain2"]
    for _ in range(2):
        for name in names:
            response = expect_nodata(probe, name)
            if not probe.has_module:
                # It holds no address, but lets the client go on.
                assert response.answer
            expect_nodata(probe, name, do=True, cd=True)
        edge = probe.way.fill("0 edge.{com}.")
        expect_records(probe, "okalias", "HTTPS", [edge])
        expect_records(probe, "foreign", "HTTPS", [probe.way.fill("0 far.{com}.")])
        for name in ("a", "mixed", "chain", "cname", "edge.{com}.", "b"):
            probe.expect_blocked(name)
        for name in ("aaaa", "only6"):
            probe.expect_blocked(name, "AAAA")


@way(
    SERVICE,
    "addresses of services that can't be had",
    cn=[
        *["held HTTPS 1 . ipv4hint={secret}", "held A {secret}"],
        *["fails HTTPS 1 c1 ipv4hint={secret}", "c1 CNAME c2", "c2 CNAME c1", "nohint HTTPS 1 c1"],
        *["bogus HTTPS 1 b ipv4hint={secret}", "b A {secret}"],
        *["gone HTTPS 1 missing alpn=h2", "self HTTPS 0 self"],
        *["loop HTTPS 0 loop2", "loop2 HTTPS 0 loop", "many HTTPS 30 last ipv4hint={abroad}"],
        *[f"many HTTPS {number} t{number}" for number in range(1, 20)],
        *[f"t{number} A {{abroad}}" for number in range(1, 20)],
    ],
    bogus=["b"],
)
def addresses_of_services_fail(probe):
    relay = probe.world.relay
    for _ in range(2):
        for name in ("gone", "loop", "self", "nohint", "many"):
            response = probe.ask(name, "HTTPS")
            assert response.rcode() == dns.rcode.NOERROR and response.answer, name
        for name in ("fails", "bogus"):
            expect_nodata(probe, name)
    # Its A does not come for a while; others ask for it meanwhile.
    relay.hold("A", probe.way.full_name("held"))
    pending = [
        probe.send("held", rdtype, thread=thread, cd=cd)
        for thread in probe.threads
        for rdtype in ("HTTPS", "A")
        for cd in (False, True)
    ]
    wait_until(relay.held, 20, "an answer is held back")
    pending.append(probe.send("held", "HTTPS", via="snoop", rd=False))
    relay.release()
    for each in pending:
        each.response()
    expect_nodata(probe, "held")


# ANY


@way(
    SERVICE,
    "ANY",
    cn=[
        *["a A {secret}", "aaaa AAAA {secret6}", "both A {secret}", "both AAAA {secret6}"],
        *["svc HTTPS 1 . ipv4hint={secret}", "all A {secret}", "all AAAA {secret6}"],
        *["all HTTPS 1 . ipv4hint={secret}", "all MX 10 both", 'all TXT "words"'],
        *["ok A {real}", "far A {abroad}", "far6 AAAA {abroad6}", "alias CNAME a"],
        *["okalias CNAME hidden", "hidden A {secret:hidden}", "*.wild A {secret}"],
        *["mail MX 10 both", 'txt TXT "words"'],
    ],
    com=["a A {secret}"],
    org=["a A {secret}"],
    filed=["ok", "okalias"],
)
def any_type(probe):
    for rdtype, name in (("A", "all"), ("AAAA", "all"), ("HTTPS", "all"), ("MX", "all")):
        # Unbound puts an answer together from what is cached.
        probe.ask(name, rdtype)
    for _ in range(2):
        for name in ("a", "aaaa", "both", "svc", "all", "x.wild", "a.{com}.", "a.{org}."):
            expect_any_blocked(probe, name)
            expect_any_blocked(probe, name, do=True, cd=True)
            expect_any_blocked(probe, name, via="tcp")
            probe.ask(name, "ANY", via="snoop", rd=False)
        probe.expect_real("ok", "ANY")
        probe.expect_real("far", "ANY", [ABROAD])
        probe.expect_real("far6", "ANY", [ABROAD6])
        expect_records(probe, "txt", "ANY", [])
        response = probe.ask("okalias", "ANY", allowed=[probe.address("hidden")])
        assert response.answer[0].rdtype == dns.rdatatype.CNAME
        # Later versions do not go on from there.
        if any(rrset.rdtype == dns.rdatatype.A for rrset in response.answer):
            expect_any_blocked(probe, "alias")
        else:
            assert probe.ask("alias", "ANY").answer[0].rdtype == dns.rdatatype.CNAME
        expect_records(probe, "mail", "MX", [f"10 {probe.way.full_name('both')}"])
        probe.ask("mail", "ANY")


@way(
    SERVICE,
    "ANY, with deny-any",
    cn=["a A {secret}", "svc HTTPS 1 . ipv4hint={secret}", "ok A {real}", "mx MX 10 a"],
    filed=["ok"],
    own=Own(server=["deny-any: yes", "minimal-responses: no"]),
)
def any_denied(probe):
    for _ in range(2):
        for name in ("a", "svc", "ok", "mx"):
            response = probe.ask(name, "ANY")
            assert response.rcode() == dns.rcode.NOTIMP and not response.answer, response
        probe.expect_blocked("a")
        expect_nodata(probe, "svc")
        assert probe.ask("mx", "MX").answer
        probe.expect_real("ok")


# Additional sections

ADDITIONAL = {
    "cn": [
        *["mx MX 10 mail", "mx MX 20 ok", "mx MX 30 far", "mx MX 40 both", "mail A {secret:mail}"],
        *["mail AAAA {secret6}", "ok A {real}", "ok AAAA {real6}", "far A {abroad}"],
        *["both A {abroad}", "both AAAA {secret6}", "alias CNAME mx", "srv SRV 0 0 443 mail"],
        *["srv SRV 1 0 443 ok", "srv SRV 2 0 443 far", "out MX 10 mail.{com}.", "out MX 20 mail"],
        *["sub NS ns.sub", "ns.sub A 127.0.0.9", "zone NS ns1.zone", "ns1.zone A {secret:ns}"],
        *["*.wild MX 10 mail", "naptr NAPTR 1 1 \"A\" \"\" \"\" mail", "afsdb AFSDB 1 mail"],
        *["svc HTTPS 1 mail", "oksvc HTTPS 1 ok", "okmx MX 10 ok", "tree DNAME target"],
        *["a.target MX 10 mail", "rp RP mail txt", "kx KX 1 mail", "px SRV 0 0 1 alias2"],
        "alias2 CNAME mail",
    ],
    "com": ["mail A {secret}", "mx MX 10 mail", "ns1 A {secret}"],
    "org": ["mx MX 10 mail", "mail A {secret}", "mail AAAA {secret6}"],
    "filed": ["ok"],
}


def ask_for_more(probe, *rest):
    """All that servers send addresses along with."""
    asked = [("mx", "MX"), ("alias", "MX"), ("srv", "SRV"), ("out", "MX"), ("x.wild", "MX")]
    asked += [("naptr", "NAPTR"), ("afsdb", "AFSDB"), ("svc", "HTTPS"), ("a.tree", "MX")]
    asked += [("rp", "RP"), ("kx", "KX"), ("px", "SRV"), ("mx.{com}.", "MX"), ("mx.{org}.", "MX")]
    asked += [("{org}.", "NS"), ("cn.", "NS"), ("com.", "NS"), ("mail.{org}.", "NS")]
    for _ in range(2):
        for name, rdtype in asked:
            for how in ({}, {"do": True}, {"cd": True}, {"via": "tcp", "do": True}):
                response = probe.ask(name, rdtype, **how)
                assert response.rcode() == dns.rcode.NOERROR, response
            probe.ask(name, rdtype, via="snoop", rd=False)
        # Names of blocked hosts are no secret.
        hosts = {probe.way.full_name(name) for name in ("mail", "ok", "far", "both")}
        response = probe.ask("mx", "MX")
        assert {rdata.exchange.to_text() for rdata in response.answer[0]} == hosts
        for name in ("mail", "mail.{com}.", "mail.{org}.", "ns.{org}."):
            probe.expect_blocked(name)
            expect_any_blocked(probe, name)
        probe.expect_blocked("both", "AAAA")
        probe.expect_real("ok")
        probe.expect_real("far", addresses=[ABROAD])


@way(SERVICE, "additional sections; minimal-responses: yes", **ADDITIONAL)
def additional(probe):
    ask_for_more(probe)


@way(
    SERVICE,
    "additional sections; minimal-responses: no",
    own=Own(server=["minimal-responses: no"]),
    **ADDITIONAL,
)
def additional_whole(probe):
    ask_for_more(probe)
    response = probe.ask("mx", "MX")
    if probe.has_module:
        more = [(str(each.name), rdata.address) for each in response.additional for rdata in each]
        real = [("ok", OURS), ("ok", OURS6), ("far", ABROAD), ("both", ABROAD)]
        assert sorted(more) == sorted((probe.way.full_name(name), where) for name, where in real)


# Changes


@way(
    SERVICE,
    "names that change",
    cn=[
        *["svc HTTPS 1 . ipv4hint={secret:svc}", "falls HTTPS 1 . ipv4hint={secret:falls}"],
        *["falls A {secret:falls}", "falls MX 10 falls", "rises HTTPS 1 . ipv4hint={secret:rises}"],
        *["rises A {secret:rises}", "rises MX 10 rises", "late HTTPS 1 . alpn=h2"],
        *["late A {secret:late}", "mx MX 10 falls", "mx MX 20 rises"],
    ],
    filed=["falls", "late"],
    own=Own(clock=True, server=["minimal-responses: no"]),
)
def services_change(probe):
    falls, rises = [probe.address("falls")], [probe.address("rises")]
    late = [probe.address("late")]
    hint = f"1 . ipv4hint={falls[0]}"
    for moment in (0, AFTER_LEASE):
        clock_to(probe, moment)
        expect_nodata(probe, "svc")
        expect_nodata(probe, "rises")
        expect_any_blocked(probe, "rises")
        expect_records(probe, "falls", "HTTPS", [hint], allowed=falls)
        expect_records(probe, "late", "HTTPS", ["1 . alpn=h2"], allowed=late)
        probe.expect_real("falls", "ANY", falls)
        probe.ask("mx", "MX", allowed=falls)
        probe.ask("falls", "MX", allowed=falls)
    forbid(probe, "falls", "late")
    permit(probe, "rises")
    for moment in (2, 3):
        clock_to(probe, moment * AFTER_LEASE)
        for name in ("svc", "falls", "late"):
            expect_nodata(probe, name)
        expect_any_blocked(probe, "falls")
        for name in ("mx", "falls", "rises"):
            probe.ask(name, "MX", allowed=rises)
        hint = f"1 . ipv4hint={rises[0]}"
        expect_records(probe, "rises", "HTTPS", [hint], allowed=rises)
        probe.expect_real("rises", "ANY", rises)

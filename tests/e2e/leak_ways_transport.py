# SPDX-License-Identifier: BSD-3-Clause
"""Ways of how a client asks: without recursion, over what, in which case, with what room."""

import dns.edns
import dns.flags

from leak_world import Own, exchange_on_stream
from leaks import way
from world import ABROAD

TRANSPORT = "RD=0; TCP"


@way(
    TRANSPORT,
    "RD=0, answered from what is cached",
    cn=[
        *["cold A {secret}", "cold AAAA {secret6}", "alias CNAME cold", "never A {secret}"],
        *["tree DNAME target", "a.target A {secret}", "ok A {real}", "okalias CNAME hidden"],
        *['hidden A {secret:hidden}', 'a.b TXT "deep"', "b A {secret}"],
    ],
    com=["edge A {secret}"],
    org=["www A {abroad}", "cold A {secret}", "alias CNAME edge.{com}."],
    filed=["ok", "okalias"],
)
def without_recursion(probe):
    kinds = [{}, {"cd": True}, {"do": True}, {"payload": None}]
    # A cold cache first, then a warm one.
    for _ in range(2):
        for name in ("cold", "alias", "a.tree", "a.target", "b", "never", "edge.{com}."):
            for kind in kinds:
                probe.ask(name, via="snoop", rd=False, **kind)
                probe.ask(name, rd=False, **kind)
        for name in ("cold", "alias", "a.tree", "cold.{org}.", "alias.{org}."):
            probe.expect_blocked(name)
            probe.expect_blocked(name, via="snoop")
            probe.ask(name, "AAAA")
        assert probe.ask("a.b", "TXT").answer
        probe.expect_real("ok")
        probe.expect_real("okalias", addresses=[probe.address("hidden")])
        probe.expect_real("www.{org}.", addresses=[ABROAD])
    probe.expect_real("ok", via="snoop", rd=False)


@way(
    TRANSPORT,
    "RD=0, answered by a referral with glue",
    org=["www A {abroad}", "cold A {secret}"],
)
def referral_with_glue(probe):
    probe.expect_real("www.{org}.", addresses=[ABROAD])
    for _ in range(2):
        for name in ("other.{org}.", "cold.{org}.", "ns.{org}.", "{org}."):
            for rdtype in ("A", "AAAA", "NS", "TXT", "MX"):
                for kind in ({}, {"cd": True}, {"do": True}, {"payload": None}):
                    probe.ask(name, rdtype, via="snoop", rd=False, **kind)
        probe.expect_blocked("ns.{org}.")
        probe.expect_blocked("cold.{org}.")


@way(
    TRANSPORT,
    "TCP, DoT, DoH",
    cn=[
        *[f"{name}{via} A {{secret}}" for name in ("cold", "mid") for via in ("tcp", "tls", "https")],
        *["alias CNAME coldtcp", "ok A {real}"],
    ],
    filed=["ok"],
)
def other_transports(probe):
    carriers = ["tcp", "tls"]
    if probe.world.https_port:
        carriers.append("https")
    else:
        probe.note("DoH skipped: this Unbound is built without HTTP/2")
    for via in carriers:
        for name in ("cold" + via, "alias"):
            probe.expect_blocked(name, via=via)
            for _ in range(2):
                probe.expect_blocked(name, via=via, cd=True)
                probe.expect_blocked(name, via=via, do=True)
                probe.expect_blocked(name)
        # Cached by a query over UDP.
        probe.expect_blocked("mid" + via)
        probe.expect_blocked("mid" + via, via=via)
        probe.expect_real("ok", via=via)


@way(
    TRANSPORT,
    "many queries on one connection",
    cn=[*[f"n{number} A {{secret:n}}" for number in range(20)], "ok A {real}"],
    filed=["ok"],
)
def one_connection(probe):
    names = [f"n{number}" for number in range(20)]
    with probe.connection() as stream:
        for name in [*names, *names]:
            for cd in (False, True):
                query = probe.query(name, "A", cd=cd).to_wire()
                probe.look(exchange_on_stream(stream, query), "on one connection")
    for name in names:
        probe.expect_blocked(name)
    probe.expect_real("ok", via="tcp")


MIXED_CASE = {
    "cn": ["cold A {secret}", "warm A {secret}", "alias CNAME cold", "ok A {real}"],
    "com": ["edge A {secret}"],
    "filed": ["ok"],
}


def ask_in_any_case(probe):
    probe.expect_blocked("warm")
    cased = str.swapcase(probe.way.full_name("warm"))
    for name in ("CoLd", "cOlD", "COLD", "alIAS", "WarM", cased, "EDGE.{com}."):
        probe.expect_blocked(name)
        response = probe.expect_blocked(name, cd=True)
        # As it was asked, octet for octet.
        assert str(response.question[0].name) == probe.way.full_name(name)
    probe.expect_real("oK")
    probe.expect_real("Ok")


@way(TRANSPORT, "0x20 case of the client", **MIXED_CASE)
def case_of_the_client(probe):
    ask_in_any_case(probe)


@way(
    TRANSPORT,
    "0x20 case of the resolver",
    own=Own(server=["use-caps-for-id: yes"]),
    **MIXED_CASE,
)
def case_of_the_resolver(probe):
    ask_in_any_case(probe)


LARGE = 40
# None: no EDNS. Less than 512 counts as 512.
PAYLOADS = (None, 0, 512, 513, 1232, 1452, 4096, 65535)


@way(
    TRANSPORT,
    "EDNS buffer sizes and truncation",
    com=[
        *[f"large AAAA {{secret6:l{number}}}" for number in range(LARGE)],
        *[f"cold{payload} AAAA {{secret6}}" for payload in PAYLOADS],
        *[f"ok AAAA 2001:db8:1:bead::{number:x}" for number in range(1, LARGE + 1)],
        "alias CNAME large",
    ],
    filed=["ok.{com}."],
)
def buffer_sizes(probe):
    real = [f"2001:db8:1:bead::{number:x}" for number in range(1, LARGE + 1)]
    for _ in range(2):
        for payload in PAYLOADS:
            for name in ("large", "alias", f"cold{payload}"):
                for kind in ({}, {"do": True}, {"cd": True}):
                    if payload is None and kind.get("do"):
                        continue
                    response = probe.expect_blocked(
                        name + ".{com}.", "AAAA", payload=payload, **kind
                    )
                    # The block page is small, whatever it stands for.
                    assert not (probe.has_module and response.flags & dns.flags.TC)
            response = probe.ask("ok.{com}.", "AAAA", payload=payload)
            is_small = payload is None or payload < LARGE * 28
            assert bool(response.flags & dns.flags.TC) == is_small
            probe.expect_real("ok.{com}.", "AAAA", real, via="tcp", payload=payload)
        probe.expect_blocked("large.{com}.", "AAAA", via="tcp")


@way(
    TRANSPORT,
    "EDNS options",
    cn=["cold A {secret}", "warm A {secret}", "ok A {real}"],
    filed=["ok"],
)
def edns_options(probe):
    subnet = dns.edns.ECSOption("192.0.2.0", 24)
    options = {
        "NSID": dns.edns.GenericOption(dns.edns.NSID, b""),
        "subnet": subnet,
        "cookie": dns.edns.GenericOption(dns.edns.COOKIE, b"12345678"),
        "keepalive": dns.edns.GenericOption(dns.edns.KEEPALIVE, b""),
        "padding": dns.edns.GenericOption(dns.edns.PADDING, bytes(64)),
        "unknown": dns.edns.GenericOption(65001, b"any"),
    }
    probe.expect_blocked("warm")
    for name in ("cold", "warm"):
        for option in options.values():
            probe.expect_blocked(name, options=[option])
        probe.expect_blocked(name, options=list(options.values()), do=True)
        probe.expect_blocked(name, options=[options["keepalive"]], via="tcp")
    probe.expect_real("ok", options=list(options.values()))

# SPDX-License-Identifier: BSD-3-Clause
"""Ways that settings open: monitor mode, exempt names, addresses inside others, stripping."""

import ipaddress
import socket
import struct
import threading

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

from leak_checks import (
    AFTER_LEASE,
    clock_to,
    control,
    expect_any_blocked,
    expect_nodata,
    expect_records,
    forbid,
    plain_name,
)
from leak_world import ANSWER_SECONDS, Own
from leaks import octets_of, way
from world import ABROAD, ABROAD6, OURS, ede

SETTINGS = "HTTPS/SVCB hints"

MONITORED = {
    "a A": ["{secret:a}"],
    "aaaa AAAA": ["{secret6:aaaa}"],
    "mixed A": ["{abroad}", "{secret:mixed}"],
    "svc HTTPS": ["1 . alpn=h2 ipv4hint={secret:svc} ipv6hint={secret6:svc6}"],
    "svc A": ["{secret:svc}"],
    "svcb SVCB": ["1 . ipv4hint={abroad},{secret:svc}", "2 a.{cn}. port=53"],
    "bare HTTPS": ["1 . alpn=h2"],
    "bare A": ["{secret:bare}"],
    "falls A": ["{secret:falls}"],
    "ok A": ["{real}"],
    "far A": ["{abroad}"],
    "mx MX": ["10 a.{cn}.", "20 ok.{cn}."],
}
MONITOR_LINES = [f"{key} {text}" for key, texts in MONITORED.items() for text in texts]


def data(probe, texts):
    """What stands in the zone for them."""
    for tag, address in probe.secrets.items():
        for kind in ("secret", "secret6"):
            texts = [text.replace(f"{{{kind}:{tag}}}", address) for text in texts]
    texts = [text.replace("{abroad}", ABROAD).replace("{real}", OURS) for text in texts]
    return [probe.way.fill(text) for text in texts]


@way(
    SETTINGS,
    "mode: monitor, where nothing is blocked: no answer differs",
    cn=[*MONITOR_LINES, "alias CNAME a"],
    filed=["ok", "falls"],
    own=Own(clock=True, changes={"mode": "monitor"}, server=["minimal-responses: no"]),
)
def monitor(probe):
    everything = list(probe.secrets.values()) if probe.has_module else []
    for moment in (0, 1, 2):
        clock_to(probe, moment * AFTER_LEASE)
        for key, texts in MONITORED.items():
            name, rdtype = key.split()
            for how in ({}, {"do": True, "ad": True}, {"cd": True}, {"via": "tcp"}):
                texts = data(probe, texts)
                response = expect_records(probe, name, rdtype, texts, allowed=everything, **how)
                secure = probe.validation and "ad" in how
                assert bool(response.flags & dns.flags.AD) == secure, response
                assert ede(response) is None
                assert len(response.answer) == 1 + ("do" in how)
            if rdtype == "MX":
                more = {rdata.address for each in response.additional for rdata in each}
                assert more == {probe.address("a"), OURS}
        response = probe.ask("alias", allowed=everything)
        assert len(response.answer) == 2
        response = probe.ask("svc", "ANY", allowed=everything)
        assert response.answer and ede(response) is None
        if moment == 0:
            forbid(probe, "falls")
    if probe.has_module:
        for name in ("a", "svc", "bare", "falls"):
            assert f"would block {plain_name(probe, name)}: unfiled" in probe.world.unbound.log
        assert f"would block {plain_name(probe, 'ok')}" not in probe.world.unbound.log


@way(
    SETTINGS,
    "exempt names are served, names beside them are not",
    cn=[
        *["in A {secret:in}", "a.in A {secret:ain}", "a.in AAAA {secret6:ain6}", "xin A {secret}"],
        *["in HTTPS 1 . ipv4hint={secret:in}", "b.in CNAME cold", "cold A {secret:cold}"],
        *["mx.in MX 10 cold", "alias CNAME a.in", "@ A {secret}", "in.in A {secret:inin}"],
    ],
    own=Own(changes={"exempt": ["in.exempt.cn"]}, server=["minimal-responses: no"]),
)
def exempt(probe):
    for _ in range(2):
        probe.expect_real("in", addresses=[probe.address("in")])
        probe.expect_real("in.in", addresses=[probe.address("inin")])
        probe.expect_real("a.in", addresses=[probe.address("ain")])
        probe.expect_real("a.in", "AAAA", addresses=[probe.address("ain6")])
        probe.expect_real("b.in", addresses=[probe.address("cold")])
        hint = f"1 . ipv4hint={probe.address('in')}"
        expect_records(probe, "in", "HTTPS", [hint], allowed=[probe.address("in")])
        probe.ask("mx.in", "MX")
        for name in ("xin", "cold", "alias", "@"):
            probe.expect_blocked(name)


def inside(prefix, address):
    """An IPv4 address inside IPv6 (RFC 6052)."""
    network = ipaddress.IPv6Network(prefix)
    octets = bytearray(network.network_address.packed)
    at = network.prefixlen // 8
    for octet in ipaddress.IPv4Address(address).packed:
        at += at == 8
        octets[at] = octet
        at += 1
    return str(ipaddress.IPv6Address(bytes(octets)))


NAT64 = ["64:ff9b::/96", "2001:db8:64::/48", "2001:db8:6400::/40"]
GATED4, ABROAD4 = "192.0.2.240", "198.18.64.1"
IN_OTHERS = {
    "mapped": f"::ffff:{GATED4}",
    **{f"nat{number}": inside(prefix, GATED4) for number, prefix in enumerate(NAT64)},
}
FOREIGN_IN_OTHERS = [f"::ffff:{ABROAD4}", *(inside(prefix, ABROAD4) for prefix in NAT64)]


@way(
    SETTINGS,
    "IPv4 addresses inside IPv6 ones: mapped, nat64_prefixes",
    cn=[
        *[f"{tag} AAAA {address}" for tag, address in IN_OTHERS.items()],
        *[f"{tag}-svc HTTPS 1 . ipv6hint={address}" for tag, address in IN_OTHERS.items()],
        *[f"ok AAAA {address}" for address in IN_OTHERS.values()],
        *[f"far AAAA {address}" for address in FOREIGN_IN_OTHERS],
        "far HTTPS 1 . ipv6hint=" + ",".join(FOREIGN_IN_OTHERS),
    ],
    filed=["ok"],
    secrets=IN_OTHERS,
    own=Own(changes={"nat64_prefixes": NAT64}),
)
def in_other_addresses(probe):
    for _ in range(2):
        for tag in IN_OTHERS:
            probe.expect_blocked(tag, "AAAA")
            expect_any_blocked(probe, tag)
            expect_nodata(probe, f"{tag}-svc")
        probe.expect_real("ok", "AAAA", IN_OTHERS.values())
        probe.expect_real("far", "AAAA", FOREIGN_IN_OTHERS)
        hints = "1 . ipv6hint=" + ",".join(FOREIGN_IN_OTHERS)
        expect_records(probe, "far", "HTTPS", [hints])


@way(
    SETTINGS,
    "mixed: strip",
    cn=[
        *["mixed A {secret}", "mixed A {abroad}", "mixed AAAA {secret6}", "mixed AAAA {abroad6}"],
        *["cold A {secret}", "cold A {secret}", "alias CNAME mixed", "ok A {real}"],
        *["svc HTTPS 1 . alpn=h2 ipv4hint={abroad},{secret} ipv6hint={secret6}"],
        *["two HTTPS 1 . ipv4hint={secret}", "two HTTPS 2 . ipv4hint={abroad} port=8443"],
        *["must HTTPS 1 . mandatory=ipv4hint ipv4hint={secret}", "must HTTPS 2 . alpn=h2"],
        *["must A {abroad}", "bad HTTPS 1 . ipv4hint={secret} ipv6hint={secret6}"],
        *["target HTTPS 1 cold ipv4hint={abroad}", "mx MX 10 mixed", "bare HTTPS 1 . alpn=h2"],
        *["bare A {secret}", "bare A {abroad}", "falls A {secret:falls}", "falls A {abroad}"],
        "ok A {abroad}",
    ],
    filed=["ok", "falls"],
    own=Own(clock=True, changes={"mixed": "strip"}, server=["minimal-responses: no"]),
)
def strip(probe):
    def rest(name, rdtype, texts):
        for how in ({}, {"cd": True}, {"do": True, "ad": True}, {"via": "tcp"}):
            before = len(probe.leaks)
            response = probe.ask(name, rdtype, **how)
            if probe.has_module and len(probe.leaks) == before:
                expect_records(probe, name, rdtype, texts, **how)
                assert not response.flags & dns.flags.AD
                assert not any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in response.answer)

    for moment in (0, 1, 2):
        clock_to(probe, moment * AFTER_LEASE)
        for name in ("mixed", "alias", "bare"):
            rest(name, "A", [ABROAD])
        rest("mixed", "AAAA", [ABROAD6])
        rest("svc", "HTTPS", [f"1 . alpn=h2 ipv4hint={ABROAD}"])
        rest("two", "HTTPS", ["1 .", f"2 . ipv4hint={ABROAD} port=8443"])
        rest("must", "HTTPS", ["2 . alpn=h2"])
        rest("bare", "HTTPS", ["1 . alpn=h2"])
        for name in ("bad", "target"):
            expect_nodata(probe, name)
        probe.expect_blocked("cold")
        probe.expect_real("ok", addresses=[OURS, ABROAD])
        assert probe.ask("mx", "MX").answer
        probe.ask("mixed", "ANY")
        if moment < 2:
            falls = [probe.address("falls"), ABROAD]
            probe.expect_real("falls", addresses=falls)
        if moment == 1:
            forbid(probe, "falls")
    rest("falls", "A", [ABROAD])


# Records that are not well-formed: no client needs to, but one may read them.

MALFORMED_ADDRESS = "192.0.2.241"
HEX = ipaddress.IPv4Address(MALFORMED_ADDRESS).packed.hex()
MALFORMED = {
    "unsorted": f"0001 00 0004 0004 {HEX} 0001 0003 026832",
    "long": f"0001 00 0004 0005 {HEX} 00",
    "twice": f"0001 00 0004 0004 c6120001 0004 0004 {HEX}",
    "behind-a-fault": f"0001 00 0006 0003 200102 0004 0004 {HEX}",
    "in-alias": f"0000 00 0004 0004 {HEX}",
    "empty": f"0001 00 0001 0000 0004 0004 {HEX}",
    "loose-end": f"0001 00 0004 0004 {HEX} ff",
}


class RawServer:
    """Answers HTTPS queries with octets that it is given, by the first label of their name."""

    def __init__(self, records):
        self.records = {name: bytes.fromhex(text) for name, text in records.items()}
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while True:
            packet, sender = self.socket.recvfrom(65535)
            if len(packet) < 12:
                return
            self.socket.sendto(self.answer(packet), sender)

    def answer(self, packet):
        query = dns.message.from_wire(packet)
        response = dns.message.make_response(query)
        response.use_edns(-1)
        response.flags |= dns.flags.AA
        wire = bytearray(response.to_wire())
        (question,) = query.question
        rdata = self.records.get(question.name.labels[0].decode().lower())
        if rdata is not None and question.rdtype == dns.rdatatype.HTTPS:
            wire[7] = 1
            wire += struct.pack("!HHHIH", 0xC00C, question.rdtype, 1, 300, len(rdata)) + rdata
        return bytes(wire)

    def stop(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as each:
            each.sendto(b".", ("127.0.0.1", self.port))
        self.thread.join()
        self.socket.close()


def ask_raw(probe, name, thread):
    """As Probe.ask, of answers that dnspython can't read."""
    each = probe.world.sockets.take(thread)
    each.settimeout(ANSWER_SECONDS)
    each.send(probe.query(name, "HTTPS").to_wire())
    wire = each.recv(65535)
    probe.world.sockets.give_back(thread, each)
    assert wire[3] & 0x0F == dns.rcode.NOERROR
    probe.asked += 1
    if octets_of(MALFORMED_ADDRESS) in wire:
        probe.leaks.append(f"{name}: {wire.hex()}")


@way(
    SETTINGS,
    "records that are not well-formed",
    secrets={"malformed": MALFORMED_ADDRESS},
    own=Own(),
)
def malformed(probe):
    server = RawServer(MALFORMED)
    try:
        control(probe, "stub_add", "+i", probe.way.fill("{org}."), f"127.0.0.1@{server.port}")
        for _ in range(2):
            for name in MALFORMED:
                for thread in probe.threads:
                    ask_raw(probe, f"{name}.{{org}}.", thread)
    finally:
        server.stop()

#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Writes the seeds of the fuzz harnesses into corpus/HARNESS/, each named for what it shows.

What a harness found is added here by hand, cut down to its least, so that it stays found.
"""
import ipaddress
import pathlib
import struct

import dns.edns
import dns.message
import dns.rrset

from seeds_blockpage import HTTP, TEMPLATE
from seeds_files import CONFIG, FEED, MANIFEST, REQUEST, SPOOL
from seeds_pages import PAGES

CORPUS = pathlib.Path(__file__).parent / "corpus"

A, AAAA, SVCB, HTTPS, OTHER = range(5)  # The types' places in fuzz_rdata.c.


def ip(*texts):
    return b"".join(ipaddress.ip_address(text).packed for text in texts)


IPV4 = ip("192.0.2.1", "192.0.2.2", "203.0.113.3")
IPV6 = ip("2001:db8::1", "2001:db8::2")


def wire(name):
    labels = [label.encode() for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


LONGEST = wire(".".join(["a" * 63] * 3 + ["a" * 61]))


def param(key, value):
    return struct.pack(">HH", key, len(value)) + value


def svcb(*params, target=b"\0", priority=1):
    return struct.pack(">H", priority) + target + b"".join(params)


def rdata(kind, octets, keep=0b10101010, cut=0):
    return bytes([kind, keep, cut]) + octets


FULL = svcb(
    param(0, b"\0\1\0\4"), param(1, b"\2h2\2h3"), param(3, b"\1\xbb"), param(4, IPV4),
    param(5, b"ech"), param(6, IPV6), target=wire("www.example.com"))

RDATA = {
    "a": rdata(A, ip("192.0.2.1"), keep=1),
    "a-taken": rdata(A, ip("192.0.2.1"), keep=0),
    "a-of-three-octets": rdata(A, b"\xc0\0\2"),
    "a-cut-to-an-address": rdata(A, b"\xc0\0\2\1\0", cut=1),
    "aaaa": rdata(AAAA, ip("2001:db8::1"), keep=1),
    "aaaa-of-17-octets": rdata(AAAA, ip("2001:db8::1") + b"\0"),
    "alias": rdata(HTTPS, svcb(target=wire("www.example.com"), priority=0)),
    "alias-with-hints": rdata(HTTPS, svcb(param(4, IPV4), priority=0)),
    "all-parameters": rdata(HTTPS, FULL),
    "all-parameters-cut": rdata(HTTPS, FULL, cut=20),
    "compressed-target": rdata(HTTPS, svcb(param(4, IPV4), target=b"\xc0\x0c")),
    "empty": rdata(HTTPS, b""),
    "hint-empty": rdata(HTTPS, svcb(param(4, b""), param(6, IPV6))),
    "hint-longer-than-rdata": rdata(HTTPS, svcb(param(4, IPV4)) + b"\0\6\xff\xff" + IPV6),
    "hint-not-whole": rdata(HTTPS, svcb(param(4, IPV4[:7]), param(6, IPV6[:17]))),
    "hints-of-each-kind": rdata(SVCB, svcb(param(4, IPV4), param(6, IPV6))),
    "key-twice": rdata(HTTPS, svcb(param(4, IPV4[:4]), param(4, IPV4[4:8]))),
    "keys-out-of-order": rdata(HTTPS, svcb(param(6, IPV6), param(4, IPV4))),
    "longest-target": rdata(HTTPS, svcb(param(4, IPV4), target=LONGEST)),
    "mandatory-and-taken": rdata(HTTPS, svcb(param(0, b"\0\4"), param(4, IPV4)), keep=0),
    "mandatory-behind-the-hint": rdata(HTTPS, svcb(param(4, IPV4), param(0, b"\0\4")), keep=0),
    "mandatory-not-whole": rdata(HTTPS, svcb(param(0, b"\0\4\0"), param(4, IPV4)), keep=0),
    "nothing-kept": rdata(HTTPS, svcb(param(4, IPV4), param(6, IPV6)), keep=0),
    "priority-alone": rdata(HTTPS, b"\0\1"),
    "target-too-long": rdata(
        HTTPS, svcb(param(4, IPV4), target=wire(".".join(["a" * 63] * 3 + ["a" * 62])))),
    "target-without-end": rdata(HTTPS, b"\0\1\3www"),
    "text": rdata(OTHER, b"\4text"),
}

NAME_WIRE = {
    "127-labels": wire(".".join("a" * 127)),
    "compressed": b"\3www\xc0\x0c",
    "cut-label": b"\7exa",
    "escaped-octets": b"\7\0 .\\\"\x7f\xff\0",
    "host-names-in-order": wire("a.example.com") + wire("b.example.com"),
    "label-of-63": wire("a" * 63),
    "label-of-64": b"\x40" + b"a" * 64 + b"\0",
    "longest": LONGEST,
    "name-and-its-parent": wire("www.example.com") + wire("example.com"),
    "no-root": b"\7example\3com",
    "root": b"\0",
    "same-name-in-other-case": wire("EXAMPLE.com") + wire("example.COM"),
    "stored-name": wire("xn--fsqu00a.xn--fiqs8s")[:-1],
    "too-long": wire(".".join(["a" * 63] * 3 + ["a" * 62])),
}

NAME_TEXT = {
    "a-label": b"xn--fsqu00a.xn--fiqs8s",
    "127-labels-and-one": b"a." * 127 + b"b",
    "ascii-and-unicode": "www.例子.中国".encode(),
    "bad-utf-8": b"\xe4\xbe.cn",
    "bidirectional": "אב.example".encode(),
    "dots-inside": b"a..b",
    "empty": b"",
    "host-name": b"WWW.Example.COM",
    "hyphen-first": b"-a.cn",
    "joiner": "क्‍ष.example".encode(),
    "label-of-64": b"a" * 64 + b".cn",
    "longest": b".".join([b"a" * 63] * 3 + [b"a" * 61]),
    "mapped-to-a-dot": "a℀b.cn".encode(),
    "nul": b"a\0b.cn",
    "sharp-s": "straße.example".encode(),
    "stops-of-uts-46": "例子。中国．a｡cn".encode(),
    "too-long": b".".join([b"a" * 63] * 3 + [b"a" * 62]),
    "too-long-by-a-converted-label": ".".join(
        ["a" * 63] * 3 + ["b" * 30, "例" * 30]).encode(),
    "trailing-dot": b"example.com.",
    "underscore": b"_dmarc.example.com",
    "unicode-label-too-long": "例".encode() * 60,
    "upper-case-unicode": "BÜCHER.example".encode(),
}


def text(value):
    return bytes([len(value)]) + value


def row(head, provider=b"qcloud", number="京ICP备11018762号-1".encode(), rest=b""):
    return bytes([head]) + text(provider) + text(number) + rest


def stored(prefix):
    network = ipaddress.ip_network(prefix)
    family = 4 if network.version == 4 else 6
    return bytes([family]) + network.network_address.packed.ljust(16, b"\0") + bytes(
        [network.prefixlen])


LICENSED = stored("192.0.2.0/24") + stored("2001:db8::1/128")

ROW = {
    "approved": row(0x10, rest=b"\x80\xa8\xd6\xa9\x0d"),
    "cut-number": row(0)[:-1],
    "filed": row(0),
    "licensed": row(0x80, rest=b"\2\0" + LICENSED),
    "licensed-by-none": row(0x80, rest=b"\0\0"),
    "licensed-by-too-many": row(0x80, rest=b"\1\1" + LICENSED),
    "licensed-family-5": row(0x80, rest=b"\1\0\5" + LICENSED[1:18]),
    "licensed-length-33": row(0x80, rest=b"\1\0" + LICENSED[:17] + b"\x21"),
    "no-number": row(4, number=b""),
    "no-provider": row(0, provider=b""),
    "number-too-long": row(0, number=b"1" * 129),
    "provider-too-long": row(0, provider=b"p" * 33),
    "provider-upper-case": row(0, provider=b"QCLOUD"),
    "status-unknown": row(7),
    "three-times": row(0x73, rest=b"\2\4\x80\1"),
    "time-none": row(0x10, rest=b"\xff" * 9 + b"\1"),
    "time-overlong": row(0x10, rest=b"\x80\0"),
    "time-too-large": row(0x10, rest=b"\xff" * 9 + b"\2"),
}


def node(name, *rows, below=False):
    return text(wire(name)[:-1]) + struct.pack("<H", len(rows) | below << 15) + b"".join(rows)


def bucket(*nodes, shift=0):
    """Checksums and fingerprints are left to the harness."""
    nodes = [b"\0" * 4 + octets for octets in nodes]
    at = 22 + 3 * len(nodes)
    offsets = b""
    for octets in nodes:
        offsets += struct.pack("<H", at + shift)
        at += len(octets)
    head = b"\0" * 4 + struct.pack("<HQQ", len(nodes), 0, 2**64 - 1)
    return head + b"\0" * len(nodes) + offsets + b"".join(nodes)


ONE = node("example.com", row(0))
TWO = node("www.example.com", row(4), row(0x10, rest=b"\2"))

BUCKET = {
    "count-too-large": b"\0" * 4 + b"\xff\xff" + b"\0" * 40,
    "cut-node": bucket(ONE)[:-1],
    "cut-row": bucket(node("example.com", row(0)[:-1])),
    "empty-non-terminal": bucket(node("example.com", below=True)),
    "more-rows-than-counted": bucket(node("example.com", row(0) + row(4))),
    "no-nodes": bucket(),
    "no-nodes-and-more": bucket() + b"\0",
    "node-without-rows": bucket(node("example.com")),
    "offset-behind-the-end": bucket(ONE, shift=100),
    "offset-in-the-head": bucket(ONE, shift=-4),
    "offsets-not-ascending": bucket(b"", ONE),
    "one-label": bucket(node("com", row(0))),
    "one-node": bucket(ONE),
    "two-nodes": bucket(ONE, TWO),
    "two-nodes-in-the-other-order": bucket(TWO, ONE),
    "upper-case": bucket(node("Example.com", row(0))),
}

TIME = {
    "date": b"2026-11-23",
    "day-0": b"2026-11-00",
    "first": b"0001-01-01T00:00:00Z",
    "fraction": b"2026-11-23T12:00:00.123456789+08:00",
    "fraction-without-digits": b"2026-11-23T12:00:00.Z",
    "last": b"9999-12-31T23:59:59-23:59",
    "last-date": b"9999-12-31",
    "leap-day": b"2024-02-29",
    "leap-second": b"2016-12-31T23:59:60Z",
    "lower-case": b"2026-11-23t12:00:00z",
    "no-leap-day": b"1900-02-29",
    "no-zone": b"2026-11-23T12:00:00",
    "zone-24": b"2026-11-23T12:00:00+24:00",
}

ADDRESS = {
    "compatible": b"::192.0.2.33\n::/96",
    "ipv4": b"192.0.2.1\n192.0.2.0/24",
    "ipv4-prefix-as-nat64": b"64:ff9b::192.0.2.33\n0.0.0.0/0",
    "ipv6": b"2001:db8::1\n2001:db8::/32",
    "leading-zero": b"192.0.2.01",
    "length-33": b"192.0.2.0/33",
    "longest": b"1111:2222:3333:4444:5555:6666:255.255.255.254/127",
    "mapped": b"::ffff:192.0.2.33\n::/0",
    "nat64": b"64:ff9b::192.0.2.33\n64:ff9b::/96",
    "nat64-length-32": b"2001:db8:c000:221::\n2001:db8::/32",
    "nat64-length-40": b"2001:db8:1c0:2:21::\n2001:db8:100::/40",
    "nat64-length-64": b"2001:db8:122:344:c0:2:2100::\n2001:db8:122:344::/64",
    "nat64-reserved-octet": b"2001:db8:c000:221:100::\n2001:db8::/32",
    "not-zero-beyond": b"192.0.2.1/24",
    "nul": b"192.0.2.1\0",
    "zone": b"fe80::1%eth0",
}


def answer(*records, authority=(), additional=(), qname="www.example.com.", qtype="A"):
    message = dns.message.make_response(dns.message.make_query(qname, qtype, id=0xaa00))
    message.answer = [dns.rrset.from_text(*record) for record in records]
    message.authority = [dns.rrset.from_text(*record) for record in authority]
    message.additional = [dns.rrset.from_text(*record) for record in additional]
    return message.to_wire()


TYPES = {"A": 1, "CNAME": 5, "HTTPS": 65}


def raw(qtype, octets, count=1):
    """An answer of records with such rdata, which may be none, at the query name."""
    message = answer(qtype=qtype)
    record = b"\xc0\x0c" + struct.pack(">HHIH", TYPES[qtype], 1, 300, len(octets)) + octets
    return message[:6] + struct.pack(">H", count) + message[8:] + record * count


WWW = "www.example.com."
HINTS = "1 . alpn=h2 ipv4hint=192.0.2.1,192.0.2.2 ipv6hint=2001:db8::1"

ANSWER = {
    "a": answer((WWW, 300, "IN", "A", "192.0.2.1", "192.0.2.2")),
    "a-of-three-octets": raw("A", b"\xc0\0\2"),
    "a-of-none": raw("A", b""),
    "aaaa": answer((WWW, 300, "IN", "AAAA", "2001:db8::1"), qtype="AAAA"),
    "any": answer((WWW, 300, "IN", "A", "192.0.2.1"), (WWW, 300, "IN", "HTTPS", HINTS),
                  (WWW, 300, "IN", "TXT", "text"), qtype="ANY"),
    "chain": answer((WWW, 300, "IN", "CNAME", "a.example.net."),
                    ("a.example.net.", 300, "IN", "A", "192.0.2.1")),
    "chaos": answer(("version.bind.", 0, "CH", "TXT", "none"), qname="version.bind.", qtype="TXT"),
    "cname-to-the-root": raw("CNAME", b"\0"),
    "cname-that-loops": raw("CNAME", b"\xc0\x0c"),
    "delegation": answer(
        authority=[("example.com.", 300, "IN", "NS", "a.example.com."),
                   ("example.com.", 300, "IN", "DS", "1 13 2 " + "00" * 32)],
        additional=[("a.example.com.", 300, "IN", "A", "192.0.2.1"),
                    ("a.example.com.", 300, "IN", "AAAA", "2001:db8::1")]),
    "dname": answer(("example.com.", 300, "IN", "DNAME", "example.net."),
                    (WWW, 300, "IN", "CNAME", "www.example.net.")),
    "https": answer((WWW, 300, "IN", "HTTPS", HINTS), qtype="HTTPS"),
    "https-compressed-target": raw("HTTPS", svcb(param(4, IPV4), target=b"\xc0\x0c")),
    "https-of-none": raw("HTTPS", b""),
    "https-priority-alone": raw("HTTPS", b"\0\1"),
    "https-several": raw("HTTPS", svcb(param(4, IPV4)), count=3),
    "https-ten-targets": answer(
        (WWW, 300, "IN", "HTTPS", *(f"{10 - i} t{i}.example.net." for i in range(10))),
        qtype="HTTPS"),
    "https-target-too-long": raw(
        "HTTPS", svcb(param(4, IPV4), target=LONGEST[:-1] + b"\1a\0")),
    "not-found": answer(
        authority=[("example.com.", 300, "IN", "SOA", "ns.example.com. a.b. 1 2 3 4 5")]),
    "odd-octets-in-the-name": answer(("\\000\\046\\009\\255.a.", 300, "IN", "A", "192.0.2.1"),
                                     qname="\\000\\046\\009\\255.a."),
    "signature-alone": answer(
        (WWW, 300, "IN", "RRSIG", "A 13 3 300 20301231235959 20201231235959 1 example.com. AAAA")),
    "signed": answer(
        (WWW, 300, "IN", "A", "192.0.2.1"),
        (WWW, 300, "IN", "RRSIG", "A 13 3 300 20301231235959 20201231235959 1 example.com. AAAA")),
    "svcb": answer((WWW, 300, "IN", "SVCB", HINTS), qtype="SVCB"),
}


def session(*messages):
    return b"".join(struct.pack(">H", len(message)) + message for message in messages)


def with_ede(octets, text):
    message = dns.message.from_wire(octets)
    message.use_edns(0, options=[dns.edns.GenericOption(15, struct.pack(">H", 16) + text)])
    return message.to_wire()


NO_A, NO_AAAA, NO_HTTPS = (answer(qtype=qtype) for qtype in ("A", "AAAA", "HTTPS"))
NO_NAME = dns.message.from_wire(NO_A)
NO_NAME.set_rcode(3)
LOOP = [(f"a{i}.example.net.", 300, "IN", "CNAME", f"a{(i + 1) % 3}.example.net.")
        for i in range(3)]

RESOLVE = {
    "alias": session(ANSWER["chain"], NO_AAAA, NO_HTTPS),
    "alias-loop": session(answer((WWW, 300, "IN", "CNAME", "a0.example.net."), *LOOP)),
    "all-kinds": session(ANSWER["a"], ANSWER["aaaa"], ANSWER["https"]),
    "cut-message": session(ANSWER["a"])[:-3],
    "ede": session(with_ede(NO_A, "unfiled www.example.com; \u4f8b".encode()), NO_AAAA, NO_HTTPS),
    "ede-controls": session(with_ede(NO_A, b"\x1b[2J\0\xc2\x9b\xff")),
    "ede-too-long": session(with_ede(NO_A, "例".encode() * 200)),
    "ede-without-code": session(NO_A[:10] + b"\0\1" + NO_A[12:] + b"\0\0\x29\4\xd0\0\0\0\0" +
                                b"\0\5\0\x0f\0\1\0"),
    "hint-not-whole": session(NO_A, NO_AAAA, raw("HTTPS", svcb(param(4, IPV4[:7])))),
    "https-of-none": session(NO_A, NO_AAAA, ANSWER["https-of-none"]),
    "https-targets": session(
        NO_A, NO_AAAA, ANSWER["https-ten-targets"],
        answer(("t0.example.net.", 300, "IN", "A", "192.0.2.1"), qname="t0.example.net.")),
    "no-name": session(NO_NAME.to_wire()),
    "other-question": session(ANSWER["aaaa"]),
    "silence": b"",
}

def pair(op, name, rest=b""):
    return bytes([op]) + text(wire(name)[:-1]) + rest


def entity(number):
    return bytes([2]) + text(number.encode())


UPSERT, DELETE = 0, 1


def changes(*operations):
    """The seal is left to the harness."""
    return b"\0" * 8 + b"".join(operations)


CHANGES = {
    "all-ops": changes(pair(UPSERT, "example.com", row(0)),
                       pair(DELETE, "www.example.com", text(b"qcloud")),
                       entity("京ICP备11018762号")),
    "cut-name": changes(pair(DELETE, "example.com")[:-1]),
    "cut-number": changes(entity("京ICP备11018762号")[:-1]),
    "cut-row": changes(pair(UPSERT, "example.com", row(0)[:-1])),
    "licensed": changes(pair(UPSERT, "example.com", row(0x80, rest=b"\2\0" + LICENSED))),
    "name-of-one-label": changes(pair(DELETE, "com", text(b"qcloud"))),
    "name-upper-case": changes(pair(DELETE, "Example.com", text(b"qcloud"))),
    "none": b"\xc2\x94\xd3\x38\x05\x80\x06\x2d",
    "number-not-utf-8": changes(b"\2\1\xff"),
    "number-of-none": changes(b"\2\0"),
    "op-unknown": changes(pair(3, "example.com", text(b"qcloud"))),
    "provider-upper-case": changes(pair(DELETE, "example.com", text(b"QCLOUD"))),
    "row-number-not-utf-8": changes(pair(UPSERT, "example.com", row(0, number=b"\xff"))),
    "same-pair-twice": changes(pair(UPSERT, "a.cn", row(4, number=b"")), pair(
        UPSERT, "a.cn", row(0x73, rest=b"\2\4\x80\1"))),
    "seal-cut": b"\0" * 7,
}

SEEDS = {
    "address": ADDRESS,
    "answer": ANSWER,
    "bucket": BUCKET,
    "changes": CHANGES,
    "config": CONFIG,
    "feed": FEED,
    "http": HTTP,
    "manifest": MANIFEST,
    "name_text": NAME_TEXT,
    "name_wire": NAME_WIRE,
    "pages": PAGES,
    "rdata": RDATA,
    "request": REQUEST,
    "resolve": RESOLVE,
    "row": ROW,
    "spool": SPOOL,
    "template": TEMPLATE,
    "time": TIME,
}

if __name__ == "__main__":
    for harness, seeds in SEEDS.items():
        (CORPUS / harness).mkdir(parents=True, exist_ok=True)
        for name, octets in seeds.items():
            (CORPUS / harness / name).write_bytes(octets)

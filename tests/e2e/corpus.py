# SPDX-License-Identifier: BSD-3-Clause
"""The zones of the transparency test: a root with signed, unsigned and broken zones below it.

Half of the addresses lie in scope, half do not. Every name is filed but those of hidden.cn, which
is never asked for, but is what aliases of other zones lead to.
"""

from world import OURS, RANGES, row

TTL = 3600
# Names with one of these labels have another TTL.
TTL_OF_LABEL = {"ttl0": 0, "short": 3}
# Who serves a zone: the root and its children, theirs, and a third level.
ROOT_LEVEL, ZONE_LEVEL, SUB_LEVEL = 0, 1, 2
# A zone whose server refuses it.
LAME = "lame.cn"
HIDDEN = "hidden.cn"

LARGE = [
    *(f"large A 192.0.2.{last}" for last in range(1, 101)),
    *(f"large A 198.18.1.{last}" for last in range(1, 101)),
    *(f"large AAAA 2001:db8:1::{last:x}" for last in range(1, 101)),
    'largetext TXT "' + '" "'.join(character * 250 for character in "abcdefghijklmnopqrs") + '"',
    *(f'manytexts TXT "{number} {"x" * 100}"' for number in range(60)),
    "medium.large A 192.0.2.9",
    *(f"medium A 198.18.2.{last}" for last in range(1, 40)),
]

# Every common type, at one name and at names of their own.
TYPED = [
    "A 192.0.2.20",
    "AAAA 2001:db8:2::20",
    'TXT "one" "two"',
    "MX 10 mail",
    "SRV 1 2 443 www",
    'CAA 0 issue "ca.example"',
    "PTR www",
    'NAPTR 10 20 "s" "SIP+D2U" "" _sip._udp',
    "SSHFP 4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
    "TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "HTTPS 1 . alpn=h2",
    "SVCB 1 svc.www port=8443",
    "LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m",
    'HINFO "cpu" "os"',
    'URI 10 1 "https://www.example/"',
    "RP mbox txt",
    "AFSDB 1 www",
    "KX 10 mail",
    "APL 1:192.0.2.0/24",
    "EUI48 00-00-5e-00-53-2a",
    "SMIMEA 1 1 1 00",
    "OPENPGPKEY AQIDBA==",
    "CERT 1 0 0 AQIDBA==",
    "DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=",
    "CDS 60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
    "CDNSKEY 257 3 13 AQIDBA==",
    "TYPE65280 \\# 4 c0000201",
]

ALIASES = [
    "alias CNAME www",
    "chain1 CNAME chain2",
    "chain2 CNAME chain3",
    "chain3 CNAME www.{peer}.",
    "crossalias CNAME alias.{peer}.",
    "crosschain CNAME chain1.{peer}.",
    "tonothing CNAME nothing",
    "crossnothing CNAME nothing.{peer}.",
    "tonodata CNAME _25._tcp.mail",
    "tobogus CNAME www.expired.cn.",
    "tobroken CNAME changed.broken.cn.",
    "todead CNAME www.lame.cn.",
    "tohidden CNAME www.hidden.cn.",
    "viahidden CNAME alias.hidden.cn.",
    "towild CNAME through.wild",
    "todname CNAME www.moved",
    "self CNAME self",
    "loop1 CNAME loop2",
    "loop2 CNAME loop1",
    "crossloop CNAME crossloop.{peer}.",
    *(f"long{number} CNAME long{number + 1}" for number in range(8)),
    "long8 A 192.0.2.16",
    "moved DNAME tree",
    "a.tree A 192.0.2.31",
    "www.tree A 198.18.0.31",
    "www.tree AAAA 2001:db8:1::31",
    "b.tree CNAME a.tree",
    "c.tree MX 5 mail",
    "movedaway DNAME {peer}.",
    "movednowhere DNAME nothing.{peer}.",
    "movedhidden DNAME hidden.cn.",
    "movedtwice DNAME moved",
    "toolong DNAME " + ".".join(["x" * 60] * 3),
]

WILDCARDS = [
    "*.wild A 192.0.2.41",
    "*.wild AAAA 2001:db8:2::41",
    "*.wild TXT wild",
    "known.wild TXT known",
    "*.wildalias CNAME www",
    "*.wildcross CNAME www.{peer}.",
    "*.wildhidden CNAME www.hidden.cn.",
    "*.wildwild CNAME x.wild",
    "*.wildmail MX 10 mail",
    "*.wildweb HTTPS 1 . ipv4hint=192.0.2.41",
    "deep.below.wildmail A 198.18.0.42",
]

SERVICES = [
    "@ HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.1 ipv6hint=2001:db8:1::1",
    "www HTTPS 1 . alpn=h2",
    "hints HTTPS 1 . alpn=h3 ipv4hint=198.18.0.51,192.0.2.51 ipv6hint=2001:db8:2::51",
    "hints A 192.0.2.51",
    "hintsonly HTTPS 1 . ipv4hint=192.0.2.52",
    "hintsabroad HTTPS 1 . ipv4hint=198.18.0.52",
    "nohints HTTPS 1 . alpn=h2",
    "nohints AAAA 2001:db8:1::53",
    "hintless HTTPS 1 . alpn=h2",
    "aliased HTTPS 0 www",
    "aliasedaway HTTPS 0 www.{peer}.",
    "aliasedhidden HTTPS 0 www.hidden.cn.",
    "aliasednowhere HTTPS 0 nothing",
    "aliasedself HTTPS 0 .",
    "aliasedbogus HTTPS 0 www.expired.cn.",
    "targeted HTTPS 1 pool.www port=8443 ipv4hint=192.0.2.54",
    "targeted HTTPS 2 www.{peer}. alpn=h2",
    "pool.www A 192.0.2.54",
    "mandatory HTTPS 1 . mandatory=alpn alpn=h2 ipv4hint=192.0.2.55",
    "unknownkey HTTPS 1 . key65333=hello ipv4hint=198.18.0.55",
    "webalias CNAME hints",
    "svc.www SVCB 1 www alpn=h2 ipv4hint=192.0.2.56",
    "_8443._foo SVCB 1 pool.www port=8443",
    "_sip._tcp SRV 1 1 5060 www",
    "_sip._tcp SRV 2 1 5060 pool.www",
    "_xmpp._tcp SRV 1 1 5222 www.{peer}.",
    "_none._tcp SRV 0 0 0 .",
]

PLAIN = [
    "@ A 192.0.2.1",
    "@ A 198.18.0.1",
    "@ AAAA 2001:db8:1::1",
    "@ MX 10 mail",
    "@ MX 20 mail.{peer}.",
    "@ MX 30 www",
    '@ TXT "v=spf1 -all"',
    '@ CAA 0 issue "ca.example"',
    "www A 192.0.2.2",
    "www AAAA 2001:db8:1::2",
    "mail A 198.18.0.3",
    "mail AAAA 2001:db8:2::3",
    "mail MX 0 .",
    "_25._tcp.mail TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
    "onlyfour A 192.0.2.4",
    "onlysix AAAA 2001:db8:1::4",
    "abroad A 198.18.0.5",
    "theirs A 198.51.100.5",
    "mapped AAAA ::ffff:192.0.2.6",
    "nat64 AAAA 64:ff9b::c000:206",
    "two.levels.empty A 192.0.2.7",
    "levels.empty2 TXT x",
    "ttl0 0 A 192.0.2.8",
    "ttl0 0 TXT zero",
    "www.ttl0 0 AAAA 2001:db8:1::8",
    "to.ttl0 0 CNAME www",
    "short 3 A 192.0.2.9",
    "short 3 AAAA 2001:db8:2::9",
    "www.short 3 A 198.18.0.9",
    "to.short 3 CNAME www",
    "short 3 HTTPS 1 . ipv4hint=192.0.2.9",
    "_under_score A 192.0.2.10",
    "a\\.b A 192.0.2.11",
    "space\\032and\\000zero A 198.18.0.11",
    "x" * 63 + " A 192.0.2.12",
    ".".join(["y" * 60] * 3) + " TXT long",
    ".".join("abcdefghijklmnopqrstuvwxyz") + " A 192.0.2.13",
    *(f"host{number} A 192.0.2.{100 + number}" for number in range(12)),
    *(f"host{number} A 198.18.3.{100 + number}" for number in range(4, 20)),
    *(f"host{number} AAAA 2001:db8:{1 + number % 2}::{number}" for number in range(0, 20, 3)),
    *(f"every {record}" for record in TYPED),
    *(f"{record.split()[0].lower()}.types {record}" for record in TYPED),
]

WHOLE = PLAIN + ALIASES + WILDCARDS + SERVICES + LARGE
BRIEF = [
    "@ A 192.0.2.1",
    "@ MX 10 www",
    "www A 192.0.2.2",
    "www AAAA 2001:db8:1::2",
    "www HTTPS 1 . ipv4hint=192.0.2.2",
    "abroad A 198.18.0.2",
    "abroad TXT text",
    "alias CNAME www",
    "away CNAME www.signed.cn.",
    "*.wild A 192.0.2.3",
    "moved DNAME tree",
    "www.tree A 192.0.2.4",
]
# Spoilt one by one after the signing.
BROKEN = BRIEF + [
    "changed A 192.0.2.61",
    "changed TXT text",
    "changed HTTPS 1 . ipv4hint=192.0.2.61",
    "unsigned A 192.0.2.62",
    "unsigned TXT text",
    "tochanged CNAME changed",
    "tounsigned CNAME unsigned",
    "changedalias CNAME www",
    "undeniable TXT text",
    "*.spoilt A 192.0.2.63",
]
HIDDEN_HOSTS = [
    "@ A 192.0.2.70",
    "www A 192.0.2.71",
    "www AAAA 2001:db8:1::71",
    "www HTTPS 1 . ipv4hint=192.0.2.71",
    "alias CNAME www.signed.cn.",
]


class Zone:
    """One zone: its records, where it is served, and how it is signed.

    signing: options of ldns-signzone, or None for a zone without signatures
    delegation: what the parent says beside NS: "signed" (the DS), "none", or records of its own
    peer: the zone that records lead to
    """

    def __init__(self, origin, lines, level=ZONE_LEVEL, signing=None, delegation=None, peer=""):
        self.origin = origin
        self.records = [line.format(peer=peer) for line in lines]
        self.level = level
        self.signing = signing
        self.delegation = delegation or ("none" if signing is None else "signed")

    @property
    def parent(self):
        head, _, tail = self.origin.partition(".")
        return tail or ("." if head else None)

    def fqdn(self, owner):
        """The name of a record's owner, with a dot at its end."""
        origin = self.origin.rstrip(".") + "."
        if owner == "@":
            return origin
        return owner if owner.endswith(".") else f"{owner}.{origin}".replace("..", ".")


NSEC, NSEC3 = [], ["-n", "-s", "abcd", "-t", "1"]
OLD = ["-i", "20200101", "-e", "20200201"]
FUTURE = ["-i", "20900101", "-e", "20900201"]
WRONG_DS = "DS {tag} 13 2 " + "ab" * 32


def make_zones():
    """All zones, parents before children."""
    return [
        Zone(".", ["text.root TXT text"], ROOT_LEVEL, NSEC),
        Zone("cn", ["direct A 192.0.2.80", "direct TXT x"], ROOT_LEVEL, NSEC),
        Zone("com", ["direct A 198.18.0.80"], ROOT_LEVEL),
        Zone("signed.cn", WHOLE, signing=NSEC, peer="plain.com"),
        Zone("nsec3.cn", WHOLE, signing=NSEC3, peer="signed.cn"),
        Zone("optout.cn", WHOLE, signing=[*NSEC3, "-p"], peer="nsec3.cn"),
        Zone("plain.cn", WHOLE, peer="optout.cn"),
        Zone("plain.com", WHOLE + ["MixedCase A 192.0.2.81"], peer="signed.cn"),
        Zone("iterated.cn", BRIEF, signing=["-n", "-s", "abcd", "-t", "300"]),
        Zone("expired.cn", BRIEF, signing=OLD),
        Zone("future.cn", BRIEF, signing=FUTURE),
        Zone("broken.cn", BROKEN, signing=NSEC),
        Zone("broken3.cn", BROKEN, signing=NSEC3),
        Zone("nokey.cn", BRIEF, delegation=WRONG_DS.format(tag=1)),
        Zone("wrongkey.cn", BRIEF, signing=NSEC, delegation=WRONG_DS.format(tag=2)),
        Zone("oddalgorithm.cn", BRIEF, delegation="DS 1 200 2 " + "ab" * 32),
        Zone("lost.cn", BRIEF, signing=NSEC, delegation="none"),
        Zone("sub.signed.cn", BRIEF, SUB_LEVEL, NSEC),
        Zone("open.signed.cn", BRIEF, SUB_LEVEL),
        Zone("sub.nsec3.cn", BRIEF, SUB_LEVEL, NSEC3),
        Zone("open.optout.cn", BRIEF, SUB_LEVEL),
        Zone("sub.optout.cn", BRIEF, SUB_LEVEL, NSEC),
        Zone("sub.plain.com", BRIEF, SUB_LEVEL),
        Zone(HIDDEN, HIDDEN_HOSTS),
    ]


def filings(zones):
    """Rows that permit every name of the zones but the hidden one, and rows of other names."""
    permitting = [{"status": "filed"}, {"status": "changing"}]
    permitting.append({"status": "rectifying", "rectify_by": "2020-01-01"})
    rows = [
        row(zone.origin, **permitting[number % 3])
        for number, zone in enumerate(zones)
        if "." in zone.origin.strip(".") and zone.origin != HIDDEN
    ]
    hosts = ("a.root", "ns.cn", "ns.com", "direct.cn", "direct.com", LAME)
    rows += [row(name) for name in hosts]
    rows += [row(f"other{number}.cn", status="deregistered") for number in range(50)]
    return rows + [row(HIDDEN, provider="acloud")]


def ranges(servers):
    """Addresses in scope: those of the world, and that of the second and third server."""
    assert any(OURS.startswith(prefix.split("0/")[0]) for prefix, _, _ in RANGES)
    return RANGES + [(server + "/32", "CN", "qcloud") for server in servers[1:]]

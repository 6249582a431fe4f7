# SPDX-License-Identifier: BSD-3-Clause
"""Bad feeds, one for each rule, and the words that each is refused with.

Every feed stands alone: but for what its name says it is a good one. CASES is what a test runs.
"""

import gzip
import hashlib
import json
import lzma
from dataclasses import dataclass

SITE = "京ICP备11018762号-1"
ENTITY = "京ICP备11018762号"

HEADER = {
    "full": "domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses\n",
    "delta": "op,domain,provider,status,number,approved_at,expires_at,rectify_by,"
             "licensed_addresses\n",
}
GOOD = {
    "full": f"good.example.com,qcloud,filed,{SITE},,,,\n",
    "delta": f"upsert,good.example.com,qcloud,filed,{SITE},,,,\n",
}
# The store is at 7; a delta that is not looked at because of its sequence would prove nothing.
SEQUENCE = {"full": 7, "delta": 8}


@dataclass
class Case:
    """What is loaded, and what stderr says. Paths are of the feed's directory."""

    name: str
    kind: str
    octets: bytes
    says: str
    manifest: bytes = b""  # b"": one that fits
    feed: str = "f.csv"


def manifest(kind, octets, changes=None):
    """A manifest that fits these octets, but for the changes; None leaves a key out."""
    content = {
        "kind": kind,
        "sequence": SEQUENCE[kind],
        "as_of": "2026-11-23T02:00:00+08:00",
        "rows": max(octets.count(b"\n") - 1, 0),
        "sha256": hashlib.sha256(octets).hexdigest(),
        **(changes or {}),
    }
    content = {key: value for key, value in content.items() if value is not None}
    return json.dumps(content).encode()


def encode(text):
    """A lone surrogate \\udcHH stands for an octet HH that is not UTF-8."""
    return text.encode("utf-8", "surrogateescape")


# Rows of a full feed, and of a delta feed when "upsert," stands before them: (row, what is wrong).

DOMAINS = {
    "missing": (f",qcloud,filed,{SITE},,,,", "domain is missing: (empty)"),
    "empty-label": (f"a..example.com,qcloud,filed,{SITE},,,,",
                    "domain is not a valid name, empty label: a..example.com"),
    "root": (f".,qcloud,filed,{SITE},,,,", "domain is not a valid name, empty label: ."),
    "label-of-64": (f"{'a' * 64}.com,qcloud,filed,{SITE},,,,",
                    f"domain is not a valid name, label over 63 characters: {'a' * 64}.com"),
    "name-of-254": (f"{('a' * 62 + '.') * 4}cn,qcloud,filed,{SITE},,,,",
                    "domain is not a valid name, name over 253 characters: "
                    f"{'a' * 62}.{'a' * 17}..."),
    "blank": (f"exa mple.com,qcloud,filed,{SITE},,,,",
              "domain is not a valid name, character not allowed in a name: exa mple.com"),
    "control-character": (f"a\x1b[2J.com,qcloud,filed,{SITE},,,,",
                          "domain is not a valid name, character not allowed in a name: "
                          r"a\x1b[2J.com"),
    "hyphen-first": (f"-a.example.com,qcloud,filed,{SITE},,,,",
                     "domain is not a valid name, hyphen at the start or end of a label: "
                     "-a.example.com"),
    "hyphen-last": (f"a-.example.com,qcloud,filed,{SITE},,,,",
                    "domain is not a valid name, hyphen at the start or end of a label: "
                    "a-.example.com"),
    "not-idna": (f"a\u2028例.com,qcloud,filed,{SITE},,,,",
                 "domain is not a valid name, not valid IDNA2008: a\u2028例.com"),
    "not-utf-8": (f"ex\udcffample.com,qcloud,filed,{SITE},,,,",
                  r"domain is not UTF-8: ex\xffample.com"),
    "underscore": (f"_dmarc.example.com,qcloud,filed,{SITE},,,,",
                   "domain is not a host name: _dmarc.example.com"),
    "single-label": (f"cn,qcloud,filed,{SITE},,,,", "domain is a single label: cn"),
    "ipv4": (f"192.0.2.1,qcloud,filed,{SITE},,,,", "domain is an address: 192.0.2.1"),
    "ipv4-with-a-dot": (f"192.0.2.1.,qcloud,filed,{SITE},,,,", "domain is an address: 192.0.2.1."),
    "ipv6": (f"2001:db8::1,qcloud,filed,{SITE},,,,", "domain is an address: 2001:db8::1"),
    "public-suffix": (f"COM.CN,qcloud,filed,{SITE},,,,", "domain is a public suffix: COM.CN"),
    "public-suffix-as-u-label": (f"公司.cn,qcloud,filed,{SITE},,,,",
                                 "domain is a public suffix: 公司.cn"),
    "public-suffix-by-wildcard": (f"any.ck,qcloud,filed,{SITE},,,,",
                                  "domain is a public suffix: any.ck"),
}

PROVIDERS = {
    "missing": (f"example.com,,filed,{SITE},,,,", "provider is missing: example.com"),
    "capitals": (f"example.com,QCloud,filed,{SITE},,,,",
                 "provider is not 1 to 32 of a-z, 0-9 and hyphen: QCloud"),
    "of-33": (f"example.com,{'q' * 33},filed,{SITE},,,,",
              f"provider is not 1 to 32 of a-z, 0-9 and hyphen: {'q' * 33}"),
    "carriage-return": (f"example.com,q\rcloud,filed,{SITE},,,,",
                        r"provider is not 1 to 32 of a-z, 0-9 and hyphen: q\x0dcloud"),
}

STATUSES = {
    "missing": (f"example.com,qcloud,,{SITE},,,,", "status is missing: example.com"),
    "not-known": (f"example.com,qcloud,Filed,{SITE},,,,", "status is not known: Filed"),
}

NUMBERS = {
    "missing-for-filed": ("example.com,qcloud,filed,,,,,",
                          "number is missing for filed: example.com"),
    "missing-for-deregistered": ("example.com,qcloud,deregistered,,,,,",
                                 "number is missing for deregistered: example.com"),
    "of-129": (f"example.com,qcloud,filed,{'1' * 129},,,,",
               f"number is over 128 octets: {'1' * 80}..."),
    "not-utf-8": ("example.com,qcloud,filed,\udcbe\udca9ICP,,,,",
                  r"number is not UTF-8: \xbe\xa9ICP"),
    "control-character": ("example.com,qcloud,filed,a\tb,,,,",
                          r"number holds a control character: a\x09b"),
}

TIMES = {
    "approved-at": (f"example.com,qcloud,filed,{SITE},2026-02-30,,,",
                    "approved_at is not a time or a date: 2026-02-30"),
    "approved-at-without-zone": (f"example.com,qcloud,filed,{SITE},2026-02-03T04:05:06,,,",
                                 "approved_at is not a time or a date: 2026-02-03T04:05:06"),
    "approved-at-missing": (f"example.com,qcloud,transfer-preapproved,{SITE},,,,",
                            "approved_at is missing for transfer-preapproved: example.com"),
    "expires-at": (f"example.com,qcloud,transfer-preapproved,{SITE},2026-01-01,soon,,",
                   "expires_at is not a time or a date: soon"),
    "expires-at-of-filed": (f"example.com,qcloud,filed,{SITE},2026-01-01,2026-02-01,,",
                            "expires_at is only for transfer-preapproved: 2026-02-01"),
    "rectify-by": (f"example.com,qcloud,rectifying,{SITE},,,2026-1-1,",
                   "rectify_by is not a time or a date: 2026-1-1"),
    "rectify-by-missing": (f"example.com,qcloud,rectifying,{SITE},,,,",
                           "rectify_by is missing for rectifying: example.com"),
    "rectify-by-of-pending": ("example.com,qcloud,pending,,,,2026-01-01,",
                              "rectify_by is only for rectifying: 2026-01-01"),
}

LICENSED = {
    "address": (f"example.com,qcloud,filed,{SITE},,,,192.0.2.1 192.0.2.300",
                "licensed_addresses: not an address or a prefix: 192.0.2.300"),
    "host-bits": (f"example.com,qcloud,filed,{SITE},,,,192.0.2.1/24",
                  "licensed_addresses: not an address or a prefix: 192.0.2.1/24"),
    "comma": (f'example.com,qcloud,filed,{SITE},,,,"192.0.2.1,192.0.2.2"',
              "licensed_addresses: not an address or a prefix: 192.0.2.1,192.0.2.2"),
    "257": (f"example.com,qcloud,filed,{SITE},,,," +
            " ".join(f"10.0.{i // 256}.{i % 256}" for i in range(257)),
            "licensed_addresses are over 256: 10.0.1.0"),
}

# Rows of a delta feed alone.

OPS = {
    "missing": (f",example.com,qcloud,filed,{SITE},,,,", "op is missing: example.com"),
    "not-known": (f"insert,example.com,qcloud,filed,{SITE},,,,", "op is not known: insert"),
    "capitals": ("Delete,example.com,qcloud,,,,,,", "op is not known: Delete"),
    "delete-domain": ("delete,,qcloud,,,,,,", "domain is missing: (empty)"),
    "delete-domain-bad": ("delete,_a.cn,qcloud,,,,,,", "domain is not a host name: _a.cn"),
    "delete-suffix": ("delete,com.cn,qcloud,,,,,,", "domain is a public suffix: com.cn"),
    "delete-provider": ("delete,example.com,,,,,,,", "provider is missing: example.com"),
    "delete-provider-bad": ("delete,example.com,Q,,,,,,",
                            "provider is not 1 to 32 of a-z, 0-9 and hyphen: Q"),
    "deregister-domain": (f"deregister-entity,example.com,,,{ENTITY},,,,",
                          "domain must be empty for deregister-entity: example.com"),
    "deregister-provider": (f"deregister-entity,,qcloud,,{ENTITY},,,,",
                            "provider must be empty for deregister-entity: qcloud"),
    "deregister-status": (f"deregister-entity,,,deregistered,{ENTITY},,,,",
                          "status must be empty for deregister-entity: deregistered"),
    "deregister-number": ("deregister-entity,,,,,,,,",
                          "number is missing for deregister-entity: (empty)"),
    "deregister-site": (f"deregister-entity,,,,{SITE},,,,",
                        f"number is not an entity's, which ends in 号: {SITE}"),
    "deregister-of-129": (f"deregister-entity,,,,{'1' * 126}号,,,,",
                          f"number is over 128 octets: {'1' * 80}..."),
    "deregister-not-utf-8": ("deregister-entity,,,,\udcff号,,,,", r"number is not UTF-8: \xff号"),
    "deregister-control": ("deregister-entity,,,,\x01号,,,,",
                           r"number holds a control character: \x01号"),
}

# Rows that are not records, of a full feed: (row, what is wrong).

RECORDS = {
    "few-fields": ("example.com,qcloud,filed", "row has 3 fields, the header has 8: example.com"),
    "one-field": ("example.com", "row has 1 field, the header has 8: example.com"),
    "many-fields": (f"example.com,qcloud,filed,{SITE},,,,,",
                    "row has 9 fields, the header has 8: example.com"),
    "empty-line": ("", "row has 1 field, the header has 8: (empty)"),
    "quote-inside": (f'exam"ple.com,qcloud,filed,{SITE},,,,',
                     f'quotes are not as CSV has them: exam"ple.com,qcloud,filed,{SITE},,,,'),
    "text-after-quote": (f'"example".com,qcloud,filed,{SITE},,,,',
                         f'quotes are not as CSV has them: "example".com,qcloud,filed,{SITE},,,,'),
    "quote-not-closed": ('example.com,qcloud,"filed',
                         'quoted field does not end on its line: example.com,qcloud,"filed'),
}

# Header rows: (text of the feed, what is wrong).

HEADERS = {
    "full": {
        "nothing": ("", "f.csv: no header row, the feed is empty"),
        "not-known": ("domain,provider,status,note\n", "f.csv:1: column is not known: note"),
        "op": ("domain,provider,status,op\n", "f.csv:1: column is not known: op"),
        "no-header": (GOOD["full"], "f.csv:1: column is not known: good.example.com"),
        "twice": ("domain,provider,domain,status\n", "f.csv:1: column is given twice: domain"),
        "no-domain": ("provider,status\n", "f.csv:1: required column is missing: domain"),
        "no-provider": ("domain,status\n", "f.csv:1: required column is missing: provider"),
        "no-status": ("domain,provider\n", "f.csv:1: required column is missing: status"),
        "quotes": ('domain,"provider"s,status\n',
                   'f.csv:1: quotes are not as CSV has them: domain,"provider"s,status'),
        "quote-not-closed": ('domain,"provider\n',
                             'f.csv:1: quoted field does not end on its line: domain,"provider'),
    },
    "delta": {
        "nothing": ("", "f.csv: no header row, the feed is empty"),
        "not-known": ("op,domain,provider,status,note\n", "f.csv:1: column is not known: note"),
        "twice": ("op,domain,op\n", "f.csv:1: column is given twice: op"),
        "no-op": (HEADER["full"], "f.csv:1: required column is missing: op"),
        "no-domain": ("op,provider,status\n", "f.csv:1: required column is missing: domain"),
        "no-provider": ("op,domain,status\n", "f.csv:1: required column is missing: provider"),
        "no-status": ("op,domain,provider\n", "f.csv:1: required column is missing: status"),
    },
}

# Manifests: (what is changed, what is wrong).

WRONG_MANIFESTS = {
    "kind-missing": ({"kind": None}, "kind: key is missing"),
    "sequence-missing": ({"sequence": None}, "sequence: key is missing"),
    "as-of-missing": ({"as_of": None}, "as_of: key is missing"),
    "rows-missing": ({"rows": None}, "rows: key is missing"),
    "sha256-missing": ({"sha256": None}, "sha256: key is missing"),
    "key-not-known": ({"note": ""}, "note: key is not known"),
    "kind-not-known": ({"kind": "Full"}, 'kind: not "full" or "delta"'),
    "kind-a-number": ({"kind": 1}, 'kind: not "full" or "delta"'),
    "sequence-negative": ({"sequence": -1}, "sequence: not an integer from 0 on"),
    "sequence-a-text": ({"sequence": "7"}, "sequence: not an integer from 0 on"),
    "rows-a-fraction": ({"rows": 1.0}, "rows: not an integer from 0 on"),
    "rows-negative": ({"rows": -1}, "rows: not an integer from 0 on"),
    "rows-other": ({"rows": 2}, "rows: 2 given, the feed has 1"),
    "as-of-not-a-time": ({"as_of": "today"}, "as_of: not an RFC 3339 time or a date"),
    "as-of-a-number": ({"as_of": 1795449600}, "as_of: not an RFC 3339 time or a date"),
    "sha256-short": ({"sha256": "00" * 31}, "sha256: not 64 hexadecimal digits"),
    "sha256-not-hexadecimal": ({"sha256": "g" * 64}, "sha256: not 64 hexadecimal digits"),
    "sha256-a-number": ({"sha256": 0}, "sha256: not 64 hexadecimal digits"),
}

# Manifests that are not even objects of JSON: (octets, what is wrong).

BROKEN_MANIFESTS = {
    "list": (b"[]", "f.csv.json: not a JSON object"),
    "blank": (b" ", "f.csv.json:1: '[' or '{' expected near end of file"),
    "cut": (b'{"kind": "full"', "f.csv.json:1: '}' expected near end of file"),
    "more-behind": (b"{}\n{}", "f.csv.json:2: end of file expected near '{'"),
    "key-twice": (b'{\n"kind": "full", "kind": "full"}',
                  "f.csv.json:2: duplicate object key near '\"kind\"'"),
    "integer-too-large": (b'{"sequence": 9223372036854775808}',
                          "f.csv.json:1: too big integer near '9223372036854775808'"),
    "escape": (b'{"kind": \x1b[2J}', r"f.csv.json:1: invalid token near '\x1b'"),
    "terminal-command": ('{"kind": "\x9b2J'.encode(), "f.csv.json:1: premature end of input near "
                         r"""'"\xc2\x9b2J'"""),
    "not-utf-8": (b'{"kind": "\xff"}', "f.csv.json:1: unable to decode byte 0xff near '\"'"),
}


def zstd(octets):
    """A frame of one raw block (RFC 8878), for which no compressor is needed."""
    header = b"\x28\xb5\x2f\xfd\xa0" + len(octets).to_bytes(4, "little")
    return header + (len(octets) << 3 | 1).to_bytes(3, "little") + octets


def of_long_lines(kind):
    """The longest line there may be is another row; these have one octet more."""
    for name, before, line in ("row", encode(HEADER[kind]), 2), ("header", b"", 1):
        yield Case(f"line-of-65537-{name}", kind, before + b"x" * 65537 + b"\n",
                   f"f.csv:{line}: line is over 65536 octets\n")


def of_compression(kind):
    """Compressed data that does not end as it should."""
    plain = encode(HEADER[kind] + 3 * GOOD[kind])
    gzipped = gzip.compress(plain, mtime=0)
    xz = lzma.compress(plain)
    zst = zstd(plain)
    cases = {
        "gzip-cut": ("f.csv.gz", gzipped[:-9], "gzip data is truncated"),
        "gzip-check-sum": ("f.csv.gz", gzipped[:-8] + bytes(8), "incorrect data check"),
        "gzip-and-more": ("f.csv.gz", gzipped + b"more", "incorrect header check"),
        "gzip-without-suffix": ("f.csv", gzipped[:-9], "gzip data is truncated"),
        "xz-cut": ("f.csv.xz", xz[:-30], "Lzma library error:  No progress is possible"),
        "xz-check-sum": ("f.csv.xz", xz[:-40] + bytes(8) + xz[-32:],
                         "Lzma library error: Corrupted input data"),
        "xz-and-more": ("f.csv.xz", xz + b"more", "Lzma library error:  No progress is possible"),
        "zstd-cut": ("f.csv.zst", zst[:-9], "Truncated zstd input"),
        "zstd-block": ("f.csv.zst", zst[:9] + b"\x07" + zst[10:],
                       "Zstd decompression failed: Data corruption detected"),
        "zstd-and-more": ("f.csv.zst", zst + b"more",
                          "Zstd decompression failed: Unknown frame descriptor"),
    }
    for name, (feed, octets, wrong) in cases.items():
        yield Case(name, kind, octets, f"{feed}: data can't be read: {wrong}\n", feed=feed)


def rejected(feed, *bad_rows, total=None):
    """What stderr says of a feed with bad rows."""
    total = total or len(bad_rows)
    return "".join(f"{feed}:{row}\n" for row in bad_rows) + (
        f"{feed}: {total} bad row{'' if total == 1 else 's'}\n"
        f"{feed}: rejected for its bad rows, the store is unchanged\n")


def of_row(name, kind, row, wrong):
    octets = encode(HEADER[kind] + row + "\n" + GOOD[kind])
    return Case(name, kind, octets, rejected("f.csv", f"2: {wrong}"))


def of_rows():
    tables = {"domain": DOMAINS, "provider": PROVIDERS, "status": STATUSES, "number": NUMBERS,
              "time": TIMES, "licensed": LICENSED}
    for group, table in tables.items():
        for name, (row, wrong) in table.items():
            yield of_row(f"{group}-{name}", "full", row, wrong)
            yield of_row(f"{group}-{name}", "delta", "upsert," + row, wrong)
    for name, (row, wrong) in OPS.items():
        yield of_row(f"op-{name}", "delta", row, wrong)
    for name, (row, wrong) in RECORDS.items():
        yield of_row(f"record-{name}", "full", row, wrong)
    yield of_row("record-few-fields", "delta", "delete,example.com,qcloud",
                 "row has 3 fields, the header has 9: delete")


def of_whole_feeds():
    """What only several rows together show."""
    row = GOOD["full"]
    octets = encode(HEADER["full"] + row + "b.cn,q,pending,,,,,\n" + row.upper().replace(
        "QCLOUD,FILED", "qcloud,filed"))
    yield Case("pair-twice", "full", octets, rejected(
        "f.csv", "4: pair given twice, first at line 2: good.example.com qcloud"))
    # In the order of their names, so that the last provider stands in the last line.
    providers = [f"p{i:05}" for i in range(32768 + 25)]
    octets = encode(HEADER["full"] + "".join(f"b.cn,{each},pending,,,,,\n" for each in providers))
    yield Case("domain-full", "full", octets, rejected(
        "f.csv", f"{len(providers) + 1}: domain has over 32767 rows: b.cn {providers[-1]}"))
    # One of the rows is in the store, and one of those beyond is set in place of it.
    octets = encode(HEADER["delta"] + "".join(
        f"upsert,b.cn,{each},pending,,,,,\n" for each in [*providers[:-1], "q"]))
    yield Case("domain-full", "delta", octets, rejected(
        "f.csv", *(f"{i + 2}: domain would have over 32767 rows: b.cn {providers[i]}"
                   for i in range(32766, 32786)), total=26))
    lines = [f"{i + 2}: domain is a single label: a{i}" for i in range(20)]
    for kind, op in ("full", ""), ("delta", "delete,"):
        text = HEADER[kind] + "".join(f"{op}a{i},q,pending,,,,,\n" for i in range(22))
        yield Case("22-rows", kind, encode(text), rejected("f.csv", *lines, total=22))


def of_manifests(kind):
    octets = encode(HEADER[kind] + GOOD[kind])
    other = {"full": "delta", "delta": "full"}[kind]
    cases = {
        **WRONG_MANIFESTS,
        "kind-other": ({"kind": other}, f"kind: {other}, not a {kind} feed"),
        "sha256-other": ({"sha256": "00" * 32},
                         f"sha256: the feed has {hashlib.sha256(octets).hexdigest()}"),
    }
    for name, (changes, wrong) in cases.items():
        yield Case(f"manifest-{name}", kind, octets, f"f.csv.json: {wrong}\n",
                   manifest(kind, octets, changes))
    for name, (content, wrong) in BROKEN_MANIFESTS.items():
        yield Case(f"manifest-{name}", kind, octets, wrong + "\n", content)


def all_cases():
    yield from of_rows()
    yield from of_whole_feeds()
    for kind, headers in HEADERS.items():
        for name, (text, wrong) in headers.items():
            yield Case(f"header-{name}", kind, encode(text), wrong + "\n")
        yield from of_long_lines(kind)
        yield from of_compression(kind)
        yield from of_manifests(kind)


CASES = list(all_cases())

# SPDX-License-Identifier: BSD-3-Clause
"""The seeds of harnesses that read files: feeds, manifests, configurations. For seeds.py."""

import gzip
import json
import lzma

HEADER = b"domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses\n"
FILED = "a.cn,q,filed,京ICP备1号-1,,,,\n".encode()

FEED = {
    "all-statuses": HEADER + (
        "a.cn,q,filed,1,2026-01-02,,,\n"
        "b.cn,q,changing,1,,,,\n"
        "c.cn,q,rectifying,1,,,2026-03-04,\n"
        "d.cn,q,transfer-preapproved,1,2026-01-02T03:04:05Z,2026-02-03,,\n"
        "e.cn,q,pending,,,,,\n"
        "f.cn,q,transfer-cancelled,1,,,,\n"
        "例子.中国,q,deregistered,1,,,,\n").encode(),
    "bad-rows": HEADER + b"com.cn,q,filed,1,,,,\na.cn,Q,filed,1,,,,\nb.cn,q,x,1,,,,\n\n"
                         b"c.cn,q,filed,\xff,,,,\nd.cn,q,filed,\x1b,,,,\n192.0.2.1,q,filed,1,,,,\n",
    "delta": ("op,domain,provider,status,number\n"
              "upsert,a.cn,q,filed,京ICP备1号-1\n"
              "delete,a.cn,q,,\n"
              "deregister-entity,,,,京ICP备1号\n").encode(),
    "delta-bad-rows": ("op,domain,provider,status,number\n"
                       ",a.cn,q,filed,1\n"
                       "Upsert,a.cn,q,filed,1\n"
                       "upsert,a.cn,q,,1\n"
                       "delete,a.cn,,,\n"
                       "deregister-entity,a.cn,,,京ICP备1号\n"
                       "deregister-entity,,,,京ICP备1号-1\n").encode(),
    "empty": b"",
    "gzip": gzip.compress(HEADER + FILED, mtime=0),
    "gzip-and-more": gzip.compress(HEADER, mtime=0) + gzip.compress(FILED, mtime=0) + b"more",
    "header-alone": HEADER,
    "header-twice": b"domain,provider,domain\n",
    "licensed": HEADER + b"a.cn,q,filed,1,,,,192.0.2.1  2001:db8::/32 \nb.cn,q,filed,1,,,,x\n",
    "mark-and-returns": b"\xef\xbb\xbf" + (HEADER + FILED).replace(b"\n", b"\r\n"),
    "no-last-line-feed": HEADER + FILED[:-1],
    "number-cut-in-a-character": HEADER + b"a.cn,q,filed," + "号".encode()[:2] + b",,,,\n",
    "quotes": b'"domain",provider,"status",number\n"a.cn",q,filed,"a ""b"", c"\n',
    "quotes-not-closed": b'domain,provider,status\n"a.cn,q,pending\nb.cn,q,"pending\n"c"d,q,x\n',
    "seventeen-fields": HEADER + b"a.cn" + b"," * 16 + b"\n",
    "xz": lzma.compress(HEADER + FILED),
    "zstd": b"\x28\xb5\x2f\xfd\x20\x17" + (23 << 3 | 1).to_bytes(3, "little") +
            b"domain,provider,status\n",
}

SHA256 = "0123456789abcdef" * 4


def manifest(**changes):
    content = {"kind": "full", "sequence": 7, "as_of": "2026-11-23", "rows": 4, "sha256": SHA256}
    return json.dumps(content | changes).encode()


NAMED, READ, JOURNAL = b"\0", b"\1", b"\2"  # What fuzz_spool.c takes them for.
LOADING = {"loading": "f.csv", "sha256": SHA256, "sequence": 7, "generation": 3}
MOVING = {"moving": "f.csv", "to": "done", "as": "f~20261124T000000.csv"}
# Inode, octets, seconds, nanoseconds.
KNOWN = {**MOVING, "sha256": SHA256, "manifest": [7, 190, 1795449600, 123456789], "feed": [8, 0, -1, 0]}


def journal(**changed):
    return JOURNAL + json.dumps(changed).encode()


SPOOL = {
    "journal-loading": journal(**LOADING),
    "journal-moving": journal(**MOVING),
    "journal-moving-known": journal(**KNOWN),
    "journal-moving-known-in-part": journal(**MOVING | {"sha256": SHA256}),
    "journal-number-negative": journal(**LOADING | {"generation": -1}),
    "journal-path": journal(**MOVING | {"as": "../f.csv"}),
    "journal-place-unknown": journal(**MOVING | {"to": ".."}),
    "journal-sha256-short": journal(**LOADING | {"sha256": "ab"}),
    "journal-stamp-short": journal(**KNOWN | {"feed": [8, 0, 0]}),
    "journal-stamp-too-large": journal(**KNOWN | {"manifest": [2**63, 0, 0, 0]}),
    "manifest-applied": READ + manifest(kind="delta", sequence=7),
    "manifest-empty": READ,
    "manifest-full": READ + manifest(),
    "manifest-half": READ + manifest()[:20],
    "manifest-in-a-gap": READ + manifest(kind="delta", sequence=9),
    "manifest-next": READ + manifest(kind="delta", sequence=8),
    "manifest-sequence-largest": READ + manifest(kind="delta", sequence=2**63 - 1),
    "name-control-character": NAMED + b"f\n.csv.json",
    "name-feed": NAMED + b"f.csv.zst",
    "name-hidden": NAMED + b".f.csv.json",
    "name-long": NAMED + b"a" * 217 + b".csv.json",
    "name-longest": NAMED + b"a" * 216 + b".csv.json",
    "name-manifest": NAMED + "例.csv.json".encode(),
    "name-path": NAMED + b"../f.csv",
}

REQUEST = {
    "command-not-known": b'{"command": "stop"}',
    "command-twice": b'{"command": "status", "command": "pause"}',
    "control-character": b'{"command": "status", "a\\u0007": 1}',
    "deep": b"[" * 3000,
    "empty": b"",
    "feed-a-path": b'{"command": "load", "feed": "../f.csv"}',
    "feed-with-nul": b'{"command": "load", "feed": "f.csv\\u0000.csv"}',
    "force-not-boolean": b'{"command": "load", "feed": "f.csv", "force": 1}',
    "http": b"GET / HTTP/1.1\r",
    "load": b'{"command": "load", "feed": "f.csv.zst", "force": true}',
    "not-utf-8": b'{"command": "\xff"}',
    "status": b'{"command": "status"}',
    "status-with-feed": b'{"command": "status", "feed": "f.csv"}',
}

MANIFEST = {
    "as-of-a-time": manifest(as_of="2026-11-23T03:00:00.5+08:00"),
    "control-character": b'{"kind": \x1b[2J}',
    "delta": manifest(kind="delta"),
    "feed-gz": b"f.csv.gz",
    "feed-suffix-alone": b".gz",
    "full": manifest(),
    "key-not-known": manifest(**{"\x1b[2J": 1}),
    "key-twice": b'{"kind": "full", "kind": "full"}',
    "list": b"[]",
    "more-behind": manifest() + b"x",
    "nested": b'{"kind": [[[[{"kind": {}}]]]]}',
    "not-utf-8": b'{"kind": "\xff"}',
    "rows-a-fraction": manifest(rows=4.0),
    "sequence-largest": manifest(sequence=2**63 - 1),
    "sequence-negative": manifest(sequence=-1),
    "sequence-too-large": manifest(sequence=2**63),
    "sha256-short": manifest(sha256=SHA256[1:]),
    "sha256-upper-case": manifest(sha256=SHA256.upper()),
    "terminal-command-not-closed": '{"kind": "\x9b2J'.encode(),
}

MINIMAL = b"""providers: [qcloud]
ranges: {database: r.mmdb, provider: {path: [provider]}}
block: {ipv4: 203.0.113.80}
"""

CONFIG = {
    "alias": MINIMAL + b"store: &a x\nexempt: [*a]\n",
    "alias-in-itself": b"exempt: &a [*a]\n",
    "all-keys": b"""store: /s
mode: monitor
scope: mainland
providers: [qcloud]
ranges:
  database: r.mmdb
  mainland: {path: [country, iso_code], equals: CN}
  provider: {path: [provider]}
block:
  ipv4: 203.0.113.80
  ipv6: 2001:db8::80
  ttl: 30
  ede: none
  text: "https://beian.example.cn"
mixed: strip
lease: 30
rectify_overdue: block
licence_addresses: enforce
on_no_index: block
exempt: [internal.example]
nat64_prefixes: ["64:ff9b::/96"]
daemon:
  spool: /s/spool
  control: /s/control
  http: "[::1]:9553"
  stale_after: 36h
  gap_after: 15m
  keep: 3
  keep_audit: 400d
  keep_spool: 14d
  follow: "service=filing"
blockpage:
  listen: ["192.0.2.1:80", "[::1]:80"]
  templates: /s/pages
  provider_name: {zh: Z, en: E}
  file_url: "https://a.cn/?b&c"
  transfer_url: "http://a.cn"
  contact_url: "mailto:a@b.cn"
  blocked_by: "https://a.cn/"
  api: any
  api_rate: 1
  connections: 16
  timeout: 5m
""",
    "duration-too-long": MINIMAL + b"daemon: {stale_after: 71582789m}\n",
    "endpoint-no-port": MINIMAL + b"daemon: {http: '[::1]'}\n",
    "control-character": MINIMAL + b'store: "a\\e[1m\\x85"\n',
    "deep": MINIMAL + b"store: " + b"[" * 20,
    "empty": b"",
    "key-not-known": MINIMAL + b"stores: x\n",
    "key-twice": MINIMAL + b"store: x\nstore: y\n",
    "merge": MINIMAL + b"<<: {store: x}\n",
    "minimal": MINIMAL,
    "not-utf-8": MINIMAL + b"store: \xff\n",
    "null": MINIMAL + b"mode:\n",
    "number-too-large": MINIMAL + b"lease: 4294967298\n",
    "provider-twice": MINIMAL.replace(b"[qcloud]", b"[qcloud, qcloud]"),
    "tab": MINIMAL + b"\tstore: x\n",
    "tag": MINIMAL + b"mode: !x enforce\n",
    "two-documents": MINIMAL + b"---\n" + MINIMAL,
    "utf-16": b"\xff\xfe" + MINIMAL.decode().encode("utf-16-le"),
    "value-long": MINIMAL + b"mode: " + "例".encode() * 40 + b"\n",
}

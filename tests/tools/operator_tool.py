# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of the operator's tool share: a store, configurations, calls of the programs."""

import csv
import json
import os
import subprocess
import time
from pathlib import Path

import yaml

BUILD = Path(os.environ["ICP_BUILD"])
ICPGATE = BUILD / "db-tools" / "icpgate"
LOADER = BUILD / "loader" / "icpgate-load"

AT = "2026-11-23T12:00:00+08:00"
DEADLINE = 60
COLUMNS = ["domain", "provider", "status", "number", "approved_at", "expires_at", "rectify_by",
           "licensed_addresses"]
LICENSED = "192.0.2.0/28 192.0.2.77 2001:db8:1::/48"
NUMBER = "京ICP备11018762号-1"


def canonical(row):
    """The order of a dump: of the names (RFC 4034, 6.1), then of the providers."""
    return [label.encode() for label in reversed(row[0].split("."))], row[1]


ROWS = sorted([
    ["a.example.cn", "qcloud", "filed", "粤B2-20090059", "", "", "", ""],
    ["z.a.example.cn", "qcloud", "filed", "粤B2-20090060", "", "", "", ""],
    ["both.cn", "acloud", "filed", NUMBER, "2020-02-29T23:59:59+08:00", "", "", ""],
    ["both.cn", "qcloud", "changing", NUMBER, "", "", "", ""],
    ["deep.www.both.cn", "qcloud", "filed", NUMBER, "", "", "", ""],
    ["cancelled.cn", "qcloud", "transfer-cancelled", NUMBER, "", "", "", ""],
    ["changing.cn", "qcloud", "changing", NUMBER, "", "", "", ""],
    ["deregistered.cn", "qcloud", "deregistered", NUMBER, "", "", "", ""],
    ["filed.cn", "qcloud", "filed", NUMBER, "", "", "", ""],
    ["licence.cn", "qcloud", "filed", "京ICP证030173号", "", "", "", LICENSED],
    ["overdue.cn", "qcloud", "rectifying", NUMBER, "", "", "2026-11-01T00:00:00+08:00", ""],
    ["pending.cn", "qcloud", "pending", "", "", "", "", ""],
    ["moved.cn", "bcloud", "filed", NUMBER, "", "", "", ""],
    ["sub.moved.cn", "acloud", "deregistered", NUMBER, "", "", "", ""],
    ["quoted.cn", "qcloud", "filed", 'a "b", c', "", "", "", ""],
    ["quoted.cn", "p1", "filed", "a, b", "", "", "", ""],
    ["quoted.cn", "p2", "filed", 'a "b"', "", "", "", ""],
    ["two.cn", "acloud", "filed", NUMBER, "", "", "", "192.0.2.200"],
    ["two.cn", "bcloud", "filed", NUMBER, "", "", "", ""],
    ["rectifying.cn", "qcloud", "rectifying", NUMBER, "", "", "2026-12-02T00:00:00+08:00", ""],
    ["transfer.cn", "qcloud", "transfer-preapproved", NUMBER, "2026-11-01T00:00:00+08:00",
     "2026-12-16T00:00:00+08:00", "", ""],
    ["example.com", "acloud", "filed", NUMBER, "", "", "", ""],
    ["xn--fsqu00a.xn--fiqs8s", "qcloud", "filed", NUMBER, "", "", "", ""],
], key=canonical)
DOMAINS = {row[0] for row in ROWS}

RANGES = """prefix,country,provider
192.0.2.0/25,CN,qcloud
192.0.2.128/25,CN,acloud
198.51.100.0/24,CN,
203.0.113.0/24,US,acloud
2001:db8:1::/48,CN,qcloud
"""
OURS = "192.0.2.10"
OURS_TOO = "192.0.2.20"
THEIRS = "192.0.2.130"
NOBODYS = "198.51.100.1"
ABROAD = "203.0.113.1"


def run(*arguments, stdin="", env=None, encoding="utf-8"):
    return subprocess.run([str(a) for a in arguments], input=stdin, capture_output=True,
                          encoding=encoding, timeout=120, check=False,
                          env={**os.environ, **(env or {})})


def icpgate(*arguments, **options):
    return run(ICPGATE, *arguments, **options)


def load(store, feed):
    done = run(LOADER, "--store", store, "full", "--no-manifest", feed)
    assert done.returncode == 0, done.stderr


def wait_until(condition, what, seconds=DEADLINE):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.01)
    return value


def write_feed(path, rows):
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        writer.writerows(rows)


def assert_quiet_failure(done, status):
    """A message, and neither a crash nor a sanitizer's report."""
    assert done.returncode == status, done.stderr
    assert done.stderr.strip()
    assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr


class Place:
    """A directory with a range database, a store and configurations."""

    def __init__(self, directory):
        self.directory = directory
        self.store = directory / "store"
        self.store.mkdir()
        self.feed = directory / "feed.csv"
        self.ranges = directory / "ranges.mmdb"
        self.settings = 0
        source = directory / "ranges.csv"
        source.write_text(RANGES, encoding="utf-8")
        done = icpgate("ranges", source, self.ranges)
        assert done.returncode == 0, done.stderr

    def config(self, **changes):
        content = {
            "store": str(self.store),
            "mode": "enforce",
            "scope": "provider",
            "providers": ["qcloud"],
            "ranges": {
                "database": str(self.ranges),
                "mainland": {"path": ["country", "iso_code"], "equals": "CN"},
                "provider": {"path": ["provider"]},
            },
            "block": {"ipv4": "203.0.113.80", "ttl": 30},
        }
        content.update(changes)
        self.settings += 1
        path = self.directory / f"{self.settings}.conf"
        path.write_text(yaml.safe_dump(content), encoding="utf-8")
        return path


def lookup(conf, *arguments, at=AT):
    done = icpgate("-c", conf, "lookup", "--json", "--at", at, *arguments)
    assert "Sanitizer" not in done.stderr
    return done.returncode, json.loads(done.stdout)

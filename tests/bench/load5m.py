#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Loads a large made-up feed and says what that cost.

Usage: ICP_BUILD=DIR load5m.py [ROWS]     (default 5,000,000)
The feed comes from a fixed seed; everything is put in a temporary directory (TMPDIR says where).
"""

import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SEED = 20261123
SUFFIXES = ["com", "cn", "com.cn", "net", "org", "xn--fiqs8s", "vip", "xyz", "top", "net.cn"]
SUFFIX_WEIGHTS = [50, 25, 8, 5, 3, 1, 3, 2, 2, 1]
STATUSES = ["filed", "changing", "rectifying", "transfer-preapproved", "pending"]
STATUSES += ["transfer-cancelled", "deregistered"]
STATUS_WEIGHTS = [88, 2, 1, 1, 3, 3, 2]
SYLLABLES = [c + v for c in "bcdfghjklmnpqrstwxyz" for v in ("a", "e", "i", "o", "u", "ang", "ing")]
HEADER = "domain,provider,status,number,approved_at,rectify_by"


def domains(rng):
    """Names without end, no two alike: the counter is part of each."""
    number = 0
    while True:
        stem = "".join(rng.choices(SYLLABLES, k=rng.choice((1, 2, 2, 3))))
        domain = f"{stem}{number:x}.{rng.choices(SUFFIXES, SUFFIX_WEIGHTS)[0]}"
        yield domain
        if rng.random() < 0.03:
            yield f"shop.{domain}"
        number += 1


def write_feed(path, rows):
    rng = random.Random(SEED)
    with open(path, "w", encoding="utf-8") as file:
        file.write(HEADER + "\n")
        written = 0
        for domain in domains(rng):
            providers = ["qcloud", "acloud", "t-9"][: rng.choice((1, 1, 1, 1, 1, 1, 1, 2, 2, 3))]
            for provider in providers:
                if written == rows:
                    return
                status = rng.choices(STATUSES, STATUS_WEIGHTS)[0]
                approved = "2026-11-01" if status == "transfer-preapproved" else ""
                overdue = "2026-12-31" if status == "rectifying" else ""
                number = f"京ICP备{rng.randrange(10**8):08}号-{rng.randrange(1, 9)}"
                file.write(f"{domain},{provider},{status},{number},{approved},{overdue}\n")
                written += 1


def write_conf(directory, icpgate):
    (directory / "ranges.csv").write_text(
        "prefix,country,provider\n192.0.2.0/24,CN,qcloud\n", encoding="utf-8"
    )
    command = [icpgate, "ranges", directory / "ranges.csv", directory / "ranges.mmdb"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    conf = directory / "icpgate.conf"
    conf.write_text(
        f"store: {directory}/store\n"
        "providers: [qcloud]\n"
        "ranges:\n"
        f"  database: {directory}/ranges.mmdb\n"
        "  mainland: {path: [country, iso_code], equals: CN}\n"
        "  provider: {path: [provider]}\n"
        "block: {ipv4: 203.0.113.80}\n",
        encoding="utf-8",
    )
    return conf


def main():
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    build = os.environ.get("ICP_BUILD")
    if not build:
        sys.exit("ICP_BUILD is not set: it names the build directory")
    with tempfile.TemporaryDirectory(prefix="icpgate-load-") as name:
        directory = Path(name)
        conf = write_conf(directory, Path(build) / "db-tools" / "icpgate")
        feed = directory / "feed.csv"
        write_feed(feed, rows)
        # The peak read below is the largest of all children: the loader's, as the range compiler
        # before it is far smaller. It is never below this script's own, some 14 MB, from which
        # the children begin.
        before = time.monotonic()
        loader = Path(build) / "loader" / "icpgate-load"
        command = [loader, "-c", conf, "full", "--no-manifest", feed]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - before
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        # Blocks in use, not length: an environment's file may have holes.
        files = [file.stat() for file in (directory / "store").rglob("*.mdb")]
        size = sum(min(file.st_size, file.st_blocks * 512) for file in files)
        print(f"rows             {rows:>15,}")
        print(f"feed             {feed.stat().st_size:>15,} octets")
        print(f"load time        {seconds:>15.1f} s")
        print(f"rate             {rows / seconds:>15,.0f} rows/s")
        print(f"peak RSS         {peak:>15,} octets")
        print(f"store            {size:>15,} octets")
        print(f"octets per row   {size / rows:>15.1f}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Pages a second that icpgate-blockpage serves on one core, to clients that keep their connections,
with wrk on the other core.

    make bench-blockpage
    make bench-blockpage BENCH="--seconds 10 --rows 5000000"
"""

import argparse
import contextlib
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path += [str(Path(__file__).resolve().parents[1] / each) for each in ("blockpage", "e2e")]

from harness import find_program, start  # pylint: disable=wrong-import-position
from pages import FEED, HOSTS, NUMBER, Page, World  # pylint: disable=wrong-import-position

TARGET = 20_000
SERVER_CORE, CLIENT_CORE = "0", "1"


def feed(rows):
    return FEED + "".join(f"n{i}.example,acloud,filed,{NUMBER},,,,\n" for i in range(rows))


def measure(page, what, seconds, host, *headers):
    """Runs wrk; returns pages a second. Each answer is a page: with status 451, wrk counts it as one
    that is not of 2xx or 3xx."""
    arguments = [f"--header={each}" for each in (f"Host: {host}", *headers)]
    done = subprocess.run(
        ["taskset", "-c", CLIENT_CORE, find_program("ICP_WRK", "wrk"), "-t1", "-c32",
         f"-d{seconds}s", "--latency", *arguments, f"http://127.0.0.1:{page.port}/"],
        capture_output=True, encoding="utf-8", check=True)
    rate = float(re.search(r"Requests/sec: *([\d.]+)", done.stdout)[1])
    requests = int(re.search(r"(\d+) requests in", done.stdout)[1])
    pages = int(re.search(r"Non-2xx or 3xx responses: (\d+)", done.stdout)[1])
    late = re.search(r"99% +(\S+)", done.stdout)[1]
    assert requests == pages and "Socket errors" not in done.stdout, done.stdout
    print(f"{what:32}{rate:10,.0f} pages/s   99% within {late}", flush=True)
    return rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--seconds", type=int, default=5, help="for each case")
    parser.add_argument("--rows", type=int, default=100_000, help="of the store")
    parser.add_argument("--providers", type=int, default=1, help="whose addresses are gated")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as stack:
        providers = ["qcloud", *(f"cloud{i}" for i in range(1, options.providers))]
        world = World(directory, feed=feed(options.rows), policy={"providers": providers})
        page = Page(world, prefix=["taskset", "-c", SERVER_CORE])
        start(stack, page)
        rates = {
            "unfiled, Chinese": measure(page, "unfiled, Chinese", options.seconds, HOSTS["unfiled"]),
            "filed elsewhere, English": measure(
                page, "filed elsewhere, English", options.seconds, HOSTS["filed-elsewhere"],
                "Accept-Language: en-GB,en;q=0.9"),
            "international name": measure(page, "international name", options.seconds,
                                          "www.xn--fsqu00a.xn--fiqs8s"),
            "no valid name": measure(page, "no valid name", options.seconds, "a..b"),
        }
    if options.json:
        print(json.dumps({name: round(rate) for name, rate in rates.items()}))
    least = min(rates.values())
    print(f"the least is {least:,.0f}, the target {TARGET:,}")
    return 0 if least >= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())

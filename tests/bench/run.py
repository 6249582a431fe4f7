#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Measures everything that has a target, and what stands beside it; prints one table.

    make bench                                  all parts
    make bench BENCH="--data DIR judge load"    some parts, with data that is kept in DIR
    make bench BENCH="--data DIR --write table" nothing: what was measured there, into doc/

Results of all runs with the same --data are kept in DIR/results-N.json, and the table shows them all.
Everything listens on loopback; only processes that were started here are ended. Environment: see
tests/conftest.py, and

ICP_NAMED, ICP_PDNS_RECURSOR  the peers, from tools/get-peer
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import measure
import measure_store
import plot
import report
import scaling
from data import World, write_whole

PARTS = {
    "daemon": measure.daemon,
    "start": measure.start,
    "load": measure_store.load,
    "judge": measure_store.judge,
    "feeds": measure_store.feeds,
    "peers": measure.peers,
    "threads": scaling.threads,
    "sizes": scaling.sizes,
}
DOC = Path(__file__).resolve().parents[2] / "doc"
TARGETED_NAMES = 5_000_000


def numbers(text):
    return [int(float(part)) for part in text.split(",") if part]


def read_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    add = parser.add_argument
    add("parts", nargs="*", metavar="PART", help=f"{', '.join(PARTS)} (default: all) or table")
    add("--data", type=Path, metavar="DIR", help="keep data and results there, and use them again")
    add("--names", type=int, default=TARGETED_NAMES, metavar="N", help="filed names")
    add("--peer-names", type=int, default=TARGETED_NAMES, metavar="N", help="filed names in an RPZ")
    add("--peers", default="unbound,bind,powerdns", help="which of them")
    add("--pairs", type=int, default=7, metavar="N", help="pairs of turns, for ratios")
    add("--seconds", type=int, default=2, metavar="N", help="of a turn; 28 where names pass")
    add("--starts", type=int, default=11, metavar="N", help="starts of a daemon")
    add("--loads", type=int, default=3, metavar="N", help="full loads of a feed")
    add("--judges", type=int, default=3, metavar="N", help="runs of icpgate bench")
    add("--sizes", type=numbers, default=[1_000_000, 5_000_000, 20_000_000], metavar="N,...")
    add("--rpz-sizes", type=numbers, default=list(scaling.RPZ_SIZES), metavar="N,...")
    add("--markdown", action="store_true", help="the table in Markdown")
    add("--write", action="store_true", help="put table and plot into doc/")
    options = parser.parse_args()
    for part in options.parts:
        if part not in PARTS and options.parts != ["table"]:
            parser.error(f"no such part: {part}")
    return options


def say(text):
    print(f"-- {text}", file=sys.stderr, flush=True)


def missing_programs():
    wanted = {"dnsperf": shutil.which("dnsperf"), "taskset": shutil.which("taskset")}
    wanted["ICP_BUILD"] = os.environ.get("ICP_BUILD")
    return [name for name, found in wanted.items() if not found]


def measure_part(name, options, directory, build):
    count = options.peer_names if name == "peers" else options.names
    begin = time.monotonic()
    say(f"{name}: {count:,} names; load average {os.getloadavg()[0]:.1f}")
    rows = PARTS[name](World(directory, build, count), options)
    say(f"{name}: done in {time.monotonic() - begin:.0f} s")
    return rows


def run(options, directory):
    build = Path(os.environ["ICP_BUILD"]).resolve()
    results_path = directory / f"results-{options.names}.json"
    results = {}
    if results_path.is_file():
        results = json.loads(results_path.read_text(encoding="utf-8"))
    for name in [] if options.parts == ["table"] else options.parts or PARTS:
        results[name] = measure_part(name, options, directory, build)
        write_whole(results_path, [json.dumps(results, indent=1, ensure_ascii=False)])
    rows = [row for name in PARTS for row in results.get(name, [])]
    if options.names != TARGETED_NAMES:
        print(f"{options.names:,} names: the targets are those of {TARGETED_NAMES:,}\n")
    print(report.markdown_table(rows) if options.markdown else report.text_table(rows))
    if options.write:
        sizes = [row["details"] for row in results.get("sizes", [])]
        report.write(DOC / "performance.md", rows, bool(sizes))
        if sizes:
            plot.write(DOC / "scaling.svg", sizes)


def main():
    options = read_arguments()
    options.say = say
    missing = missing_programs()
    if missing:
        sys.exit(f"bench: missing: {', '.join(missing)} (see tools/install-deps --bench)")
    if options.data:
        options.data.mkdir(parents=True, exist_ok=True)
        run(options, options.data.resolve())
    else:
        with tempfile.TemporaryDirectory(prefix="icpgate-bench-") as directory:
            run(options, Path(directory))


if __name__ == "__main__":
    main()

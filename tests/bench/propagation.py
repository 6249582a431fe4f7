#!/usr/bin/python3
# SPDX-License-Identifier: BSD-3-Clause
"""Says how long a change takes from the loader to a resolver's answer.

Usage: ICP_BUILD=DIR ICP_UNBOUND=PROGRAM propagation.py [--names N] [--deltas N] [--lease SECONDS]

A store of N names (default 1,000,000) under a running resolver gets single-row deltas (default
1,000) that permit names, then as many that block them again. Each name is asked for before it
changes, so that the resolver has it in its cache, and then without pause from the end of icpgate-load
on. Everything is put in a temporary directory (TMPDIR says where) and stays on loopback.

  start  from the start of icpgate-load to the first right answer
  exit   from its end; never 0, as each query is sent after that

The commit is between the two: of the time since the commit, start is an upper bound, exit a lower one.
Permits have targets, which are printed beside the numbers; blocks take up to a lease.
"""

import argparse
import os
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / each) for each in ("bench", "e2e", "model", "tools")]

from asker import Asker
from commands import Commands
from data import Names, mix
from feeds import FeedWriter, Row, Store
from harness import Nsd, Unbound, start
from world import OURS, Site, zone

NUMBER = "京ICP备11018762号-1"
PATIENCE = 10
TARGETS = {"permit": (50, 1000)}  # ms from the commit: median, p99


def numbers(text):
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("1 or more")
    return value


def arguments():
    parser = argparse.ArgumentParser(description="times from a delta to the resolver's answer")
    parser.add_argument("--names", type=numbers, default=1_000_000)
    parser.add_argument("--deltas", type=numbers, default=1_000)
    parser.add_argument("--lease", type=numbers, default=30)
    return parser.parse_args()


class Bench:
    def __init__(self, stack, directory, given):
        commands = Commands(Path(os.environ["ICP_BUILD"]).resolve())
        site = Site(commands, directory, [], {"lease": given.lease})
        nsd = start(stack, Nsd(directory, {"cn": zone("cn", [f"* A {OURS}"])}))
        self.given = given
        self.store = Store(commands, site.store)
        self.feeds = FeedWriter(directory)
        self.sequence = 0
        self.fill()
        stubs = [("cn", f"stub-addr: 127.0.0.1@{nsd.port}")]
        module = commands.icpgate.parents[1] / "module" / ".libs" / "icpgate.so"
        lines = ["num-threads: 2"]
        unbound = start(stack, Unbound(directory, stubs, module, site.conf, lines))
        self.asker = Asker(unbound.port)
        stack.callback(self.asker.close)

    def run(self, kind, path):
        self.sequence += 1
        done = self.store.load(kind, path)
        if done.returncode != 0:
            sys.exit(f"icpgate-load {kind}: exit {done.returncode}: {done.stderr}")

    def fill(self):
        """The names that change stand among them, as parents of none."""
        made = Names()
        names = (made.name(number, mix(number)) for number in range(self.given.names))
        rows = ((name, "qcloud", "filed", NUMBER) for name in names)
        columns = ["domain", "provider", "status", "number"]
        self.run("full", self.feeds.write("full", 1, columns, rows))

    def change(self, operation):
        """Applies one; the times of the command's start and end."""
        path = self.feeds.delta([operation], self.sequence + 1)
        begin = time.monotonic()
        self.run("delta", path)
        return begin, time.monotonic()

    def served(self, names):
        """Which of them are served, and when that was said."""
        found = {}
        for answer in self.asker.ask(names):
            if answer.packet is None:
                sys.exit(f"{answer.name}: no answer")
            found[answer.name] = answer.read()[1] == [OURS], answer.received
        return found

    def permit(self, names):
        """The time from start and from end to the first right answer, of each."""
        for name in names:
            if self.served([name])[name][0]:
                sys.exit(f"{name} is served before it is filed")
            begin, end = self.change(("upsert", Row(name, "qcloud", "filed", NUMBER)))
            while not (seen := self.served([name])[name])[0]:
                if seen[1] - end > PATIENCE:
                    sys.exit(f"{name} is not served")
            yield seen[1] - begin, seen[1] - end

    def block(self, names):
        """Likewise; meanwhile others are changed, as each may take a lease."""
        waiting = {}
        names = list(names)
        while names or waiting:
            if names:
                name = names.pop()
                if not self.served([name])[name][0]:
                    sys.exit(f"{name} is not served before it is deleted")
                waiting[name] = self.change(("delete", name, "qcloud"))
            for name, (served, when) in self.served(list(waiting)).items():
                begin, end = waiting[name]
                if not served:
                    del waiting[name]
                    yield when - begin, when - end
                elif when - end > self.given.lease + PATIENCE:
                    sys.exit(f"{name} is not blocked")


def show(what, times):
    beside = ["", ""]
    if what in TARGETS:
        beside = [f" (target {each:,})" for each in TARGETS[what]]
    for name, values in zip(("start", "exit"), zip(*times)):
        values = sorted(values)
        late = values[max(0, len(values) * 99 // 100 - 1)] if len(values) > 1 else values[0]
        print(
            f"{what:6} {name:6} median {statistics.median(values) * 1000:10.1f} ms{beside[0]}   "
            f"p99 {late * 1000:10.1f} ms{beside[1]}   most {values[-1] * 1000:10.1f} ms"
        )


def main():
    given = arguments()
    for variable in ("ICP_BUILD", "ICP_UNBOUND"):
        if not os.environ.get(variable):
            sys.exit(f"{variable} is not set")
    with ExitStack() as stack:
        made = tempfile.TemporaryDirectory(prefix="icpgate-propagation-")
        bench = Bench(stack, Path(stack.enter_context(made)), given)
        print(f"names {given.names:,}, deltas {given.deltas:,} each way, lease {given.lease} s")
        names = [f"new{n}.cn" for n in range(given.deltas)]
        show("permit", list(bench.permit(names)))
        show("block", list(bench.block(names)))


if __name__ == "__main__":
    main()

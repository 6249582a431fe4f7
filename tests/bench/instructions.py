#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Counts instructions, which unlike times are the same on a busy machine: those of one judgement, and
those of one cached answer that the module gives, in a real Unbound: of a blocked one, and of one that
passes when its lease has ended.

Usage: instructions.py [--update]

Compares with instructions.json, and exits with 1 when something has become dearer than its margin
allows, or so much cheaper that the file is out of date; --update writes it anew. The figures are
those of one compiler and C library: with others there is nothing to compare. Environment as for the
tests; needs valgrind. Each figure is the difference between two runs of different length.
"""

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from daemons import Unbound, Upstream
from clock import Clock
from data import BLOCK, HEADER, OURS, Names, mix

FIGURES = Path(__file__).with_name("instructions.json")
MARGIN = 0.03
NAMES = 20_000
# Else the C library chooses its string functions by what the processor can do.
TUNABLES = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2"}
# Judgements and answers in the short run and in the long one.
JUDGEMENTS = (1_000, 11_000)
FEW = 500  # Lines that are judged again and again.
ANSWERS = (300, 1_800)
ASKED = 100
LEASE = 4000  # Longer than a run; all those of a run take less than a day, for which data is cached.
VALGRIND_SECONDS = 120
RANGES = (
    f"1.0.0.0/8,CN,{OURS}\n2.0.0.0/8,US,\n36.96.0.0/11,CN,\n36.128.0.0/10,CN,{OURS}\n"
    f"101.4.0.0/14,CN,{OURS}\n203.0.113.0/24,JP,\n2400:3200::/32,CN,{OURS}\n2600::/16,US,\n"
)
GATED = [f"{net}.{host}" for net in ("1.2.3", "36.130.7", "101.5.9") for host in range(1, 250)]
ABROAD = [f"2.{net}.7.{host}" for net in range(3) for host in range(1, 250)]


def toolchain():
    """What the figures depend on beside the sources."""
    compiler = subprocess.run(["cc", "-dumpfullversion"], capture_output=True, check=True)
    library = " ".join(platform.libc_ver())
    return f"gcc {compiler.stdout.decode().strip()}, {library}, {platform.machine()}"


def count(directory, command, **arguments):
    """Runs a command under callgrind; the instructions that it took."""
    out = directory / "callgrind.out"
    out.unlink(missing_ok=True)
    valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
    environment = {**os.environ, **TUNABLES}
    subprocess.run(
        [*valgrind, *command],
        check=True,
        timeout=VALGRIND_SECONDS,
        env=environment,
        stdout=subprocess.DEVNULL,
        **arguments,
    )
    return read_count(out)


def read_count(out):
    return int(re.search(r"^(?:totals|summary): (\d+)", out.read_text(), re.M)[1])


class Place:
    """A small store of fixed names, and lines to be judged."""

    def __init__(self, directory, build):
        self.directory = directory
        self.build = build
        self.names = Names()
        self.conf = directory / "icpgate.conf"
        self.conf.write_text(
            f"store: {directory}/store\nproviders: [{OURS}]\n"
            f"ranges:\n  database: {directory}/ranges.mmdb\n"
            "  mainland: {path: [country, iso_code], equals: CN}\n"
            "  provider: {path: [provider]}\n"
            f"lease: {LEASE}\nblock: {{ipv4: {BLOCK}}}\n",
            encoding="ascii",
        )
        self.make("ranges.csv", ["prefix,country,provider\n", RANGES])
        self.run("db-tools/icpgate", "ranges", directory / "ranges.csv", directory / "ranges.mmdb")
        rows = (self.names.line(number) + "\n" for number in range(NAMES))
        self.make("feed.csv", [HEADER + "\n", *rows])
        load = ["loader/icpgate-load", "-c", self.conf, "full", "--no-manifest"]
        self.run(*load, directory / "feed.csv")

    def make(self, name, lines):
        (self.directory / name).write_text("".join(lines), encoding="utf-8")

    def run(self, program, *arguments):
        command = [self.build / program, *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def lines(self, kind):
        """[(name, address)]; names under names that are filed, as clients ask for them, or not."""
        filed = [number for number in range(NAMES) if self.names.permits(number)]
        numbers = {
            "filed": filed[: JUDGEMENTS[1]],
            "unfiled": range(1 << 40, (1 << 40) + JUDGEMENTS[1]),
            "foreign": range(1 << 41, (1 << 41) + JUDGEMENTS[1]),
        }[kind]
        addresses = ABROAD if kind == "foreign" else GATED
        found = []
        for number in numbers:
            z = mix(number)
            host = "www." if z >> 56 & 1 else ""
            found.append((host + self.names.name(number, z), addresses[z % len(addresses)]))
        return found

    def judgement(self, kind, few=None):
        """Of names that were not judged before; if there are few, of those that are remembered."""
        lines = "".join(f"{name} {address}\n" for name, address in self.lines(kind)[:few])
        runs = []
        for judgements in JUDGEMENTS:
            program = self.build / "tests" / "bench" / "judge_lines"
            command = [program, self.conf, str(judgements)]
            runs.append(count(self.directory, command, input=lines.encode()))
        return (runs[1] - runs[0]) / (JUDGEMENTS[1] - JUDGEMENTS[0])

    def answers(self, kind, number, leap):
        """Instructions of an Unbound that gives the same answers over and over, with a leap of its clock,
        in seconds, before each turn."""
        lines = self.lines(kind)[:ASKED]
        records = [f"{name}. A {address}\n" for name, address in lines]
        soa = "$TTL 86400\n. SOA a.root. h.root. 1 3600 900 86400 60\n. NS a.root.\n"
        self.make("root.zone", [soa, "a.root. A 127.0.0.1\n", *records])
        out = self.directory / "callgrind.out"
        out.unlink(missing_ok=True)
        wrapper = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={out}"]
        clock = Clock(self.directory)
        preload = {"LD_PRELOAD": clock.preload, "ICP_CLOCK": str(clock.path)}
        with ExitStack() as stack, tempfile.TemporaryDirectory(dir=self.directory) as work:
            upstream = Upstream(Path(work), self.directory / "root.zone", cores=None)
            stack.callback(upstream.stop)
            upstream.wait_ready()
            module = self.build / "module" / ".libs" / "icpgate.so"
            unbound = Unbound(
                Path(work),
                upstream,
                cores=None,
                module=module,
                icpgate_conf=self.conf,
                wrapper=wrapper,
                environment={**TUNABLES, **preload},
            )
            stack.callback(unbound.stop)
            unbound.ready_within(VALGRIND_SECONDS)
            # All are in the cache after the first turn.
            for turn in range(number // ASKED + 1):
                clock.write(turn * leap)
                for name, address in lines:
                    wanted = BLOCK if kind == "unfiled" else address
                    assert unbound.ask(name, VALGRIND_SECONDS) == [wanted], (turn, name)
        return read_count(out)

    def answer(self, kind, leap=0):
        runs = [self.answers(kind, number, leap) for number in ANSWERS]
        return (runs[1] - runs[0]) / (ANSWERS[1] - ANSWERS[0])


def measure(build):
    """{what: instructions}"""
    with tempfile.TemporaryDirectory(prefix="icpgate-instructions-") as directory:
        place = Place(Path(directory), build)
        found = {f"judgement, {kind}": place.judgement(kind) for kind in ("filed", "unfiled", "foreign")}
        found["judgement, remembered"] = place.judgement("unfiled", FEW)
        found["cached answer, blocked"] = place.answer("unfiled")
        found["cached answer, lease renewed"] = place.answer("filed", LEASE + 1)
    return {what: round(figure) for what, figure in found.items()}


def recorded():
    return json.loads(FIGURES.read_text(encoding="utf-8"))


def compare(found, figures):
    """Lines that say what is outside its margin."""
    lines = []
    for what, now in found.items():
        before, margin = figures["instructions"].get(what), figures["margin"]
        if before is None:
            lines.append(f"{what}: {now:,} instructions, none are recorded")
        elif abs(now - before) > before * margin:
            lines.append(f"{what}: {now:,} instructions, recorded are {before:,}, +-{margin:.0%}")
    return lines


def main():
    build = Path(os.environ["ICP_BUILD"]).resolve()
    found = measure(build)
    for what, figure in found.items():
        print(f"{what:<28} {figure:>9,} instructions")
    if "--update" in sys.argv:
        figures = {"toolchain": toolchain(), "margin": MARGIN, "instructions": found}
        FIGURES.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
        return
    lines = compare(found, recorded())
    if lines:
        sys.exit("\n".join([*lines, "If that is meant: instructions.py --update"]))


if __name__ == "__main__":
    main()

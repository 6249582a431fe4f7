# SPDX-License-Identifier: BSD-3-Clause
"""Two threads under load, while names are filed and unfiled and the network is bad: every answer
must be one that was right within the lease.

ICP_STRESS_SECONDS  how long each test asks; default: 30
ICP_STRESS_SEED     of all that is random; default: 1
ICP_PRELOAD         libtsan.so, for a module built with ThreadSanitizer: the test fails if that
                    reports a race in it
"""

import os
import re
from contextlib import ExitStack

import pytest

from harness import Nsd, Unbound, start
from signing import trust_anchor
from stress_check import Checker
from stress_client import PROBE, Client, Flipper
from stress_names import RANGES, Names
from stress_relay import BadRelay
from world import Site

SECONDS = float(os.environ.get("ICP_STRESS_SECONDS", "30"))
SEED = int(os.environ.get("ICP_STRESS_SEED", "1"))
ROUND = 30
# What a machine may add that is never late, and how often it may be late on the way of a verdict.
SLACK = 0.5
LATE = 3
SERVFAIL_SHARE = 0.02
LOST_SHARE = 0.002
LINES = ["num-threads: 2", "minimal-responses: no", f'local-data: "{PROBE}. A 127.0.0.1"']
STALE_LINES = [
    "access-control: 127.0.0.1/32 allow_snoop",
    "prefetch: yes",
    "serve-expired: yes",
]


@pytest.fixture
def reports(tmp_path, monkeypatch, module):
    """Reads what ThreadSanitizer found, if the module was built with it and its library is
    preloaded. The daemon itself is not built with it: its locks are seen, and its allocations, but
    not what it reads and writes. A report counts if the module stands anywhere in it."""
    if "tsan" in os.environ.get("ICP_PRELOAD", ""):
        assert b"__tsan_write" in module.read_bytes(), f"{module} was built without TSan"
        # Its exit status would be bad for what is none of the module's fault, too.
        options = f"halt_on_error=0 exitcode=0 log_path={tmp_path}/tsan"
        monkeypatch.setenv("TSAN_OPTIONS", f"{os.environ.get('TSAN_OPTIONS', '')} {options}")

    def read():
        text = "".join(each.read_text(errors="replace") for each in tmp_path.glob("tsan.*"))
        return [each for each in re.split(r"^={18}$", text, flags=re.MULTILINE) if each.strip()]

    return read


class Stress:
    """A world under stress."""

    def __init__(self, stack, directory, commands, module, signed, server_lines):
        self.names = Names(SEED)
        zones = {"cn": self.names.zone("cn", signed), "com": self.names.zone("com", False)}
        nsd = start(stack, Nsd(directory, zones))
        self.relay = start(stack, BadRelay(nsd, SEED, self.names.moving()))
        self.site = Site(commands, directory, self.names.rows())
        commands.compile_ranges(directory, RANGES)
        self.flipper = Flipper(self.site, self.names, SEED)
        stubs = [(top, f"stub-addr: 127.0.0.1@{self.relay.port}") for top in zones]
        lines = [*LINES, *server_lines]
        if signed:
            lines.append(trust_anchor("cn."))
        self.unbound = start(stack, Unbound(directory, stubs, module, self.site.conf, lines))
        snoops = any("allow_snoop" in line for line in lines)
        self.client = Client(self.unbound.port, self.names, SEED, snoops)
        stack.callback(self.client.close)
        self.checker = Checker()

    def run(self, seconds):
        with self.flipper:
            while seconds > 0:
                answers = self.client.run(min(seconds, ROUND))
                slack = SLACK + LATE * self.client.worst_wait
                self.checker.check(answers, list(self.flipper.generations), slack)
                seconds -= ROUND
        if self.flipper.trouble:
            raise self.flipper.trouble

    def thread_queries(self):
        """How many queries each thread got."""
        text = self.unbound.control("stats_noreset")
        return [int(n) for n in re.findall(r"^thread\d+\.num\.queries=(\d+)$", text, re.MULTILINE)]


VARIANTS = {"validated": (True, []), "stale": (False, STALE_LINES)}


@pytest.mark.parametrize("variant", VARIANTS)
def test_stress(variant, tmp_path, commands, module, reports):
    signed, lines = VARIANTS[variant]
    with ExitStack() as stack:
        stress = Stress(stack, tmp_path, commands, module, signed, lines)
        stress.run(SECONDS)
        queries = stress.thread_queries()
        assert stress.unbound.is_running(), stress.unbound.log[-3000:]
        errors = re.findall(".*error:.*", stress.unbound.log)
    counts = stress.checker.counts
    found = reports()
    ours = [each for each in found if "icpgate.so" in each]
    print(
        f"seed {SEED}; {len(stress.flipper.generations)} generations; "
        f"{stress.relay.passed} answers from upstream and {stress.relay.lost} lost; "
        f"queries to each thread: {queries}; {stress.client.lost} not answered; "
        f"held up for up to {stress.client.worst_wait:.3f} s\n{stress.checker.summary()}\n"
        f"  {len(found)} reports of ThreadSanitizer, {len(ours)} of them about the module"
    )
    assert not ours, "\n".join(ours)[:20000]
    assert not stress.checker.violations
    assert not errors
    assert counts["servfail"] <= SERVFAIL_SHARE * counts["answers"]
    assert stress.client.lost <= LOST_SHARE * counts["answers"]
    # It was a stress, and the check could tell.
    assert min(queries) > 100 * SECONDS and stress.relay.lost > 10 * SECONDS
    assert counts["flips seen"] > 3 * SECONDS and counts["that could tell"] > 100 * SECONDS

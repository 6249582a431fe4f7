# SPDX-License-Identifier: BSD-3-Clause
"""Unbound's own tests: a replay (NAME.rpl) holds a configuration, what the upstream servers answer,
and the answers that testbound, the daemon with a network of play, must give; all on a clock of its
own."""

import os
import re
import subprocess

DEFAULT_CHAIN = "validator iterator"
# Many times what the longest of them takes, also with sanitizers on a busy machine.
TIME_LIMIT = 120

MODULE_CONFIG = re.compile(r'^\s*module-config:\s*"?([^"\n]*)"?', re.MULTILINE)
CONFIG_END = re.compile(r"^\s*CONFIG_END", re.MULTILINE)
FIRST_STEP = re.compile(r"^\s*STEP\s", re.MULTILINE)


class Replay:
    """One file."""

    def __init__(self, path):
        self.name = path.stem
        self.path = path
        # testbound takes octets; a title may hold any.
        text = path.read_text(encoding="latin-1")
        end = CONFIG_END.search(text)
        self._config, self._rest = text[: end.start()], text[end.start() :]

    @property
    def chain(self):
        """The modules, as one text with single spaces."""
        found = MODULE_CONFIG.findall(self._config)
        return " ".join(found[-1].split()) if found else DEFAULT_CHAIN

    def later(self, path):
        """Writes the replay so that it begins some seconds after time 0, and returns it."""
        step = FIRST_STEP.search(self._rest).start()
        wait = "\nSTEP 0 TIME_PASSES ELAPSE 10\n"
        path.write_text(
            self._config + self._rest[:step] + wait + self._rest[step:], encoding="latin-1"
        )
        return Replay(path)

    def with_module(self, path, module, no_addresses_at=()):
        """Writes the replay with our module first in the chain, and returns it.

        The servers no_addresses_at say "no data" to queries for A and AAAA that the replay has no
        answer for.
        """
        # Of an option that is given twice the last counts.
        ours = (
            f'server:\n\tmodule-config: "dynlib {self.chain}"\n'
            f'dynlib:\n\tdynlib-file: "{module}"\n'
        )
        rest = self._rest
        if no_addresses_at:
            # The first answer that matches counts: ours come last.
            step = FIRST_STEP.search(rest).start()
            rest = rest[:step] + no_data(no_addresses_at) + rest[step:]
        path.write_text(self._config + ours + rest, encoding="latin-1")
        return Replay(path)


def no_data(servers):
    """What servers answer, in the language of replays."""
    lines = []
    for server in servers:
        lines += ["", "RANGE_BEGIN 0 1000000", f"ADDRESS {server}"]
        for qtype in ("A", "AAAA"):
            lines += ["ENTRY_BEGIN", "MATCH opcode qtype", "ADJUST copy_id copy_query"]
            lines += ["REPLY QR AA NOERROR", "SECTION QUESTION", f". IN {qtype}", "ENTRY_END"]
        lines.append("RANGE_END")
    return "\n".join([*lines, ""])


class Testbound:
    """The program, and the directory with its replays."""

    # Nothing for pytest to collect, for all its name.
    __test__ = False

    def __init__(self, program, testdata):
        self.program = program
        self.testdata = testdata

    def run(self, replay, icpgate_conf=None):
        """Runs one; returns None if it passes, else what it printed last."""
        environment = {"LC_ALL": "C"}
        if icpgate_conf:
            environment["ICPGATE_CONF"] = str(icpgate_conf)
            environment["LD_PRELOAD"] = os.environ.get("ICP_PRELOAD", "")
            # testbound does not free all that it allocates.
            environment["ASAN_OPTIONS"] = "detect_leaks=0"
        try:
            done = subprocess.run(
                [self.program, "-p", replay.path],
                # Some replays read files of the source tree.
                cwd=self.testdata.parent,
                env={**os.environ, **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                encoding="latin-1",
                timeout=TIME_LIMIT,
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            return f"not done after {TIME_LIMIT} s:\n{(late.stdout or b'')[-4000:]}"
        return None if done.returncode == 0 else f"exit {done.returncode}:\n{done.stdout[-4000:]}"

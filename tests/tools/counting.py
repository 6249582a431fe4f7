# SPDX-License-Identifier: BSD-3-Clause
"""What counts in a store without being a resolver."""

import subprocess

from operator_tool import BUILD

STARTED = 1795449600


class Resolver:
    """A process that counts as a resolver does."""

    def __init__(self, store, seats=2, mode="enforce", expect="counting"):
        self.process = subprocess.Popen(
            [BUILD / "tests" / "tools" / "stat_writer", store, str(seats), mode, str(STARTED)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")
        assert self.process.stdout.readline().strip() == expect

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        assert self.process.wait(timeout=60) == 0
        self.process.stdout.close()

    def order(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

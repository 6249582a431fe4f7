# SPDX-License-Identifier: BSD-3-Clause
"""The clock of programs that are started with clock_shim.c."""

import os
import subprocess
from pathlib import Path


class Clock:
    """The clock of the programs that are started while it is installed."""

    def __init__(self, directory):
        self.path = directory / "clock"
        self.write(0)
        self.shim = directory / "clock_shim.so"
        source = Path(__file__).with_name("clock_shim.c")
        compiler = os.environ.get("CC", "gcc").split()
        command = [*compiler, "-shared", "-fPIC", "-O1", "-o", self.shim, source]
        subprocess.run(command, check=True)

    def write(self, seconds):
        self.path.touch()
        with open(self.path, "r+b") as file:
            file.write(seconds.to_bytes(8, "little"))

    @property
    def preload(self):
        """A sanitizer's library must be the first."""
        return f"{os.environ.get('ICP_PRELOAD', '')} {self.shim}".strip()


class ResolverClock(Clock):
    """That of resolvers."""

    def move(self, unbound, seconds):
        """Sets it to so many seconds ahead of the machine's."""
        self.write(seconds)
        # The resolver reads its clock before it handles an event, but then perhaps many queries.
        # This is an event of another kind: no query after it belongs to one before it.
        unbound.control("status")

    def install(self, monkeypatch):
        monkeypatch.setenv("ICP_PRELOAD", self.preload)
        monkeypatch.setenv("ICP_CLOCK", str(self.path))

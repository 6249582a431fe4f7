# SPDX-License-Identifier: BSD-3-Clause
"""Builds fail_shim.c and power_cut.c and says how to run a program with it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest


class Shim:
    def __init__(self, directory):
        self.library = directory / "fail_shim.so"
        self.log = directory / "calls"
        compiler = shutil.which("cc") or pytest.fail("there is no C compiler cc")
        sources = [Path(__file__).with_name(f"{name}.c") for name in ("fail_shim", "power_cut")]
        options = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC"]
        subprocess.run([compiler, *options, "-o", self.library, *sources], check=True)

    def environment(self, **settings):
        """settings: see fail_shim.c, names without the prefix"""
        # A sanitizer's library wants to be the first.
        first = os.environ.get("ICP_PRELOAD") or ""
        preload = f"{first} {self.library}".strip()
        named = {f"ICP_SHIM_{key.upper()}": str(value) for key, value in settings.items()}
        return {"LD_PRELOAD": preload, **named}

    def counting(self):
        """Environment that makes the calls be written down."""
        self.log.unlink(missing_ok=True)
        return self.environment(log=self.log)

    def calls(self):
        """What was written down: names of calls and what they were about."""
        text = self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""
        return [line.split(" ", 2)[1:] for line in text.splitlines()]

    def failing(self, number, how, on=False):
        return self.environment(at=number, do=how, on=int(on))

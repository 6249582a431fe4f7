# SPDX-License-Identifier: BSD-3-Clause
"""The hot path has not become dearer: instructions of one judgement and of one cached answer against
those that are recorded. No time is measured."""

import os
import shutil

import pytest

import instructions


@pytest.fixture(scope="module")
def figures():
    figures = instructions.recorded()
    if os.environ.get("ICP_PRELOAD"):
        pytest.skip("a build with a sanitizer: not what is recorded")
    if figures["toolchain"] != instructions.toolchain():
        pytest.skip(f"recorded with {figures['toolchain']}")
    if shutil.which("valgrind") is None:
        pytest.fail("valgrind is needed to count instructions (Debian: valgrind)")
    return figures


def test_no_more_instructions_than_recorded(build, figures):
    found = instructions.measure(build)
    assert set(found) == set(figures["instructions"])
    lines = instructions.compare(found, figures)
    assert not lines, "\n".join([*lines, "If that is meant: tests/bench/instructions.py --update"])

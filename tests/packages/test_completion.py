# SPDX-License-Identifier: BSD-3-Clause
"""Completion in bash and zsh offers all that the programs say they have, and nothing else."""

import re
import shutil
import subprocess

import pytest

from completion import Zsh, bash, read_help

PROGRAMS = {
    "icpgate": "db-tools/icpgate",
    "icpgate-load": "loader/icpgate-load",
    "icpgated": "loader/icpgated",
    "icpgate-blockpage": "blockpage/icpgate-blockpage",
}
COMMON = {"-c", "--store", "--help", "--version"}


@pytest.fixture(scope="module")
def zsh(tmp_path_factory):
    assert shutil.which("zsh"), "zsh is needed (Debian: zsh)"
    made = Zsh(tmp_path_factory.mktemp("zsh"))
    yield made.complete
    made.close()


@pytest.fixture(params=["bash", "zsh"])
def complete(request, tmp_path):
    """Completes the last of some words."""
    if request.param == "zsh":
        return request.getfixturevalue("zsh")
    return lambda words: bash(words, tmp_path)


@pytest.fixture(params=PROGRAMS)
def program(request, build):
    """Name, commands and options of a program, by its --help."""
    path = build / PROGRAMS[request.param]
    shown = subprocess.run([path, "--help"], stdout=subprocess.PIPE, text=True, check=True)
    return request.param, *read_help(shown.stdout)


def test_every_command_is_completed(program, complete):
    name, commands, _ = program
    found = complete([name, ""])
    # A program without commands has options alone, which bash offers at once.
    assert found == commands or (not commands and found <= COMMON)


def test_every_option_is_completed(program, complete):
    name, commands, options = program
    found = complete([name, "-"])
    assert found >= COMMON
    for command in commands:
        found |= complete([name, command, "-"])
    assert found == options


def test_options_belong_to_commands(complete):
    assert "--days" in complete(["icpgate", "upcoming", "-"])
    assert "--days" not in complete(["icpgate", "dump", "-"])
    assert "--at" in complete(["icpgate", "--json", "--store", "DIR", "lookup", "-"])
    assert "--force" in complete(["icpgate-load", "full", "-"])
    assert "--force" not in complete(["icpgate-load", "-c", "full", "delta", "-"])


def test_orders_of_ctl(build, complete):
    shown = subprocess.run([build / PROGRAMS["icpgate"], "--help"], stdout=subprocess.PIPE,
                           text=True, check=True).stdout
    orders = {order for words in re.findall(r"^  ctl (?:\[.*?\] )*([a-z|]+)", shown, re.M)
              for order in words.split("|")}
    assert "status" in orders
    assert complete(["icpgate", "ctl", ""]) == orders
    assert complete(["icpgate", "ctl", "re"]) == {"resume"}
    assert not complete(["icpgate", "ctl", "load", ""]) & orders
    assert "--socket" in complete(["icpgate", "ctl", "-"])


def test_states_of_diff(complete):
    assert complete(["icpgate", "diff", "cur"]) == {"current"}
    assert complete(["icpgate", "diff", "current", "cur"]) == {"current"}

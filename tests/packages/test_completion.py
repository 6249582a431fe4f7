# SPDX-License-Identifier: BSD-3-Clause
"""Completion in bash and zsh offers all that the programs say they have, and nothing else."""

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
ORDERS = {"status", "load", "rollback", "pause", "resume"}


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
    if not commands:
        pytest.skip(f"{name} has no commands")
    assert complete([name, ""]) & commands == commands
    assert complete([name, ""]) <= commands | COMMON | {"--json"}


def test_every_option_is_completed(program, complete):
    name, commands, options = program
    found = complete([name, "-"]) if name != "icpgate" else set()
    for command in commands or [""]:
        found |= complete([name, *filter(None, [command]), "-"])
    # An option that only ever stands alone is not offered behind a command by zsh.
    assert found | {"--help", "--version"} == options


def test_options_belong_to_commands(complete):
    assert "--days" in complete(["icpgate", "upcoming", "-"])
    assert "--days" not in complete(["icpgate", "dump", "-"])
    assert "--at" in complete(["icpgate", "--json", "--store", "DIR", "lookup", "-"])
    assert "--force" in complete(["icpgate-load", "full", "-"])
    assert "--force" not in complete(["icpgate-load", "-c", "full", "delta", "-"])


def test_orders_of_ctl(complete):
    assert complete(["icpgate", "ctl", ""]) & ORDERS == ORDERS
    assert complete(["icpgate", "ctl", "re"]) == {"resume"}
    assert not complete(["icpgate", "ctl", "load", ""]) & ORDERS
    assert "--socket" in complete(["icpgate", "ctl", "-"])


def test_states_of_diff(complete):
    assert complete(["icpgate", "diff", "cur"]) == {"current"}
    assert complete(["icpgate", "diff", "current", "cur"]) == {"current"}

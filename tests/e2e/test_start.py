# SPDX-License-Identifier: BSD-3-Clause
"""A resolver that can't judge does not start, and says why in one line."""

import re
import subprocess

import pytest
import yaml

from harness import Unbound, find_program
from world import OURS, Site, assert_blocked, row

# A log line of the module; a path that contains the word is none.
OF_THE_MODULE = re.compile(r"(?:error|warning|info|notice): icpgate: (.*)")


@pytest.fixture
def site(commands, tmp_path):
    site = Site(commands, tmp_path, [row("filed.cn")])
    site.load()
    return site


def refusal(site, module, server_lines=(), program=None):
    """Starts a resolver that must refuse; the module's one line."""
    stubs = [("cn", "stub-addr: 127.0.0.1@1")]
    unbound = Unbound(site.directory, stubs, module, site.conf, server_lines, program=program)
    assert unbound.wait_for_end() != 0
    lines = OF_THE_MODULE.findall(unbound.log)
    assert len(lines) == 1, unbound.log
    return lines[0]


def change(site, edit):
    settings = yaml.safe_load(site.conf.read_text(encoding="utf-8"))
    edit(settings)
    site.conf.write_text(yaml.safe_dump(settings, sort_keys=False), encoding="utf-8")


def test_configuration_missing(site, module):
    site.conf.unlink()
    assert str(site.conf) in refusal(site, module)


def test_configuration_broken(site, module):
    site.conf.write_text("store: [unfinished\n", encoding="utf-8")
    assert re.search(re.escape(str(site.conf)) + r":\d+: ", refusal(site, module))


def test_unknown_key(site, module):
    with open(site.conf, "a", encoding="utf-8") as file:
        file.write("no_such_key: 1\n")
    line = len(site.conf.read_text(encoding="utf-8").splitlines())
    said = refusal(site, module)
    assert f"{site.conf}:{line}: " in said and "no_such_key" in said


def test_value_out_of_range(site, module):
    change(site, lambda settings: settings.update(mode="sometimes"))
    said = refusal(site, module)
    assert "sometimes" in said and "monitor" in said and f"{site.conf}:" in said


def test_range_database_missing(site, module):
    site.ranges.unlink()
    assert str(site.ranges) in refusal(site, module)


def test_range_database_broken(site, module):
    site.ranges.write_bytes(b"\0" * 4096)
    assert str(site.ranges) in refusal(site, module)


def test_range_database_without_the_path(site, module):
    change(site, lambda s: s["ranges"]["mainland"].update(path=["country", "no_such_key"]))
    assert "no_such_key" in refusal(site, module)


def changed_daemon(directory, change_content):
    """A copy of the daemon with its content changed; skips if that can't be done."""
    program = find_program("ICP_UNBOUND", "unbound")
    content = program.read_bytes()
    changed = change_content(content)
    if not content.startswith(b"\x7fELF") or changed == content:
        pytest.skip(f"{program} is no plain program that says how it was built")
    copy = directory / "unbound-changed"
    copy.write_bytes(changed)
    copy.chmod(0o755)
    return copy


def test_daemon_of_another_version(site, module):
    """The module reads the structures of the daemon that it was compiled for, and of no other."""
    own = find_program("ICP_UNBOUND", "unbound")
    version = subprocess.run([own, "-V"], capture_output=True, encoding="ascii", check=True)
    number = re.search(r"Version (\S+)", version.stdout)[1]
    other = number[:-1] + str((int(number[-1]) + 1) % 10)

    def change_version(content):
        return content.replace(number.encode(), other.encode())

    said = refusal(site, module, program=changed_daemon(site.directory, change_version))
    assert f"built for Unbound {number}" in said


def test_daemon_configured_otherwise(site, module):
    def change_configure_line(content):
        return content.replace(b"--with-dynlibmodule", b"--with-dynlibmodulE")

    said = refusal(site, module, program=changed_daemon(site.directory, change_configure_line))
    assert "configured" in said


@pytest.mark.parametrize(
    "line",
    [
        'module-config: "validator dynlib iterator"',
        'module-config: "dynlib dns64 validator iterator"',
        'module-config: "dynlib respip validator iterator"',
        "harden-referral-path: yes",
        "serve-expired-ttl-reset: yes",
    ],
)
def test_daemon_with_a_way_around_the_gate(site, module, line):
    said = refusal(site, module, server_lines=[line])
    assert line.split(":")[0] in said


def test_module_without_validator_is_allowed(start_world):
    lines = ['module-config: "dynlib iterator"']
    with start_world(cn=["unfiled A " + OURS], server_lines=lines) as world:
        assert_blocked(world.ask("unfiled.cn"), "unfiled.cn")

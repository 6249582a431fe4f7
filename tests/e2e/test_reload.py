# SPDX-License-Identifier: BSD-3-Clause
"""unbound-control reload takes the module down and up again, in one process."""

import os

import dns.exception
import pytest

from harness import wait_until
from world import BLOCK4, OURS, row

CN = [f"{name} A {OURS}" for name in ("filed", "unfiled", "later")]
# What the allocator has is at its size after about a hundred.
WARM_UP = 120
RELOADS = 100
# What the allocator may keep or give back between two looks. One range database more at each reload
# would be far above it, and so would be one more descriptor.
RSS_SLACK_KIB = 1024
# Of address space: what the module maps of its own is a few MiB at each reload.
SIZE_SLACK_KIB = 64 * 1024


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=CN, rows=[row("filed.cn")]) as world:
        yield world


def kib(path, *fields):
    """Some fields, of one moment."""
    with open(path, encoding="utf-8") as file:
        found = dict(line.split(":", 1) for line in file)
    return [int(found[field].split()[0]) for field in fields]


def usage(pid):
    """Resident memory, address space, descriptors, and mapped files of a process. Without huge
    pages, which the kernel gives when it has some: any of the memory of verdicts may be one, or a
    few small ones."""
    resident, huge = kib(f"/proc/{pid}/smaps_rollup", "Rss", "AnonHugePages")
    with open(f"/proc/{pid}/maps", encoding="ascii") as file:
        mapped = sum(".mdb" in line or ".mmdb" in line for line in file)
    (size,) = kib(f"/proc/{pid}/status", "VmSize")
    return resident - huge, size, len(os.listdir(f"/proc/{pid}/fd")), mapped


def ask_again(world, name):
    """A query may fall into the moment in which the resolver is being set up again."""

    def answer():
        try:
            return world.addresses(name, timeout=1)
        except dns.exception.Timeout:
            return None

    return wait_until(answer, 60, f"an answer for {name}")


def reload_and_check(world, times):
    restarts = world.unbound.log.count("start of service")
    for count in range(1, times + 1):
        world.unbound.control("reload")
        wait_until(
            lambda: world.unbound.log.count("start of service") == restarts + count,
            60,
            "the resolver is up again",
        )
        assert ask_again(world, "filed.cn") == [OURS]
        assert ask_again(world, "unfiled.cn") == [BLOCK4]


def check_usage(world):
    pid = world.unbound.process.pid
    reload_and_check(world, WARM_UP)
    rss, size, descriptors, mapped = usage(pid)
    reload_and_check(world, RELOADS)
    # A socket of the last query may take a moment to be closed.
    wait_until(lambda: usage(pid)[2] <= descriptors, 60, f"not more than {descriptors} descriptors")
    rss_after, size_after, _, mapped_after = usage(pid)
    print(f"RSS {rss} KiB, after {RELOADS} reloads {rss_after} KiB; size {size}, {size_after} KiB")
    assert mapped_after == mapped
    assert rss_after <= rss + RSS_SLACK_KIB
    assert size_after <= size + SIZE_SLACK_KIB


def test_a_hundred_reloads_leak_nothing(start_world):
    """A sanitizer keeps freed memory, but speaks of leaks when the daemon ends, which the harness
    takes for a failure."""
    with start_world(cn=CN, rows=[row("filed.cn")]) as world:
        if os.environ.get("ICP_PRELOAD"):
            reload_and_check(world, RELOADS)
        else:
            check_usage(world)
        # The module that came up last still follows the store.
        world.site.add(row("later.cn"))
        wait_until(lambda: ask_again(world, "later.cn") == [OURS], 20, "later.cn is served")


def test_reload_reads_the_configuration_again(world):
    conf = world.site.conf
    text = conf.read_text(encoding="utf-8")
    assert f"ipv4: {BLOCK4}" in text
    conf.write_text(text.replace(f"ipv4: {BLOCK4}", "ipv4: 203.0.113.81"), encoding="utf-8")
    try:
        world.unbound.control("reload")
        wait_until(
            lambda: ask_again(world, "unfiled.cn") == ["203.0.113.81"], 60, "the new block page"
        )
    finally:
        conf.write_text(text, encoding="utf-8")
        world.unbound.control("reload")

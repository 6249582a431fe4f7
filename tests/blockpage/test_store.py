# SPDX-License-Identifier: BSD-3-Clause
"""The store under the page: changed, replaced, damaged, truncated, missing, and not writable."""

import contextlib
import os
import shutil

import pytest

from harness import start, wait_until
from pages import FEED, HEADER, NUMBER, PROGRAM, OpenDirectory, Page, World, run

UNREADABLE = ("无法查询", "can’t be looked up")


def code(page, host):
    answer = page.ask(host)
    assert answer.status == 451
    return answer.text.split("<code>")[1].split("</code>")[0]


def soon(page, host, wanted):
    wait_until(lambda: code(page, host) == wanted, 60, f"{host}: {wanted}")


def test_a_delta_is_seen_at_once(make_page):
    page = make_page()
    assert code(page, "pending.cn") == "pending"
    page.world.delta(f"upsert,pending.cn,qcloud,filed,{NUMBER},,,,")
    assert code(page, "pending.cn") == "filed"
    page.world.delta("delete,pending.cn,qcloud,,,,,,")
    assert code(page, "pending.cn") == "unfiled"


def test_another_generation_is_followed(make_page):
    page = make_page()
    page.world.load(HEADER + f"new.cn,qcloud,filed,{NUMBER},,,,\n")
    assert code(page, "new.cn") == "filed"
    assert code(page, "pending.cn") == "unfiled"
    assert run(PROGRAM.parents[1] / "loader" / "icpgate-load", "--store", page.world.store,
               "rollback").returncode == 0
    soon(page, "pending.cn", "pending")


def test_a_store_that_is_missing_and_comes(tmp_path):
    with contextlib.ExitStack() as stack:
        world = World(tmp_path, feed=None, api="local")
        page = Page(world)
        start(stack, page)
        for index, language in enumerate(("zh", "en")):
            answer = page.ask("filed.cn", f"/?lang={language}")
            assert answer.status == 451
            assert UNREADABLE[index] in answer.text
            assert "<code>no-index</code>" in answer.text
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")
        verdict = page.ask(path="/api/v1/verdict?name=filed.cn").json()
        assert (verdict["reason"], verdict["generation"], verdict["rows"]) == ("no-index", None, [])
        world.load(FEED)
        soon(page, "filed.cn", "filed")


def test_a_store_that_goes(make_page):
    page = make_page()
    shutil.rmtree(page.world.store)
    # What is open stays readable.
    assert code(page, "pending.cn") == "pending"
    page.world.load(FEED.replace("pending.cn", "other.cn"))
    soon(page, "other.cn", "pending")


@pytest.mark.parametrize("left", [0, 1, 4096, 3 * 4096])
def test_a_generation_that_is_truncated(make_page, left):
    page = make_page()
    assert code(page, "pending.cn") == "pending"
    os.truncate(page.world.generation(), left)
    for _ in range(3):
        assert code(page, "pending.cn") in ("no-index", "pending")
    assert page.is_running()
    page.world.load(FEED)
    soon(page, "pending.cn", "pending")


def test_a_generation_that_is_damaged(make_page):
    page = make_page()
    assert code(page, "pending.cn") == "pending"
    with open(page.world.generation(), "r+b") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        file.write(b"\xa5" * size)
    soon(page, "pending.cn", "no-index")
    assert "on_no_index applies" in page.log
    page.world.load(FEED)
    soon(page, "pending.cn", "pending")


def files_of(directory):
    return {path: path.stat().st_mtime_ns for path in directory.rglob("*")}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a program as another user")
def test_an_unprivileged_user_needs_no_write_access():
    user = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--inh-caps=-all",
            "--bounding-set=-all", "--no-new-privs"]
    with OpenDirectory() as directory, contextlib.ExitStack() as stack:
        program = directory / PROGRAM.name
        shutil.copy(PROGRAM, program)
        world = World(directory)
        for path in directory.rglob("*"):
            path.chmod(0o555 if path.is_dir() or path == program else 0o444)
        before = files_of(world.store)
        page = Page(world, prefix=user, program=program)
        start(stack, page)
        assert code(page, "pending.cn") == "pending"
        assert files_of(world.store) == before
        # The loader, which is another user, goes on meanwhile.
        world.delta(f"upsert,pending.cn,qcloud,filed,{NUMBER},,,,")
        assert code(page, "pending.cn") == "filed"
        status = (page.process.pid, open(f"/proc/{page.process.pid}/status", encoding="ascii").read())
        assert "CapEff:\t0000000000000000" in status[1]

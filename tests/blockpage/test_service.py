# SPDX-License-Identifier: BSD-3-Clause
"""The program: options, errors at start, templates of the operator, reload, the service manager."""

import contextlib
import signal
import socket

import pytest

from harness import free_port, start, wait_until
from pages import BUILD, PROGRAM, Page, World, run

USAGE, FAILED = 2, 4


def templates(directory, **changed):
    made = directory / "templates"
    made.mkdir(exist_ok=True)
    for name in ("zh.html", "en.html", "style.css"):
        (made / name).write_text(changed.get(name.replace(".", "_"), f"<h1>{{{{reason}}}}</h1>{name}"
                                             if name != "style.css" else "p {}"), encoding="utf-8")
    return str(made)


def test_options():
    assert run(PROGRAM, "--version").stdout.startswith("icpgate-blockpage ")
    assert run(PROGRAM, "--help").stdout.startswith("Usage: icpgate-blockpage ")
    for arguments in (["--what"], ["x"], ["-c"]):
        done = run(PROGRAM, *arguments)
        assert done.returncode == USAGE and "Usage: " in done.stderr


def refused(world, status=USAGE):
    done = run(PROGRAM, "-c", world.conf)
    assert done.returncode == status, done.stderr
    return done.stderr


def test_a_configuration_that_is_wrong(tmp_path):
    world = World(tmp_path, feed=None, api="maybe")
    assert "blockpage.api: \"maybe\"; allowed: none, local, any" in refused(world)
    done = run(PROGRAM, "-c", tmp_path / "none.conf")
    assert done.returncode == USAGE and "none.conf: No such file" in done.stderr


def test_an_address_that_is_taken(make_page):
    other = make_page()
    port = other.world.port
    assert f"127.0.0.1:{port}: Address already in use" in refused(other.world, FAILED)


def test_the_store_of_the_command_line(tmp_path):
    (tmp_path / "a").mkdir()
    filled = World(tmp_path / "a")
    empty = World(tmp_path, feed=None)
    with contextlib.ExitStack() as stack:
        page = Page(empty, "--store", filled.store)
        start(stack, page)
        assert "<code>filed</code>" in page.ask("filed.cn").text


@pytest.mark.parametrize("changed, says", [
    ({"zh_html": "\n\n{{what}}"}, "zh.html:3: unknown value: \"what\"; allowed: host, unicode, "
     "domain, reason, provider, file_url, transfer_url, contact_url, ttl, style"),
    ({"en_html": "{{#unfield}}{{/}}"}, "en.html:1: unknown name in a section: \"unfield\"; "),
    ({"en_html": "<a href='{{host}}'>"}, "en.html:1: an attribute for a URL can't hold this"),
    ({"en_html": "<script>1</script>"}, "en.html:1: not allowed: "),
    ({"style_css": "p {} </STYLE>"}, "style.css:1: a NUL or \"</style\" in a style"),
    ({"zh_html": "{{#host}}"}, "zh.html:1: a section without an end"),
])
def test_templates_that_are_wrong(tmp_path, changed, says):
    world = World(tmp_path, feed=None, templates=templates(tmp_path, **changed))
    assert f"{world.options['templates']}/{says}" in refused(world)


def test_templates_that_are_missing(tmp_path):
    world = World(tmp_path, feed=None, templates=str(tmp_path))
    assert f"{tmp_path}/style.css: No such file or directory" in refused(world)


def test_the_operators_templates(tmp_path):
    zh = ("<p title=\"{{host}}\">{{#permitted}}yes{{/}}{{^permitted}}no: {{reason}}{{/}} "
          "{{#domain}}{{domain}}{{/}}{{^domain}}none{{/}} {{provider}} {{ttl}}</p>")
    with contextlib.ExitStack() as stack:
        page = Page(World(tmp_path, provider_name={"zh": "<云 & 'x'>"},
                          templates=templates(tmp_path, zh_html=zh)))
        start(stack, page)
        name = "&lt;云 &amp; &#39;x&#39;&gt;"
        assert page.ask("www.filed.cn").text == (
            f"<p title=\"www.filed.cn\">yes filed.cn {name} 45</p>")
        assert page.ask("nobody.cn").text == f"<p title=\"nobody.cn\">no: unfiled none {name} 45</p>"
        english = page.ask("nobody.cn", "/?lang=en")
        assert english.text == "<h1>unfiled</h1>en.html"
        assert "style-src 'none'" in english.headers["content-security-policy"]


def test_a_copy_of_the_built_in_templates_gives_the_same_page(tmp_path, page):
    source = BUILD
    while not (source / "blockpage" / "templates").is_dir():
        source = source.parent
    with contextlib.ExitStack() as stack:
        world = World(tmp_path, templates=str(source / "blockpage" / "templates"))
        other = Page(world)
        start(stack, other)
        for host in ("pending.cn", "例子.中国", "1.2.3.4"):
            assert other.ask(host).text == page.ask(host).text


def test_reload_takes_configuration_and_templates(tmp_path):
    with contextlib.ExitStack() as stack:
        world = World(tmp_path, api="none")
        page = Page(world)
        start(stack, page)
        client = stack.enter_context(page.connect())
        request = b"GET / HTTP/1.1\r\nHost: filed.cn\r\n\r\n"
        client.sendall(request)
        assert client.recv(12) == b"HTTP/1.1 451"
        world.configure(templates=templates(tmp_path), api="local")
        page.reload()
        assert page.ask("filed.cn").text == "<h1>filed</h1>zh.html"
        assert page.ask(path="/api/v1/verdict?name=filed.cn").status == 200
        # A template that is wrong now: what was read before stays.
        templates(tmp_path, zh_html="{{what}}")
        said = page.reload()
        assert "zh.html:1: unknown value" in said and "stays in use" in said
        assert page.ask("filed.cn").text == "<h1>filed</h1>zh.html"
        # Connections outlive it.
        client.sendall(request)
        wait_until(lambda: b"<h1>filed</h1>" in client.recv(65536), 20, "the connection lives")


def test_many_reloads(make_page):
    page = make_page()
    for _ in range(20):
        page.process.send_signal(signal.SIGHUP)
        assert page.ask("pending.cn").status == 451
    page.reload()
    assert "error" not in page.log


def confinement(page):
    with open(f"/proc/{page.process.pid}/status", encoding="ascii") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file)
    return status["NoNewPrivs"], status["Seccomp"]


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_the_service_manager_is_told(tmp_path, end):
    path = str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, contextlib.ExitStack() as stack:
        manager.bind(path)
        manager.settimeout(20)
        page = Page(World(tmp_path), environment={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "100000"})
        start(stack, page)
        messages = [manager.recv(512)]
        assert messages == [b"READY=1"]
        assert confinement(page) == ("1", "2")
        while b"WATCHDOG=1" not in messages:
            messages.append(manager.recv(512))
        page.reload()
        while not any(each.startswith(b"RELOADING=1\nMONOTONIC_USEC=") for each in messages):
            messages.append(manager.recv(512))
        while messages[-1] != b"READY=1":
            messages.append(manager.recv(512))
        # All this after it gave up what it does not need.
        assert confinement(page) == ("1", "2")
        assert page.ask("pending.cn").status == 451
        page.process.send_signal(end)
        while messages[-1] != b"STOPPING=1":
            messages.append(manager.recv(512))
        assert page.wait_for_end() == 0


def test_two_addresses(tmp_path):
    with contextlib.ExitStack() as stack:
        world = World(tmp_path)
        world.configure(listen=[f"127.0.0.1:{world.port}", f"[::1]:{world.port}",
                                f"127.0.0.2:{free_port('127.0.0.2')}"])
        page = Page(world)
        start(stack, page)
        for address in ("127.0.0.1", "::1"):
            with socket.create_connection((address, world.port), timeout=20) as client:
                client.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert client.recv(12) == b"HTTP/1.0 451"


def test_its_lines_bear_a_level_for_the_journal(tmp_path):
    with contextlib.ExitStack() as stack:
        page = Page(World(tmp_path, feed=None), environment={"JOURNAL_STREAM": "1:2"})
        start(stack, page)
        assert "<3>" in page.log and "<6>version " in page.log


def test_it_gives_up_what_it_does_not_need(page):
    """Also without a service manager; what that is, see tests/unit/test_confine.c."""
    assert confinement(page) == ("1", "2")

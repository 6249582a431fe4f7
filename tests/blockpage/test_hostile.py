# SPDX-License-Identifier: BSD-3-Clause
"""Clients that mean no good, and clients that can't do better. Each time others are answered."""

import contextlib
import re
import signal
import socket
import threading
import time

import pytest

from harness import wait_until
from pages import read_all

PAGE = b"HTTP/1.1 451 "
HOST = b"Host: www.elsewhere.cn\r\n"
GET = b"GET / HTTP/1.1\r\n"
HEAD = b"HEAD / HTTP/1.1\r\n"
CLOSE = b"Connection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def answers_afterwards(request):
    yield
    if "page" in request.fixturenames:
        assert "<code>filed-elsewhere</code>" in request.getfixturevalue("page").ask(
            "www.elsewhere.cn").text


def test_http_1_0_needs_no_host(page):
    got = page.raw(b"GET / HTTP/1.0\r\n\r\n")
    assert got.startswith(b"HTTP/1.0 451 ")
    assert b"<code>no-name</code>" in got


@pytest.mark.parametrize("request_line", [
    b"GET http://www.elsewhere.cn/path HTTP/1.1",
    b"GET http://www.elsewhere.cn:8080 HTTP/1.1",
    b"GET http://user:secret@www.elsewhere.cn/ HTTP/1.1",
    b"GET https://www.elsewhere.cn/ HTTP/1.1",
])
def test_the_host_of_a_uri_goes_before_the_header(page, request_line):
    got = page.raw(request_line + b"\r\nHost: www.filed.cn\r\n" + CLOSE)
    assert b"<code>filed-elsewhere</code>" in got
    assert b"secret" not in got


@pytest.mark.parametrize("octets", [
    b"GET / HTTP/1.1\r\nHost: a.cn\r\nHost: b.cn\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: a.cn\r\nHOST: a.cn\r\n\r\n",
    b"CONNECT www.elsewhere.cn:443 HTTP/1.1\r\nHost: www.elsewhere.cn\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /\r\n\r\n",
    b"GET / HTTP/9.9\r\n\r\n",
    b"GET / HTTP/1.1 x\r\n\r\n",
    b"GET /\0 HTTP/1.1\r\n" + HOST + CLOSE,
    b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xaa" * 60 + b"\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    GET + b"no colon\r\n\r\n",
    GET + HOST + b"A: " + b"a" * 20000 + b"\r\n\r\n",
    GET + HOST + b"A: a\r\n" * 5000 + b"\r\n",
    b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: -1\r\n\r\n",
    b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 9x\r\n\r\n",
])
def test_what_is_no_request_is_refused(page, octets):
    got = page.raw(octets)
    assert got.startswith(b"HTTP/1.1 400 "), got[:200]
    assert got.count(b"Connection: close") == 1
    assert b"<code>" not in got


@pytest.mark.parametrize("host", [
    b"www.elsewhere.cn\r\n X-Injected: 1",
    b"www.elsewhere.cn\rX-Injected: 1",
    b"www.elsewhere.cn\0X-Injected: 1",
    b"www.elsewhere.cn%0d%0aX-Injected: 1",
    b"<svg/onload=X-Injected>",
    "例子\u2028X-Injected.中国".encode(),
])
def test_nothing_of_a_host_gets_into_headers_or_markup(page, host):
    got = page.raw(GET + b"Host: " + host + b"\r\n" + CLOSE)
    head, _, body = got.partition(b"\r\n\r\n")
    assert head.startswith((PAGE, b"HTTP/1.1 400 "))
    assert b"Injected" not in head and b"Injected" not in body


def test_strange_but_valid(page):
    for octets in (
            b"GET / HTTP/1.1\nHost: www.elsewhere.cn\nConnection: close\n\n",
            b"GET //../%00/%ff?a=%zz&lang=%e4#x HTTP/1.1\r\n" + HOST + CLOSE,
            b"GET /" + b"a" * 15000 + b" HTTP/1.1\r\n" + HOST + CLOSE,
            b"OPTIONS * HTTP/1.1\r\n" + HOST + CLOSE,
            GET + HOST + b"Accept-Language: " + b"zh," * 4000 + b"\r\n" + CLOSE,
            GET + HOST + b"Cookie: a=b\r\nRange: bytes=0-1\r\nIf-None-Match: *\r\n" + CLOSE):
        got = page.raw(octets)
        assert got.startswith(PAGE), got[:200]
        assert b"<code>filed-elsewhere</code>" in got


def test_a_client_that_will_send_no_more_is_answered(page):
    with page.connect() as client:
        # All of it is there before the server looks.
        page.process.send_signal(signal.SIGSTOP)
        try:
            client.sendall((GET + HOST + b"\r\n") * 20)
            client.shutdown(socket.SHUT_WR)
        finally:
            page.process.send_signal(signal.SIGCONT)
        assert read_all(client).count(b"<code>filed-elsewhere</code>") == 20


def test_requests_may_follow_each_other_at_once(page):
    hosts = [b"www.elsewhere.cn", b"pending.cn", b"gone.cn"] * 10
    requests = b"".join(GET + b"Host: " + host + b"\r\n\r\n" for host in hosts)
    got = page.raw(requests + GET + HOST + CLOSE)
    codes = re.findall(rb"<code>(.*?)</code>", got)
    assert codes == [b"filed-elsewhere", b"pending", b"deregistered"] * 10 + [b"filed-elsewhere"]


@pytest.mark.parametrize("body", [
    b"Content-Length: 5\r\n\r\nhello",
    b"Content-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello",
])
def test_bodies_are_thrown_away(page, body):
    got = page.raw(b"POST /form HTTP/1.1\r\n" + HOST + body)
    assert got.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n").startswith(PAGE)
    assert got.count(PAGE) == 1
    assert b"Connection: close" in got


def test_bodies_have_a_limit(page):
    big = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 1000000\r\n\r\n"
    assert page.raw(big, b"a" * 100000).startswith(b"HTTP/1.1 413 ")
    chunks = b"Transfer-Encoding: chunked\r\n\r\n" + b"8000\r\n" + b"a" * 0x8000 + b"\r\n"
    got = page.raw(b"POST / HTTP/1.1\r\n" + HOST + chunks + b"ffff\r\n" + b"a" * 0xffff)
    assert got == b"" or got.startswith(b"HTTP/1.1 413 ")
    bad = b"POST / HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n"
    assert page.raw(bad).startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 "))


def test_a_body_of_get_is_no_request(page):
    got = page.raw(GET + HOST + b"Content-Length: 60\r\n\r\n" + GET + b"Host: evil.cn\r\n\r\n")
    assert b"evil" not in got


def test_clients_that_go_away(page):
    for octets in (b"", b"G", GET, GET + HOST, GET + HOST + b"\r\n"):
        with page.connect() as client:
            client.sendall(octets)
            # A reset instead of an end.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")


def ends(client):
    """True when the server has closed a connection."""
    client.setblocking(False)
    try:
        return client.recv(1) == b""
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True


def test_slow_clients_are_cut_off(make_page):
    page = make_page(timeout="1s")
    with page.connect() as silent, page.connect() as slow, page.connect() as idle:
        idle.sendall(GET + HOST + b"\r\n")
        assert idle.recv(5) == b"HTTP/"
        slow.sendall(GET)

        def both_end():
            with contextlib.suppress(OSError):
                slow.sendall(b"A: a\r\n")
            return ends(silent) and ends(slow)

        wait_until(both_end, 20, "clients that send nothing, or little, are cut off")
        idle.settimeout(20)
        assert read_all(idle)


def test_one_that_does_not_read_is_cut_off(make_page):
    page = make_page(timeout="1s")
    with page.connect() as client:
        client.settimeout(20)
        with pytest.raises(OSError):
            while True:
                client.sendall((GET + HOST + b"\r\n") * 100)
    assert page.ask().status == 451


def test_too_many_connections_cost_the_oldest(make_page):
    page = make_page(connections=16)
    with contextlib.ExitStack() as stack:
        first = [stack.enter_context(page.connect()) for _ in range(16)]
        # The first of them asks once more, so it is not the oldest.
        for client in [*first, first[0]]:
            client.sendall(HEAD + HOST + b"\r\n")
            assert client.recv(65536).endswith(b"\r\n\r\n")
        more = [stack.enter_context(page.connect()) for _ in range(15)]
        wait_until(lambda: all(ends(each) for each in first[1:]), 20, "the oldest are closed")
        for client in [first[0], *more]:
            client.setblocking(True)
            client.settimeout(20)
            client.sendall(GET + HOST + CLOSE)
            assert b"<code>filed-elsewhere</code>" in read_all(client)


def test_slowloris(page):
    """500 connections that send a header's octet now and then; a normal client is answered in time."""
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(page.connect()) for _ in range(500)]
        for client in clients:
            client.sendall(GET + b"A: ")

        def drip():
            while not stop.wait(0.1):
                for client in clients:
                    with contextlib.suppress(OSError):
                        client.send(b"a")

        thread = threading.Thread(target=drip)
        thread.start()
        try:
            times = []
            for _ in range(50):
                began = time.monotonic()
                assert page.ask("www.elsewhere.cn").status == 451
                times.append(time.monotonic() - began)
        finally:
            stop.set()
            thread.join()
    # Its own time limit is ten times that; on a busy machine some may be slow.
    assert sorted(times)[len(times) // 2] < 1


def test_500_slow_clients_leave_room_for_others(make_page):
    """More of them than connections; their time is not over yet."""
    page = make_page(connections=64, timeout="5m")
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(page.connect()) for _ in range(500)]
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(GET)
        assert page.ask("www.elsewhere.cn").status == 451
        wait_until(lambda: sum(map(ends, clients)) >= 500 - 64, 20, "all but 64 are closed")

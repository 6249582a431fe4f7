# SPDX-License-Identifier: BSD-3-Clause
"""Clients of the daemon's HTTP server that mean it harm, and files that change under it."""

import fcntl
import os
import platform
import random
import select
import socket
import sys
import threading
import time
from contextlib import ExitStack

import pytest

from counting import Resolver
from http_alone import PATHS, Server
from operator_tool import wait_until

CONNECTIONS_MAX = 64
HEAD_MAX = 8192
# No connection lives longer; with room for a busy machine.
LIFE = 10
DEADLINE = 60


def connect(port):
    made = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def send_raw(port, octets):
    """What comes back until the end."""
    answer = b""
    with connect(port) as client:
        try:
            client.sendall(octets)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        try:
            while piece := client.recv(65536):
                answer += piece
        except ConnectionError:
            pass
    return answer


def is_refusal(answer):
    """Nothing, or an error."""
    return answer == b"" or answer.split(b" ")[1][:1] in (b"4", b"5")


LINE = b"GET /metrics HTTP/1.1\r\n"


@pytest.mark.parametrize("octets", [
    LINE + b"A: " + b"x" * HEAD_MAX + b"\r\n\r\n",
    LINE + b"A: b\r\n" * 5000 + b"\r\n",
    LINE + b"x" * 1000000,
    b"GET /" + b"x" * HEAD_MAX + b" HTTP/1.1\r\n\r\n",
    b"x" * 3000000,
    b"\r\n" * 100000,
    LINE + b"no colon\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /metrics\r\n\r\n",
    b"GET /metrics HTTP/9.9\r\n\r\n",
    b"GET /metrics HTTP/1.1 HTTP/1.1\r\n\r\n",
    b" \r\n\r\n",
    b"\0" * 100,
    bytes(range(256)) * 10,
    b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03" + b"\0" * 500,
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"POST /metrics HTTP/1.1\r\nContent-Length: 1000000000000\r\n\r\n" + b"x" * 100000,
    b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
    b"GET /metrics HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
    b"POST /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
])
def test_garbage_is_refused(http_for_all, octets):
    answer = send_raw(http_for_all.port, octets)
    assert is_refusal(answer), answer[:300]
    assert http_for_all.fetch("/healthz")[0] == 200


def test_the_largest_head_that_is_taken(http_for_all):
    head = LINE + b"A: " + b"x" * (HEAD_MAX - 200) + b"\r\n\r\n"
    assert send_raw(http_for_all.port, head).startswith(b"HTTP/1.1 200 OK\r\n")


def test_random_octets(http_for_all):
    """Requests with some octets changed, left out or put twice."""
    choose = random.Random(6)
    whole = LINE + b"Host: localhost\r\nUser-Agent: x\r\nAccept: */*\r\nContent-Length: 0\r\n\r\n"
    for _ in range(300):
        octets = bytearray(whole)
        for _ in range(choose.randint(1, 6)):
            at = choose.randrange(len(octets))
            change = choose.randrange(3)
            if change == 0:
                octets[at] = choose.randrange(256)
            elif change == 1:
                del octets[at:at + choose.randint(1, 20)]
            else:
                octets[at:at] = octets[:choose.randrange(60)]
            octets = octets or bytearray(b"\r")
        answer = send_raw(http_for_all.port, bytes(octets))
        assert answer == b"" or answer.startswith(b"HTTP/1."), (bytes(octets), answer[:100])
    assert http_for_all.fetch()[0] == 200


def test_clients_that_go_away(http_for_all):
    """Before the answer, in the midst of it, and by a reset."""
    for path in PATHS:
        for _ in range(20):
            client = connect(http_for_all.port)
            client.sendall(f"GET {path} HTTP/1.1\r\n\r\n".encode())
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            client.close()
    assert http_for_all.fetch()[0] == 200


def test_a_pipeline_gets_one_answer(http_for_all):
    answer = send_raw(http_for_all.port, b"GET /healthz HTTP/1.1\r\n\r\n" * 50)
    assert answer.count(b"HTTP/1.1 200 OK") == 1


def ends_within(clients, seconds):
    """Waits until the server has ended all of these."""
    waiting = set(clients)
    deadline = time.monotonic() + seconds
    while waiting:
        left = deadline - time.monotonic()
        assert left > 0, f"{len(waiting)} connections still there"
        for client in select.select(list(waiting), [], [], left)[0]:
            try:
                ended = client.recv(65536) == b""
            except ConnectionError:
                ended = True
            if ended:
                waiting.remove(client)


def test_slow_clients_are_ended(http_for_all):
    """One says nothing, one does not end its head, and one sends an octet now and then."""
    with ExitStack() as stack:
        silent, half, slow = [stack.enter_context(connect(http_for_all.port)) for _ in range(3)]
        half.sendall(LINE + b"Host: x\r\n")
        slow.sendall(LINE + b"A: ")

        def is_over():
            try:
                slow.send(b"x")
            except OSError:
                return True
            return bool(select.select([slow], [], [], 0)[0]) and slow.recv(1000) == b""

        began = time.monotonic()
        wait_until(is_over, "the slow one is ended", seconds=DEADLINE)
        # Not at once: it had its time.
        assert time.monotonic() - began > LIFE / 2
        ends_within([silent, half], DEADLINE)
    assert http_for_all.fetch()[0] == 200


def test_one_that_does_not_read_is_ended(http_for_all):
    before = http_for_all.http.open_files()
    with connect(http_for_all.port) as client:
        client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
        # All of it fits into the kernel's buffers, and the server is done with it.
        wait_until(lambda: http_for_all.http.open_files() <= before, "the server closed it")


def test_five_hundred_that_say_nothing_keep_nobody_waiting(http_for_all):
    before = http_for_all.http.open_files()
    with ExitStack() as stack:
        idle = []
        for number in range(500):
            client = stack.enter_context(connect(http_for_all.port))
            if number % 2:
                client.sendall(b"GET /metrics HTT")
            idle.append(client)
        for path in PATHS:
            assert http_for_all.fetch(path)[0] == 200
        # It has seen to all that came before these; a few may be on their way out.
        assert http_for_all.http.open_files() <= before + CONNECTIONS_MAX + 10
        # Those that came first had to go.
        ends_within(idle[:500 - CONNECTIONS_MAX - len(PATHS)], DEADLINE)
    wait_until(lambda: http_for_all.http.open_files() <= before + 1, "nothing is left of them")


def test_nothing_is_left_behind(http_for_all):
    for path in PATHS:
        http_for_all.fetch(path)
    before = http_for_all.http.open_files()
    for _ in range(100):
        for path in PATHS:
            assert http_for_all.fetch(path)[0] in (200, 503)
    wait_until(lambda: http_for_all.http.open_files() <= before, "all is closed")


def test_files_that_lose_their_pages_under_scrapes(tmp_path):
    """Somebody truncates the generation, its lock file and the counters again and again."""
    with ExitStack() as stack:
        scrape_and_truncate(Server(stack, tmp_path))


def scrape_and_truncate(server):
    store = server.place.store
    generation = store / "generations" / "0000000001.mdb"
    with Resolver(store) as resolver:
        resolver.order("judged", 0, "block", "unfiled", 1, 7)
    files = [generation, generation.with_name(generation.name + "-lock"), store / "stats"]
    whole = {path: path.read_bytes() for path in files}
    ended = threading.Event()

    def damage():
        choose = random.Random(7)
        while not ended.is_set():
            path = choose.choice(files)
            os.truncate(path, choose.choice([0, 100, 4096, 8192, len(whole[path]) // 2]))
            with open(path, "r+b") as file:
                file.write(whole[path])

    thread = threading.Thread(target=damage)
    thread.start()
    try:
        seen = set()
        for number in range(600):
            seen.add(server.fetch(PATHS[number % 3])[0])
    finally:
        ended.set()
        thread.join()
    # It met both states, and none of them was its end.
    assert seen == {200, 503}
    wait_until(lambda: server.samples()["icpgate_store_readable"] == 1, "whole")


# Where LMDB's lock file has the number of slots that were ever taken: behind magic number, format, a mutex of
# the C library and the number of the last commit.
SLOTS_AT = 8 + (40 if platform.machine() == "x86_64" else 48) + 8


def test_a_lock_file_that_lmdb_must_not_believe(tmp_path):
    """LMDB reads as many slots of readers as it says there are, beyond its end: the end of a process, but
    not of this one."""
    with ExitStack() as stack:
        server = Server(stack, tmp_path)
        lock = server.place.store / "generations" / "0000000001.mdb-lock"
        whole = lock.read_bytes()
        for size in (len(whole), 100):
            with open(lock, "r+b") as file:
                # As one that has the environment open; else LMDB makes the file anew.
                fcntl.lockf(file, fcntl.LOCK_SH, 1, 0)
                file.seek(SLOTS_AT)
                file.write((10**7).to_bytes(4, sys.byteorder))
                file.truncate(size)
                file.flush()
                # What was counted before is believed for a moment.
                wait_until(lambda: server.samples()["icpgate_store_readable"] == 0, "damaged")
                assert {server.fetch(path)[0] for path in PATHS} == {200, 503}
                assert "can't be counted" in server.health()[1][0]
            lock.write_bytes(whole)
            wait_until(lambda: server.samples()["icpgate_store_readable"] == 1, "whole")

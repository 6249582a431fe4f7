# SPDX-License-Identifier: BSD-3-Clause
"""Many queries at once, and changes under load."""

import select
import socket
import threading

import dns.message
import pytest

from harness import ANSWER_SECONDS, wait_until
from world import ABROAD, BLOCK4, OURS, addresses, row

CN = [f"{name} A {OURS}" for name in ("*.unfiled", "*.filed", "steady", "dark")]
CN += ["*.abroad A " + ABROAD]
ROWS = [row("filed.cn"), row("steady.cn")]


@pytest.fixture(scope="module")
def world(start_world):
    with start_world(cn=CN, rows=ROWS, server_lines=["num-threads: 2"]) as world:
        yield world


def ask_at_once(port, names, timeout=ANSWER_SECONDS):
    """Sends all queries before it reads any answer, each from a socket of its own, so that the
    kernel spreads them over the resolver's threads. Addresses of each, in order."""
    sockets = []
    answers = [None] * len(names)
    try:
        for name in names:
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sockets.append(each)
            each.connect(("127.0.0.1", port))
        packets = [dns.message.make_query(name, "A").to_wire() for name in names]
        for each, packet in zip(sockets, packets):
            each.send(packet)
        waiting = {each: at for at, each in enumerate(sockets)}
        while waiting:
            ready, _, _ = select.select(list(waiting), [], [], timeout)
            assert ready, f"{len(waiting)} of {len(names)} queries were lost"
            for each in ready:
                response = dns.message.from_wire(each.recv(65535))
                answers[waiting.pop(each)] = addresses(response)
    finally:
        for each in sockets:
            each.close()
    return answers


def test_two_threads_asking_for_the_same_names(world):
    """Sixteen clients ask for a name that nobody asked for before, all at the same moment."""
    kinds = {"unfiled": [BLOCK4], "filed": [OURS], "abroad": [ABROAD]}
    for number in range(150):
        for kind, expected in kinds.items():
            answers = ask_at_once(world.unbound.port, [f"n{number}.{kind}.cn"] * 16)
            assert answers == [expected] * 16, f"n{number}.{kind}.cn"


def test_two_threads_asking_for_many_names(world):
    for number in range(15):
        names = [f"m{number}-{at}.{kind}.cn" for at in range(30) for kind in ("unfiled", "filed")]
        answers = ask_at_once(world.unbound.port, names * 2)
        assert answers == [[BLOCK4], [OURS]] * 60


def test_generation_rolled_forward_under_load(world):
    """Eight generations are made current while clients ask without pause: every query is answered,
    and what no generation changes never changes."""
    stop = threading.Event()
    failures = []
    rounds = [0, 0]

    def client(number):
        try:
            while not stop.is_set():
                fresh = f"r{number}-{rounds[number]}"
                names = ["steady.cn", "dark.cn", f"{fresh}.filed.cn", f"{fresh}.unfiled.cn"]
                answers = ask_at_once(world.unbound.port, names)
                assert answers == [[OURS], [BLOCK4], [OURS], [BLOCK4]], answers
                rounds[number] += 1
        except AssertionError as error:
            failures.append(error)

    clients = [threading.Thread(target=client, args=(number,)) for number in range(2)]
    for each in clients:
        each.start()
    try:
        for number in range(8):
            before = sum(rounds)
            world.site.add(row(f"more{number}.cn"))
            # Each generation is in use for some queries before the next one comes.
            wait_until(
                lambda: failures or sum(rounds) >= before + 20, 20, "queries on the generation"
            )
    finally:
        stop.set()
        for each in clients:
            each.join()
    assert not failures, failures[0]

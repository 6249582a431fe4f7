# SPDX-License-Identifier: BSD-3-Clause
"""Asks a resolver for lists of names, many at a time and from several sockets, so that all its
threads get some; once, or round after round in a thread of its own."""

import functools
import select
import socket
import threading
import time
from typing import NamedTuple

SOCKETS = 8
IN_FLIGHT = 64
# Then an answer counts as lost.
PATIENCE = 20
EDNS = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
QUESTION_TAIL = b"\0\0\1\0\1"
ROUND_SECONDS = 60


class Answer(NamedTuple):
    """packet: None when none came"""

    name: str
    sent: float
    received: float
    packet: bytes

    def read(self):
        """The response code and the addresses. For those who read many; dns.message takes fifty
        times as long."""
        packet = self.packet
        at = 12 + len(question(self.name))
        addresses = []
        for _ in range(int.from_bytes(packet[6:8], "big")):
            while 0 < packet[at] < 0xC0:
                at += 1 + packet[at]
            at += 1 if packet[at] == 0 else 2
            end = at + 10 + int.from_bytes(packet[at + 8 : at + 10], "big")
            if packet[at : at + 2] == b"\0\1":
                addresses.append(".".join(map(str, packet[at + 10 : end])))
            at = end
        return packet[3] & 15, addresses


@functools.lru_cache(1024)
def question(name):
    labels = (label.encode() for label in name.split("."))
    return b"".join(bytes([len(label)]) + label for label in labels) + QUESTION_TAIL


class Asker:
    def __init__(self, port):
        self.sockets = []
        for _ in range(SOCKETS):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.setblocking(False)
            each.connect(("127.0.0.1", port))
            self.sockets.append(each)
        self.next_id = 0

    def close(self):
        for each in self.sockets:
            each.close()

    def ask(self, names):
        """One query for the addresses of each, nothing is sent again; the answers as they come."""
        waiting = {}
        todo = list(reversed(names))
        answers = []
        while todo or waiting:
            while todo and len(waiting) < IN_FLIGHT:
                self.send(todo.pop(), waiting)
            ready, _, _ = select.select(self.sockets, [], [], PATIENCE)
            if not ready:
                now = time.monotonic()
                answers += (Answer(name, sent, now, None) for name, sent, _ in waiting.values())
                waiting.clear()
            for each in ready:
                answers += self.receive(each, waiting)
        return answers

    def send(self, name, waiting):
        self.next_id = (self.next_id + 1) & 0xFFFF
        asked = question(name)
        head = self.next_id.to_bytes(2, "big") + b"\1\0\0\1\0\0\0\0\0\1"
        each = self.sockets[self.next_id % SOCKETS]
        waiting[each, self.next_id] = (name, time.monotonic(), asked)
        each.send(head + asked + EDNS)

    def receive(self, each, waiting):
        while True:
            try:
                packet = each.recv(65535)
            except BlockingIOError:
                return
            received = time.monotonic()
            # What is late was counted as lost, and is in the list no more.
            found = waiting.pop((each, int.from_bytes(packet[:2], "big")), None)
            if found is not None:
                name, sent, asked = found
                assert packet[12 : 12 + len(asked)] == asked, f"no answer to {name}: {packet.hex()}"
                yield Answer(name, sent, received, packet)


class Rounds:
    """Asks round after round until it is left.

    names: gives the names of the next round
    take: is given the answers of a round; what it returns, wait_round returns
    """

    def __init__(self, port, names, take):
        self.asker = Asker(port)
        self.names = names
        self.take = take
        self.changed = threading.Condition()
        self.begun = 0
        self.found = None
        self.stopping = False
        self.trouble = None
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping = True
        self.thread.join()
        self.asker.close()

    def run(self):
        try:
            while not self.stopping:
                with self.changed:
                    self.begun += 1
                found = self.take(self.asker.ask(self.names()))
                with self.changed:
                    self.found = self.begun, found
                    self.changed.notify_all()
        except Exception as error:  # wait_round raises it
            with self.changed:
                self.trouble = error
                self.changed.notify_all()

    def wait_round(self):
        """Waits until a round has ended that began after this was called."""
        with self.changed:
            first = self.begun + 1

            def is_over():
                return self.trouble or self.found and self.found[0] >= first

            assert self.changed.wait_for(is_over, ROUND_SECONDS), "a round does not end"
            if self.trouble:
                raise self.trouble
            return self.found[1]

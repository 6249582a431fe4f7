# SPDX-License-Identifier: BSD-3-Clause
"""The two who press the resolver: one asks, one changes what is filed."""

import random
import select
import socket
import threading
import time
from typing import NamedTuple

from stress_names import NEVER
from world import row

SOCKETS = 16
RATE = 4000
IN_FLIGHT = 400
# Then an answer counts as lost: Unbound itself sends none that took more than 1.9 s.
PATIENCE = 3
HOT_QUESTIONS = 120
PROBE = "probe.test"
PROBE_TAIL = b"\5probe\4test\0\0\1\0\1"
EDNS = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
RD, CD = 0x0100, 0x0010


class Answer(NamedTuple):
    question: object
    flags: int
    sent: float
    received: float
    asked: bytes
    packet: bytes


class Client:
    """Asks without pause, from several sockets, with a bounded number of queries under way.

    worst_wait: the longest that a query took that needs nothing but the resolver's attention, or
        that this client was held up itself
    """

    def __init__(self, port, names, seed, snoops):
        self.random = random.Random(seed)
        self.questions = names.questions
        weights = [2 if each.permitted not in ("always", NEVER) else 1 for each in self.questions]
        self.hot = self.random.choices(self.questions, weights, k=HOT_QUESTIONS)
        self.weights = weights
        self.flags = [RD] * 17 + [RD | CD] * 2 + [0 if snoops else RD]
        self.sockets = []
        self.epoll = select.epoll()
        for _ in range(SOCKETS):
            each = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            each.setblocking(False)
            each.connect(("127.0.0.1", port))
            self.epoll.register(each, select.EPOLLIN)
            self.sockets.append(each)
        self.by_number = {each.fileno(): each for each in self.sockets}
        self.waiting = {each.fileno(): {} for each in self.sockets}
        self.under_way = 0
        self.next_id = 0
        self.fresh = 0
        self.answers = []
        self.lost = 0
        self.worst_wait = 0.0

    def close(self):
        self.epoll.close()
        for each in self.sockets:
            each.close()

    def run(self, seconds):
        """Asks for so long, waits for what is under way; returns the answers."""
        self.answers = []
        begin = last = time.monotonic()
        sent, last_probe = 0, begin
        while True:
            now = time.monotonic()
            self.worst_wait = max(self.worst_wait, now - last)
            last = now
            is_over = now - begin > seconds
            if is_over and (self.under_way == 0 or now - begin > seconds + PATIENCE):
                break
            if now - last_probe > 0.02:
                last_probe = now
                self.send(None, RD, self.random.choice(self.sockets))
            if not is_over and self.under_way < IN_FLIGHT:
                due = min(int((now - begin) * RATE) - sent, IN_FLIGHT - self.under_way, 64)
                while due > 0:
                    count = self.ask()
                    sent += count
                    due -= count
            self.receive()
        self.lost += self.under_way
        self.under_way = 0
        for each in self.waiting.values():
            each.clear()
        return self.answers

    def ask(self):
        """One question, often from several sockets at once; so both threads get it."""
        if self.random.random() < 0.4:
            question = self.random.choice(self.hot)
        else:
            question = self.random.choices(self.questions, self.weights)[0]
        count = self.random.choice((1, 1, 1, 4))
        self.fresh += 1
        for each in self.random.sample(self.sockets, count):
            self.send(question, self.random.choice(self.flags), each)
        return count

    def send(self, question, flags, each):
        if question is None:
            asked = PROBE_TAIL
        elif question.is_fresh:
            asked = b"\x09r%08d" % (self.fresh % 10**8) + question.tail[2:]
        else:
            asked = question.tail
        self.next_id = (self.next_id + 1) & 0xFFFF
        head = self.next_id.to_bytes(2, "big") + flags.to_bytes(2, "big")
        self.waiting[each.fileno()][self.next_id] = (question, flags, time.monotonic(), asked)
        self.under_way += 1
        try:
            each.send(head + b"\0\1\0\0\0\0\0\1" + asked + EDNS)
        except BlockingIOError:
            pass

    def receive(self):
        for number, _ in self.epoll.poll(0.002):
            while True:
                try:
                    packet = self.by_number[number].recv(65535)
                except BlockingIOError:
                    break
                received = time.monotonic()
                found = self.waiting[number].pop(int.from_bytes(packet[:2], "big"), None)
                if found is None:
                    continue
                self.under_way -= 1
                question, flags, sent, asked = found
                if question is None:
                    self.worst_wait = max(self.worst_wait, received - sent)
                else:
                    self.answers.append(Answer(question, flags, sent, received, asked, packet))


class Generation(NamedTuple):
    """A set of permitted domains, and when it was loaded: some time between begin and end it became
    the current one."""

    begin: float
    end: float
    permitted: frozenset


class Flipper:
    """Loads one generation after the other, each with other names filed, until it is stopped."""

    def __init__(self, site, names, seed):
        self.random = random.Random(seed)
        self.site = site
        self.names = names
        # Some flip all the time, some stay for longer than any verdict may outlive them.
        self.chances = {
            each: 0.5 if number % 4 == 3 else 0.1 for number, each in enumerate(names.flipping)
        }
        self.permitted = set()
        self.generations = []
        self.stopping = threading.Event()
        self.trouble = None
        self.thread = threading.Thread(target=self.run)
        for each in self.chances:
            if self.random.random() < 0.5:
                self.flip(each.name)
        self.load()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()

    def run(self):
        try:
            while not self.stopping.wait(self.random.uniform(0.5, 1)):
                self.load()
        except Exception as error:  # the test raises it
            self.trouble = error

    def load(self):
        for domain, chance in self.chances.items():
            if self.random.random() < chance:
                self.flip(domain.name)
        begin = time.monotonic()
        permitted = frozenset(self.permitted)
        self.generations.append(Generation(begin, float("inf"), permitted))
        self.site.load()
        self.generations[-1] = Generation(begin, time.monotonic(), permitted)

    def flip(self, name):
        self.permitted ^= {name}
        self.site.rows.pop((name, "qcloud"), None)
        if name in self.permitted:
            self.site.rows[name, "qcloud"] = row(name)
        elif self.random.random() < 0.5:
            self.site.rows[name, "qcloud"] = row(name, status="transfer-cancelled")

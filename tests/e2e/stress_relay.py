# SPDX-License-Identifier: BSD-3-Clause
"""A relay as a bad network: it delays answers, loses some, and changes some on their way."""

import heapq
import random
import select
import time

from harness import Relay

DELAY = 0.2
SHARE_AT_ONCE = 0.25
SHARE_LOST = 0.07


class BadRelay(Relay):
    """moving: pairs of packed addresses; the second one stands in every other answer, by chance, in
    place of the first"""

    def __init__(self, server, seed, moving):
        self.random = random.Random(seed)
        self.moving = list(moving)
        self.delayed = []
        self.passed = self.lost = 0
        super().__init__(server)

    def run(self):
        while True:
            timeout = None
            if self.delayed:
                timeout = max(0, self.delayed[0][0] - time.monotonic())
            ready, _, _ = select.select([self.front, self.back, self.wake_read], [], [], timeout)
            if self.wake_read in ready:
                return
            if self.front in ready:
                self.pass_query(*self.front.recvfrom(65535))
            if self.back in ready:
                self.take_answer(self.back.recv(65535))
            while self.delayed and self.delayed[0][0] <= time.monotonic():
                self.pass_answer(heapq.heappop(self.delayed)[2])

    def pass_query(self, packet, sender):
        self.next_id = (self.next_id + 1) & 0xFFFF
        self.waiting[self.next_id] = (sender, packet[:2])
        self.back.send(self.next_id.to_bytes(2, "big") + packet[2:])

    def take_answer(self, packet):
        if self.random.random() < SHARE_LOST:
            self.lost += 1
            return
        self.passed += 1
        if self.random.random() < 0.5:
            for before, after in self.moving:
                packet = packet.replace(before, after)
        delay = 0
        if self.random.random() >= SHARE_AT_ONCE:
            delay = self.random.uniform(0, DELAY)
        heapq.heappush(self.delayed, (time.monotonic() + delay, self.passed, packet))

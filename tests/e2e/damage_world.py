# SPDX-License-Identifier: BSD-3-Clause
"""What the tests of damage under a running resolver share: names whose verdicts are known, a store
that says them, a resolver on top, and the check of its answers."""

import itertools
import json
from collections import Counter

import dns.message
import dns.rcode

from asker import Asker, Rounds
from feeds import DONE, Delta, FeedWriter, Full, Model, Row, Store, take_step
from harness import Nsd, Unbound, start, wait_until
from lmdb_pages import PageFile
from world import ABROAD, BLOCK4, OURS, Site, addresses, ede, zone

ENTITY = "京ICP备11018762号"
# What decides on a name: provider and status of its row, and the reason that follows.
KINDS = [
    ("qcloud", "filed", "filed"),
    ("qcloud", "pending", "pending"),
    ("acloud", "filed", "filed-elsewhere"),
    ("qcloud", "changing", "changing"),
    ("qcloud", "deregistered", "deregistered"),
    ("qcloud", "transfer-cancelled", "transfer-cancelled"),
    (None, None, "unfiled"),
]
PERMITTING = {"filed", "changing"}
# Long names fill pages; every third is asked for.
DOMAINS = [f"{'long-' * 8}name-{n}.cn" for n in range(330)]
ASKED = DOMAINS[::3]
REASONS = {name: KINDS[n % len(KINDS)][2] for n, name in enumerate(DOMAINS)}
FOREIGN = [f"far{n}.abroad.cn" for n in range(10)]
CN = [f"* A {OURS}", f"*.abroad A {ABROAD}"]
DELTAS = 3
TAKEN = "new generation in use"
# To open a new generation a busy machine may need much longer than the module's look.
PATIENCE = 20


def make_state():
    rows = []
    for n, domain in enumerate(DOMAINS):
        provider, status, _ = KINDS[n % len(KINDS)]
        if provider:
            rows.append(Row(domain, provider, status, f"{ENTITY}-{n}"))
    return {row.key: row for row in rows}


class DamageWorld:
    """Servers, and a store; `unbound` runs after start_resolver."""

    def __init__(self, stack, directory, commands, module, changes):
        self.stack = stack
        self.directory = directory
        self.module = module
        self.on_no_index = changes.get("on_no_index", "pass")
        self.nsd = start(stack, Nsd(directory, {"cn": zone("cn", CN)}))
        self.site = Site(commands, directory, [], changes)
        self.store = Store(commands, self.site.store)
        self.feeds = FeedWriter(directory)
        self.model = Model()
        self.state = make_state()
        self.unbound = None
        self.asker = None
        self.counter = itertools.count()

    def load(self):
        """A new generation that says the truth, and the damage of the one before is forgotten."""
        sequence = self.model.sequence + 1
        feed = self.feeds.full(self.state, sequence)
        done = self.store.load("full", "--force", feed)
        assert done.returncode == DONE, f"full: exit {done.returncode}: {done.stderr}"
        self.model.full(self.state, sequence, feed.name, force=True)

    def load_with_deltas(self):
        """The same truth, by a full feed that lacks some and deltas that bring it."""
        names = [row for row in self.state.values()][:DELTAS]
        state = {key: row for key, row in self.state.items() if row not in names}
        sequence = self.model.sequence + 1
        feed = self.feeds.full(state, sequence)
        _, self.model = take_step(self.store, self.model, Full(feed, state, sequence, True))
        for row in names:
            sequence += 1
            operations = [("upsert", row)]
            step = Delta((self.feeds.delta(operations, sequence), operations, sequence))
            _, self.model = take_step(self.store, self.model, step)

    def start_resolver(self, threads):
        stubs = [("cn", f"stub-addr: 127.0.0.1@{self.nsd.port}")]
        lines = [f"num-threads: {threads}"]
        unbound = Unbound(self.directory, stubs, self.module, self.site.conf, lines)
        self.unbound = start(self.stack, unbound)
        self.asker = Asker(unbound.port)
        self.stack.callback(self.asker.close)

    def rounds(self):
        return Rounds(self.unbound.port, self.names, self.check)

    def ask(self):
        """One round, with nothing else asked meanwhile."""
        return self.check(self.asker.ask(self.names()))

    def names(self):
        """Names that nobody has asked for yet: each is judged, and no lease hides the store."""
        number = next(self.counter)
        return [f"q{number}.{name}" for name in [*ASKED, *FOREIGN]]

    def check(self, answers):
        """Each must be right, or what is said of those that can't be judged; counts them."""
        assert self.unbound.is_running(), f"the resolver ended:\n{self.unbound.log[-3000:]}"
        return Counter(self.check_answer(each) for each in answers)

    def check_answer(self, answer):
        assert answer.packet, f"{answer.name}: no answer\n{self.unbound.log[-3000:]}"
        response = dns.message.from_wire(answer.packet)
        found = addresses(response)
        domain = answer.name.partition(".")[2]
        if domain in FOREIGN:
            assert response.rcode() == dns.rcode.NOERROR and found == [ABROAD], response
            return "foreign"
        reason = REASONS[domain]
        assert response.rcode() == dns.rcode.NOERROR, response
        if found == [OURS] and reason in PERMITTING:
            return "right"
        if found == [BLOCK4]:
            said = ede(response)[1].split(" ")[0]
            if said == reason and reason not in PERMITTING:
                return "right"
            assert (said, self.on_no_index) == ("no-index", "block"), f"{reason}: {response}"
            return "no-index"
        assert (found, self.on_no_index) == ([OURS], "pass"), f"{reason}: {response}"
        return "no-index"

    def wait_for_truth(self, rounds=None):
        """Until every answer is right."""
        ask = rounds.wait_round if rounds else self.ask
        wait_until(lambda: not ask()["no-index"], PATIENCE, "the true verdicts")

    def load_and_wait(self, rounds=None):
        """The same from a new generation, and the old one is in use no more."""
        taken = self.unbound.log.count(TAKEN)
        self.load()
        ask = rounds.wait_round if rounds else self.ask
        wait_until(
            lambda: ask() and self.unbound.log.count(TAKEN) > taken, PATIENCE, "a new generation"
        )
        self.wait_for_truth(rounds)

    def said(self):
        """What the log says of the store."""
        return [line for line in self.unbound.log.splitlines() if "on_no_index applies" in line]

    def stat(self):
        """Runs icpgate stat, which may fail."""
        commands = self.site.commands
        return commands.run(
            commands.icpgate, "-c", self.site.conf, "stat", "--json", expect=range(5)
        )

    def found_by_stat(self):
        done = self.stat()
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def counted(self, reason):
        """How many judgements had a reason, as icpgate stat says."""
        return sum(each.get(reason, 0) for each in self.found_by_stat()["judgements"].values())

    def no_index_since(self):
        """When the last judgement was one without the index, as icpgate stat says."""
        return self.found_by_stat()["no_index_since"]


class Generation:
    """The file of the current generation, which is damaged in place and put right again."""

    def __init__(self, store):
        self.path = (store.path / "current").resolve()
        self.lock_path = self.path.with_name(self.path.name + "-lock")
        self.content = self.path.read_bytes()
        self.pages = PageFile(self.content)

    def change(self, offset, octets):
        with open(self.path, "r+b") as file:
            file.seek(offset)
            file.write(octets)

    def repair(self):
        with open(self.path, "r+b") as file:
            file.write(self.content)
            file.truncate()

    def invert(self, page):
        begin = page * self.pages.size
        octets = self.content[begin : begin + self.pages.size]
        self.change(begin, bytes(octet ^ 0xFF for octet in octets))

    def zero(self, page):
        self.change(page * self.pages.size, bytes(self.pages.size))

    def flip(self, offset, bit):
        self.change(offset, bytes([self.content[offset] ^ 1 << bit]))

    def scatter(self, page, way):
        """Flips a bit in each row of a page, more or less, and spares its head."""
        octets = bytearray(self.content[page * self.pages.size : (page + 1) * self.pages.size])
        for at in range(256 + 7 * way, len(octets), 40):
            octets[at] ^= 1 << way % 8
        self.change(page * self.pages.size, octets)

    def buckets(self):
        """Pages of rows."""
        what = "buckets: large value"
        return {page for page, spans in self.pages.spans.items() if spans[-1].what == what}

# SPDX-License-Identifier: BSD-3-Clause
"""icpgate lookup --resolve, and a DNS server whose answers a test makes."""

import json
import socket
import threading
from contextlib import contextmanager

import dns.edns
import dns.message
import dns.rcode
import dns.rrset

from operator_tool import AT, icpgate

OURS6 = "2001:db8:1::10"
BLOCK = "203.0.113.80"


def run(conf, server, *arguments):
    return icpgate("-c", conf, "lookup", "--at", AT, "--resolve", server, *arguments)


def resolve(conf, server, name):
    """Exit status, and the object of --json."""
    done = run(conf, server, "--json", name)
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


def text(conf, server, name):
    done = run(conf, server, name)
    assert done.stderr == ""
    return done.stdout


def cause(answer):
    return answer["verdict"], answer["reason"], answer["cause"]


def judged(answer):
    return [entry["address"] for entry in answer["addresses"]]


def answers(answer):
    """What the server said: {(name, type): (rcode, addresses)}."""
    return {(a["name"], a["type"]): (a["rcode"], a["addresses"])
            for a in answer["resolved"]["answers"]}


class Puppet:
    """A server whose answers a test makes: make(query) gives a message, octets, or None."""

    def __init__(self, make):
        self.make = make
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.name = f"127.0.0.1@{self.socket.getsockname()[1]}"
        self.wake = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.stopping = threading.Event()
        self.asked = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def run(self):
        while True:
            packet, sender = self.socket.recvfrom(65535)
            if self.stopping.is_set():
                return
            query = dns.message.from_wire(packet)
            self.asked.append(query)
            made = self.make(query)
            if isinstance(made, dns.message.Message):
                made = made.to_wire()
            if made is not None:
                self.socket.sendto(made, sender)

    def stop(self):
        self.stopping.set()
        self.wake.sendto(b".", self.socket.getsockname())
        self.thread.join()
        self.wake.close()
        self.socket.close()


@contextmanager
def puppet(make):
    made = Puppet(make)
    made.thread.start()
    try:
        yield made
    finally:
        made.stop()


def reply(query, *records, rcode="NOERROR", ede=None):
    """An answer with records "NAME TYPE RDATA", and an extended error as (code, text)."""
    made = dns.message.make_response(query, recursion_available=True)
    made.set_rcode(dns.rcode.from_text(rcode))
    for record in records:
        name, rdtype, rdata = record.split(" ", 2)
        made.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", rdtype, rdata))
    if ede:
        made.use_edns(0, options=[dns.edns.EDEOption(*ede)])
    return made


def a_record(address):
    """Makes the answers of a name with one A record."""

    def make(query):
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True)
        return reply(query, *([f"{name} A {address}"] if question.rdtype == 1 else []))

    return make

# SPDX-License-Identifier: BSD-3-Clause
"""Compares answers: cheaply where two packets are nearly the same, whole where they are not."""

import struct

import dns.message
import dns.name

from corpus import TTL, TTL_OF_LABEL

OPT = 41


def skip_name(wire, at):
    while wire[at]:
        if wire[at] >= 0xC0:
            return at + 2
        at += 1 + wire[at]
    return at + 1


def split_ttls(wire):
    """A packet with the TTLs of its records set to zero, and the list of these TTLs."""
    questions, *counts = struct.unpack_from("!4H", wire, 4)
    masked, ttls, at = bytearray(wire), [], 12
    for _ in range(questions):
        at = skip_name(wire, at) + 4
    for _ in range(sum(counts)):
        at = skip_name(wire, at)
        rdtype, _, ttl, length = struct.unpack_from("!2HIH", wire, at)
        if rdtype != OPT:
            ttls.append(ttl)
            masked[at + 4 : at + 8] = bytes(4)
        at += 10 + length
    return bytes(masked), ttls


def parse(wire):
    return dns.message.from_wire(wire, one_rr_per_rrset=True)


def records(section, qname):
    """A section as a set.

    The resolver shows other names than the query's in the case in which they were asked first. The
    query's own name must be as it was asked.
    """
    return {
        (
            rrset.name.labels if rrset.name == qname else rrset.name.canonicalize().labels,
            rrset.rdclass,
            rrset.rdtype,
            rrset[0].to_digestable(dns.name.root),
        )
        for rrset in section
    }


def parts(message):
    """All that must be equal in two answers."""
    qname = message.question[0].name if message.question else None
    edns = (message.edns, message.ednsflags, message.payload) if message.edns >= 0 else None
    return {
        "flags": (int(message.flags), message.opcode(), message.rcode()),
        "question": [(q.name.labels, q.rdtype, q.rdclass) for q in message.question],
        "answer": records(message.answer, qname),
        "authority": records(message.authority, qname),
        "additional": records(message.additional, qname),
        "edns": edns,
        "options": sorted((int(option.otype), option.to_wire()) for option in message.options),
    }


def ttl_in_zone(name):
    """The TTL of the records of a name in the zone file."""
    for label in name.canonicalize().labels:
        if label.decode("latin-1") in TTL_OF_LABEL:
            return TTL_OF_LABEL[label.decode("latin-1")]
    return TTL


def exceeds_ttl(message):
    """True when a TTL is longer than in the zone."""
    return any(
        rrset.ttl > ttl_in_zone(rrset.name)
        for section in message.sections[1:]
        for rrset in section
    )


def unequal(plain, gated):
    """What differs in two answers: names of parts, TTL and order aside; empty if nothing does."""
    plain_masked, plain_ttls = split_ttls(plain)
    gated_masked, gated_ttls = split_ttls(gated)
    if plain_masked == gated_masked and all(map(int.__le__, gated_ttls, plain_ttls)):
        return []
    plain_message, gated_message = parse(plain), parse(gated)
    plain_parts, gated_parts = parts(plain_message), parts(gated_message)
    found = [part for part in plain_parts if plain_parts[part] != gated_parts[part]]
    return found + (["TTL"] if exceeds_ttl(gated_message) else [])

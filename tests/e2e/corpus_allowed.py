# SPDX-License-Identifier: BSD-3-Clause
"""The differences that are allowed, each with its reason.

Unbound's answers depend on what is cached. It stores every response that it gets on its way, also
one to a step of QNAME minimisation or to a target of a CNAME, as if a client had asked for it; the
module must not let it do so with addresses, as these would then be served unjudged. So a resolver
with the module may have less in its cache, and asks for that again; and it has asked more often, by
which other things got there. Hence the rule: what differs from the plain resolver's answer must be
what a plain one answers in another state of its cache.
"""

import struct

import dns.edns
import dns.flags
import dns.name
import dns.rcode
import dns.rdatatype

from corpus_ask import TIMEOUT, Client
from corpus_compare import parse, parts

COLD = "as with an empty cache"
OTHER = "as with other answers cached"
BOGUS = "bogus from the cache, so a general EDE"
TRUNCATED = "truncated, other records fitted in"
ANY = "ANY from the types that are cached"
NO_RECURSION = "without recursion, from what is cached"
# A name of so many octets may have no room for another label.
LONG = 240
# The share of all comparisons that may have such a difference. A query without recursion meets
# nothing in the cache when the lease is over, which no module can mend, as none is asked.
SHARES = {COLD: 0.003, OTHER: 0.001, BOGUS: 0.001, TRUNCATED: 0.001, ANY: 0.005, NO_RECURSION: 0.03}


class Allowed:
    """Says why a difference is allowed."""

    def __init__(self, cold):
        """cold: a plain resolver, whose cache is emptied before each question"""
        self.cold = cold
        self.client = Client(cold.port)

    def reason(self, difference):
        query, plain, gated = difference.query, parse(difference.plain), parse(difference.gated)
        recursion = parse(query.wire).flags & dns.flags.RD
        if recursion and parts(self.ask(query)) == parts(gated):
            return COLD
        if recursion and self.is_known_state(query, gated):
            return OTHER
        if difference.parts == ["options"] and gated.rcode() == dns.rcode.SERVFAIL:
            if ede_codes(gated) == [dns.edns.EDECode.DNSSEC_BOGUS] and ede_codes(plain):
                return BOGUS
        whole = self.ask(query, tcp=True)
        known = parts(whole)
        if query.rdtype == "ANY":
            known["answer"] = self.types(query, gated)
        for alias in aliases(gated):
            known["answer"] |= parts(self.ask_about(alias.name, "CNAME"))["answer"]
        is_part = without_signatures(parts(gated)["answer"]) <= without_signatures(known["answer"])
        if not is_part or parts(gated)["edns"] != known["edns"]:
            return None
        if not recursion:
            rcodes = (dns.rcode.NOERROR, dns.rcode.SERVFAIL, whole.rcode())
            return NO_RECURSION if gated.rcode() in rcodes else None
        if gated.rcode() != whole.rcode():
            return None
        if query.rdtype == "ANY" and gated.answer:
            return ANY
        if plain.flags == gated.flags and gated.flags & dns.flags.TC:
            is_part = all(parts(gated)[part] <= known[part] for part in ("authority", "additional"))
            return TRUNCATED if is_part else None
        return None

    def is_known_state(self, query, gated):
        """True when a plain resolver answers so after other questions: the same one, asked for
        validated data; one below it, to which it was a step; an alias, or what that leads to."""
        qname = gated.question[0].name
        states = [[(qname, query.rdtype)]]
        if len(qname.to_wire()) < LONG:
            states.append([(dns.name.Name((b"a", *qname.labels)), query.rdtype)])
        for alias in aliases(gated):
            step, end = (alias.name, "A"), (alias[0].target, query.rdtype)
            states += [[step], [end], [step, end]]
        for state in states:
            self.empty()
            for name, rdtype in state:
                self.ask_about(name, rdtype, flush=False)
            if parts(self.ask(query, flush=False)) == parts(gated):
                return True
        return False

    def empty(self):
        self.cold.control("flush_zone", ".")

    def ask_about(self, name, rdtype, flush=True):
        if flush:
            self.empty()
        return self.cold.ask(name, rdtype, timeout=TIMEOUT)

    def ask(self, query, rdtype=None, tcp=None, flush=True):
        """The answer to a query, by default with nothing cached, and always with recursion.

        rdtype, tcp: to ask so instead of as the query does
        """
        wire = bytearray(query.wire)
        wire[2] |= dns.flags.RD >> 8
        if rdtype is not None:
            struct.pack_into("!H", wire, wire.index(b"\0", 12) + 1, rdtype)
        if flush:
            self.empty()
        query = query._replace(wire=bytes(wire), tcp=query.tcp if tcp is None else tcp)
        return parse(self.client.ask(query))

    def types(self, query, gated):
        """The records of a name, of the types that an answer to ANY bears."""
        rdtypes = {rrset.rdtype for rrset in gated.answer} - {dns.rdatatype.RRSIG}
        answers = [self.ask(query, rdtype, tcp=True) for rdtype in rdtypes]
        return set().union(*(parts(answer)["answer"] for answer in answers))


def aliases(message):
    return [rrset for rrset in message.answer if rrset.rdtype == dns.rdatatype.CNAME]


def ede_codes(message):
    return [option.code for option in message.options if isinstance(option, dns.edns.EDEOption)]


def without_signatures(records):
    """Signatures come with ANY always, with other types only if they are asked for."""
    return {record for record in records if record[2] != dns.rdatatype.RRSIG}

# SPDX-License-Identifier: BSD-3-Clause
"""What ways expect of answers, beyond what a Probe knows."""

import dns.edns
import dns.flags
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from world import BLOCK4, BLOCK6, BLOCK_TEXT, BLOCK_TTL, LEASE, LOOK, OURS, ede, row

# Late enough for a change of the store to be seen, and for the lease of every message to be over.
AFTER_LEASE = LEASE + LOOK
# Lines that switch serving of expired answers on: at once, or when the upstream let clients wait.
# Versions differ in what they do if nothing is said about that.
SERVED = [
    *["serve-expired: yes", "ede: yes", "ede-serve-expired: yes"],
    "serve-expired-client-timeout: 0",
]
WAITED = [*SERVED[:-1], "serve-expired-client-timeout: 100"]
# What Unbound says of an answer whose data has expired.
STALE_TTL = 30
STALE_EDE = 3
CENSORED_EDE = 16


def clock_to(probe, seconds):
    probe.world.clock.move(probe.world.unbound, seconds)


def control(probe, *arguments):
    return probe.world.unbound.control(*arguments)


def plain_name(probe, name):
    """The name in full, as the feed has it."""
    return probe.way.full_name(name).rstrip(".")


def permit(probe, *names):
    probe.world.site.add(*(row(plain_name(probe, name)) for name in names))


def forbid(probe, *names):
    site = probe.world.site
    for name in names:
        del site.rows[plain_name(probe, name), "qcloud"]
    site.load()


def rdatas(rdtype, texts):
    """Records, parsed, from the words of a zone file."""
    number = dns.rdatatype.from_text(rdtype)
    return {dns.rdata.from_text(dns.rdataclass.IN, number, text) for text in texts}


def is_checked(probe, before):
    """False where an answer is not to be looked at further: it leaked, or nobody blocks."""
    return probe.has_module and len(probe.leaks) == before


def expect_nodata(probe, name, rdtype="HTTPS", reason="unfiled", domain=None, **how):
    """No answer but an SOA, with the reason."""
    before = len(probe.leaks)
    response = probe.ask(name, rdtype, **how)
    if is_checked(probe, before):
        assert_nodata(response)
        if how.get("payload", 0) is not None:
            text = f"{reason} {domain or plain_name(probe, name)}; {BLOCK_TEXT}"
            assert ede(response) == (CENSORED_EDE, text), response
    return response


def assert_nodata(response):
    assert response.rcode() == dns.rcode.NOERROR
    assert not response.answer and not response.additional, response
    (soa,) = response.authority
    assert soa.rdtype == dns.rdatatype.SOA
    assert soa.ttl == BLOCK_TTL and soa[0].minimum == BLOCK_TTL
    assert not response.flags & dns.flags.AD


def expect_any_blocked(probe, name, **how):
    """The block page's A and AAAA, and nothing else."""
    before = len(probe.leaks)
    response = probe.ask(name, "ANY", **how)
    if is_checked(probe, before):
        found = {(rrset.rdtype, rdata.address) for rrset in response.answer for rdata in rrset}
        assert found == {(dns.rdatatype.A, BLOCK4), (dns.rdatatype.AAAA, BLOCK6)}, response
        assert all(rrset.ttl == BLOCK_TTL for rrset in response.answer)
        assert not response.flags & dns.flags.AD
    return response


def expect_records(probe, name, rdtype, texts, allowed=(), **how):
    """The answer holds these records of the type, no others; `allowed` are secrets that may be in
    it."""
    response = probe.ask(name, rdtype, allowed=allowed, **how)
    assert response.rcode() == dns.rcode.NOERROR
    number = dns.rdatatype.from_text(rdtype)
    found = {rdata for rrset in response.answer if rrset.rdtype == number for rdata in rrset}
    assert found == rdatas(rdtype, texts), response
    return response


def expect_stale(probe, name, rdtype="A", addresses=(OURS,), ttl=STALE_TTL, **how):
    """Real addresses, though their data has expired."""
    response = probe.expect_real(name, rdtype, addresses, **how)
    assert_stale(response, ttl)
    return response


def assert_stale(response, ttl=STALE_TTL):
    assert {rrset.ttl for rrset in response.answer} == {ttl}, response
    assert (ede(response) or (None, ""))[0] == STALE_EDE, response


def expect_fresh(probe, name, rdtype="A", addresses=(OURS,), **how):
    """Real addresses, and their data has not expired."""
    response = probe.expect_real(name, rdtype, addresses, **how)
    assert_fresh(response)
    return response


def assert_fresh(response):
    assert all(rrset.ttl > STALE_TTL for rrset in response.answer), response
    assert ede(response) is None, response

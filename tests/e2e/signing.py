# SPDX-License-Identifier: BSD-3-Clause
"""Signs the zones of tests: ECDSA, NSEC, one key for all that a test run signs."""

import functools
import time

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.zone

HOUR = 3600


@functools.cache
def key_pair():
    """The private key and its DNSKEY."""
    # Only signed zones need this package.
    from cryptography.hazmat.primitives.asymmetric import ec

    private = ec.generate_private_key(ec.SECP256R1())
    return private, dns.dnssec.make_dnskey(
        private.public_key(), dns.dnssec.ECDSAP256SHA256, flags=257
    )


def trust_anchor(origin):
    """The line of unbound.conf for a zone signed here."""
    return f'trust-anchor: "{origin} DNSKEY {key_pair()[1].to_text()}"'


def ds_text(origin):
    """The rdata of the DS record of a zone signed here."""
    return dns.dnssec.make_ds(dns.name.from_text(origin), key_pair()[1], "SHA256").to_text()


def sign_zone(text, origin, bogus=()):
    """The signed form of a zone file.

    bogus: owner names, all of whose signatures are broken
    """
    apex = dns.name.from_text(origin)
    broken = {dns.name.from_text(name) for name in bogus}
    zone = dns.zone.from_text(text, apex, relativize=False)
    ttl = zone.get_rdataset(apex, "SOA").ttl
    zone.replace_rdataset(apex, dns.rdataset.from_rdata(ttl, key_pair()[1]))
    cuts = {name for name in zone if name != apex and zone.get_rdataset(name, "NS")}
    glue = {name for name in zone if any(is_below(name, cut) for cut in cuts)}
    signed = sorted(name for name in zone if name not in glue)
    for name, following in zip(signed, signed[1:] + signed[:1]):
        zone.replace_rdataset(name, nsec(zone, name, following, name in cuts))
    lines = []
    for name, rdatasets in zone.items():
        for rdataset in rdatasets:
            lines.append(rdataset.to_text(name))
            is_cut = name in cuts and rdataset.rdtype not in (
                dns.rdatatype.DS,
                dns.rdatatype.NSEC,
            )
            if name not in glue and not is_cut:
                signature = sign(name, rdataset, apex, name in broken)
                lines.append(f"{name} {rdataset.ttl} IN RRSIG {signature.to_text()}")
    return "\n".join(lines) + "\n"


def is_below(name, cut):
    return name != cut and name.is_subdomain(cut)


def nsec(zone, name, following, is_cut):
    """The NSEC of a name; at a cut it speaks for NS and DS alone."""
    types = [rdataset.rdtype for rdataset in zone.find_node(name)]
    if is_cut:
        types = [each for each in types if each in (dns.rdatatype.NS, dns.rdatatype.DS)]
    types = sorted(set(types) | {dns.rdatatype.RRSIG, dns.rdatatype.NSEC})
    text = " ".join([following.to_text(), *map(dns.rdatatype.to_text, types)])
    return dns.rdataset.from_text(dns.rdataclass.IN, dns.rdatatype.NSEC, 60, text)


def sign(name, rdataset, apex, is_broken):
    private, key = key_pair()
    rrset = dns.rrset.from_rdata_list(name, rdataset.ttl, list(rdataset))
    now = int(time.time())
    rrsig = dns.dnssec.sign(
        rrset, private, apex, key, inception=now - HOUR, expiration=now + 30 * 24 * HOUR
    )
    if name.is_wild():
        rrsig = sign_wildcard(rrset, rrsig)
    if is_broken:
        rrsig = rrsig.replace(signature=bytes(octet ^ 0x55 for octet in rrsig.signature))
    return rrsig


def sign_wildcard(rrset, rrsig):
    """Signs again: dnspython counts the asterisk among the labels, which RFC 4034 does not."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import ec, utils

    rrsig = rrsig.replace(labels=rrsig.labels - 1, signature=b"")
    data = dns.dnssec._make_rrsig_signature_data(rrset, rrsig)
    numbers = utils.decode_dss_signature(key_pair()[0].sign(data, ec.ECDSA(hashes.SHA256())))
    return rrsig.replace(signature=b"".join(number.to_bytes(32, "big") for number in numbers))

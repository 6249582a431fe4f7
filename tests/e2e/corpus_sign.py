# SPDX-License-Identifier: BSD-3-Clause
"""The zone files of the corpus: delegations, keys, signatures (by ldns), and what is spoilt."""

import re
import shutil
import subprocess

from corpus import LAME, ROOT_LEVEL, TTL, ZONE_LEVEL

ALGORITHM = "ECDSAP256SHA256"
ROOT_HOST = "a.root."


class Signer:
    """Keys of the zones that have signatures, in one directory."""

    def __init__(self, directory, zones):
        assert shutil.which("ldns-signzone"), "ldns-signzone is missing (Debian: ldnsutils)"
        self.directory = directory
        signed = [zone for zone in zones if zone.signing is not None]
        self.bases = {zone.origin: self.make_key(zone) for zone in signed}

    def run(self, *command):
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, encoding="ascii", check=False
        )
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
        return done.stdout.strip()

    def make_key(self, zone):
        return self.run("ldns-keygen", "-a", ALGORITHM, "-k", zone.origin)

    def record(self, origin, kind):
        """The data of a zone's DS or DNSKEY record as text."""
        suffix = {"DS": "ds", "DNSKEY": "key"}[kind]
        text = (self.directory / f"{self.bases[origin]}.{suffix}").read_text(encoding="ascii")
        return text.partition(f"{kind}\t")[2].partition(";")[0].strip()

    def sign(self, zone, text):
        base = self.bases[zone.origin]
        (self.directory / "unsigned").write_text(text, encoding="ascii")
        options = [*zone.signing, "-o", zone.origin, "-f", "signed", "unsigned", base]
        self.run("ldns-signzone", *options)
        return (self.directory / "signed").read_text(encoding="ascii")


def host_of(zone):
    """The name of the host that serves a zone."""
    return ROOT_HOST if zone.origin == "." else zone.fqdn("ns")


def delegation(zone, server, signer):
    """What the parent says about a zone."""
    name = zone.fqdn("@")
    lines = [f"{name} NS {host_of(zone)}", f"{host_of(zone)} A {server}"]
    if zone.delegation == "signed":
        lines.append(f"{name} DS {signer.record(zone.origin, 'DS')}")
    elif zone.delegation != "none":
        lines.append(f"{name} {zone.delegation}")
    return lines


def zone_text(zone, zones, servers, signer):
    host = host_of(zone)
    lines = [
        f"$ORIGIN {zone.fqdn('@')}",
        f"$TTL {TTL}",
        f"@ SOA {host} hostmaster.{host} 1 3600 900 86400 {TTL}",
        f"@ NS {host}",
        f"{host} A {servers[zone.level]}",
        *zone.records,
    ]
    for child in zones:
        if child.parent == zone.origin:
            lines += delegation(child, servers[child.level], signer)
    if zone.origin == "cn":
        lines += [f"{LAME}. NS ns.{LAME}.", f"ns.{LAME}. A {servers[ZONE_LEVEL]}"]
    return "\n".join(lines) + "\n"


def spoil(zone, text):
    """Breaks some records of a signed zone, each in another way."""
    kept = []
    for line in text.splitlines():
        owner, _, _, rdtype, *rdata = line.split()
        label = owner.split(".")[0]
        covered = rdata[0] if rdtype == "RRSIG" else rdtype
        unsigned = label == "unsigned" or owner.startswith("*.spoilt.") or covered == "NSEC3"
        if unsigned and rdtype == "RRSIG" and covered != "NSEC":
            continue
        if label == "undeniable" and covered == "NSEC":
            continue
        if label == "changed" and rdtype != "RRSIG":
            line = line.replace("192.0.2.61", "192.0.2.64").replace("text", "other")
        if label == "changedalias" and rdtype == "CNAME":
            line = line.replace("www.", "abroad.")
        kept.append(line)
    assert len(kept) < len(text.splitlines()) and "192.0.2.64" in "".join(kept), zone.origin
    return "\n".join(kept) + "\n"


def write_zones(zones, servers, signer):
    """The zones of each level as {origin: text}, for as many name servers."""
    texts = [{} for _ in range(1 + max(zone.level for zone in zones))]
    for zone in zones:
        text = zone_text(zone, zones, servers, signer)
        if zone.signing is not None:
            text = signer.sign(zone, text)
        if re.match(r"broken\d?\.", zone.origin):
            text = spoil(zone, text)
        texts[zone.level][zone.origin] = text
    assert texts[ROOT_LEVEL], "no root"
    return texts

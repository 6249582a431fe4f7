# SPDX-License-Identifier: BSD-3-Clause
"""The rules of the verdict, stated a second time, slowly, for tests to compare with.

Written from the contract's section 4 alone. Names are lower-case A-labels without a trailing dot,
times are seconds since 1970 (UTC), addresses and prefixes are those of the module ipaddress.
"""

import ipaddress
from dataclasses import dataclass, field

PERMITTING = ["filed", "changing", "rectifying", "transfer-preapproved"]
BLOCKING = [
    "pending",
    "transfer-expired",
    "transfer-cancelled",
    "deregistered",
    "rectify-overdue",
    "licence-address-mismatch",
]
MISMATCH = "licence-address-mismatch"
TRANSFER_SECONDS = 45 * 86400


@dataclass
class Row:
    """One (domain, provider) pair. Of the times, `expires_at` and `rectify_by` are the first
    second that is over."""

    domain: str
    provider: str
    status: str
    number: str = ""
    approved_at: int | None = None
    expires_at: int | None = None
    rectify_by: int | None = None
    licensed: list = field(default_factory=list)


@dataclass
class Policy:
    scope: str = "provider"
    providers: list = field(default_factory=lambda: ["qcloud"])
    mixed: str = "block"
    rectify_overdue: str = "pass"
    licence_addresses: str = "report"
    exempt: list = field(default_factory=list)
    nat64_prefixes: list = field(default_factory=list)


@dataclass
class Ruling:
    """What is said of one address."""

    mainland: bool
    provider: str | None
    gated: bool
    verdict: str
    reason: str
    warnings: list = field(default_factory=list)


@dataclass
class Judgement:
    verdict: str
    reason: str
    covering: str | None
    addresses: list


class Ranges:
    """The range database: `entries` are (prefix, country, provider or "")."""

    def __init__(self, entries, mainland="CN", with_provider=True):
        # The longest prefix that holds an address is the first one met.
        self.entries = sorted(entries, key=lambda entry: -entry[0].prefixlen)
        self.mainland = mainland
        self.with_provider = with_provider

    def find(self, address):
        """Whether an unmapped address is mainland, and its provider or None."""
        for prefix, country, provider in self.entries:
            if prefix.version == address.version and address in prefix:
                known = provider if self.with_provider and provider else None
                return country == self.mainland, known
        return False, None


def embedded_ipv4(address, prefix):
    """The IPv4 address inside an address under a NAT64 prefix (RFC 6052, 2.2)."""
    octets = address.packed
    start = prefix.prefixlen // 8
    # Octet 8 is always zero: an IPv4 address that would cover it continues behind it.
    following = [at for at in range(start, 16) if at != 8][:4]
    return ipaddress.IPv4Address(bytes(octets[at] for at in following))


def unmap(address, nat64_prefixes):
    if address.version == 4:
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    for prefix in nat64_prefixes:
        if address in prefix:
            return embedded_ipv4(address, prefix)
    return address


def parents(name):
    """The name and every parent of it, nearest first."""
    labels = name.split(".")
    return [".".join(labels[at:]) for at in range(len(labels))]


def is_under(name, suffix):
    return suffix in parents(name)


def permits_by_status(policy, row, now):
    if row.status in ("filed", "changing"):
        return True
    if row.status == "rectifying":
        return now < row.rectify_by or policy.rectify_overdue == "pass"
    if row.status == "transfer-preapproved":
        return row.approved_at <= now < row.expires_at
    return False


def mismatches(row, address):
    """True when the row is bound to addresses and this one is not among them."""
    if not row.licensed:
        return False
    return not any(p.version == address.version and address in p for p in row.licensed)


def permits(policy, row, address, now):
    if not permits_by_status(policy, row, now):
        return False
    return not (policy.licence_addresses == "enforce" and mismatches(row, address))


def block_reason(policy, row, address, now):
    """Why a row that does not permit does not."""
    if permits_by_status(policy, row, now):
        assert policy.licence_addresses == "enforce" and mismatches(row, address)
        return MISMATCH
    if row.status == "transfer-preapproved":
        return "pending" if now < row.approved_at else "transfer-expired"
    if row.status == "rectifying":
        return "rectify-overdue"
    return row.status


def labels(domain):
    return domain.count(".") + 1


def reason_of_gated(policy, counting, address, provider, now):
    """Verdict, reason and warnings for a gated (unmapped) address of a provider, or of None."""
    own = [row for row in counting if provider is None or row.provider == provider]

    permitting = [row for row in own if permits(policy, row, address, now)]
    if permitting:
        chosen = min(
            permitting,
            key=lambda row: (
                -labels(row.domain),
                PERMITTING.index(row.status),
                mismatches(row, address),
            ),
        )
        warn = policy.licence_addresses == "report" and mismatches(chosen, address)
        return "pass", chosen.status, [MISMATCH] if warn else []

    if own:
        nearest = max(labels(row.domain) for row in own)
        reasons = {
            block_reason(policy, row, address, now)
            for row in own
            if labels(row.domain) == nearest
        }
        return "block", min(reasons, key=BLOCKING.index), []

    if any(permits(policy, row, address, now) for row in counting):
        return "block", "filed-elsewhere", []
    return "block", "unfiled", []


def rule(policy, name, address, counting, ranges, now):
    """The ruling on one address."""
    plain = unmap(address, policy.nat64_prefixes)
    mainland, provider = ranges.find(plain)
    gated = mainland and (policy.scope == "mainland" or provider in policy.providers)
    if any(is_under(name, suffix) for suffix in policy.exempt):
        verdict, reason, warnings = "pass", "exempt", []
    elif not gated:
        verdict, reason, warnings = "pass", "not-gated", []
    else:
        verdict, reason, warnings = reason_of_gated(policy, counting, plain, provider, now)
    return Ruling(mainland, provider, gated, verdict, reason, warnings)


def judge(policy, name, addresses, rows, ranges, now):
    covers = parents(name)
    counting = [row for row in rows if row.domain in covers]
    covering = max((row.domain for row in counting), key=labels, default=None)

    rulings = [rule(policy, name, address, counting, ranges, now) for address in addresses]
    gated = [ruling for ruling in rulings if ruling.gated]
    blocked = [ruling for ruling in rulings if ruling.verdict == "block"]

    if policy.mixed == "strip":
        verdict = "block" if blocked and len(blocked) == len(rulings) else "pass"
    else:
        verdict = "block" if blocked else "pass"

    if blocked:
        reason = blocked[0].reason
    elif gated:
        reason = gated[0].reason
    else:
        reason = "not-gated"
    return Judgement(verdict, reason, covering, rulings)

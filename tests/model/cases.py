# SPDX-License-Identifier: BSD-3-Clause
"""Random cases for the model test: rows, ranges, a configuration, a time, and lines to judge.

The universes are small on purpose, so that names, providers, addresses and times meet each other
often. Everything comes from the random generator given, so a seed gives the same cases again.
"""

import ipaddress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from commands import CHINA, COLUMNS
from oracle import PERMITTING, TRANSFER_SECONDS, Policy, Ranges, Row, unmap

DAY = 86400
PROVIDERS = ["qcloud", "acloud", "t-9"]
STATUSES = [*PERMITTING, "pending", "transfer-cancelled", "deregistered"]

BASES = ["alpha.cn", "beta.com.cn", "xn--fsqu00a.xn--fiqs8s", "gamma.com", "xn--fa-hia.de"]
LABELS = ["a", "b", "www", "xn--fsqu00a", "xn--bcher-kva"]
U_LABELS = {
    "xn--fsqu00a": ["例子"],
    "xn--fiqs8s": ["中国"],
    "xn--bcher-kva": ["bücher", "BÜCHER", "Bu\u0308cher"],
    "xn--fa-hia": ["faß"],
    "a": ["ａ", "Ａ"],
    "www": ["ｗｗｗ"],
}
DOTS = [".", "\u3002", "\uff0e", "\uff61"]

RANGES = [
    *["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.2.128/25", "10.1.2.3/32"],
    *["10.2.0.0/15", "10.3.3.0/24", "0.0.0.0/0", "2001:db8::/32", "2001:db8:1::/48"],
    *["2001:db8:1::5/128", "64:ff9b::/96", "2002::/16", "2001:db8:64::/96"],
]
NAT64 = ["64:ff9b::/96", "2001:db8:64::/96", "2001:db8:6400::/40", "2001:db8:1:2::/64"]
NAT64 += ["2001:db9::/32", "2001:db8:9:900::/56", "2001:db8:a::/48"]


@dataclass
class Line:
    """One line to judge; without addresses it asks for a gated address of the first provider."""

    text: str
    name: str
    addresses: list


@dataclass
class Group:
    policy: Policy
    ranges: Ranges
    settings: dict
    now: int
    rows: list
    feed_columns: list
    feed: list
    lines: list


def chance(rng, share):
    return rng.random() < share


def write_name(rng, name):
    """A way in which people write this A-label name."""
    labels = []
    for label in name.split("."):
        if label in U_LABELS and chance(rng, 0.3):
            labels.append(rng.choice(U_LABELS[label]))
        elif chance(rng, 0.2):
            labels.append("".join(rng.choice([c, c.upper()]) for c in label))
        else:
            labels.append(label)
    dot = rng.choice(DOTS) if chance(rng, 0.05) else "."
    return dot.join(labels) + ("." if chance(rng, 0.1) else "")


def write_time(rng, seconds, through=False):
    """A notation of a time. Where the time allows it, also a date: its first second at UTC+8, or
    (through) the last date that ends before it."""
    if (seconds + 8 * 3600) % DAY == 0 and chance(rng, 0.7):
        return datetime.fromtimestamp(seconds - (1 if through else 0), CHINA).date().isoformat()
    minutes = rng.choice([0, 0, 480, 480, -330, 840, -60])
    zone = timezone(timedelta(minutes=minutes))
    text = datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%dT%H:%M:%S")
    if chance(rng, 0.2):
        text += rng.choice([".0", ".5", ".999999999"])
    if minutes == 0 and chance(rng, 0.6):
        text += "Z"
    else:
        text += f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"
    return text.lower() if chance(rng, 0.05) else text


def near(rng, now):
    """A time at an edge of now, or now and then far from it."""
    if chance(rng, 0.85):
        return now + rng.choice([-1, 0, 1])
    return now + rng.randint(-90, 90) * DAY


def make_now(rng):
    day = rng.randint(18263, 22280)  # 2020 to 2030
    if chance(rng, 0.6):  # at an edge of a date, as UTC+8 has it
        return day * DAY - 8 * 3600 + rng.choice([-1, 0, 1])
    return day * DAY + rng.randrange(DAY)


def make_domains(rng):
    domains = []
    for base in rng.sample(BASES, rng.randint(1, 2)):
        for _ in range(rng.randint(1, 6)):
            above = [rng.choice(LABELS[:3] if chance(rng, 0.8) else LABELS) for _ in range(3)]
            domains.append(".".join([*above[: rng.choice([0, 0, 1, 1, 2, 3])], base]))
    return sorted(set(domains))


def make_address(rng):
    """An address at or near an edge of a range, plain or inside IPv6."""
    prefix = ipaddress.ip_network(rng.choice(RANGES))
    edge = rng.choice([prefix.network_address, prefix.broadcast_address])
    number = int(edge) + rng.choice([-1, 0, 0, 0, 1])
    if prefix.version == 6:
        return ipaddress.IPv6Address(number % 2**128)
    plain = ipaddress.IPv4Address(number % 2**32)
    way = rng.random()
    if way < 0.15:
        return ipaddress.IPv6Address(0xFFFF << 32 | int(plain))
    if way < 0.35:
        return translate(plain, ipaddress.ip_network(rng.choice(NAT64)))
    if way < 0.4:  # 6to4: holds an IPv4 address, but no rule of the contract speaks of it
        return ipaddress.IPv6Address(0x2002 << 112 | int(plain) << 80)
    return plain


def make_addresses(rng, policy, ranges):
    """Addresses to choose from, about half of them mainland."""
    drawn = [make_address(rng) for _ in range(120)]
    inside = [a for a in drawn if ranges.find(unmap(a, policy.nat64_prefixes))[0]]
    outside = [a for a in drawn if a not in inside]
    return [*inside[:16], *outside[:10]]


def translate(plain, prefix):
    """The address that stands for an IPv4 address under a NAT64 prefix."""
    octets = bytearray(prefix.network_address.packed)
    places = [at for at in range(prefix.prefixlen // 8, 16) if at != 8][:4]
    for at, octet in zip(places, plain.packed):
        octets[at] = octet
    return ipaddress.IPv6Address(bytes(octets))


def make_ranges(rng):
    entries = []
    for prefix in rng.sample(RANGES, rng.randint(2, 10)):
        country = "CN" if chance(rng, 0.7) else rng.choice(["HK", "US"])
        entries.append((prefix, country, rng.choice([*PROVIDERS, "qcloud", ""])))
    if not any(country == "CN" for _, country, _ in entries):
        entries[0] = (entries[0][0], "CN", entries[0][2])
    return entries


def make_policy(rng, domains):
    exempt = []
    if chance(rng, 0.25):
        exempt.append(rng.choice([*domains, "a." + rng.choice(domains), "de", "lpha.cn"]))
    return Policy(
        scope=rng.choice(["provider", "provider", "mainland"]),
        providers=rng.sample(PROVIDERS, rng.choice([1, 1, 2, 3])),
        mixed=rng.choice(["block", "strip"]),
        rectify_overdue=rng.choice(["pass", "block"]),
        licence_addresses=rng.choice(["ignore", "report", "enforce"]),
        exempt=exempt,
        nat64_prefixes=[
            ipaddress.ip_network(prefix) for prefix in rng.sample(NAT64, rng.choice([0, 1, 2, 4]))
        ],
    )


def make_settings(rng, policy, ranges):
    """The configuration file for a policy, without the store's and the database's path."""
    settings = {
        "scope": policy.scope,
        "providers": policy.providers,
        "ranges": {
            "mainland": {"path": ["country", "iso_code"], "equals": ranges.mainland},
        },
        "block": {"ipv4": "203.0.113.80"},
        "mixed": policy.mixed,
        "rectify_overdue": policy.rectify_overdue,
        "licence_addresses": policy.licence_addresses,
        "exempt": [write_name(rng, suffix) for suffix in policy.exempt],
        "nat64_prefixes": [str(prefix) for prefix in policy.nat64_prefixes],
    }
    if ranges.with_provider:
        settings["ranges"]["provider"] = {"path": ["provider"]}
    for key in ("mixed", "rectify_overdue", "licence_addresses", "exempt"):
        # A value that is the default may be left to the program.
        if settings[key] == getattr(Policy(), key) and chance(rng, 0.5):
            del settings[key]
    return settings


def make_licensed(rng, addresses):
    prefixes = set()
    for _ in range(rng.randint(1, 4)):
        address = rng.choice(addresses)
        length = address.max_prefixlen - rng.choice([0, 0, 1, 8, 24])
        prefixes.add(ipaddress.ip_network((address, length), strict=False))
    return sorted(prefixes, key=str)


def make_row(rng, domain, provider, statuses, licensed_share, now, plain_addresses):
    row = Row(domain, provider, rng.choice(statuses))
    row.number = rng.choice(["京ICP备11018762号-1", "京ICP备11018762号", "粤B2-20090059"])
    if row.status == "pending" and chance(rng, 0.5):
        row.number = ""
    if row.status == "transfer-preapproved":
        make_transfer(rng, row, now)
    elif chance(rng, 0.3):
        row.approved_at = near(rng, now)
    if row.status == "rectifying":
        row.rectify_by = near(rng, now)
    if chance(rng, licensed_share):
        row.number = "京ICP证030173号"
        row.licensed = make_licensed(rng, plain_addresses)
    return row


def make_transfer(rng, row, now):
    """Puts one end of the pre-approval's life, given or by default, at an edge of now."""
    edge = near(rng, now)
    row.approved_at, row.expires_at = rng.choice(
        [
            (edge, edge + TRANSFER_SECONDS),
            (edge - TRANSFER_SECONDS, edge),
            (edge, edge + rng.choice([1, 2, 30 * DAY])),
            (edge - rng.choice([1, 2, 60 * DAY]), edge),
        ]
    )


def write_row(rng, row):
    text = {
        "domain": write_name(rng, row.domain),
        "provider": row.provider,
        "status": row.status,
        "number": row.number,
        "licensed_addresses": " ".join(map(str, row.licensed)),
    }
    if row.approved_at is not None:
        text["approved_at"] = write_time(rng, row.approved_at)
    if row.rectify_by is not None:
        text["rectify_by"] = write_time(rng, row.rectify_by, through=True)
    if row.expires_at is not None:
        by_default = row.expires_at == row.approved_at + TRANSFER_SECONDS
        if not by_default or chance(rng, 0.3):
            text["expires_at"] = write_time(rng, row.expires_at, through=True)
    return text


def make_columns(rng, feed):
    """The feed's columns in any order; one that no row fills may be missing."""
    columns = [c for c in COLUMNS if any(row.get(c) for row in feed) or chance(rng, 0.5)]
    required = {"domain", "provider", "status"}
    columns = sorted(required.union(columns))
    rng.shuffle(columns)
    return columns


def make_query_name(rng, domains):
    name = rng.choice(domains)
    way = rng.random()
    if way < 0.6:
        above = [rng.choice([*LABELS[:3], "_dmarc"]) for _ in range(rng.choice([0, 0, 1, 2, 3]))]
        return ".".join([*above, name])
    if way < 0.7:
        return name.split(".", 1)[1]
    if way < 0.8:  # ends with the same letters, but is no child
        return "x" + name
    return rng.choice(BASES)


def make_line(rng, domains, addresses, may_omit):
    name = make_query_name(rng, domains)
    chosen = []
    if not (may_omit and chance(rng, 0.03)):
        chosen = [rng.choice(addresses) for _ in range(rng.choice([1, 1, 1, 2, 2, 3, 5]))]
    text = " ".join([write_name(rng, name), *map(str, chosen)])
    return Line(text, name, chosen)


def make_group(rng, line_count):
    """One group of cases, from a random.Random."""
    now = make_now(rng)
    domains = make_domains(rng)
    policy = make_policy(rng, domains)
    entries = make_ranges(rng)
    with_provider = policy.scope == "provider" or chance(rng, 0.6)
    ranges = Ranges(
        [(ipaddress.ip_network(prefix), country, owner) for prefix, country, owner in entries],
        mainland="CN",
        with_provider=with_provider,
    )
    addresses = make_addresses(rng, policy, ranges)
    plain = [address for address in addresses if address.version == 4]
    plain += [ipaddress.ip_address("2001:db8:1::5"), ipaddress.ip_address("10.1.2.3")]
    # Few kinds of rows in one group, so that equal ones meet.
    statuses = rng.sample(STATUSES, rng.choice([1, 2, 3, 7]))
    licensed_share = rng.choice([0, 0.2, 0.6])
    rows = [
        make_row(rng, domain, provider, statuses, licensed_share, now, plain)
        for domain in domains
        for provider in rng.sample(PROVIDERS, rng.choice([0, 1, 1, 2, 3]))
    ]
    rng.shuffle(rows)
    feed = [write_row(rng, row) for row in rows]
    # What a row's licensed addresses say of an address that is not named is nobody's promise.
    may_omit = with_provider and not any(row.licensed for row in rows)
    return Group(
        policy=policy,
        ranges=ranges,
        settings=make_settings(rng, policy, ranges),
        now=now,
        rows=rows,
        feed_columns=make_columns(rng, feed),
        feed=feed,
        lines=[make_line(rng, domains, addresses, may_omit) for _ in range(line_count)],
    )

# SPDX-License-Identifier: BSD-3-Clause
"""The data of the measurements, made from a seed: a feed of filed names, address ranges, and the
names that are asked. Every name is a function of its number, so one can be drawn without making all.

What is made is kept: a file that stands in the directory is not made again.
"""

import functools
import hashlib
import ipaddress
import json
import os
import random
import shutil
import subprocess
from pathlib import Path

SEED = 20261123
OURS = "qcloud"
OTHER = "acloud"
BLOCK = "203.0.113.80"
QUERIED = 60_000
FOREIGN, FILED = 42_000, 12_000  # Of these; the others are unfiled.
# Numbers from here on are of names that no feed holds.
FIRST_UNFILED = 1 << 40
FIRST_FOREIGN = 1 << 41
SHARE_OF_MAINLAND = 0.05  # Of its networks, for each of the two providers.
SHARE_ABROAD = 0.05  # Of the other networks, that names point at.

SYLLABLES = [c + v for c in "bcdfghjklmnpqrstwxyz" for v in ("a", "e", "i", "o", "u", "ang", "ing")]
SYLLABLES = (SYLLABLES * 2)[:256]
# Common ones more often.
SUFFIXES = ["com"] * 30 + ["cn"] * 16 + ["com.cn"] * 5 + ["net"] * 3 + ["org", "vip", "vip", "xyz"]
SUFFIXES += ["xyz", "top", "net.cn", "xn--fiqs8s", "org.cn", "cc"]
HOSTS = ["shop", "m", "static.cdn", "api", "img.static", "mail", "blog", "dev"]
STATUSES = ["filed"] * 57 + ["changing", "rectifying", "transfer-preapproved", "pending", "pending"]
STATUSES += ["transfer-cancelled", "deregistered"]
PERMITTING = ("filed", "changing", "rectifying", "transfer-preapproved")
SYLLABLE_COUNTS = (1, 1, 2, 2, 2, 3, 4, 8)
HEADER = "domain,provider,status,number,approved_at,expires_at,rectify_by,licensed_addresses"
MASK = (1 << 64) - 1
assert len(SUFFIXES) == len(STATUSES) == 64


def mix(number):
    """splitmix64: 64 bits that look random."""
    z = (number + SEED) * 0x9E3779B97F4A7C15 & MASK
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9 & MASK
    z = (z ^ z >> 27) * 0x94D049BB133111EB & MASK
    return z ^ z >> 31


def unpack(directory, name):
    """One of the files of real data."""
    target = directory / name
    if not target.is_file():
        shared = os.environ.get("ICP_SHARED_DATA")
        if not shared or shutil.which("zstd") is None:
            raise SystemExit(f"bench: ICP_SHARED_DATA (for {name}.zst) and zstd are needed")
        part = directory / (name + ".part")
        subprocess.run(["zstd", "-dqfo", part, Path(shared) / (name + ".zst")], check=True)
        os.replace(part, target)
    return target


def write_whole(path, lines):
    """Writes a file under another name first, so that one that stands there is whole."""
    part = path.with_name(path.name + ".part")
    with open(part, "w", encoding="utf-8", buffering=1 << 20) as file:
        file.writelines(lines)
    os.replace(part, path)


def write_manifest(path, kind, sequence, rows):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    manifest = {"kind": kind, "sequence": sequence, "rows": rows, "sha256": digest.hexdigest()}
    manifest["as_of"] = "2026-11-23T02:00:00+08:00"
    write_whole(path.with_name(path.name + ".json"), [json.dumps(manifest)])


class Names:
    """Names by their number: first the real ones, then made-up ones without end."""

    def __init__(self, real=()):
        self.real = real
        self.taken = frozenset(real)

    def name(self, number, z):
        """Registered names, and some hosts in them: 7 to some 50 octets, most about 15. The number
        is part of a made-up one, so no two are alike."""
        if number < len(self.real):
            return self.real[number]
        syllables = ""
        bits = z
        for _ in range(SYLLABLE_COUNTS[z >> 57 & 7]):
            syllables += SYLLABLES[bits & 255]
            bits >>= 6
        name = f"{syllables}{number:x}.{SUFFIXES[z >> 40 & 63]}"
        if z >> 50 & 31 == 0:
            name = f"{HOSTS[z >> 47 & 7]}.{name}"
        return f"x{name}" if name in self.taken else name

    @staticmethod
    def filing(number, z, version=1):
        """Provider and status of the row of a name: each has one. The second version of a feed takes
        some permissions away, fewer than the loader's guard minds."""
        provider = OTHER if z >> 20 & 15 == 0 else OURS
        status = STATUSES[z >> 26 & 63]
        if version > 1 and number % 500 == 0:
            status = "deregistered"
        return provider, status

    def permits(self, number):
        provider, status = self.filing(number, mix(number))
        return provider == OURS and status in PERMITTING

    def line(self, number, version=1):
        """A row of the feed, without its end; it permits or not whatever the time."""
        z = mix(number)
        provider, status = self.filing(number, z, version)
        filing = f"京ICP备{z % 100_000_000:08}号-{z >> 32 & 7}"
        approved = f"20{10 + (z >> 5) % 15}-{1 + (z >> 9) % 12:02}-{1 + (z >> 13) % 28:02}"
        expires = "2099-12-31" if status == "transfer-preapproved" else ""
        rectify = "2099-06-30" if status == "rectifying" else ""
        licensed = f"198.51.100.{z & 255}" if z >> 10 & 31 == 0 else ""
        name = self.name(number, z)
        return f"{name},{provider},{status},{filing},{approved},{expires},{rectify},{licensed}"


def real_names(directory):
    text = unpack(directory, "cn-domains.txt").read_text(encoding="ascii")
    return [name for name in text.split() if "." in name]


def networks(reader, version):
    """The networks of a country database with their country."""
    kind, width = (ipaddress.IPv4Address, 32) if version == 4 else (ipaddress.IPv6Address, 128)
    at, end = (0, 1 << 32) if version == 4 else (0x2000 << 112, 0x4000 << 112)
    while at < end:
        record, bits = reader.get_with_prefix_len(kind(at))
        if record and record.get("country_code"):
            yield f"{kind(at)}/{bits}", record["country_code"]
        at = ((at >> width - bits) + 1) << width - bits


class Ranges:
    """The real country database, with providers for some of its mainland networks."""

    def __init__(self, directory, build):
        self.path = directory / "ranges.mmdb"
        listing = directory / "networks.json"
        if not self.path.is_file() or not listing.is_file():
            self.make(directory, build, listing)
        self.gated, self.abroad = json.loads(listing.read_text(encoding="ascii"))
        self.gated4 = [network for network in self.gated if ":" not in network]

    def make(self, directory, build, listing):
        import maxminddb  # pylint: disable=import-outside-toplevel  # Not needed again.

        lots = random.Random(SEED)
        gated, abroad, lines = [], [], ["prefix,country,provider\n"]
        with maxminddb.open_database(str(unpack(directory, "country.mmdb"))) as reader:
            for version in (4, 6):
                for network, country in networks(reader, version):
                    provider = ""
                    lot = lots.random()
                    if country == "CN" and lot < SHARE_OF_MAINLAND:
                        provider = OURS
                        gated.append(network)
                    elif country == "CN" and lot < 2 * SHARE_OF_MAINLAND:
                        provider = OTHER
                    elif country != "CN" and version == 4 and lot < SHARE_ABROAD:
                        abroad.append(network)
                    lines.append(f"{network},{country},{provider}\n")
        source = directory / "ranges.csv"
        write_whole(source, lines)
        command = [build / "db-tools" / "icpgate", "ranges", source, self.path]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        write_whole(listing, [json.dumps([gated, abroad])])


@functools.lru_cache(maxsize=1 << 16)
def network_of(text):
    return ipaddress.ip_network(text)


class World:
    """One size of the index: feed, store, configuration."""

    def __init__(self, directory, build, count):
        self.directory = directory
        self.build = build
        self.count = count
        self.names = Names(real_names(directory))
        self.ranges = Ranges(directory, build)
        self.store = directory / f"store-{count}"
        self.conf = directory / f"icpgate-{count}.conf"
        self.conf.write_text(self.configuration(self.store), encoding="ascii")

    def configuration(self, store):
        return (
            f"store: {store}\n"
            f"providers: [{OURS}]\n"
            "ranges:\n"
            f"  database: {self.ranges.path}\n"
            "  mainland: {path: [country, iso_code], equals: CN}\n"
            "  provider: {path: [provider]}\n"
            f"block: {{ipv4: {BLOCK}}}\n"
        )

    def feed(self, version=1):
        """A full feed with its manifest, which is written last."""
        path = self.directory / f"feed-{self.count}-{version}.csv"
        if not path.with_name(path.name + ".json").is_file():

            def lines():
                yield HEADER + "\n"
                for number in range(self.count):
                    yield self.names.line(number, version) + "\n"

            write_whole(path, lines())
            write_manifest(path, "full", version, self.count)
        return path

    def delta(self, sequence):
        """A delta of one row: a name somewhere in the store gets another number."""
        path = self.directory / "delta.csv"
        number = mix(sequence) % self.count
        fields = self.names.line(number).split(",")
        fields[3] = f"京ICP备{sequence:08}号-1"
        write_whole(path, [HEADER + ",op\n", ",".join(fields) + ",upsert\n"])
        write_manifest(path, "delta", sequence, 1)
        return path

    def loader(self, *arguments):
        return [self.build / "loader" / "icpgate-load", "-c", self.conf, *arguments]

    def need_store(self):
        """Loads the first version of the feed, unless there is a store already."""
        if not (self.store / "current").exists():
            subprocess.run(
                self.loader("full", self.feed()), check=True, stdout=subprocess.DEVNULL
            )

    def query(self, number, nets, blocked=False):
        """A name, the address it points at, and the address that a client is to be given."""
        z = mix(number)
        name = self.names.name(number, z)
        network = network_of(nets[(z >> 8) % len(nets)])
        address = str(network[mix(z) % network.num_addresses])
        name = f"www.{name}" if z >> 56 & 1 else name
        return name, address, BLOCK if blocked else address

    def queries(self):
        """The names that are asked: {kind: [query]}. "more-unfiled" are not part of the mix."""
        lots = random.Random(SEED)
        filed = {}
        while len(filed) < FILED and len(filed) < self.count // 2:
            number = lots.randrange(self.count)
            if self.names.permits(number):
                filed[number] = True
        unfiled = range(FIRST_UNFILED, FIRST_UNFILED + QUERIED - FOREIGN - FILED)
        more = range(unfiled.stop, FIRST_UNFILED + QUERIED)
        foreign = range(FIRST_FOREIGN, FIRST_FOREIGN + FOREIGN)
        return {
            "foreign": [self.query(n, self.ranges.abroad) for n in foreign],
            "filed": [self.query(n, self.ranges.gated4) for n in filed],
            "unfiled": [self.query(n, self.ranges.gated4, True) for n in unfiled],
            "more-unfiled": [self.query(n, self.ranges.gated4, True) for n in more],
        }

    def need_zone(self, queries):
        """All names that are asked, in one zone, the root's: names stand there beside their parents."""
        path = self.directory / f"root-{self.count}.zone"
        if not path.is_file():
            address_of = {name: address for kind in queries.values() for name, address, _ in kind}
            lines = ["$TTL 86400\n. SOA a.root. h.root. 1 3600 900 86400 60\n. NS a.root.\n"]
            lines += ["a.root. A 127.0.0.1\n"]
            lines += [f"{name}. A {address}\n" for name, address in address_of.items()]
            write_whole(path, lines)
        return path

    def need_rpz(self):
        """The same policy as a zone: a filed name and all below it pass; else a gated address is
        replaced. That is all of the policy that an RPZ can say."""
        path = self.directory / f"rpz-{self.count}.zone"
        if path.is_file():
            return path

        def lines():
            yield "$TTL 300\n@ SOA localhost. root.localhost. 1 3600 600 86400 60\n"
            yield "@ NS localhost.\n"
            for network in self.ranges.gated:
                yield f"{rpz_trigger(network)} A {BLOCK}\n"
            for number in range(self.count):
                if self.names.permits(number):
                    name = self.names.name(number, mix(number))
                    yield f"{name} CNAME rpz-passthru.\n*.{name} CNAME rpz-passthru.\n"

        write_whole(path, lines())
        return path


def rpz_trigger(network):
    """The owner that stands for a network in an RPZ."""
    prefix = network_of(network)
    if prefix.version == 4:
        parts = str(prefix.network_address).split(".")
    else:
        parts = [f"{int(part, 16):x}" for part in prefix.network_address.exploded.split(":")]
        # BIND wants the longest run of zeros written as zz, as inet_ntop would write it.
        parts = compress(parts)
    return ".".join([str(prefix.prefixlen), *reversed(parts), "rpz-ip"])


def compress(parts):
    best = (0, 0)
    at = 0
    while at < len(parts):
        end = at
        while end < len(parts) and parts[end] == "0":
            end += 1
        if end - at > best[1] - best[0]:
            best = (at, end)
        at = max(end, at + 1)
    if best[1] - best[0] < 2:
        return parts
    return [*parts[: best[0]], "zz", *parts[best[1] :]]

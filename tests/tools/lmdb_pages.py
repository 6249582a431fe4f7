# SPDX-License-Identifier: BSD-3-Clause
"""Reads LMDB's file format (version 1, of LMDB 0.9) as far as needed to say which octets of a file
hold something.

The format: pages of one size. Pages 0 and 1 are meta pages; the one with the higher transaction
number is in force. It names the roots of two B+ trees: the list of free pages (record: transaction
number -> count, page numbers), and the main one, whose records are those of named databases, each
with a root of its own. A page begins with a head of 16 octets; a branch or leaf page goes on with
the places of its nodes, has room in the middle and the nodes at its end. A large value stands in
pages of its own.

What holds nothing, and so may change without anybody noticing:
  - pages on the list of free pages, and pages beyond the last one
  - the room between the places and the nodes of a page, and behind the end of a large value
  - the padding of nodes to even lengths, and of the list of free pages
  - the field mp_pad of a page's head, and md_pad of a database (but that of the free pages, which
    tells the size of pages); the address of a fixed map; a meta page behind its last field
  - the key of a record of free pages, as far as it stays in order: it says since when they are free,
    which is of no matter to what the file holds
  - the key of a branch's first node: it stands for all that is below the second one
  - in the meta page that is not in force, all but what decides that it is not: magic, version,
    transaction number, and the flags of the page's head
"""

import struct
from typing import NamedTuple

HEAD = 16
BRANCH, LEAF, OVERFLOW, META, LEAF2 = 1, 2, 4, 8, 0x20
BIG, SUB = 1, 2
MAGIC = 0xBEEFC0DE
NO_ROOT = 2**64 - 1
META_SIZE = 136
# Offsets in a meta page: magic, version, address, mapsize, two databases, last page, transaction.
MAGIC_AT, ADDRESS_AT, MAPSIZE_AT, FREE_AT, MAIN_AT, LAST_AT, TXN_AT, META_END = (
    HEAD + n for n in (0, 8, 16, 24, 72, 120, 128, META_SIZE)
)


class Database(NamedTuple):
    pad: int
    flags: int
    depth: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


class Span(NamedTuple):
    """Octets of the file that hold something."""

    begin: int
    end: int
    what: str


def read_database(octets):
    return Database(*struct.unpack("<IHHQQQQQ", octets))


class PageFile:
    """spans: what holds something, by page; free: numbers of the free pages"""

    def __init__(self, content):
        self.content = content
        self.size = struct.unpack_from("<I", content, FREE_AT)[0]
        metas = [struct.unpack_from("<Q", content, page * self.size + TXN_AT)[0] for page in (0, 1)]
        self.meta = 0 if metas[0] > metas[1] else 1
        self.txn = metas[self.meta]
        at = self.meta * self.size
        assert struct.unpack_from("<I", content, at + MAGIC_AT)[0] == MAGIC
        self.last = struct.unpack_from("<Q", content, at + LAST_AT)[0]
        self.spans = {}
        self.free = set()
        self.names = []
        self.add_metas()
        self.walk(read_database(content[at + FREE_AT : at + MAIN_AT]).root, "free", self.add_free)
        self.walk(read_database(content[at + MAIN_AT : at + LAST_AT]).root, "main", None)
        used = set(self.spans)
        assert not used & self.free, f"in use and free: {used & self.free}"
        lost = set(range(self.last + 1)) - used - self.free
        assert not lost, f"neither in use nor free: {lost}"

    def span(self, page, begin, end, what):
        """Adds octets, counted from the page's begin."""
        if end > begin:
            at = page * self.size
            self.spans.setdefault(page, []).append(Span(at + begin, at + end, what))

    def add_metas(self):
        other = 1 - self.meta
        self.span(other, 10, 12, "flags of the other meta page")
        self.span(other, MAGIC_AT, ADDRESS_AT, "magic of the other meta page")
        self.span(other, TXN_AT, META_END, "transaction of the other meta page")
        self.span(self.meta, 0, 8, "page number")
        self.span(self.meta, 10, 12, "flags")
        self.span(self.meta, MAGIC_AT, ADDRESS_AT, "magic")
        self.span(self.meta, MAPSIZE_AT, MAIN_AT, "map size, free pages")
        self.span(self.meta, MAIN_AT + 4, META_END, "main database, last page, transaction")

    def head(self, page):
        number, _, flags, lower, upper = struct.unpack_from("<QHHHH", self.content, page * self.size)
        assert number == page, f"page {page} says that it is page {number}"
        self.span(page, 0, 8, "page number")
        self.span(page, 10, 16, "flags and bounds")
        return flags, lower, upper

    def walk(self, root, name, add):
        """All pages of a tree; add is called with each record."""
        if root == NO_ROOT:
            return
        flags, lower, _ = self.head(root)
        assert flags & (BRANCH | LEAF) and not flags & LEAF2, f"page {root}: flags {flags}"
        count = (lower - HEAD) // 2
        self.span(root, HEAD, HEAD + 2 * count, f"{name}: places")
        base = root * self.size
        for index, place in enumerate(struct.unpack_from(f"<{count}H", self.content, base + HEAD)):
            low, high, extra, key_size = struct.unpack_from("<HHHH", self.content, base + place)
            key_end = place + 8 + key_size
            if flags & BRANCH:
                self.span(root, place, place + 8, f"{name}: node of a branch")
                if index > 0:
                    self.span(root, place + 8, key_end, f"{name}: key of a branch")
                self.walk(low | high << 16 | extra << 32, name, add)
                continue
            self.leaf(root, name, place, key_end, low | high << 16, extra, add)

    def leaf(self, page, name, place, key_end, size, flags, add):
        base = page * self.size
        self.span(page, place, place + 8 if add else key_end, f"{name}: head and key of a record")
        key = self.content[base + place + 8 : base + key_end]
        if flags & BIG:
            self.span(page, key_end, key_end + 8, f"{name}: page of a large value")
            value = self.large(struct.unpack_from("<Q", self.content, base + key_end)[0], size, name)
        elif flags & SUB:
            self.span(page, key_end + 4, key_end + 48, f"{name}: record of a database")
            value = self.content[base + key_end : base + key_end + 48]
            self.names.append(key.decode())
            self.walk(read_database(value).root, key.decode(), None)
        elif add is None:
            self.span(page, key_end, key_end + size, f"{name}: value")
        else:
            value = self.content[base + key_end : base + key_end + size]
            used = 8 + 8 * struct.unpack_from("<Q", value)[0]
            self.span(page, key_end, key_end + used, f"{name}: value")
        if add is not None:
            add(value)

    def large(self, first, size, name):
        flags, lower, upper = self.head(first)
        pages = lower | upper << 16
        assert flags & OVERFLOW and pages * self.size >= HEAD + size
        self.span(first, HEAD, min(self.size, HEAD + size), f"{name}: large value")
        for number in range(1, pages):
            begin = number * self.size
            self.spans.setdefault(first + number, [])
            self.span(first + number, 0, min(self.size, HEAD + size - begin), f"{name}: large value")
        at = first * self.size + HEAD
        return self.content[at : at + size]

    def add_free(self, value):
        count = struct.unpack_from("<Q", value)[0]
        self.free.update(struct.unpack_from(f"<{count}Q", value, 8))

    def unused(self, page):
        """Octets of a page in use that hold nothing, as offsets in the file."""
        at = page * self.size
        held = set()
        for span in self.spans[page]:
            held.update(range(span.begin, span.end))
        return [offset for offset in range(at, at + self.size) if offset not in held]

# SPDX-License-Identifier: BSD-3-Clause
"""The seeds of fuzz_pages.c: LMDB environments of 512-octet pages. For seeds.py."""

import struct

SIZE = 512
NONE = 2**64 - 1
BRANCH, LEAF, OVERFLOW, META = 1, 2, 4, 8
INTEGER_KEYS = 8
BIG, TREE = 1, 2


def node(key, data=b"", size=None, flags=0):
    size = len(data) if size is None else size
    octets = struct.pack("<HHHH", size & 0xffff, size >> 16, flags, len(key)) + key + data
    return octets + b"\0" * (len(octets) % 2)


def child(key, number):
    return struct.pack("<IHH", number & 0xffffffff, number >> 32, len(key)) + key


def page(number, kind, nodes, shift=0):
    """Nodes stand from the end on down, each lower by shift than it should."""
    at, places, octets = SIZE, b"", b""
    for one in nodes:
        at -= len(one)
        places += struct.pack("<H", at + shift)
        octets = one + octets
    head = struct.pack("<QHHHH", number, 0, kind, 16 + len(places), at)
    return (head + places).ljust(at, b"\0") + octets


def overflow(number, data):
    count = (15 + len(data)) // SIZE + 1
    head = struct.pack("<QHHI", number, 0, OVERFLOW, count)
    return (head + data).ljust(count * SIZE, b"\0")


def tree(root=NONE, depth=0, entries=0, branches=0, leaves=0, overflows=0, flags=0, pad=0):
    return struct.pack("<IHHQQQQQ", pad, flags, depth, branches, leaves, overflows, entries, root)


def meta(slot, txn, last, free=None, main=None):
    head = struct.pack("<QHHHHIIQQ", slot, 0, META, 0, 0, 0xbeefc0de, 1, 0, 1 << 20)
    free = free or tree(flags=INTEGER_KEYS, pad=SIZE)
    return (head + free + (main or tree()) + struct.pack("<QQ", last, txn)).ljust(SIZE, b"\0")


def number(value):
    return struct.pack("<Q", value)


def environment(buckets=None, root=None, low=None, high=None, delta=None, free=None):
    """Pages: 2 main, 3 branch of the buckets, 4 and 5 their leaves, 6 deltas, 7 and 8 a delta's
    data, 9 meta, 10 the list of free pages, 11 and 12 free. The commit before had no free ones."""
    buckets = buckets or tree(3, 2, 4, branches=1, leaves=2, flags=INTEGER_KEYS)
    main = tree(2, 1, 3, leaves=1)
    freed = tree(10, 1, 1, leaves=1, flags=INTEGER_KEYS | 0x4000, pad=SIZE)
    texts = [(b"commit", b"2"), (b"format", b"2"), (b"seal", b"0" * 16), (b"source", b"f.csv")]
    return b"".join([
        meta(0, 2, 12, freed, main),
        meta(1, 1, 9, None, main),
        page(2, LEAF, [
            node(b"buckets", buckets, flags=TREE),
            node(b"deltas", tree(6, 1, 1, leaves=1, overflows=2, flags=INTEGER_KEYS), flags=TREE),
            node(b"meta", tree(9, 1, 4, leaves=1), flags=TREE)]),
        root or page(3, BRANCH, [child(b"", 4), child(number(30), 5)]),
        low or page(4, LEAF, [node(number(10), b"ten"), node(number(20), b"twenty")]),
        high or page(5, LEAF, [node(number(30), b"x" * 200), node(number(NONE), b"last")]),
        delta or page(6, LEAF, [node(number(1), number(7), size=600, flags=BIG)]),
        overflow(7, b"d" * 600),
        page(9, LEAF, [node(key, value) for key, value in texts]),
        free or page(10, LEAF, [node(number(2), number(2) + number(12) + number(11))]),
        b"\0" * 2 * SIZE])


def ways(levels=12):
    """Branches of which each leads to the next in many ways."""
    main = tree(2, levels + 1, 1, branches=levels, leaves=1)
    pages = [page(i, BRANCH, [child(b"", i + 1)] + [child(b"%c" % j, i + 1) for j in range(1, 20)])
             for i in range(2, levels + 2)]
    pages.append(page(levels + 2, LEAF, [node(b"key", tree(), flags=TREE)]))
    return b"".join([meta(0, 2, levels + 2, None, main), meta(1, 1, levels + 2)] + pages)


PAGES = {
    "branch-to-itself": environment(
        root=page(3, BRANCH, [child(b"", 3), child(number(30), 5)])),
    "branch-twice-to-a-page": environment(
        root=page(3, BRANCH, [child(b"", 4), child(number(30), 4)])),
    "data-behind-the-end": environment(
        delta=page(6, LEAF, [node(number(1), number(12), size=600, flags=BIG)])),
    "data-of-4-gib": environment(
        delta=page(6, LEAF, [node(number(1), number(7), size=2**32 - 1, flags=BIG)])),
    "depth-of-32": environment(
        buckets=tree(3, 32, 4, branches=1, leaves=2, flags=INTEGER_KEYS)),
    "empty": meta(0, 0, 1) + meta(1, 0, 1),
    "free-page-in-use": environment(
        free=page(10, LEAF, [node(number(2), number(3) + number(12) + number(11) + number(4))])),
    "free-pages-without-end": environment(
        free=page(10, LEAF, [node(number(2), number(2**61) + number(12) + number(11))])),
    "keys-beyond-the-fork": environment(
        low=page(4, LEAF, [node(number(10), b"ten"), node(number(31), b"more")])),
    "keys-descending": environment(
        low=page(4, LEAF, [node(number(20), b"twenty"), node(number(10), b"ten")])),
    "keys-short": environment(low=page(4, LEAF, [node(b"k", b"ten"), node(number(20), b"")])),
    "node-behind-the-end": environment(
        low=page(4, LEAF, [node(number(10), b"ten"), node(number(20), b"twenty")], shift=8)),
    "sound": environment(),
    "ways-without-end": ways(),
}

# SPDX-License-Identifier: BSD-3-Clause
"""DNS over HTTP/2 on a plain connection: one POST, as little of the protocol as that takes."""

import struct

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS = 0, 1, 4
END_STREAM, END_HEADERS, ACK = 1, 4, 1
STREAM = 1


def frame(kind, flags, stream, payload=b""):
    return struct.pack("!I", len(payload))[1:] + struct.pack("!BBI", kind, flags, stream) + payload


def header(name, value):
    """A literal header field that is not indexed (RFC 7541, 6.2.2)."""
    assert len(name) < 127 and len(value) < 127
    return bytes([0, len(name)]) + name + bytes([len(value)]) + value


def request(wire):
    fields = {
        b":method": b"POST",
        b":scheme": b"http",
        b":authority": b"localhost",
        b":path": b"/dns-query",
        b"content-type": b"application/dns-message",
        b"content-length": str(len(wire)).encode(),
    }
    headers = b"".join(header(*each) for each in fields.items())
    return (
        PREFACE
        + frame(SETTINGS, 0, 0)
        + frame(HEADERS, END_HEADERS, STREAM, headers)
        + frame(DATA, END_STREAM, STREAM, wire)
    )


def exchange(stream, wire):
    """Sends a query on a fresh connection; the answer's octets."""
    stream.sendall(request(wire))
    reader = stream.makefile("rb")
    answer = b""
    while True:
        head = reader.read(9)
        assert len(head) == 9, "the resolver closed the connection"
        length = int.from_bytes(head[:3], "big")
        kind, flags, number = struct.unpack("!BBI", head[3:])
        payload = reader.read(length)
        if kind == SETTINGS and not flags & ACK:
            stream.sendall(frame(SETTINGS, ACK, 0))
        if number == STREAM:
            answer += payload if kind == DATA else b""
            assert kind in (DATA, HEADERS), f"HTTP/2 frame of type {kind}"
            if flags & END_STREAM:
                return answer

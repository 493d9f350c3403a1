# SPDX-License-Identifier: MIT
"""Seeds of target diag; see seeds. Numbers are diag.proto's."""
import struct

BYTES, FRAME, CALL, LATER = range(4)
(PING, INSPECT, UPDATE, KMSG, READ_FILE, EXEC, WAIT, PAUSE, RESUME, CRASH, START,
 RESTART, SAVED_STATE, CAPTURE, NO_METHOD, NO_SERVICE) = range(16)


def piece(kind, content):
    return struct.pack("<HB", len(content), kind) + content


def varint(value):
    out = b""
    while value > 0x7f:
        out += bytes((value & 0x7f | 0x80,))
        value >>= 7
    return out + bytes((value,))


def number(field, value):
    return varint(field << 3) + varint(value)


def text(field, value):
    return varint(field << 3 | 2) + varint(len(value)) + value


def call(method, payload=b""):
    return piece(CALL, bytes((method,)) + payload)


def diag():
    debug, release = b"\1", b"\0"
    every = b"".join(call(n) for n in range(16))
    yield "every", debug + every
    yield "every_release", release + every
    yield "inspect", debug + b"".join(
        call(INSPECT, text(1, path) + number(2, depth)) for path, depth in
        ((b"", 0xffffffff), (b"", 0), (b"vp0", 1), (b"vp0/rip", 0),
         (b"vp0/exits/name", 9), (b"vp2", 1), (b"x" * 255, 0),
         (b"x" * 256, 0)))
    yield "update", debug + b"".join(
        call(UPDATE, text(1, path) + text(2, value)) for path, value in
        ((b"vp1/exits", b"on"), (b"vp1/exits", b""), (b"vp0", b"1"),
         (b"vp1/exits", b"v" * 255)))
    yield "update_release", release + call(
        UPDATE, text(1, b"vp1/exits") + text(2, b"on"))
    pair = text(8, text(1, b"NAME") + text(2, b"value"))
    gone = text(8, text(2, b"late") + text(1, b"NAME"))
    away = text(8, text(1, b"PATH"))
    yield "exec", debug + call(
        EXEC, text(1, b"sh") + text(2, b"-c") + text(2, b"exit") + pair +
        gone + away + number(7, 1) + number(9, 1) + number(10, 1)) + call(
            EXEC, text(1, b"/bin/sh") + number(4, 1) + number(5, 2) +
            number(6, 3))
    yield "exec_many", debug + call(
        EXEC, text(1, b"a") + text(2, b"b") * 65) + call(
            EXEC, text(1, b"a") + pair * 70)
    yield "streams", debug + call(KMSG, number(1, 1) + number(2, 7)) + call(
        READ_FILE, number(2, 8) + text(3, b"/proc/version"))
    yield "numbers", debug + call(WAIT, number(1, 1)) + call(
        CRASH, number(1, (1 << 64) - 1)) + call(
            CAPTURE, number(3, 1) + text(4, number(1, 9) + number(2, 1)))
    request = text(1, b"diag.OpenhclDiag") + text(2, b"Ping") + text(3, b"")
    yield "frames", debug + piece(FRAME, request) + piece(
        FRAME, request + number(4, 10 ** 10) + text(5, text(1, b"k"))) + piece(
            FRAME, b"\x0d\1\2\3\4\x11" + bytes(8)) + piece(FRAME, b"\x0b")
    head = struct.pack(">IIBB", len(request), 3, 1, 0)
    yield "split", debug + b"".join(
        piece(BYTES, (head + request)[at:at + 3])
        for at in range(0, len(head + request), 3)) + call(PING)
    for name, header in (("even", (4, 2, 1, 0)), ("type", (4, 1, 2, 0)),
                         ("long", (9000, 1, 1, 0)),
                         ("giant", (1 << 30, 1, 1, 0))):
        yield name, debug + piece(
            BYTES, struct.pack(">IIBB", *header) + b"\x0a\x02ab") + piece(
                BYTES, bytes(1500)) * 7 + call(PING)
    yield "later", debug + call(PING) + piece(LATER, bytes(20)) + call(PAUSE)

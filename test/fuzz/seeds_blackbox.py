# SPDX-License-Identifier: MIT
"""Seeds of target blackbox; see seeds."""
import struct

DUMP, CONSOLE, FAILURE, LOG, VMBUS, NAMES, EXITS = range(1, 8)


def box(sections, exits=8):
    table, body = b"", b""
    for kind, stride, items in sections:
        table += struct.pack("<IIII", kind, 288 + len(body),
                             stride * len(items), stride)
        body += b"".join(i.ljust(stride, b"\0") for i in items)
    return (bytes((exits,)) + b"BLACKBOX" +
            struct.pack("<IIQQ", 1, len(sections), 0x77c00000,
                        288 + len(body)) + table.ljust(256, b"\0") + body)


def zone(text, start=0, size=None):
    return struct.pack("<III", 0x43474244, start,
                       len(text) if size is None else size) + text


def record(number, data, kind=2, length=None):
    return struct.pack("<QQQHHI", number, number * 1048576 % 2**64,
                       number * 1024 % 2**64, kind, 1,
                       len(data) if length is None else length) + data


def failure(state, signal=0, words=0, text=b""):
    return struct.pack("<IIIIQQQ", state, signal, 1, 77, 5 << 20, 5 << 10,
                       0x1230) + struct.pack(
        "<18Q", *range(18)) + struct.pack("<II", words, len(text)) + text


def ring(newest, slots=4, begun=None):
    exits = b"".join(struct.pack("<QQQQQII", (n + 9) << 20, n << 12, 0xcf8, n,
                                 100, n % 3, n % 4) for n in range(slots))
    return struct.pack("<QQQQ16Q", newest if begun is None else begun, newest,
                       1, 1, *range(16)) + exits


def blackbox():
    names = [n.ljust(16, b"\0") for n in (b"port", b"msr", b"memory")]
    yield "zones", box(((DUMP, 64, (zone(b"====1.0-D\nPanic#1\n"),
                                    zone(b"", 0, 0))),
                        (CONSOLE, 64, (zone(b"second\nfirst\x1b\n", 7),))))
    yield "zones_bad", box(((DUMP, 40, (zone(b"x", 0, 99), zone(b"y", 9, 2),
                                        b"\0" * 12)),))
    yield "rings", box(((LOG, 64, [record(n, b"nvme: \"x\"\\\n")
                                   for n in (4, 5, 2, 3)]),
                        (VMBUS, 96, [record(n, struct.pack("<II", t, 0), t % 2)
                                     for n, t in ((6, 14), (4, 15), (5, 3))])))
    yield "rings_bad", box(((LOG, 32, [record(n, b"", 9, 0xffffffff) for n in
                                       (2**64 - 1, 7, 0)]),
                            (VMBUS, 33, [record(3, b"\xff")] * 3)))
    yield "failures", box(((FAILURE, 704, (failure(2, text=b"first: error"),
                                           failure(1, 11, 99))),))
    yield "exits", box(((NAMES, 16, names), (EXITS, 352, (ring(6), ring(3))),
                        (LOG, 64, [record(n, b"t") for n in (2, 3)])))
    yield "exits_bad", box(((EXITS, 352, (ring(2**64 - 1),
                                          ring(9, begun=2**63))),), 255)
    yield "none", box(())

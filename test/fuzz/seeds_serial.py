# SPDX-License-Identifier: MIT
"""Seeds of target serial; see seeds."""


def serial():
    up, down = 0, 16
    version = bytes((up, down, down, down)) # asked; answered, status, news

    def write(n):
        return bytes((6, n))

    def read(n):
        return bytes((7, n))

    def offer(n):
        return bytes((8, n))

    def room(n):
        return bytes((9, n))

    def changed(way, at, value, size):
        return bytes((way | 3, at, value, size))

    def made(way, kind, number, body=b""):
        return bytes((way | 4, kind, number, len(body))) + body

    both = bytes((up, down)) * 4
    yield "out", (b"\0" + version + room(255) + (write(200) + both) * 8 +
                  b"\0" * 8)
    yield "in", (b"\0" + version + (offer(200) + both * 2 + read(64)) * 8)
    yield "early", b"\2" + version + (room(30) + both) * 12
    yield "slow", (b"\0" + version + (write(255) + room(10) + both) * 12 +
                   offer(255) + (both + read(3)) * 12)
    yield "full", (b"\x08" + b"\x0b" + version + b"\x0a\x1a" + write(255) +
                   offer(255) + both + b"\x0b\x1b" + both * 8 + room(255) +
                   (both + b"\x0a" + read(64) + b"\x0b\x1a\x1b") * 8)
    yield "transmit_only", (b"\1" + version + (offer(100) + write(50) +
                            room(50) + both) * 6 + b"\x0c" + both * 4 +
                            read(64) + b"\x1c" + read(64) + both * 8)
    yield "absent", b"\6" + (write(255) + both + read(9)) * 16
    for n, (way, kind, number, body) in enumerate((
            (up, 2, 1, b"\0\0\2\0"), (up, 2, 1, b"\0\0"), (up, 2, 2, b""),
            (up, 1, 1, b""), (up, 1, 9, b""), (up, 3, 1, b""),
            (up, 1, 2, b"\x41" + b"x" * 65), (up, 1, 2, b"\3abc"),
            (up, 1, 2, b"\3" + b"x" * 65),
            (down, 3, 1, b"\0\0"), (down, 3, 1, b"\1\0"), (down, 3, 1, b""),
            (down, 3, 2, b"\x40\1" + b"y" * 64),
            (down, 3, 2, b"\x41\1" + b"y" * 64), (down, 3, 2, b"\1"),
            (down, 4, 1, b""), (down, 4, 2, b"\0\1"), (down, 4, 3, b""),
            (down, 4, 9, b""), (down, 1, 1, b""), (down, 3, 9, b""))):
        yield "made%d" % n, (b"\2" + made(way, kind, number, body) + version +
                             offer(70) + both + made(way, kind, number, body) +
                             both + write(70) + room(99) + read(64) + both * 16)
    for at, value in ((0, 2), (1, 9), (2, 7), (4, 65), (4, 0), (5, 1)):
        yield "changed%d.%d" % (at, value), (
            b"\0" + version + offer(99) + write(99) + room(99) +
            changed(up, at, value, 255) + changed(down, at, value, 255) +
            both * 20 + changed(up, 255, 0, 3) + both * 9)
    yield "lost", (b"\0" + version + write(255) + offer(255) + both * 8 +
                   bytes((0xed, 0xfd)) + write(255) + read(64) + both * 20)

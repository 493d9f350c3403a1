# SPDX-License-Identifier: MIT
"""Seeds of target hv_sock; see seeds."""
import struct


def hv_sock():
    def step(what, which=0, rest=b""):
        return bytes((what, which)) + rest

    def says(which=0, line=b""):
        return step(1, which, bytes((len(line),)) + line)

    def number(what, which, size, n):
        return step(what, which, n.to_bytes(size, "little"))

    come, opens, reads, ends, gone, closes = 0, 2, 5, 7, 8, 10
    connected = step(come) + says() + step(opens)
    asked = step(11, 1, b"\x09") + step(opens)
    bytes_up = number(3, 0, 2, 700) + number(3, 0, 2, 0)
    bytes_down = number(6, 0, 2, 9000) + step(reads) + step(reads)
    yield "both", connected + bytes_up + bytes_down + step(ends) + step(reads)
    yield "asked", asked + bytes_up + bytes_down + step(closes)
    yield "end_first", connected + step(ends) + bytes_up + step(closes)
    yield "lingers", (connected + step(ends) + step(reads) + bytes_up +
                      number(12, 0, 1, 101))
    yield "gone", connected + number(6, 0, 2, 9000) + step(gone) + bytes_up * 3
    yield "slow", connected + bytes_up[:4] * 8 + number(9, 0, 1, 200) * 3
    yield "late", step(come) + says() + number(12, 0, 1, 20) + step(opens)
    for n, line in enumerate((b"CONNECT \n", b"CONNECT 99999999999\n",
                              b"CONNECT 4294967295\n", b"connect 1\n",
                              b"CONNECT 1\nmore", b"C" * 62)):
        yield "line%d" % n, step(come) + says(0, line) + step(opens) + bytes_up
    for n, packet in enumerate((b"", struct.pack("<II", 1, 100),
                                struct.pack("<IIQ", 2, 8, 0))):
        for kind in (0, 1):
            yield "lie%d%d" % (n, kind), (connected + step(
                12, 1, bytes((kind,)) + packet))
    yield "refused", step(0x40) + step(11, 1, b"\x09") + step(0x80) + \
        step(11, 2, b"\x09") + step(11, 0x83, b"\x09\x05") + asked + asked
    yield "many", b"".join(step(come) + says(n) + step(opens, n) for n in range(4)) + \
        step(come) + b"".join(step(closes, n) for n in range(4))

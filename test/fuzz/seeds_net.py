# SPDX-License-Identifier: MIT
"""Seeds of the fuzz targets about NICs and the host's bus; used by `seeds`."""
import struct

# --- NVSP, RNDIS: test/fuzz/nvsp.c, rndis.c; relay/nvs_reg.h, rndis_reg.h ---

def rndis_query(oid, info=b"", kind=4):
    return struct.pack("<7I", kind, 28 + len(info), 7, oid, len(info), 20,
                       0) + info


def rndis_packet(frame, ppis=b"", pad=0):
    return struct.pack("<11I", 1, 44 + len(ppis) + len(frame) + pad,
                       36 + len(ppis), len(frame), 0, 0, 0, 36, len(ppis), 0,
                       0) + ppis + frame + bytes(pad)


def ppi(kind, value):
    return struct.pack("<4I", 16, kind, 12, value)


def tcp_frame(size, ip6=False):
    head = bytes(12) + (b"\x86\xdd\x60" if ip6 else b"\x08\0\x45")
    return (head.ljust(54 if ip6 else 34, b"\0") + bytes(12) +
            b"\x50").ljust(size, b"x")


def nvsp():
    go, go_sub, pages = b"\x44", b"\xc4", b"\x04"
    answer = b"\5\0"

    def control(what, payload=b""):
        return bytes((0, what)) + payload.ljust(16 if what & 16 else 8, b"\0")

    def frame(shape, size, content=b"", ch=0):
        return bytes((1 | ch, shape, size)) + content.ljust(size, b"z")
    send, get = b"\5\x1a", b"\5\x24\0\0"
    yield "init", b"\0" + control(0, b"\1\0\6\0" * 2) + go + control(0x16) + go
    yield "bad_init", b"\0" + control(0, b"\0\0\7\0" * 2) + go + control(
        0, b"\2\0\0\0" * 2) + go + control(0, b"\2\0\0\0" * 2) + go
    yield "buffers", b"\5" + control(6, b"\xea\5") + go + b"".join(
        control(0x20 | n) + pages for n in (2, 4)) + b"".join(
            control(n) + go for n in (3, 5, 3, 2, 4)) + b"\6"
    yield "no_gpadl", b"\5" + control(2, b"\x09") + pages + control(
        2, b"\3") + pages + control(4, b"\x09") + pages
    yield "section", b"\7" + frame(6, 120) + go + send + b"\6" + frame(
        6, 200) + frame(0x46, 200) + go + send + send + b"\6"
    yield "pages", b"\7" + (frame(4, 120) + frame(5, 150) + go + send) * 2 + (
        b"\6\xff")
    yield "bad_pages", b"\7" + frame(0x14, 120) + b"\xff" * 4 + frame(
        0x24, 99) + frame(0x44, 99) + frame(0x84, 200) + b"\xff" * 8 + go
    yield "received", b"\7" + (b"\5\x7c\xff\1" + go + b"\x46") * 3 + (
        b"\5\x7d\xff\0" + b"\6" + go) * 3
    yield "kept", b"\7" + (b"\5\x7c\xff\0\6" + go) * 9 + (b"\x46" + go) * 2
    yield "sub", b"\x0f" + frame(6, 99, b"", 0x80) + go_sub + b"\5\x82" + (
        b"\x86") + b"\5\xbc\x20\0\x86" + b"\x47" + go + answer * 2 + b"\7"
    lend, go_both, give = b"\5\x24\0\1", b"\xc4\x44", b"\xc6"
    yield "steered", b"\xff" + (lend + go_both + give + go) * 4
    yield "steered_back", b"\xff" + lend + go_both + b"\x86" + (
        b"\x83\2\x27" + b"k" * 39 + b"\x83\2\x26" + b"k" * 38 + go_both +
        b"\x83\2\x26" + b"k" * 38 + b"\3\2\x25" + b"k" * 37 + go_both)
    yield "steered_closed", b"\xff" + lend + go_both + b"\x86" + lend + (
        b"\x47" + answer * 2 + b"\7" + answer * 2 + lend + go_both + give)
    yield "steered_lost", b"\xff" + lend * 2 + b"\5\x0f" + answer * 2 + (
        go_both + give + b"\5\7" + answer + lend + go_both + give)
    yield "steered_revoked", b"\xff" + lend + go_both + b"\x86" + control(
        3) + go + answer * 2 + go + control(0x22) + pages + answer + lend + (
            go_both + give)
    yield "sub_late", b"\7" + control(0x29) + go + b"\7" + answer * 3 + frame(
        6, 99, b"", 0x80) + go_sub + b"\5\x82"
    yield "lost", b"\7" + frame(6, 99) + go + b"\5\x0f" + answer * 2 + frame(
        6, 99) + go + b"\5\7" + answer + frame(6, 99) + go + send
    yield "link", b"\7" + b"\5\6\6\5\x0e\6" * 3
    yield "revoke", b"\7" + frame(6, 99) + go + control(3) + go + answer * 2 + (
        go + control(0x22) + pages + answer + frame(6, 99) + go + send)
    yield "rndis", b"\7" + bytes((0x41, 0, 28)) + rndis_query(0x1010e) + go + (
        b"\x46") + bytes((0x41, 1, 16)) + struct.pack("<4I", 8, 16, 3, 0) + (
            go + b"\x46") + bytes((0x41, 2, 12)) + bytes(12) + go
    yield "path", b"\7" + control(7) + control(7, b"\1") + control(8) + (
        control(9, b"\1\0\0\0\x40") + control(10) + control(11) + go + b"\6")
    yield "completions", b"\7\3\2\x10" + b"\5\x24\0\0" + go + (
        b"\3\2\x11" + b"k" * 17 + go + b"\3\7\0" + go)
    yield "index", b"\7" + frame(6, 99) + b"\x76\x40\0" + go
    yield "index_down", b"\7" + b"\x7e\x41\0" + frame(6, 99) + go
    yield "many", b"\7" + frame(6, 60) * 20 + go + send + go + send * 3


def rndis():
    message = b"\0"
    for oid in (*range(0x10101, 0x10117), 0x10202, 0x10203, 0x10206, 0x10207,
                *range(0x20101, 0x20106), 0x20216, *range(0x1010101, 0x1010106),
                0x1020101, 0xfc01020b, 0xfc01020d, 0xffffffff):
        yield "query_%x" % oid, message + rndis_query(oid).ljust(64, b"\0")
    yield "offload_1", message + rndis_query(0xfc01020d, bytes(112))
    yield "offload_2", message + rndis_query(0xfc01020b, bytes(144))
    yield "halted", b"\2" + rndis_query(0x10106)
    yield "init", message + struct.pack("<6I", 2, 24, 1, 1, 0, 4096)
    yield "init_again", b"\2" + struct.pack("<6I", 2, 24, 1, 1, 0, 4096)
    yield "halt", message + struct.pack("<3I", 3, 12, 1)
    yield "reset", message + struct.pack("<3I", 6, 12, 0)
    yield "keepalive", message + struct.pack("<3I", 8, 12, 5)
    yield "outside", message + struct.pack("<7I", 4, 28, 1, 0x10106, 8, 99, 0)
    yield "short", message + struct.pack("<2I", 4, 12)
    for oid, info in ((0x1010e, b"\x0d\0\0\0"), (0x1010f, b"\x80\0\0\0"),
                      (0x1010103, bytes(12)), (0x1010103, bytes(13)),
                      (0x101010a, bytes(8)), (0x10118, bytes(8)),
                      (0xfc01020c, bytes((0x80, 3, 28, 0, 4, 3, 2, 1, 4, 0, 0,
                                          2, 1)).ljust(28, b"\0")),
                      (0x1021b, struct.pack("<5I", 20, 4, 2, 24, 4) + bytes(8)),
                      (0x1021b, struct.pack("<5I", 20, 4, 2, 99, 4) + bytes(8)),
                      (0x1010e, b"\1"), (0x1010f, b""), (0xfc01020c, b"\1")):
        yield "set_%x_%d" % (oid, len(info)), message + rndis_query(
            oid, info, 5)

    def rss(flags=0, entries=128, at=40, key=40, kind=0x89, last=3):
        table = b"".join(struct.pack("<I", n % 4) for n in range(entries - 1))
        return rndis_query(0x10204, struct.pack(
            "<BBHHHIHHIHHIIII", kind, 2, 40, flags, 0, 1, 4 * entries, 0, at,
            key, 0, 40 + 4 * entries, 0, 0, 0) + table +
                           struct.pack("<I", last) + b"k" * 40, 5)
    yield "rss", message + rss()
    for name, arguments in (("off", {"flags": 16}), ("queue", {"last": 4}),
                            ("odd", {"entries": 5}), ("far", {"at": 999}),
                            ("key", {"key": 39}), ("kind", {"kind": 1})):
        yield "rss_" + name, message + rss(**arguments)
    yield "rss_short", message + rndis_query(0x10204, bytes(39), 5)
    frames = b"\1"
    for where in (0, 1, 99, 3000):
        at = struct.pack("<H", where)
        yield "plain_%d" % where, frames + at + rndis_packet(tcp_frame(300))
        yield "two_%d" % where, frames + at + rndis_packet(
            tcp_frame(99), b"", 1) + rndis_packet(tcp_frame(200))
        for ip6 in (False, True):
            l4 = 54 if ip6 else 34
            name = "%d_%d" % (l4, where)
            word = 2 if ip6 else 1
            yield "tcp_" + name, frames + at + rndis_packet(
                tcp_frame(200, ip6), ppi(0, word | 4 | l4 << 16))
            yield "find_" + name, frames + at + rndis_packet(
                tcp_frame(200, ip6), ppi(0, word | 8 | 16))
            yield "lso_" + name, frames + at + rndis_packet(
                tcp_frame(400, ip6), ppi(6, 0x1235) + ppi(
                    2, 100 | l4 << 20 | 1 << 30 | (1 << 31 if ip6 else 0)))
    at = b"\1\0"
    tagged = bytes(12) + b"\x81\0\0\7" + tcp_frame(1500)[12:]
    yield "tagged", frames + b"\4\0" + rndis_packet(tagged[:600], ppi(0, 5))
    for name, value in (("v1", 100), ("mss", 1 << 30 | 34 << 20),
                        ("far", 1 << 30 | 100 | 1000 << 20)):
        yield "lso_" + name, frames + at + rndis_packet(tcp_frame(300),
                                                        ppi(2, value))
    yield "lso_tcp", frames + at + rndis_packet(
        bytes(300), ppi(2, 1 << 30 | 100 | 34 << 20))
    yield "no_ip", frames + at + rndis_packet(bytes(300), ppi(0, 5))
    yield "small", frames + at + rndis_packet(bytes(13))
    yield "tiny", frames + at + rndis_packet(bytes(20), ppi(0, 5))
    yield "ppi_long", frames + at + rndis_packet(
        bytes(200), struct.pack("<3I", 99, 0, 12))
    yield "ppi_cut", frames + at + rndis_packet(bytes(200), ppi(0, 0)[:8])
    yield "ppi_short", frames + at + rndis_packet(
        bytes(200), struct.pack("<3I", 12, 0, 12))
    yield "ppi_much", frames + at + rndis_packet(bytes(200), ppi(9, 0) * 17)
    for word, value in ((1, 9999), (2, 999), (3, 9999), (5, 1), (7, 9999),
                        (8, 9999), (0, 7), (1, 43)):
        packet = bytearray(rndis_packet(bytes(100), ppi(0, 0)))
        struct.pack_into("<I", packet, 4 * word, value)
        yield "word_%d_%d" % (word, value), frames + at + bytes(packet)


# --- MANA: steps of test/fuzz/mana.c ---

def mana():
    def send(ranges, offload=0, mss=0, l4=34, header=54):
        words = b"".join(struct.pack("<I", (bare << 31) | (length << 16) | at)
                         for at, length, bare in ranges)
        return struct.pack("<BHHHBB", 0, len(ranges) - 1, offload, mss, l4,
                           header) + words

    def post(ranges):
        return struct.pack("<BB", 2, len(ranges) - 1) + b"".join(
            struct.pack("<I", (bare << 31) | (length << 16) | at)
            for at, length, bare in ranges)

    def sent(kind=32, where=0):
        return struct.pack("<BBIII", 3, 0, kind, 0, where << 5)

    def got(kind, flags, *lengths):
        return struct.pack("<BBII", 5, 0, kind, flags) + b"".join(
            struct.pack("<III", n, 0, 7) for n in
            (lengths + (0, 0, 0, 0))[:4]) + struct.pack("<I", 0)

    run = b"\7"
    event = b"\x1e"
    one = [(0, 60, 0)]
    look = b"\x26"
    yield "look", b"\1" + send(one) + post([(0, 2000, 0)]) + run * 3 + (
        sent() + got(1, 0, 60) + run + look + run + look + run)
    yield "send", (b"\1" + send(one) + event + run + sent() + run +
                   send(one * 2, 3) + send([(0, 14, 0), (256, 900, 0)], 0x84) +
                   sent() + run + sent() + event + run)
    yield "lso", (b"\1" + send([(0, 54, 0), (512, 3000, 0)], 0x20, 1448) +
                  send([(0, 20, 0), (64, 3000, 0)], 0x40, 1428) +
                  send([(0, 3000, 0)], 0x20, 1448) + sent() + sent() + sent() +
                  run)
    yield "copied", (b"\1" + send([(i * 80, 40, 0) for i in range(40)]) +
                     send([(0, 60, 0), (0, 2000, 1)]) + sent() + sent() + run)
    yield "failed", (b"\1" + send(one) + send([(0, 9, 0)]) + send(one) +
                     sent(34, 0) + run + sent(42, 1) + run + send(one) + run)
    buffers = b"".join(post([(i * 1024, 1000, 0)]) for i in range(12))
    yield "receive", (b"\1" + buffers + got(1, 0x22040000, 900) + run +
                      got(2, 0x1abc | 0x8000000, 60, 61, 62) + event + run +
                      got(4, 0, 1000) + got(3, 0) + got(1, 0x15080000, 1001) +
                      run + got(2, 0x68080000, 1, 2, 3, 4) + run)
    yield "bare", (b"\1" + post([(0, 500, 1), (0, 500, 0)]) + got(1, 0, 800) +
                   run + post([(0, 500, 1)]) + got(1, 0, 501) + run)
    yield "round", b"\0" + buffers + got(2, 0, 60, 60) + run + got(1, 0, 60) + run
    # Where rings have come far: a credit is due, laps and 32 bits wrap.
    for name, how in (("lap", 0x0f), ("untold", 0x1f), ("wrap", 0x2f)):
        yield name, bytes((how,)) + (send(one) * 2 + post([(0, 900, 0)]) * 2 +
                                     got(1, 0, 60) + sent() + event + run) * 6


# --- MANA's objects and links: outcomes of calls, test/fuzz/mana_verbs.c ---

def mana_verbs():
    start = bytes(15)  # the kind, a port, and what opening asks for
    create = bytes((0, 0x0e, 1)) + bytes(4 * 12 + 24)
    events = bytes((1,)) + b"\x80\x81\x80\0" + bytes((5,)) + b"\x81\2"
    gone = b"\2\1\0\0\1\0\3"
    yield "life", start + b"\3" + create + events + gone + b"\3" + bytes(60)
    yield "again", start + (create + b"\0" + bytes(60)) * 2
    for at in range(2, 40, 3):
        yield "open%d" % at, bytes(at) + b"\2" + bytes(90)
    for at in range(4, 130, 9):
        yield "create%d" % at, start + create[:at] + b"\x9a\xff\xff\xff" + (
            create[at + 1:]) + bytes(40)
    # One queue; what is told of each of its rings can not be, one after another.
    for at, undone in ((7, 5), (8, 5), (9, 5), (12, 7), (13, 7)):
        yield "odd%d" % at, start + b"".join(
            bytes(3 + at) + odd + bytes(undone) for odd in (
                b"\1", b"\2", b"\4", b"\x08", b"\x10", b"\x20",
                b"\xc0\xff\xff\xff\1", b"\x80\0\0\0\1")) + bytes(80)
    link = struct.pack("<HHB3x", 5, 33, 1) + struct.pack("<HHI", 8, 51, 9000)
    error = struct.pack("<IHHIIi", 36, 2, 0, 0, 0, -19) + bytes(16)
    late = b"\4" + struct.pack("<H", 32) + struct.pack("<IHHII16x", 32, 3, 0, 0, 0)
    yield "query", b"\3\0\0" + late + b"\0" + struct.pack("<H", 32 + 64) + (
        link + struct.pack("<HH44x", 48, 77))
    yield "query_error", b"\3\0\0\4" + struct.pack("<H", 36) + error
    for name, tail in (("parse", link), ("parse_bad", link[:-2])):
        yield name, b"\1" + struct.pack(
            "<IHHIIBxHiII", 32 + len(link), 16, 0, 1, 0, 0, 1, 17, 0, 0) + tail + (
                bytes(40))


# --- The host's bus: test/fuzz/host_bus.c ---

def host_bus():
    yes, late, room, never = b"\0", b"\x08", b"\x09", b"\x0a"

    def no(status):
        return bytes((3 | status << 4,))

    def offer(channel, instance=0, sub=0):
        return bytes((4, channel << 4 | sub << 2 | instance))

    def rescind(channel):
        return bytes((5 | channel << 4,))

    def host(kind, *words):
        return bytes((7, kind, len(words))) + bytes(words)

    def connect(how=0):
        return bytes((0xc, how))

    def gpadl(channel, number, flags=0xc0):
        return bytes((0xd | channel << 4, number | flags))

    def say(kind, *words):
        return bytes((0xe, kind, len(words))) + bytes(words)
    reset = b"\x8f"
    begin = yes + offer(1) + offer(2, 1) + yes
    # Channel 2 has been open twice.
    before = (gpadl(2, 2) + yes + say(22, 2, 1) + yes + say(7, 2) +
              say(11, 2, 2) + yes + gpadl(2, 3) + yes + say(7, 2) +
              say(11, 2, 3) + yes)
    up = b"\xe0" + begin + connect() + before
    use = gpadl(1, 1) + yes
    yield "used", up + use + say(7, 1) + say(11, 1, 1) + yes + say(16) + yes
    yield "modified", up + use + say(22, 1, 1) + yes + say(22, 1, 0) + no(1)
    for name, end in (("rescind", rescind(1)), ("late", late),
                      ("reset", reset), ("again", connect(1)),
                      ("unload", say(16))):
        for i, part in enumerate((gpadl(1, 1, 0), gpadl(1, 1, 0x80),
                                  gpadl(1, 1), use,
                                  use + say(11, 1, 1), use + say(22, 1, 1),
                                  use + say(7, 1) + say(11, 1, 1))):
            yield "%s%d" % (name, i), (
                up + part + end + yes * 3 + say(11, 1, 1) + say(13, 1) +
                offer(1) + offer(3) + connect() + use)
    yield "modify_closed", (up + use + say(22, 1, 1) + say(7, 1) + late +
                            gpadl(1, 2) + yes + say(22, 1, 0) + yes * 4)
    released = up + gpadl(1, 1, 0x80) + say(13, 1)
    yield "released", released + say(16) + connect() + use
    yield "released_reset", released + reset + connect() + use
    yield "anew", up + use + rescind(1) + offer(3) + say(13, 1) + use
    yield "sub", up + use + offer(3, 0, 1) + gpadl(3, 2) + yes + rescind(1)
    yield "sub_late", (up + use + offer(3, 0, 1) + gpadl(3, 2) + yes +
                       gpadl(1, 3, 0) + late + late + late)
    for how in range(9):
        yield "rules%d" % how, (bytes((how // 3 * 4 + how % 3,)) + yes +
                                offer(1, 2) + offer(2, 3) + offer(3) + yes +
                                connect() + rescind(1) + rescind(2))
    for status in (1, 2, 3):
        yield "contact%d" % status, (b"\0" + no(status) + yes + offer(1) + yes +
                                     connect() + use)
    yield "refused", (up + gpadl(1, 1, 0) + no(1) + gpadl(1, 1) + no(5))
    yield "full", (up + room + gpadl(1, 1, 0) + say(7, 2) + b"\x0b" + room +
                   yes + room + gpadl(1, 2, 0) + never + connect())
    yield "sockets", up + say(21, *range(12)) + yes + host(23, *range(9))
    yield "twice", (up + offer(1) + offer(3) + offer(1, 1) + host(6, 1, 1, 0) +
                    host(10, 1, 1, 0) + host(12, 1) + host(24, 1, 0) +
                    host(17) + host(15, 1, 0) + host(4) + host(2, 9) +
                    b"\6\x04abcd")
    yield "words", up + b"\6\x10" + struct.pack("<4I", 2, 0, 1, 0) + yes
